#include "lib/runtime/region_policy.h"

#include "lib/image/symbols.h"
#include "lib/recover/access.h"
#include "lib/runtime/named_regions.h"
#include "lib/runtime/runtime.h"
#include "lib/store/decision.h"

namespace selfheal::runtime {
namespace {

// Names are only what rules go by; an unnamed function is fitted by rules for its whole module.
std::string_view function_name(const image::Module& module, u64 entry) {
  image::Symbol symbol{};
  return image::symbol_at(module, entry, symbol) && symbol.address == entry ? symbol.name : "";
}

bool take_program(const image::Module& module, void* context) {
  *static_cast<image::Module*>(context) = module;
  return false;  // the first is the program
}

std::string_view program_name() {
  static char buffer[512];
  static std::string_view name;
  if (name.empty()) {
    image::Module program{};
    image::for_each_module(&take_program, &program);
    name = file_name(program, buffer, sizeof buffer);
  }
  return name;
}

// Whatever it is called.
bool asks_about_access(const image::Module& module, const store::CatalogEntry& entry) {
  image::Function function{};
  return image::find_function(module, module.bias + entry.entry_offset, function) &&
         recover::asks_about_access(recover::live_image(), module, function);
}

}  // namespace

store::Decision decide_on(const image::Module& module, const store::CatalogEntry& entry) {
  char buffer[512];
  const store::RuleSubject subject{program_name(), file_name(module, buffer, sizeof buffer),
                                   function_name(module, module.bias + entry.entry_offset),
                                   module.id};
  return store::decide_on(runtime.store, subject, entry,
                          [&] { return asks_about_access(module, entry); });
}

const char* objection(const store::Decision& decision) {
  switch (decision.mode) {
    case store::RuleMode::observe:
      return "a policy rule says to observe only";
    case store::RuleMode::stop:
      return "policy stop";
    case store::RuleMode::known_value:
      return decision.value_set ? nullptr : not_guessed;
    case store::RuleMode::unset:
    case store::RuleMode::heal:
    case store::RuleMode::simulate:
      break;
  }
  return nullptr;
}

}  // namespace selfheal::runtime
