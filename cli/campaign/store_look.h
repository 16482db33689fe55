// What a store has come to know from one run to the next.
#pragma once

#include <string>
#include <vector>

#include "cli/campaign/verdict.h"

namespace selfheal::cli::campaign {

class StoreLook {
 public:
  explicit StoreLook(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  // How many faults were sealed since this was made; cheap.
  bool has_new_fault() const;

  // Is something new, and all of it what policy leaves to end the process? Cheap while nothing is.
  bool has_stopped();

  // Heals so far.
  u64 heals() const;

  // All processes have ended: promotes what they left, and puts what is new into `run`.
  void read_into(RunSeen& run);

 private:
  std::string path_;
  u64 sealed_ = 0;
  u64 looked_at_ = 0;  // faults sealed when has_stopped() last looked
  bool stopped_ = false;
  size_t faults_read_ = 0;
  size_t heals_read_ = 0;
};

}  // namespace selfheal::cli::campaign
