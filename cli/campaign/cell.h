// A cell: one copy of the server, alone in namespaces of its own.
//
//   selfheal campaign
//    └─ keeper        unshare(mount, network, pid, ipc); ends when we end
//        └─ pid 1     the cell: mounts, loopback, runs `work`, sends what it returns by a pipe
//            └─ the server, its workload, ...: die with pid 1, whatever they forked
//
// So copies run at once on the same ports, and nothing on the machine changes: bind mounts, /proc
// and the network end with the cell. Needs CAP_SYS_ADMIN.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>

#include "cli/result.h"

namespace selfheal::cli::campaign {

// Whether cells can be made here; otherwise what to do.
Outcome check_cells();

// A started cell. Not a resource: `finish_cell` must be called.
struct Cell {
  pid_t keeper = -1;
  int result = -1;  // readable when something came; its end is the cell's end
};

// Runs `work` as pid 1 of a new cell.
Result<Cell> start_cell(const std::function<std::string()>& work);

// Ends the cell, if it has not ended, and waits for it.
void finish_cell(Cell& cell);

// Starts, waits, and gives what `work` returned. Fails when it ended without.
Result<std::string> run_cell(const std::function<std::string()>& work);

// In a cell: `own` in the place of `theirs`.
Outcome bind_over(const std::string& own, const std::string& theirs);

}  // namespace selfheal::cli::campaign
