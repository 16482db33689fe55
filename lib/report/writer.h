// Collects the lines of a report and passes them on whole (see report.h). Untrusted text goes
// through `name`, which lets no control character reach a terminal.
#pragma once

#include "lib/base/text.h"
#include "lib/base/types.h"
#include "lib/report/report.h"

namespace selfheal::report {

class Writer {
 public:
  explicit Writer(Sink sink) : sink_(sink), text_(buffer_, sizeof buffer_) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { flush(); }

  // Ends the line in `line` and empties it. A line too long for it was cut there: say so.
  void line(Text& line);

  void flush();

 private:
  static constexpr u64 capacity = 4096;

  Sink sink_;
  char buffer_[capacity];
  Text text_;
};

// The room for one line.
inline constexpr u64 line_capacity = 320;

// Starts a line "  label        ", 15 columns wide; an empty label continues the one above.
void label(Text& line, const char* text);

// At most `size` bytes of `s`, up to its NUL, with '?' for all that is not printable ASCII.
void name(Text& line, const char* s, u64 size);

void pad_to(Text& line, u64 column);

}  // namespace selfheal::report
