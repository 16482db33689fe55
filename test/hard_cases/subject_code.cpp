// Code that changes, comes and goes while a region runs it (issue 3, item 6).
#include <atomic>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "test/hard_cases/generated.h"
#include "test/hard_cases/seen_fault.h"

using namespace hard;

namespace {

uint8_t* code;

void call_code() {
  say("returned %d\n", call(code));
}

uint64_t code_address() {
  return reinterpret_cast<uint64_t>(code);
}

}  // namespace

HARD_CASE(jit_code_is_run_and_rewritten, "1 2 1\n") {
  code = map_pages(1);
  write_return(code, 1);
  const int first = call(code);
  write_return(code, 2);
  const int second = call(code);
  write_return(code, 1);
  in_engine(__LINE__);
  say("%d %d %d\n", first, second, call(code));
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(an_instruction_rewrites_the_next_one, "7\n") {
  code = map_pages(1);
  // movb $7, 1(%rip): the immediate of the mov behind it
  write_code(code, {0xc6, 0x05, 1, 0, 0, 0, 7, 0xb8, 1, 0, 0, 0, 0xc3});
  say("%d\n", call(code));
  in_engine(__LINE__);
  return 0;
}

// The second time round the rewritten instruction has been run before.
HARD_CASE(an_instruction_rewrites_the_next_one_in_a_loop, "3\n") {
  code = map_pages(1);
  // xor %ecx, %ecx; 2: inc %ecx; mov %cl, 1(%rip) (the immediate behind it); mov $9, %eax;
  // cmp $3, %ecx; jne 2; ret
  write_code(code, {0x31, 0xc9, 0xff, 0xc1, 0x88, 0x0d, 1, 0, 0, 0, 0xb8, 9, 0, 0, 0});
  write_code(code + 15, {0x83, 0xf9, 3, 0x75, 0xee, 0xc3});
  say("%d\n", call(code));
  in_engine(__LINE__);
  return 0;
}

// A loop that counts in its own immediate: more forms of one instruction than anybody keeps.
HARD_CASE(code_that_never_stays_the_same_is_still_right, "100000\n", .leaves = true) {
  code = map_pages(1);
  // 0: incl 1(%rip)     the immediate of the mov behind it
  // 6: mov $0, %eax; cmp $100000, %eax; jne 0; ret
  write_code(code, {0xff, 0x05, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0});
  write_code(code + 11, {0x3d, 0xa0, 0x86, 1, 0, 0x75, 0xee, 0xc3});
  say("%d\n", call(code));
  return 0;
}

HARD_CASE(code_is_rewritten_through_another_mapping, "1 2\n") {
  const int file = memfd_create("code", 0);
  ftruncate(file, page);
  auto* writable =
      static_cast<uint8_t*>(mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  code = static_cast<uint8_t*>(mmap(nullptr, page, PROT_READ | PROT_EXEC, MAP_SHARED, file, 0));
  write_return(writable, 1);
  const int first = call(code);
  write_return(writable, 2);
  say("%d %d\n", first, call(code));
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(code_is_written_by_the_kernel, "1 3\n") {
  code = map_pages(1);
  write_return(code, 1);
  const int first = call(code);
  int ends[2];
  pipe(ends);
  uint8_t other[6];
  write_return(other, 3);
  write(ends[1], other, sizeof other);
  read(ends[0], code, sizeof other);
  say("%d %d\n", first, call(code));
  in_engine(__LINE__);
  return 0;
}

namespace {

std::atomic<bool> seen_first;

void* rewrite_when_seen(void*) {
  while (!seen_first) {
    usleep(100);
  }
  __atomic_store_n(code + 1, 9, __ATOMIC_RELAXED);
  return nullptr;
}

}  // namespace

REGION int runs_until_it_changes() {
  while (call(code) == 1) {
    seen_first = true;
  }
  in_engine(__LINE__);
  return call(code);
}

HARD_CASE_OF(another_thread_rewrites_code_that_runs, "runs_until_it_changes", "9\n") {
  code = map_pages(1);
  write_return(code, 1);
  pthread_t writer;
  pthread_create(&writer, nullptr, rewrite_when_seen, nullptr);
  say("%d\n", runs_until_it_changes());
  pthread_join(writer, nullptr);
  return 0;
}

// Whether memory is executable cannot be asked in a sandbox that kills who opens a file.
REGION int calls_in_sandbox() {
  in_engine(__LINE__);
  return call(code);
}

HARD_CASE_OF(jit_code_in_a_sandbox, "calls_in_sandbox", "5\n", .leaves = true) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{sizeof filter / sizeof filter[0], filter};
  code = map_pages(1);
  write_return(code, 5);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
  say("%d\n", calls_in_sandbox());
  return 0;
}

// Code that is taken away: the processor must say so, and nothing decoded before may run.

HARD_CASE(unmapped_code_faults, "returned 1\nSIGSEGV code 1 trap 14 error 20 at +0 rip +0\n",
          .leaves = true) {
  code = map_pages(1);
  write_return(code, 1);
  call_code();
  in_engine(__LINE__);
  munmap(code, page);
  return tells_fault(code_address(), call_code) ? 0 : 1;
}

HARD_CASE(code_made_not_executable_faults,
          "returned 1\nSIGSEGV code 2 trap 14 error 21 at +0 rip +0\n", .leaves = true) {
  code = map_pages(1);
  write_return(code, 1);
  call_code();
  mprotect(code, page, PROT_READ | PROT_WRITE);
  in_engine(__LINE__);
  return tells_fault(code_address(), call_code) ? 0 : 1;
}

HARD_CASE(code_made_executable_again_runs, "returned 1\nreturned 2\n") {
  code = map_pages(1);
  write_return(code, 1);
  call_code();
  mprotect(code, page, PROT_READ | PROT_WRITE);
  write_return(code, 2);
  mprotect(code, page, PROT_READ | PROT_EXEC);
  call_code();
  in_engine(__LINE__);
  return 0;
}

REGION int calls_twice(void (*between)()) {
  call_code();
  between();
  in_engine(__LINE__);
  return tells_fault(code_address(), call_code) ? 0 : 1;
}

namespace {

void* unmap(void*) {
  munmap(code, page);
  return nullptr;
}
void* forbid(void*) {
  mprotect(code, page, PROT_READ);
  return nullptr;
}
void* move(void*) {
  void* to = mmap(nullptr, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mremap(code, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  return nullptr;
}
void* replace(void*) {
  mmap(code, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
       0);
  write_return(code, 4);
  return nullptr;
}

// Done by a thread that runs natively, while the region waits for it.
std::atomic<int> turn;
void* (*deed)(void*);

void* wait_and_do(void*) {
  while (turn != 1) {
    usleep(100);
  }
  deed(nullptr);
  turn = 2;
  return nullptr;
}
void let_the_other_do_it() {
  turn = 1;
  while (turn != 2) {
  }
}

int by_another_thread(void* (*what)(void*)) {
  code = map_pages(1);
  write_return(code, 1);
  deed = what;
  pthread_t thread;
  pthread_create(&thread, nullptr, wait_and_do, nullptr);
  const int result = calls_twice(let_the_other_do_it);
  pthread_join(thread, nullptr);
  return result;
}

}  // namespace

HARD_CASE_OF(another_thread_unmaps_code, "calls_twice",
             "returned 1\nSIGSEGV code 1 trap 14 error 20 at +0 rip +0\n", .leaves = true) {
  return by_another_thread(unmap);
}

HARD_CASE_OF(another_thread_makes_code_not_executable, "calls_twice",
             "returned 1\nSIGSEGV code 2 trap 14 error 21 at +0 rip +0\n", .leaves = true) {
  return by_another_thread(forbid);
}

HARD_CASE_OF(another_thread_moves_code_away, "calls_twice",
             "returned 1\nSIGSEGV code 1 trap 14 error 20 at +0 rip +0\n", .leaves = true) {
  return by_another_thread(move);
}

HARD_CASE_OF(another_thread_maps_other_code_over_it, "calls_twice", "returned 1\nreturned 4\n") {
  return by_another_thread(replace) == 1 ? 0 : 1;
}

HARD_CASE(code_moved_by_the_region_runs_where_it_is, "returned 1\nreturned 1\n", .leaves = true) {
  code = map_pages(1);
  write_return(code, 1);
  call_code();
  void* to = map_pages(1, PROT_NONE);
  code = static_cast<uint8_t*>(mremap(code, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, to));
  call_code();
  return 0;
}

HARD_CASE(code_mapped_over_by_the_region_is_replaced, "returned 1\nreturned 4\n", .leaves = true) {
  code = map_pages(1);
  write_return(code, 1);
  call_code();
  replace(nullptr);
  call_code();
  return 0;
}
