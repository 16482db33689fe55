// How to step out of the call sites a walk has come by: in a recursion the same few return again
// and again, and looking one up in the module's tables costs a hundred times what a step costs.
//
// Direct-mapped, as a processor's cache. Valid as long as no module is unloaded: for one walk.
#pragma once

#include "lib/recover/cfi_row.h"

namespace selfheal::recover {

struct CallSite {
  u64 address;  // that was looked up; 0: none
  u64 part;     // start of the function, or split-off part, it lies in
  bool signal_frame;
  Row row;
};

class CallSites {
 public:
  void clear() {
    for (CallSite& site : sites_) {
      site.address = 0;
    }
  }

  const CallSite* find(u64 address) const {
    const CallSite& site = sites_[address % count];
    return site.address == address ? &site : nullptr;
  }

  // Only what can be applied without the module.
  void keep(const CallSite& site) {
    bool plain = !site.row.cfa_by_expression;
    for (const Rule& rule : site.row.rules) {
      plain = plain && rule.kind != Rule::expression && rule.kind != Rule::value_expression;
    }
    if (plain) {
      sites_[site.address % count] = site;
    }
  }

 private:
  static constexpr u64 count = 31;  // prime: call sites tend to be aligned
  CallSite sites_[count]{};
};

}  // namespace selfheal::recover
