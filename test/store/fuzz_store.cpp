// Fuzz target for everything that reads a store's files: no input may crash, hang or leave a reader
// with an index or a string it must not use.
//
//   clang++ -fsanitize=fuzzer,address -DSELFHEAL_LIBFUZZER ...   libFuzzer brings its own main
//   fuzz_store [SEED [ROUNDS]]                                   ctest's driver: mutates valid
//   files fuzz_store FILE                                              replays one input
//
// Input: one byte that says what it is (journal, catalog, slot, options or functions), then the
// bytes.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "lib/options/options.h"
#include "lib/store/catalog_file.h"
#include "lib/store/checksum.h"
#include "lib/store/functions.h"
#include "lib/store/sanitize.h"
#include "lib/store/slot.h"
#include "test/store/support.h"

using namespace selfheal;
using namespace selfheal::store;

namespace {

enum Kind : u8 {
  journal_input,
  catalog_input,
  slot_input,
  options_input,
  functions_input,
  kind_count
};

void expect(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "fuzz_store: %s\n", what);
    std::abort();
  }
}

void expect_line(const Error& error) {
  expect(!error.empty() && std::strchr(error.c_str(), '\n') == nullptr, "an error is one line");
}

void expect_text(const char* text, u64 size) {
  const u64 used = strnlen(text, size);
  expect(used < size, "a name is terminated");
  for (u64 i = 0; i < used; ++i) {
    expect(text[i] >= ' ' && text[i] <= '~', "a name is printable");
  }
}

void expect_code(const CodeRef& code, u8 modules) {
  expect(code.module < modules || code.module == no_module, "a module index is in range");
}

void expect_modules(const RecordModule (&modules)[max_record_modules], u8 count) {
  expect(count <= max_record_modules, "the module count is in range");
  for (const RecordModule& module : modules) {
    expect_text(module.name, sizeof module.name);
    expect(module.id.size <= sizeof module.id.bytes, "an id's size is in range");
  }
}

void expect_detail(const FaultDetail& detail, u8 modules) {
  for (const CodeRef* code : {&detail.allocated_at, &detail.freed_at, &detail.outermost_call}) {
    expect_code(*code, modules);
  }
  expect_text(detail.message, sizeof detail.message);
}

void use(const Slot& slot, SlotView view) {
  if (view == SlotView::fault) {
    const FaultRecord& fault = slot.fault;
    expect_modules(fault.modules, fault.module_count);
    expect(fault.frame_count <= max_frames, "the frame count is in range");
    expect(fault.instruction_size <= 15, "the instruction's size is in range");
    for (const CodeRef& frame : fault.frames) {
      expect_code(frame, fault.module_count);
    }
    expect_code(fault.site, fault.module_count);
    expect_detail(fault.detail, fault.module_count);
    expect(std::strcmp(name_of(fault.fault.kind), "unknown") != 0, "the fault's kind is known");
    if (implausible(fault) == nullptr) {
      const CatalogEntry entry = entry_from(fault);
      expect(entry.id != 0 && entry.size != 0, "a plausible fault makes an entry");
    }
  } else if (view == SlotView::heal) {
    expect_modules(slot.heal.modules, slot.heal.module_count);
    expect_code(slot.heal.return_address, slot.heal.module_count);
    expect(std::strcmp(name_of(slot.heal.reason), "unknown") != 0, "the reason is known");
    expect(std::strcmp(name_of(slot.heal.outcome), "unknown") != 0, "the outcome is known");
  }
}

// A heap copy of exactly the input's size and a word's alignment, so that the sanitizer sees a read
// past its end.
std::unique_ptr<u64[]> aligned_copy(const u8* data, size_t size) {
  auto copy = std::make_unique<u64[]>(size / 8 + 1);
  std::memcpy(copy.get(), data, size);
  return copy;
}

void fuzz_journal(const u8* data, size_t size) {
  const auto copy = aligned_copy(data, size);
  Journal journal;
  Error error;
  if (!journal.attach(copy.get(), size, true, "journal", error)) {
    expect_line(error);
    return;
  }
  for (u32 i = 0; i < journal.slot_count(); ++i) {
    Slot slot;
    use(slot, journal.read(i, slot));
  }
  journal.record_fault(test::fault_in(0x1000));
  journal.record_heal(test::heal_in(0x1000));
  expect(size == journal_size(journal.slot_count()), "a journal has its size");
}

void fuzz_catalog(const u8* data, size_t size) {
  const auto copy = aligned_copy(data, size);
  Catalog catalog;
  Error error;
  if (!catalog.load(copy.get(), size, "catalog", error)) {
    expect_line(error);
    expect(catalog.entries().empty(), "a refused catalog is empty");
    return;
  }
  for (const CatalogEntry& entry : catalog.entries()) {
    expect_modules(entry.modules, entry.module_count);
    expect_text(entry.module.name, sizeof entry.module.name);
    expect_detail(entry.detail, entry.module_count);
    expect(entry.frame_count <= max_frames, "the frame count is in range");
    expect(std::strcmp(name_of(entry.policy), "unknown") != 0, "the policy is known");
    const bool has_id = entry.module.id.kind != ModuleIdKind::none;
    const CatalogEntry* found = catalog.find(entry.module.id, entry.entry_offset, entry.code_hash);
    expect(found == (has_id ? &entry : nullptr), "an entry is found where it is");
  }
  catalog.close();
}

void fuzz_slot(const u8* data, size_t size) {
  Slot slot = {};
  std::memcpy(static_cast<void*>(&slot), data, std::min(size, sizeof slot));
  use(slot, check_slot(slot));
  // And past the checksum, which keeps random bytes out but not somebody who computes it.
  slot.kind = size % 2 == 0 ? RecordKind::fault : RecordKind::heal;
  slot.payload_size = size % 2 == 0 ? sizeof slot.fault : sizeof slot.heal;
  seal_slot(slot);
  const SlotView view = check_slot(slot);
  expect(view == (size % 2 == 0 ? SlotView::fault : SlotView::heal), "a sealed slot is whole");
  use(slot, view);
}

// The readers of a file want one.
void fuzz_functions(const u8* data, size_t size) {
  const store::test::MemoryFile file(data, size);
  Functions functions;
  Error error;
  if (!functions.load(file.descriptor(), "functions", error)) {
    expect_line(error);
    expect(functions.entries().empty(), "refused functions are none");
    return;
  }
  for (const FunctionEntry& entry : functions.entries()) {
    expect_text(entry.module.name, sizeof entry.module.name);
    expect(entry.error_count <= max_error_values, "the count of values is in range");
    expect(entry.declared <= last_declared_type, "the type is known");
    const FunctionEntry* found = functions.find(entry.module.id, entry.entry_offset, 0);
    const bool has_id = entry.module.id.kind != ModuleIdKind::none;
    expect(found == (has_id ? &entry : nullptr), "a function is found where it is");
  }
  functions.close();
}

void fuzz_options(const u8* data, size_t size) {
  options::Options read;
  options::apply({reinterpret_cast<const char*>(data), size}, options::Source::environment, read,
                 {[](void*, const char* line) {
                    expect(line[0] != '\0' && std::strchr(line, '\n') == nullptr,
                           "a complaint is one line");
                  },
                  nullptr});
  // What was understood is written so that it is understood again.
  std::vector<char> first(16384);
  std::vector<char> second(16384);
  Text text(first.data(), first.size());
  options::write_settings(read, text);
  options::Options again;
  options::apply(first.data(), options::Source::environment, again);
  Text text_again(second.data(), second.size());
  options::write_settings(again, text_again);
  expect(std::strcmp(first.data(), second.data()) == 0, "settings survive being written back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  switch (data[0] % kind_count) {
    case journal_input:
      fuzz_journal(data + 1, size - 1);
      break;
    case catalog_input:
      fuzz_catalog(data + 1, size - 1);
      break;
    case slot_input:
      fuzz_slot(data + 1, size - 1);
      break;
    case functions_input:
      fuzz_functions(data + 1, size - 1);
      break;
    default:
      fuzz_options(data + 1, size - 1);
      break;
  }
  return 0;
}

#ifndef SELFHEAL_LIBFUZZER
namespace {

using Bytes = std::vector<u8>;
using Random = std::mt19937_64;

Bytes valid_journal() {
  constexpr u32 slots = 8;
  std::vector<u64> memory(journal_size(slots) / 8);
  Journal::format(memory.data(), slots, 1);
  Journal journal;
  Error error;
  expect(journal.attach(memory.data(), memory.size() * 8, true, "journal", error), "valid journal");
  journal.record_fault(test::fault_in(0x1000));
  journal.record_heal(test::heal_in(0x1000));
  Bytes bytes(memory.size() * 8);
  std::memcpy(bytes.data(), memory.data(), bytes.size());
  return bytes;
}

// Gives a mutated catalog a checksum that fits, so that what lies behind it is reached.
void reseal_catalog(Bytes& bytes) {
  if (bytes.size() < header_size) {
    return;
  }
  CatalogHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (bytes.size() < catalog_size(header.count)) {
    return;
  }
  const auto copy = aligned_copy(bytes.data() + header_size, bytes.size() - header_size);
  header.checksum = catalog_checksum(header, reinterpret_cast<CatalogEntry*>(copy.get()));
  std::memcpy(bytes.data(), &header, sizeof header);
}

Bytes valid_catalog() {
  std::vector<CatalogEntry> entries = {entry_from(test::fault_in(0x1000)),
                                       entry_from(test::fault_in(0x2000))};
  CatalogHeader header = {};
  header.magic = catalog_magic;
  header.version = format_version;
  header.entry_size = sizeof(CatalogEntry);
  header.generation = 3;
  header.count = static_cast<u32>(entries.size());
  Bytes bytes(catalog_size(header.count));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + header_size, entries.data(), entries.size() * sizeof(CatalogEntry));
  reseal_catalog(bytes);
  return bytes;
}

void reseal_functions(Bytes& bytes) {
  FunctionHeader header;
  if (bytes.size() < sizeof header) {
    return;
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  if ((bytes.size() - sizeof header) / sizeof(FunctionEntry) < header.count) {
    return;
  }
  const auto copy = aligned_copy(bytes.data() + sizeof header, bytes.size() - sizeof header);
  header.checksum = functions_checksum(header, reinterpret_cast<FunctionEntry*>(copy.get()));
  std::memcpy(bytes.data(), &header, sizeof header);
}

Bytes valid_functions() {
  return test::functions_file({test::function_at(0x1000, 7), test::function_at(0x2000, ~u64{0})});
}

Bytes valid_slot() {
  Slot slot = {};
  slot.kind = RecordKind::fault;
  slot.payload_size = sizeof slot.fault;
  slot.fault = test::fault_in(0x1000);
  seal_slot(slot);
  Bytes bytes(sizeof slot);
  std::memcpy(bytes.data(), &slot, sizeof slot);
  return bytes;
}

Bytes valid_options() {
  const std::string text =
      "mode=observe:store=/a\\:b:region=libc.so.6+0x1234:heals-per-minute=0x10:verbose";
  return {text.begin(), text.end()};
}

void mutate(Bytes& bytes, Random& random) {
  const u64 changes = 1 + random() % 8;
  for (u64 i = 0; i < changes; ++i) {
    switch (random() % 5) {
      case 0:
        bytes.resize(random() % (bytes.size() + 1));
        break;
      case 1:
        bytes.insert(bytes.end(), random() % 64, static_cast<u8>(random()));
        break;
      case 2:
        for (u8& byte : bytes) {
          byte = random() % 4 == 0 ? static_cast<u8>(random()) : byte;
        }
        break;
      default:
        if (!bytes.empty()) {
          // Half of the time in the first bytes, where the headers and the state words are.
          const u64 range = random() % 2 == 0 ? std::min<u64>(bytes.size(), 64) : bytes.size();
          bytes[random() % range] = random() % 2 == 0 ? 0xff : static_cast<u8>(random());
        }
        break;
    }
  }
}

int replay(const char* path) {
  std::ifstream in(path, std::ios::binary);
  const Bytes bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

int drive(u64 seed, u64 rounds) {
  std::printf("fuzz_store: seed %llu, %llu rounds (replay: fuzz_store SEED ROUNDS)\n",
              static_cast<unsigned long long>(seed), static_cast<unsigned long long>(rounds));
  std::fflush(stdout);
  Random random(seed);
  const Bytes valid[kind_count] = {valid_journal(), valid_catalog(), valid_slot(), valid_options(),
                                   valid_functions()};
  for (u64 round = 0; round < rounds; ++round) {
    const u8 kind = static_cast<u8>(random() % kind_count);
    Bytes bytes = valid[kind];
    mutate(bytes, random);
    if (kind == catalog_input && random() % 2 == 0) {
      reseal_catalog(bytes);
    }
    if (kind == functions_input && random() % 2 == 0) {
      reseal_functions(bytes);
    }
    bytes.insert(bytes.begin(), kind);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  char* end = nullptr;
  const u64 seed = argc > 1 ? std::strtoull(argv[1], &end, 0) : std::random_device()();
  if (argc > 1 && *end != '\0') {
    return replay(argv[1]);
  }
  return drive(seed, argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 8000);
}
#endif
