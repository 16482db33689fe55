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

struct LanguageRuntime {
  const char* name;
  const char* library;  // needed by its programs
  const char* symbol;   // in programs that have it inside
  const char* text;     // or at least this
};

// Each of them turns SIGSEGV into an exception of its own language, or a guard page into one.
constexpr LanguageRuntime runtimes[] = {
    {"a Java virtual machine", "libjli.", "JNI_CreateJavaVM", nullptr},
    {"a Java virtual machine", "libjvm.", nullptr, nullptr},
    {"Node.js", "libnode.", "node_module_register", nullptr},
    {"the .NET runtime", "libcoreclr.", nullptr, "libhostfxr.so"},
    {"the .NET runtime", "libhostfxr.", nullptr, nullptr},
    {"Mono", "libmono", "mono_jit_init", nullptr},
    {"Ruby", "libruby", "ruby_init_stack", nullptr},
    {"libsigsegv", "libsigsegv.", "stackoverflow_install_handler", nullptr},
};

const char* runtime_of(const image::ElfFile& file, const ElfView& elf) {
  for (const LanguageRuntime& runtime : runtimes) {
    if (needs(file, runtime.library) ||
        (runtime.symbol != nullptr && elf.mentions_symbol(runtime.symbol)) ||
        (runtime.text != nullptr && elf.contains(runtime.text))) {
      return runtime.name;
    }
  }
  return nullptr;
}

bool has_python(const image::ElfFile& file, const ElfView& elf) {
  return needs(file, "libpython") || elf.mentions_symbol("Py_BytesMain");
}

}  // namespace

Check check_signal_owner(const image::ElfFile& file, const ElfView& elf) {
  if (const char* sanitizer = sanitizer_of(file, elf); sanitizer != nullptr) {
    return {"signals", Health::failure,
            fmt::format("it is built with {}, which owns SIGSEGV and must come first among the "
                        "loaded libraries",
                        sanitizer),
            "use a build without the sanitizer; to find a fault, the sanitizer alone does better"};
  }
  if (file.go_program || elf.has_section(".go.buildinfo")) {
    return {
        "signals", Health::failure,
        "it is a Go program, whose runtime needs the signal stacks for itself: the library does "
        "nothing in it",
        "nothing: Go turns such faults into panics, which the program can recover from"};
  }
  if (const char* runtime = runtime_of(file, elf); runtime != nullptr) {
    return {"signals", Health::warning,
            fmt::format("it contains {}, which handles SIGSEGV itself and is asked first", runtime),
            "expect healing in its C and C++ parts only"};
  }
  if (has_python(file, elf)) {
    return {"signals", Health::fine,
            "it contains Python: where its faulthandler is enabled it is asked first, and what it "
            "reports is recorded as well",
            ""};
  }
  if (elf.mentions_symbol("sigaction") || elf.mentions_symbol("signal")) {
    return {"signals", Health::fine, "it sets signal handlers; they go on working", ""};
  }
  return {"signals", Health::fine, "it sets no signal handlers", ""};
}

}  // namespace selfheal::cli
