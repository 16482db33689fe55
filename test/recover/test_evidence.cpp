// How well it is known how functions say no, on real stacks.
#include <algorithm>
#include <catch2/catch.hpp>
#include <pthread.h>
#include <vector>

#include "lib/recover/diagnose.h"
#include "lib/recover/evidence.h"
#include "test/recover/machine_context.h"

using namespace selfheal;

extern "C" {
void faulting();
long handles(long n);
void trusts(long n);
long hopes(long n);
long picks(long n);
long listens(long n);
long insists(long n);
long demands(long n);
long steps_aside(long n);
long stands_aside(long n);
long persists(long n);
void keeps(long n);
void finishes(long n);
}

namespace {

std::vector<Evidence> seen_at_fault;

// The library is part of this program, and so the application would be the system's.
recover::ImageView process() {
  recover::ImageView view = recover::live_image();
  view.is_system = [](void*, const image::Module& module) {
    return !module.executable(address_of_function(&faulting));
  };
  return view;
}

std::vector<Evidence> evidence_in(void (*chain)()) {
  seen_at_fault.clear();
  chain();
  return seen_at_fault;
}

void five() {
  handles(5);
}

void* look_in_thread(void* evidence) {
  *static_cast<std::vector<Evidence>*>(evidence) = evidence_in(&five);
  return nullptr;
}

}  // namespace

// As if its caller had faulted here.
void faulting() {
  if (!seen_at_fault.empty()) {
    return;  // a comparison is called more than once
  }
  ucontext_t context;
  getcontext(&context);
  recover::Frame frames[max_frames];
  const unsigned count = test::frames_above(context, frames);
  REQUIRE(count > 2);
  Fault fault{};
  fault.kind = FaultKind::null_access;
  fault.registers = frames[1].registers;
  FaultRecord record;
  const auto stack = std::span<const recover::Frame>(frames).first(count).subspan(1);
  recover::diagnose(fault, stack, process(), record);
  REQUIRE(record.blamed_frame == 0);
  recover::weigh_levels(record, stack, process());
  seen_at_fault.assign(std::begin(record.evidence), std::end(record.evidence));
}

TEST_CASE("a void function has nothing to say, and the one around it has an error of its own") {
  const auto evidence = evidence_in([] { handles(5); });
  CHECK(evidence[0] == Evidence::nobody);
  CHECK(evidence[1] == Evidence::own_error);
  CHECK(can_fail(evidence[1]));
}

TEST_CASE("what is used unchecked, or always the same, is no way to fail") {
  CHECK(evidence_in([] { trusts(5); })[0] == Evidence::granted);
  const auto evidence = evidence_in([] { hopes(5); });
  CHECK(evidence[0] == Evidence::nobody);
  CHECK(evidence[1] == Evidence::granted);
}

TEST_CASE("who always says the same may say something else, where a caller tells that apart") {
  CHECK(evidence_in([] { listens(5); })[0] == Evidence::asked);
}

TEST_CASE("an error that is the end of the process is none") {
  CHECK(evidence_in([] { insists(5); })[1] == Evidence::outermost);
  CHECK_FALSE(can_fail(evidence_in([] { demands(5); })[1]));
}

TEST_CASE("what ends by jumping elsewhere returns from there") {
  CHECK(evidence_in([] { steps_aside(5); })[1] == Evidence::own_error);
  CHECK(evidence_in([] { stands_aside(5); })[1] == Evidence::own_error);
}

TEST_CASE("further out, an error is one where the caller takes it for one, or by custom") {
  CHECK(evidence_in([] { handles(5); })[1] == Evidence::own_error);
  CHECK(evidence_in([] { persists(5); })[1] == Evidence::guess);
  CHECK(evidence_in([] { finishes(5); })[1] == Evidence::own_error);
}

TEST_CASE("what faults before it could fail knows its error all the same") {
  CHECK(evidence_in([] { keeps(5); })[0] == Evidence::own_error);
}

TEST_CASE("a comparison for qsort cannot refuse, but who sorts can") {
  const auto evidence = evidence_in([] { picks(3); });
  CHECK(evidence[0] == Evidence::library);
  CHECK(evidence[1] == Evidence::own_error);
}

TEST_CASE("what a thread began with calls nobody who could fail in its place") {
  std::vector<Evidence> evidence;
  // Not std::thread, whose own functions are more levels than are recorded where nothing is
  // inlined.
  pthread_t thread;
  REQUIRE(pthread_create(&thread, nullptr, &look_in_thread, &evidence) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  REQUIRE(evidence.size() == recorded_levels);
  CHECK(evidence[1] == Evidence::own_error);
  CHECK(std::find(evidence.begin(), evidence.end(), Evidence::outermost) != evidence.end());
}
