// Call frame information: the records of .eh_frame (LSB 5.0 Core, 10.6.1; DWARF 5, 6.4.1).
//
// Shared by function bounds (lib/image/function) and the unwinder (lib/recover/unwind).
// Signal-safe; damaged records are refused.
#pragma once

#include "lib/image/module.h"

namespace selfheal::image {

class Reader;

// A pointer (DW_EH_PE_*) that may be none, or the address of a place that the dynamic linker has
// filled; 0: none.
u64 read_pointer(const Module& module, Reader& reader, u8 encoding);

// One frame description entry with what it needs of its CIE.
struct FrameEntry {
  u64 start;  // run-time address of the first instruction it describes
  u64 size;
  u64 code_alignment;
  i64 data_alignment;
  u64 return_register;
  bool signal_frame;  // augmentation 'S'
  u8 pointer_encoding;
  u8 lsda_encoding;
  u64 personality;    // run-time address of the routine (augmentation 'P'); 0: none
  u64 lsda;           // of the language-specific data area ('L'); 0: none
  u64 initial_begin;  // CIE's instructions
  u64 initial_end;
  u64 begin;  // FDE's own instructions
  u64 end;
};

// Decodes the FDE at `address`; false when it, or its CIE, is damaged or of an unknown version.
bool read_frame_entry(const Module& module, u64 address, FrameEntry& entry);

// The .eh_frame_hdr binary search table: sorted pairs (function start, FDE), fixed-size entries.
struct FrameTable {
  u64 header;  // what datarel pointers count from
  u64 entries;
  u64 count;
  u8 encoding;
};

// False when the module has none, or it does not fit into PT_GNU_EH_FRAME.
bool frame_table(const Module& module, FrameTable& table);

// Entry number `index`; false past the end.
bool frame_table_entry(const Module& module, const FrameTable& table, u64 index, u64& start,
                       u64& fde);

// Address of the last FDE that starts at or before `address`, and that start; false when none does.
bool find_frame_entry(const Module& module, const FrameTable& table, u64 address, u64& start,
                      u64& fde);

// The FDE that describes `address`, decoded. False: none does, or a table is damaged.
bool frame_entry_of(const Module& module, u64 address, FrameEntry& entry);

// Call frame instructions, as far as more than one reader knows them (DWARF 5, table 7.29).
enum : u8 {
  cfa_advance_loc = 0x40,  // the high two bits; the low six are the operand
  cfa_offset = 0x80,
  cfa_restore = 0xc0,
  cfa_nop = 0x00,
  cfa_set_loc = 0x01,
  cfa_advance_loc1 = 0x02,
  cfa_advance_loc2 = 0x03,
  cfa_advance_loc4 = 0x04,
  cfa_offset_extended = 0x05,
  cfa_restore_extended = 0x06,
  cfa_undefined = 0x07,
  cfa_same_value = 0x08,
  cfa_register = 0x09,
  cfa_remember_state = 0x0a,
  cfa_restore_state = 0x0b,
  cfa_def_cfa = 0x0c,
  cfa_def_cfa_register = 0x0d,
  cfa_def_cfa_offset = 0x0e,
  cfa_def_cfa_expression = 0x0f,
  cfa_expression = 0x10,
  cfa_offset_extended_sf = 0x11,
  cfa_def_cfa_sf = 0x12,
  cfa_def_cfa_offset_sf = 0x13,
  cfa_val_offset = 0x14,
  cfa_val_offset_sf = 0x15,
  cfa_val_expression = 0x16,
  cfa_gnu_args_size = 0x2e,
  cfa_gnu_negative_offset_extended = 0x2f,
};

// True when the FDE describes a frame that exists at its very first instruction: it says where the
// CFA or saved registers are before its first advance.
bool starts_inside_frame(const Module& module, const FrameEntry& entry);

}  // namespace selfheal::image
