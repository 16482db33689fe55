#include "lib/recover/cfi_row.h"

#include "lib/image/reader.h"

namespace selfheal::recover {
namespace {

using image::FrameEntry;
using image::Module;
using image::Reader;

constexpr unsigned max_remembered = 8;

// The virtual machine of DWARF 5, 6.4.2. One run a row; nothing is kept.
class Machine {
 public:
  Machine(const Module& module, const FrameEntry& entry, u64 address, Row& row)
      : module_(module), entry_(entry), address_(address), location_(entry.start), row_(row) {}

  bool run() {
    row_ = Row{};
    if (!execute(entry_.initial_begin, entry_.initial_end)) {
      return false;
    }
    initial_ = row_;
    location_ = entry_.start;
    return execute(entry_.begin, entry_.end);
  }

 private:
  bool execute(u64 begin, u64 end) {
    if (begin == end) {
      return true;
    }
    Reader reader(module_, begin, end);
    while (reader.left() != 0) {
      if (!instruction(reader)) {
        return false;
      }
      if (location_ > address_) {
        return true;  // the row before this location is the one
      }
    }
    return reader.ok();
  }

  bool instruction(Reader& reader) {
    const u8 op = reader.read<u8>();
    const u8 operand = op & 0x3f;
    switch (op & 0xc0) {
      case image::cfa_advance_loc:
        return advance(operand);
      case image::cfa_offset:
        return set(operand, Rule::offset, factored(reader.uleb()));
      case image::cfa_restore:
        return restore(operand);
      default:
        return extended(op, reader) && reader.ok();
    }
  }

  bool extended(u8 op, Reader& reader) {
    switch (op) {
      case image::cfa_nop:
        return true;
      case image::cfa_set_loc:
        location_ = reader.encoded(entry_.pointer_encoding);
        return true;
      case image::cfa_advance_loc1:
        return advance(reader.read<u8>());
      case image::cfa_advance_loc2:
        return advance(reader.read<u16>());
      case image::cfa_advance_loc4:
        return advance(reader.read<u32>());
      case image::cfa_remember_state:
        if (remembered_ == max_remembered) {
          return false;
        }
        saved_[remembered_++] = row_;
        return true;
      case image::cfa_restore_state:
        if (remembered_ == 0) {
          return false;
        }
        row_ = saved_[--remembered_];
        return true;
      case image::cfa_gnu_args_size:
        row_.arguments_size = reader.uleb();
        return true;
      case image::cfa_restore_extended:
        return restore(reader.uleb());
      case image::cfa_undefined:
        return set(reader.uleb(), Rule::undefined, 0);
      case image::cfa_same_value:
        return set(reader.uleb(), Rule::same, 0);
      default:
        return canonical_frame_address(op, reader) || saved_register(op, reader);
    }
  }

  bool canonical_frame_address(u8 op, Reader& reader) {
    switch (op) {
      case image::cfa_def_cfa:
        row_.cfa_register = reader.uleb();
        row_.cfa_offset = reader.uleb();
        break;
      case image::cfa_def_cfa_sf:
        row_.cfa_register = reader.uleb();
        row_.cfa_offset = factored(static_cast<u64>(reader.sleb()));
        break;
      case image::cfa_def_cfa_register:
        row_.cfa_register = reader.uleb();
        break;
      case image::cfa_def_cfa_offset:
        row_.cfa_offset = reader.uleb();
        break;
      case image::cfa_def_cfa_offset_sf:
        row_.cfa_offset = factored(static_cast<u64>(reader.sleb()));
        break;
      case image::cfa_def_cfa_expression:
        row_.cfa_by_expression = true;
        row_.cfa_expression = reader.at();
        reader.skip(reader.uleb());
        return true;
      default:
        return false;
    }
    row_.cfa_by_expression = false;
    return true;
  }

  bool saved_register(u8 op, Reader& reader) {
    const u64 number = reader.uleb();
    const u64 position = reader.at();
    switch (op) {
      case image::cfa_offset_extended:
        return set(number, Rule::offset, factored(reader.uleb()));
      case image::cfa_offset_extended_sf:
        return set(number, Rule::offset, factored(static_cast<u64>(reader.sleb())));
      case image::cfa_gnu_negative_offset_extended:
        return set(number, Rule::offset, -factored(reader.uleb()));
      case image::cfa_val_offset:
        return set(number, Rule::value_offset, factored(reader.uleb()));
      case image::cfa_val_offset_sf:
        return set(number, Rule::value_offset, factored(static_cast<u64>(reader.sleb())));
      case image::cfa_register:
        return set(number, Rule::other_register, reader.uleb());
      case image::cfa_expression:
        reader.skip(reader.uleb());
        return set(number, Rule::expression, position);
      case image::cfa_val_expression:
        reader.skip(reader.uleb());
        return set(number, Rule::value_expression, position);
      default:
        return false;
    }
  }

  bool advance(u64 delta) {
    location_ += delta * entry_.code_alignment;
    return true;
  }

  // Vector registers (17 and up) have rules in rare code; nothing here needs them.
  bool set(u64 number, Rule::Kind kind, u64 value) {
    if (number < dwarf_register_count) {
      row_.rules[number] = {kind, value};
    }
    return true;
  }

  bool restore(u64 number) {
    if (number < dwarf_register_count) {
      row_.rules[number] = initial_.rules[number];
    }
    return true;
  }

  u64 factored(u64 value) const { return value * static_cast<u64>(entry_.data_alignment); }

  const Module& module_;
  const FrameEntry& entry_;
  u64 address_;
  u64 location_;
  Row& row_;
  Row initial_{};
  Row saved_[max_remembered];
  unsigned remembered_ = 0;
};

}  // namespace

bool find_row(const Module& module, const FrameEntry& entry, u64 address, Row& row) {
  return Machine(module, entry, address, row).run();
}

}  // namespace selfheal::recover
