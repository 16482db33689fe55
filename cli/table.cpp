#include "cli/table.h"

#include <algorithm>

namespace selfheal::cli {
namespace {

constexpr size_t gap = 2;
constexpr size_t least_width = 8;  // a cut column keeps this much

std::string cut_to(const std::string& text, size_t width) {
  if (columns_of(text) <= width) {
    return text;
  }
  std::string result;
  size_t columns = 0;
  for (const char c : text) {
    const bool starts = (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (starts && ++columns > width - 2) {
      break;
    }
    result += c;
  }
  return result + "..";
}

}  // namespace

void Table::column(std::string title, Align align, Fit fit) {
  columns_.push_back({std::move(title), align, fit});
}

void Table::row(std::vector<Cell> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths(const Terminal& terminal) const {
  std::vector<size_t> result;
  size_t total = 0;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = columns_of(columns_[i].title);
    for (const auto& row : rows_) {
      width = std::max(width, columns_of(row[i].text));
    }
    result.push_back(width);
    total += width + (i != 0 ? gap : 0);
  }
  // Take one column at a time from the widest that may be cut.
  while (terminal.width != 0 && total > terminal.width) {
    size_t widest = columns_.size();
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (columns_[i].fit == Fit::cut && result[i] > least_width &&
          (widest == columns_.size() || result[i] > result[widest])) {
        widest = i;
      }
    }
    if (widest == columns_.size()) {
      break;
    }
    --result[widest];
    --total;
  }
  return result;
}

std::string Table::render(const Terminal& terminal) const {
  const std::vector<size_t> width = widths(terminal);
  std::string result;
  const auto add_line = [&](const auto& cell_at) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const Cell cell = cell_at(i);
      const std::string text = cut_to(cell.text, width[i]);
      const std::string space(width[i] - columns_of(text), ' ');
      const std::string painted = terminal.paint(cell.colour, text);
      line += columns_[i].align == Align::left ? painted + space : space + painted;
      if (i + 1 != columns_.size()) {
        line.append(gap, ' ');
      }
    }
    line.erase(line.find_last_not_of(' ') + 1);
    result += line + '\n';
  };
  add_line([&](size_t i) { return Cell{columns_[i].title, Colour::bold}; });
  for (const auto& row : rows_) {
    add_line([&](size_t i) { return row[i]; });
  }
  return result;
}

}  // namespace selfheal::cli
