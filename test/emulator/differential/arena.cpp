#include "test/emulator/differential/arena.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

extern "C" void differential_native_done();

namespace selfheal::differential {
namespace {

constexpr u64 writable[] = {1, 2, 4};
constexpr u64 read_only = 3;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::_Exit(3);
}

u64 map(u64 at, u64 size, int protection, int fd) {
  const int where = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* got = mmap(pointer_to<void>(at), size, protection,
                   where | MAP_NORESERVE | (at != 0 ? MAP_FIXED_NOREPLACE : 0), fd, 0);
  if (got == MAP_FAILED || (at != 0 && address_of(got) != at)) {
    give_up("mmap");
  }
  return address_of(got);
}

int memory_file(u64 size) {
  const int fd = memfd_create("differential", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) {
    give_up("memfd_create");
  }
  return fd;
}

void protect_data(u64 base) {
  const auto page = [base](u64 i) { return pointer_to<void>(base + i * page_size); };
  mprotect(page(0), page_size, PROT_NONE);
  std::memset(page(read_only), 0x5a, page_size);
  mprotect(page(read_only), page_size, PROT_READ);
  mprotect(page(5), page_size, PROT_NONE);
}

constexpr u8 breakpoint = 0xcc;

// Jumps rel32 at `at` to `target`.
void put_jump(u8* to, u64 at, u64 target) {
  to[0] = 0xe9;
  const u32 relative = static_cast<u32>(target - (at + 5));
  std::memcpy(to + 1, &relative, 4);
}

}  // namespace

Arena::Arena() {
  const int data = memory_file(data_pages * page_size);
  for (const u64 base : {data_base, low_data_base}) {
    map(base, data_pages * page_size, PROT_READ | PROT_WRITE, data);
    protect_data(base);
  }
  const int code = memory_file(code_size);
  map(code_base, code_size, PROT_READ | PROT_EXEC, code);
  writable_code_ = map(0, code_size, PROT_READ | PROT_WRITE, code);
  // The way out, for the processor: jmp *0(%rip)
  map(exit_address, page_size, PROT_READ | PROT_WRITE, -1);
  const u8 jump[6] = {0xff, 0x25, 0, 0, 0, 0};
  const u64 target = reinterpret_cast<u64>(&differential_native_done);
  std::memcpy(pointer_to<void>(exit_address), jump, sizeof jump);
  std::memcpy(pointer_to<void>(exit_address + sizeof jump), &target, sizeof target);
  mprotect(pointer_to<void>(exit_address), page_size, PROT_READ | PROT_EXEC);
}

u64 Arena::place(u64 number) {
  // Odd, so that snippets come to lie at every place in a cache line, and across pages' ends.
  constexpr u64 pitch = 181;
  return code_base + number % (code_size / pitch - 1) * pitch;
}

void Arena::put(u64 place, std::span<const u8> code) {
  constexpr u64 gap = 24;  // of breakpoints, for what the processor takes for longer than we do
  u8* to = pointer_to<u8>(place - code_base + writable_code_);
  std::memcpy(to, code.data(), code.size());
  put_jump(to + code.size(), place + code.size(), exit_address);
  std::memset(to + code.size() + jump_size, breakpoint, gap);
}

void Arena::load(const Image& image) {
  for (u64 i = 0; i < std::size(writable); ++i) {
    std::memcpy(pointer_to<void>(data_base + writable[i] * page_size), &image[i * page_size],
                page_size);
  }
}

void Arena::store(Image& image) {
  for (u64 i = 0; i < std::size(writable); ++i) {
    std::memcpy(&image[i * page_size], pointer_to<void>(data_base + writable[i] * page_size),
                page_size);
  }
}

bool Arena::equals(const Image& image) {
  for (u64 i = 0; i < std::size(writable); ++i) {
    if (std::memcmp(&image[i * page_size], pointer_to<void>(data_base + writable[i] * page_size),
                    page_size) != 0) {
      return false;
    }
  }
  return true;
}

u64 Arena::address_of_byte(u64 i) {
  return data_base + writable[i / page_size] * page_size + i % page_size;
}

}  // namespace selfheal::differential
