#include "lib/store/history.h"

#include <errno.h>

#include "lib/store/files.h"
#include "lib/store/slot.h"

namespace selfheal::store {

bool HistoryReader::open(const char* directory, const char* name, Error& error) {
  close();
  const FilePath path(directory, name);
  Descriptor file(open_at(AT_FDCWD, path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (file.result() == -ENOENT) {
    return true;
  }
  if (!file.open()) {
    error.begin() << path.c_str() << ": " << reason_of(file.result());
    return false;
  }
  fd_ = file.release();
  return true;
}

void HistoryReader::close() {
  Descriptor(fd_).close();
  fd_ = -1;
  offset_ = 0;
}

SlotView HistoryReader::next(Slot& out) {
  // A part of a slot at the end is an append that was cut short: the end.
  if (fd_ < 0 || read_at(fd_, &out, sizeof out, offset_) != static_cast<long>(sizeof out)) {
    return SlotView::free;
  }
  offset_ += sizeof out;
  return check_slot(out);
}

bool append_history(int directory, const Slot* slots, u32 count, const char* path, Error& error) {
  const FilePath file(path, history_name);
  const auto failed = [&](const char* what, long result) {
    error.begin() << file.c_str() << ": " << what << " (" << reason_of(result)
                  << "); the records stay in the journal";
    return false;
  };
  constexpr int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK;
  Descriptor history(open_at(directory, history_name, flags, 0640));
  FileStatus status = {};
  if (!history.open()) {
    return failed("it cannot be opened", history.result());
  }
  if (const long result = status_of(history.get(), status); result < 0) {
    return failed("it cannot be read", result);
  }
  const u64 size = u64{count} * sizeof(Slot);
  if (status.size != 0 && status.size + size > history_limit) {
    if (const long result = rename_in(directory, history_name, old_history_name); result < 0) {
      return failed("it cannot be rotated", result);
    }
    history.reset(open_at(directory, history_name, flags, 0640));
    status.size = 0;
    if (!history.open()) {
      return failed("it cannot be made anew", history.result());
    }
  }
  // Writes over what an append left that was cut short.
  const u64 end = status.size - status.size % sizeof(Slot);
  // Not synced: the journal it comes from is not either, and a server waits meanwhile. What a power
  // failure takes are records, never regions.
  const long result = write_at(history.get(), slots, size, end);
  if (result < 0) {
    set_size(history.get(), end);
    return failed("it cannot be written", result);
  }
  return true;
}

}  // namespace selfheal::store
