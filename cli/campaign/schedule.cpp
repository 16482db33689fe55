#include "cli/campaign/schedule.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <optional>
#include <poll.h>
#include <unistd.h>

#include "cli/campaign/cell.h"

namespace selfheal::cli::campaign {
namespace {

namespace fs = std::filesystem;

struct Flight {
  size_t index;
  Cell cell;
  std::string folder;
  std::string text;
};

Finding describe(const Candidate& candidate) {
  Finding finding;
  const Binary& binary = *candidate.target->binary;
  finding.id = candidate.id();
  finding.module = binary.name();
  finding.function = binary.function_name(candidate.place.function);
  finding.position = name_of(candidate.place.position);
  finding.kind = name_of(candidate.kind);
  return finding;
}

// False when `json` is none of ours.
bool take_result(const Json& json, Finding& finding) {
  const std::optional<Verdict> verdict = verdict_named(json.value("verdict", ""));
  if (!verdict) {
    return false;
  }
  finding.verdict = *verdict;
  finding.what = json.value("what", "");
  finding.run = json.value("run", 1u);
  finding.folder = json.value("folder", "");
  finding.first = json.value("first", Json());
  finding.last = json.value("last", Json());
  return true;
}

class Runner {
 public:
  Runner(const Setting& setting, const std::vector<Candidate>& candidates, const Schedule& schedule)
      : setting_(setting),
        candidates_(candidates),
        schedule_(schedule),
        findings_(candidates.size()),
        results_(schedule.folder + "/results.jsonl", std::ios::app) {}

  Result<std::vector<Finding>> run() {
    size_t next = 0;
    for (;;) {
      while (next < candidates_.size() && counted_ + flights_.size() < schedule_.sample) {
        if (take_known(next)) {
          ++next;
        } else if (flights_.size() >= schedule_.jobs) {
          break;
        } else if (const Outcome started = launch(next++); !started) {
          return end_with(started.error());
        }
      }
      if (flights_.empty()) {
        break;
      }
      if (const Outcome landed = land_some(); !landed) {
        return end_with(landed.error());
      }
    }
    std::vector<Finding> result;
    for (size_t i = 0; i < next; ++i) {
      result.push_back(std::move(*findings_[i]));
    }
    return result;
  }

 private:
  // What an earlier start found, and what coverage tells already.
  bool take_known(size_t index) {
    Finding finding = describe(candidates_[index]);
    const auto known = schedule_.done.find(finding.id);
    if (known != schedule_.done.end() && take_result(known->second, finding)) {
      note(index, std::move(finding), false);
      return true;
    }
    const Candidate& candidate = candidates_[index];
    if (candidate.seen == Seen::start_up && candidate.kind != Kind::invert) {
      finding.verdict = Verdict::start_up;
      finding.what = "executed before the server is ready";
      note(index, std::move(finding), false);
      return true;
    }
    return false;
  }

  Outcome launch(size_t index) {
    const Candidate& candidate = candidates_[index];
    std::string name = candidate.id();
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '+' || c == ':'; }, '-');
    const std::string folder = fmt::format("{}/faults/{}", schedule_.folder, name);
    std::error_code error;
    fs::remove_all(folder, error);
    fs::create_directories(folder, error);
    if (error) {
      return fail(fmt::format("cannot make '{}': {}", folder, error.message()));
    }
    const Binary& binary = *candidate.target->binary;
    const std::string changed = folder + "/" + binary.name();
    if (const Outcome written =
            binary.write_changed(changed, {patch_for(candidate.kind, candidate.place, binary)});
        !written) {
      return written;
    }
    const Result<Cell> cell = start_cell(
        [&] { return try_fault(setting_, folder, candidate.kind, changed, binary.path()); });
    if (!cell) {
      return tl::unexpected(cell.error());
    }
    flights_.push_back({index, *cell, folder, ""});
    return 0;
  }

  Outcome land_some() {
    std::vector<pollfd> ends;
    for (const Flight& flight : flights_) {
      ends.push_back({flight.cell.result, POLLIN, 0});
    }
    if (poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR) {
      return fail(fmt::format("cannot wait for a cell: {}", std::strerror(errno)));
    }
    for (size_t i = ends.size(); i-- > 0;) {
      if (ends[i].revents != 0 && !more_text(flights_[i])) {
        Flight flight = std::move(flights_[i]);
        flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(i));
        if (const Outcome landed = land(flight); !landed) {
          return landed;
        }
      }
    }
    return 0;
  }

  static bool more_text(Flight& flight) {
    std::array<char, 65536> buffer;
    const ssize_t size = read(flight.cell.result, buffer.data(), buffer.size());
    if (size > 0) {
      flight.text.append(buffer.data(), static_cast<size_t>(size));
    }
    return size > 0 || (size < 0 && errno == EINTR);
  }

  Outcome land(Flight& flight) {
    finish_cell(flight.cell);
    Finding finding = describe(candidates_[flight.index]);
    const Json json = Json::parse(flight.text, nullptr, false);
    if (json.is_discarded() || !take_result(json, finding)) {
      return fail(fmt::format("the cell of {} failed: {} (its files: {})", finding.id,
                              json.is_object() ? json.value("error", "") : "no result",
                              flight.folder));
    }
    const bool miss = counts(finding.verdict) && !survived(finding.verdict);
    std::error_code ignored;
    if (schedule_.keep || miss) {
      finding.folder = flight.folder;
    } else {
      fs::remove_all(flight.folder, ignored);
    }
    note(flight.index, std::move(finding), true);
    return 0;
  }

  void note(size_t index, Finding finding, bool fresh) {
    if (fresh) {
      results_ << json_finding(finding).dump() << std::endl;
    }
    counted_ += counts(finding.verdict) ? 1 : 0;
    if (fresh) {
      schedule_.report(finding, counted_);
    }
    findings_[index] = std::move(finding);
  }

  tl::unexpected<Failure> end_with(const Failure& failure) {
    for (Flight& flight : flights_) {
      finish_cell(flight.cell);
    }
    return tl::unexpected(failure);
  }

  const Setting& setting_;
  const std::vector<Candidate>& candidates_;
  const Schedule& schedule_;
  std::vector<std::optional<Finding>> findings_;
  std::vector<Flight> flights_;
  std::ofstream results_;
  size_t counted_ = 0;
};

}  // namespace

Json json_finding(const Finding& finding) {
  return {{"id", finding.id},
          {"module", finding.module},
          {"function", finding.function},
          {"position", finding.position},
          {"kind", finding.kind},
          {"verdict", name_of(finding.verdict)},
          {"what", finding.what},
          {"run", finding.run},
          {"folder", finding.folder},
          {"first", finding.first},
          {"last", finding.last}};
}

Result<std::map<std::string, Json>> earlier_results(const std::string& file,
                                                    const std::string& head) {
  std::map<std::string, Json> results;
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line)) {
    std::ofstream(file) << head << '\n';
    return results;
  }
  if (line != head) {
    return fail(
        fmt::format("'{}' has results of another campaign (server, workload, seed, faults "
                    "or files are different); name another --output",
                    file));
  }
  bool torn = false;
  while (std::getline(in, line)) {
    torn = in.eof();  // no newline behind it
    const Json json = Json::parse(line, nullptr, false);
    if (!torn && json.is_object() && json.contains("id")) {
      results[json["id"].get<std::string>()] = json;
    }
  }
  if (torn) {
    std::ofstream(file, std::ios::app) << '\n';
  }
  return results;
}

Result<std::vector<Finding>> try_all(const Setting& setting,
                                     const std::vector<Candidate>& candidates,
                                     const Schedule& schedule) {
  return Runner(setting, candidates, schedule).run();
}

}  // namespace selfheal::cli::campaign
