// Names: from the dynamic symbol table in memory (signal-safe), and, at start-up only, from the
// .symtab of the file on disk. Names are for people and for the user's region=MODULE!FUNCTION;
// nothing recorded is ever matched by name.
#pragma once

#include <string_view>

#include "lib/image/module.h"

namespace selfheal::image {

struct Symbol {
  const char* name;  // in the module's string table: valid while the module is loaded
  u64 address;       // run-time address
  u64 size;          // 0 where the table does not say (assembler)
};

// The function symbol that holds `address`, or else the nearest one before it within the same
// segment (then address >= symbol.address + symbol.size). Signal-safe, bounded. False: none.
bool symbol_at(const Module& module, u64 address, Symbol& symbol);

// A defined function or IFUNC resolver by its exact name; false when the module does not export it.
bool find_symbol(const Module& module, std::string_view name, Symbol& symbol);

// The same in whichever loaded module defines it first, in the order of loading. Takes the dynamic
// linker's lock: not for signal handlers.
bool find_definition(std::string_view name, Symbol& symbol);

// The name of the function whose address ld.so puts, or will put at its first call, into the word
// at `slot` (.got, .got.plt); null when no relocation is for that word. Signal-safe, bounded.
const char* import_at(const Module& module, u64 slot);

// ELF virtual address of a function in the file's .symtab or .dynsym (add the module's bias); 0
// when there is none. Its size, 0 where the table does not say, goes to `size`. Start-up only:
// opens and maps the file. `path` is not trusted, nor is the content.
u64 find_symbol_in_file(const char* path, std::string_view name, u64* size = nullptr);

// DT_SONAME of a loaded module, "" when it has none. Signal-safe.
const char* soname(const Module& module);

}  // namespace selfheal::image
