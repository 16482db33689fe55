// Real libraries with a thousand of their functions patched, each call going through its stub and
// selfheal_enter_native, still compute what they did.
#include <catch2/catch.hpp>
#include <clocale>
#include <ctime>
#include <dlfcn.h>
#include <netdb.h>
#include <regex.h>

#include "lib/image/function.h"
#include "lib/patch/standing.h"
#include "test/patch/memory_map.h"
#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

extern "C" u64 selfheal_test_entered;
extern "C" void selfheal_test_counting_target();

// Counts, and goes on natively, with registers and flags as they were.
asm(".text\n"
    "selfheal_test_counting_target:\n"
    "  push %rax\n"
    "  mov selfheal_test_entered(%rip), %rax\n"
    "  lea 1(%rax), %rax\n"
    "  mov %rax, selfheal_test_entered(%rip)\n"
    "  pop %rax\n"
    "  jmp selfheal_enter_native\n"
    ".bss\n"
    ".globl selfheal_test_entered\n"
    ".p2align 3\n"
    "selfheal_test_entered: .zero 8\n"
    ".text\n");

namespace {

struct Library {
  const char* name;
  std::string (*work)(void* handle);
};

template <typename Type>
Type* function(void* handle, const char* name) {
  return reinterpret_cast<Type*>(dlsym(handle, name));
}

std::string text_of_any_kind() {
  std::string text;
  for (unsigned i = 0; i < 20000; ++i) {
    text += std::to_string(i * 2654435761u % 1000) + (i % 7 == 0 ? "\n" : " and ");
  }
  return text;
}

std::string zlib_work(void* handle) {
  auto* compress2 =
      function<int(u8*, unsigned long*, const u8*, unsigned long, int)>(handle, "compress2");
  auto* uncompress =
      function<int(u8*, unsigned long*, const u8*, unsigned long)>(handle, "uncompress");
  auto* crc32 = function<unsigned long(unsigned long, const u8*, unsigned)>(handle, "crc32");
  const std::string text = text_of_any_kind();
  std::string result;
  for (const int level : {1, 4, 9}) {
    std::vector<u8> packed(text.size() + 1000);
    unsigned long size = packed.size();
    result += std::to_string(compress2(
        packed.data(), &size, reinterpret_cast<const u8*>(text.data()), text.size(), level));
    std::vector<u8> unpacked(text.size());
    unsigned long unpacked_size = unpacked.size();
    result += std::to_string(uncompress(unpacked.data(), &unpacked_size, packed.data(), size));
    result += std::memcmp(unpacked.data(), text.data(), text.size()) == 0 ? " same " : " differs ";
    result += std::to_string(crc32(0, packed.data(), static_cast<unsigned>(size))) + "\n";
  }
  return result;
}

std::string crypto_work(void* handle) {
  auto* digest_of = function<int(const void*, unsigned long, u8*, unsigned*, const void*, void*)>(
      handle, "EVP_Digest");
  auto* by_name = function<const void*(const char*)>(handle, "EVP_get_digestbyname");
  auto* base64 = function<int(u8*, const u8*, int)>(handle, "EVP_EncodeBlock");
  auto* from_hex_number = function<int(void**, const char*)>(handle, "BN_hex2bn");
  auto* number_new = function<void*()>(handle, "BN_new");
  auto* context_new = function<void*()>(handle, "BN_CTX_new");
  auto* power =
      function<int(void*, const void*, const void*, const void*, void*)>(handle, "BN_mod_exp");
  auto* to_decimal = function<char*(const void*)>(handle, "BN_bn2dec");
  auto* context_free = function<void(void*)>(handle, "BN_CTX_free");
  auto* number_free = function<void(void*)>(handle, "BN_free");
  auto* free_memory = function<void(void*, const char*, int)>(handle, "CRYPTO_free");
  const std::string text = text_of_any_kind();
  std::string result;
  for (const char* name : {"sha256", "sha512", "sha1", "md5", "sha3-256", "blake2b512"}) {
    u8 digest[64];
    unsigned size = 0;
    const int ok = digest_of(text.data(), text.size(), digest, &size, by_name(name), nullptr);
    u8 encoded[128] = "";
    base64(encoded, digest, static_cast<int>(size));
    result += std::string(name) + std::to_string(ok) + reinterpret_cast<char*>(encoded) + "\n";
  }
  void* base = nullptr;
  void* exponent = nullptr;
  void* modulus = nullptr;
  from_hex_number(&base, "123456789abcdef123456789abcdef");
  from_hex_number(&exponent, "fedcba9876543210fedcba987654321");
  from_hex_number(&modulus, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff61");
  void* out = number_new();
  void* context = context_new();
  power(out, base, exponent, modulus, context);
  char* decimal = to_decimal(out);
  result += std::string(decimal) + "\n";
  free_memory(decimal, "", 0);
  context_free(context);
  for (void* number : {base, exponent, modulus, out}) {
    number_free(number);
  }
  return result;
}

std::string sqlite_work(void* handle) {
  auto* open = function<int(const char*, void**)>(handle, "sqlite3_open");
  auto* close_it = function<int(void*)>(handle, "sqlite3_close");
  using Callback = int (*)(void*, int, char**, char**);
  auto* execute =
      function<int(void*, const char*, Callback, void*, char**)>(handle, "sqlite3_exec");
  void* database = nullptr;
  std::string result = std::to_string(open(":memory:", &database));
  const Callback append = [](void* to, int count, char** values, char**) {
    for (int i = 0; i < count; ++i) {
      *static_cast<std::string*>(to) += values[i] != nullptr ? values[i] : "NULL";
      *static_cast<std::string*>(to) += i + 1 < count ? "|" : "\n";
    }
    return 0;
  };
  for (const char* sql : {
           "create table t (a integer primary key, b text, c real)",
           "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) "
           "insert into t select i, hex(i * 7919), i / 7.0 from n",
           "create index t_b on t (b)",
           "select count(*), sum(a), round(avg(c), 6), max(b) from t where b > '31'",
           "select substr(b, 1, 2) as p, count(*) from t group by p having count(*) > 40 order by "
           "p",
           "begin; delete from t where a % 3 = 0; update t set c = c * 2 where b like '3%'; commit",
           "select x.a, y.b from t x join t y on x.a = y.a + 1 where x.a < 60 order by x.c desc",
           "select printf('%.3f|%s', c, upper(b)) from t where a between 100 and 110",
           "select json_group_array(a) from t where a < 30",
           "syntax error here",
       }) {
    result += std::to_string(execute(database, sql, append, &result, nullptr)) + "\n";
  }
  return result + std::to_string(close_it(database));
}

std::string libc_work(void*) {
  std::string result;
  std::vector<int> numbers;
  for (unsigned i = 0; i < 1000; ++i) {
    numbers.push_back(static_cast<int>(i * 2654435761u));
  }
  qsort(numbers.data(), numbers.size(), sizeof numbers[0], [](const void* a, const void* b) {
    const int x = *static_cast<const int*>(a);
    const int y = *static_cast<const int*>(b);
    return x < y ? -1 : x > y;
  });
  char line[256];
  for (unsigned i = 0; i < 1000; i += 100) {
    std::snprintf(line, sizeof line, "%d %08x %-12s| %.9g %a\n", numbers[i],
                  static_cast<unsigned>(numbers[i]), "text", numbers[i] / 3.0, 1.0 / (i + 1));
    result += line;
  }
  result += std::to_string(std::strtod("1.7976931348623157e308", nullptr)) + "\n";
  regex_t expression;
  regcomp(&expression, "([a-z]+)-([0-9]{2,4})(x|y)*$", REG_EXTENDED);
  regmatch_t matches[4];
  result += std::to_string(regexec(&expression, "some words-1234xyx", 4, matches, 0));
  result += " " + std::to_string(matches[1].rm_so) + " " + std::to_string(matches[2].rm_eo) + "\n";
  regfree(&expression);
  const std::time_t time = 1700000000;
  std::tm broken_down;
  gmtime_r(&time, &broken_down);
  std::strftime(line, sizeof line, "%A %d %B %Y %H:%M:%S %j\n", &broken_down);
  result += line;
  FILE* file = std::tmpfile();
  std::fprintf(file, "%s", result.c_str());
  std::rewind(file);
  while (std::fgets(line, sizeof line, file) != nullptr) {
    result += line;
  }
  std::fclose(file);
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  result += std::to_string(getaddrinfo("127.0.0.1", "80", &hints, &found)) + "\n";
  freeaddrinfo(found);
  return result;
}

constexpr Library libraries[] = {
    {"libz.so.1", zlib_work},
    {"libcrypto.so.3", crypto_work},
    {"libsqlite3.so.0", sqlite_work},
    {"libc.so.6", libc_work},
};

bool code_at(u64 address, Code& code, void* context) {
  image::Function found;
  if (!image::find_function(*static_cast<const image::Module*>(context), address, found)) {
    return false;
  }
  code = {found.start, pointer_to<const u8>(found.start), found.size};
  return true;
}

RegionSpec spec_of(const image::Module& module, const image::Function& each, u64 next) {
  RegionSpec spec;
  spec.function.code = {each.start, pointer_to<const u8>(each.start), each.size};
  spec.function.gap =
      next > each.end() && next - each.end() < 64 ? static_cast<u32>(next - each.end()) : 0;
  spec.function.standing = each.cold           ? Standing::cold_part
                           : each.signal_frame ? Standing::signal_restorer
                                               : standing_of(each.start);
  for (unsigned i = 0; i < module.segment_count; ++i) {
    if (module.segments[i].holds(each.start, 1)) {
      spec.text_low = module.segments[i].start;
      spec.text_high = module.segments[i].start + module.segments[i].file_size;
    }
  }
  spec.code_at = code_at;
  spec.context = const_cast<image::Module*>(&module);
  spec.allow_trap = false;
  return spec;
}

// Patches up to max_regions functions, `part` of `parts` of them; how many.
u32 patch_part_of(Patcher& patcher, const image::Module& module, unsigned part, unsigned parts) {
  std::vector<image::Function> functions;
  image::for_each_function(
      module,
      [](const image::Function& each, void* to) {
        static_cast<std::vector<image::Function>*>(to)->push_back(each);
        return true;
      },
      &functions);
  u32 installed = 0;
  for (std::size_t i = part; i + 1 < functions.size() && installed < max_regions; i += parts) {
    if (module.executable(functions[i].start)) {
      installed +=
          patcher.install(spec_of(module, functions[i], functions[i + 1].start), Threads::one)
              .index >= 0;
    }
  }
  return installed;
}

struct Outcome {
  u64 patched = 0;
  u64 entered = 0;
};

}  // namespace

TEST_CASE("libraries with a thousand functions patched work as before") {
  for (const Library& library : libraries) {
    void* handle = dlopen(library.name, RTLD_NOW);
    if (handle == nullptr) {
      continue;
    }
    INFO(library.name);
    const std::string expected = library.work(handle);
    CHECK(expected.size() > 50);
    void* symbol = dlsym(handle, "__libc_start_main");
    for (const char* name : {"compress2", "EVP_Digest", "sqlite3_exec"}) {
      symbol = dlsym(handle, name) != nullptr ? dlsym(handle, name) : symbol;
    }
    image::Module module;
    REQUIRE(image::find_module(address_of(symbol), module));
    // A child a part, a thousand functions each, spread over the library.
    u64 total = 0;
    u64 entered = 0;
    const unsigned parts = 1 + static_cast<unsigned>(module.end - module.start) / 1'200'000;
    for (unsigned part = 0; part < parts; ++part) {
      int ends[2];
      REQUIRE(pipe(ends) == 0);
      const int result = in_child([&] {
        static Patcher patcher;
        patcher.start(enter_target_offset());
        set_enter_target(address_of_function(&selfheal_test_counting_target));
        Outcome outcome;
        outcome.patched = patch_part_of(patcher, module, part, parts);
        selfheal_test_entered = 0;
        for (unsigned round = 0; round < 2; ++round) {
          if (library.work(handle) != expected) {
            return 2;
          }
        }
        outcome.entered = selfheal_test_entered;
        if (!writable_and_executable().empty() ||
            write(ends[1], &outcome, sizeof outcome) != sizeof outcome) {
          return 3;
        }
        return 0;
      });
      CHECK(result == 0);
      Outcome outcome;
      if (result == 0) {
        REQUIRE(read(ends[0], &outcome, sizeof outcome) == sizeof outcome);
      }
      close(ends[0]);
      close(ends[1]);
      total += outcome.patched;
      entered += outcome.entered;
    }
    std::printf("%-16s %6lu functions patched in %u parts, entered %lu times\n", library.name,
                static_cast<unsigned long>(total), parts, static_cast<unsigned long>(entered));
    CHECK(total >= 100);
    CHECK(entered > 1000);
    dlclose(handle);
  }
}
