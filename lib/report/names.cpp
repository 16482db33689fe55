// Numbers a record holds, as the names people know them by.
#include <csignal>
#include <iterator>

#include "lib/report/report.h"

namespace selfheal::report {
namespace {

struct SyscallName {
  u32 number;
  char name[28];  // in place and not by pointer: the table needs no relocation
};

// Sorted by number; made from <sys/syscall.h> at build time (generate_syscall_names.cmake).
constexpr SyscallName syscall_names[] = {
#include "syscall_names.inc"
};

}  // namespace

const char* syscall_name(u32 number) {
  u64 low = 0;
  u64 high = std::size(syscall_names);
  while (low < high) {
    const u64 middle = (low + high) / 2;
    if (syscall_names[middle].number == number) {
      return syscall_names[middle].name;
    }
    if (syscall_names[middle].number < number) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

const char* signal_name(u8 signal) {
  switch (signal) {
    case SIGSEGV:
      return "SIGSEGV";
    case SIGBUS:
      return "SIGBUS";
    case SIGFPE:
      return "SIGFPE";
    case SIGILL:
      return "SIGILL";
    case SIGTRAP:
      return "SIGTRAP";
    case SIGABRT:
      return "SIGABRT";
    default:
      return "signal";
  }
}

}  // namespace selfheal::report
