#include "lib/recover/clean_up.h"

#include "lib/image/cfi.h"
#include "lib/recover/cfi_row.h"
#include "lib/recover/code_walk.h"
#include "lib/recover/lsda.h"

namespace selfheal::recover {
namespace {

// Does none of the actions catch, or check what may be thrown?
bool only_cleans_up(const image::Module& module, const LandingSite& site) {
  Actions actions(module, site);
  for (i64 filter = 0; actions.next(filter);) {
    if (filter != 0) {
      return false;
    }
  }
  return !actions.damaged();
}

// From one call site to a place behind it: is nothing called on the way, such as a destructor?
// `to` may itself be in a call, which is then not counted.
bool calls_nothing(u64 from, u64 to, const ImageView& image) {
  constexpr unsigned farthest = 200;
  CodeWalk code(image, farthest);
  for (u64 at = from; at <= to; at = code.next()) {
    if (!code.fetch(at)) {
      return false;
    }
    if (code.next() > to) {
      return true;
    }
    if (code.category() == ZYDIS_CATEGORY_CALL) {
      return false;
    }
  }
  return false;
}

// The beginning of a pad, to its first instruction that does something: what comes before only puts
// the exception away.
class Prologue {
 public:
  Prologue(u64 pad, const ImageView& image) {
    CodeWalk code(image, longest);
    u64 at = pad;
    while (count_ < longest && code.fetch(at)) {
      places_[count_++] = at;
      const bool jumps = code.is(ZYDIS_MNEMONIC_JMP) && code.target() != 0;
      if (!jumps && !code.is(ZYDIS_MNEMONIC_MOV)) {
        return;
      }
      at = jumps ? code.target() : code.next();
    }
  }

  bool meets(const Prologue& other) const {
    for (unsigned i = 0; i < count_; ++i) {
      for (unsigned k = 0; k < other.count_; ++k) {
        if (places_[i] == other.places_[k]) {
          return true;
        }
      }
    }
    return false;
  }

 private:
  static constexpr unsigned longest = 8;
  u64 places_[longest];
  unsigned count_ = 0;
};

// Do both do the same?
bool same_pads(u64 a, u64 b, const ImageView& image) {
  return a == b || (a != 0 && b != 0 && Prologue(a, image).meets(Prologue(b, image)));
}

// 0: nothing to clean up, or not known. No site speaks of an instruction that cannot throw, and
// that is most of C's functions for a compiler; where the sites on both sides of it land alike, and
// nothing that might end an object's life is called before it, what is alive is the same.
u64 pad_of(const image::Module& module, const image::FrameEntry& entry, u64 address,
           const ImageView& image) {
  Lsda lsda;
  if (!open_lsda(module, entry, lsda)) {
    return 0;
  }
  LandingSites sites(module, entry, lsda);
  LandingSite before{};
  for (LandingSite site{}; sites.next(site); before = site) {
    site.pad = only_cleans_up(module, site) ? site.pad : 0;
    if (address < site.begin) {
      const bool alike = same_pads(before.pad, site.pad, image);
      return alike && calls_nothing(before.end, address, image) ? site.pad : 0;
    }
    if (address < site.end) {
      return site.pad;
    }
  }
  return 0;
}

bool is_known(u64 personality, const Personalities& known) {
  for (const u64 routine : known.routines) {
    if (routine != 0 && routine == personality) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool find_landing_pad(const Frame& frame, const Personalities& known, const ImageView& image,
                      LandingPad& pad) {
  const u64 address = frame.lookup_address();
  image::Module module;
  image::FrameEntry entry;
  Row row;
  if (!image::locate_module(address, module) || !image::frame_entry_of(module, address, entry) ||
      entry.lsda == 0 || !is_known(entry.personality, known) ||
      !find_row(module, entry, address, row)) {
    return false;
  }
  pad = {pad_of(module, entry, address, image), frame.registers.gpr[rsp] + row.arguments_size};
  return pad.address != 0 && module.executable(pad.address);
}

}  // namespace selfheal::recover
