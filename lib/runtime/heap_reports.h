// What the allocation probe has to tell becomes records: a bad free (and the process's end), damage
// found afterwards, and what a remedy has kept from happening.
#pragma once

#include "probes/heap/heap.h"

namespace selfheal::runtime {

probes::heap::Reports heap_reports();

}  // namespace selfheal::runtime
