// The lines of a crash report that only some kinds of fault have: what libc said, the heap chunk,
// the recursion, the processor time.
#pragma once

#include "lib/base/record.h"
#include "lib/report/place.h"
#include "lib/report/writer.h"

namespace selfheal::report {

void write_detail(const FaultRecord& record, const Modules& modules, const Symbolizer& symbols,
                  Writer& out);

}  // namespace selfheal::report
