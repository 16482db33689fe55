// A store with records in it, written through lib/store as the library writes them.
#pragma once

#include <nlohmann/json.hpp>

#include "lib/base/record.h"
#include "test/cli/process.h"

namespace selfheal::cli::test {

using Json = nlohmann::json;

class StoreFixture {
 public:
  const std::string& path() const { return folder_.path(); }

  // Each opens the store, records, and closes it.
  void add(const FaultRecord& record);
  void add(const HealRecord& record);

  // Runs `selfheal` on this store.
  Finished selfheal(const Arguments& arguments, Changes changes = {}) const;

  // ... with --json; fails the test when it fails or prints no JSON.
  Json json(const Arguments& arguments) const;

  // The id of the only region.
  std::string only_id() const;

 private:
  Folder folder_;
};

// handle_request of crashing_module.S reading through NULL. `minutes_ago` sets the time.
FaultRecord crash(unsigned minutes_ago = 5);

// The same function of another build: another code hash, and so another region.
FaultRecord crash_of_other_build(FaultKind kind, const char* module);

HealRecord heal_of(const FaultRecord& fault);

}  // namespace selfheal::cli::test
