// How often the kernel's OOM killer has struck where a process lives.
//
//   cgroup v2   memory.events        oom_kill   (Documentation/admin-guide/cgroup-v2.rst)
//   cgroup v1   memory.oom_control   oom_kill   (cgroup-v1/memory.rst)
//   else        /proc/vmstat         oom_kill   the whole machine's
//
// A process killed by it dies of SIGKILL like any other; only these counters tell.
#pragma once

#include <string>
#include <sys/types.h>

#include "lib/base/types.h"

namespace selfheal::cli {

class OomKills {
 public:
  // Of the control group that `pid` is in now; counts from here on.
  explicit OomKills(pid_t pid);

  enum class Verdict {
    no,
    somewhere,  // on this machine, meanwhile
    here,       // in the process's own control group
  };
  Verdict since() const;

 private:
  std::string group_file_;  // "": none that counts
  u64 in_group_ = 0;
  u64 on_machine_ = 0;
};

}  // namespace selfheal::cli
