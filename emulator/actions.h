// What a rollback does besides putting bytes back, and what a commit does that was held back.
//
// Shared things are not undone by value: other threads use them at the same time. A word changed by
// an atomic instruction goes back by the inverse operation, a lock by unlocking it, a resource by
// giving it back. Each inverse here may find that somebody else was faster; it then fails, is
// counted, and harms nobody.
#pragma once

#include "emulator/undo_log.h"
#include "lib/base/types.h"

namespace selfheal::emulator {

enum class Action : u32 {
  none = 0,  // cancelled

  // Atomic read-modify-writes of the guest, logged after they were done (ask UndoLog::room() before
  // doing them). They are undone by the inverse operation, atomically, because other threads may
  // have changed the same word since.
  atomic_add,         // a: address, b: what was added, c: size in bytes
  atomic_set,         // a: address, b: bits that were 0 and now are 1 (or, bts), c: size
  atomic_clear,       // a: address, b: bits that were 1 and now are 0 (and, btr), c: size
  atomic_flip,        // a: address, b: bits that changed (xor, not, btc), c: size in bytes
  atomic_exchange_8,  // a: address, b: new value, c: old value: put back if still new
  atomic_exchange_16,
  atomic_exchange_32,
  atomic_exchange_64,
  atomic_exchange_128,  // a: address, b, c: old value; the new one in the atomic_new_128 before it
  atomic_new_128,       // b, c: see log_exchange_128

  // Heap and mappings
  free_memory,    // a: pointer
  unmap,          // a: address, b: size
  make_writable,  // a: address, b: size: an mprotect may have taken what older records write to
  restore_break,  // a: the program break, b: what the region made of it
  detach_shared,  // a: address of a System V segment
  given_away,     // a: begin, b: end: older records leave that memory alone (given_away.h)

  // Descriptors and process state
  close_fd,             // a: descriptor
  restore_fd,           // a: descriptor, b: a duplicate of what it was, c: its FD_CLOEXEC
  seek_back,            // a: descriptor, b: bytes read at its file position
  seek_to,              // a: descriptor, b: its file position
  restore_flags,        // a: descriptor, b: F_SETFD or F_SETFL, c: flags
  restore_signal_mask,  // a: the mask
  restore_sigaction,    // a: signal, b, c: handler and flags; the rest in the sigaction_rest before
  sigaction_rest,       // a: restorer, b: mask
  restore_altstack,     // a: ss_sp, b: ss_flags, c: ss_size
  restore_umask,        // a: the mask
  restore_gs_base,      // a: the base
  drop_output,          // a: bytes that were held before (held_output.h)

  // Locks, by the functions of the application's own libpthread
  unlock_mutex,   // a: the lock, taken inside the region; b: EOWNERDEAD, if that was the answer
  relock_mutex,   // a: the lock, released inside the region
  unlock_rwlock,  // b: 1 taken for reading, 2 for writing
  relock_rwlock,  // b: 1 for reading, 2 for writing
  unlock_spin,
  relock_spin,
  post_semaphore,  // a semaphore that was waited for
  take_semaphore,  // a semaphore that was posted
  abort_guard,     // of a static local whose initialization the region began
};

enum class Deferred : u32 {
  none = 0,
  free_memory,  // a: pointer, b: its size
  close_fd,     // a: descriptor (a duplicate that keeps what the guest closed), b: the guest's
  close_file,   // the same for a regular file or a directory: nobody waits for its being closed
  unmap,        // a: address, b: size
};

// Something another thread or process may be waiting for (a pipe's end)?
constexpr bool observable(Deferred effect) {
  return effect == Deferred::close_fd;
}

// Does it release as many bytes as its second operand says?
constexpr bool holds_memory(Deferred effect) {
  return effect == Deferred::free_memory || effect == Deferred::unmap;
}

constexpr bool is_atomic(Action action) {
  return action >= Action::atomic_add && action <= Action::atomic_exchange_128;
}

// cmpxchg16b takes two records, hence this function.
[[nodiscard]] bool log_exchange_128(UndoLog& log, u64 address, const u64 (&old_value)[2],
                                    const u64 (&new_value)[2]);

// The application's own functions which compensations and models need; 0 where the program has
// none. Filled by resolve_models().
struct NativeFunctions {
  u64 malloc, free, aligned_alloc, malloc_usable_size;
  u64 memcpy, strlen, strnlen;
  u64 errno_location;
  u64 mutex_trylock, mutex_unlock, mutex_consistent;
  u64 rwlock_tryrdlock, rwlock_trywrlock, rwlock_unlock;
  u64 spin_trylock, spin_unlock;
  u64 sem_trywait, sem_post;
  u64 guard_abort;
  u64 dl_iterate_phdr, loader;
};
extern constinit NativeFunctions native_functions;

// May this process still make that system call (a seccomp filter kills it otherwise)? Asked before
// every call which the guest did not ask for itself. Default: all.
void set_may_call(bool (*may_call)(long number));
bool may_call(long number);

// Does the process end when SIGABRT is raised: is its action the default one, or did the region die
// of it before, and is it not blocked? Default: yes.
void set_dies_of_abort(bool (*dies)());
bool dies_of_abort();

class AddressSet {
 public:
  AddressSet() {
  }  // NOLINT(modernize-use-equals-default): `= default` would clear the array, by memset
  bool add(u64 address);  // false: full
  bool contains(u64 address) const;
  void remove(u64 address);
  unsigned size() const { return size_; }
  u64 operator[](unsigned index) const { return addresses_[index]; }

 private:
  static constexpr unsigned capacity = 32;
  u64 addresses_[capacity];
  unsigned size_ = 0;
};

struct RollbackState {
  // Words and locks that could not be got back: what is older in the log must leave them alone, for
  // they are somebody else's now.
  AddressSet unheld;
  AddressSet to_wake;  // words on which somebody may sleep
};

struct ActionRecord {
  u64 older;  // address of the action record before this one; 0: none
  u64 c, b, a;
  u64 header;

  Action action() const { return static_cast<Action>(static_cast<u32>(header)); }
};

// False: could not be undone.
bool undo(const ActionRecord& record, RollbackState& state, Thread* owner);
// When all is undone.
void wake_waiters(const RollbackState& state);
// Makes a held-back effect happen.
void perform(Deferred effect, u64 a, u64 b);

}  // namespace selfheal::emulator
