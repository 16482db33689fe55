#include "lib/recover/own_exits.h"

namespace selfheal::recover {
namespace {

bool same_stores(const Exit& a, const Exit& b) {
  if (a.store_count != b.store_count) {
    return false;
  }
  for (unsigned i = 0; i < a.store_count; ++i) {
    if (a.stores[i].argument != b.stores[i].argument || a.stores[i].offset != b.stores[i].offset ||
        a.stores[i].value != b.stores[i].value) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool same_result(const Exit& a, const Exit& b) {
  return a.kind == b.kind && a.value == b.value &&
         (a.kind == Exit::constant || (same_stores(a, b) && a.has_vector == b.has_vector &&
                                       (!a.has_vector || a.vector == b.vector)));
}

// Exits that return the same are one, of the shortest path; where the result is in memory, those
// are that also leave the same there.
void OwnExits::add(const Exit& exit) {
  for (unsigned i = 0; i < count; ++i) {
    Exit& known = exits[i];
    if (!same_result(known, exit)) {
      continue;
    }
    const bool avoids = known.avoids_fault || exit.avoids_fault;
    const bool behind = known.behind_fault || exit.behind_fault;
    const i32 error_number = known.error_number != 0 ? known.error_number : exit.error_number;
    const i32 library_error = known.library_error != 0 ? known.library_error : exit.library_error;
    const unsigned failed_calls = known.failed_calls + exit.failed_calls;
    const bool faulting_call = known.faulting_call || exit.faulting_call;
    const bool better =
        exit.avoids_fault != known.avoids_fault ? exit.avoids_fault : exit.length < known.length;
    known = better ? exit : known;
    known.avoids_fault = avoids;
    known.behind_fault = behind;
    known.error_number = error_number;
    known.library_error = library_error;
    known.failed_calls = static_cast<u8>(failed_calls < 255 ? failed_calls : 255);
    known.faulting_call = faulting_call;
    return;
  }
  if (count < max_exits) {
    exits[count++] = exit;
  } else {
    exhausted = true;
  }
}

void OwnExits::add(const OwnThrow& own_throw) {
  const auto before = [](const OwnThrow& a, const OwnThrow& b) {
    return a.avoids_fault != b.avoids_fault ? a.avoids_fault : a.length < b.length;
  };
  unsigned at = 0;
  while (at < throw_count && !before(own_throw, throws[at])) {
    if (throws[at].type == own_throw.type) {
      return;
    }
    ++at;
  }
  unsigned gone = at;
  while (gone < throw_count && throws[gone].type != own_throw.type) {
    ++gone;
  }
  if (gone == max_own_throws) {
    --gone;
  }
  throw_count = static_cast<u8>(gone == throw_count ? throw_count + 1 : throw_count);
  for (; gone > at; --gone) {
    throws[gone] = throws[gone - 1];
  }
  if (at < max_own_throws) {
    throws[at] = own_throw;
  }
}

bool OwnExits::is_truth_value() const {
  bool one = false;
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && exit.value > 1) {
      return false;
    }
    one = one || (exit.kind == Exit::constant && exit.value == 1);
  }
  return one;
}

bool OwnExits::is_count() const {
  u64 next = 0;
  for (unsigned length = 0; next < count;) {
    const Exit* found = nullptr;
    for (const Exit& exit : *this) {
      found = exit.kind == Exit::constant && exit.value == next ? &exit : found;
    }
    if (found == nullptr || found->length < length) {
      return false;
    }
    length = found->length;
    ++next;
  }
  return next > 2;
}

bool OwnExits::is_enumeration() const {
  bool code = false;
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && static_cast<i64>(exit.value) < 0) {
      return false;
    }
    code = code || (exit.kind == Exit::constant && exit.value > 1);
  }
  return code && !is_count();
}

bool OwnExits::has_statuses() const {
  bool status = false;
  bool code = false;
  for (const Exit& exit : *this) {
    status = status || (exit.kind == Exit::constant && is_error_status(exit.value));
    code = code || (exit.kind == Exit::constant && static_cast<i64>(exit.value) <= 0);
  }
  return status && code;
}

bool OwnExits::speaks_against(i64 value) const {
  bool known = false;
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && static_cast<i64>(exit.value) == value) {
      return false;
    }
    known = known || (exit.kind == Exit::constant && exit.value != 0);
  }
  return known;
}

void OwnExits::add_constant(i64 value) {
  for (const Exit& exit : *this) {
    if (exit.kind == Exit::constant && static_cast<i64>(exit.value) == value) {
      return;
    }
  }
  if (count < max_exits) {
    Exit& exit = exits[count++];
    exit = {};
    exit.kind = Exit::constant;
    exit.value = static_cast<u64>(value);
  }
}

}  // namespace selfheal::recover
