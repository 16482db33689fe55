#include "cli/launch.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fmt/core.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace selfheal::cli {
namespace {

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// For another processor, or damaged: no script in any case. Keeps errno.
bool is_elf(const std::string& path) {
  const int kept = errno;
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  errno = kept;
  return std::memcmp(magic,
                     "\x7f"
                     "ELF",
                     sizeof magic) == 0;
}

std::vector<char*> pointers_to(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const std::string& text : strings) {
    result.push_back(const_cast<char*>(text.c_str()));
  }
  result.push_back(nullptr);
  return result;
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  if (name.empty()) {
    return fail("the program's name is empty; write it after `--`", exit_not_found);
  }
  if (name.find('/') != std::string::npos) {
    if (is_directory(name)) {
      return tl::unexpected(launch_failure(name, EISDIR));
    }
    if (access(name.c_str(), X_OK) != 0) {
      return tl::unexpected(launch_failure(name, errno));
    }
    return name;
  }
  const char* variable = std::getenv("PATH");
  const std::string path = variable != nullptr ? variable : "/bin:/usr/bin";
  std::string refused;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find(':', start), path.size());
    const std::string folder = path.substr(start, end - start);
    const std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    if (!is_directory(candidate)) {
      if (access(candidate.c_str(), X_OK) == 0) {
        return candidate;
      }
      if (errno == EACCES && refused.empty()) {
        refused = candidate;
      }
    }
    start = end + 1;
  }
  if (!refused.empty()) {
    return tl::unexpected(launch_failure(refused, EACCES));
  }
  return fail(fmt::format("'{}' is not in any folder of PATH; give its full path", name),
              exit_not_found);
}

int execute(const Launch& launch) {
  const std::vector<char*> environment = pointers_to(launch.environment);
  execve(launch.path.c_str(), pointers_to(launch.arguments).data(), environment.data());
  if (errno != ENOEXEC || is_elf(launch.path)) {
    return errno;
  }
  // A script without "#!" is the shell's, as for execvp and env.
  std::vector<std::string> script = {"/bin/sh", launch.path};
  script.insert(script.end(), launch.arguments.begin() + 1, launch.arguments.end());
  execve(script[0].c_str(), pointers_to(script).data(), environment.data());
  return errno;
}

Failure launch_failure(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      if (access(path.c_str(), F_OK) == 0) {
        return {fmt::format("cannot execute '{}': the interpreter it names does not exist "
                            "(`selfheal doctor` says which)",
                            path),
                exit_not_found};
      }
      return {fmt::format("'{}' does not exist; check the path", path), exit_not_found};
    case EISDIR:
      return {fmt::format("'{}' is a directory; name a program in it", path), exit_cannot_execute};
    case EACCES:
      return {fmt::format("'{}' may not be executed; check its permissions (chmod +x)", path),
              exit_cannot_execute};
    default:
      return {fmt::format("cannot execute '{}': {} (`selfheal doctor` may say why)", path,
                          std::strerror(error)),
              exit_cannot_execute};
  }
}

std::vector<std::string> current_environment() {
  std::vector<std::string> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    result.emplace_back(*entry);
  }
  return result;
}

std::string* find_variable(std::vector<std::string>& environment, const std::string& name) {
  const std::string prefix = name + "=";
  const auto found = std::find_if(environment.begin(), environment.end(),
                                  [&](const std::string& e) { return e.starts_with(prefix); });
  return found == environment.end() ? nullptr : &*found;
}

void set_variable(std::vector<std::string>& environment, const std::string& name,
                  const std::string& value) {
  unset_variable(environment, name);
  environment.push_back(name + "=" + value);
}

void unset_variable(std::vector<std::string>& environment, const std::string& name) {
  const std::string prefix = name + "=";
  std::erase_if(environment, [&](const std::string& e) { return e.starts_with(prefix); });
}

}  // namespace selfheal::cli
