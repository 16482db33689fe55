#include "lib/runtime/symbolize.h"

#include "lib/image/symbols.h"

namespace selfheal::runtime {
namespace {

// Load bias of each module of the record at hand; 0: not known (no module is loaded at 0 but a
// position-dependent program, whose frames then go unnamed).
constinit thread_local u64 biases[max_record_modules] = {};

bool lookup(void* context, const RecordModule& wanted, u64 offset, report::Symbol& out) {
  const auto* modules = static_cast<const RecordModule*>(context);
  const u64 index = static_cast<u64>(&wanted - modules);
  image::Module module;
  image::Symbol symbol{};
  if (index >= max_record_modules || biases[index] == 0 ||
      !image::locate_module(biases[index] + offset, module) ||
      !image::symbol_at(module, biases[index] + offset, symbol)) {
    return false;
  }
  // The nearest symbol before the address is no name for what lies past its end.
  if (symbol.size != 0 && biases[index] + offset - symbol.address >= symbol.size) {
    return false;
  }
  u64 size = 0;
  for (; size + 1 < sizeof out.name && symbol.name[size] != '\0'; ++size) {
    out.name[size] = symbol.name[size];
  }
  out.name[size] = '\0';
  out.start = module.offset_of(symbol.address);
  return true;
}

}  // namespace

void note_module(const CodeRef& reference, u64 address) {
  if (reference.module < max_record_modules) {
    biases[reference.module] = address - reference.offset;
  }
}

void forget_modules() {
  for (u64& bias : biases) {
    bias = 0;
  }
}

report::Symbolizer module_symbols(const RecordModule* modules) {
  return {&lookup, const_cast<RecordModule*>(modules)};
}

}  // namespace selfheal::runtime
