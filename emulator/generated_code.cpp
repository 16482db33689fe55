#include "emulator/generated_code.h"

#include <cpuid.h>

#include "emulator/flags.h"

namespace selfheal::emulator {
namespace {

constinit CodeMemory memory;
constinit Trampolines the_trampolines{};
constinit u64 mask_readers = 0;
constinit u64 vector_readers = 0;
constinit u64 mmx_readers = 0;
constexpr unsigned reader_size = 16;

constexpr u8 state(ThreadState s) {
  return static_cast<u8>(s);
}

// See the picture in thread.h. Nothing below the guest's rsp is touched on the way out: the
// guest may have live data in its red zone.
//
//   enter:      state = busy; registers ► guest; engine's stack; call run
//   check:      a signal waits?
//   leave:      call deliver, for good; or guest ► registers
//   leave_end:  (the last but one instruction was state = idle)
//   resume:     state = busy; call resume; jmp check
//   suspended:  rsp still within the handler's stack? native entry : enter
//
// From the first instruction of `enter` to the last of `leave` an asynchronous signal finds the
// thread busy and waits, or is told apart by `leave` (interrupt.cpp).
void emit_trampolines(Emitter& e, u64 native_entry) {
  Trampolines& at = the_trampolines;
  e.store_byte(state(ThreadState::busy), thread_state());
  for (u8 r = 0; r < gpr_count; ++r) {
    if (r != rsp) {
      e.store(r, guest_word(r));
    }
  }
  e.pushfq();
  e.pop_word(guest_flags());
  e.pop_word(in_thread(offsetof(Thread, region_index)));
  e.store(rsp, guest_word(rsp));
  e.load(rsp, in_thread(offsetof(Thread, stack_top)));
  e.cld();
  e.test_word(flag_tf | flag_ac, guest_flags());  // ours may be misaligned
  const unsigned plain = e.jump_if_equal();
  e.push_immediate(0x202);
  e.popfq();
  e.land(plain);
  e.call_word(in_thread(offsetof(Thread, run)));
  const unsigned check = e.size();
  e.compare_byte(0, in_thread(offsetof(Thread, signal_waits)));
  at.leave = e.size();
  const unsigned no_signal = e.jump_if_equal();
  e.call_word(in_thread(offsetof(Thread, deliver)));
  e.land(no_signal);
  e.push_word(guest_flags());
  e.popfq();
  for (u8 r = 0; r < gpr_count; ++r) {
    e.load(r, guest_word(r));  // mov leaves the flags alone
  }
  e.store_byte(state(ThreadState::idle), thread_state());
  e.jump_word(in_thread(offsetof(Thread, guest) + offsetof(Registers, rip)));
  at.leave_end = e.size();

  at.resume = e.size();
  e.store_byte(state(ThreadState::busy), thread_state());
  e.call_word(in_thread(offsetof(Thread, resume)));
  e.jump_back(check);

  at.suspended = e.size();
  e.push(rax);
  e.pushfq();
  e.move(rax, rsp);
  e.subtract(rax, in_thread(offsetof(Thread, suspension) + offsetof(Suspension, low)));
  e.compare(rax, in_thread(offsetof(Thread, suspension) + offsetof(Suspension, span)));
  const unsigned inside = e.jump_if_below();
  e.popfq();
  e.pop(rax);
  e.jump_back(0);
  e.land(inside);
  e.popfq();
  e.pop(rax);
  e.jump_absolute(native_entry);
}

bool place_trampolines(u64 native_entry) {
  u8 code[768];
  Emitter e(code, sizeof code);
  emit_trampolines(e, native_entry);
  const u64 base = e.overflow() ? 0 : place_code(code, e.size());
  Trampolines& at = the_trampolines;
  at.enter = base;
  at.leave += base;
  at.leave_end += base;
  at.resume += base;
  at.suspended += base;
  return base != 0;
}

enum class VectorWidth : u8 { xmm, ymm, zmm };

struct Features {
  bool mask_registers = false;
  bool wide_masks = false;
  VectorWidth width = VectorWidth::xmm;
};

Features detect() {
  Features f;
  u32 a;
  u32 b;
  u32 c;
  u32 d;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) {
    return f;
  }
  u32 xcr0;
  u32 high;
  asm("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
  if ((xcr0 & 6) == 6) {
    f.width = VectorWidth::ymm;
  }
  if ((xcr0 & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
      (b & bit_AVX512F) != 0) {
    f.width = VectorWidth::zmm;
    f.mask_registers = true;
    f.wide_masks = (b & bit_AVX512BW) != 0;
  }
  return f;
}

// kmovq %k, %rax; ret
void emit_mask_reader(Emitter& e, unsigned k, bool wide) {
  if (wide) {
    e.bytes(0xc4, 0xe1, 0xfb, 0x93, 0xc0 | k);
  } else {
    e.bytes(0xc5, 0xf8, 0x93, 0xc0 | k);
  }
  e.ret();
}

// An unaligned store of the whole register to (%rdi); ret
void emit_vector_reader(Emitter& e, unsigned v, VectorWidth width) {
  const unsigned low = (v & 7) << 3 | 7;
  switch (width) {
    case VectorWidth::zmm:  // vmovdqu64; EVEX R and R' are inverted
      e.bytes(0x62, 0x61 | ((v & 8) == 0 ? 0x80 : 0) | ((v & 16) == 0 ? 0x10 : 0), 0xfe, 0x48, 0x7f,
              low);
      break;
    case VectorWidth::ymm:
      e.bytes(0xc5, 0x7e | ((v & 8) == 0 ? 0x80 : 0), 0x7f, low);
      break;
    case VectorWidth::xmm:
      e.byte(0xf3);
      if ((v & 8) != 0) {
        e.byte(0x44);
      }
      e.bytes(0x0f, 0x7f, low);
      break;
  }
  e.ret();
}

u64 emit_readers(unsigned count, auto&& emit) {
  u8 code[32 * reader_size] = {};
  for (unsigned i = 0; i < count; ++i) {
    Emitter e(code + i * reader_size, reader_size);
    emit(e, i);
  }
  return place_code(code, count * reader_size);
}

}  // namespace

bool start_generated_code(u64 size, u64 native_entry) {
  if (!memory.map(0, size) || !place_trampolines(native_entry)) {
    return false;
  }
  const Features f = detect();
  if (f.mask_registers) {
    mask_readers =
        emit_readers(8, [&](Emitter& r, unsigned k) { emit_mask_reader(r, k, f.wide_masks); });
  }
  vector_readers = emit_readers(f.width == VectorWidth::zmm ? 32 : 16,
                                [&](Emitter& r, unsigned v) { emit_vector_reader(r, v, f.width); });
  mmx_readers = emit_readers(8, [](Emitter& r, unsigned m) {
    r.bytes(0x0f, 0x7f, m << 3 | 7);  // movq %mm, (%rdi)
    r.ret();
  });
  const bool masks_done = mask_readers != 0 || !f.mask_registers;
  return masks_done && vector_readers != 0 && mmx_readers != 0;
}

bool detach_generated_code() {
  return memory.detach();
}

bool in_generated_code(u64 address) {
  return memory.contains(address);
}

u64 place_code(const u8* bytes, unsigned size) {
  const u64 address = memory.allocate(size);
  if (address == 0) {
    return 0;
  }
  u8* to = memory.writable(address);
  for (unsigned i = 0; i < size; ++i) {
    to[i] = bytes[i];
  }
  return address;
}

const Trampolines& trampolines() {
  return the_trampolines;
}

bool has_mask_registers() {
  return mask_readers != 0;
}

u64 read_mask_register(unsigned k) {
  u64 value;
  asm volatile("call *%1" : "=a"(value) : "r"(mask_readers + k * reader_size));
  return value;
}

void read_vector_register(unsigned v, void* to) {
  asm volatile("call *%0" : : "r"(vector_readers + v * reader_size), "D"(to) : "memory");
}

void read_mmx_register(unsigned m, void* to) {
  asm volatile("call *%0" : : "r"(mmx_readers + m * reader_size), "D"(to) : "memory");
}

}  // namespace selfheal::emulator
