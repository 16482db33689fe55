#include "lib/runtime/statistics_line.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/base/raw_syscall.h"
#include "lib/base/text.h"
#include "lib/image/module.h"
#include "lib/image/symbols.h"
#include "lib/runtime/counts.h"
#include "lib/runtime/runtime.h"
#include "probes/hooks.h"
#include "probes/sandbox.h"

namespace selfheal::runtime {
namespace {

constinit std::atomic<bool> written{false};

// A JSON string. Names of files may hold anything.
Text& quote(Text& out, const char* text) {
  constexpr unsigned longest = 160;
  out << '"';
  for (unsigned i = 0; text[i] != '\0' && i < longest; ++i) {
    const char c = text[i];
    out << (c < ' ' || c > '~' || c == '"' || c == '\\' ? '?' : c);
  }
  return out << '"';
}

// "libc.so.6+0x2a3b", with the name behind it where a function begins that has one; the bare
// address where no module is (any more).
void quote_place(Text& out, u64 address) {
  char buffer[160];
  Text place(buffer, sizeof buffer);
  image::Module module;
  image::Symbol symbol{};
  if (!image::locate_module(address, module)) {
    (place << "0x").hex(address);
  } else {
    place << (module.name[0] == '\0' ? program_invocation_short_name : image::base_name(module));
    (place << "+0x").hex(module.offset_of(address));
    if (image::symbol_at(module, address, symbol) && symbol.address == address) {
      place << ' ' << symbol.name;
    }
  }
  quote(out, place.c_str());
}

void describe(Text& line) {
  const Counts sum = counts();
  (line << "{\"pid\":").decimal(static_cast<u64>(getpid())) << ",\"program\":";
  (quote(line, program_invocation_short_name) << ",\"region_calls\":").decimal(sum.calls);
  (line << ",\"instructions\":").decimal(sum.instructions);
  (line << ",\"went_native\":").decimal(sum.went_native) << ",\"reasons\":[";
  const char* separator = "";
  for (const NativeReason& reason : native_reasons) {
    const char* text = reason.text.load();
    if (text == nullptr) {
      break;
    }
    quote(line << separator << "{\"reason\":", text);
    (line << ",\"count\":").decimal(reason.count.load()) << ",\"at\":";
    quote_place(line, reason.first.load());
    line << '}';
    separator = ",";
  }
  line << "]}\n";
}

}  // namespace

void write_statistics() {
  const char* path = runtime.options.statistics;
  if (!runtime.active || path[0] == '\0' || probes::in_vfork_child() || !probes::no_filter_seen() ||
      written.exchange(true)) {
    return;
  }
  char buffer[8192];
  Text line(buffer, sizeof buffer);
  describe(line);
  const long fd = raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of(path),
                              O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
  if (!syscall_failed(fd)) {
    raw_syscall(SYS_write, static_cast<u64>(fd), address_of(line.c_str()), line.size());
    raw_syscall(SYS_close, static_cast<u64>(fd));
  }
}

}  // namespace selfheal::runtime
