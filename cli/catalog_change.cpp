#include "cli/catalog_change.h"

#include <chrono>
#include <thread>

namespace selfheal::cli {
namespace {

// Others hold the lock for milliseconds: a promoter, another command.
constexpr int attempts = 50;
constexpr std::chrono::milliseconds pause{20};

}  // namespace

Outcome change_catalog(store::Store& store,
                       const std::function<void(store::CatalogEditor&)>& change) {
  store::Error error;
  store::CatalogEditor editor;
  store::EditBegin begun = editor.begin(store, error);
  for (int i = 0; begun == store::EditBegin::busy && i < attempts; ++i) {
    std::this_thread::sleep_for(pause);
    begun = editor.begin(store, error);
  }
  if (begun == store::EditBegin::busy) {
    return fail("another process keeps changing the store; try again");
  }
  if (begun != store::EditBegin::ready) {
    return fail(error.empty() ? "the store cannot be changed by this user" : error.c_str());
  }
  change(editor);
  if (!editor.commit(store::EditKind::regions, error)) {
    return fail(error.c_str());
  }
  return 0;
}

}  // namespace selfheal::cli
