// A store in a fresh directory, and records to put in it.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "lib/store/open.h"

namespace selfheal::store::test {

// A directory of its own with mode 0700, removed afterwards.
class Folder {
 public:
  Folder() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "selfheal-store-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }
  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

class OpenStore {
 public:
  explicit OpenStore(const std::string& path, u32 slot_count = 16, bool create = true) {
    OpenRequest request;
    request.path = path.c_str();
    request.slot_count = slot_count;
    request.create = create;
    opened = open_store(request, store, error);
  }
  OpenStore(const OpenStore&) = delete;
  OpenStore& operator=(const OpenStore&) = delete;
  ~OpenStore() { close_store(store); }

  Store* operator->() { return &store; }

  Store store;
  Error error;
  bool opened = false;
};

inline u64 realtime_now() {
  timespec now = {};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

inline ModuleId module_id(u8 first) {
  ModuleId id = {};
  id.size = 20;
  id.kind = ModuleIdKind::build_id;
  for (u8 i = 0; i < id.size; ++i) {
    id.bytes[i] = static_cast<u8>(first + i);
  }
  return id;
}

inline RecordModule module_named(u8 first, const char* name) {
  RecordModule module = {};
  module.id = module_id(first);
  std::string(name).copy(module.name, sizeof module.name - 1);
  return module;
}

// A NULL dereference in function `entry` of module 7, as diagnosis would describe it.
inline FaultRecord fault_in(u64 entry, u64 time_ns = 1'000'000'000'000) {
  FaultRecord record = {};
  record.time_ns = time_ns;
  record.pid = static_cast<u32>(getpid());
  record.tid = record.pid;
  record.fault.kind = FaultKind::null_access;
  record.fault.access = Access::read;
  record.fault.signal = 11;
  record.fault.trap = 14;
  record.fault.address = 8;
  record.instruction[0] = 0x8b;
  record.instruction_size = 3;
  record.site = {entry + 0x10, 0, {}};
  record.region = {{entry, 0, {}}, 0xfeed'0000 + entry, 0x80, 0};
  record.frame_count = 2;
  record.frames[0] = record.site;
  record.frames[1] = {0x4000, 0, {}};
  record.module_count = 1;
  record.modules[0] = module_named(7, "libsample.so");
  return record;
}

inline HealRecord heal_in(u64 entry, u64 time_ns = 2'000'000'000'000) {
  const FaultRecord fault = fault_in(entry, time_ns);
  HealRecord record = {};
  record.time_ns = time_ns;
  record.pid = fault.pid;
  record.tid = fault.tid;
  record.fault = fault.fault;
  record.site = fault.site;
  record.region = fault.region;
  record.value = ~u64{0};
  record.error_number = 22;
  record.reason = ValueReason::caller_tests_sign;
  record.outcome = HealOutcome::healed;
  record.duration_ns = 4321;
  record.bytes_rolled_back = 99;
  record.module_count = 1;
  record.modules[0] = fault.modules[0];
  record.return_address = {0x4000, 0, {}};
  return record;
}

// A function of module 7 that fails with `error`.
inline FunctionEntry function_at(u64 entry, u64 error) {
  FunctionEntry function = {};
  function.module = module_named(7, "libsample.so");
  function.entry_offset = entry;
  function.error_count = 1;
  function.errors[0] = {error, 0, 9};
  return function;
}

inline std::vector<u8> functions_file(const std::vector<FunctionEntry>& functions) {
  FunctionHeader header = {};
  header.magic = functions_magic;
  header.version = functions_version;
  header.entry_size = sizeof(FunctionEntry);
  header.count = static_cast<u32>(functions.size());
  header.checksum = functions_checksum(header, functions.data());
  std::vector<u8> bytes(sizeof header + functions.size() * sizeof(FunctionEntry));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, functions.data(),
              functions.size() * sizeof(FunctionEntry));
  return bytes;
}

// Bytes behind a descriptor.
class MemoryFile {
 public:
  MemoryFile(const u8* data, u64 size) : descriptor_(memfd_create("file", MFD_CLOEXEC)) {
    for (u64 done = 0; done < size;) {
      const ssize_t wrote = write(descriptor_, data + done, size - done);
      if (wrote <= 0) {
        std::abort();
      }
      done += static_cast<u64>(wrote);
    }
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { close(descriptor_); }

  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

inline std::vector<u8> bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline void write_bytes(const std::string& path, const std::vector<u8>& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
}

struct Views {
  unsigned free = 0, busy = 0, torn = 0, damaged = 0, faults = 0, heals = 0;
};

inline Views views_of(const Journal& journal) {
  Views views;
  for (u32 i = 0; i < journal.slot_count(); ++i) {
    Slot slot;
    switch (journal.read(i, slot)) {
      case SlotView::free:
        ++views.free;
        break;
      case SlotView::busy:
        ++views.busy;
        break;
      case SlotView::torn:
        ++views.torn;
        break;
      case SlotView::damaged:
        ++views.damaged;
        break;
      case SlotView::fault:
        ++views.faults;
        break;
      case SlotView::heal:
        ++views.heals;
        break;
    }
  }
  return views;
}

}  // namespace selfheal::store::test
