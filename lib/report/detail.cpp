#include "lib/report/detail.h"

namespace selfheal::report {
namespace {

class DetailLines {
 public:
  DetailLines(const FaultDetail& detail, const Modules& modules, const Symbolizer& symbols,
              Writer& out)
      : detail_(detail),
        modules_(modules),
        symbols_(symbols),
        out_(out),
        line_(buffer_, sizeof buffer_) {}

  void write(FaultKind kind) {
    write_message();
    switch (kind) {
      case FaultKind::bad_free:
      case FaultKind::heap_overflow:
      case FaultKind::use_after_free:
        write_chunk();
        break;
      case FaultKind::time_out:
        write_time();
        break;
      case FaultKind::memory_growth:
        write_growth();
        break;
      case FaultKind::stack_exhaustion:
        write_recursion();
        break;
      default:
        break;
    }
  }

 private:
  void write_message() {
    if (detail_.message[0] == '\0') {
      return;
    }
    label(line_, "message");
    name(line_, detail_.message, sizeof detail_.message);
    out_.line(line_);
  }

  void write_chunk() {
    if (detail_.chunk_size == 0) {
      return;
    }
    label(line_, "chunk");
    line_.decimal(detail_.chunk_size) << " bytes; the address is ";
    say_offset();
    out_.line(line_);
    write_call("allocated at ", detail_.allocated_at);
    write_call("freed at ", detail_.freed_at);
  }

  void say_offset() {
    const i64 offset = detail_.chunk_offset;
    if (offset < 0) {
      line_.decimal(0 - static_cast<u64>(offset)) << " bytes before it";
    } else if (static_cast<u64>(offset) >= detail_.chunk_size) {
      line_.decimal(static_cast<u64>(offset) - detail_.chunk_size) << " bytes behind its end";
    } else {
      line_ << "its byte ";
      line_.signed_decimal(offset);
    }
  }

  void write_call(const char* what, const CodeRef& call) {
    if (modules_.of(call) == nullptr) {
      return;
    }
    label(line_, "");
    line_ << what;
    say_call(call);
    out_.line(line_);
  }

  void say_call(const CodeRef& call) {
    if (say_symbol(call, true, modules_, symbols_, line_)) {
      line_ << ", ";
    }
    say_place(call, modules_, line_);
  }

  void write_time() {
    if (detail_.used == 0) {
      return;
    }
    constexpr u64 millisecond = 1'000'000;
    label(line_, "time");
    line_.decimal(detail_.used / millisecond) << " ms of processor time; seen there ";
    line_.decimal(detail_.samples) << (detail_.samples == 1 ? " time" : " times");
    out_.line(line_);
  }

  void write_growth() {
    label(line_, "memory");
    line_.decimal(detail_.used >> 10) << " KiB taken";
    out_.line(line_);
  }

  void write_recursion() {
    if (detail_.cycle == 0) {
      return;
    }
    label(line_, "recursion");
    line_.decimal(detail_.cycle) << (detail_.cycle == 1 ? " function" : " functions");
    line_ << " calling on and on, on ";
    line_.decimal(detail_.used >> 10) << " KiB of stack";
    out_.line(line_);
    write_call("begun by the call at ", detail_.outermost_call);
  }

  const FaultDetail& detail_;
  const Modules& modules_;
  const Symbolizer& symbols_;
  Writer& out_;
  char buffer_[line_capacity];
  Text line_;
};

}  // namespace

void write_detail(const FaultRecord& record, const Modules& modules, const Symbolizer& symbols,
                  Writer& out) {
  DetailLines(record.detail, modules, symbols, out).write(record.fault.kind);
}

}  // namespace selfheal::report
