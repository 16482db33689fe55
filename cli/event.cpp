#include "cli/event.h"

#include <fmt/core.h>

#include "cli/format.h"
#include "cli/session.h"
#include "lib/base/record.h"
#include "lib/store/open.h"

namespace selfheal::cli {
namespace {

FaultRecord record_of(const Event& event) {
  constexpr CodeRef nowhere = {0, no_module, {}};
  FaultRecord record{};
  record.time_ns = now_ns();
  record.pid = static_cast<u32>(event.pid);
  record.tid = record.pid;
  record.fault.kind = event.kind;
  record.fault.signal = static_cast<u8>(event.signal);
  record.site = nowhere;
  record.region.entry = nowhere;
  record.detail.allocated_at = nowhere;
  record.detail.freed_at = nowhere;
  record.detail.outermost_call = nowhere;
  record.detail.used = event.used;
  event.message.copy(record.detail.message, sizeof record.detail.message - 1);
  return record;
}

}  // namespace

bool record_event(const std::string& store_path, const Event& event) {
  store::Store store;
  store::Error error;
  store::OpenRequest request;
  request.path = store_path.c_str();
  if (!store::open_store(request, store, error)) {
    warn(error.c_str());
    return false;
  }
  const store::Recorded recorded = store.journal.record_fault(record_of(event));
  store::close_store(store);
  if (recorded == store::Recorded::full) {
    warn(fmt::format("{}: the journal is full; `selfheal list`, as its owner, makes room",
                     store_path));
  }
  return recorded == store::Recorded::yes;
}

}  // namespace selfheal::cli
