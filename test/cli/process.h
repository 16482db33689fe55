// Runs a program and waits for what it says or how it ends, each with a deadline.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace selfheal::cli::test {

using Arguments = std::vector<std::string>;
// On top of this process's environment; no value: not set.
using Changes = std::map<std::string, std::optional<std::string>>;

struct Finished {
  int status = -1;  // exit status; 128+n when signal n ended it; -1 on time-out
  std::string out;
  std::string err;
};

class Process {
 public:
  // With `terminal`, all three descriptors are a new terminal of `columns`, which is the session's.
  struct Terminal {
    unsigned short columns = 80;
  };

  explicit Process(const Arguments& arguments, const Changes& changes = {},
                   std::optional<Terminal> terminal = std::nullopt);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();  // kills what still runs

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  void type(const std::string& keys) const;  // on the terminal

  // Waits until `text` has come on stdout (or the terminal), `count` times. False: it did not come.
  bool says(const std::string& text, size_t count = 1);
  bool complains(const std::string& text, size_t count = 1);  // on stderr

  // Waits for a stop (WIFSTOPPED).
  bool stops();

  Finished finish();

  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }

 private:
  bool pump(std::chrono::steady_clock::time_point deadline);
  bool wait_for(const std::string& stream, const std::string& text, size_t count);

  pid_t pid_ = -1;
  int out_fd_ = -1;
  int err_fd_ = -1;
  int terminal_ = -1;
  std::string out_;
  std::string err_;
};

Finished run(const Arguments& arguments, const Changes& changes = {});

// The selfheal binary, with `arguments`.
Arguments selfheal(const Arguments& arguments);

// A new empty folder, removed at the end.
class Folder {
 public:
  Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder();
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& text, unsigned mode = 0644);

// "ID=value" to set ASan right for a CLI whose LD_PRELOAD names another library.
Changes with_library(Changes changes = {});

}  // namespace selfheal::cli::test
