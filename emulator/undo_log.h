// The undo log: what a region did, in order, so that it can be taken back.
//
//   memory ──► ┌───────┬───────┬─────────┬───────┬──── free ────┬──────────┬──────────┐
//              │ bytes │ bytes │ action  │ bytes │              │ deferred │ deferred │
//              │@a, old│@b, old│ free(p) │@p, old│              │ close(7) │ free(q)  │
//              └───────┴───────┴─────────┴───────┴──────────────┴──────────┴──────────┘
//   rollback   ◄──────────── newest first ───────                          oldest last
//                                             commit   ────── oldest first: from the end ──
//
// Bytes and actions share one log because their order matters: the bytes written into a fresh heap
// chunk go back before the chunk is freed. A record ends in its own header, so that the log can be
// walked backwards. What must not happen before the region is sure to succeed (free, munmap) is
// deferred: a second list that grows from the end of the memory, run at commit, dropped at
// rollback.
//
// Records, in words of 8 bytes, lowest address first:
//   short    old contents (padded to a word) · size<<48 | address
//   long     old contents (padded to a word) · address · 1<<62 | size
//   action   previous action's record · c · b · a · 1<<63 | action
//
// A loop must not blow the log up (bench/undo_log.cpp), so two things are not logged anew:
//   - bytes right above those of the newest record join it: a buffer filled byte by byte costs its
//     size, not 16 times as much;
//   - a place that a record newer than the newest action holds already, as remembered in `recent`,
//     a direct-mapped table. Undoing that older record makes the same memory, and no action comes
//     in between that could see the difference.
// Never are bytes kept that the region has not written: others may be writing them.
//
// One log per thread, used only by its thread. No lock, no allocation, no libc on the saving path;
// the memory is given by the owner and touched only as it fills. Saving reads guest memory and so
// may fault: nothing has been appended then, and the fault is the guest's own (see take_fault).
// The technique is the undo half of write-ahead logging (ARIES, Mohan et al. 1992, section 1.1).
#pragma once

#include "lib/base/types.h"

namespace selfheal::emulator {

struct Thread;
struct ActionRecord;
struct RecordView;

// Compensations, run at rollback, newest first. See actions.h for what each does.
enum class Action : u32;
// Effects held back until commit, run oldest first.
enum class Deferred : u32;

struct RollbackResult {
  u64 bytes;    // restored
  u32 actions;  // run
  u32 failed;   // that could not be undone (an atomic somebody else changed since, a lock gone)
};

class UndoLog {
 public:
  // Takes `size` bytes of zero memory at `memory`; the owner keeps and unmaps it. With `owner`, the
  // thread whose log this is, a restoring write that faults (somebody unmapped the page since) is
  // survived and counted as failed; without, it is a fault like any other.
  void attach(u64 memory, u64 size, Thread* owner = nullptr);
  bool attached() const { return limit_ != 0; }

  // Before a store: keeps the `size` bytes at `address`. False: the log is full, nothing was kept.
  [[nodiscard]] bool save(u64 address, u64 size);

  // The same for 1, 2, 4 or 8 bytes, inline for the interpreter's own stores.
  template <typename T>
  [[nodiscard]] bool save_value(u64 address) {
    static_assert(sizeof(T) <= 8);
    if (address == tail_end_) {
      return join<T>(address);
    }
    if (address >> address_bits != 0) [[unlikely]] {
      return save(address, sizeof(T));
    }
    u64& recent = recent_of(address, __builtin_ctz(sizeof(T)));
    const u64 tag = recent_tag(address, __builtin_ctz(sizeof(T)));
    if (recent == tag) {
      return true;
    }
    settle();
    if (cursor_ + 2 * sizeof(u64) > limit_) [[unlikely]] {
      return false;
    }
    u64 old = 0;
    __builtin_memcpy(&old, pointer_to<const void>(address), sizeof(T));
    recent = tag;
    u64* record = pointer_to<u64>(cursor_);
    record[0] = old;
    record[1] = u64{sizeof(T)} << address_bits | address;
    tail_begin_ = cursor_;
    tail_next_ = cursor_ + sizeof(T);
    tail_end_ = address + sizeof(T);
    cursor_ += 2 * sizeof(u64);
    return true;
  }

  // Room for one more action, or for a save of at most `size` bytes? For what cannot be taken back
  // once it has been done but not logged: ask first, do it, then log it.
  bool room(u64 size = 0) const { return end_of_log() + size + 3 * action_size <= limit_; }

  [[nodiscard]] bool action(Action action, u64 a, u64 b = 0, u64 c = 0);
  // Takes back the newest action that equals this one, when it is no longer needed (a descriptor
  // closed inside the region that opened it). False when there is none.
  bool cancel(Action action, u64 a);
  // The same, but not of what was there when the innermost region began.
  bool cancel_own(Action action, u64 a);
  // Is there such an action, newest first? Its b (the kind of a lock, say) in `b`.
  bool find(Action action, u64 a, u64* b = nullptr) const;
  // Has an atomic instruction changed the word at this address? What is then stored there plainly
  // (a lock being released) must be undone like an atomic exchange. Exact for the newest 64
  // actions.
  bool changed_atomically(u64 address) const {
    const u64 bit = hash_of(address, 12);
    return (atomic_words_[bit / 64] >> (bit % 64) & 1) != 0 && find_atomic(address);
  }

  // The memory is gone, or another thread's now, for good: a rollback leaves alone what was written
  // there until now, and does not take back the heap chunk at `begin`, nor the mapping around it,
  // all of which goes with it. Ask for room().
  void give_away(u64 begin, u64 end);

  [[nodiscard]] bool defer(Deferred effect, u64 a, u64 b = 0);
  // Is this held back? Exact among the newest 256; beyond those a filter may let one be missed.
  bool deferred(Deferred effect, u64 a) const;
  // Is `address` in memory that commit will unmap?
  bool unmaps(u64 address) const {
    return address - unmapped_begin_ < unmapped_end_ - unmapped_begin_ && finds_unmap(address);
  }
  // Bytes of heap and mappings that commit will release.
  u64 held_bytes() const { return held_bytes_; }
  // Before a call that may block: runs now what somebody else may be waiting for (closes), each
  // counted as irrevocable. Frees and unmaps stay held back: nobody waits for those, and a pointer
  // that a rollback brings back must still point to something.
  void run_deferred();
  // The part of it that is output held for its peer (held_output.h).
  void send_output();
  // Would run_deferred do anything?
  bool holds_back() const;

  void note_irrevocable(u32 system_call);
  u32 irrevocable() const { return irrevocable_; }
  const u32* irrevocable_calls() const { return irrevocable_calls_; }  // the first 8

  bool empty() const { return end_of_log() == start_ && limit_ == end_ && irrevocable_ == 0; }
  u64 used() const { return (end_of_log() - start_) + (end_ - limit_); }

  // Where the log ends now, and undoing what was logged since: for an effect that failed half way.
  // Not across deferred effects.
  u64 mark() {
    begin_anew();
    return cursor_;
  }
  void back_to(u64 mark);

  // An inner region begins (nest.h). Until its end, what it does is to be undone without what was
  // done before: a descriptor that was opened before is not simply closed.
  struct Mark {
    u64 cursor;
    u64 limit;
    u64 before;  // the mark around it
  };
  Mark begin_nested();
  void end_nested(const Mark& mark) { nested_from_ = mark.before; }
  // Undoes what was done since, deferred effects included.
  RollbackResult back_to_nested(const Mark& mark);

  // Puts every byte back and runs the actions, newest first; drops what was deferred. The guest's
  // vector registers are not preserved (nobody needs them after a rollback).
  RollbackResult rollback();
  // Forgets what was kept; runs what was deferred. The guest's vector registers are preserved.
  // The count of irrevocable calls is forgotten by both: read it before.
  void commit();

 private:
  struct DeferredEffect {
    Deferred effect;
    u32 done;
    u64 a;
    u64 b;
  };
  struct Replay;  // undo_log_replay.cpp

  static constexpr u64 action_size = 5 * sizeof(u64);
  static constexpr u64 filter_bits = 4096;
  static constexpr unsigned address_bits = 48;
  static constexpr u64 recent_entries = 512;
  static constexpr u64 epoch_step = 1 << 3;
  static constexpr u64 epoch_end = 1 << 16;

  // Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4) to `bits` bits; pointers differ above bit 2.
  static constexpr u64 hash_of(u64 address, unsigned bits) {
    return (address >> 2) * 0x9e3779b97f4a7c15 >> (64 - bits);
  }

  // An entry says: 2^log2 bytes at this address have been kept in this epoch. Zero says nothing, as
  // epochs begin with 1.
  u64& recent_of(u64 address, unsigned log2) { return recent_[(address >> log2) % recent_entries]; }
  u64 recent_tag(u64 address, unsigned log2) const { return address << 16 | epoch_ | log2; }

  // What is logged from here on neither joins what is there nor is left out because of it.
  void begin_anew() {
    settle();
    tail_end_ = 0;
    epoch_ += epoch_step;
    if (epoch_ == epoch_end) [[unlikely]] {
      forget_recent();
    }
  }
  void forget_recent();

  // The newest record gets the bytes that follow it in memory. Its header, which they overwrite, is
  // written again only when something else is logged: a loop over a buffer makes one store a step.
  template <typename T>
  bool join(u64 address) {
    if (tail_next_ + 3 * sizeof(u64) > limit_) [[unlikely]] {
      return false;
    }
    T old;
    __builtin_memcpy(&old, pointer_to<const void>(address), sizeof(T));
    __builtin_memcpy(pointer_to<void>(tail_next_), &old, sizeof(T));
    recent_of(address, __builtin_ctz(sizeof(T))) = recent_tag(address, __builtin_ctz(sizeof(T)));
    tail_next_ += sizeof(T);
    tail_end_ = address + sizeof(T);
    joined_ = true;
    return true;
  }
  void settle() {
    if (joined_) {
      close_tail();
    }
  }
  void close_tail();
  u64 end_of_log() const { return joined_ ? tail_next_ + 3 * sizeof(u64) : cursor_; }
  bool find_atomic(u64 address) const;

  static void replay(void* state);
  static void restore(Replay& state, const RecordView& record);
  static void restore_pages(Replay& state);
  RollbackResult replay_to(u64 floor);
  ActionRecord* newest(Action action, u64 a, u64 from = 0) const;
  bool cancel_since(Action action, u64 a, u64 from);
  bool touches(u64 begin, u64 end) const;
  bool finds_unmap(u64 address) const;
  void clear();
  bool big() const;
  void give_back(bool was_big);

  u64 start_ = 0;
  u64 cursor_ = 0;       // end of the newest record, as its header says
  u64 limit_ = 0;        // begin of the newest deferred effect
  u64 end_ = 0;          // end of the oldest deferred effect
  u64 tail_end_ = 0;     // end of the memory that the newest record holds; 0: none may join it
  u64 tail_begin_ = 0;   // where that record begins
  u64 tail_next_ = 0;    // where its next byte would go
  bool joined_ = false;  // its header has to be written again
  u64* recent_ = nullptr;
  u64 epoch_ = epoch_step;
  // A Bloom filter: the words that atomic instructions changed. A whole program as a region changes
  // hundreds of them; one word would be full, and each store would search the actions. Wiped when
  // it was used only, as it is on the way out of every region.
  u64 atomic_words_[64] = {};
  bool any_atomic_ = false;
  u64 nested_from_ = 0;  // where the innermost nested region's part begins; 0: there is none
  u64 last_action_ = 0;  // address of the newest action record; 0: none
  u64 held_bytes_ = 0;
  u64 unmapped_begin_ = 0;  // all deferred unmaps lie in between
  u64 unmapped_end_ = 0;
  u64* filter_ = nullptr;
  Thread* owner_ = nullptr;
  bool was_big_ = false;   // the region before this one needed much memory
  bool retained_ = false;  // and it was not given back, as that happens again and again
  u32 observable_ = 0;     // deferred effects that run_deferred would run
  u32 irrevocable_ = 0;
  u32 irrevocable_calls_[8] = {};
};

}  // namespace selfheal::emulator
