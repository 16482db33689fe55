// The store's file of functions (lib/store/functions.h), as the command reads, changes and shows
// it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/format.h"
#include "cli/store_access.h"
#include "lib/store/functions.h"

namespace selfheal::cli {

using FunctionList = std::vector<store::FunctionEntry>;

// All of it, or nothing; running processes look at it at their next blocking call.
Outcome change_functions(OpenStore& opened, const std::function<void(FunctionList&)>& change);

// The entry of that function, made if there is none.
store::FunctionEntry& function_in(FunctionList& list, const RecordModule& module, u64 entry_offset);

// What the user says it fails with, the first value being returned.
void set_errors(store::FunctionEntry& entry, const std::vector<u64>& values);

// "-1", "7", "0xdeadbeef"; of a value that may be an int as people write it.
std::string value_text(u64 value);

// "7 (31 of 40 bad calls, none of 120 good ones)"; "" where nothing is known.
std::string errors_text(const store::FunctionEntry& entry);
// "enumeration, failure is 3"; "" where nothing is declared.
std::string declared_text(const store::FunctionEntry& entry);

Json json_known(const store::FunctionEntry& entry);

}  // namespace selfheal::cli
