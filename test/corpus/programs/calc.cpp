// A calculator with memory. C++ with numbers for results: double, float, long, char, references.
#include "serve.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

const double* curve;

namespace {

std::vector<double> memory(4);
long evaluated;
long cells[4];

// NAN when it is no number. Bug: "@" is a place.
STEP double number(const char* text) {
  char* end;
  const double value = std::strtod(text, &end);
  if (end == text && *text != '@') {
    return NAN;
  }
  ++evaluated;
  const double result = *text == '@' ? curve[std::strtol(text + 1, nullptr, 0)] : value;
  --evaluated;
  return result;
}

// Negative when there is none. Bug: a place far away.
STEP long recall(long place) {
  if (place > 100 && place < 200) {
    return -1;
  }
  return cells[place > 3 ? place << 40 : place];
}

// '\0' when it is none. Bug: an empty set.
STEP char pick(const char* set, long at) {
  const long length = static_cast<long>(std::strlen(set));
  if (at < 0) {
    return '\0';
  }
  return set[at % (length - 1)];
}

// HUGE_VALF when it is too large. Bug: a step of nothing.
STEP float steps(long from, long by) {
  if (from > 10000) {
    return HUGE_VALF;
  }
  evaluated += 5;
  const float result = static_cast<float>(from / by);
  evaluated -= 5;
  return result;
}

// Whether it was stored. Bug: an operation without a name.
WHOLE_STEP bool store(long place, char operation, double value) {
  if (place < 0 || place > 3) {
    return false;
  }
  memory[static_cast<std::size_t>(place)] += value;
  switch (operation) {
    case '+':
      cells[place] += 1;
      return true;
    case '~':
      __builtin_trap();
    default:
      memory[static_cast<std::size_t>(place)] -= value;
      return false;
  }
}

void handle(char* request, reply* out) {
  const std::string verb = next_word(&request);
  const char* first = next_word(&request);
  const long place = std::strtol(first, nullptr, 10);
  if (verb == "ADD") {
    const char operation = *next_word(&request);
    const double value = number(next_word(&request));
    if (std::isnan(value)) {
      return answer(out, "ERR no number");
    }
    if (!store(place, operation, value)) {
      return answer(out, "ERR not stored");
    }
    ++evaluated;
    answer(out, "OK %.2f", memory[static_cast<std::size_t>(place)]);
  } else if (verb == "RECALL") {
    const long value = recall(place);
    if (value < 0) {
      return answer(out, "ERR nothing there");
    }
    answer(out, "OK %ld", value);
  } else if (verb == "PICK") {
    const char c = pick(first, std::atol(next_word(&request)));
    if (c == '\0') {
      return answer(out, "ERR none");
    }
    answer(out, "OK %c", c);
  } else if (verb == "STEPS") {
    const float value = steps(place, std::atol(next_word(&request)));
    if (value == HUGE_VALF) {
      return answer(out, "ERR too many");
    }
    answer(out, "OK %.1f", static_cast<double>(value));
  } else {
    answer(out, "ERR unknown request");
  }
}

void state(reply* out) {
  answer(out, "evaluated=%ld", evaluated);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    answer(out, " %.2f,%ld", memory[i], cells[i]);
  }
}

}  // namespace

int main() {
  const server calculator = {handle, state, nullptr};
  return serve(&calculator);
}
