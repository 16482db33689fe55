// selfheal doctor on programs of every kind that preloading does not reach.
#include <catch2/catch.hpp>
#include <cstring>
#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/cli/store_fixture.h"

namespace selfheal::cli::test {
namespace {

struct Diagnosis {
  int status;
  Json document;

  // The check of that name, or null.
  Json check(const std::string& name) const {
    for (const Json& found : document["checks"]) {
      if (found["name"] == name) {
        return found;
      }
    }
    return nullptr;
  }

  std::string status_of(const std::string& name) const {
    const Json found = check(name);
    return found.is_null() ? "absent" : found["status"].get<std::string>();
  }
};

Diagnosis diagnose(const std::string& program, Arguments prefix = {}) {
  static const Folder store;
  const Arguments rest = selfheal({"doctor", program, "--json", "--store", store / "store"});
  prefix.insert(prefix.end(), rest.begin(), rest.end());
  const Finished finished = run(prefix, with_library());
  INFO(finished.err);
  Diagnosis diagnosis{finished.status, Json::parse(finished.out)};
  CHECK((diagnosis.status == 0) == diagnosis.document["works"].get<bool>());
  return diagnosis;
}

// Not as root, who is let through almost everywhere.
const Arguments as_nobody = {"setpriv", "--reuid", "65534", "--clear-groups"};

TEST_CASE("an ordinary program works") {
  const Diagnosis diagnosis = diagnose("true");
  CHECK(diagnosis.status == 0);
  for (const Json& check : diagnosis.document["checks"]) {
    INFO(check.dump());
    CHECK(check["status"] != "failure");
    CHECK(check.size() == 4);
  }
  CHECK(diagnosis.status_of("linkage") == "ok");
  CHECK(diagnosis.status_of("unwind-table") == "ok");
}

TEST_CASE("a static program does not, and the line says why") {
  const Diagnosis diagnosis = diagnose(STATIC_PROGRAM);
  CHECK(diagnosis.status == 1);
  CHECK(diagnosis.check("linkage")["message"].get<std::string>().find("statically linked") !=
        std::string::npos);
  CHECK(!diagnosis.check("linkage")["advice"].is_null());
}

TEST_CASE("a musl program does not") {
  const Folder folder;
  const std::string program = folder / "musl-program";
  if (run({"musl-gcc", "-o", program, CLI_TEST_SOURCES "/exit_42.c"}).status != 0) {
    WARN("musl-gcc is not installed: not tested");
    return;
  }
  const Diagnosis diagnosis = diagnose(program);
  CHECK(diagnosis.status == 1);
  CHECK(diagnosis.check("linkage")["message"].get<std::string>().find("musl") != std::string::npos);
}

// The header of an executable file for another processor.
std::string foreign_header(u8 elf_class, u16 machine) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = elf_class;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_EXEC;
  header.e_machine = machine;
  header.e_phentsize = sizeof(Elf64_Phdr);
  return {reinterpret_cast<const char*>(&header), sizeof header};
}

TEST_CASE("programs for other processors do not") {
  const Folder folder;
  write_file(folder / "i386", foreign_header(ELFCLASS32, EM_386), 0755);
  write_file(folder / "arm", foreign_header(ELFCLASS64, EM_AARCH64), 0755);
  const Diagnosis i386 = diagnose(folder / "i386");
  CHECK(i386.status == 1);
  CHECK(i386.check("architecture")["message"] ==
        "it is a 32-bit program for i386, and the library is for x86-64");
  CHECK(diagnose(folder / "arm").check("architecture")["message"] ==
        "it is a 64-bit program for AArch64, and the library is for x86-64");
}

TEST_CASE("a script is followed to its interpreter") {
  const Folder folder;
  write_file(folder / "script", "#!/bin/sh -e\necho\n", 0755);
  const Diagnosis shell = diagnose(folder / "script");
  CHECK(shell.status == 0);
  CHECK(shell.check("script")["message"].get<std::string>().find("/bin/sh") != std::string::npos);
  CHECK(shell.status_of("linkage") == "ok");

  write_file(folder / "env-script", "#!/usr/bin/env -S sh -e\n", 0755);
  CHECK(diagnose(folder / "env-script").status == 0);
  write_file(folder / "static-script", "#!" STATIC_PROGRAM "\n", 0755);
  CHECK(diagnose(folder / "static-script").status_of("linkage") == "failure");
  write_file(folder / "orphan", "#!/no/such/interpreter\n", 0755);
  CHECK(diagnose(folder / "orphan").status == 1);
  write_file(folder / "loop", "#!" + folder / "loop" + "\n", 0755);
  CHECK(diagnose(folder / "loop").status_of("script") != "absent");
  CHECK(diagnose(folder / "loop").status == 1);
}

TEST_CASE("setuid programs and file capabilities shut LD_PRELOAD out for others") {
  if (getuid() != 0) {
    WARN("not root: not tested");
    return;
  }
  const Folder folder;
  REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
  const std::string setuid = folder / "setuid";
  REQUIRE(run({"cp", "/usr/bin/true", setuid}).status == 0);
  REQUIRE(chmod(setuid.c_str(), 04755) == 0);
  CHECK(diagnose(setuid).status_of("privileges") == "warning");  // root's own, and we are root
  CHECK(diagnose(setuid, as_nobody).status_of("privileges") == "failure");
  REQUIRE(chown(setuid.c_str(), 65534, 65534) == 0);
  REQUIRE(chmod(setuid.c_str(), 04755) == 0);
  CHECK(diagnose(setuid).status_of("privileges") == "failure");
  CHECK(diagnose(setuid).status == 1);

  const std::string capable = folder / "capable";
  REQUIRE(run({"cp", "/usr/bin/true", capable}).status == 0);
  if (run({"setcap", "cap_net_bind_service=+ep", capable}).status != 0) {
    WARN("file capabilities cannot be set here: not tested");
    return;
  }
  CHECK(diagnose(capable).status_of("privileges") == "warning");
  CHECK(diagnose(capable, as_nobody).status_of("privileges") == "failure");
}

TEST_CASE("what is no program at all is told apart") {
  const Folder folder;
  CHECK(diagnose(folder.path()).check("file")["message"] == folder.path() + " is a directory");
  CHECK(diagnose(folder / "nothing").check("file")["message"] ==
        folder / "nothing" + ": No such file or directory");
  CHECK(diagnose("no-such-program").status == 1);
  write_file(folder / "text", "hello", 0755);
  CHECK(diagnose(folder / "text").status_of("format") == "failure");
  write_file(folder / "cut",
             std::string("\x7f"
                         "ELF\x02\x01\x01",
                         7),
             0755);
  CHECK(diagnose(folder / "cut").status == 1);
  CHECK(diagnose(CRASHING_MODULE).status == 1);
}

TEST_CASE("owners of SIGSEGV are named") {
  if (access("/usr/bin/node", X_OK) == 0) {
    CHECK(diagnose("/usr/bin/node").check("signals")["message"].get<std::string>().find("Node") !=
          std::string::npos);
  }
  const Folder folder;
  const std::string program = folder / "asan";
  if (run({"gcc", "-fsanitize=address", "-o", program, CLI_TEST_SOURCES "/exit_42.c"}).status ==
      0) {
    CHECK(diagnose(program).status_of("signals") == "failure");
  }
}

TEST_CASE("a damaged or forbidden store is part of the diagnosis") {
  StoreFixture store;
  store.add(crash());
  const Finished good = store.selfheal({"doctor", "true"});
  CHECK(good.status == 0);
  CHECK(good.out.find("1 of 16 slots in use") == std::string::npos);  // doctor promoted it
  CHECK(good.out.find("1 regions in the catalog") != std::string::npos);
  write_file(store.path() + "/catalog", "nonsense", 0600);
  const Finished bad = store.selfheal({"doctor", "true"});
  CHECK(bad.status == 1);
  CHECK(bad.out.find(store.path() + "/catalog") != std::string::npos);
}

}  // namespace
}  // namespace selfheal::cli::test
