#include "lib/recover/failure_words.h"

#include <string_view>

namespace selfheal::recover {
namespace {

constexpr std::string_view words[] = {
    "error",    "err ",    "fail",      "invalid",  "cannot",  "can't",    "could not",
    "couldn't", "unable",  "denied",    "refused",  "illegal", "bad ",     "not found",
    "no such",  "missing", "malformed", "corrupt",  "unknown", "too long", "too large",
    "too many", "wrong ",  "rejected",  "mismatch", "expected"};

// How many of `most` bytes at `address` nobody writes.
u64 constant_bytes(const ImageView& image, u64 address, u64 most) {
  image::Module module;
  if (!image.find_module(image.context, address, module)) {
    return 0;
  }
  for (unsigned i = 0; i < module.segment_count; ++i) {
    const image::Segment& segment = module.segments[i];
    if (segment.holds(address, 1)) {
      const u64 left = segment.end - address;
      return (segment.flags & PF_W) != 0 ? 0 : left < most ? left : most;
    }
  }
  return 0;
}

}  // namespace

bool speaks_of_failure(const ImageView& image, u64 address) {
  constexpr unsigned looked_at = 64;
  char text[looked_at];
  const u64 size = image.read_code(image.context, address, reinterpret_cast<u8*>(text),
                                   constant_bytes(image, address, sizeof text));
  u64 length = 0;
  for (; length < size && text[length] != '\0'; ++length) {
    const char letter = text[length];
    text[length] =
        letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter + ('a' - 'A')) : letter;
  }
  const std::string_view read(text, length);
  for (const std::string_view word : words) {
    if (read.find(word) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::recover
