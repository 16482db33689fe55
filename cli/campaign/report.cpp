#include "cli/campaign/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/core.h>
#include <map>

#include "cli/table.h"

namespace selfheal::cli::campaign {
namespace {

struct Row {
  std::array<size_t, verdict_count> counts{};

  void add(Verdict verdict) { ++counts[static_cast<size_t>(verdict)]; }
  size_t of(Verdict verdict) const { return counts[static_cast<size_t>(verdict)]; }

  Totals totals() const {
    Totals result;
    for (size_t i = 0; i < verdict_count; ++i) {
      const auto verdict = static_cast<Verdict>(i);
      result.counted += campaign::counts(verdict) ? counts[i] : 0;
      result.survived += campaign::survived(verdict) ? counts[i] : 0;
    }
    return result;
  }
};

using Rows = std::map<std::string, Row>;

Rows rows_by(const std::vector<Finding>& findings, std::string Finding::*field) {
  Rows rows;
  for (const Finding& finding : findings) {
    rows[finding.*field].add(finding.verdict);
  }
  return rows;
}

std::string percent(double part) {
  return fmt::format("{:.1f}%", 100 * part);
}

std::string table_of(const char* title, const Rows& rows, const Row* sum,
                     const Terminal& terminal) {
  Table table;
  table.column(title);
  table.column("FAULTS", Align::right);
  for (size_t i = 0; i < verdict_count; ++i) {
    table.column(name_of(static_cast<Verdict>(i)), Align::right);
  }
  table.column("SURVIVED", Align::right);
  const auto line = [&](const std::string& name, const Row& row) {
    const Totals totals = row.totals();
    std::vector<Cell> cells = {{name}, {fmt::format("{}", totals.counted)}};
    for (const size_t count : row.counts) {
      cells.push_back({count == 0 ? "-" : fmt::format("{}", count)});
    }
    cells.push_back({totals.counted == 0 ? "-" : percent(totals.rate())});
    table.row(std::move(cells));
  };
  for (const auto& [name, row] : rows) {
    line(name, row);
  }
  if (sum != nullptr) {
    line("all", *sum);
  }
  return table.render(terminal);
}

Json json_rows(const Rows& rows) {
  Json result = Json::object();
  for (const auto& [name, row] : rows) {
    Json counts = Json::object();
    for (size_t i = 0; i < verdict_count; ++i) {
      counts[name_of(static_cast<Verdict>(i))] = row.counts[i];
    }
    result[name] = std::move(counts);
  }
  return result;
}

}  // namespace

Interval wilson(size_t good, size_t all) {
  if (all == 0) {
    return {0, 1};
  }
  const double z = 1.959964;
  const double n = static_cast<double>(all);
  const double p = static_cast<double>(good) / n;
  const double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  const double half = z / (1 + z * z / n) * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return {std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Totals totals_of(const std::vector<Finding>& findings) {
  Row sum;
  for (const Finding& finding : findings) {
    sum.add(finding.verdict);
  }
  return sum.totals();
}

std::string survival_text(const Totals& totals) {
  const Interval interval = wilson(totals.survived, totals.counted);
  return fmt::format("{} of {} faults survived: {} (95% interval {} to {})", totals.survived,
                     totals.counted, percent(totals.rate()), percent(interval.low),
                     percent(interval.high));
}

std::string by_run_text(const std::vector<Finding>& findings) {
  std::map<unsigned, size_t> survivors;
  for (const Finding& finding : findings) {
    if (survived(finding.verdict)) {
      ++survivors[finding.run];
    }
  }
  if (survivors.empty() || survivors.rbegin()->first <= 2) {
    return "";
  }
  const size_t counted = totals_of(findings).counted;
  std::string text;
  size_t sum = 0;
  for (const auto& [run, count] : survivors) {
    sum += count;
    text += fmt::format("{} run {}: {} ({})", text.empty() ? "survived by" : ", by", run, sum,
                        percent(static_cast<double>(sum) / static_cast<double>(counted)));
  }
  return text + "\n";
}

std::string report_text(const std::vector<Finding>& findings, const std::string& replay,
                        const Terminal& terminal) {
  Row sum;
  for (const Finding& finding : findings) {
    sum.add(finding.verdict);
  }
  std::string text = table_of("KIND", rows_by(findings, &Finding::kind), &sum, terminal) + "\n" +
                     table_of("MODULE", rows_by(findings, &Finding::module), nullptr, terminal) +
                     "\n" +
                     table_of("PLACE", rows_by(findings, &Finding::position), nullptr, terminal) +
                     "\n" + survival_text(sum.totals()) + "\n";
  text += by_run_text(findings);
  bool missed = false;
  for (const Finding& finding : findings) {
    if (counts(finding.verdict) && !survived(finding.verdict)) {
      missed = true;
      text += fmt::format("\n{}  {} in run {}: {}\n  in {}, first {}\n  files: {}\n", finding.id,
                          name_of(finding.verdict), finding.run, printable(finding.what),
                          printable(finding.function),
                          printable(finding.first.value("faults", Json::array()).dump()),
                          finding.folder);
    }
  }
  if (missed) {
    text += fmt::format("\nOne of them again:\n  {}\n", replay);
  }
  return text;
}

Json report_json(const std::vector<Finding>& findings) {
  const Totals totals = totals_of(findings);
  const Interval interval = wilson(totals.survived, totals.counted);
  Json all = Json::array();
  for (const Finding& finding : findings) {
    all.push_back(json_finding(finding));
  }
  return {{"counted", totals.counted},
          {"survived", totals.survived},
          {"rate", totals.rate()},
          {"interval", {interval.low, interval.high}},
          {"by_kind", json_rows(rows_by(findings, &Finding::kind))},
          {"by_module", json_rows(rows_by(findings, &Finding::module))},
          {"by_place", json_rows(rows_by(findings, &Finding::position))},
          {"faults", std::move(all)}};
}

}  // namespace selfheal::cli::campaign
