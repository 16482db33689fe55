#include <catch2/catch.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/code_memory.h"

using namespace selfheal;

namespace {

// mov eax, imm32; ret
void emit_return(CodeMemory& memory, u64 at, u8 value) {
  const u8 code[] = {0xb8, value, 0, 0, 0, 0xc3};
  for (unsigned i = 0; i < sizeof code; ++i) {
    memory.writable(at)[i] = code[i];
  }
}

int call(u64 at) {
  return reinterpret_cast<int (*)()>(at)();
}

}  // namespace

TEST_CASE("code memory runs what was written through the other view, within reach of `near`") {
  CodeMemory memory;
  const u64 near = address_of_function(&call);
  REQUIRE(memory.map(near, 16 * page_size));
  const u64 at = memory.allocate(6);
  emit_return(memory, at, 7);
  CHECK(call(at) == 7);
  CHECK(within_rel32(near, at));
  CHECK(memory.allocate(17 * page_size) == 0);
  memory.unmap();
}

TEST_CASE("a fork child that detaches does not change its parent's code") {
  CodeMemory memory;
  REQUIRE(memory.map(0, 16 * page_size));
  const u64 at = memory.allocate(6);
  emit_return(memory, at, 1);
  const pid_t child = fork();
  if (child == 0) {
    bool ok = memory.detach() && call(at) == 1;
    emit_return(memory, at, 2);
    _exit(ok && call(at) == 2 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(call(at) == 1);
  memory.unmap();
}

TEST_CASE("a fork child is not given the writer view of its parent's code") {
  CodeMemory memory;
  REQUIRE(memory.map(0, 16 * page_size));
  const u64 at = memory.allocate(6);
  emit_return(memory, at, 1);
  const pid_t child = fork();
  if (child == 0) {
    // write() reports an unmapped buffer as EFAULT instead of a signal.
    int ends[2];
    const bool ok = pipe(ends) == 0 && write(ends[1], memory.writable(at), 1) == -1;
    _exit(ok && call(at) == 1 ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  memory.unmap();
}
