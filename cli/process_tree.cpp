#include "cli/process_tree.h"

#include <algorithm>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/image/elf_file.h"

namespace selfheal::cli {
namespace {

bool parse_id(std::string_view name, pid_t& id) {
  id = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') {
      return false;
    }
    id = id * 10 + (c - '0');
  }
  return !name.empty();
}

std::vector<pid_t> numbered_entries(const std::string& folder) {
  std::vector<pid_t> ids;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (pid_t id = 0; parse_id(entry->path().filename().native(), id)) {
      ids.push_back(id);
    }
  }
  return ids;
}

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The fields of a stat file behind the name, which may hold blanks and parentheses: [0] is the
// state, [1] the parent, [11] and [12] utime and stime.
std::vector<std::string> stat_fields(const std::string& path) {
  const std::string text = read_text(path);
  const size_t end = text.rfind(')');
  std::vector<std::string> fields;
  if (end != std::string::npos) {
    std::istringstream words(text.substr(end + 1));
    for (std::string word; words >> word;) {
      fields.push_back(word);
    }
  }
  return fields;
}

u64 field_value(const std::vector<std::string>& fields, size_t index) {
  return index < fields.size() ? std::strtoull(fields[index].c_str(), nullptr, 10) : 0;
}

// "Pss:      123 kB" in bytes; 0 when there is no such line.
u64 line_value(const std::string& path, std::string_view label, int base = 10, u64 unit = 1) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(label)) {
      return std::strtoull(line.c_str() + label.size(), nullptr, base) * unit;
    }
  }
  return 0;
}

}  // namespace

std::vector<pid_t> program_processes(pid_t program, const std::vector<pid_t>& strangers) {
  std::multimap<pid_t, pid_t> children;
  for (const pid_t pid : numbered_entries("/proc")) {
    const std::vector<std::string> fields = stat_fields(fmt::format("/proc/{}/stat", pid));
    if (fields.size() > 1 && fields[0] != "Z") {
      children.emplace(static_cast<pid_t>(field_value(fields, 1)), pid);
    }
  }
  std::vector<pid_t> tree = {getpid()};
  for (size_t i = 0; i < tree.size(); ++i) {
    const auto [begin, end] = children.equal_range(tree[i]);
    for (auto child = begin; child != end; ++child) {
      if (std::find(strangers.begin(), strangers.end(), child->second) == strangers.end() &&
          std::find(tree.begin(), tree.end(), child->second) == tree.end()) {
        tree.push_back(child->second);
      }
    }
  }
  tree.erase(tree.begin());
  std::stable_partition(tree.begin(), tree.end(), [&](pid_t pid) { return pid == program; });
  return tree;
}

std::vector<ThreadState> threads_of(pid_t pid) {
  const auto tick = std::chrono::milliseconds(1000) / sysconf(_SC_CLK_TCK);
  std::vector<ThreadState> threads;
  const std::string folder = fmt::format("/proc/{}/task", pid);
  for (const pid_t tid : numbered_entries(folder)) {
    const std::vector<std::string> fields = stat_fields(fmt::format("{}/{}/stat", folder, tid));
    if (fields.size() < 13) {
      continue;
    }
    ThreadState thread;
    thread.tid = tid;
    thread.state = fields[0][0];
    thread.used = tick * static_cast<long>(field_value(fields, 11) + field_value(fields, 12));
    // "running", or the call's number and arguments; needs the right to trace the process.
    const std::string call = read_text(fmt::format("{}/{}/syscall", folder, tid));
    if (!call.empty() && call[0] >= '0' && call[0] <= '9') {
      thread.waits_in = std::atoi(call.c_str());
    }
    threads.push_back(thread);
  }
  return threads;
}

u64 resident_bytes(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  u64 size = 0;
  u64 resident = 0;
  file >> size >> resident;
  return resident * static_cast<u64>(sysconf(_SC_PAGESIZE));
}

u64 proportional_bytes(pid_t pid) {
  const std::string path = fmt::format("/proc/{}/smaps_rollup", pid);
  const u64 bytes = line_value(path, "Pss:", 10, 1024);
  return bytes != 0 ? bytes : resident_bytes(pid);
}

bool has_library(pid_t pid, const std::string& library, int signal) {
  const u64 caught = line_value(fmt::format("/proc/{}/status", pid), "SigCgt:", 16);
  if ((caught >> (signal - 1) & 1) == 0) {
    return false;
  }
  image::ElfFile program;
  image::inspect_file(fmt::format("/proc/{}/exe", pid).c_str(), program);
  if (program.go_program) {
    return false;
  }
  // By inode, as the path may be seen differently from there (chroot, a container), or by name, as
  // the inode may be (overlayfs).
  struct stat status {};
  if (stat(library.c_str(), &status) != 0) {
    return false;
  }
  const std::string name = library.substr(library.rfind('/') + 1);
  std::ifstream maps(fmt::format("/proc/{}/maps", pid));
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string range, rights, offset, device, path;
    u64 inode = 0;
    if (words >> range >> rights >> offset >> device >> inode >> path &&
        (inode == status.st_ino || path.ends_with("/" + name))) {
      return true;
    }
  }
  return false;
}

}  // namespace selfheal::cli
