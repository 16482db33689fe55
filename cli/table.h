// A table for people: columns as wide as their longest cell, narrowed to the terminal where there
// is one. In a pipe nothing is cut, so that grep and awk see everything.
#pragma once

#include <string>
#include <vector>

#include "cli/terminal.h"

namespace selfheal::cli {

enum class Align { left, right };

// What may happen to a column that finds no room.
enum class Fit { keep, cut };

struct Cell {
  std::string text;
  Colour colour = Colour::none;
};

class Table {
 public:
  void column(std::string title, Align align = Align::left, Fit fit = Fit::keep);
  void row(std::vector<Cell> cells);

  // The whole table, header first, each line ended by a newline.
  std::string render(const Terminal& terminal) const;

 private:
  struct Column {
    std::string title;
    Align align;
    Fit fit;
  };

  std::vector<size_t> widths(const Terminal& terminal) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace selfheal::cli
