// Keeping what a system call is about to overwrite.
//
// The kernel answers a bad pointer with EFAULT, never with a signal, and a program may name more
// memory than it has when it knows that less will come. So reading the old bytes is guarded, and
// stops at the first page that cannot be read: the kernel cannot write there either.
#include <sys/socket.h>
#include <sys/uio.h>

#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

struct Keeper {
  Thread& thread;
  const Call& call;
  const Buffer* buffers;
  unsigned count;
  bool full;
};

struct Saving {
  UndoLog& log;
  u64 address;
  u64 size;
  bool kept;
};

void save(void* argument) {
  auto& saving = *static_cast<Saving*>(argument);
  saving.kept = saving.log.save(saving.address, saving.size);
}

void keep_range(Keeper& keeper, u64 address, u64 size) {
  if (address == 0 || size == 0 || keeper.full) {
    return;
  }
  Saving saving{keeper.thread.log, address, size, false};
  // Too large for the log: perhaps the memory behind it is not, so go by pages then as well.
  if (guarded_call(keeper.thread, save, &saving) && saving.kept) {
    return;
  }
  const u64 end = size > ~address ? ~u64{0} : address + size;
  for (u64 at = address; at < end;) {
    const u64 next = page_down(at) + page_size;
    Saving page{keeper.thread.log, at, (next < end ? next : end) - at, false};
    if (!guarded_call(keeper.thread, save, &page)) {
      return;
    }
    if (!page.kept) {
      keeper.full = true;
      return;
    }
    at = next;
  }
}

// The functions below read the guest's own structures: one fault ends them all, as EFAULT will.

void keep_io_vector(Keeper& keeper, u64 vector, u64 count) {
  constexpr u64 most = 1024;  // UIO_MAXIOV: above, the kernel says EINVAL
  const auto* parts = pointer_to<const iovec>(vector);
  for (u64 i = 0; vector != 0 && i < count && i < most; ++i) {
    keep_range(keeper, address_of(parts[i].iov_base), parts[i].iov_len);
  }
}

void keep_message(Keeper& keeper, u64 address) {
  const auto& header = *pointer_to<const msghdr>(address);
  keep_range(keeper, address, sizeof header);
  keep_range(keeper, address_of(header.msg_name), header.msg_namelen);
  keep_range(keeper, address_of(header.msg_control), header.msg_controllen);
  keep_io_vector(keeper, address_of(header.msg_iov), header.msg_iovlen);
}

void keep_messages(Keeper& keeper, u64 address, u64 count) {
  constexpr u64 most = 1024;
  const auto* headers = pointer_to<const mmsghdr>(address);
  for (u64 i = 0; i < count && i < most; ++i) {
    keep_range(keeper, address_of(&headers[i].msg_len), sizeof headers[i].msg_len);
    keep_message(keeper, address_of(&headers[i].msg_hdr));
  }
}

void keep_buffer(Keeper& keeper, const Buffer& buffer) {
  const u64 address = keeper.call.argument(buffer.argument);
  const u64 other = keeper.call.argument(buffer.other);
  if (address == 0 && buffer.extent != Extent::value_result) {
    return;
  }
  switch (buffer.extent) {
    case Extent::none:
      return;
    case Extent::fixed:
      return keep_range(keeper, address, buffer.value);
    case Extent::sized:
      return keep_range(keeper, address, other);
    case Extent::counted:
      return keep_range(keeper, address, u64{static_cast<u32>(other)} * buffer.value);
    case Extent::value_result:
      if (other != 0) {
        keep_range(keeper, address, *pointer_to<const u32>(other));
        keep_range(keeper, other, sizeof(u32));
      }
      return;
    case Extent::io_vector:
      return keep_io_vector(keeper, address, other);
    case Extent::message:
      return keep_message(keeper, address);
    case Extent::messages:
      return keep_messages(keeper, address, static_cast<u32>(other));
    case Extent::bits:
      return keep_range(keeper, address, (u64{static_cast<u32>(other)} + 63) / 64 * 8);
    case Extent::pages:
      return keep_range(keeper, address, page_up(other) / page_size);
  }
}

void keep_all(void* argument) {
  auto& keeper = *static_cast<Keeper*>(argument);
  while (keeper.count != 0) {
    const Buffer& buffer = *keeper.buffers++;
    --keeper.count;
    keep_buffer(keeper, buffer);
  }
}

}  // namespace

bool Call::keep(const Buffer* buffers, unsigned count) {
  Keeper keeper{thread_, *this, buffers, count, false};
  while (!guarded_call(thread_, keep_all, &keeper)) {
    // A structure that cannot be read; the buffers after it still can.
  }
  return !keeper.full;
}

}  // namespace selfheal::emulator
