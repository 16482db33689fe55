#include "lib/recover/lsda.h"

namespace selfheal::recover {
namespace {

using image::Reader;

constexpr u8 omitted = 0xff;

}  // namespace

bool open_lsda(const image::Module& module, const image::FrameEntry& entry, Lsda& lsda) {
  Reader reader(module, entry.lsda);
  const u8 pads_encoding = reader.read<u8>();
  lsda.pads = pads_encoding == omitted ? entry.start : reader.encoded(pads_encoding);
  lsda.types_encoding = reader.read<u8>();
  lsda.types = 0;
  if (lsda.types_encoding != omitted) {
    const u64 distance = reader.uleb();
    lsda.types = reader.at() + distance;
  }
  lsda.encoding = reader.read<u8>();
  const u64 size = reader.uleb();
  lsda.sites = reader.at();
  reader.skip(size);
  lsda.actions = reader.at();
  return reader.ok();
}

bool LandingSites::next(LandingSite& site) {
  if (reader_.left() == 0) {
    return false;
  }
  site.begin = entry_.start + reader_.encoded(lsda_.encoding);
  site.end = site.begin + reader_.encoded(lsda_.encoding);
  const u64 pad = reader_.encoded(lsda_.encoding);
  const u64 action = reader_.uleb();
  site.pad = pad != 0 ? lsda_.pads + pad : 0;
  site.actions = action != 0 ? lsda_.actions + action - 1 : 0;
  return reader_.ok();
}

bool Actions::next(i64& filter) {
  if (at_ == 0) {
    return false;
  }
  Reader reader(module_, at_);
  filter = reader.sleb();
  const u64 next = reader.at();
  const i64 distance = reader.sleb();
  if (!reader.ok() || count_++ == longest) {
    damaged_ = true;
    at_ = 0;
    return false;
  }
  at_ = distance != 0 ? next + static_cast<u64>(distance) : 0;
  return true;
}

bool type_of_filter(const image::Module& module, const Lsda& lsda, i64 filter, u64& type) {
  const u64 size = image::encoded_size(lsda.types_encoding);
  const auto number = static_cast<u64>(filter);
  if (lsda.types == 0 || size == 0 || filter <= 0 || number > (lsda.types - lsda.actions) / size) {
    return false;
  }
  Reader reader(module, lsda.types - number * size);
  type = image::read_pointer(module, reader, lsda.types_encoding);
  return reader.ok();
}

}  // namespace selfheal::recover
