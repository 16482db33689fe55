// list, info, forget, enable and disable on a store with records.
#include <catch2/catch.hpp>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include "test/cli/store_fixture.h"

namespace selfheal::cli::test {
namespace {

std::set<std::string> keys(const Json& object) {
  std::set<std::string> result;
  for (const auto& [key, value] : object.items()) {
    result.insert(key);
  }
  return result;
}

const std::set<std::string> region_keys = {"id",
                                           "module",
                                           "offset",
                                           "function",
                                           "size",
                                           "code_hash",
                                           "fault",
                                           "faults",
                                           "heals",
                                           "first_seen",
                                           "last_seen",
                                           "last_heal",
                                           "enabled",
                                           "policy",
                                           "policy_by_user",
                                           "level",
                                           "level_by_user",
                                           "pending",
                                           "value",
                                           "errno",
                                           "remedies",
                                           "remedies_by_user",
                                           "padding",
                                           "stack_reserve",
                                           "instruction_budget",
                                           "security_event"};

TEST_CASE("an absent store is an empty list, and is not made") {
  StoreFixture store;
  const Finished finished = store.selfheal({"list", "--store", store.path() + "/none"});
  CHECK(finished.status == 0);
  CHECK(finished.out ==
        "No crash is recorded in " + store.path() + "/none (it does not exist yet).\n");
  CHECK(access((store.path() + "/none").c_str(), F_OK) != 0);
}

TEST_CASE("list promotes what is in the journal and shows it") {
  StoreFixture store;
  store.add(crash(10));
  store.add(crash(5));
  store.add(heal_of(crash(4)));
  const Json list = store.json({"list"});
  CHECK(keys(list) == std::set<std::string>{"store", "generation", "regions", "unattributed_faults",
                                            "events", "dropped_faults", "dropped_heals"});
  CHECK(list["store"] == store.path());
  REQUIRE(list["regions"].size() == 1);
  const Json& region = list["regions"][0];
  CHECK(keys(region) == region_keys);
  CHECK(region["module"]["name"] == "cli_crashing_module.so");
  CHECK(region["module"]["id_kind"] == "build-id");
  CHECK(region["fault"]["kind"] == "null-access");
  CHECK(region["fault"]["address"] == "0x18");
  CHECK(region["faults"] == 2);
  CHECK(region["heals"] == 1);
  CHECK(region["enabled"] == true);
  CHECK(region["policy"] == "heal");
  CHECK(region["pending"] == false);
  CHECK(region["code_hash"] == "0x1234567890abcdef");

  const Finished table = store.selfheal({"list"});
  CHECK(table.out.find("cli_crashing_module.so  ") != std::string::npos);
  CHECK(table.out.find("5 minutes ago") != std::string::npos);
}

TEST_CASE("the region seen last comes first, and faults without a region are counted") {
  StoreFixture store;
  store.add(crash_of_other_build(FaultKind::divide, "other.so"));
  store.add(crash(5));
  FaultRecord nobodys = crash(1);
  nobodys.region = {};
  nobodys.region.entry.module = no_module;
  store.add(nobodys);
  const Json list = store.json({"list"});
  REQUIRE(list["regions"].size() == 2);
  CHECK(list["regions"][0]["fault"]["kind"] == "null-access");
  CHECK(list["regions"][1]["fault"]["kind"] == "divide");
  CHECK(list["unattributed_faults"] == 1);
}

TEST_CASE("info shows the report, the code and the last heal") {
  StoreFixture store;
  store.add(crash());
  store.add(heal_of(crash(4)));
  const std::string id = store.only_id();
  const Finished finished = store.selfheal({"info", id.substr(0, 4), "--binary", CRASHING_MODULE});
  INFO(finished.out);
  CHECK(finished.status == 0);
  CHECK(finished.err == "");
  for (const char* part : {
           "selfheal: process 4711 (thread 4712) read from address 0x18, a NULL pointer plus 24 "
           "(SIGSEGV)\n",
           "  in           handle_request+0x3, cli_crashing_module.so+0x",
           "  instruction  mov eax, dword ptr [rdi+0x18]\n",
           "dword ptr [rdi+0x18] is at 0x18, 4 bytes read  <- the fault\n",
           "#1  server+0x4321\n",
           "  53                             push rbx\n",
           "  8b 47 18                       mov eax, dword ptr [rdi+0x18]\n",
           "last heal ",
           "selfheal: process 4711 healed: handle_request read from address 0x18",
           "returned -1 (the caller tests the sign, errno 5), 4.3 us, 64 bytes rolled back, could "
           "not undo write\n",
           "1 rolled back, 0 recovered by unwinding, 0 left to die\n",
       }) {
    INFO(part);
    CHECK(finished.out.find(part) != std::string::npos);
  }
  CHECK(finished.out.find("=>") != std::string::npos);
  CHECK(finished.out.find("=>") < finished.out.find("8b 47 18"));
}

TEST_CASE("info --json has everything the text has") {
  StoreFixture store;
  store.add(crash());
  store.add(heal_of(crash(4)));
  const Json info = store.json({"info", store.only_id(), "--binary", CRASHING_MODULE});
  std::set<std::string> expected = region_keys;
  expected.insert({"candidates", "decision", "known", "outcomes", "last_fault", "last_heal",
                   "module_file", "code"});
  CHECK(keys(info) == expected);
  CHECK(info["function"] == "handle_request");
  CHECK(info["module_file"] == CRASHING_MODULE);
  CHECK(
      info["outcomes"] ==
      Json(
          {{"healed", 1}, {"eager", 0}, {"left_to_die", 0}, {"unprotected", 0}, {"simulated", 0}}));
  CHECK(keys(info["last_fault"]) ==
        std::set<std::string>{"time", "pid", "tid", "kind", "access", "signal", "code", "trap",
                              "address", "site", "in_cold_part", "instruction", "detail",
                              "registers", "stack", "report"});
  CHECK(info["last_fault"]["registers"].size() == 18);
  CHECK(info["last_fault"]["instruction"] ==
        Json({{"bytes", "8b4718"}, {"text", "mov eax, dword ptr [rdi+0x18]"}}));
  CHECK(info["last_fault"]["stack"][0]["blamed"] == true);
  CHECK(keys(info["last_heal"]) == std::set<std::string>{"time",
                                                         "pid",
                                                         "tid",
                                                         "outcome",
                                                         "kind",
                                                         "access",
                                                         "signal",
                                                         "code",
                                                         "trap",
                                                         "address",
                                                         "site",
                                                         "value",
                                                         "value_reason",
                                                         "errno",
                                                         "level",
                                                         "duration_ns",
                                                         "bytes_rolled_back",
                                                         "actions_undone",
                                                         "irrevocable",
                                                         "irrevocable_calls",
                                                         "remedies",
                                                         "report"});
  CHECK(info["last_heal"]["irrevocable_calls"] == Json({"write"}));
  size_t sites = 0;
  for (const Json& line : info["code"]) {
    sites += line["site"] == true ? 1 : 0;
  }
  CHECK(sites == 1);
}

TEST_CASE("code is shown only from a file with the recorded build-id") {
  StoreFixture store;
  store.add(crash_of_other_build(FaultKind::null_access, "cli_crashing_module.so"));
  const Finished finished = store.selfheal({"info", store.only_id(), "--binary", CRASHING_MODULE});
  CHECK(finished.status == 0);
  CHECK(finished.out.find("No file with cli_crashing_module.so's build-id was found") !=
        std::string::npos);
}

TEST_CASE("info without a record left says what the catalog keeps") {
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  REQUIRE(unlink((store.path() + "/history").c_str()) == 0);
  const Finished finished = store.selfheal({"info", id});
  CHECK(finished.status == 0);
  CHECK(finished.out.find("its record is gone from the history") != std::string::npos);
  CHECK(finished.out.find("read from address 0x18, a NULL pointer plus 24") != std::string::npos);
  CHECK(finished.out.find("rdi = ") == std::string::npos);  // no registers are kept
  CHECK(store.json({"info", id})["last_fault"]["registers"] == nullptr);
}

TEST_CASE("ids must exist and be unambiguous") {
  StoreFixture store;
  store.add(crash());
  CHECK(store.selfheal({"info", "zz"}).status == 2);
  const Finished unknown = store.selfheal({"info", "000000000000"});
  CHECK(unknown.status == 1);
  CHECK(unknown.err ==
        "selfheal: no region has the id '000000000000'; `selfheal list` shows all\n");
}

TEST_CASE("disable and enable change the region and say so") {
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  const Finished disabled = store.selfheal({"disable", id});
  CHECK(disabled.status == 0);
  CHECK(disabled.out.find("disabled " + id + " (cli_crashing_module.so+0x") == 0);
  CHECK(store.json({"list"})["regions"][0]["enabled"] == false);
  CHECK(store.selfheal({"info", id}).out.find("it is not healed: this region is disabled") !=
        std::string::npos);
  CHECK(store.json({"enable", id}) ==
        Json({{"changed", {{{"id", id}, {"enabled", true}, {"was", false}}}}}));
  CHECK(store.json({"list"})["regions"][0]["enabled"] == true);
  CHECK(store.selfheal({"enable", id}).out.find(", as it was\n") != std::string::npos);
}

TEST_CASE("set changes what is done, and gives it back") {
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  const auto changed = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"set", id});
    return store.json(arguments)["changed"][0];
  };
  const Json set = changed({"--value=-12", "--errno", "12", "--policy", "stop", "--remedy",
                            "pad-allocation,delay-free", "--padding", "64", "--stack-reserve",
                            "0x10000", "--instruction-budget", "1000"});
  CHECK(set["value"] == "0xfffffffffffffff4");
  CHECK(set["errno"] == 12);
  CHECK(set["policy"] == "stop");
  CHECK(set["policy_by_user"] == true);
  CHECK(set["remedies"] == Json({"pad-allocation", "delay-free"}));
  CHECK(set["remedies_by_user"] == true);
  CHECK(set["padding"] == 64);
  CHECK(set["stack_reserve"] == 65536);
  CHECK(set["instruction_budget"] == 1000);
  CHECK(store.json({"list"})["regions"][0]["policy"] == "stop");
  CHECK(store.selfheal({"info", id}).out.find("pad-allocation, delay-free (set by the user)\n") !=
        std::string::npos);

  const Json back = changed({"--value", "auto", "--errno", "auto", "--policy", "auto", "--remedy",
                             "auto", "--padding", "auto"});
  CHECK(back["value"].is_null());
  CHECK(back["errno"].is_null());
  CHECK(back["policy"] == "heal");
  CHECK(back["policy_by_user"] == false);
  CHECK(back["remedies"].empty());
  CHECK(back["padding"] == 0);
  CHECK(back["stack_reserve"] == 65536);
}

TEST_CASE("set refuses what it does not understand, and changes nothing") {
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  const auto refused = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"set", id});
    const Finished finished = store.selfheal(arguments);
    CHECK(finished.status == 2);
    return finished.err;
  };
  CHECK(refused({"--policy", "stop", "--errno", "5000"}) ==
        "selfheal: --errno: '5000' is no number from 0 to 4095, nor 'auto'\n");
  CHECK(refused({"--value", "12x"}).find("--value: '12x' is no number") != std::string::npos);
  CHECK(refused({"--policy", "fix"}) == "selfheal: --policy: 'fix' is none of heal, stop, auto\n");
  CHECK(refused({"--remedy", "engine,luck"}).find("--remedy: 'luck' is none of engine, ") !=
        std::string::npos);
  CHECK(refused({}).find("nothing to set") != std::string::npos);
  CHECK(store.json({"list"})["regions"][0]["policy"] == "heal");
}

TEST_CASE("forget takes ids, filters or all") {
  StoreFixture store;
  store.add(crash());
  store.add(crash_of_other_build(FaultKind::divide, "other.so"));
  CHECK(store.json({"forget", "--module", "no.so"})["forgotten"].empty());
  CHECK(store.selfheal({"forget", "--kind", "divide", "--module", "x.so"}).out ==
        "nothing to forget: no region fits\n");
  CHECK(store.json({"forget", "--older-than", "2h"})["forgotten"].empty());
  CHECK(store.json({"forget", "--older-than", "30m"})["forgotten"].size() == 1);
  CHECK(store.json({"list"})["regions"].size() == 1);
  const std::string id = store.only_id();
  const Finished finished = store.selfheal({"forget", id});
  CHECK(finished.out.find("forgot " + id + " (cli_crashing_module.so+0x") == 0);
  CHECK(store.json({"list"})["regions"].empty());
  store.add(crash(1));
  CHECK(store.json({"forget", "--all"})["forgotten"] == Json({id}));
  CHECK(store.selfheal({"forget", "--older-than", "soon"}).status == 2);
}

TEST_CASE("another user may look where modes allow it, and is told whose the store is") {
  if (getuid() != 0) {
    WARN("not root: not tested");
    return;
  }
  StoreFixture store;
  store.add(crash());
  const std::string id = store.only_id();
  REQUIRE(chmod(store.path().c_str(), 0755) == 0);
  for (const char* file : {"/journal", "/catalog", "/live", "/history"}) {
    chmod((store.path() + file).c_str(), 0644);
  }
  Arguments arguments = {"setpriv", "--reuid", "65534", "--clear-groups"};
  const Arguments rest = selfheal({"disable", id, "--store", store.path()});
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  const Finished finished = run(arguments, with_library());
  CHECK(finished.status == 1);
  CHECK(finished.out == "");
  CHECK(finished.err.find("selfheal: ") == 0);
  CHECK(finished.err.find('\n') == finished.err.size() - 1);
}

}  // namespace
}  // namespace selfheal::cli::test
