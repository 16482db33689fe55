// The figures of a campaign, as tables and as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/campaign/schedule.h"
#include "cli/terminal.h"

namespace selfheal::cli::campaign {

// Wilson's score interval for `good` of `all`, 95% (Brown, Cai, DasGupta 2001), as fractions.
struct Interval {
  double low;
  double high;
};
Interval wilson(size_t good, size_t all);

struct Totals {
  size_t counted = 0;
  size_t survived = 0;
  double rate() const {
    return counted == 0 ? 1 : static_cast<double>(survived) / static_cast<double>(counted);
  }
};
Totals totals_of(const std::vector<Finding>& findings);

// How many were survived in the second run already, in the third, ...; empty when there was none
// after the second.
std::string by_run_text(const std::vector<Finding>& findings);

// "232 of 240 faults survived: 96.7% (95% interval 93.6% to 98.3%)"
std::string survival_text(const Totals& totals);

// By kind, by module and by position, and every miss; at last `replay`, which runs one again.
std::string report_text(const std::vector<Finding>& findings, const std::string& replay,
                        const Terminal& terminal);

Json report_json(const std::vector<Finding>& findings);

}  // namespace selfheal::cli::campaign
