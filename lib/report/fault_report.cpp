#include "lib/report/detail.h"
#include "lib/report/disassembly.h"
#include "lib/report/operands.h"
#include "lib/report/place.h"
#include "lib/report/report.h"
#include "lib/report/sentence.h"
#include "lib/report/writer.h"

namespace selfheal::report {
namespace {

// One report being written.
class FaultReport {
 public:
  FaultReport(const FaultRecord& record, const Symbolizer& symbols, Sink sink)
      : record_(record),
        modules_(record.modules, record.module_count),
        symbols_(symbols),
        out_(sink),
        line_(buffer_, sizeof buffer_) {}

  void write(const Outlook& outlook) {
    write_headline();
    write_site();
    write_instruction();
    write_security();
    write_detail(record_, modules_, symbols_, out_);
    write_region();
    write_stack();
    write_kept(outlook.kept);
    write_next_time(outlook);
  }

 private:
  bool has_region() const { return record_.region.size != 0; }
  bool is_recursive() const {
    return record_.fault.kind == FaultKind::stack_exhaustion && record_.detail.stride != 0;
  }
  u8 instruction_size() const {
    const u8 most = sizeof record_.instruction;
    return record_.instruction_size <= most ? record_.instruction_size : most;
  }
  unsigned frame_count() const {
    return record_.frame_count <= max_frames ? record_.frame_count : max_frames;
  }

  void write_headline() {
    line_ << "selfheal: process ";
    line_.decimal(record_.pid);
    if (record_.tid != record_.pid) {
      line_ << " (thread ";
      line_.decimal(record_.tid) << ')';
    }
    line_ << ' ';
    say_fault(record_.fault, record_.instruction, instruction_size(), line_);
    if (record_.fault.signal != 0) {
      line_ << " (" << signal_name(record_.fault.signal) << ')';
    }
    out_.line(line_);
  }

  void write_security() {
    if (is_security_event(record_.fault.kind)) {
      label(line_, "security");
      line_ << "a security event: somebody may be trying to take control of the process";
      out_.line(line_);
    }
  }

  void write_site() {
    label(line_, "in");
    if (say_symbol(record_.site, false, modules_, symbols_, line_)) {
      line_ << ", ";
    }
    say_place(record_.site, modules_, line_);
    if (const RecordModule* module = modules_.of(record_.site); module != nullptr) {
      line_ << " (";
      say_module_id(module->id, line_);
      line_ << ')';
    } else {
      line_ << " (in no module)";
    }
    out_.line(line_);
  }

  void write_instruction() {
    label(line_, "instruction");
    const u8 size = instruction_size();
    if (size == 0) {
      line_ << "could not be read";
      out_.line(line_);
      return;
    }
    if (disassemble(record_.instruction, size, nowhere, line_) == 0) {
      line_ << "not a valid instruction: ";
      line_.bytes(record_.instruction, size);
      out_.line(line_);
      return;
    }
    out_.line(line_);
    write_operands(record_.instruction, size, record_.fault, out_);
  }

  void write_region() {
    label(line_, "function");
    if (!has_region()) {
      line_ << "none could be blamed";
      out_.line(line_);
      return;
    }
    if (say_symbol(record_.region.entry, false, modules_, symbols_, line_)) {
      line_ << ", ";
    }
    say_place(record_.region.entry, modules_, line_);
    line_ << ", ";
    line_.decimal(record_.region.size) << " bytes";
    if (record_.in_cold_part != 0) {
      line_ << "; the fault is in its split-off cold part";
    }
    if (record_.blamed_frame != 0) {
      line_ << "; blamed for what it called";
    }
    out_.line(line_);
  }

  void write_stack() {
    const unsigned count = frame_count();
    for (unsigned i = 0; i < count; ++i) {
      const CodeRef& frame = record_.frames[i];
      if (i != 0 && i == record_.detail.left_out_at) {
        label(line_, "");
        line_ << "… ";
        line_.decimal(record_.detail.left_out) << " frames of the recursion";
        out_.line(line_);
      }
      label(line_, i == 0 ? "stack" : "");
      line_ << '#';
      line_.decimal(i) << (i < 10 ? "  " : " ");
      say_place(frame, modules_, line_);
      write_symbol(frame, i != 0);
      if (has_region() && i == record_.blamed_frame) {
        line_ << "  <- blamed";
      }
      out_.line(line_);
    }
    if (count == 0) {
      label(line_, "stack");
      line_ << "could not be walked";
      out_.line(line_);
    }
  }

  void write_symbol(const CodeRef& frame, bool is_return) {
    char buffer[sizeof Symbol::name + 24];
    Text symbol(buffer, sizeof buffer);
    if (say_symbol(frame, is_return, modules_, symbols_, symbol)) {
      pad_to(line_, place_column);
      line_ << ' ' << symbol.c_str();
    }
  }

  void write_kept(Kept kept) {
    label(line_, "recorded");
    switch (kept) {
      case Kept::recorded:
        line_ << (record_.region.size != 0 ? "in the journal; `selfheal info` shows it again"
                                           : "in the journal; `selfheal list` names it");
        break;
      case Kept::journal_full:
        line_ << "no: the journal is full (`selfheal list`, run as the store's owner, makes room)";
        break;
      case Kept::no_journal:
        line_ << "no: there is no usable store";
        break;
    }
    out_.line(line_);
  }

  void write_next_time(const Outlook& outlook) {
    label(line_, "next time");
    switch (outlook.next_time) {
      case NextTime::heal:
        line_ << "calls of ";
        say_function(record_.region, modules_, symbols_, line_);
        line_ << (is_recursive()
                      ? " are refused when the stack is nearly used up; its caller gets an error"
                      : " are watched; this fault is rolled back and its caller gets an error");
        break;
      case NextTime::observe:
        line_ << "it is recorded again and not healed (mode=observe)";
        break;
      case NextTime::off:
        line_ << "nothing is done (mode=off)";
        break;
      case NextTime::disabled:
        line_ << "it is not healed: this region is disabled (`selfheal enable` turns it on)";
        break;
      case NextTime::no_region:
        line_ << "it is not healed: no function to blame is known";
        break;
      case NextTime::integrity:
        line_ << "it is not healed: a fault like this means the program's integrity is lost";
        break;
      case NextTime::refused:
        line_ << "it is not healed: its function cannot be patched";
        break;
      case NextTime::by_policy:
        line_ << "it is not healed";
        break;
    }
    if (outlook.reason != nullptr) {
      line_ << " (" << outlook.reason << ')';
    }
    out_.line(line_);
  }

  static constexpr u64 place_column = 48;

  const FaultRecord& record_;
  Modules modules_;
  const Symbolizer& symbols_;
  Writer out_;
  char buffer_[line_capacity];
  Text line_;
};

}  // namespace

Outlook default_outlook(const FaultRecord& record) {
  const FaultKind kind = record.fault.kind;
  if (kind == FaultKind::other_signal || (is_integrity(kind) && !is_foreseen_next_time(kind))) {
    return {Kept::recorded, NextTime::integrity, nullptr};
  }
  return {Kept::recorded, record.region.size == 0 ? NextTime::no_region : NextTime::heal, nullptr};
}

void render_fault(const FaultRecord& record, const Outlook& outlook, Symbolizer symbols,
                  Sink sink) {
  FaultReport(record, symbols, sink).write(outlook);
}

}  // namespace selfheal::report
