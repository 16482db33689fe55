#include "emulator/native_call.h"

#include "emulator/guard.h"

extern "C" selfheal::u64 selfheal_native_call(selfheal::u64 function,
                                              const selfheal::u64* arguments,
                                              const selfheal::u64* stack, selfheal::u64* rdx_out);

namespace selfheal::emulator {

void native_call(Thread& thread, u64 function) {
  auto& gpr = thread.guest.gpr;
  const u64 arguments[7] = {gpr[rdi], gpr[rsi], gpr[rdx], gpr[rcx], gpr[r8], gpr[r9], gpr[rax]};
  u64 stack[8];
  for (u64 i = 0; i < 8; ++i) {
    stack[i] = *pointer_to<volatile u64>(gpr[rsp] + 8 * (i + 1));
  }
  const NativeScope scope(&thread);
  u64 high = 0;
  gpr[rax] = selfheal_native_call(function, arguments, stack, &high);
  gpr[rdx] = high;
}

}  // namespace selfheal::emulator
