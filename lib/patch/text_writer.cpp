#include "lib/patch/text_writer.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>

#include "lib/base/raw_syscall.h"

namespace selfheal::patch {
namespace {

bool write_at(u64 fd, u64 offset, const u8* bytes, u64 size) {
  for (u64 done = 0; done < size;) {
    const long n =
        raw_syscall(SYS_pwrite64, fd, address_of(bytes) + done, size - done, offset + done);
    if (n <= 0) {
      return false;
    }
    done += static_cast<u64>(n);
  }
  return true;
}

// A copy of the pages at `start`, with the patch in it, mapped r-x somewhere. 0: not possible.
u64 map_patched_copy(u64 start, u64 length, u64 address, const u8* bytes, u64 size) {
  const long opened = raw_syscall(SYS_memfd_create, address_of("selfheal-text"), MFD_CLOEXEC);
  if (syscall_failed(opened)) {
    return 0;
  }
  const u64 fd = static_cast<u64>(opened);
  long copy = -1;
  if (write_at(fd, 0, pointer_to<const u8>(start), length) &&
      write_at(fd, address - start, bytes, size)) {
    // Private: nobody who finds the file can change what we execute. Populated: no page fault, that
    // could fail, is left for whoever runs it first.
    copy = raw_syscall(SYS_mmap, 0, length, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_POPULATE, fd);
  }
  raw_syscall(SYS_close, fd);
  return syscall_failed(copy) ? 0 : static_cast<u64>(copy);
}

}  // namespace

bool text_is(u64 address, const u8* bytes, u64 size) {
  const volatile u8* text = pointer_to<const volatile u8>(address);
  for (u64 i = 0; i < size; ++i) {
    if (text[i] != bytes[i]) {
      return false;
    }
  }
  return true;
}

bool write_through_proc_mem(u64 address, const u8* bytes, u64 size) {
  const long fd = raw_syscall(SYS_openat, static_cast<u64>(AT_FDCWD), address_of("/proc/self/mem"),
                              O_RDWR | O_CLOEXEC);
  if (syscall_failed(fd)) {
    return false;
  }
  const bool written = write_at(static_cast<u64>(fd), address, bytes, size);
  raw_syscall(SYS_close, static_cast<u64>(fd));
  // In a chroot /proc/self/mem may be any file.
  return written && text_is(address, bytes, size);
}

bool write_through_memfd(u64 address, const u8* bytes, u64 size) {
  const u64 start = page_down(address);
  const u64 length = page_up(address + size) - start;
  const u64 copy = map_patched_copy(start, length, address, bytes, size);
  if (copy == 0) {
    return false;
  }
  const long moved =
      raw_syscall(SYS_mremap, copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, start);
  if (syscall_failed(moved)) {
    raw_syscall(SYS_munmap, copy, length);
    return false;
  }
  return true;
}

Writer write_text(u64 address, const u8* bytes, u64 size) {
  if (write_through_proc_mem(address, bytes, size)) {
    return Writer::proc_mem;
  }
  return write_through_memfd(address, bytes, size) ? Writer::memfd : Writer::none;
}

}  // namespace selfheal::patch
