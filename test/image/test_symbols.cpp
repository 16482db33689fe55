#include <catch2/catch.hpp>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <sys/auxv.h>

#include "lib/image/symbols.h"

using namespace selfheal;

TEST_CASE("a dynamic symbol is found by name and by any address in it", "[symbols]") {
  for (const char* name : {"qsort", "fopen", "getaddrinfo", "inet_pton", "abort"}) {
    INFO(name);
    const u64 expected = reinterpret_cast<u64>(dlsym(RTLD_DEFAULT, name));
    image::Module module;
    REQUIRE(image::find_module(expected, module));
    image::Symbol symbol;
    REQUIRE(image::find_symbol(module, name, symbol));
    CHECK(symbol.address == expected);
    CHECK(symbol.size != 0);
    image::Symbol at;
    REQUIRE(image::symbol_at(module, expected + symbol.size / 2, at));
    CHECK(at.address == expected);  // names may differ: aliases
    CHECK(image::find_symbol(module, at.name, symbol));
    CHECK(symbol.address == expected);
  }
}

TEST_CASE("unknown names, prefixes and undefined symbols are not found", "[symbols]") {
  image::Module module;
  REQUIRE(image::find_module(address_of_function(&gnu_get_libc_version), module));
  image::Symbol symbol;
  CHECK_FALSE(image::find_symbol(module, "gnu_get_libc_versio", symbol));
  CHECK_FALSE(image::find_symbol(module, "gnu_get_libc_version2", symbol));
  CHECK_FALSE(image::find_symbol(module, "", symbol));
  CHECK_FALSE(image::find_symbol(module, "__tls_get_addr", symbol));  // libc imports it from ld.so
  CHECK_FALSE(image::symbol_at(module, module.start + 1, symbol));
}

TEST_CASE("the vdso's table, which ld.so does not relocate, is read too", "[symbols]") {
  image::Module module;
  REQUIRE(image::find_module(getauxval(AT_SYSINFO_EHDR) + 64, module));
  image::Symbol symbol;
  REQUIRE(image::find_symbol(module, "__vdso_clock_gettime", symbol));
  CHECK(module.executable(symbol.address));
  CHECK(std::string_view(image::soname(module)) == "linux-vdso.so.1");
}

TEST_CASE("a static function is found in the file's .symtab", "[symbols]") {
  const u64 offset = image::find_symbol_in_file(FIXTURES "/split.so", "called_and_cold");
  CHECK(offset != 0);
  void* handle = dlopen(FIXTURES "/split.so", RTLD_NOW);
  REQUIRE(handle != nullptr);
  const u64 work = reinterpret_cast<u64>(dlsym(handle, "work"));
  image::Module module;
  REQUIRE(image::find_module(work, module));
  CHECK(image::find_symbol_in_file(FIXTURES "/split.so", "work") + module.bias == work);
  image::Symbol symbol;
  CHECK_FALSE(image::find_symbol(module, "called_and_cold", symbol));
  dlclose(handle);
  CHECK(image::find_symbol_in_file(FIXTURES "/split.so", "no_such_function") == 0);
  CHECK(image::find_symbol_in_file("/nonexistent", "work") == 0);
  CHECK(image::find_symbol_in_file("/", "work") == 0);
}
