// What /proc/self/maps says, for the tests that hold W^X.
#pragma once

#include <cstdio>
#include <string>

#include "lib/base/types.h"

namespace selfheal::patch::test {

// The permissions of the page that holds `address` ("r-xp"), empty when there is none.
inline std::string permissions_at(u64 address) {
  std::string found;
  FILE* maps = std::fopen("/proc/self/maps", "re");
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long start = 0;
    unsigned long end = 0;
    char permissions[8] = "";
    if (std::sscanf(line, "%lx-%lx %4s", &start, &end, permissions) == 3 && address >= start &&
        address < end) {
      found = permissions;
    }
  }
  std::fclose(maps);
  return found;
}

// The first mapping that is writable and executable at once; empty when there is none.
inline std::string writable_and_executable() {
  std::string found;
  FILE* maps = std::fopen("/proc/self/maps", "re");
  char line[512];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    char permissions[8] = "";
    if (std::sscanf(line, "%*s %4s", permissions) == 1 && permissions[1] == 'w' &&
        permissions[2] == 'x') {
      found = line;
    }
  }
  std::fclose(maps);
  return found;
}

}  // namespace selfheal::patch::test
