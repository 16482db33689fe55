// Alternate stacks, and what else every thread needs before its first fault.
#pragma once

namespace selfheal::probes {

// For the calling thread (the first one), and so that later threads and fork children get theirs.
bool prepare_threads();

}  // namespace selfheal::probes
