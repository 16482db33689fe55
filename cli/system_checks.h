// Whether this machine and its store let the library work.
#pragma once

#include "cli/check.h"
#include "cli/session.h"

namespace selfheal::cli {

Checks check_system(const Session& session);

}  // namespace selfheal::cli
