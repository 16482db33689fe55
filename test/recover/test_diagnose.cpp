// Diagnosis on a made-up process (made_up_process.h).
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "lib/recover/diagnose.h"
#include "test/recover/made_up_process.h"

using namespace made_up;

namespace {

Fault null_read(u64 rip) {
  Fault fault{};
  fault.signal = SIGSEGV;
  fault.trap = 14;
  fault.code = SEGV_MAPERR;
  fault.error_code = 4;
  fault.address = 8;
  fault.registers.rip = rip;
  return fault;
}

const std::vector<u8> load = {0x8b, 0x40, 0x08, 0x90};  // mov eax, [rax+8]; nop

}  // namespace

TEST_CASE("a plain fault: site, region, instruction, frames and modules", "[diagnose]") {
  Process process;
  process.put(0x1040, load);
  const u64 rip = program + 0x1040;
  const FaultRecord record =
      process.diagnose(null_read(rip), {rip, program + 0x1123, libc + 0x1500, 0x7f1234});
  CHECK(record.fault.kind == FaultKind::null_access);
  CHECK(record.fault.access == Access::read);
  CHECK(record.instruction_size == 3);
  CHECK(std::memcmp(record.instruction, load.data(), 3) == 0);
  CHECK(record.instruction[3] == 0);
  CHECK(record.site.offset == 0x1040);
  CHECK(record.region.entry.offset == 0x1000);
  CHECK(record.region.size == 0x100);
  CHECK(record.region.code_hash == ((program + 0x1000) ^ 0xabc));
  CHECK(record.blamed_frame == 0);
  CHECK_FALSE(record.in_cold_part);
  REQUIRE(record.frame_count == 4);
  REQUIRE(record.module_count == 2);
  CHECK(record.frames[1].offset == 0x1123);
  CHECK(record.frames[1].module == record.site.module);
  CHECK(std::string(record.modules[record.frames[2].module].name) == "libc.so.6");
  CHECK(record.frames[3].module == no_module);
  CHECK(record.frames[3].offset == 0x7f1234);
  CHECK(record.time_ns == 0);
  CHECK(record.frames[31].offset == 0);  // every byte is written
}

TEST_CASE("blame passes over system libraries to their caller", "[diagnose]") {
  Process process;
  const FaultRecord record = process.diagnose(
      null_read(libc + 0x1040), {libc + 0x1040, libc + 0x1110, program + 0x1350, program + 0x1020});
  CHECK(record.blamed_frame == 2);
  CHECK(record.region.entry.offset == 0x1300);
  CHECK(std::string(record.modules[record.region.entry.module].name) == "program");
  CHECK(std::string(record.modules[record.site.module].name) == "libc.so.6");
}

TEST_CASE("a return address at a function's end belongs to the caller, not to what follows",
          "[diagnose]") {
  Process process;
  const FaultRecord record =
      process.diagnose(null_read(libc + 0x1040), {libc + 0x1040, program + 0x1400});
  CHECK(record.region.entry.offset == 0x1300);  // the call was its last instruction
}

TEST_CASE("who never returns cannot return an error: its caller is blamed", "[diagnose]") {
  Process process;
  process.put(0x13ff, {0x90});
  const FaultRecord record = process.diagnose(
      null_read(program + 0x1340), {program + 0x1340, program + 0x1120, program + 0x1020});
  CHECK(record.blamed_frame == 1);
  CHECK(record.region.entry.offset == 0x1100);
  CHECK(record.site.offset == 0x1340);
}

TEST_CASE("a fault in a cold part is the parent's", "[diagnose]") {
  Process process;
  const u64 rip = program + 0x1812;
  const FaultRecord record = process.diagnose(null_read(rip), {rip, program + 0x1020});
  CHECK(record.in_cold_part);
  CHECK(record.region.entry.offset == 0x1200);
  CHECK(record.site.offset == 0x1812);
}

TEST_CASE("after a jump to nowhere the caller is blamed, at its call", "[diagnose]") {
  Process process;
  process.put(0x1130, {0xff, 0xd0});  // call rax
  Fault fault = null_read(0);
  fault.address = 0;
  fault.error_code = 0x14;
  const FaultRecord record = process.diagnose(fault, {0, program + 0x1132, program + 0x1020});
  CHECK(record.fault.kind == FaultKind::exec_violation);
  CHECK(record.fault.access == Access::execute);
  CHECK(record.site.offset == 0x1130);
  CHECK(record.region.entry.offset == 0x1100);
  CHECK(record.blamed_frame == 1);
  CHECK(record.instruction_size == 0);
  CHECK(record.frames[0].module == no_module);
}

TEST_CASE("where nobody can be blamed there is no region", "[diagnose]") {
  Process process;
  FaultRecord record = process.diagnose(null_read(libc + 0x1040), {libc + 0x1040});
  CHECK(record.region.size == 0);
  CHECK(record.region.entry.module == no_module);
  record = process.diagnose(null_read(0x7f0000), {0x7f0000});
  CHECK(record.region.size == 0);
  CHECK(record.site.module == no_module);
  // Without identity a module is passed over: it could not be recognised in the next run.
  record = process.diagnose(null_read(anonymous + 0x1040), {anonymous + 0x1040, program + 0x1120});
  CHECK(record.blamed_frame == 1);
  CHECK(record.region.entry.offset == 0x1100);
  // A function without a frame description cannot be a region.
  record = process.diagnose(null_read(program + 0x1f40), {program + 0x1f40, program + 0x1120});
  CHECK(record.blamed_frame == 1);
}

TEST_CASE("deep stacks are cut to 32 frames", "[diagnose]") {
  Process process;
  std::vector<u64> addresses(40, program + 0x1120);
  CHECK(process.diagnose(null_read(program + 0x1120), addresses).frame_count == max_frames);
}

TEST_CASE("bytes that are no instruction are kept as they are", "[diagnose]") {
  Process process;
  process.put(0x1040, {0x06, 0x07});
  Fault fault{};
  fault.signal = SIGILL;
  fault.trap = 6;
  fault.code = ILL_ILLOPN;
  fault.registers.rip = program + 0x1040;
  const FaultRecord record = process.diagnose(fault, {program + 0x1040});
  CHECK(record.fault.kind == FaultKind::illegal_instruction);
  CHECK(record.instruction_size == 15);
  CHECK(record.instruction[0] == 0x06);
}
