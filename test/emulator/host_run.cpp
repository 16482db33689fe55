// The part of the host that runs while the guest's vector registers are live.
#include "emulator/copy_bytes.h"
#include "test/emulator/host.h"

namespace selfheal::emulator::host {

Session session{};

extern "C" void selfheal_test_run();

void selfheal_test_run() {
  Thread& t = this_thread;
  if (session.body != nullptr) {
    session.body(t);
    return;
  }
  const u64 sp = t.guest.gpr[rsp];
  t.guest.rip = session.target;
  t.entry_sp = sp;
  t.return_address = *pointer_to<const u64>(sp);
  t.checkpoint = t.guest;
  session.outcome = run(t);
  session.guest = t.guest;
  session.fault = t.fault;
  const bool faulted = session.outcome.stop == Stop::fault;
  if (faulted && session.vectors != 0) {
    asm volatile("xsave64 (%0)" : : "r"(session.vectors), "a"(0xe7), "d"(0) : "memory");
  }
  for (const Session::Snapshot& copy : session.snapshots) {
    copy_bytes(copy.to, copy.from, copy.size);
  }
  const bool back = (faulted && session.after_fault == AfterFault::roll_back_and_return) ||
                    session.roll_back_always;
  if (!back) {
    t.log.commit();
    return;
  }
  session.undone = t.log.rollback();
  t.guest = t.checkpoint;
  t.guest.rip = t.return_address;
  t.guest.gpr[rsp] = t.entry_sp + 8;
  t.guest.gpr[rax] = session.virtual_value;
}

}  // namespace selfheal::emulator::host
