#include "cli/function_place.h"

#include <cstring>
#include <fmt/core.h>

#include "cli/format.h"
#include "cli/launch.h"
#include "cli/module_finder.h"
#include "lib/base/function_name.h"
#include "lib/image/elf_file.h"

namespace selfheal::cli {
namespace {

RecordModule module_of_file(const std::string& path, const ModuleId& id) {
  RecordModule module{};
  module.id = id;
  const std::string name = path.substr(path.find_last_of('/') + 1);
  std::strncpy(module.name, name.c_str(), sizeof module.name - 1);
  return module;
}

Result<RecordModule> read_module(const std::string& path) {
  image::ElfFile file;
  if (!image::inspect_file(path.c_str(), file)) {
    return fail(fmt::format("{}: {}", printable(path), image::name_of(file.problem)));
  }
  if (file.id.kind == ModuleIdKind::none) {
    return fail(fmt::format("{}: nothing identifies this build of it", printable(path)));
  }
  return module_of_file(path, file.id);
}

const RecordModule* recorded(const OpenStore& opened, const std::string& name) {
  const auto is_it = [&](const RecordModule& module) {
    return module.id.kind != ModuleIdKind::none && name == module.name;
  };
  for (const store::CatalogEntry& entry : opened.store.catalog.entries()) {
    if (is_it(entry.module)) {
      return &entry.module;
    }
    for (u32 i = 0; i < entry.module_count; ++i) {
      if (is_it(entry.modules[i])) {
        return &entry.modules[i];
      }
    }
  }
  for (const store::FunctionEntry& entry : opened.store.functions.entries()) {
    if (is_it(entry.module)) {
      return &entry.module;
    }
  }
  return nullptr;
}

Result<RecordModule> find_module(const OpenStore& opened, const std::string& name) {
  if (name.find('/') != std::string::npos) {
    return read_module(name);
  }
  if (const RecordModule* known = recorded(opened, name); known != nullptr) {
    return *known;
  }
  if (const Result<std::string> program = find_program(name)) {
    return read_module(*program);
  }
  return fail(fmt::format("no module '{}' is known; name its file with a path", printable(name)));
}

}  // namespace

Result<FunctionPlace> find_place(const OpenStore& opened, const std::string& text) {
  FunctionName name;
  if (!split_function_name(text, name)) {
    const Regions regions = read_regions(opened);
    const Result<const Region*> region = find_region(regions, text);
    if (!region) {
      return tl::unexpected(region.error());
    }
    return FunctionPlace{(*region)->entry.module, (*region)->entry.entry_offset};
  }
  const std::string path(name.module);
  Result<RecordModule> module = find_module(opened, path);
  if (!module) {
    return tl::unexpected(module.error());
  }
  if (name.function.empty()) {
    const std::optional<i64> offset = number_in(std::string(name.offset));
    if (!offset) {
      return fail(fmt::format("'{}': no offset follows the '+'", printable(text)), exit_usage);
    }
    return FunctionPlace{*module, static_cast<u64>(*offset)};
  }
  ModuleFinder finder(path.find('/') != path.npos ? std::vector<std::string>{path}
                                                  : std::vector<std::string>{});
  const ModuleFile* const file = finder.find(*module);
  const std::optional<u64> start =
      file != nullptr ? file->elf.function_named(name.function) : std::nullopt;
  if (!start) {
    return fail(fmt::format("'{}': no such function; name it MODULE+0xOFFSET", printable(text)));
  }
  return FunctionPlace{*module, *start};
}

}  // namespace selfheal::cli
