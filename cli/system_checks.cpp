#include "cli/system_checks.h"

#include <fcntl.h>
#include <filesystem>
#include <fmt/core.h>
#include <fstream>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

#include "cli/library.h"
#include "cli/store_access.h"

namespace selfheal::cli {
namespace {

namespace fs = std::filesystem;

Check check_library() {
  const Result<std::string> library = find_library();
  if (!library) {
    return {"library", Health::failure, library.error().message, "install libselfheal"};
  }
  return {"library", Health::fine, *library, ""};
}

Check check_absent_store(const std::string& path) {
  fs::path existing = path;
  std::error_code error;
  while (!fs::exists(existing, error) && existing.has_parent_path() &&
         existing != existing.parent_path()) {
    existing = existing.parent_path();
  }
  if (access(existing.c_str(), W_OK | X_OK) == 0) {
    return {"store", Health::fine, fmt::format("{} will be made at the first start", path), ""};
  }
  return {
      "store", Health::failure,
      fmt::format("{} does not exist and this user may not make it in {}", path, existing.string()),
      "make it for the program's user, or set SELFHEAL_STORE to a directory of its own"};
}

Check check_journal(const OpenStore& opened) {
  const store::Journal& journal = opened.store.journal;
  if (!journal.mapped()) {
    return {"journal", Health::note, "there is none yet", ""};
  }
  u32 used = 0;
  for (u32 i = 0; i < journal.slot_count(); ++i) {
    used += journal.word(i) != 0 ? 1 : 0;
  }
  const std::string state =
      fmt::format("{} of {} slots in use, {} regions in the catalog", used, journal.slot_count(),
                  opened.store.catalog.entries().size());
  if (!journal.writable()) {
    return {"journal", Health::warning, state + "; this user cannot record anything in it",
            "give the program's group write access to the journal, or run it as the owner"};
  }
  if (const u64 dropped = journal.dropped_faults(); dropped != 0) {
    return {"journal", Health::warning,
            fmt::format("{}; {} faults were lost because it was full", state, dropped),
            "run `selfheal list` as the store's owner now and then: it makes room"};
  }
  return {"journal", Health::fine, state, ""};
}

Checks check_store(const Session& session) {
  const Result<StorePlace> place = locate_store(session);
  if (!place) {
    return {{"store", Health::failure, place.error().message, "set SELFHEAL_STORE"}};
  }
  const auto opened = open_to_look(session);
  if (!opened) {
    return {{"store", Health::failure, opened.error().message,
             "repair or remove that file, or name another store with SELFHEAL_STORE"}};
  }
  if (!(*opened)->exists) {
    return {check_absent_store(place->path)};
  }
  return {{"store", Health::fine, fmt::format("{} ({})", place->path, place->source), ""},
          check_journal(**opened)};
}

Checks check_kernel() {
  Checks checks;
  const int memory = memfd_create("selfheal-doctor", MFD_CLOEXEC);
  if (memory >= 0) {
    close(memory);
    checks.push_back({"memfd", Health::fine, "memfd_create works", ""});
  } else {
    checks.push_back({"memfd", Health::failure, "memfd_create is refused here",
                      "allow memfd_create in the sandbox (systemd: SystemCallFilter=)"});
  }
  const int own_memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  if (own_memory >= 0) {
    close(own_memory);
    checks.push_back({"proc-mem", Health::fine, "/proc/self/mem can be written", ""});
  } else {
    checks.push_back({"proc-mem", Health::note,
                      "/proc/self/mem cannot be written; code is patched by mapping a copy instead",
                      ""});
  }
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Seccomp:") && line.find_first_of("12") != std::string::npos) {
      checks.push_back({"seccomp", Health::note,
                        "a seccomp filter is in force here; the library keeps to what it allows",
                        ""});
    }
  }
  return checks;
}

}  // namespace

Checks check_system(const Session& session) {
  Checks checks = {check_library()};
  for (const Checks& more : {check_store(session), check_kernel()}) {
    checks.insert(checks.end(), more.begin(), more.end());
  }
  return checks;
}

}  // namespace selfheal::cli
