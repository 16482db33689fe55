// The history: every record that ever left the journal, as an append-only file of slots, and its
// predecessor history.1. For the CLI's queries; the runtime never reads it.
//
// Reading: one thread, any process that may open the file; every slot is checked and sanitized.
#pragma once

#include "lib/base/types.h"
#include "lib/store/error.h"
#include "lib/store/format.h"
#include "lib/store/journal.h"

namespace selfheal::store {

class HistoryReader {
 public:
  HistoryReader() = default;
  HistoryReader(const HistoryReader&) = delete;
  HistoryReader& operator=(const HistoryReader&) = delete;
  ~HistoryReader() { close(); }

  // `name` is history_name or old_history_name. An absent file is an empty history.
  bool open(const char* directory, const char* name, Error& error);
  void close();

  // The next record: fault, heal or damaged (skip it); free at the end of the file.
  SlotView next(Slot& out);
  u64 offset() const { return offset_; }  // of the record that `next` would read

 private:
  int fd_ = -1;
  u64 offset_ = 0;
};

// The promoter's: appends `slots` to the history, rotating first when it would outgrow
// history_limit. All or nothing: a partial write is taken back.
bool append_history(int directory, const Slot* slots, u32 count, const char* path, Error& error);

}  // namespace selfheal::store
