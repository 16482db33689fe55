#include <catch2/catch.hpp>

#include "test/report/sample.h"

namespace selfheal::report::test {
namespace {

TEST_CASE("a crash report says what happened, where, with which values, and what comes next") {
  const FaultRecord record = sample_fault();
  CHECK(rendered(record, default_outlook(record)) ==
        "selfheal: process 4711 (thread 4712) read from address 0x18, a NULL pointer plus 24 "
        "(SIGSEGV)\n"
        "  in           handle_request+0x1b, mod_crash.so+0x12ab (build-id a0a1a2a3)\n"
        "  instruction  mov eax, dword ptr [rdi+0x18]\n"
        "               rdi = 0x0\n"
        "               dword ptr [rdi+0x18] is at 0x18, 4 bytes read  <- the fault\n"
        "  function     handle_request, mod_crash.so+0x1290, 112 bytes\n"
        "  stack        #0  mod_crash.so+0x12ab           handle_request+0x1b  <- blamed\n"
        "               #1  apache2+0x3f0c2               ap_run_handler+0x42\n"
        "               #2  apache2+0x50000\n"
        "  recorded     in the journal; `selfheal info` shows it again\n"
        "  next time    calls of handle_request are watched; this fault is rolled back and its "
        "caller gets an error\n");
}

TEST_CASE("a report without symbols, region or instruction says so") {
  FaultRecord record = sample_fault();
  record.tid = record.pid;
  record.instruction_size = 0;
  record.region = {};
  record.frame_count = 0;
  record.site.module = no_module;
  record.site.offset = 0xdead0000;
  Captured captured;
  render_fault(record, default_outlook(record), {nullptr, nullptr}, captured.sink());
  CHECK(captured.text ==
        "selfheal: process 4711 read from address 0x18, a NULL pointer plus 24 (SIGSEGV)\n"
        "  in           0xdead0000 (in no module)\n"
        "  instruction  could not be read\n"
        "  function     none could be blamed\n"
        "  stack        could not be walked\n"
        "  recorded     in the journal; `selfheal list` names it\n"
        "  next time    it is not healed: no function to blame is known\n");
}

TEST_CASE("a fault blamed on a caller and in a cold part is told apart") {
  FaultRecord record = sample_fault();
  record.blamed_frame = 1;
  record.in_cold_part = 1;
  record.region = {{0x3f080, 1, {}}, 1, 384, 0};
  const std::string text = rendered(record, default_outlook(record));
  CHECK(text.find("  function     ap_run_handler, apache2+0x3f080, 384 bytes; the fault is in its "
                  "split-off cold part; blamed for what it called\n") != std::string::npos);
  CHECK(text.find("ap_run_handler+0x42  <- blamed\n") != std::string::npos);
  CHECK(text.find("handle_request+0x1b  <- blamed\n") == std::string::npos);
}

TEST_CASE("what only some kinds of fault have to tell has lines of its own") {
  FaultRecord record = sample_fault();
  const auto text = [&](FaultKind kind) {
    record.fault.kind = kind;
    return rendered(record, default_outlook(record));
  };
  record.detail.chunk_size = 40;
  record.detail.chunk_offset = 44;
  record.detail.allocated_at = {0x12b0, 0, {}};
  record.detail.freed_at = {0, no_module, {}};
  CHECK(text(FaultKind::heap_overflow)
            .find("  chunk        40 bytes; the address is 4 bytes behind its end\n"
                  "               allocated at handle_request+0x20, mod_crash.so+0x12b0\n"
                  "  function ") != std::string::npos);
  record.detail.chunk_offset = -8;
  CHECK(text(FaultKind::use_after_free).find("the address is 8 bytes before it\n") !=
        std::string::npos);
  CHECK(text(FaultKind::null_access).find("  chunk ") == std::string::npos);

  record.detail.used = 8 << 20;
  record.detail.cycle = 2;
  record.detail.outermost_call = {0x3f0c2, 1, {}};
  CHECK(text(FaultKind::stack_exhaustion)
            .find("  recursion    2 functions calling on and on, on 8192 KiB of stack\n"
                  "               begun by the call at ap_run_handler+0x42, apache2+0x3f0c2\n") !=
        std::string::npos);
  record.detail.used = 10'400'000'000;
  record.detail.samples = 7;
  CHECK(text(FaultKind::time_out)
            .find("  time         10400 ms of processor time; seen there 7 times\n") !=
        std::string::npos);

  const char said[] = "double free\x1b[2J";
  std::copy(std::begin(said), std::end(said), record.detail.message);
  CHECK(text(FaultKind::heap_corruption).find("  message      double free?[2J\n") !=
        std::string::npos);
}

TEST_CASE("each outlook has its own last words") {
  const FaultRecord record = sample_fault();
  const auto last_line = [&](NextTime next, const char* reason) {
    const std::string text = rendered(record, {Kept::recorded, next, reason});
    return text.substr(text.find("  next time    ") + 15);
  };
  CHECK(last_line(NextTime::observe, nullptr) ==
        "it is recorded again and not healed (mode=observe)\n");
  CHECK(last_line(NextTime::disabled, nullptr) ==
        "it is not healed: this region is disabled (`selfheal enable` turns it on)\n");
  CHECK(last_line(NextTime::refused, "a branch targets its first bytes") ==
        "it is not healed: its function cannot be patched (a branch targets its first bytes)\n");
  CHECK(rendered(record, {Kept::journal_full, NextTime::heal, nullptr})
            .find("  recorded     no: the journal is full") != std::string::npos);
  CHECK(rendered(record, {Kept::no_journal, NextTime::heal, nullptr})
            .find("  recorded     no: there is no usable store\n") != std::string::npos);
}

TEST_CASE("integrity faults are not promised a heal") {
  FaultRecord record = sample_fault();
  record.fault.kind = FaultKind::exec_violation;
  CHECK(default_outlook(record).next_time == NextTime::integrity);
  record.fault.kind = FaultKind::divide;
  CHECK(default_outlook(record).next_time == NextTime::heal);
}

TEST_CASE("a return address at the start of the next function names the call before it") {
  FaultRecord record = sample_fault();
  record.frames[1] = {0x1300, 0, {}};
  CHECK(rendered(record, default_outlook(record)).find("handle_request+0x70\n") !=
        std::string::npos);
}

TEST_CASE("a usual report is one write, a long one is cut between lines only") {
  FaultRecord record = sample_fault();
  Captured captured;
  render_fault(record, default_outlook(record), symbols(), captured.sink());
  CHECK(captured.calls == 1);

  record.frame_count = max_frames;
  for (CodeRef& frame : record.frames) {
    frame = {0xffffffffffffff00, 0, {}};
  }
  std::memset(record.modules[0].name, 'm', sizeof record.modules[0].name);
  struct Lines {
    bool whole = true;
    std::string text;
  } lines;
  render_fault(record, default_outlook(record), {nullptr, nullptr},
               {[](void* context, const char* piece, u64 size) {
                  auto* self = static_cast<Lines*>(context);
                  self->whole = self->whole && size != 0 && piece[size - 1] == '\n';
                  self->text.append(piece, size);
                },
                &lines});
  CHECK(lines.whole);
  CHECK(lines.text.find("#31 mmmm") != std::string::npos);
}

}  // namespace
}  // namespace selfheal::report::test
