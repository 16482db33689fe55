// Code addresses of a record as text: "mod_crash.so+0x12ab", "handle_request+0x1b".
// Records come from files others may write: a module index out of range is printed as unknown.
#pragma once

#include "lib/base/record.h"
#include "lib/base/text.h"
#include "lib/report/report.h"

namespace selfheal::report {

// The modules of a record, bounds checked.
class Modules {
 public:
  Modules(const RecordModule* modules, u8 count)
      : modules_(modules), count_(count <= max_record_modules ? count : max_record_modules) {}

  // Null when the address is in no module, or the index is damaged.
  const RecordModule* of(const CodeRef& ref) const {
    return ref.module < count_ ? &modules_[ref.module] : nullptr;
  }

 private:
  const RecordModule* modules_;
  unsigned count_;
};

// "mod_crash.so+0x12ab"; "0x7f12..." outside of all modules.
void say_place(const CodeRef& ref, const Modules& modules, Text& out);

// "handle_request+0x1b". False, with nothing appended, when it has no name. `is_return` is for a
// return address: the call before it is what gets named.
bool say_symbol(const CodeRef& ref, bool is_return, const Modules& modules,
                const Symbolizer& symbols, Text& out);

// The function a region is: its name where it has one, else its place.
void say_function(const FunctionRef& function, const Modules& modules, const Symbolizer& symbols,
                  Text& out);

// "build-id 4f2a9c01": the first 8 digits are what people compare.
void say_module_id(const ModuleId& id, Text& out);

}  // namespace selfheal::report
