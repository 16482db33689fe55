// Mappings: made ones are unmapped at rollback, unmapping is held back until commit.
#include <sys/ipc.h>
#include <sys/mman.h>

#include "emulator/models_internal.h"
#include "emulator/syscalls_internal.h"

namespace selfheal::emulator {

namespace {

// Was this mapping made, starting there, by the region itself? A rollback will unmap it anyway.
bool made_here(UndoLog& log, u64 address, u64 size) {
  u64 mapped = 0;
  return log.find(Action::unmap, address, &mapped) && size <= mapped;
}

}  // namespace

EffectResult handle_mmap(Call& call) {
  const u64 flags = call.argument(3);
  if ((flags & MAP_FIXED) != 0 && (flags & MAP_FIXED_NOREPLACE) == 0) {
    return EffectResult::unsupported;  // what it replaces could not be brought back
  }
  call.perform();
  if (!call.failed()) {
    static_cast<void>(call.log().action(Action::unmap, static_cast<u64>(call.result()),
                                        page_up(call.argument(1))));
  }
  return call.done();
}

EffectResult handle_munmap(Call& call) {
  const u64 address = call.argument(0);
  const u64 size = call.argument(1);
  if (address % page_size != 0 || size == 0 || size > u64{1} << 47) {
    call.perform();  // the kernel's refusal is the answer
    return call.irrevocable();
  }
  if (call.log().held_bytes() + size > max_held_bytes ||
      !call.log().defer(Deferred::unmap, address, page_up(size))) {
    return EffectResult::log_full;
  }
  return call.pretend(0);
}

// The old protection is not known without reading /proc. What the region has written must stay
// writable for the rollback; beyond that the change is not taken back.
EffectResult handle_mprotect(Call& call) {
  const u64 address = call.argument(0);
  const u64 size = page_up(call.argument(1));
  call.perform();
  if (call.failed()) {
    return call.done();
  }
  if ((call.argument(2) & PROT_WRITE) == 0) {
    static_cast<void>(call.log().action(Action::make_writable, address, size));
  }
  return made_here(call.log(), address, size) ? call.done() : call.irrevocable();
}

EffectResult handle_madvise(Call& call) {
  switch (static_cast<u32>(call.argument(2))) {
    case MADV_DONTNEED:
    case MADV_FREE:
    case MADV_DONTNEED_LOCKED: {
      // Throws contents away: kept where they are few, lost (and counted) otherwise.
      constexpr u64 worth_keeping = u64{1} << 20;
      const Buffer contents{Extent::sized, 0, 1, 0};
      const bool kept = call.argument(1) <= worth_keeping && call.keep(&contents, 1);
      call.perform();
      return kept ? call.done() : call.irrevocable();
    }
    case MADV_REMOVE:
    case MADV_HWPOISON:
    case MADV_WIPEONFORK:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_KEEPONFORK:
      call.perform();
      return call.irrevocable();
    default:
      call.perform();  // a hint
      return call.done();
  }
}

EffectResult handle_brk(Call& call) {
  const u64 wanted = call.argument(0);
  // The guest made this very call, so we may as well.
  const u64 before = wanted == 0 ? 0 : static_cast<u64>(raw_syscall(SYS_brk, 0));
  call.perform();
  if (wanted < before) {
    return call.irrevocable();
  }
  if (static_cast<u64>(call.result()) != before && wanted != 0) {
    static_cast<void>(
        call.log().action(Action::restore_break, before, static_cast<u64>(call.result())));
  }
  return call.done();
}

EffectResult handle_shmat(Call& call) {
  constexpr u64 remap = 040000;  // SHM_REMAP replaces what is there
  if ((call.argument(2) & remap) != 0) {
    return EffectResult::unsupported;
  }
  call.perform();
  if (!call.failed()) {
    static_cast<void>(call.log().action(Action::detach_shared, static_cast<u64>(call.result())));
  }
  return call.done();
}

// shmctl(id, command, buffer), msgctl(id, command, buffer), semctl(id, number, command, buffer)
EffectResult handle_sysv_control(Call& call) {
  constexpr u64 ipc_64 = 0x100;
  constexpr u64 statistics[] = {IPC_STAT,
                                3 /* IPC_INFO */,
                                11 /* MSG_STAT */,
                                12 /* MSG_INFO */,
                                13 /* SHM_STAT, MSG_STAT_ANY */,
                                14 /* SHM_INFO */,
                                15 /* SHM_STAT_ANY */,
                                18 /* SEM_STAT */,
                                19 /* SEM_INFO */,
                                20 /* SEM_STAT_ANY */};
  constexpr u64 getall = 13;
  constexpr u16 largest = 120;  // struct msqid64_ds
  const bool semaphores = call.row().number == SYS_semctl;
  const u64 command = call.argument(semaphores ? 2 : 1) & ~ipc_64;
  if (semaphores && command == getall) {
    return EffectResult::unsupported;  // as long as the set, which only the kernel knows
  }
  for (const u64 one : statistics) {
    if (command == one) {
      if (!call.keep_fixed(semaphores ? 3 : 2, largest)) {
        return EffectResult::log_full;
      }
      call.perform();
      return call.done();
    }
  }
  call.perform();
  return call.irrevocable();
}

}  // namespace selfheal::emulator
