// One copy of the server in a cell: prepared, started, driven, measured and ended.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/campaign/household.h"
#include "cli/result.h"

namespace selfheal::cli::campaign {

// What the user said of the server.
struct Server {
  std::vector<std::string> command;
  std::string workload;
  std::string check;
  std::string prepare;  // "" for none
  std::string ready;    // "": something listens, and no process or thread came or went for a while
  std::vector<std::string> environment;
  milliseconds timeout{20'000};
  milliseconds linger{0};  // until its own time-outs have given back what clients left behind
};

// One line of the workload is NAME <TAB> ANSWER.
struct Answer {
  // By the first word. `refused` is a no that is the server's right (a wrong password's); an
  // `error` denies what it should not.
  enum class Kind : u8 { ok, refused, error };
  Kind kind = Kind::error;
  std::string text;  // all of it
  bool operator==(const Answer&) const = default;
};
Answer answer_of(std::string text);
// By name; a name that comes twice has "#2" behind it.
using Answers = std::map<std::string, Answer>;
Answers parse_answers(const std::string& text);

enum class WorkloadEnd : u8 { done, stopped, late };

class Copy {
 public:
  // `folder` is the copy's own; files of this run are in it with `run` in their names.
  Copy(Household& household, const Server& server, std::string folder);

  // Fails with what is wrong. The folder is filled anew by --prepare.
  Outcome prepare();

  struct How {
    std::string run;                   // names the run's files
    std::vector<std::string> runtime;  // more of the environment
    bool traced = false;
    std::function<bool()> hopeless;  // it will not become ready any more
  };
  // False: it ended, or did not become ready in time.
  bool start(const How& how);

  // Until its end, or until `enough` says to stop.
  WorkloadEnd workload(const std::function<bool()>& enough, Answers& answers);
  bool check();

  // Waits until nobody uses the processor and those that are not long-lived have gone. False: that
  // did not happen within three seconds.
  bool settle();
  // The same, as long as the server lingers.
  bool settle_at_last();

  // Waits for `done`, at most as long as the server lingers.
  void linger(const std::function<bool()>& done);

  // The processes that were there when the server was ready.
  const std::vector<Sight>& long_lived() const { return long_lived_; }
  std::vector<Sight> processes() const { return household_.processes(); }
  // Names of the long-lived ones that are gone.
  std::vector<std::string> gone() const;

  void end();

 private:
  Start start_of(const std::vector<std::string>& arguments, const std::string& name) const;
  std::optional<int> run_command(const std::string& command, const std::string& name,
                                 milliseconds limit);
  bool wait_until_ready(const std::function<bool()>& hopeless);
  bool listens() const;
  bool settle_within(milliseconds limit);
  // Looks now and then, as looking at /proc is slow. False: it was not `done` in time.
  bool look_until(const std::function<bool()>& done, milliseconds limit);
  Clock::time_point deadline() const { return Clock::now() + server_.timeout; }
  std::string filled_in(std::string text) const;

  Household& household_;
  const Server& server_;
  std::string folder_;
  std::string run_;
  unsigned workloads_ = 0;
  std::vector<Sight> long_lived_;
};

}  // namespace selfheal::cli::campaign
