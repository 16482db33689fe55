#include "test/cli/store_fixture.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "cli/format.h"
#include "lib/image/elf_file.h"
#include "lib/image/symbols.h"
#include "lib/store/open.h"

namespace selfheal::cli::test {
namespace {

constexpr u64 site_in_function = 3;  // see crashing_module.S

template <typename Record>
void write_record(const std::string& path, store::Recorded (store::Journal::*write)(const Record&),
                  const Record& record) {
  store::Store opened;
  store::Error error;
  store::OpenRequest request;
  request.path = path.c_str();
  request.slot_count = 16;
  const bool ok = store::open_store(request, opened, error);
  INFO(error.c_str());
  REQUIRE(ok);
  REQUIRE((opened.journal.*write)(record) == store::Recorded::yes);
  store::close_store(opened);
}

}  // namespace

void StoreFixture::add(const FaultRecord& record) {
  write_record(path(), &store::Journal::record_fault, record);
}

void StoreFixture::add(const HealRecord& record) {
  write_record(path(), &store::Journal::record_heal, record);
}

Finished StoreFixture::selfheal(const Arguments& arguments, Changes changes) const {
  changes.emplace("SELFHEAL_STORE", path());
  return run(test::selfheal(arguments), with_library(changes));
}

Json StoreFixture::json(const Arguments& arguments) const {
  Arguments all = arguments;
  all.emplace_back("--json");
  const Finished finished = selfheal(all);
  INFO(finished.err);
  REQUIRE(finished.status == 0);
  return Json::parse(finished.out);
}

std::string StoreFixture::only_id() const {
  const Json list = json({"list"});
  REQUIRE(list["regions"].size() == 1);
  return list["regions"][0]["id"];
}

FaultRecord crash(unsigned minutes_ago) {
  image::ElfFile file;
  REQUIRE(image::inspect_file(CRASHING_MODULE, file));
  const u64 entry = image::find_symbol_in_file(CRASHING_MODULE, "handle_request");
  REQUIRE(entry != 0);

  FaultRecord record{};
  record.time_ns = now_ns() - u64{minutes_ago} * 60'000'000'000;
  record.pid = 4711;
  record.tid = 4712;
  record.fault.kind = FaultKind::null_access;
  record.fault.access = Access::read;
  record.fault.signal = 11;
  record.fault.trap = 14;
  record.fault.code = 1;
  record.fault.address = 0x18;
  const u8 instruction[] = {0x8b, 0x47, 0x18};
  std::memcpy(record.instruction, instruction, sizeof instruction);
  record.instruction_size = sizeof instruction;
  record.modules[0].id = file.id;
  std::strcpy(record.modules[0].name, "cli_crashing_module.so");
  record.modules[1].id = file.id;
  record.modules[1].id.bytes[0] ^= 0xff;
  std::strcpy(record.modules[1].name, "server");
  record.module_count = 2;
  record.site = {entry + site_in_function, 0, {}};
  record.region = {{entry, 0, {}}, 0x1234567890abcdef, 8, 0};
  record.frame_count = 2;
  record.frames[0] = record.site;
  record.frames[1] = {0x4321, 1, {}};
  return record;
}

FaultRecord crash_of_other_build(FaultKind kind, const char* module) {
  FaultRecord record = crash(60);
  record.fault.kind = kind;
  record.fault.signal = kind == FaultKind::divide ? 8 : 11;
  record.region.code_hash = 0xfedcba0987654321;
  record.modules[0].id.bytes[1] ^= 0x55;
  std::strcpy(record.modules[0].name, module);
  return record;
}

HealRecord heal_of(const FaultRecord& fault) {
  HealRecord record{};
  record.time_ns = fault.time_ns + 1'000'000'000;
  record.pid = fault.pid;
  record.tid = fault.tid;
  record.fault = fault.fault;
  record.site = fault.site;
  record.region = fault.region;
  record.value = 0xffffffff;
  record.error_number = 5;
  record.reason = ValueReason::caller_tests_sign;
  record.outcome = HealOutcome::healed;
  record.module_count = fault.module_count;
  record.duration_ns = 4321;
  record.bytes_rolled_back = 64;
  record.irrevocable = 1;
  record.irrevocable_calls[0] = 1;
  std::memcpy(record.modules, fault.modules, sizeof record.modules);
  return record;
}

}  // namespace selfheal::cli::test
