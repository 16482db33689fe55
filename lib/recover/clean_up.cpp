#include "lib/recover/clean_up.h"

#include "lib/image/cfi.h"
#include "lib/image/reader.h"
#include "lib/recover/cfi_row.h"
#include "lib/recover/code_walk.h"

namespace selfheal::recover {
namespace {

using image::Reader;

constexpr u8 omitted = 0xff;

struct Lsda {
  u64 pads;     // what landing pads count from
  u8 encoding;  // of the call sites
  u64 sites;    // table of call sites
  u64 actions;  // behind it
};

bool open_lsda(const image::Module& module, const image::FrameEntry& entry, Lsda& lsda) {
  Reader reader(module, entry.lsda);
  const u8 pads_encoding = reader.read<u8>();
  lsda.pads = pads_encoding == omitted ? entry.start : reader.encoded(pads_encoding);
  const u8 types_encoding = reader.read<u8>();
  if (types_encoding != omitted) {
    reader.uleb();  // where the types are
  }
  lsda.encoding = reader.read<u8>();
  const u64 size = reader.uleb();
  lsda.sites = reader.at();
  reader.skip(size);
  lsda.actions = reader.at();
  return reader.ok();
}

// A chain of actions: does any of them catch, or check what may be thrown?
bool only_cleans_up(const image::Module& module, u64 chain) {
  constexpr unsigned longest = 64;
  for (unsigned i = 0; i < longest; ++i) {
    Reader reader(module, chain);
    const i64 filter = reader.sleb();
    const u64 next = reader.at();
    const i64 distance = reader.sleb();
    if (!reader.ok() || filter != 0) {
      return false;
    }
    if (distance == 0) {
      return true;
    }
    chain = next + static_cast<u64>(distance);
  }
  return false;
}

struct CallSite {
  u64 begin;
  u64 end;
  u64 pad;  // 0: none that only cleans up
};

class CallSites {
 public:
  CallSites(const image::Module& module, const image::FrameEntry& entry, const Lsda& lsda)
      : module_(module), entry_(entry), lsda_(lsda), reader_(module, lsda.sites, lsda.actions) {}

  // In the order of their addresses. False: there are no more, or the table is damaged.
  bool next(CallSite& site) {
    if (reader_.left() == 0) {
      return false;
    }
    site.begin = entry_.start + reader_.encoded(lsda_.encoding);
    site.end = site.begin + reader_.encoded(lsda_.encoding);
    const u64 pad = reader_.encoded(lsda_.encoding);
    const u64 action = reader_.uleb();
    const bool cleans_up = action == 0 || only_cleans_up(module_, lsda_.actions + action - 1);
    site.pad = pad != 0 && cleans_up ? lsda_.pads + pad : 0;
    return reader_.ok();
  }

 private:
  const image::Module& module_;
  const image::FrameEntry& entry_;
  const Lsda& lsda_;
  Reader reader_;
};

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
  CallSites sites(module, entry, lsda);
  CallSite before{};
  for (CallSite site{}; sites.next(site); before = site) {
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
