// Output of a tool we check ourselves against, line by line.
#pragma once

#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

namespace selfheal::test {

inline std::vector<std::string> lines_of(const std::string& command) {
  std::vector<std::string> lines;
  FILE* pipe = popen(command.c_str(), "r");
  char* line = nullptr;
  size_t capacity = 0;
  for (ssize_t n; pipe != nullptr && (n = getline(&line, &capacity, pipe)) > 0;) {
    lines.emplace_back(line, static_cast<size_t>(n - (line[n - 1] == '\n')));
  }
  free(line);
  if (pipe != nullptr) {
    pclose(pipe);
  }
  return lines;
}

// The path of the running program: a tool's own /proc/self/exe is another.
inline std::string own_path() {
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return {path, size > 0 ? static_cast<size_t>(size) : 0};
}

}  // namespace selfheal::test
