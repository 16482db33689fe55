// Intel syntax; each snippet has a frame description of its own, as compiled functions have. The
// golden values follow the rules in lib/recover/return_value.cpp and caller_use.h.
#include "test/recover/snippets.h"

extern "C" {
extern const char snippet_0[];
extern const char snippet_1[];
extern const char snippet_2[];
extern const char snippet_3[];
extern const char snippet_4[];
extern const char snippet_5[];
extern const char snippet_6[];
extern const char snippet_7[];
extern const char snippet_8[];
extern const char snippet_9[];
extern const char snippet_10[];
extern const char snippet_11[];
extern const char snippet_12[];
extern const char snippet_13[];
extern const char snippet_14[];
extern const char snippet_15[];
extern const char snippet_16[];
extern const char snippet_17[];
extern const char snippet_18[];
extern const char snippet_19[];
extern const char snippet_20[];
extern const char snippet_21[];
extern const char snippet_22[];
extern const char snippet_23[];
extern const char snippet_24[];
extern const char snippet_25[];
extern const char snippet_26[];
extern const char snippet_27[];
extern const char snippet_28[];
extern const char snippet_29[];
extern const char snippet_30[];
extern const char snippet_31[];
extern const char snippet_32[];
extern const char snippet_33[];
extern const char snippet_34[];
extern const char snippet_35[];
extern const char snippet_36[];
extern const char snippet_37[];
extern const char snippet_38[];
extern const char snippet_39[];
extern const char snippet_40[];
extern const char snippet_41[];
extern const char snippet_42[];
extern const char snippet_43[];
extern const char snippet_44[];
extern const char snippet_45[];
extern const char snippet_cold[];
extern const char snippet_cold_zero[];
}

#define SNIPPET(number, code)                                                                    \
  asm(".pushsection .text\n.intel_syntax noprefix\n.globl snippet_" #number "\nsnippet_" #number \
      ":\n.cfi_startproc\n" code "\n.cfi_endproc\n.att_syntax\n.popsection\n")

SNIPPET(0, "test eax, eax; js 1f; ret; 1: ret");
SNIPPET(1, "test eax, eax; jle 1f; ret; 1: ret");
SNIPPET(2, "test rax, rax; jns 1f; ret; 1: ret");
SNIPPET(3, "cmp eax, 0; jl 1f; ret; 1: ret");
SNIPPET(4, "shr eax, 31; ret");
SNIPPET(5, "test rax, rax; je 1f; mov rdi, [rax]; 1: ret");
SNIPPET(6, "mov [rsp + 8], rax; cmp qword ptr [rsp + 8], 0; jne 1f; ret; 1: ret");
SNIPPET(7, "test rax, rax; setne al; movzx eax, al; ret");
SNIPPET(8, "cmp eax, -1; je 1f; ret; 1: ret");
SNIPPET(9, "add eax, 1; je 1f; mov eax, 3; ret; 1: ret");
SNIPPET(10, "inc rax; jne 1f; ret; 1: ret");
SNIPPET(11, "cmp eax, -2; jne 1f; mov eax, 4; 1: ret");
SNIPPET(12, "cmp eax, -2; je 1f; cmp eax, -1; je 1f; ret; 1: xor eax, eax; ret");
SNIPPET(13, "cmp eax, 1; jne 1f; ret; 1: ret");
SNIPPET(14, "cmp eax, 0x61; je 1f; ret; 1: ret");
SNIPPET(15, "cmp eax, 5; ja 1f; ret; 1: ret");
SNIPPET(16, "lea edx, [rax + 1]; cmp edx, 1; ja 1f; xor eax, eax; 1: ret");
SNIPPET(17, "sub eax, 48; cmp eax, 9; ja 1f; ret; 1: ret");
SNIPPET(18, "cmp rax, -4096; ja 1f; ret; 1: neg eax; ret");
SNIPPET(19, "test al, al; je 1f; ret; 1: ret");
SNIPPET(20, "movzx edx, al; test edx, edx; je 1f; ret; 1: ret");
SNIPPET(21, "test eax, 0x10; jne 1f; ret; 1: ret");
SNIPPET(22,
        "test eax, eax; jne 1f; mov rdi, rbx; call 2f; cmp edi, edx; je 1f; 2: mov ecx, 5; 1: ret");
SNIPPET(23,
        "test eax, eax; jne 1f; mov eax, -5; ret; 1: mov rdi, rbx; call 2f; 2: cmp edi, edx; je "
        "1b; ret");
SNIPPET(24, "mov ebx, eax; mov r12d, ebx; test r12d, r12d; js 1f; ret; 1: ret");
SNIPPET(25, "mov ebp, eax; call 1f; 1: test ebp, ebp; js 2f; ret; 2: ret");
SNIPPET(26, "mov [rbp - 4], eax; call 1f; 1: cmp dword ptr [rbp - 4], 0; js 2f; ret; 2: ret");
SNIPPET(27, "jmp 1f; ud2; 1: nop; add rsp, 8; test eax, eax; js 2f; ret; 2: ret");
SNIPPET(28, "test eax, eax; mov ecx, 7; mov rdi, rbx; js 2f; ret; 2: ret");
SNIPPET(29, "test eax, eax; add ecx, 7; js 2f; mov eax, 1; ret; 2: ret");
SNIPPET(30, "cdqe; test rax, rax; js 1f; ret; 1: ret");
SNIPPET(31, "xor eax, eax; ret");
SNIPPET(32, "mov rdi, rbx; call 1f; 1: test eax, eax; ret");
SNIPPET(33, "mov rax, [rsp]; test rax, rax; je 1f; ret; 1: ret");
SNIPPET(34, "add rsp, 8; pop rbx; ret");
SNIPPET(35, "mov rdx, [rax + 16]; ret");
SNIPPET(36, "mov rdi, rax; call 1f; 1: ret");
SNIPPET(37, "add ebx, eax; ret");
SNIPPET(38, "cmp eax, ebx; jl 1f; ret; 1: ret");
SNIPPET(39, "cmp rax, rbx; je 1f; ret; 1: ret");
SNIPPET(40, ".byte 0x06; ret");
SNIPPET(41, "1: jmp 1b");
SNIPPET(42, "mov [rsi], eax; xor eax, eax; ret");
SNIPPET(43, "mov [rsi], eax; ret");
SNIPPET(44, "mov [rip + 0], eax; test eax, eax; js 1f; ret; 1: ret");
// Apache's merging of its modules' configurations: a table is filled, in a loop.
SNIPPET(45,
        "mov rdx, rax; 1: mov [r13 + rbx * 8], rdx; inc ebx; cmp ebp, ebx; jle 3f;"
        "2: mov rdx, [r14 + rbx * 8]; test rdx, rdx; jne 4f; mov rdx, [rbp + rbx * 8]; jmp 1b;"
        "3: mov rax, r13; ret; 4: call r12; mov rdx, rax; jmp 1b");

// Failure handling that the compiler moved away decides which side of an int test is the failure.
asm(R"(
        .pushsection .text
        .intel_syntax noprefix
        .globl snippet_cold, snippet_cold_zero
snippet_cold:
        .cfi_startproc
        test eax, eax
        jne .Lcold_part
        mov rdi, rbx
        call rbp
        ret
        .cfi_endproc
snippet_cold_zero:
        .cfi_startproc
        test eax, eax
        je .Lcold_part
        mov rdi, rbx
        call rbp
        ret
        .cfi_endproc
.Lcold_part:
        .cfi_startproc
        .cfi_def_cfa_offset 32
        mov rdi, rbx
        call rbp
        ud2
        .cfi_endproc
        .att_syntax
        .popsection
)");

namespace selfheal::test {

const Snippet snippets[] = {
    {"sign", snippet_0, -1, ValueReason::caller_tests_sign},
    {"not positive", snippet_1, -1, ValueReason::caller_tests_sign},
    {"sign of 64 bits", snippet_2, -1, ValueReason::caller_tests_sign},
    {"less than zero", snippet_3, -1, ValueReason::caller_tests_sign},
    {"sign bit shifted out", snippet_4, -1, ValueReason::caller_tests_sign},
    {"null", snippet_5, 0, ValueReason::caller_tests_null},
    {"null by cmp", snippet_6, 0, ValueReason::caller_tests_null},
    {"null by setcc", snippet_7, 0, ValueReason::caller_tests_null},
    {"minus one", snippet_8, -1, ValueReason::caller_compares},
    {"minus one by add", snippet_9, -1, ValueReason::caller_compares},
    {"minus one by inc", snippet_10, -1, ValueReason::caller_compares},
    {"minus two", snippet_11, -2, ValueReason::caller_compares},
    {"minus two, then minus one", snippet_12, -1, ValueReason::caller_compares},
    {"one", snippet_13, 0, ValueReason::caller_compares},
    {"a letter", snippet_14, -1, ValueReason::caller_compares},
    {"a switch", snippet_15, -1, ValueReason::caller_tests_sign},
    {"range of -1 and 0", snippet_16, 14, ValueReason::caller_compares},
    {"range of 48 to 57", snippet_17, -1, ValueReason::caller_tests_sign},
    {"kernel", snippet_18, -14, ValueReason::caller_compares},
    {"byte", snippet_19, 0, ValueReason::caller_tests_int},
    {"widened byte", snippet_20, 0, ValueReason::caller_tests_int},
    {"bits", snippet_21, 0, ValueReason::caller_tests_int},
    {"status handed on", snippet_22, -1, ValueReason::caller_tests_int},
    {"failure returns a constant", snippet_23, 0, ValueReason::caller_tests_int},
    {"a copy", snippet_24, -1, ValueReason::caller_tests_sign},
    {"across a call", snippet_25, -1, ValueReason::caller_tests_sign},
    {"in a slot across a call", snippet_26, -1, ValueReason::caller_tests_sign},
    {"after a jump", snippet_27, -1, ValueReason::caller_tests_sign},
    {"after moves between", snippet_28, -1, ValueReason::caller_tests_sign},
    {"another's flags", snippet_29, 0, ValueReason::unused},
    {"sign-extended", snippet_30, -1, ValueReason::caller_tests_sign},
    {"unused", snippet_31, 0, ValueReason::unused},
    {"unused at a call", snippet_32, 0, ValueReason::unused},
    {"overwritten by a load", snippet_33, 0, ValueReason::unused},
    {"handed on to nobody", snippet_34, -1, ValueReason::fallback},
    {"used as a pointer", snippet_35, 0, ValueReason::fallback},
    {"an argument", snippet_36, 0, ValueReason::fallback},
    {"added up", snippet_37, 0, ValueReason::fallback},
    {"counts compared", snippet_38, -1, ValueReason::caller_tests_sign},
    {"pointers compared", snippet_39, 0, ValueReason::fallback},
    {"no instruction", snippet_40, 0, ValueReason::fallback},
    {"never ends", snippet_41, 0, ValueReason::fallback},
    {"stored for somebody else", snippet_42, 0, ValueReason::fallback},
    {"stored, and left in rax", snippet_43, -1, ValueReason::fallback},
    {"into a table, in a loop", snippet_45, 0, ValueReason::fallback},
    {"stored, and tested", snippet_44, -1, ValueReason::caller_tests_sign},
    {"other side is cold", snippet_cold, -1, ValueReason::caller_tests_int},
    {"zero side is cold", snippet_cold_zero, 0, ValueReason::caller_tests_int},
    {nullptr, nullptr, 0, ValueReason::none},
};

}  // namespace selfheal::test
