// How activations end when they do not return: faults told precisely and taken back, budgets.
#include <catch2/catch.hpp>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <vector>

#include "test/emulator/host.h"

using namespace selfheal;
using namespace selfheal::emulator;
using host::session;

extern "C" {
u64 guest_write_then_null(u64*, u64);
u64 guest_write_then_wild(u8*, u64, u64);
u64 guest_divide(u64*, u64, u64);
u64 guest_call_null(u64*);
u64 guest_smash(u64);
}

namespace {

void roll_back() {
  host::start();
  session.after_fault = host::AfterFault::roll_back_and_return;
  session.virtual_value = static_cast<u64>(-1);
}

}  // namespace

TEST_CASE("a NULL dereference is seen before it happens, and memory goes back") {
  roll_back();
  std::vector<u64> words(1000, 3);
  const auto before = words;
  REQUIRE(host::call(guest_write_then_null, words.data(), u64{1000}) == static_cast<u64>(-1));
  REQUIRE(session.outcome.stop == Stop::fault);
  REQUIRE(session.fault.kind == FaultKind::null_access);
  REQUIRE(session.fault.signal == 0);
  REQUIRE(session.fault.address == 16);
  REQUIRE(session.fault.access == Access::read);
  REQUIRE(words == before);
  REQUIRE(session.undone.bytes >= 8000);
}

TEST_CASE("a wild store is the guest's fault, with the processor's own words") {
  roll_back();
  void* page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::vector<u8> bytes(5000, 1);
  const auto before = bytes;
  host::call(guest_write_then_wild, bytes.data(), u64{5000}, address_of(page) + 8);
  REQUIRE(session.outcome.stop == Stop::fault);
  REQUIRE(session.fault.kind == FaultKind::wild_access);
  REQUIRE(session.fault.signal == SIGSEGV);
  REQUIRE(session.fault.address == address_of(page) + 8);
  REQUIRE(session.fault.access == Access::write);
  REQUIRE(session.fault.code == SEGV_ACCERR);
  REQUIRE(bytes == before);
  munmap(page, 4096);
}

TEST_CASE("a store to read-only memory faults as a store") {
  roll_back();
  void* page = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::vector<u8> bytes(10, 1);
  host::call(guest_write_then_wild, bytes.data(), u64{10}, address_of(page));
  REQUIRE(session.fault.access == Access::write);
  REQUIRE(session.fault.error_code == 7);
  munmap(page, 4096);
}

TEST_CASE("a division by zero is seen before it happens") {
  roll_back();
  u64 word = 1;
  REQUIRE(host::call(guest_divide, &word, u64{5}, u64{0}) == static_cast<u64>(-1));
  REQUIRE(session.fault.kind == FaultKind::divide);
  REQUIRE(word == 1);
}

TEST_CASE("a call of a null function pointer is an execution fault") {
  roll_back();
  u64 word = 1;
  REQUIRE(host::call(guest_call_null, &word) == static_cast<u64>(-1));
  REQUIRE(session.fault.kind == FaultKind::exec_violation);
  REQUIRE(session.fault.address == 0);
  REQUIRE(word == 1);
}

TEST_CASE("a store onto the region's return address is a fault, and not made") {
  roll_back();
  REQUIRE(host::call(guest_smash, u64{0x1234}) == static_cast<u64>(-1));
  REQUIRE(session.outcome.stop == Stop::fault);
  REQUIRE(session.fault.kind == FaultKind::stack_overwrite);
}
