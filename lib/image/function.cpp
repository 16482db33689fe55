#include "lib/image/function.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "lib/image/cfi.h"

namespace selfheal::image {
namespace {

bool describe(const Module& module, u64 fde, Function& function) {
  FrameEntry entry;
  if (!read_frame_entry(module, fde, entry)) {
    return false;
  }
  function.start = entry.start;
  function.size = entry.size;
  function.fde = fde;
  function.signal_frame = entry.signal_frame;
  function.cold = !entry.signal_frame && starts_inside_frame(module, entry);
  return true;
}

}  // namespace

const char* name_of(FunctionProblem problem) {
  switch (problem) {
    case FunctionProblem::none:
      return "found";
    case FunctionProblem::no_table:
      return "the module has no .eh_frame_hdr search table";
    case FunctionProblem::not_covered:
      return "no frame description covers the address";
    case FunctionProblem::damaged:
      return "the module's frame tables are damaged";
  }
  return "unknown";
}

bool find_function(const Module& module, u64 address, Function& function) {
  function = Function{};
  FrameTable table;
  if (!frame_table(module, table)) {
    function.problem =
        module.eh_frame_hdr == 0 ? FunctionProblem::no_table : FunctionProblem::damaged;
    return false;
  }
  u64 start = 0;
  u64 fde = 0;
  if (!find_frame_entry(module, table, address, start, fde)) {
    function.problem = FunctionProblem::not_covered;
    return false;
  }
  if (!describe(module, fde, function) || function.start != start) {
    function = Function{};
    function.problem = FunctionProblem::damaged;
    return false;
  }
  if (!function.holds(address)) {
    function = Function{};
    function.problem = FunctionProblem::not_covered;
    return false;
  }
  return true;
}

bool for_each_function(const Module& module, bool (*visit)(const Function&, void*), void* context) {
  FrameTable table;
  if (!frame_table(module, table)) {
    return false;
  }
  for (u64 i = 0; i < table.count; ++i) {
    u64 start = 0;
    u64 fde = 0;
    Function function{};
    if (frame_table_entry(module, table, i, start, fde) && describe(module, fde, function) &&
        !visit(function, context)) {
      break;
    }
  }
  return true;
}

u64 code_hash(const Module& module, const Function& function) {
  if (!module.readable(function.start, function.size)) {
    return 0;
  }
  XXH64_state_t state;
  XXH64_reset(&state, 0);
  u8 buffer[1024];
  for (u64 done = 0; done < function.size;) {
    const u64 left = function.size - done;
    const u64 size = left < sizeof buffer ? left : sizeof buffer;
    if (!read_original(module, function.start + done, buffer, size)) {
      return 0;
    }
    XXH64_update(&state, buffer, size);
    done += size;
  }
  return XXH64_digest(&state);
}

}  // namespace selfheal::image
