// The table of C++ handlers, as the decoder picks from it. nullptr: there is none for that shape,
// and the processor executes the instruction itself (thunk.h).
#pragma once

#include "emulator/op.h"

namespace selfheal::emulator {

// Where the operands are: destination first; r register, m memory, i immediate.
enum class Form : u8 { rr, ri, rm, mr, mi, r, m };

enum class Alu : u8 { add, or_, adc, sbb, and_, sub, xor_, cmp, test, inc, dec, neg, not_ };
enum class Shift : u8 { rol, ror, shl, shr, sar };

// `bytes`: operand size, 1 2 4 8.
Handler alu_handler(Alu operation, Form form, unsigned bytes);
Handler locked_alu_handler(Alu operation, Form form, unsigned bytes);
// Count in the immediate, or in cl. Form r or m.
Handler shift_handler(Shift operation, Form form, unsigned bytes, bool count_in_cl);

Handler mov_handler(Form form, unsigned bytes);
Handler load_canary_handler();  // mov %fs:canary_offset, reg
Handler extend_handler(bool sign, bool from_memory, unsigned to, unsigned from);
Handler lea_handler(unsigned bytes);
Handler cmov_handler(unsigned condition, bool from_memory, unsigned bytes);
Handler set_handler(unsigned condition, bool to_memory);
Handler bswap_handler(unsigned bytes);
Handler xchg_registers_handler(unsigned bytes);
Handler convert_handler(unsigned bytes);              // cbw cwde cdqe
Handler convert_double_handler(unsigned bytes);       // cwd cdq cqo
Handler bit_test_handler(Form form, unsigned bytes);  // registers and immediates only
Handler push_handler(Form form, unsigned bytes);      // r, m, and ri for an immediate
Handler pop_handler(Form form, unsigned bytes);
Handler push_flags_handler(unsigned bytes);
Handler pop_flags_handler(unsigned bytes);

Handler multiply2_handler(Form form, unsigned bytes);  // imul r, r/m
Handler multiply3_handler(Form form, unsigned bytes);  // imul r, r/m, imm
Handler multiply1_handler(bool sign, Form form, unsigned bytes);
Handler divide_handler(bool sign, Form form, unsigned bytes);

// Memory forms; atomic with and without a lock prefix.
Handler exchange_handler(unsigned bytes);               // xchg m, r
Handler exchange_add_handler(unsigned bytes);           // xadd m, r
Handler compare_exchange_handler(unsigned bytes);       // cmpxchg m, r
Handler compare_exchange_pair_handler(unsigned bytes);  // cmpxchg8b (4), cmpxchg16b (8)
enum class BitChange : u8 { set, reset, complement };
Handler locked_bit_handler(BitChange change, Form form, unsigned bytes);  // mr, mi

const Op* do_nop(Thread&, const Op&);
const Op* do_leave(Thread&, const Op&);
const Op* do_set_flag(Thread&, const Op&);  // immediate: the bits
const Op* do_clear_flag(Thread&, const Op&);
const Op* do_complement_carry(Thread&, const Op&);
const Op* do_unsupported(Thread&, const Op&);  // immediate: the reason, const char*
const Op* do_undefined(Thread&, const Op&);    // ud2

// Control flow. Direct targets are immediates.
Handler jump_if_handler(unsigned condition);
const Op* do_jump(Thread&, const Op&);
const Op* do_jump_register(Thread&, const Op&);
const Op* do_jump_memory(Thread&, const Op&);
const Op* do_call(Thread&, const Op&);
const Op* do_call_register(Thread&, const Op&);
const Op* do_call_memory(Thread&, const Op&);
const Op* do_return(Thread&, const Op&);  // immediate: extra bytes to pop
// immediate: target; b: 4 or 8, the width of the counter
const Op* do_loop(Thread&, const Op&);
const Op* do_loop_equal(Thread&, const Op&);
const Op* do_loop_not_equal(Thread&, const Op&);
const Op* do_jump_if_zero_count(Thread&, const Op&);
const Op* do_system_call(Thread&, const Op&);

// Not instructions: what the decoder puts between them.
const Op* do_fall_through(Thread&, const Op&);   // the block goes on at immediate
const Op* do_model(Thread&, const Op&);          // immediate: a Model
const Op* do_native_call(Thread&, const Op&);    // immediate: one of our own
const Op* do_vsyscall(Thread&, const Op&);       // a function of the vsyscall page
const Op* do_verify_code(Thread&, const Op&);    // leads a block of code that may change
const Op* do_stack_grown(Thread&, const Op&);    // rsp was moved by arithmetic on rsp
const Op* do_stack_changed(Thread&, const Op&);  // rsp was set to something

// Executed by the processor.
const Op* do_thunk(Thread&, const Op&);
const Op* do_string(Thread&, const Op&);
const Op* do_x87_image(Thread&, const Op&);  // stores what holds the last x87 instruction's address
bool is_executed_by_processor(const Op& op);
// After a fault in the log's read of what such an operation overwrites.
const Op* run_unlogged(Thread&, const Op&);
const Op* run_string_unlogged(Thread&, const Op&);

}  // namespace selfheal::emulator
