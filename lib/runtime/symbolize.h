// Names for the code addresses of a record, from the dynamic symbols of the modules loaded here.
#pragma once

#include "lib/base/record.h"
#include "lib/report/report.h"

namespace selfheal::runtime {

// Remembers which loaded module each module of a record is: `address` is a run-time address that
// the record refers to as `reference`. Signal-safe; one record at a time a thread.
void note_module(const CodeRef& reference, u64 address);
void forget_modules();

// Names offsets in `modules` (a record's table), as far as note_module has heard of them.
report::Symbolizer module_symbols(const RecordModule* modules);

}  // namespace selfheal::runtime
