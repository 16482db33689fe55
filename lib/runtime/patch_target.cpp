#include "lib/runtime/patch_target.h"

#include "emulator/engine.h"
#include "lib/patch/standing.h"
#include "lib/runtime/explicit_regions.h"
#include "lib/runtime/protect.h"
#include "lib/runtime/runtime.h"

namespace selfheal::runtime {
namespace {

using patch::Threads;

// Large functions are hashed and scanned whole; one beyond this size is left alone.
constexpr u64 max_function_size = 4 * 1024 * 1024;

// Distance to the next function in the same segment: padding that a patch may use.
u32 gap_behind(const image::Module& module, const image::Function& function) {
  constexpr u64 most = 16;
  for (u64 gap = 0; gap < most; ++gap) {
    image::Function next{};
    if (!module.readable(function.end() + gap, 1) ||
        (image::find_function(module, function.end() + gap, next) &&
         next.start >= function.end())) {
      return static_cast<u32>(gap);
    }
  }
  return most;
}

const image::Segment* segment_of(const image::Module& module, u64 address) {
  for (unsigned i = 0; i < module.segment_count; ++i) {
    if (module.segments[i].holds(address, 1)) {
      return &module.segments[i];
    }
  }
  return nullptr;
}

// The patcher decides on original bytes, which may lie under an older patch of ours.
constinit u8 original_code[max_function_size + 16];

// What the patcher asks about the function's neighbours, one of which may branch into its entry.
bool code_at(u64 address, patch::Code& code, void* module) {
  image::Function function{};
  if (!image::find_function(*static_cast<const image::Module*>(module), address, function)) {
    return false;
  }
  code = {function.start, pointer_to<const u8>(function.start), function.size};
  return true;
}

patch::Standing standing_of(const image::Function& function) {
  if (function.cold) {
    return patch::Standing::cold_part;
  }
  return function.signal_frame ? patch::Standing::signal_restorer
                               : patch::standing_of(function.start);
}

// Functions that could not be patched just now: see patch::is_transient.
constinit unsigned transient = 0;

}  // namespace

const char* find_target(const image::Module& module, u64 offset, u64 symbol_size, Target& target) {
  const u64 entry = module.bias + offset;
  target.module = &module;
  if (!image::find_function(module, entry, target.function)) {
    if (symbol_size == 0 || target.function.problem == image::FunctionProblem::damaged ||
        !module.executable(entry) || !module.executable(entry + symbol_size - 1)) {
      return image::name_of(target.function.problem);
    }
    target.function = {entry, symbol_size, 0, false, false, image::FunctionProblem::none};
  }
  if (target.function.start != entry) {
    return "no function begins there";
  }
  if (target.function.size > max_function_size) {
    return "the function is too large";
  }
  target.code_hash = image::code_hash(module, target.function);
  return nullptr;
}

void entry_changed(u64 entry) {
  if (emulator::started()) {
    emulator::forget_code(entry, entry + 1);
  }
}

const char* install(const Target& target, u64 recorded_hash, patch::RegionSpec& spec,
                    Threads threads, i32& index) {
  const u64 start = target.function.start;
  spec.function.gap = gap_behind(*target.module, target.function);
  const u64 size = target.function.size + spec.function.gap;
  if (!image::read_original(*target.module, start, original_code, size)) {
    return "its code cannot be read";
  }
  spec.function.code = {start, original_code, target.function.size};
  spec.function.standing = start == address_of_function(&selfheal_rescue_body)
                               ? patch::Standing::ordinary
                               : standing_of(target.function);
  spec.function.recorded_hash = recorded_hash;
  spec.function.present_hash = target.code_hash;
  if (const image::Segment* text = segment_of(*target.module, start)) {
    spec.text_low = text->start;
    spec.text_high = text->end;
  }
  spec.code_at = &code_at;
  spec.context = const_cast<image::Module*>(target.module);
  const i32 before = runtime.patcher.find(start);
  const bool known = before >= 0 && runtime.patcher.enabled(static_cast<u32>(before));
  const patch::Installed installed = runtime.patcher.install(spec, threads);
  index = installed.index;
  if (index >= 0 && !known) {
    entry_changed(start);
  }
  if (index < 0) {
    transient += patch::is_transient(installed.refusal) ? 1 : 0;
    return patch::text_of(installed.refusal);
  }
  return nullptr;
}

unsigned transient_refusals() {
  return transient;
}

}  // namespace selfheal::runtime
