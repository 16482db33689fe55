// Runtimes that turn SIGSEGV into something of their own. Their handlers are asked first outside
// our regions, so most of them work; the sanitizers refuse to start behind another library.
#include <algorithm>
#include <fmt/core.h>
#include <string_view>

#include "cli/program_checks.h"

namespace selfheal::cli {
namespace {

bool needs(const image::ElfFile& file, std::string_view prefix) {
  return std::any_of(file.needed, file.needed + file.needed_count,
                     [&](const char* name) { return std::string_view(name).starts_with(prefix); });
}

const char* sanitizer_of(const image::ElfFile& file, const ElfView& elf) {
  struct Sanitizer {
    const char* name;
    const char* symbol;
    const char* library;
  };
  constexpr Sanitizer sanitizers[] = {
      {"AddressSanitizer", "__asan_init", "libasan."},
      {"ThreadSanitizer", "__tsan_init", "libtsan."},
      {"MemorySanitizer", "__msan_init", "libmsan."},
      {"HWAddressSanitizer", "__hwasan_init", "libhwasan."},
  };
  for (const Sanitizer& sanitizer : sanitizers) {
    if (needs(file, sanitizer.library) || elf.mentions_symbol(sanitizer.symbol)) {
      return sanitizer.name;
    }
  }
  return nullptr;
}

const char* runtime_of(const image::ElfFile& file, const ElfView& elf) {
  if (file.go_program || elf.has_section(".go.buildinfo")) {
    return "the Go runtime";
  }
  if (needs(file, "libjli.") || needs(file, "libjvm.")) {
    return "a Java virtual machine";
  }
  if (needs(file, "libnode.") || elf.mentions_symbol("node_module_register")) {
    return "Node.js";
  }
  if (needs(file, "libcoreclr.") || needs(file, "libhostfxr.") || elf.contains("libhostfxr.so")) {
    return "the .NET runtime";
  }
  return nullptr;
}

}  // namespace

Check check_signal_owner(const image::ElfFile& file, const ElfView& elf) {
  if (const char* sanitizer = sanitizer_of(file, elf); sanitizer != nullptr) {
    return {"signals", Health::failure,
            fmt::format("it is built with {}, which owns SIGSEGV and must come first among the "
                        "loaded libraries",
                        sanitizer),
            "use a build without the sanitizer"};
  }
  if (const char* runtime = runtime_of(file, elf); runtime != nullptr) {
    return {"signals", Health::warning,
            fmt::format("it contains {}, which handles SIGSEGV itself and is asked first", runtime),
            "expect healing in its C and C++ parts only"};
  }
  if (elf.mentions_symbol("sigaction") || elf.mentions_symbol("signal")) {
    return {"signals", Health::fine, "it sets signal handlers; they go on working", ""};
  }
  return {"signals", Health::fine, "it sets no signal handlers", ""};
}

}  // namespace selfheal::cli
