#include "lib/image/decoder.h"

namespace selfheal::image {

bool reached_by_decoding(const Module& module, const Function& function, u64 instruction) {
  Decoder decoder;
  u64 at = function.start;
  while (at < instruction && decoder.decode(module, at, function.end())) {
    at += decoder.instruction.length;
  }
  return at == instruction;
}

}  // namespace selfheal::image
