// Where everything begins: our constructor, which -z initfirst runs before every other one's.
//
// The order matters. Options and store first, because they decide whether there is anything to do;
// then the probes, so that a fault in what follows is recorded, too; then promotion of what earlier
// runs left in the journal; then the patches. Nothing of this fails the program: each step that
// does not work leaves the later ones out and says so once.
#include <elf.h>
#include <sys/auxv.h>

#include "lib/image/module.h"
#include "lib/runtime/abort_clues.h"
#include "lib/runtime/asked.h"
#include "lib/runtime/breaker.h"
#include "lib/runtime/code_kinds.h"
#include "lib/runtime/departure.h"
#include "lib/runtime/fault_path.h"
#include "lib/runtime/go_program.h"
#include "lib/runtime/hang.h"
#include "lib/runtime/live.h"
#include "lib/runtime/messages.h"
#include "lib/runtime/region_entry.h"
#include "lib/runtime/runtime.h"
#include "lib/runtime/signals.h"
#include "lib/runtime/stack_bounds.h"
#include "lib/runtime/stack_check.h"
#include "lib/runtime/statistics_line.h"
#include "lib/runtime/sticking.h"
#include "lib/store/location.h"
#include "probes/hooks.h"
#include "probes/timer_signal.h"

namespace selfheal::runtime {
namespace {

void complain(void*, const char* text) {
  say(text);
}

// LD_PRELOAD without a home and without a word for us is what a server hands down to programs that
// are none of its own (lighttpd to CGI scripts). Nobody there looks for lines of ours.
bool started_for_us(const char* const* environment) {
  for (; *environment != nullptr; ++environment) {
    if (__builtin_strncmp(*environment, "SELFHEAL_", 9) == 0) {
      return true;
    }
  }
  return reports_wanted();
}

bool open_store(const char* const* environment) {
  store::Error error;
  store::Location location{};
  store::OpenRequest request{};
  if (!store::locate(environment, runtime.options.store, location, error)) {
    if (started_for_us(environment)) {
      say(error.c_str());
    }
    return false;
  }
  request.path = location.path;
  request.learning = runtime.options.learn;
  if (store::open_store(request, runtime.store, error)) {
    return true;
  }
  say(error.c_str());
  return false;
}

void on_process_ending() {
  end_watch();
  end_sticking_of_process();
  write_statistics();
}

// Before other threads exist: the timer signal has to be taken out of every mask.
void start_timers() {
  if (runtime.options.time_budget != 0) {
    probes::take_timer_signal();
  }
  start_hang_watch();
}

bool install_probes() {
  probes::Hooks hooks;
  hooks.thread_fault = &on_thread_fault;
  hooks.timer = &on_timer;
  hooks.thread_signal = &on_thread_signal;
  hooks.handler_returned = &on_handler_returned;
  hooks.stack_left = &on_stack_left;
  hooks.asked = &on_asked;
  hooks.fault = &on_fault;
  hooks.prepare = &on_prepare;
  hooks.commit = &on_commit;
  hooks.ends_anyway = &on_ends_anyway;
  hooks.thread_started = &on_thread_started;
  hooks.thread_ending = &on_thread_ending;
  hooks.progress = &on_progress;
  hooks.protection_changed = &protection_changed;
  hooks.fork_child = &on_fork_child;
  hooks.process_ending = &on_process_ending;
  return probes::install(hooks) && probes::watch_traps();
}

void restore_originals(u64 address, u8* buffer, u64 size) {
  runtime.patcher.restore_originals(address, buffer, size);
}

void start(const char* const* environment) {
  // A privileged program must not be steered by its caller's environment (DESIGN.md, invariant 6).
  if (getauxval(AT_SECURE) != 0 || is_go_program()) {
    return;
  }
  options::apply_environment(environment, runtime.options, {&complain, nullptr});
  if (runtime.options.mode == options::Mode::off) {
    return;
  }
  choose_outputs(environment);
  learn_main_stack(environment);
  if (!open_store(environment)) {
    return;
  }
  learn_group();
  find_libc_message();
  image::set_original_bytes_hook(&restore_originals);
  runtime.patcher.start(enter_target_offset(), refuse_target_offset());
  if (!install_probes()) {
    say("no memory for the alternate signal stack; faults are not recorded");
    return;
  }
  runtime.active = true;
  start_timers();
  protect_at_start();
  if (runtime.options.mode == options::Mode::eager) {
    prepare_departures();
  }
  probes::watch_generation(runtime.store.journal.news());
  probes::look_again();
}

__attribute__((destructor)) void destruct() {
  on_process_ending();
}

__attribute__((constructor)) void construct(int, char**, char** environment) {
  start(environment);
}

}  // namespace
}  // namespace selfheal::runtime
