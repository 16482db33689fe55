#include "cli/sampling.h"

#include <algorithm>
#include <cstring>
#include <fmt/core.h>
#include <map>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/process_tree.h"
#include "lib/base/sample_request.h"
#include "lib/report/report.h"

namespace selfheal::cli {
namespace {

using std::chrono::milliseconds;

constexpr unsigned rounds = 6;
constexpr milliseconds between_looks{100};  // of the thread's own time, in clock ticks
constexpr milliseconds nap{50};
constexpr milliseconds longest_round{2'000};
constexpr milliseconds longest_answer{5'000};
constexpr size_t most_waiting = 4;  // threads that tell where they wait

struct Thread {
  pid_t pid;
  ThreadState state;
  milliseconds looked_at;  // its processor time then
  bool busy;               // runs now, and has run between all looks so far
};

u16 mebibytes(u64 bytes) {
  return static_cast<u16>(std::min(bytes >> 20, u64{0xffff}));
}

bool send(const Thread& thread, const SampleRequest& request) {
  siginfo_t info{};
  info.si_signo = sample_signal;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = reinterpret_cast<void*>(sample_value(request));
  return syscall(SYS_rt_tgsigqueueinfo, thread.pid, thread.state.tid, sample_signal, &info) == 0;
}

// A page fault may have to wait for memory or a lock of the kernel's, and is none of the program's
// own waits.
bool runs(const ThreadState& state) {
  return state.state == 'R' || state.state == 'D';
}

std::vector<Thread> all_threads(const std::vector<pid_t>& processes) {
  std::vector<Thread> threads;
  for (const pid_t pid : processes) {
    for (const ThreadState& state : threads_of(pid)) {
      threads.push_back({pid, state, state.used, runs(state)});
    }
  }
  return threads;
}

// Reads all threads' states anew; those that are gone are not busy.
void refresh(std::vector<Thread>& threads) {
  std::map<pid_t, ThreadState> now;
  for (const Thread& thread : threads) {
    if (!now.contains(thread.state.tid)) {
      for (const ThreadState& state : threads_of(thread.pid)) {
        now[state.tid] = state;
      }
    }
  }
  for (Thread& thread : threads) {
    const auto found = now.find(thread.state.tid);
    if (found == now.end()) {
      thread.busy = false;
    } else {
      thread.state = found->second;
    }
  }
}

bool has_run(const Thread& thread) {
  return thread.state.used >= thread.looked_at + between_looks;
}

// Until every thread that is still busy has run for a while, or time is up for those that have not.
bool wait_for_progress(std::vector<Thread>& threads, const Pause& pause) {
  const Clock::time_point deadline = Clock::now() + longest_round;
  for (;;) {
    if (!pause(nap)) {
      return false;
    }
    refresh(threads);
    const auto waits = [](const Thread& t) { return t.busy && !has_run(t); };
    // A thread that is running on a loaded machine gets its turn; one that sleeps is not busy.
    const bool late = Clock::now() >= deadline;
    for (Thread& thread : threads) {
      thread.busy = thread.busy && (has_run(thread) || (!late && runs(thread.state)));
    }
    if (std::none_of(threads.begin(), threads.end(), waits)) {
      return true;
    }
  }
}

// Threads that wait for a lock or a condition come first.
std::vector<Thread> likeliest_to_wait_in_vain(std::vector<Thread> threads) {
  std::stable_partition(threads.begin(), threads.end(),
                        [](const Thread& thread) { return thread.state.waits_in == SYS_futex; });
  threads.resize(std::min(threads.size(), most_waiting));
  return threads;
}

}  // namespace

u64 sample_program(const Sampling& sampling, const Trouble& trouble,
                   const std::vector<pid_t>& processes, const Pause& pause) {
  std::vector<pid_t> ours;
  std::copy_if(processes.begin(), processes.end(), std::back_inserter(ours),
               [&](pid_t pid) { return has_library(pid, sampling.library, sample_signal); });
  const u64 before = sampling.faults_recorded();
  std::vector<Thread> threads = all_threads(ours);
  for (unsigned round = 0; round < rounds; ++round) {
    for (Thread& thread : threads) {
      if (thread.busy) {
        thread.looked_at = thread.state.used;
        send(thread, {SampleOrder::look, trouble.kind, static_cast<u16>(round)});
      }
    }
    if (!wait_for_progress(threads, pause)) {
      return 0;
    }
  }
  u64 asked = 0;
  for (const Thread& thread : threads) {
    if (thread.busy &&
        send(thread, {SampleOrder::conclude_busy, trouble.kind, mebibytes(trouble.used)})) {
      ++asked;
    }
  }
  if (asked == 0 && trouble.kind == FaultKind::time_out) {
    for (const Thread& thread : likeliest_to_wait_in_vain(all_threads(ours))) {
      asked += send(thread, {SampleOrder::conclude_waiting, trouble.kind, 0}) ? 1 : 0;
    }
  }
  const Clock::time_point deadline = Clock::now() + longest_answer;
  while (sampling.faults_recorded() < before + asked && Clock::now() < deadline && pause(nap)) {
  }
  return sampling.faults_recorded() - before;
}

std::string waiting_text(const std::vector<pid_t>& processes) {
  std::map<std::string, unsigned> calls;
  unsigned running = 0;
  for (const Thread& thread : all_threads(processes)) {
    const char* name = thread.state.waits_in >= 0
                           ? report::syscall_name(static_cast<unsigned>(thread.state.waits_in))
                           : nullptr;
    running += thread.state.state == 'R' ? 1 : 0;
    ++calls[name != nullptr ? name : "an unknown call"];
  }
  std::string text;
  for (const auto& [call, count] : calls) {
    text += fmt::format("{}{} in {}", text.empty() ? "" : ", ", count, call);
  }
  return running != 0 || text.empty() ? "" : "every thread waits: " + text;
}

}  // namespace selfheal::cli
