// How values are written, the same in tables, reports and JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/base/record.h"
#include "lib/base/types.h"

namespace selfheal::cli {

using Json = nlohmann::ordered_json;

// "0x12ab". Addresses and other 64-bit values are text in JSON too: a double cannot hold them.
std::string hex(u64 value);

// Decimal, negative decimal or 0x-hexadecimal; what does not fit is none.
std::optional<i64> number_in(const std::string& text);

// "2026-11-22T22:30:50.123456789Z"; JSON null for 0 in `json_time`.
std::string utc_time(u64 ns);
Json json_time(u64 ns);

// "3 minutes ago", for tables; "" for 0.
std::string age(u64 ns, u64 now_ns);
u64 now_ns();

// {"name": ..., "id_kind": "build-id"|"content-hash"|"none", "id": "4f2a..."}
Json json_module(const RecordModule& module);

// null for "".
Json json_name(const std::string& name);

// Prints a document as --json does.
void print_json(const Json& document);

}  // namespace selfheal::cli
