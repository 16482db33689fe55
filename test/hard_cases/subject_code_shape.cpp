// Modules that come and go, text that is written to, and code of unusual shape (issue 3, item 6).
#include "test/hard_cases/generated.h"
#include "test/hard_cases/library.h"
#include "test/hard_cases/seen_fault.h"

using namespace hard;

namespace {

uint8_t* code;

void call_code() {
  say("returned %d\n", call(code));
}

}  // namespace

REGION int calls(int (*f)()) {
  const int result = f();
  in_engine(__LINE__);
  return result;
}

HARD_CASE_OF(another_library_at_the_same_address, "calls", "1, then 2 at the same place\n") {
  void* first = open_library("libhard_one.so", RTLD_NOW);
  auto* one = function_of<int()>(first, "answer");
  const int before = calls(one);
  dlclose(first);
  auto* two = function_of<int()>(open_library("libhard_two.so", RTLD_NOW), "answer");
  say("%d, then %d at %s place\n", before, calls(two), one == two ? "the same" : "another");
  return 0;
}

namespace {

[[gnu::noinline]] int to_be_patched() {
  int value = 5;
  asm volatile("" : "+r"(value));
  return value;
}

// mov $value, %eax; ret over the function's beginning, as hot patchers do it.
void patch(int value) {
  auto* at = reinterpret_cast<uint8_t*>(&to_be_patched);
  auto* first = reinterpret_cast<uint8_t*>(reinterpret_cast<uint64_t>(at) & ~(page - 1));
  mprotect(first, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC);
  write_return(at, value);
  mprotect(first, 2 * page, PROT_READ | PROT_EXEC);
}

}  // namespace

HARD_CASE(text_is_patched_by_the_region, "5 6 7\n") {
  const int before = to_be_patched();
  patch(6);
  const int patched = to_be_patched();
  patch(7);
  in_engine(__LINE__);
  say("%d %d %d\n", before, patched, to_be_patched());
  in_engine(__LINE__);
  return 0;
}

REGION int calls_patched() {
  const int result = to_be_patched();
  in_engine(__LINE__);
  return result;
}

HARD_CASE_OF(text_is_patched_between_two_calls, "calls_patched", "5 6 7\n") {
  const int before = calls_patched();
  patch(6);
  const int patched = calls_patched();
  patch(7);
  say("%d %d %d\n", before, patched, calls_patched());
  return 0;
}

HARD_CASE_OF(a_library_with_text_relocations, "calls", "42\n") {
  void* library = open_library("libhard_text_relocation.so", RTLD_NOW);
  say("%d\n", calls(function_of<int()>(library, "relocated")));
  return 0;
}

HARD_CASE_OF(a_library_with_writable_text, "calls", "1 2\n") {
  auto* counts =
      function_of<int()>(open_library("libhard_writable_text.so", RTLD_NOW), "counts_in_text");
  const int first = calls(counts);
  say("%d %d\n", first, calls(counts));
  return 0;
}

REGION int uses_trampolines(int (*with_trampoline)(int)) {
  int sum = 0;
  for (int i = 0; i < 1000; ++i) {
    sum += with_trampoline(i);
  }
  in_engine(__LINE__);
  return sum;
}

HARD_CASE_OF(nested_functions_on_an_executable_stack, "uses_trampolines", "1498500\n") {
  void* library = open_library("libhard_nested.so", RTLD_NOW);
  say("%d\n", uses_trampolines(function_of<int(int)>(library, "with_trampoline")));
  return 0;
}

HARD_CASE(a_jump_into_the_middle_of_an_instruction, "1\n") {
  code = map_pages(1);
  // jmp +1 into b8 | 31 c0 ff c0 c3: xor %eax, %eax; inc %eax; ret
  write_code(code, {0xeb, 1, 0xb8, 0x31, 0xc0, 0xff, 0xc0, 0xc3});
  say("%d\n", call(code));
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(a_call_that_pops_its_own_address, "5\n") {
  code = map_pages(1);
  // call +0; pop %rax; lea code(%rip), %rcx; sub %ecx, %eax; ret
  write_code(code, {0xe8, 0, 0, 0, 0, 0x58, 0x48, 0x8d, 0x0d, 0xf3, 0xff, 0xff, 0xff});
  write_code(code + 13, {0x29, 0xc8, 0xc3});
  say("%d\n", call(code));
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(an_instruction_across_a_page_end, "returned 9\nreturned 8\n") {
  code = map_pages(2) + page - 2;
  write_return(code, 9);
  call_code();
  code[1] = 8;
  call_code();
  in_engine(__LINE__);
  return 0;
}

// The first bytes are there; what faults is the fetch of the next page.
HARD_CASE(an_instruction_cut_off_by_a_page_end,
          "SIGSEGV code 2 trap 14 error 21 at +2 rip +0\nreturned 9\n", .leaves = true) {
  uint8_t* pages = map_pages(2);
  code = pages + page - 2;
  write_return(code, 9);
  mprotect(pages + page, page, PROT_READ);
  in_engine(__LINE__);
  const bool faulted = tells_fault(reinterpret_cast<uint64_t>(code), call_code);
  mprotect(pages + page, page, PROT_READ | PROT_EXEC);
  call_code();
  return faulted ? 0 : 1;
}

HARD_CASE(an_instruction_loses_its_second_page,
          "returned 9\nSIGSEGV code 2 trap 14 error 21 at +2 rip +0\n", .leaves = true) {
  uint8_t* pages = map_pages(2);
  code = pages + page - 2;
  write_return(code, 9);
  call_code();
  mprotect(pages + page, page, PROT_READ);
  in_engine(__LINE__);
  return tells_fault(reinterpret_cast<uint64_t>(code), call_code) ? 0 : 1;
}

HARD_CASE(an_instruction_at_the_end_of_all_code, "returned 0\n") {
  uint8_t* pages = map_pages(2);
  mprotect(pages + page, page, PROT_NONE);
  code = pages + page - 6;
  // xor %eax, %eax; je to the ret; then half a mov, which is never reached
  write_code(code, {0x31, 0xc0, 0x74, 1, 0xb8, 0xc3});
  call_code();
  in_engine(__LINE__);
  return 0;
}
