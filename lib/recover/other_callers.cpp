#include "lib/recover/other_callers.h"

#include "lib/image/callers.h"
#include "lib/recover/return_value.h"

namespace selfheal::recover {
namespace {

// Does what a caller does with the value tell which one is failure?
bool tells(const CallerUse& use) {
  switch (use.use) {
    case Use::sign:
    case Use::null:
    case Use::zero_is_error:
    case Use::boolean:
    case Use::syscall_error:
    case Use::not_in_range:
      return true;
    case Use::zero_is_fine:
      return use.constant == 1;
    case Use::compared:  // others are states, or characters
      return use.constant == -1 || use.constant == 1;
    case Use::unknown:
    case Use::unused:
    case Use::returned:
    case Use::truth_value:
    case Use::trusted:
    case Use::asks_next:
      break;
  }
  return false;
}

struct Opinion {
  u64 value;
  u8 votes;
  CallerUse use;
  u64 return_address;
};

constexpr unsigned max_opinions = 4;

}  // namespace

OtherCallers tally(std::span<const u64> return_addresses, const ImageView& image) {
  Opinion opinions[max_opinions] = {};
  unsigned count = 0;
  OtherCallers result = {};
  u8 told = 0;
  for (const u64 address :
       return_addresses.first(return_addresses.size() < most_other_callers ? return_addresses.size()
                                                                           : most_other_callers)) {
    ++result.count;
    const CallerUse use = find_caller_use(address, image);
    if (!tells(use)) {
      continue;
    }
    ++told;
    const u64 value = value_of(use, FaultKind::none).value;
    unsigned i = 0;
    while (i < count && opinions[i].value != value) {
      ++i;
    }
    if (i == count && count < max_opinions) {
      opinions[count++] = {value, 0, use, address};
    }
    if (i < count) {
      ++opinions[i].votes;
    }
  }
  for (const Opinion& opinion : std::span(opinions).first(count)) {
    if (opinion.votes > result.agree) {
      result.agree = opinion.votes;
      result.use = opinion.use;
      result.return_address = opinion.return_address;
    }
  }
  result.against = static_cast<u8>(told - result.agree);
  return result;
}

OtherCallers find_other_callers(const image::Function& function, const ImageView& image) {
  u64 found[most_other_callers];
  image::Module module;
  if (!image.find_module(image.context, function.start, module)) {
    return {};
  }
  const unsigned count = image::find_callers(module, function, found);
  return tally(std::span(found).first(count), image);
}

}  // namespace selfheal::recover
