// The dynamic symbol table in memory. Its length is nowhere in the program headers: DT_HASH says
// it, and where a linker leaves only DT_GNU_HASH it is found at the end of the longest chain
// (https://flapenguin.me/elf-dt-gnu-hash gives the layout that no standard does).
#include "lib/image/symbols.h"

#include "lib/image/reader.h"

namespace selfheal::image {
namespace {

struct Tables {
  u64 symbols = 0;
  u64 strings = 0;
  u64 strings_size = 0;
  u64 soname_offset = 0;
  u64 hash = 0;
  u64 gnu_hash = 0;
  u64 relocations = 0;
  u64 relocations_size = 0;
  u64 relative = 0;  // how many of them, at the front, are for no symbol
  u64 linkage = 0;   // the relocations of the procedure linkage table
  u64 linkage_size = 0;
  bool has_soname = false;
};

// glibc relocates the pointers in a writable .dynamic in place, but not in the vdso's.
u64 absolute(const Module& module, u64 value) {
  return value >= module.start && value < module.end ? value : value + module.bias;
}

bool read_tables(const Module& module, Tables& tables) {
  Reader reader(module, module.dynamic);
  while (reader.ok()) {
    const i64 tag = reader.read<i64>();
    const u64 value = reader.read<u64>();
    switch (tag) {
      case DT_NULL:
        return reader.ok() && tables.strings != 0 &&
               module.readable(tables.strings, tables.strings_size);
      case DT_SYMTAB:
        tables.symbols = absolute(module, value);
        break;
      case DT_STRTAB:
        tables.strings = absolute(module, value);
        break;
      case DT_STRSZ:
        tables.strings_size = value;
        break;
      case DT_SONAME:
        tables.soname_offset = value;
        tables.has_soname = true;
        break;
      case DT_HASH:
        tables.hash = absolute(module, value);
        break;
      case DT_GNU_HASH:
        tables.gnu_hash = absolute(module, value);
        break;
      case DT_RELA:
        tables.relocations = absolute(module, value);
        break;
      case DT_RELASZ:
        tables.relocations_size = value;
        break;
      case DT_RELACOUNT:
        tables.relative = value;
        break;
      case DT_JMPREL:
        tables.linkage = absolute(module, value);
        break;
      case DT_PLTRELSZ:
        tables.linkage_size = value;
        break;
      default:
        break;
    }
  }
  return false;
}

// Null when the string does not end inside the table.
const char* string_at(const Tables& tables, u64 offset) {
  if (offset >= tables.strings_size) {
    return nullptr;
  }
  const char* text = pointer_to<const char>(tables.strings + offset);
  return std::memchr(text, '\0', tables.strings_size - offset) != nullptr ? text : nullptr;
}

u64 gnu_hash_count(const Module& module, u64 table) {
  Reader reader(module, table);
  const u32 buckets = reader.read<u32>();
  const u32 first = reader.read<u32>();
  const u32 bloom_words = reader.read<u32>();
  reader.read<u32>();
  reader.skip(u64{bloom_words} * 8);
  u32 last = 0;
  for (u32 i = 0; i < buckets && reader.ok(); ++i) {
    const u32 start = reader.read<u32>();
    last = start > last ? start : last;
  }
  if (!reader.ok() || last < first) {
    return reader.ok() ? first : 0;
  }
  reader.skip(u64{last - first} * 4);
  while (reader.ok() && (reader.read<u32>() & 1) == 0) {
    ++last;
  }
  return reader.ok() ? u64{last} + 1 : 0;
}

// The symbols that can be read, of those the hash table speaks of.
u64 symbol_count(const Module& module, const Tables& tables) {
  u64 count = 0;
  if (tables.hash != 0) {
    Reader reader(module, tables.hash);
    reader.read<u32>();
    count = reader.read<u32>();
  } else if (tables.gnu_hash != 0) {
    count = gnu_hash_count(module, tables.gnu_hash);
  }
  const Segment* segment = readable_segment(module, tables.symbols, sizeof(Elf64_Sym));
  if (segment == nullptr) {
    return 0;
  }
  const u64 room = (segment->end - tables.symbols) / sizeof(Elf64_Sym);
  return count < room ? count : room;
}

bool is_function(const Elf64_Sym& symbol) {
  const u8 type = ELF64_ST_TYPE(symbol.st_info);
  return symbol.st_shndx != SHN_UNDEF && (type == STT_FUNC || type == STT_GNU_IFUNC);
}

Elf64_Sym symbol_number(const Tables& tables, u64 index) {
  Elf64_Sym symbol;
  std::memcpy(&symbol, pointer_to<const void>(tables.symbols + index * sizeof symbol),
              sizeof symbol);
  return symbol;
}

// The symbol of the relocation for `slot` in a table of Elf64_Rela; 0 when there is none.
u64 symbol_for(const Module& module, u64 table, u64 size, u64 slot) {
  Reader reader(module, table, table + size);
  while (reader.left() >= sizeof(Elf64_Rela)) {
    const auto relocation = reader.read<Elf64_Rela>();
    if (module.bias + relocation.r_offset == slot) {
      return ELF64_R_SYM(relocation.r_info);
    }
  }
  return 0;
}

}  // namespace

const char* import_at(const Module& module, u64 slot) {
  Tables tables;
  if (!read_tables(module, tables)) {
    return nullptr;
  }
  u64 index = symbol_for(module, tables.linkage, tables.linkage_size, slot);
  const u64 without = tables.relative < tables.relocations_size / sizeof(Elf64_Rela)
                          ? tables.relative * sizeof(Elf64_Rela)
                          : 0;
  index = index != 0 ? index
                     : symbol_for(module, tables.relocations + without,
                                  tables.relocations_size - without, slot);
  // The hash tables leave imports out of their count.
  if (index == 0 ||
      !module.readable(tables.symbols + index * sizeof(Elf64_Sym), sizeof(Elf64_Sym))) {
    return nullptr;
  }
  return string_at(tables, symbol_number(tables, index).st_name);
}

bool symbol_at(const Module& module, u64 address, Symbol& symbol) {
  Tables tables;
  const Segment* segment = readable_segment(module, address, 1);
  if (segment == nullptr || !read_tables(module, tables)) {
    return false;
  }
  Elf64_Sym best{};
  bool best_holds = false;
  const u64 count = symbol_count(module, tables);
  const u64 wanted = module.offset_of(address);
  for (u64 i = 0; i < count; ++i) {
    const Elf64_Sym candidate = symbol_number(tables, i);
    if (!is_function(candidate) || candidate.st_value > wanted ||
        module.bias + candidate.st_value < segment->start) {
      continue;
    }
    const bool holds = wanted - candidate.st_value < candidate.st_size;
    if (best.st_name == 0 || holds > best_holds ||
        (holds == best_holds && candidate.st_value > best.st_value)) {
      best = candidate;
      best_holds = holds;
    }
  }
  const char* name = best.st_name != 0 ? string_at(tables, best.st_name) : nullptr;
  if (name == nullptr) {
    return false;
  }
  symbol = {name, module.bias + best.st_value, best.st_size};
  return true;
}

bool find_symbol(const Module& module, std::string_view name, Symbol& symbol) {
  Tables tables;
  if (!read_tables(module, tables)) {
    return false;
  }
  const u64 count = symbol_count(module, tables);
  for (u64 i = 0; i < count; ++i) {
    const Elf64_Sym candidate = symbol_number(tables, i);
    if (!is_function(candidate)) {
      continue;
    }
    const char* text = string_at(tables, candidate.st_name);
    if (text != nullptr && name == text) {
      symbol = {text, module.bias + candidate.st_value, candidate.st_size};
      return true;
    }
  }
  return false;
}

bool find_definition(std::string_view name, Symbol& symbol) {
  struct Search {
    std::string_view name;
    Symbol* symbol;
    bool found;
  } search{name, &symbol, false};
  for_each_module(
      [](const Module& module, void* context) {
        Search& s = *static_cast<Search*>(context);
        s.found = find_symbol(module, s.name, *s.symbol);
        return !s.found;
      },
      &search);
  return search.found;
}

const char* soname(const Module& module) {
  Tables tables;
  if (!read_tables(module, tables) || !tables.has_soname) {
    return "";
  }
  const char* name = string_at(tables, tables.soname_offset);
  return name != nullptr ? name : "";
}

}  // namespace selfheal::image
