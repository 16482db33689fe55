#include "cli/library.h"

#include <cstdlib>
#include <filesystem>
#include <fmt/core.h>
#include <system_error>
#include <unistd.h>

namespace selfheal::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* library_name = "libselfheal.so";

std::vector<fs::path> candidates() {
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path above = here.parent_path();
  return {
      here / library_name,
      above / "lib" / library_name,
      above / "lib64" / library_name,
      above / "lib" / "x86_64-linux-gnu" / library_name,
      above / "lib" / "selfheal" / library_name,
      above / "lib" / "runtime" / library_name,  // the build tree: build/*/cli/selfheal
  };
}

Result<std::string> usable(const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::canonical(path, error);
  if (error || access(whole.c_str(), R_OK) != 0) {
    return fail(fmt::format("cannot read the library '{}'; set SELFHEAL_LIBRARY to the path of {}",
                            path.string(), library_name));
  }
  const std::string text = whole.string();
  if (text.find_first_of(": \t\n") != std::string::npos) {
    return fail(
        fmt::format("the library's path '{}' holds a ':' or a blank, which LD_PRELOAD "
                    "cannot; copy {} elsewhere and set SELFHEAL_LIBRARY",
                    text, library_name));
  }
  return text;
}

}  // namespace

Result<std::string> find_library() {
  if (const char* variable = std::getenv("SELFHEAL_LIBRARY");
      variable != nullptr && *variable != '\0') {
    return usable(variable);
  }
  for (const fs::path& candidate : candidates()) {
    if (access(candidate.c_str(), R_OK) == 0) {
      return usable(candidate);
    }
  }
  return fail(
      fmt::format("{} is not installed beside this command; set SELFHEAL_LIBRARY to its "
                  "path",
                  library_name));
}

std::string prepend_preload(const std::string& library, const std::string& existing) {
  std::string result = library;
  // ld.so takes both ':' and blanks for separators; an earlier mention of ours would be a second.
  for (size_t start = 0; start < existing.size();) {
    const size_t end = std::min(existing.find_first_of(": ", start), existing.size());
    const std::string item = existing.substr(start, end - start);
    if (!item.empty() && item != library) {
      result += ":" + item;
    }
    start = end + 1;
  }
  return result;
}

}  // namespace selfheal::cli
