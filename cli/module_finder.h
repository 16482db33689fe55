// Finds the file of a recorded module. A name alone proves nothing (updates, copies, symbolic
// links): only a file with the recorded build-id or content hash counts.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/elf_view.h"
#include "lib/base/record.h"

namespace selfheal::cli {

struct ModuleFile {
  explicit ModuleFile(std::string where) : path(std::move(where)), elf(path) {}

  std::string path;
  ElfView elf;
};

class ModuleFinder {
 public:
  // `named` are files the user gave (--binary): looked at first, whatever they are called.
  explicit ModuleFinder(std::vector<std::string> named = {}) : named_(std::move(named)) {}

  // Null when no such file is found. Looks, in this order, at the named files, the folders of PATH
  // and LD_LIBRARY_PATH and the current one, the usual library folders and their sub-folders, and
  // what running processes have mapped. The answer is kept.
  const ModuleFile* find(const RecordModule& module);

  // Functions of found modules, as lib/report wants them; "" when it has no name.
  std::string function_name(const RecordModule& module, u64 offset);

 private:
  std::string search(const RecordModule& module) const;  // its path; empty: none

  std::vector<std::string> named_;
  std::map<std::string, std::unique_ptr<ModuleFile>> found_;
};

// "4f2a9c01..." in full, "" for none.
std::string id_digits_of(const ModuleId& id);

// The module's recorded name, safe to print.
std::string name_of(const RecordModule& module);

}  // namespace selfheal::cli
