#include "cli/rehearsal.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "cli/catalog_change.h"
#include "cli/process_tree.h"
#include "cli/server_process.h"
#include "cli/terminal.h"
#include "cli/timed_command.h"
#include "cli/wait_status.h"
#include "lib/store/edit.h"

namespace selfheal::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using store::Verdict;

constexpr milliseconds pause{20};
constexpr u64 memory_slack = u64{16} << 20;

// A folder that goes when we do.
class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "selfheal-verify-XXXXXX").string();
    path_ = mkdtemp(pattern.data()) != nullptr ? pattern : "";
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) {
      fs::remove_all(path_, ignored);
    }
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Use {
  u64 descriptors = 0;
  u64 threads = 0;
  u64 memory = 0;
};

Use use_of(const std::vector<pid_t>& processes) {
  Use use;
  for (const pid_t pid : processes) {
    std::error_code ignored;
    for (fs::directory_iterator at(fmt::format("/proc/{}/fd", pid), ignored), end;
         !ignored && at != end; at.increment(ignored)) {
      ++use.descriptors;
    }
    use.threads += threads_of(pid).size();
    use.memory += resident_bytes(pid);
  }
  return use;
}

std::string growth(const Use& before, const Use& after, unsigned requests) {
  if (after.descriptors >= before.descriptors + requests) {
    return fmt::format("descriptors {} -> {}", before.descriptors, after.descriptors);
  }
  if (after.threads >= before.threads + requests) {
    return fmt::format("threads {} -> {}", before.threads, after.threads);
  }
  if (after.memory > before.memory + memory_slack) {
    return fmt::format("memory {} -> {} MiB", before.memory >> 20, after.memory >> 20);
  }
  return "";
}

// A store like the live one, but that the candidate is the user's choice.
Outcome prepare_store(const OpenStore& live, const store::CatalogEntry& entry,
                      store::Candidate candidate, const std::string& path) {
  store::Error error;
  store::OpenRequest request;
  request.path = path.c_str();
  OpenStore copy;
  if (!store::open_store(request, copy.store, error)) {
    return fail(error.c_str());
  }
  std::error_code ignored;
  fs::copy_file(live.place.path + "/" + store::rules_name, path + "/" + store::rules_name, ignored);
  return change_catalog(copy.store, [&](store::CatalogEditor& editor) {
    for (store::CatalogEntry other : live.store.catalog.entries()) {
      if (other.id == entry.id) {
        other = entry;
        other.enabled = 1;
        other.level = candidate.level;
        other.value_slot = static_cast<u8>(candidate.slot);
        other.level_by_user = 1;
        other.value_set = other.error_set = 0;
      }
      editor.insert(other);
    }
  });
}

class Trial {
 public:
  Trial(const OpenStore& live, const store::CatalogEntry& entry, store::Candidate candidate,
        const Reproducer& reproducer)
      : live_(live), entry_(entry), candidate_(candidate), reproducer_(reproducer) {}

  Result<Rehearsal> run() {
    const Clock::time_point begin = Clock::now();
    if (folder_.path().empty()) {
      return fail("no temporary folder can be made; set TMPDIR");
    }
    const std::string store = folder_.path() + "/store";
    if (const Outcome made = prepare_store(live_, entry_, candidate_, store); !made) {
      return tl::unexpected(made.error());
    }
    const Result<Launch> launch =
        launch_with_library(reproducer_.server, store, "heals-per-minute=0");
    if (!launch) {
      return tl::unexpected(launch.error());
    }
    ServerProcess server(*launch, reproducer_.input,
                         reproducer_.input.empty() ? "" : answer_file());
    if (const Outcome started = server.start(); !started) {
      return tl::unexpected(started.error());
    }
    // With the whole of its input to work on, a server is asked as soon as it runs.
    if (reproducer_.input.empty()) {
      const Readiness readiness{reproducer_.ready, reproducer_.port, reproducer_.timeout,
                                reproducer_.server.environment};
      if (const Outcome ready = wait_until_ready(server, readiness); !ready) {
        return tl::unexpected(ready.error());
      }
    }
    const bool whole = ask(server);
    server.end();
    read_records(store, whole);
    result_.took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
    return result_;
  }

 private:
  // False: the verdict is there.
  bool ask(ServerProcess& server) {
    if (!request_once(server)) {
      return false;
    }
    if (!reproducer_.input.empty()) {
      return check();
    }
    if (server.ended()) {
      return judge(Verdict::crashed, "the server " + ending_of(server.wait_status()));
    }
    if (!check()) {
      return false;
    }
    const Use before = use_of(server.processes());
    for (unsigned i = 0; i < reproducer_.repeat; ++i) {
      if (!request_once(server)) {
        return false;
      }
    }
    const std::string grown =
        growth(before, use_of(server.processes()), std::max(reproducer_.repeat, 1U));
    if (!grown.empty() && reproducer_.repeat != 0) {
      return judge(Verdict::leaked, grown);
    }
    return server.ended() ? judge(Verdict::crashed, "the server " + ending_of(server.wait_status()))
                          : check();
  }

  bool request_once(ServerProcess& server) {
    if (!reproducer_.input.empty()) {
      return wait_for_end(server);
    }
    const CommandEnd end =
        reproducer_.request_file.empty()
            ? run_command(reproducer_.request, reproducer_.server.environment, reproducer_.timeout)
            : send_request(contents_of(reproducer_.request_file), reproducer_.port,
                           reproducer_.timeout);
    std::ofstream(answer_file(), std::ios::binary | std::ios::trunc) << end.output;
    answer_status_ = end.wait_status;
    // A connection that is cut says nothing yet: the server may refuse that way.
    return end.late ? judge(Verdict::hung, "no answer in time") : true;
  }

  bool wait_for_end(ServerProcess& server) {
    const Clock::time_point deadline = Clock::now() + reproducer_.timeout;
    while (!server.ended()) {
      if (Clock::now() >= deadline) {
        return judge(Verdict::hung, "it did not come to the end of its input");
      }
      std::this_thread::sleep_for(pause);
    }
    return server.wait_status() == 0 ||
           judge(Verdict::crashed, "the program " + ending_of(server.wait_status()));
  }

  bool check() {
    if (reproducer_.check.empty()) {
      return true;
    }
    std::vector<std::string> environment = reproducer_.server.environment;
    set_variable(environment, "SELFHEAL_ANSWER", answer_file());
    set_variable(environment, "SELFHEAL_ANSWER_STATUS",
                 std::to_string(exit_status_of(answer_status_)));
    const CommandEnd end = run_command(reproducer_.check, environment, reproducer_.timeout);
    if (end.late) {
      return judge(Verdict::hung, "the check did not end in time");
    }
    const std::string words = last_line(end.output, 100);
    return end.good() ||
           judge(Verdict::wrong, "the check says no" + (words.empty() ? "" : ": " + words));
  }

  bool judge(Verdict verdict, std::string detail) {
    result_.verdict = verdict;
    result_.detail = std::move(detail);
    return false;
  }

  // A fault that nobody healed is the reason for whatever else was seen.
  void read_records(const std::string& path, bool whole) {
    OpenStore left;
    left.place.path = path;
    store::OpenRequest request;
    request.path = path.c_str();
    request.create = false;
    store::Error error;
    if (!store::open_store(request, left.store, error)) {
      judge(Verdict::none, error.c_str());
      return;
    }
    const u64 key = store::candidate_key(entry_.id, candidate_);
    std::optional<FaultRecord> fault;
    for_each_record(left, [&](const store::Slot& slot) {
      if (slot.kind == store::RecordKind::fault) {
        fault = slot.fault;
      } else if (slot.heal.candidate == key) {
        result_.unfit |= slot.heal.outcome == HealOutcome::unfit;
        if (slot.heal.outcome == HealOutcome::healed) {
          result_.reproduced = true;
          result_.value = slot.heal.value;
          result_.reason = slot.heal.reason;
        }
      }
    });
    if (result_.unfit) {
      judge(Verdict::none, "its function is no rescue point");
    } else if (fault) {
      const bool hangs = fault->fault.kind == FaultKind::time_out;
      judge(hangs ? Verdict::hung : Verdict::crashed,
            fmt::format("{} at {}", name_of(fault->fault.kind), hex_place(*fault)));
    } else if (whole) {
      if (result_.reproduced) {
        judge(Verdict::healed, "");
      } else {
        judge(Verdict::none, "the fault was not reproduced");
      }
    }
  }

  static std::string hex_place(const FaultRecord& fault) {
    const u8 module = fault.site.module;
    return fmt::format("{}+{:#x}",
                       module < fault.module_count && module < max_record_modules
                           ? fault.modules[module].name
                           : "?",
                       fault.site.offset);
  }

  std::string answer_file() const { return folder_.path() + "/answer"; }

  const OpenStore& live_;
  const store::CatalogEntry& entry_;
  store::Candidate candidate_;
  const Reproducer& reproducer_;
  Folder folder_;
  Rehearsal result_;
  int answer_status_ = 0;
};

}  // namespace

Result<Rehearsal> rehearse(const OpenStore& live, const store::CatalogEntry& entry,
                           store::Candidate candidate, const Reproducer& reproducer) {
  return Trial(live, entry, candidate, reproducer).run();
}

}  // namespace selfheal::cli
