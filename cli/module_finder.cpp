#include "cli/module_finder.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <set>
#include <system_error>

#include "cli/terminal.h"
#include "lib/image/elf_file.h"

namespace selfheal::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* usual_folders[] = {
    "/usr/bin",     "/usr/sbin",      "/usr/local/bin", "/usr/local/sbin",
    "/bin",         "/sbin",          "/usr/lib",       "/usr/lib64",
    "/usr/libexec", "/usr/local/lib", "/opt",           "/usr/lib/x86_64-linux-gnu",
};

bool is_module(const std::string& path, const ModuleId& id) {
  image::ElfFile file;
  return image::inspect_file(path.c_str(), file) && file.id == id && ElfView(path).valid();
}

std::string absolute(const std::string& path) {
  std::error_code error;
  const std::string whole = fs::absolute(path, error).lexically_normal().string();
  return error ? path : whole;
}

void add_path_variable(const char* name, std::vector<std::string>& folders) {
  const char* value = std::getenv(name);
  const std::string list = value != nullptr ? value : "";
  for (size_t start = 0; start < list.size();) {
    const size_t end = std::min(list.find(':', start), list.size());
    folders.push_back(list.substr(start, end - start));
    start = end + 1;
  }
}

std::vector<std::string> folders() {
  std::vector<std::string> result = {"."};
  add_path_variable("PATH", result);
  add_path_variable("LD_LIBRARY_PATH", result);
  for (const char* folder : usual_folders) {
    result.emplace_back(folder);
  }
  // Servers keep their modules two levels down: /usr/lib/apache2/modules.
  for (const char* top : {"/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/local/lib", "/opt"}) {
    std::error_code error;
    for (auto it = fs::recursive_directory_iterator(
             top, fs::directory_options::skip_permission_denied, error);
         !error && it != fs::recursive_directory_iterator(); it.increment(error)) {
      if (it->is_directory(error) && !it->is_symlink(error)) {
        result.push_back(it->path().string());
        if (it.depth() >= 1) {
          it.disable_recursion_pending();
        }
      }
    }
  }
  return result;
}

// Files that running processes have mapped and whose base name is `name`, their programs included.
std::set<std::string> mapped_files(const std::string& name) {
  std::set<std::string> result;
  std::error_code error;
  for (auto it = fs::directory_iterator("/proc", error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    const std::string pid = it->path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    std::ifstream maps(it->path() / "maps");
    for (std::string line; std::getline(maps, line);) {
      const size_t path = line.find('/');
      if (path != std::string::npos && line.ends_with("/" + name)) {
        result.insert(line.substr(path));
      }
    }
  }
  return result;
}

}  // namespace

std::string id_digits_of(const ModuleId& id) {
  std::string result;
  for (unsigned i = 0; i < id.size && i < sizeof id.bytes; ++i) {
    result += fmt::format("{:02x}", id.bytes[i]);
  }
  return result;
}

std::string name_of(const RecordModule& module) {
  return printable({module.name, strnlen(module.name, sizeof module.name)});
}

const ModuleFile* ModuleFinder::find(const RecordModule& module) {
  if (module.id.kind == ModuleIdKind::none) {
    return nullptr;
  }
  const std::string key = id_digits_of(module.id);
  const auto known = found_.find(key);
  if (known != found_.end()) {
    return known->second.get();
  }
  const std::string path = search(module);
  auto& found = found_[key];
  found = path.empty() ? nullptr : std::make_unique<ModuleFile>(absolute(path));
  return found.get();
}

std::string ModuleFinder::search(const RecordModule& module) const {
  for (const std::string& path : named_) {
    if (is_module(path, module.id)) {
      return path;
    }
  }
  const std::string name = name_of(module);
  if (name.empty() || name.find('/') != std::string::npos) {
    return "";
  }
  static const std::vector<std::string> places = folders();
  for (const std::string& folder : places) {
    const std::string path = (folder.empty() ? "." : folder) + "/" + name;
    if (is_module(path, module.id)) {
      return path;
    }
  }
  for (const std::string& path : mapped_files(name)) {
    if (is_module(path, module.id)) {
      return path;
    }
  }
  return "";
}

std::string ModuleFinder::function_name(const RecordModule& module, u64 offset) {
  const ModuleFile* file = find(module);
  const auto named = file != nullptr ? file->elf.function_at(offset) : std::nullopt;
  return named ? printable(named->name) : "";
}

}  // namespace selfheal::cli
