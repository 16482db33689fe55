#include "lib/runtime/abort_clues.h"

#include <dlfcn.h>

#include "lib/image/symbols.h"
#include "probes/hooks.h"

namespace selfheal::runtime {
namespace {

// glibc keeps what it printed before an abort for debuggers to find in a core: struct abort_msg_s
// (include/stdlib.h), a size and the text. Private to glibc, so it has to be asked for by version.
struct AbortMessage {
  u32 size;
  char text[1];
};
constinit const AbortMessage* const* libc_message = nullptr;

const char* exported_name(u64 address) {
  image::Module module;
  image::Symbol symbol{};
  return image::find_module(address, module) && image::symbol_at(module, address, symbol) &&
                 address - symbol.address < symbol.size
             ? symbol.name
             : nullptr;
}

// std::type_info, Itanium C++ ABI 2.9.4: a pointer to the virtual table, one to the name.
struct TypeInfo {
  const void* table;
  const char* name;
};

bool in_allocator(u64 address) {
  image::Module module;
  return image::find_module(address, module) && !image::is_system_library(module) &&
         image::is_allocator(module);
}

struct Question {
  const TypeInfo* (*current_exception_type)();
  const char* name;
};

// The C++ runtime's own function: reads thread-local memory, and the exception.
void ask(void* argument) {
  auto& question = *static_cast<Question*>(argument);
  const TypeInfo* type = question.current_exception_type();
  question.name = type != nullptr ? type->name : nullptr;
}

const char* exception_type(u64 address) {
  image::Module module;
  image::Symbol symbol{};
  if (!image::find_module(address, module) ||
      !image::find_symbol(module, "__cxa_current_exception_type", symbol)) {
    return nullptr;
  }
  Question question{pointer_to<const TypeInfo*()>(symbol.address), nullptr};
  return probes::guarded(&ask, &question) ? question.name : nullptr;
}

}  // namespace

void find_libc_message() {
  libc_message = pointer_to<const AbortMessage* const>(
      address_of(dlvsym(RTLD_DEFAULT, "__abort_msg", "GLIBC_PRIVATE")));
}

recover::AbortClues abort_clues() {
  const AbortMessage* said = libc_message != nullptr ? *libc_message : nullptr;
  return {&exported_name, &exception_type, &in_allocator, said != nullptr ? said->text : nullptr,
          probes::abort_text()};
}

}  // namespace selfheal::runtime
