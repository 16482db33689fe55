// The store as the command sees it: where it is, opened for what is to be done, and every record
// that is in it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cli/result.h"
#include "cli/session.h"
#include "lib/store/open.h"
#include "lib/store/promote.h"

namespace selfheal::cli {

struct StorePlace {
  std::string path;
  std::string source;  // "--store", "SELFHEAL_STORE", ...
};

// --store, else what the library would take with this environment.
Result<StorePlace> locate_store(const Session& session);

// Closes the store when it goes.
class OpenStore {
 public:
  OpenStore() = default;
  OpenStore(const OpenStore&) = delete;
  OpenStore& operator=(const OpenStore&) = delete;
  ~OpenStore() { store::close_store(store); }

  store::Store store;
  StorePlace place;
  bool exists = false;  // false: there is no such directory yet, and `store` is empty
};

// To look: nothing is made; where we own the store, what waits in the journal is promoted first.
Result<std::unique_ptr<OpenStore>> open_to_look(const Session& session);

// With the counts of learning; `to_change`: makes them, and only its owner can.
Result<std::unique_ptr<OpenStore>> open_to_learn(const Session& session, bool to_change);

// To change it: as above, but only its owner can.
Result<std::unique_ptr<OpenStore>> open_to_change(const Session& session);

// To run a program: made when absent, and promoted. Problems are said on stderr and are no reason
// not to run it.
void promote_before_run(const std::string& path);

// How many faults were ever written down in this store; 0 when it cannot be read.
u64 faults_recorded(const std::string& path);

// Visits every whole record, oldest first: history.1, history, journal. Damaged ones are named on
// stderr with file and offset.
void for_each_record(const OpenStore& opened, const std::function<void(const store::Slot&)>& visit);

}  // namespace selfheal::cli
