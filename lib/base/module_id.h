// What names a module: its build-id, or a hash of its contents where the linker left none. Never a
// file name: symbolic links, setproctitle and re-execs lie (facts-servers.md, section 1).
#pragma once

#include "lib/base/types.h"

namespace selfheal {

enum class ModuleIdKind : u8 { none, build_id, content_hash };

struct ModuleId {
  u8 bytes[20];
  u8 size;  // bytes in use; a GNU build-id is 20 (SHA-1) or 16 (MD5, UUID), longer ones are cut
  ModuleIdKind kind;
  u8 reserved[2];

  friend bool operator==(const ModuleId& a, const ModuleId& b) {
    if (a.kind != b.kind || a.size != b.size || a.size > sizeof a.bytes) {
      return false;
    }
    for (u8 i = 0; i < a.size; ++i) {
      if (a.bytes[i] != b.bytes[i]) {
        return false;
      }
    }
    return true;
  }
};

static_assert(sizeof(ModuleId) == 24);

}  // namespace selfheal
