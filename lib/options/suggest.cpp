#include "lib/options/suggest.h"

#include <algorithm>
#include <array>

#include "lib/base/view.h"

namespace selfheal::options {

unsigned edit_distance(std::string_view a, std::string_view b) {
  constexpr unsigned longest = 63;
  a = head(a, longest);
  b = head(b, longest);
  using Row = std::array<unsigned, longest + 1>;
  // Three rows of the table: a swap looks back two.
  Row rows[3] = {};
  for (unsigned j = 0; j <= b.size(); ++j) {
    rows[0][j] = j;
  }
  for (unsigned i = 1; i <= a.size(); ++i) {
    Row& now = rows[i % 3];
    const Row& last = rows[(i + 2) % 3];
    const Row& before_last = rows[(i + 1) % 3];
    now[0] = i;
    for (unsigned j = 1; j <= b.size(); ++j) {
      const unsigned replaced = last[j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0);
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        now[j] = std::min(now[j], before_last[j - 2] + 1);
      }
    }
  }
  return rows[a.size() % 3][b.size()];
}

}  // namespace selfheal::options
