// One test a reason. What is refused a jump may still get an int3; the tests say which.
#include <Zydis/Zydis.h>
#include <catch2/catch.hpp>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

#include "lib/patch/standing.h"
#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

namespace {

constexpr u64 entry = 0x40001000;
constexpr u64 stub = 0x40800000;
constexpr u64 native = stub + native_offset;
const char plain[] = "55 48 89 e5 48 83 ec 20 c9 c3";

Plan plan_of(const std::string& code, const std::string& behind = "",
             Standing standing = Standing::ordinary, u64 stub_at = stub) {
  const std::vector<u8> bytes = from_hex(code + " " + behind);
  Function function;
  function.code = {entry, bytes.data(), from_hex(code).size()};
  function.gap = static_cast<u32>(bytes.size() - function.code.size);
  function.standing = standing;
  return plan(function, stub_at, stub_at + native_offset);
}

void check_refused(const Plan& made, Refusal reason) {
  CHECK(made.how == How::none);
  CHECK(made.refusal == reason);
}

void check_trapped(const Plan& made, Refusal reason) {
  CHECK(made.how == How::trap);
  CHECK(made.refusal == reason);
  CHECK(made.size == 1);
  CHECK(made.patched[0] == 0xcc);
}

}  // namespace

TEST_CASE("too short with no padding gets an int3") {
  check_trapped(plan_of("31 c0 c3"), Refusal::too_short);
  check_trapped(plan_of("31 c0 c3", "55 48"), Refusal::too_short);     // the next function
  check_trapped(plan_of("31 c0 c3", "90 55 48"), Refusal::too_short);  // one nop is too little
  check_refused(plan_of("f3 0f 1e fa"), Refusal::too_short);           // nothing but endbr64
}

TEST_CASE("a branch into the entry from anywhere in the function gets an int3") {
  // xor eax,eax; 2: inc eax; cmp edi,eax; jne 2b; ret
  check_trapped(plan_of("31 c0 ff c0 39 f8 75 fa c3"), Refusal::branch_into_entry);
  // the same by call, by rel32 jump, by lea of an address inside
  check_trapped(plan_of("31 c0 ff c0 39 f8 e8 f7 ff ff ff c3"), Refusal::branch_into_entry);
  check_trapped(plan_of("31 c0 ff c0 39 f8 e9 f7 ff ff ff"), Refusal::branch_into_entry);
  check_trapped(plan_of("31 c0 ff c0 39 f8 48 8d 05 f6 ff ff ff c3"), Refusal::branch_into_entry);
  // code behind an unconditional jump is there for a branch that a table holds
  check_trapped(plan_of("eb 04 31 c0 eb 02 31 c9 c3"), Refusal::branch_into_entry);
}

TEST_CASE("a branch to byte 0 or byte 5 is no branch into the entry") {
  CHECK(plan_of("48 ff c7 48 39 f7 75 f8 c3").how == How::jump);           // to byte 0
  CHECK(plan_of("b8 00 00 00 00 ff c0 39 f8 75 fa c3").how == How::jump);  // to byte 5
}

TEST_CASE("what branches into an entry from nearby is found among the neighbours") {
  // Three functions, as glibc has them: mempcpy: ...; jmp memmove+3 / a thunk / memmove
  const std::vector<u8> bytes = from_hex(
      "48 89 f8 48 01 d0 eb 1b 90 90 90 90 90 90 90 90"
      "48 39 d1 eb fb 90 90 90 90 90 90 90 90 90 90 90"
      "48 89 f8 48 83 fa 10 c3");
  const Code all{entry, bytes.data(), bytes.size()};
  struct Part {
    u64 offset;
    u64 size;
  };
  static const Part parts[] = {{0, 8}, {16, 5}, {32, 8}};
  const CodeAt code_at = [](u64 address, Code& code, void* context) {
    const Code& whole = *static_cast<const Code*>(context);
    for (const Part& part : parts) {
      if (address - (whole.address + part.offset) < part.size) {
        code = {whole.address + part.offset, whole.bytes + part.offset, part.size};
        return true;
      }
    }
    return false;
  };
  const Code function{entry + 32, bytes.data() + 32, 8};
  Code found[8];
  REQUIRE(neighbours(function, code_at, const_cast<Code*>(&all), found) == 2);
  CHECK(found[0].address == entry);
  CHECK(names(found[0], entry + 33, entry + 36));
  CHECK_FALSE(names(found[1], entry + 33, entry + 36));
  const Code thunk{entry + 16, bytes.data() + 16, 5};
  REQUIRE(neighbours(thunk, code_at, const_cast<Code*>(&all), found) == 2);
  CHECK(found[1].address == entry + 32);
}

TEST_CASE("a branch into the entry from far away in the text is found by its bytes") {
  std::vector<u8> text(100000, 0x90);
  const u64 base = 0x7f0000000000;
  const u64 first = base + 50001;
  const Code code{base, text.data(), text.size()};
  CHECK_FALSE(rel32_into(code, first, first + 3));
  const auto put = [&](u64 at, std::vector<u8> opcode, u64 target) {
    std::fill(text.begin(), text.end(), 0x90);
    std::copy(opcode.begin(), opcode.end(), text.begin() + static_cast<long>(at));
    const u64 operand = at + opcode.size();
    const u32 distance = static_cast<u32>(target - (base + operand + 4));
    std::memcpy(text.data() + operand, &distance, 4);
  };
  // Wherever it lies against the blocks that are looked at together, the last bytes included.
  for (u64 at : {0ul, 1ul, 2ul, 3ul, 13ul, 14ul, 15ul, 16ul, 17ul, 80003ul, 99990ul, 99994ul}) {
    for (u64 target : {first, first + 3}) {
      put(at, {0xe9}, target);
      CHECK(rel32_into(code, first, first + 3));
      put(at, {0xe8}, target);
      CHECK(rel32_into(code, first, first + 3));
      put(at, {0x0f, 0x85}, target);
      CHECK(rel32_into(code, first, first + 3));
    }
    put(at, {0xe9}, first - 1);
    CHECK_FALSE(rel32_into(code, first, first + 3));
    put(at, {0xe9}, first + 4);
    CHECK_FALSE(rel32_into(code, first, first + 3));
    put(at, {0xb8}, first);  // mov imm32: no branch
    CHECK_FALSE(rel32_into(code, first, first + 3));
  }
}

TEST_CASE("a call that returns into the entry gets an int3") {
  check_trapped(plan_of("ff d0 48 83 c4 08 c3"), Refusal::return_into_entry);
  check_trapped(plan_of("53 ff 17 5b c3"), Refusal::return_into_entry);
}

TEST_CASE("operands and stubs out of reach are refused") {
  // The stub itself.
  check_trapped(plan_of(plain, "", Standing::ordinary, entry + 0x90000000), Refusal::out_of_reach);
  // lea -1.9 GiB(%rip) moved 1.9 GiB up
  check_refused(plan_of("48 8d 05 00 00 00 87 c3", "", Standing::ordinary, entry + 0x79000000),
                Refusal::out_of_reach);
}

TEST_CASE("instructions that mean something else elsewhere are refused") {
  check_refused(plan_of("c7 f8 00 00 00 00 c3"), Refusal::immovable);     // xbegin
  check_refused(plan_of("67 8b 05 00 00 00 00 c3"), Refusal::immovable);  // relative to eip
  check_refused(plan_of("cd 80 90 90 90 c3"), Refusal::immovable);        // int $0x80
  check_refused(plan_of("ff 14 24 90 90 90 c3"), Refusal::return_into_entry);
  // call *0x100(%rsp): the push would move its operand
  check_refused(plan_of("ff 94 24 00 01 00 00 c3"), Refusal::immovable);
  check_refused(plan_of("ff 1d 00 00 00 00 c3"), Refusal::immovable);  // far call
}

TEST_CASE("what a function is can refuse it") {
  check_refused(plan_of(plain, "", Standing::cold_part), Refusal::cold_part);
  check_refused(plan_of(plain, "", Standing::ifunc_resolver), Refusal::ifunc_resolver);
  check_refused(plan_of(plain, "", Standing::loader), Refusal::loader);
  check_refused(plan_of(plain, "", Standing::own_runtime), Refusal::own_runtime);
  check_refused(plan_of(plain, "", Standing::vdso), Refusal::vdso);
  check_refused(plan_of(plain, "", Standing::signal_restorer), Refusal::signal_restorer);
}

TEST_CASE("a signal restorer is known by its bytes") {
  check_refused(plan_of("48 c7 c0 0f 00 00 00 0f 05"), Refusal::signal_restorer);
  check_refused(plan_of("b8 0f 00 00 00 0f 05"), Refusal::signal_restorer);
}

TEST_CASE("changed code is refused") {
  const std::vector<u8> bytes = from_hex(plain);
  Function function;
  function.code = {entry, bytes.data(), bytes.size()};
  function.recorded_hash = 1;
  function.present_hash = 2;
  check_refused(plan(function, stub, native), Refusal::hash_mismatch);
}

TEST_CASE("what cannot be decoded is refused a jump, and at the entry an int3, too") {
  check_trapped(plan_of("55 48 89 e5 48 83 ec 20 06 c3"), Refusal::undecodable);  // push es
  check_refused(plan_of("06 48 89 e5 48 83 ec 20 c9 c3"), Refusal::undecodable);
  check_trapped(plan_of("55 48 89 e5 48 83 ec 20 48"), Refusal::undecodable);  // cut
}

TEST_CASE("a breakpoint that is already there is left alone") {
  check_refused(plan_of("cc 48 89 e5 48 83 ec 20 c9 c3"), Refusal::foreign_patch);
  check_refused(plan_of("f3 0f 1e fa cc 89 e5 48 83 ec 20 c9 c3"), Refusal::foreign_patch);
}

TEST_CASE("install refuses text that is not what it was told") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const Text text(from_hex("55 48 89 e5 48 83 ec 20 c9 c3"));
  const std::vector<u8> other = from_hex("55 48 89 e6 48 83 ec 20 c9 c3");
  Function function;
  function.code = {text.entry(), other.data(), other.size()};
  const Installed installed = patcher.install({.function = function}, Threads::one);
  CHECK(installed.index == -1);
  CHECK(installed.refusal == Refusal::foreign_patch);
}

TEST_CASE("install gives no int3 to who wants none") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  const Text text(from_hex("31 c0 c3"), 0x100);
  Function function;
  function.code = {text.entry(), text.bytes(), 3};
  const Installed refused =
      patcher.install({.function = function, .allow_trap = false}, Threads::one);
  CHECK(refused.index == -1);
  CHECK(refused.refusal == Refusal::too_short);
  const Installed trapped = patcher.install({.function = function}, Threads::one);
  CHECK(trapped.how == How::trap);
  CHECK(trapped.refusal == Refusal::too_short);
}

TEST_CASE("install sees a branch into the entry from elsewhere in the text") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  // push rbp; mov; sub; ...; ret; and behind, of another function: jmp entry+1
  const Text text(from_hex("55 48 89 e5 48 83 ec 20 c9 c3 90 90 e9 f0 ff ff ff"));
  Function function;
  function.code = {text.entry(), text.bytes(), 10};
  const Installed installed = patcher.install(
      {.function = function, .text_low = text.base(), .text_high = text.base() + 2 * page_size},
      Threads::one);
  CHECK(installed.how == How::trap);
  CHECK(installed.refusal == Refusal::branch_into_entry);
}

TEST_CASE(
    "install sees a short branch into the entry from a neighbour, and through its own patches") {
  static Patcher patcher;
  patcher.start(enter_target_offset());
  // mov; add; jmp second+3, where the jump of a patch would cover the first two instructions;
  // second:
  static const Text text(
      from_hex("48 89 f8 48 01 d0 eb 0b 90 90 90 90 90 90 90 90"
               "48 89 f8 48 83 fa 10 c3"));
  Function first;
  first.code = {text.entry(), text.bytes(), 8};
  Function second;
  second.code = {text.entry() + 16, text.bytes() + 16, 8};
  const CodeAt code_at = [](u64 address, Code& code, void*) {
    const u64 offset = address - text.entry();
    if (offset < 8 || (offset >= 16 && offset < 24)) {
      code = {text.entry() + (offset & ~u64{7}), text.bytes() + (offset & ~u64{7}), 8};
      return true;
    }
    return false;
  };
  CHECK(patcher.install({.function = first, .code_at = code_at}, Threads::one).how == How::jump);
  const Installed installed =
      patcher.install({.function = second, .code_at = code_at}, Threads::one);
  CHECK(installed.how == How::trap);
  CHECK(installed.refusal == Refusal::branch_into_entry);
}

TEST_CASE("the loader's, the decoder's, the vdso's and our own functions are known") {
  CHECK(standing_of(_r_debug.r_brk) == Standing::loader);
  CHECK(standing_of(address_of_function(&ZydisDecoderInit)) == Standing::own_runtime);
  CHECK(standing_of(address_of_function(&standing_of)) == Standing::own_runtime);
  const u64 vdso = getauxval(AT_SYSINFO_EHDR);
  REQUIRE(vdso != 0);
  CHECK(standing_of(vdso + pointer_to<const Elf64_Ehdr>(vdso)->e_entry) == Standing::vdso);
  CHECK(standing_of(address_of(dlsym(RTLD_DEFAULT, "getenv"))) == Standing::ordinary);
}

TEST_CASE("IFUNC resolvers are known, what they resolve to is not one") {
  // dlsym calls the resolver, so its own address has to come from the symbol table.
  void* chosen = dlsym(RTLD_DEFAULT, "memcpy");
  const ElfW(Sym)* symbol = nullptr;
  Dl_info info;
  REQUIRE(dladdr1(dlsym(RTLD_DEFAULT, "getenv"), &info,
                  const_cast<void**>(reinterpret_cast<const void**>(&symbol)),
                  RTLD_DL_SYMENT) != 0);
  const u64 base = address_of(info.dli_fbase);
  const auto* module = static_cast<const link_map*>(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD));
  REQUIRE(module != nullptr);
  const ElfW(Sym)* symbols = nullptr;
  const char* names_of = nullptr;
  for (const ElfW(Dyn)* entry_of = module->l_ld; entry_of->d_tag != DT_NULL; ++entry_of) {
    symbols =
        entry_of->d_tag == DT_SYMTAB ? pointer_to<const ElfW(Sym)>(entry_of->d_un.d_ptr) : symbols;
    names_of =
        entry_of->d_tag == DT_STRTAB ? pointer_to<const char>(entry_of->d_un.d_ptr) : names_of;
  }
  // Those that only other modules call have no relocation in libc itself, so all are looked at.
  unsigned resolvers = 0;
  bool memcpy_seen = false;
  for (const ElfW(Sym)* s = symbols; s < symbols + 3000; ++s) {
    if (ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC) {
      INFO(names_of + s->st_name);
      CHECK(standing_of(base + s->st_value) == Standing::ifunc_resolver);
      memcpy_seen = memcpy_seen || std::string_view(names_of + s->st_name) == "memcpy";
      ++resolvers;
    }
  }
  CHECK(resolvers > 50);
  CHECK(memcpy_seen);
  CHECK(standing_of(address_of(chosen)) == Standing::ordinary);
}

TEST_CASE("every refusal has a text of its own") {
  std::vector<std::string> texts;
  for (u8 i = 0; i <= static_cast<u8>(Refusal::trap_blocked); ++i) {
    const std::string text = text_of(static_cast<Refusal>(i));
    CHECK(text != "unknown");
    CHECK(std::find(texts.begin(), texts.end(), text) == texts.end());
    texts.push_back(text);
  }
}
