#include "lib/report/writer.h"

namespace selfheal::report {

void Writer::line(Text& line) {
  if (text_.size() + line.size() + sizeof "...\n" > capacity) {
    flush();
  }
  text_ << line.c_str() << (line.cut() ? "...\n" : "\n");
  line.clear();
}

void Writer::flush() {
  if (text_.size() != 0) {
    sink_.write(sink_.context, text_.c_str(), text_.size());
    text_.clear();
  }
}

void label(Text& line, const char* text) {
  line << "  " << text;
  pad_to(line, 15);
}

void name(Text& line, const char* s, u64 size) {
  for (u64 i = 0; i < size && s[i] != '\0'; ++i) {
    line << (s[i] >= 0x20 && s[i] < 0x7f ? s[i] : '?');
  }
}

void pad_to(Text& line, u64 column) {
  while (line.size() < column && !line.cut()) {
    line << ' ';
  }
}

}  // namespace selfheal::report
