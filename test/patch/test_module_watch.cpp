// Modules come and go: patches follow. Each test runs in a child of its own, as the watch is set
// once a process.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <dlfcn.h>
#include <iconv.h>
#include <link.h>
#include <netdb.h>
#include <thread>

#include "lib/image/function.h"
#include "lib/patch/loader.h"
#include "lib/patch/module_watch.h"
#include "lib/patch/standing.h"
#include "lib/patch/text_writer.h"
#include "test/patch/memory_map.h"
#include "test/patch/text_fixture.h"

using namespace selfheal;
using namespace selfheal::patch;
using namespace selfheal::patch::test;

namespace {

const char one[] = PLUGINS "/plugin_one.so";
const char two[] = PLUGINS "/plugin_two.so";

std::atomic<unsigned> unloading_events{0};
std::atomic<unsigned> changed_events{0};
constinit Patcher patcher;

// The answers differ by what an engine would do: it returns 1000 + region index.
extern "C" void selfheal_test_watch_engine();
asm(".text\n"
    "selfheal_test_watch_engine:\n"
    "  pop %rax\n"
    "  add $1000, %eax\n"
    "  ret\n");

Function describe(const image::Function& found) {
  Function function;
  function.code = {found.start, pointer_to<const u8>(found.start), found.size};
  function.standing = standing_of(found.start);
  return function;
}

// What a runtime would do: patch plugin_answer in every plugin, and it is found without dlsym,
// which takes the loader's lock.
bool patch_plugin(const image::Module& module, void*) {
  if (std::strstr(module.name, "/plugin_") == nullptr) {
    return true;
  }
  u64 answer = 0;
  const ElfW(Sym)* symbols = nullptr;
  const char* names = nullptr;
  for (const auto* d = pointer_to<const ElfW(Dyn)>(module.dynamic); d->d_tag != DT_NULL; ++d) {
    const u64 value = d->d_un.d_ptr < module.bias ? d->d_un.d_ptr + module.bias : d->d_un.d_ptr;
    symbols = d->d_tag == DT_SYMTAB ? pointer_to<const ElfW(Sym)>(value) : symbols;
    names = d->d_tag == DT_STRTAB ? pointer_to<const char>(value) : names;
  }
  for (unsigned i = 0; i < 12 && answer == 0; ++i) {
    if (std::strcmp(names + symbols[i].st_name, "plugin_answer") == 0) {
      answer = module.bias + symbols[i].st_value;
    }
  }
  image::Function found;
  if (answer != 0 && image::find_function(module, answer, found)) {
    patcher.install({.function = describe(found)}, Threads::one);
  }
  return true;
}

constexpr ModuleHooks patching_hooks = {
    [] {
      ++unloading_events;
      patcher.modules_unloading();
    },
    [] {
      ++changed_events;
      patcher.modules_changed();
      image::for_each_module(patch_plugin, nullptr);
    },
};

constexpr ModuleHooks counting_hooks = {[] { ++unloading_events; }, [] { ++changed_events; }};

struct Plugin {
  explicit Plugin(const char* path) : handle(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    answer = reinterpret_cast<int (*)(int, int)>(dlsym(handle, "plugin_answer"));
    constructed = reinterpret_cast<int (*)()>(dlsym(handle, "plugin_constructed"));
  }
  void* handle;
  int (*answer)(int, int);
  int (*constructed)();
};

#define WANT(condition)                                                  \
  if (!(condition)) {                                                    \
    std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
    return 1;                                                            \
  }

}  // namespace

TEST_CASE("dlopen and dlclose are noticed, r_brk stays as it should be") {
  CHECK(in_child([] {
          const u64 entry = loader_debug()->r_brk;
          WANT(watch_modules(counting_hooks) == Refusal::none);
          WANT(*pointer_to<u8>(entry) == 0xe9);
          WANT(permissions_at(entry) == "r-xp");
          WANT(writable_and_executable().empty());
          WANT(module_changes() == 0);
          errno = 77;
          void* handle = dlopen(one, RTLD_NOW);
          WANT(handle != nullptr);
          WANT(changed_events == 1);
          WANT(unloading_events == 0);
          WANT(dlopen(one, RTLD_NOW) == handle);  // already there: no change
          WANT(dlclose(handle) == 0);
          WANT(unloading_events == 0);
          WANT(dlclose(handle) == 0);
          WANT(unloading_events == 1);
          WANT(changed_events >= 2);
          WANT(module_changes() == changed_events);
          WANT(dlopen("/nowhere/at/all.so", RTLD_NOW) == nullptr);
          return 0;
        }) == 0);
}

TEST_CASE("what libc itself loads is noticed: character sets and name services") {
  CHECK(in_child([] {
          WANT(watch_modules(counting_hooks) == Refusal::none);
          const iconv_t conversion = iconv_open("UTF-8", "EUC-JP");  // dlopens EUC-JP.so
          WANT(conversion != iconv_t(-1));
          WANT(changed_events >= 1);
          char input[] = "\xa4\xa2";
          char output[8] = "";
          char* in = input;
          char* out = output;
          size_t in_left = 2;
          size_t out_left = sizeof output;
          WANT(iconv(conversion, &in, &in_left, &out, &out_left) == 0);
          WANT(std::strcmp(output, "\xe3\x81\x82") == 0);
          iconv_close(conversion);
          // A name service of ours: libnss_x.so.2 need not exist, the search for it is what we see
          // where it does.
          addrinfo* found = nullptr;
          getaddrinfo("localhost", nullptr, nullptr, &found);
          if (found != nullptr) {
            freeaddrinfo(found);
          }
          return 0;
        }) == 0);
}

TEST_CASE("a plugin is patched before its constructors run, and again after each reload") {
  CHECK(in_child([] {
          patcher.start(enter_target_offset());
          set_enter_target(address_of_function(&selfheal_test_watch_engine));
          WANT(watch_modules(patching_hooks) == Refusal::none);
          for (unsigned round = 0; round < 20; ++round) {
            const bool first = round % 3 != 2;  // the other one may come to the same place
            Plugin plugin(first ? one : two);
            const i32 index = patcher.find(address_of_function(plugin.answer));
            WANT(index >= 0);
            WANT(patcher.state(static_cast<u32>(index)) == PatchState::jump);
            WANT(plugin.answer(2, 3) == 1000 + index);
            WANT(plugin.constructed() == 1000 + index);
            set_enter_target(address_of_function(&selfheal_enter_native));
            WANT(plugin.answer(2, 3) == (first ? 10 : 11));
            set_enter_target(address_of_function(&selfheal_test_watch_engine));
            WANT(dlclose(plugin.handle) == 0);
            WANT(patcher.state(static_cast<u32>(index)) == PatchState::vanished);
            WANT(patcher.find(address_of_function(plugin.answer)) == -1);
          }
          return 0;
        }) == 0);
}

TEST_CASE("text that vanished is never written to") {
  CHECK(in_child([] {
          patcher.start(enter_target_offset());
          WANT(watch_modules(patching_hooks) == Refusal::none);
          Plugin plugin(one);
          const u64 entry = address_of_function(plugin.answer);
          const i32 index = patcher.find(entry);
          WANT(index >= 0);
          WANT(dlclose(plugin.handle) == 0);
          // Something else comes to live there.
          void* page = mmap(pointer_to<void>(page_down(entry)), page_size, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
          WANT(page == pointer_to<void>(page_down(entry)));
          std::memset(page, 0x5a, page_size);
          WANT(patcher.uninstall(static_cast<u32>(index), Threads::one));
          patcher.upgrade_pending();
          for (u64 at = page_down(entry); at < page_down(entry) + page_size; ++at) {
            WANT(*pointer_to<u8>(at) == 0x5a);
          }
          return 0;
        }) == 0);
}

TEST_CASE("modules come and go on one thread while another patches") {
  CHECK(in_child([] {
          patcher.start(enter_target_offset());
          const TrapHandler handler(patcher);
          WANT(watch_modules({[] { patcher.modules_unloading(); },
                              [] { patcher.modules_changed(); }}) == Refusal::none);
          std::atomic<bool> stop{false};
          std::atomic<unsigned> wrong{0};
          std::atomic<unsigned> reloads{0};
          std::thread loader([&] {
            while (!stop.load()) {
              Plugin plugin(one);
              wrong += plugin.answer(2, 3) != 10;
              dlclose(plugin.handle);
              ++reloads;
            }
          });
          Plugin stays(two);
          image::Module module;
          image::Function found;
          WANT(image::find_module(address_of_function(stays.answer), module));
          WANT(image::find_function(module, address_of_function(stays.answer), found));
          const Function function = describe(found);
          unsigned installs = 0;
          const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
          while ((installs < 50 || reloads < 50) && std::chrono::steady_clock::now() < deadline) {
            const Installed installed = patcher.install({.function = function}, Threads::many);
            installs += installed.index >= 0;
            wrong += stays.answer(2, 3) != 11;
            if (installed.index >= 0) {
              patcher.uninstall(static_cast<u32>(installed.index), Threads::many);
            }
          }
          stop = true;
          loader.join();
          WANT(wrong == 0);
          WANT(installs >= 50);
          WANT(reloads >= 50);
          return 0;
        }) == 0);
}

TEST_CASE("a debugger's breakpoint on r_brk is left alone") {
  CHECK(in_child([] {
          const u64 entry = loader_debug()->r_brk;
          const u8 int3 = 0xcc;
          WANT(write_text(entry, &int3, 1) != Writer::none);
          WANT(watch_modules(counting_hooks) == Refusal::foreign_patch);
          WANT(*pointer_to<u8>(entry) == int3);
          return 0;
        }) == 0);
}

TEST_CASE("the watch works under LD_DEBUG, too") {
  // The loader then prints from within dlopen; run this program's first test that way.
  CHECK(in_child([] {
          setenv("LD_DEBUG", "files", 1);
          setenv("LD_DEBUG_OUTPUT", "/dev/null", 1);
          execl("/proc/self/exe", "test", "dlopen and dlclose are noticed*", "-o", "/dev/null",
                nullptr);
          return 1;
        }) == 0);
}

TEST_CASE("threads that load and unload at once") {
  CHECK(in_child([] {
          patcher.start(enter_target_offset());
          WANT(watch_modules(patching_hooks) == Refusal::none);
          std::atomic<unsigned> wrong{0};
          std::vector<std::thread> threads;
          for (const char* path : {one, two, one}) {
            threads.emplace_back([&wrong, path] {
              for (unsigned i = 0; i < 100; ++i) {
                Plugin plugin(path);
                wrong += plugin.answer(2, 3) != (path == one ? 10 : 11);
                dlclose(plugin.handle);
              }
            });
          }
          for (std::thread& thread : threads) {
            thread.join();
          }
          WANT(wrong == 0);
          WANT(changed_events >= 2);
          return 0;
        }) == 0);
}
