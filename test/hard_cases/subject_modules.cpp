// Loading and unloading modules inside a region.
#include <dlfcn.h>
#include <execinfo.h>
#include <iconv.h>
#include <link.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "test/hard_cases/subject.h"

using namespace hard;

namespace {

using Function = int (*)(int);

template <typename T>
T find(void* module, const char* name) {
  return reinterpret_cast<T>(dlsym(module, name));
}

}  // namespace

HARD_CASE(dlopen_call_dlclose, "constructor\n12\ndestructor\n0 1\n") {
  void* const module = dlopen(PLUGIN, RTLD_NOW);
  in_engine(__LINE__);
  const int result = find<Function>(module, "plugin_function")(5);
  in_engine(__LINE__);
  say("%d\n", result);
  const int error = dlclose(module);
  in_engine(__LINE__);
  say("%d %d\n", error, dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD) == nullptr);
  return 0;
}

// Again and again, at the same address perhaps: nothing of the old module's code may be run.
HARD_CASE(
    dlopen_again_and_again,
    "constructor\ndestructor\nconstructor\ndestructor\nconstructor\ndestructor\n108 113 118\n") {
  int results[3];
  for (int i = 0; i < 3; ++i) {
    void* const module = dlopen(PLUGIN, RTLD_LAZY);
    *find<int*>(module, "plugin_number") = 100 + 5 * i;
    results[i] = find<Function>(module, "plugin_function")(8);
    dlclose(module);
  }
  in_engine(__LINE__);
  say("%d %d %d\n", results[0], results[1], results[2]);
  return 0;
}

HARD_CASE(dlopen_fails,
          "/nowhere/x.so: cannot open shared object file: No such file or directory\nnone\n1\n") {
  void* const module = dlopen("/nowhere/x.so", RTLD_NOW);
  say("%s\n", dlerror());
  in_engine(__LINE__);
  const char* const again = dlerror();
  say("%s\n", again == nullptr ? "none" : again);
  say("%d\n", module == nullptr);
  return 0;
}

// A constructor runs natively, above the engine; whoever looks down the stack from there sees the
// program's frames.
HARD_CASE(a_constructor_sees_its_callers, "constructor\n1 1\ndestructor\n") {
  void* here[64];
  const int count = backtrace(here, 64);
  void* const module = dlopen(PLUGIN, RTLD_NOW);
  in_engine(__LINE__);
  void* const* const there =
      find<void**>(module, "plugin_frames") + *find<int*>(module, "plugin_frame_count");
  bool same = true;
  for (int i = 1; i < count; ++i) {  // this frame stands elsewhere in its code
    same = same && here[count - i] == there[-i];
  }
  say("%d %d\n", count > 3, same);
  return 0;
}

// The loader goes by who called it: the library's own RUNPATH finds what ours does not.
HARD_CASE(dlopen_sees_its_caller, "not found\nconstructor\nfound\ndestructor\n") {
  say("%s\n", dlopen(PLUGIN_NAME, RTLD_NOW) == nullptr ? "not found" : "found");
  void* const library = dlopen(CALLER, RTLD_NOW);
  void* const module = find<void* (*)(const char*)>(library, "load_for_me")(PLUGIN_NAME);
  in_engine(__LINE__);
  say("%s\n", module == nullptr ? "not found" : "found");
  return 0;
}

HARD_CASE(dlmopen_has_its_own_copy, "constructor\nconstructor\n8 1\n1\n") {
  void* const ours = dlopen(PLUGIN, RTLD_NOW);
  void* const theirs = dlmopen(LM_ID_NEWLM, PLUGIN, RTLD_NOW);
  in_engine(__LINE__);
  *find<int*>(ours, "plugin_number") = 0;
  Lmid_t id = 0;
  dlinfo(theirs, RTLD_DI_LMID, &id);
  say("%d %d\n", find<Function>(theirs, "plugin_function")(1),
      find<Function>(ours, "plugin_function")(1));
  say("%d\n", id != LM_ID_BASE);
  in_engine(__LINE__);
  _exit(0);  // both destructors would speak, in an order of the loader's
}

HARD_CASE(dlsym_next_and_default, "1 1\n") {
  void* const first = dlsym(RTLD_DEFAULT, "read");
  void* const next = dlsym(RTLD_NEXT, "read");
  in_engine(__LINE__);
  say("%d %d\n", first != nullptr,
      next != nullptr && (!loaded() || dlsym(RTLD_NEXT, "say") == nullptr));
  return 0;
}

// libc loads modules of its own behind the program's back.
HARD_CASE(iconv_loads_a_module, "e4\n") {
  const iconv_t conversion = iconv_open("ISO-8859-1", "UTF-8");
  in_engine(__LINE__);
  char text[] = "\xc3\xa4";
  char* in = text;
  char out[8] = "";
  char* to = out;
  size_t left = 2;
  size_t room = sizeof out;
  iconv(conversion, &in, &left, &to, &room);
  say("%x\n", static_cast<unsigned char>(out[0]));
  iconv_close(conversion);
  in_engine(__LINE__);
  return 0;
}

HARD_CASE(a_name_service_is_loaded, "127.0.0.1\n") {
  const hostent* const host = gethostbyname("127.0.0.1");
  addrinfo* found = nullptr;
  getaddrinfo("localhost", nullptr, nullptr, &found);
  in_engine(__LINE__);
  if (found != nullptr) {
    freeaddrinfo(found);
  }
  const auto* const bytes = reinterpret_cast<const unsigned char*>(host->h_addr_list[0]);
  say("%d.%d.%d.%d\n", bytes[0], bytes[1], bytes[2], bytes[3]);
  return 0;
}

// What was loaded stays loaded when the region is rolled back; what the region wrote does not.
namespace {

int* number_of_module;

}  // namespace

REGION int loads_and_fails() {
  void* const module = dlopen(PLUGIN, RTLD_NOW);
  int* const number = find<int*>(module, "plugin_number");
  *number = 50;
  in_engine(__LINE__);
  return fail();
}

HARD_CASE_OF(a_loaded_module_survives_a_rollback, "loads_and_fails",
             "constructor\n1 8\ndestructor\n") {
  loads_and_fails();
  void* const module = dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD);
  number_of_module = find<int*>(module, "plugin_number");
  as_rolled_back([] { *number_of_module = 7; });
  say("%d %d\n", module != nullptr, find<Function>(module, "plugin_function")(1));
  return 0;
}

// What the region wrote to a module that it then unloaded must not be put back: another module may
// lie there by then.
REGION int unloads_and_fails() {
  void* const old = dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD);
  *find<int*>(old, "plugin_number") = 50;
  dlclose(old);
  dlclose(old);
  void* const again = dlopen(PLUGIN, RTLD_NOW);
  in_engine(__LINE__);
  return again == nullptr ? 1 : fail();
}

HARD_CASE_OF(an_unloaded_module_is_left_alone, "unloads_and_fails",
             "constructor\ndestructor\nconstructor\n7 1\ndestructor\n") {
  int* const before = find<int*>(dlopen(PLUGIN, RTLD_NOW), "plugin_number");
  *before = 30;
  unloads_and_fails();
  const auto* const now = find<int*>(dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD), "plugin_number");
  // The case is about the same address; the loader takes the same place as a rule.
  say("%d %d\n", *now, now == before);
  return 0;
}
