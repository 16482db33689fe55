// The crash report and the heal line: text for people, from records alone.
//
//   selfheal: process 4711 (thread 4712) crashed: SIGSEGV, read at 0x18 (a NULL pointer plus 24)
//     function     handle_request+0x1b in mod_crash.so (build-id 4f2a9c01), offset 0x12ab
//     instruction  mov eax, dword ptr [rdi+0x18]
//                  rdi = 0x0
//                  [rdi+0x18] is address 0x18, 4 bytes, read <- fault
//     stack        #0 mod_crash.so+0x12ab  handle_request+0x1b  <- blamed
//                  #1 apache2+0x3f0c2  ap_run_handler+0x42
//     recorded     in the journal
//     next time    calls of handle_request run in the engine; when the fault recurs ...
//
// Rendering is a pure function of the record and of what is injected, so the same code serves the
// dying process (sink: a raw write) and `selfheal info` (sink: a string), and tests hold it to
// golden texts. The record may come out of a file somebody else wrote: every index is checked.
//
// No allocation, no lock, no libc state; errno is kept. Safe in a signal handler on an alternate
// stack with 12 KiB to spare. Text is passed on in pieces of whole lines, up to 4 KiB each: a
// report of usual size is one call of the sink, so two dying processes do not mix theirs.
#pragma once

#include "lib/base/record.h"
#include "lib/base/types.h"

namespace selfheal::report {

// Where text goes.
struct Sink {
  void (*write)(void* context, const char* text, u64 size);
  void* context;
};

// A name for a code address.
struct Symbol {
  char name[160];  // ended by NUL
  u64 start;       // offset of the symbol in the module
};

// Names `offset` (an ELF virtual address) in `module`. False when there is none; `out` is then
// ignored. `lookup` may be null: nothing has a name.
struct Symbolizer {
  bool (*lookup)(void* context, const RecordModule& module, u64 offset, Symbol& out);
  void* context;
};

// Whether the fault was written down.
enum class Kept : u8 {
  recorded,      // it is in the journal
  journal_full,  // the journal had no free slot: counted, not kept
  no_journal,    // there is no usable store
};

// What happens when the same fault is about to happen again.
enum class NextTime : u8 {
  heal,       // calls of the region run in the engine and the fault is rolled back
  observe,    // mode=observe: it is recorded again, nothing else
  off,        // healing is switched off
  disabled,   // the user disabled this region
  no_region,  // no function could be blamed
  integrity,  // this kind of fault means broken integrity; the process is stopped on purpose
  refused,    // the region cannot be patched; `reason` says why
  by_policy,  // a rule or the user says no; `reason` says which way
};

struct Outlook {
  Kept kept;
  NextTime next_time;
  const char* reason;  // a few words, or null
};

// What the recording side can tell from the fault alone: `heal` unless the kind or the lack of a
// region says no.
Outlook default_outlook(const FaultRecord& record);

void render_fault(const FaultRecord& record, const Outlook& outlook, Symbolizer symbols, Sink sink);

// One line, ended by a newline.
void render_heal(const HealRecord& record, Symbolizer symbols, Sink sink);

// "read", "openat", ...; null for a number this build has no name for.
const char* syscall_name(u32 number);

// "SIGSEGV", ...; "signal" for one that is none of ours.
const char* signal_name(u8 signal);

}  // namespace selfheal::report
