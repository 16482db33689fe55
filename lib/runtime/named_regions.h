// Regions the user names: region=MODULE!FUNCTION or MODULE+0xOFFSET.
#pragma once

#include <string_view>

#include "lib/image/module.h"
#include "lib/options/options.h"

namespace selfheal::runtime {

enum class NamedRegion : u8 {
  elsewhere,  // the option speaks of another module
  unknown,    // this module, but it has no function of that name
  found,
};

struct NamedPlace {
  u64 offset;       // of the function's entry
  u64 symbol_size;  // as its symbol says, for a function without call frame information; 0: unknown
  u64 site = 0;     // address of an instruction in it that faults, or behind a call that does
};

// Base name of the module's file, in `buffer` for the program itself, else in the link map.
std::string_view file_name(const image::Module& module, char* buffer, u64 capacity);

// Where in `module` the option points. MODULE is the base name of the module's file. Function names
// are looked up in the dynamic symbols, then in the file's .symtab; the program's `main` is found
// in a stripped program, too. Opens files: not in a sandbox.
NamedRegion find_named(const image::Module& module, const options::RegionOption& option,
                       NamedPlace& place);

// Says on stderr why the `index`th region option is not in force; the first time only.
void complain_once(unsigned index, const char* problem);

// With the option `verbose`: says what became of each region option, the `found` ones (by bit)
// being in force. Once, at start-up. A module that is not there is nothing to complain of
// otherwise: it may be loaded later, and every child process inherits the options.
void tell(u64 found);

}  // namespace selfheal::runtime
