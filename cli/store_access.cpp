#include "cli/store_access.h"

#include <cstring>
#include <filesystem>
#include <fmt/core.h>
#include <set>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "lib/options/options.h"
#include "lib/store/history.h"
#include "lib/store/location.h"

namespace selfheal::cli {
namespace {

bool is_directory(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// What waits in the journal moves to the catalog, and the store is opened anew to see it; where
// somebody else does it just now, or it is not ours to do, that is no mistake.
void promote(OpenStore& opened) {
  if (!opened.store.owner || !opened.store.journal.writable()) {
    return;
  }
  store::Error error;
  const store::Promotion promotion = store::promote(opened.store, error);
  if (promotion.result == store::Promoted::failed) {
    warn(error.c_str());
  }
  if (promotion.damaged != 0) {
    warn(fmt::format("{}/{}: {} damaged records were dropped", opened.place.path,
                     store::journal_name, promotion.damaged));
  }
  if (promotion.catalog_full != 0) {
    warn(
        fmt::format("{}/{} is full: {} faults found no room; `selfheal forget --older-than 30d` "
                    "makes some",
                    opened.place.path, store::catalog_name, promotion.catalog_full));
  }
  if (promotion.result == store::Promoted::done) {
    store::close_store(opened.store);
    store::OpenRequest request;
    request.path = opened.place.path.c_str();
    request.create = false;
    if (!store::open_store(request, opened.store, error)) {
      warn(error.c_str());
    }
  }
}

// Names the damage; true when the record may be shown.
bool check(store::SlotView view, const std::string& file, u64 offset) {
  if (view == store::SlotView::damaged) {
    warn(fmt::format("{}: the record at offset {} is damaged and was skipped", file, offset));
  }
  return view == store::SlotView::fault || view == store::SlotView::heal;
}

Result<std::unique_ptr<OpenStore>> open_as(const Session& session, store::OpenRequest request) {
  const Result<StorePlace> place = locate_store(session);
  if (!place) {
    return tl::unexpected(place.error());
  }
  auto opened = std::make_unique<OpenStore>();
  opened->place = *place;
  opened->exists = is_directory(place->path);
  if (!opened->exists) {
    if (access(place->path.c_str(), F_OK) == 0) {
      return fail(
          fmt::format("the store '{}' is not a directory; name another with --store", place->path));
    }
    return opened;
  }
  store::Error error;
  request.path = opened->place.path.c_str();
  if (!store::open_store(request, opened->store, error)) {
    // Perhaps it can be read though not written: another user's, or a read-only file system.
    request.read_only = true;
    store::Error second;
    if (!store::open_store(request, opened->store, second)) {
      return fail(error.c_str());
    }
  }
  promote(*opened);
  return opened;
}

}  // namespace

Result<StorePlace> locate_store(const Session& session) {
  if (!session.store.empty()) {
    std::error_code error;
    const auto path = std::filesystem::absolute(session.store, error).lexically_normal();
    return StorePlace{path.string(), "--store"};
  }
  options::Options options;
  options::apply_environment(environ, options);
  store::Location location;
  store::Error error;
  if (!store::locate(environ, options.store, location, error)) {
    return fail(error.c_str());
  }
  return StorePlace{location.path, location.source};
}

Result<std::unique_ptr<OpenStore>> open_to_look(const Session& session) {
  store::OpenRequest request{};
  request.create = false;
  return open_as(session, request);
}

Result<std::unique_ptr<OpenStore>> open_to_learn(const Session& session, bool to_change) {
  store::OpenRequest request{};
  request.create = to_change;
  request.learning = true;
  Result<std::unique_ptr<OpenStore>> opened = open_as(session, request);
  if (opened && to_change && !(*opened)->store.owner) {
    return fail(
        fmt::format("the store '{}' is not yours; run this as its owner", (*opened)->place.path));
  }
  return opened;
}

Result<std::unique_ptr<OpenStore>> open_to_change(const Session& session) {
  Result<std::unique_ptr<OpenStore>> opened = open_to_look(session);
  if (opened && !(*opened)->exists) {
    return fail(
        fmt::format("there is no store at '{}'; name one with --store", (*opened)->place.path));
  }
  if (opened && !(*opened)->store.owner) {
    return fail(fmt::format("the store '{}' belongs to user {}; run this as that user",
                            (*opened)->place.path, (*opened)->store.directory_owner));
  }
  return opened;
}

void promote_before_run(const std::string& path) {
  OpenStore opened;
  opened.place = {path, ""};
  store::Error error;
  store::OpenRequest request;
  request.path = opened.place.path.c_str();
  if (!store::open_store(request, opened.store, error)) {
    warn(fmt::format("{} (the program runs without healing)", error.c_str()));
    return;
  }
  promote(opened);
}

u64 faults_recorded(const std::string& path) {
  OpenStore opened;
  store::Error error;
  store::OpenRequest request;
  request.path = path.c_str();
  request.create = false;
  request.read_only = true;
  return store::open_store(request, opened.store, error) && opened.store.journal.mapped()
             ? opened.store.journal.faults_sealed()
             : 0;
}

void for_each_record(const OpenStore& opened,
                     const std::function<void(const store::Slot&)>& visit) {
  std::set<u64> seen;  // a promoter that was killed may have archived a record twice
  const auto give = [&](const store::Slot& slot) {
    if (seen.insert(slot.checksum).second) {
      visit(slot);
    }
  };
  store::Slot slot;
  for (const char* name : {store::old_history_name, store::history_name}) {
    const std::string file = opened.place.path + "/" + name;
    store::HistoryReader reader;
    store::Error error;
    if (!reader.open(opened.place.path.c_str(), name, error)) {
      warn(error.c_str());
      continue;
    }
    for (;;) {
      const u64 offset = reader.offset();
      const store::SlotView view = reader.next(slot);
      if (view == store::SlotView::free) {
        break;
      }
      if (check(view, file, offset)) {
        give(slot);
      }
    }
  }
  const store::Journal& journal = opened.store.journal;
  const std::string file = opened.place.path + "/" + store::journal_name;
  for (u32 i = 0; journal.mapped() && i < journal.slot_count(); ++i) {
    const u64 offset = store::slots_at(journal.slot_count()) + u64{i} * store::slot_size;
    if (check(journal.read(i, slot), file, offset)) {
      give(slot);
    }
  }
}

}  // namespace selfheal::cli
