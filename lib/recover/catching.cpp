#include "lib/recover/catching.h"

#include <atomic>

#include "lib/image/symbols.h"
#include "lib/recover/handler.h"
#include "lib/recover/imports.h"
#include "lib/recover/lsda.h"
#include "lib/recover/type_info.h"

namespace selfheal::recover {
namespace {

constexpr std::string_view cxx_personality = "__gxx_personality_v0";
constexpr std::string_view c_personality = "__gcc_personality_v0";

// Their routines may be asked by an entry of a linkage table, in a program that is not
// position-independent.
bool is_routine(u64 address, std::string_view name, const ImageView& image) {
  image::Module module;
  image::Symbol symbol;
  if (const char* import = import_behind_stub(image, address, address); import != nullptr) {
    return import == name;
  }
  return image::locate_module(address, module) && image::find_symbol(module, name, symbol) &&
         symbol.address == address;
}

// A library has thousands of symbols, so what was found is kept.
bool is_cxx(u64 personality, const ImageView& image) {
  static constinit std::atomic<u64> known{0};
  if (known.load(std::memory_order_relaxed) == personality) {
    return true;
  }
  if (!is_routine(personality, cxx_personality, image)) {
    return false;
  }
  known.store(personality, std::memory_order_relaxed);
  return true;
}

// False: none speaks of the address, which a function that may be left by exceptions never has.
bool find_site(const image::Module& module, const image::FrameEntry& entry, const Lsda& lsda,
               u64 address, LandingSite& site) {
  for (LandingSites sites(module, entry, lsda); sites.next(site);) {
    if (address - site.begin < site.end - site.begin) {
      return true;
    }
  }
  return false;
}

Passage passage_of(Handler handler) {
  switch (handler) {
    case Handler::takes:
      return Passage::caught;
    case Handler::passes_on:
      return Passage::goes_on;
    case Handler::ends:
      break;
  }
  return Passage::ends;
}

// The first action that takes one of the two decides.
Passage passage_through(const image::Module& module, const Lsda& lsda, const LandingSite& site,
                        const Exception& exception, const ImageView& image) {
  Actions actions(module, site);
  for (i64 filter = 0; actions.next(filter);) {
    if (filter == 0) {
      continue;
    }
    u64 clause = 0;
    if (!type_of_filter(module, lsda, filter, clause)) {
      return Passage::ends;
    }
    const bool all = clause == 0;
    const bool own = all || is_caught_by(exception.type, clause);
    const bool ours = all || is_caught_by(exception.as, clause);
    if (own || ours) {
      return own && ours ? passage_of(handler_at(site.pad, image)) : Passage::ends;
    }
  }
  return actions.damaged() ? Passage::ends : Passage::goes_on;
}

}  // namespace

Passage passage_at(u64 call, const Exception& exception, const ImageView& image) {
  image::Module module;
  image::FrameEntry entry;
  if (!image::locate_module(call, module) || !image::frame_entry_of(module, call, entry)) {
    return Passage::ends;
  }
  if (entry.personality == 0 || entry.lsda == 0) {
    return Passage::goes_on;
  }
  Lsda lsda;
  LandingSite site{};
  if (!is_cxx(entry.personality, image)) {
    return is_routine(entry.personality, c_personality, image) ? Passage::goes_on : Passage::ends;
  }
  if (!open_lsda(module, entry, lsda) || !find_site(module, entry, lsda, call, site)) {
    return Passage::ends;
  }
  return site.pad == 0 ? Passage::goes_on : passage_through(module, lsda, site, exception, image);
}

int find_catcher(const Exception& exception, std::span<const u64> stack, const ImageView& image) {
  const unsigned last = outermost(stack, image);
  for (unsigned i = 0; i + 1 < stack.size() && i < last; ++i) {
    const Passage passage = passage_at(stack[i] - 1, exception, image);
    if (passage != Passage::goes_on) {
      return passage == Passage::caught ? static_cast<int>(i) : -1;
    }
  }
  return -1;
}

unsigned outermost(std::span<const u64> addresses, const ImageView& image) {
  unsigned end = static_cast<unsigned>(addresses.size());
  if (end > 2 && !in_system(image, addresses[end - 1]) && in_system(image, addresses[end - 2])) {
    --end;
  }
  unsigned i = end;
  while (i != 0 && in_system(image, addresses[i - 1])) {
    --i;
  }
  return i != 0 && i != end ? i - 1 : ~0U;
}

}  // namespace selfheal::recover
