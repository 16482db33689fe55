#include "probes/sandbox.h"

#include <array>
#include <atomic>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "lib/base/raw_syscall.h"
#include "probes/abort_family.h"
#include "probes/bpf.h"
#include "probes/filter.h"
#include "probes/next.h"
#include "probes/thread_state.h"

#ifndef PR_SET_MDWE
  #define PR_SET_MDWE 65
#endif

namespace selfheal::probes {
namespace {

constexpr unsigned call_count = static_cast<unsigned>(Call::count);
constinit std::array<std::atomic<Answer>, call_count> answers{};
constinit std::atomic<bool> filtered{false};
constinit std::atomic<bool> deny_write_execute{false};

void tighten(const Answers& more) {
  for (unsigned i = 0; i < call_count; ++i) {
    if (more[i] > answers[i].load(std::memory_order_relaxed)) {
      answers[i].store(more[i], std::memory_order_relaxed);
    }
  }
}

Answers current() {
  Answers copy{};
  for (unsigned i = 0; i < call_count; ++i) {
    copy[i] = answers[i].load(std::memory_order_relaxed);
  }
  return copy;
}

struct Evaluation {
  const sock_fprog* program;
  Answers answers;
};

void evaluate(void* argument) {
  auto& evaluation = *static_cast<Evaluation*>(argument);
  evaluation.answers = answers_of({evaluation.program->filter, evaluation.program->len});
}

// The answers hold from before the kernel has the filter, and are taken back when it refuses it:
// a signal in between must not find the old ones. A program the kernel will refuse, or cannot even
// read, changes nothing.
template <typename Install>
long install_filter(const sock_fprog* program, bool strict, Install&& install) {
  const Answers before = current();
  Evaluation evaluation{program, {}};
  if (strict) {
    evaluation.answers = answers_of_strict_mode();
  } else if (!guarded(evaluate, &evaluation)) {
    evaluation.answers = {};
  }
  // A vfork child's filter is its own; these words are its parent's.
  const bool ours = !in_vfork_child();
  if (ours) {
    tighten(evaluation.answers);
  }
  const bool leaves_abort =
      ours && before[static_cast<unsigned>(Call::rt_sigaction)] == Answer::allowed;
  if (leaves_abort) {
    leave_abort_to_kernel();
  }
  const long result = install();
  if (ours && result < 0) {
    for (unsigned i = 0; i < call_count; ++i) {
      answers[i].store(before[i], std::memory_order_relaxed);
    }
    if (leaves_abort) {
      take_abort_back();
    }
  } else if (ours) {
    filtered.store(true, std::memory_order_relaxed);
    if (hooks().filter_installed != nullptr) {
      const int kept = errno;
      hooks().filter_installed();
      errno = kept;
    }
  }
  return result;
}

template <typename Call>
long through_prctl(int option, u64 a, u64 b, Call&& next) {
  if (option == PR_SET_SECCOMP && a == SECCOMP_MODE_FILTER) {
    return install_filter(pointer_to<const sock_fprog>(b), false, next);
  }
  if (option == PR_SET_SECCOMP && a == SECCOMP_MODE_STRICT) {
    return install_filter(nullptr, true, next);
  }
  const long result = next();
  if (option == PR_SET_MDWE && result == 0 && !in_vfork_child()) {
    deny_write_execute.store(true, std::memory_order_relaxed);
    if (hooks().filter_installed != nullptr) {
      hooks().filter_installed();
    }
  }
  return result;
}

}  // namespace

Answer answer(Call call) {
  return answers[static_cast<unsigned>(call)].load(std::memory_order_relaxed);
}

bool no_filter_seen() {
  return !filtered.load(std::memory_order_relaxed);
}

bool memory_deny_write_execute() {
  return deny_write_execute.load(std::memory_order_relaxed);
}

SELFHEAL_INTERPOSE(int, prctl, int option, u64 a, u64 b, u64 c, u64 d) {
  return static_cast<int>(
      through_prctl(option, a, b, [=] { return long{selfheal_next_prctl(option, a, b, c, d)}; }));
}

// From `syscall` in forwards.S, for these two numbers only.
extern "C" __attribute__((visibility("hidden"))) long selfheal_filter_syscall(long number, u64 a,
                                                                              u64 b, u64 c, u64 d,
                                                                              u64 e) {
  const auto next = [=] { return selfheal_next_syscall(number, a, b, c, d, e); };
  if (number == SYS_prctl) {
    return through_prctl(static_cast<int>(a), b, c, next);
  }
  if (a == SECCOMP_SET_MODE_STRICT) {
    return install_filter(nullptr, true, next);
  }
  if (a == SECCOMP_SET_MODE_FILTER) {
    return install_filter(pointer_to<const sock_fprog>(c), false, next);
  }
  return next();
}

}  // namespace selfheal::probes
