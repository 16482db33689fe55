// An alarm is a fault that may yet turn out to be none: a thread that seems to hang, but could come
// back. It stands in its slot while its process lives, unpromoted; the process takes it back when
// the thread goes on (Journal::take_back). Once the process has ended in it, it is a fault like
// any.
#pragma once

#include "lib/base/record.h"

namespace selfheal::store {

// Has the process that had this number at `time_ns` ended? Asks the kernel (kill, /proc/PID/stat).
// Where it cannot be told, by a sandbox or because the number is another's by now in this
// namespace, the time decides: a process that began after it is another.
bool process_gone(u32 pid, u64 time_ns);

// Is this an alarm whose process lives?
bool alarm_stands(const FaultRecord& record);

}  // namespace selfheal::store
