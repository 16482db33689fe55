#include "lib/runtime/named_regions.h"

#include "lib/base/raw_syscall.h"
#include "lib/base/text.h"
#include "lib/image/program_main.h"
#include "lib/image/symbols.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

constexpr int at_cwd = -100;  // AT_FDCWD

// The link map does not name the program itself.
bool is_program(const image::Module& module) {
  return module.name[0] == '\0';
}

constinit u64 complained = 0;

void say_of(unsigned index, const char* what) {
  const options::RegionOption& option = runtime.options.region.items[index];
  char buffer[384];
  Text line(buffer, sizeof buffer);
  line << option.module;
  if (option.function[0] != '\0') {
    line << '!' << option.function;
  } else {
    line << "+0x";
    line.hex(option.offset);
  }
  line << ": " << what;
  say("region ", line.c_str());
}

}  // namespace

std::string_view file_name(const image::Module& module, char* buffer, u64 capacity) {
  std::string_view path = module.name;
  if (is_program(module)) {
    const long size = raw_syscall(SYS_readlinkat, static_cast<u64>(at_cwd),
                                  address_of("/proc/self/exe"), address_of(buffer), capacity);
    path = syscall_failed(size) ? "" : std::string_view(buffer, static_cast<u64>(size));
  }
  const u64 slash = path.rfind('/');
  path.remove_prefix(slash == std::string_view::npos ? 0 : slash + 1);  // substr may throw
  return path;
}

NamedRegion find_named(const image::Module& module, const options::RegionOption& option,
                       NamedPlace& place) {
  char buffer[512];
  if (file_name(module, buffer, sizeof buffer) != option.module) {
    return NamedRegion::elsewhere;
  }
  if (option.function[0] == '\0') {
    place = {option.offset, 0};
    return NamedRegion::found;
  }
  image::Symbol symbol{};
  if (image::find_symbol(module, option.function, symbol)) {
    place = {module.offset_of(symbol.address), symbol.size};
    return NamedRegion::found;
  }
  const char* path = is_program(module) ? "/proc/self/exe" : module.name;
  place.symbol_size = 0;
  place.offset = image::find_symbol_in_file(path, option.function, &place.symbol_size);
  if (place.offset == 0 && is_program(module) && std::string_view(option.function) == "main") {
    const u64 main = image::find_main(module);  // the symbols were stripped
    place.offset = main != 0 ? module.offset_of(main) : 0;
  }
  return place.offset != 0 ? NamedRegion::found : NamedRegion::unknown;
}

void complain_once(unsigned index, const char* problem) {
  if ((complained >> index & 1) != 0) {
    return;
  }
  complained |= 1ULL << index;
  say_of(index, problem);
}

void tell(u64 found) {
  static bool told = false;
  if (!runtime.options.verbose || told) {
    return;
  }
  told = true;
  for (unsigned i = 0; i < runtime.options.region.count; ++i) {
    if ((found >> i & 1) != 0) {
      say_of(i, "is run by the engine");
    } else if ((complained >> i & 1) == 0) {
      say_of(i, "no module of that name is loaded yet");
    }
  }
}

}  // namespace selfheal::runtime
