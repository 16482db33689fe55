// Writes the few machine instructions that generated code is made of into a buffer.
// Operands in the thread's state are %fs:disp32 (no base, no index: ModRM 00 reg 100, SIB 25).
#pragma once

#include "lib/base/registers.h"
#include "lib/base/types.h"

namespace selfheal::emulator {

class Emitter {
 public:
  Emitter(u8* buffer, unsigned capacity) : buffer_(buffer), capacity_(capacity) {}

  unsigned size() const { return size_; }
  bool overflow() const { return size_ > capacity_; }

  void byte(u8 b) {
    if (size_ < capacity_) {
      buffer_[size_] = b;
    }
    ++size_;
  }
  template <typename... B>
  void bytes(B... b) {
    (byte(static_cast<u8>(b)), ...);
  }
  void dword(u32 v) { bytes(v, v >> 8, v >> 16, v >> 24); }
  void qword(u64 v) {
    dword(static_cast<u32>(v));
    dword(static_cast<u32>(v >> 32));
  }

  void load(u8 reg, i32 fs) { thread_word(0x8b, reg, fs, true); }   // mov %fs:disp, %reg
  void store(u8 reg, i32 fs) { thread_word(0x89, reg, fs, true); }  // mov %reg, %fs:disp
  void push_word(i32 fs) { thread_word(0xff, 6, fs, false); }
  void pop_word(i32 fs) { thread_word(0x8f, 0, fs, false); }
  void jump_word(i32 fs) { thread_word(0xff, 4, fs, false); }
  void call_word(i32 fs) { thread_word(0xff, 2, fs, false); }
  void push(u8 reg) { push_pop(0x50, reg); }
  void pop(u8 reg) { push_pop(0x58, reg); }
  void move_immediate(u8 reg, u64 value) {
    bytes(reg >= 8 ? 0x49 : 0x48, 0xb8 | (reg & 7));
    qword(value);
  }
  void pushfq() { byte(0x9c); }
  void popfq() { byte(0x9d); }
  void cld() { byte(0xfc); }
  void ret() { byte(0xc3); }

  void store_byte(u8 value, i32 fs) {  // movb $value, %fs:disp
    thread_word(0xc6, 0, fs, false);
    byte(value);
  }
  void compare_byte(u8 value, i32 fs) {  // cmpb $value, %fs:disp
    thread_word(0x80, 7, fs, false);
    byte(value);
  }
  void test_word(u32 bits, i32 fs) {  // testl $bits, %fs:disp
    thread_word(0xf7, 0, fs, false);
    dword(bits);
  }
  void push_immediate(u32 value) {
    byte(0x68);
    dword(value);
  }
  void subtract(u8 reg, i32 fs) { thread_word(0x2b, reg, fs, true); }  // sub %fs:disp, %reg
  void compare(u8 reg, i32 fs) { thread_word(0x3b, reg, fs, true); }   // cmp %fs:disp, %reg
  void move(u8 to, u8 from) {
    bytes(0x48 | (from >= 8 ? 4 : 0) | (to >= 8 ? 1 : 0), 0x89,
          0xc0 | ((from & 7) << 3) | (to & 7));
  }

  // Short jumps forward: give what these return to `land` where they shall go.
  unsigned jump_if_equal() { return jump_forward(0x74); }
  unsigned jump_if_below() { return jump_forward(0x72); }
  void land(unsigned jump) {
    if (jump < capacity_) {
      buffer_[jump - 1] = static_cast<u8>(size_ - jump);
    }
  }
  void jump_back(unsigned target) {
    byte(0xe9);
    dword(target - (size_ + 4));
  }
  void jump_absolute(u64 target) {
    bytes(0xff, 0x25, 0, 0, 0, 0);  // jmp *0(%rip)
    qword(target);
  }

  // flags = %fs:word, but for DF and the system flags; destroys rax and rcx.
  void load_status_flags(i32 fs) {
    load(rax, fs);
    bytes(0x89, 0xc1);        // mov  %eax, %ecx
    bytes(0xc1, 0xe9, 0x0b);  // shr  $11, %ecx
    bytes(0x83, 0xe1, 0x01);  // and  $1, %ecx
    bytes(0x88, 0xc4);        // mov  %al, %ah
    bytes(0x88, 0xc8);        // mov  %cl, %al
    bytes(0x04, 0x7f);        // add  $0x7f, %al     OF
    byte(0x9e);               // sahf                SF ZF AF PF CF
  }

  // The way back; destroys rax, rcx and the flags.
  void store_status_flags(i32 fs) {
    byte(0x9f);               // lahf
    bytes(0x0f, 0x90, 0xc0);  // seto   %al
    bytes(0x0f, 0xb6, 0xcc);  // movzbl %ah, %ecx
    bytes(0x81, 0xe1);        // and    $0xd5, %ecx
    dword(0xd5);
    bytes(0x0f, 0xb6, 0xc0);          // movzbl %al, %eax
    bytes(0xc1, 0xe0, 0x0b);          // shl    $11, %eax
    bytes(0x09, 0xc8);                // or     %ecx, %eax
    thread_word(0x81, 4, fs, false);  // andl $~status, %fs:word
    dword(~u32{0x8d5});
    thread_word(0x09, rax, fs, false);  // or %eax, %fs:word
  }

 private:
  unsigned jump_forward(u8 opcode) {
    bytes(opcode, 0);
    return size_;
  }
  void thread_word(u8 opcode, u8 reg, i32 fs, bool wide) {
    byte(0x64);
    if (wide || reg >= 8) {
      byte(static_cast<u8>((wide ? 0x48 : 0x40) | (reg >= 8 ? 4 : 0)));
    }
    bytes(opcode, ((reg & 7) << 3) | 4, 0x25);
    dword(static_cast<u32>(fs));
  }
  void push_pop(u8 opcode, u8 reg) {
    if (reg >= 8) {
      byte(0x41);
    }
    byte(static_cast<u8>(opcode | (reg & 7)));
  }

  u8* buffer_;
  unsigned capacity_;
  unsigned size_ = 0;
};

}  // namespace selfheal::emulator
