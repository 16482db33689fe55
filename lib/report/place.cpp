#include "lib/report/place.h"

#include "lib/report/writer.h"

namespace selfheal::report {

void say_place(const CodeRef& ref, const Modules& modules, Text& out) {
  if (const RecordModule* module = modules.of(ref); module != nullptr) {
    name(out, module->name, sizeof module->name);
    out << '+';
  }
  out << "0x";
  out.hex(ref.offset);
}

bool say_symbol(const CodeRef& ref, bool is_return, const Modules& modules,
                const Symbolizer& symbols, Text& out) {
  const RecordModule* module = modules.of(ref);
  if (module == nullptr || symbols.lookup == nullptr) {
    return false;
  }
  // A call that never returns is the last instruction of its function: its return address already
  // belongs to the next one.
  const u64 back = is_return && ref.offset != 0 ? 1 : 0;
  Symbol symbol;
  if (!symbols.lookup(symbols.context, *module, ref.offset - back, symbol) ||
      symbol.start > ref.offset) {
    return false;
  }
  name(out, symbol.name, sizeof symbol.name);
  if (ref.offset != symbol.start) {
    out << "+0x";
    out.hex(ref.offset - symbol.start);
  }
  return true;
}

void say_function(const FunctionRef& function, const Modules& modules, const Symbolizer& symbols,
                  Text& out) {
  if (!say_symbol(function.entry, false, modules, symbols, out)) {
    say_place(function.entry, modules, out);
  }
}

void say_module_id(const ModuleId& id, Text& out) {
  switch (id.kind) {
    case ModuleIdKind::none:
      out << "no build-id";
      return;
    case ModuleIdKind::build_id:
      out << "build-id ";
      break;
    case ModuleIdKind::content_hash:
      out << "content hash ";
      break;
    default:
      out << "unknown id ";
      break;
  }
  constexpr u8 shown = 4;
  out.bytes(id.bytes, id.size < shown ? id.size : shown);
}

}  // namespace selfheal::report
