#include <catch2/catch.hpp>
#include <cstring>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "lib/image/elf_file.h"
#include "lib/image/module.h"
#include "lib/image/symbols.h"
#include "test/image/shell.h"

using namespace selfheal;

namespace {

int local_function() {
  return 42;
}
int writable_data = 1;

std::string hex(const ModuleId& id) {
  std::string text;
  for (unsigned i = 0; i < id.size; ++i) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", id.bytes[i]);
    text += two;
  }
  return text;
}

std::string build_id_by_readelf(const std::string& path) {
  for (const std::string& line : test::lines_of("readelf -n '" + path + "' 2>/dev/null")) {
    const auto at = line.find("Build ID: ");
    if (at != std::string::npos) {
      return line.substr(at + 10);
    }
  }
  return {};
}

}  // namespace

TEST_CASE("the program finds its own module, segments and build-id", "[module]") {
  image::Module module;
  REQUIRE(image::find_module(address_of_function(&local_function), module));
  CHECK(module.executable(address_of_function(&local_function)));
  CHECK_FALSE(module.executable(address_of(&writable_data)));
  CHECK(module.readable(address_of(&writable_data), sizeof writable_data));
  CHECK(image::executable(address_of_function(&local_function)));
  CHECK(module.id.kind == ModuleIdKind::build_id);
  CHECK(hex(module.id) == build_id_by_readelf(test::own_path()));
  CHECK(image::is_own_module(module));
  CHECK(std::string(image::base_name(module)) == "test_image");
}

TEST_CASE("addresses outside every module are in none", "[module]") {
  image::Module module;
  int on_stack = 0;
  CHECK_FALSE(image::find_module(address_of(&on_stack), module));
  CHECK_FALSE(image::find_module(0, module));
  CHECK_FALSE(image::find_module(8, module));
  CHECK_FALSE(image::find_module(~u64{0}, module));
  CHECK_FALSE(image::find_module(0x8000000000000000, module));
  void* code = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(code != MAP_FAILED);
  CHECK_FALSE(image::executable(address_of(code)));
  munmap(code, 4096);
}

TEST_CASE("every loaded module has the id that readelf gives for its file", "[module]") {
  struct Seen {
    int modules = 0;
    int compared = 0;
  } seen;
  image::for_each_module(
      [](const image::Module& module, void* context) {
        auto* s = static_cast<Seen*>(context);
        ++s->modules;
        CHECK(module.segment_count >= 1);
        CHECK(module.id.kind != ModuleIdKind::none);
        if (module.name[0] == '/') {
          INFO(module.name);
          CHECK(hex(module.id) == build_id_by_readelf(module.name));
          ++s->compared;
        }
        return true;
      },
      &seen);
  CHECK(seen.modules >= 5);
  CHECK(seen.compared >= 4);
}

TEST_CASE("blame passes over libc, ld.so, libstdc++, libgcc and the vdso, and over nothing else",
          "[module]") {
  image::Module module;
  REQUIRE(image::find_module(address_of_function(&gnu_get_libc_version), module));
  CHECK(image::is_system_library(module));
  CHECK(std::string(image::base_name(module)) == "libc.so.6");
  REQUIRE(image::find_module(getauxval(AT_SYSINFO_EHDR) + 64, module));
  CHECK(image::is_system_library(module));
  REQUIRE(image::find_module(address_of_function(&_dl_find_object), module));
  CHECK(image::is_system_library(module));
  REQUIRE(image::find_module(reinterpret_cast<u64>(dlsym(RTLD_DEFAULT, "_Unwind_GetCFA")), module));
  CHECK(image::is_system_library(module));
  REQUIRE(
      image::find_module(reinterpret_cast<u64>(dlsym(RTLD_DEFAULT, "ZydisDecoderInit")), module));
  CHECK_FALSE(image::is_system_library(module));
}

TEST_CASE("a module without a build-id has a content hash, the same in memory and on disk",
          "[module]") {
  const char* path = FIXTURES "/no_build_id.so";
  void* handle = dlopen(path, RTLD_NOW);
  REQUIRE(handle != nullptr);
  auto* answer = reinterpret_cast<int (*)()>(dlsym(handle, "answer"));
  REQUIRE(answer() == 42);  // its data changed and was relocated: must not matter
  image::Module module;
  REQUIRE(image::find_module(reinterpret_cast<u64>(answer), module));
  CHECK(module.id.kind == ModuleIdKind::content_hash);
  CHECK(module.id.size == 8);
  image::ElfFile file;
  REQUIRE(image::inspect_file(path, file));
  CHECK(file.id == module.id);

  SECTION("our own patches do not change it") {
    static u64 patched;
    patched = reinterpret_cast<u64>(answer);
    static u8 original[5];
    std::memcpy(original, pointer_to<u8>(patched), sizeof original);
    REQUIRE(mprotect(pointer_to<void>(page_down(patched)), page_size,
                     PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    std::memset(pointer_to<u8>(patched), 0xcc, sizeof original);
    image::Module changed;
    REQUIRE(image::find_module(patched, changed));
    CHECK_FALSE(changed.id == module.id);
    image::set_original_bytes_hook([](u64 address, u8* buffer, u64 size) {
      for (u64 i = 0; i < sizeof original; ++i) {
        if (patched + i - address < size) {
          buffer[patched + i - address] = original[i];
        }
      }
    });
    REQUIRE(image::find_module(patched, changed));
    CHECK(changed.id == module.id);
    u8 read[8];
    CHECK(image::read_original(patched - 2, read, sizeof read) == sizeof read);
    CHECK(std::memcmp(read + 2, original, sizeof original) == 0);
    image::set_original_bytes_hook(nullptr);
  }
  dlclose(handle);
}

TEST_CASE("reading code stops at the end of the segment", "[module]") {
  image::Module module;
  REQUIRE(image::find_module(address_of_function(&local_function), module));
  const image::Segment* text = nullptr;
  for (unsigned i = 0; i < module.segment_count; ++i) {
    if ((module.segments[i].flags & PF_X) != 0) {
      text = &module.segments[i];
    }
  }
  REQUIRE(text != nullptr);
  u8 buffer[32];
  CHECK(image::read_original(text->end - 7, buffer, sizeof buffer) == 7);
  CHECK_FALSE(image::read_original(module, text->end - 7, buffer, sizeof buffer));
  CHECK_FALSE(module.readable(text->end - 7, ~u64{0} - 3));
}
