#include "lib/patch/standing.h"

#include <Zydis/Zydis.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include "lib/patch/loader.h"

namespace selfheal::patch {
namespace {

const link_map* module_of(u64 address) {
  dl_find_object object;
  return _dl_find_object(pointer_to<void>(address), &object) == 0 ? object.dlfo_link_map : nullptr;
}

// For a module that is mapped, but that `_dl_find_object` has not been told of yet: the one that
// begins last before the address.
const link_map* module_before(u64 address) {
  const link_map* best = nullptr;
  for (const link_map* module = loader_debug()->r_map; module != nullptr; module = module->l_next) {
    if (module->l_addr <= address && (best == nullptr || module->l_addr > best->l_addr)) {
      best = module;
    }
  }
  return best;
}

// The tables of a loaded module that name its IFUNC resolvers.
struct Tables {
  u64 symbols = 0;
  u64 gnu_hash = 0;
  u64 rela = 0;
  u64 rela_size = 0;
  u64 plt_rela = 0;
  u64 plt_rela_size = 0;
};

Tables read_tables(const link_map& module) {
  Tables tables;
  // The loader relocates these pointers in place, but not where the dynamic section is read-only.
  const auto pointer = [&module](const ElfW(Dyn) & entry) {
    const u64 value = entry.d_un.d_ptr;
    return value < module.l_addr ? value + module.l_addr : value;
  };
  for (const ElfW(Dyn)* entry = module.l_ld; entry->d_tag != DT_NULL; ++entry) {
    switch (entry->d_tag) {
      case DT_SYMTAB:
        tables.symbols = pointer(*entry);
        break;
      case DT_GNU_HASH:
        tables.gnu_hash = pointer(*entry);
        break;
      case DT_RELA:
        tables.rela = pointer(*entry);
        break;
      case DT_RELASZ:
        tables.rela_size = entry->d_un.d_val;
        break;
      case DT_JMPREL:
        tables.plt_rela = pointer(*entry);
        break;
      case DT_PLTRELSZ:
        tables.plt_rela_size = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  return tables;
}

// DT_GNU_HASH: four words, the Bloom filter, the buckets (first symbol of each chain), the chains
// (hash of each symbol, lowest bit set on a chain's last).
u32 symbol_count(u64 gnu_hash) {
  const u32* header = pointer_to<const u32>(gnu_hash);
  const u32 bucket_count = header[0];
  const u32 first_hashed = header[1];
  const u32* buckets = header + 4 + 2 * header[2];
  const u32* chains = buckets + bucket_count;
  u32 last = 0;
  for (u32 i = 0; i < bucket_count; ++i) {
    last = buckets[i] > last ? buckets[i] : last;
  }
  if (last < first_hashed) {
    return first_hashed;
  }
  while ((chains[last - first_hashed] & 1) == 0) {
    ++last;
  }
  return last + 1;
}

bool relocated_by(u64 rela, u64 size, u64 resolver) {
  const auto* entry = pointer_to<const ElfW(Rela)>(rela);
  for (u64 n = size / sizeof *entry; n > 0; --n, ++entry) {
    if (ELF64_R_TYPE(entry->r_info) == R_X86_64_IRELATIVE &&
        static_cast<u64>(entry->r_addend) == resolver) {
      return true;
    }
  }
  return false;
}

bool is_resolver(const link_map& module, u64 entry) {
  const Tables tables = read_tables(module);
  const u64 offset = entry - module.l_addr;
  if (relocated_by(tables.rela, tables.rela_size, offset) ||
      relocated_by(tables.plt_rela, tables.plt_rela_size, offset)) {
    return true;
  }
  if (tables.symbols == 0 || tables.gnu_hash == 0) {
    return false;
  }
  const auto* symbol = pointer_to<const ElfW(Sym)>(tables.symbols);
  for (u32 n = symbol_count(tables.gnu_hash); n > 0; --n, ++symbol) {
    if (ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC && symbol->st_value == offset &&
        symbol->st_shndx != SHN_UNDEF) {
      return true;
    }
  }
  return false;
}

}  // namespace

Standing standing_of(u64 entry) {
  dl_find_object object;
  if (_dl_find_object(pointer_to<void>(entry), &object) != 0) {
    const link_map* module = module_before(entry);
    return module != nullptr && is_resolver(*module, entry) ? Standing::ifunc_resolver
                                                            : Standing::ordinary;
  }
  if (address_of(object.dlfo_map_start) == getauxval(AT_SYSINFO_EHDR)) {
    return Standing::vdso;
  }
  const link_map* module = object.dlfo_link_map;
  if (module == module_of(loader_debug()->r_brk)) {
    return Standing::loader;
  }
  if (module == module_of(address_of_function(&standing_of)) ||
      module == module_of(address_of_function(&ZydisDecoderInit))) {
    return Standing::own_runtime;
  }
  return is_resolver(*module, entry) ? Standing::ifunc_resolver : Standing::ordinary;
}

}  // namespace selfheal::patch
