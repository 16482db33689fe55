#include "cli/oom_kills.h"

#include <fmt/core.h>
#include <fstream>
#include <sstream>
#include <unistd.h>
#include <vector>

namespace selfheal::cli {
namespace {

// The value behind a name in a file of "name value" lines; false: no such file or line.
bool find_count(const std::string& path, const std::string& name, u64& count) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (words >> word >> count && word == name) {
      return true;
    }
  }
  return false;
}

// Lines are "0::/path" (v2) and "4:memory:/path" (v1). Without a cgroup namespace the path may be
// one of another mount, as in some containers: then the mount's root is the process's group.
std::vector<std::string> candidate_files(pid_t pid) {
  std::vector<std::string> files;
  std::ifstream groups(fmt::format("/proc/{}/cgroup", pid));
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) {
      continue;
    }
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    for (const std::string& place : {path, std::string()}) {
      if (controllers == ",,") {
        files.push_back(fmt::format("/sys/fs/cgroup{}/memory.events", place));
      } else if (controllers.find(",memory,") != std::string::npos) {
        files.push_back(fmt::format("/sys/fs/cgroup/memory{}/memory.oom_control", place));
      }
    }
  }
  return files;
}

}  // namespace

OomKills::OomKills(pid_t pid) {
  find_count("/proc/vmstat", "oom_kill", on_machine_);
  for (const std::string& file : candidate_files(pid)) {
    if (find_count(file, "oom_kill", in_group_)) {
      group_file_ = file;
      return;
    }
  }
}

OomKills::Verdict OomKills::since() const {
  u64 now = 0;
  if (!group_file_.empty() && find_count(group_file_, "oom_kill", now) && now > in_group_) {
    return Verdict::here;
  }
  return find_count("/proc/vmstat", "oom_kill", now) && now > on_machine_ ? Verdict::somewhere
                                                                          : Verdict::no;
}

}  // namespace selfheal::cli
