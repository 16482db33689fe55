// The words of the options that are a choice, in the order of their enumerators.
#pragma once

#include <array>

#include "lib/options/options.h"

namespace selfheal::options {

template <typename Choice>
struct Words;

template <>
struct Words<Mode> {
  static constexpr std::array list = {"off", "observe", "heal", "eager"};
};

template <>
struct Words<Report> {
  static constexpr std::array list = {"auto", "always", "never"};
};

template <>
struct Words<HeapProbe> {
  static constexpr std::array list = {"auto", "always", "never"};
};

template <>
struct Words<HangScope> {
  static constexpr std::array list = {"servers", "all"};
};

template <>
struct Words<HangAction> {
  static constexpr std::array list = {"record", "heal", "abort"};
};

template <>
struct Words<Escalate> {
  static constexpr std::array list = {"no", "unsure", "yes"};
};

static_assert(Words<Mode>::list.size() == static_cast<unsigned>(Mode::eager) + 1);
static_assert(Words<Report>::list.size() == static_cast<unsigned>(Report::never) + 1);
static_assert(Words<HeapProbe>::list.size() == static_cast<unsigned>(HeapProbe::never) + 1);
static_assert(Words<HangScope>::list.size() == static_cast<unsigned>(HangScope::all) + 1);
static_assert(Words<HangAction>::list.size() == static_cast<unsigned>(HangAction::abort) + 1);
static_assert(Words<Escalate>::list.size() == static_cast<unsigned>(Escalate::yes) + 1);

}  // namespace selfheal::options
