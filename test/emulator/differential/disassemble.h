#pragma once

#include <span>
#include <string>

#include "lib/base/types.h"

namespace selfheal::differential {

// "address  48 89 c8   mov rax, rcx", a line each.
std::string disassemble(std::span<const u8> code, u64 at);

}  // namespace selfheal::differential
