// An ELF file on disk, looked at before it is run: what `selfheal doctor` and `selfheal run` ask.
// Every byte of the file is hostile: offsets and counts are checked against its size. Not for the
// fault path (opens and maps the file), but allocates nothing.
#pragma once

#include "lib/base/module_id.h"
#include "lib/base/types.h"

namespace selfheal::image {

enum class ElfFileProblem : u8 {
  none = 0,
  cannot_open,  // see error_number
  not_elf,      // a script, or something else
  damaged,      // an ELF header, but tables that do not fit into the file
};
const char* name_of(ElfFileProblem problem);

inline constexpr unsigned max_needed = 32;

struct ElfFile {
  ElfFileProblem problem;
  i32 error_number;  // of open, fstat or mmap
  bool is_64_bit;
  u16 machine;           // EM_X86_64 = 62, ...
  u16 type;              // ET_EXEC, ET_DYN, ...
  bool has_interpreter;  // PT_INTERP; without it a program is static and ignores LD_PRELOAD
  bool has_dynamic;      // PT_DYNAMIC
  bool is_pie;           // ET_DYN with DF_1_PIE or PT_INTERP
  bool go_program;       // has a Go build-id note: its runtime owns SIGSEGV
  ModuleId id;           // build-id, or content hash as image::content_id defines it (64-bit files)
  char interpreter[128];        // cut
  char script[128];             // for not_elf files that begin with "#!": the interpreter line, cut
  char needed[max_needed][48];  // DT_NEEDED, cut
  unsigned needed_count;
};

// Fills `file` as far as it can be read; the result is file.problem == none.
bool inspect_file(const char* path, ElfFile& file);

// The same on bytes already in memory (what the fuzz test feeds).
bool inspect_bytes(const u8* bytes, u64 size, ElfFile& file);

}  // namespace selfheal::image
