// Accounts. C++ with structs for results (in registers and through hidden pointers), error codes,
// exceptions, virtual functions and std::function.
#include "serve.h"

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

namespace {

struct Status {  // rax and rdx
  int code;
  const char* text;
  bool ok() const { return code == 0; }
};

struct Parsed {  // through a hidden pointer
  bool ok;
  long amount;
  const char* currency;
  int digits;
};

template <typename T>
struct Result {
  std::variant<std::string, T> held;
  explicit operator bool() const { return held.index() == 1; }
};

enum class Verdict { refused, granted, deferred };

struct Account {
  std::string owner;
  long balance = 0;
  const char* tag = nullptr;
  std::vector<long> history;
};

std::map<std::string, Account> accounts;
long totals[4];
long checks;

// Bug: a currency of another alphabet.
STEP Parsed parse(const char* text) {
  static const char* const currencies[] = {"EUR", "USD", nullptr};
  char* end;
  const long amount = std::strtol(text, &end, 10);
  if (end == text) {
    return {false, 0, nullptr, 0};
  }
  const char* currency = currencies[*end == '\0' ? 0 : *end == '$' ? 1 : 2];
  const int digits = currency[0] == 'E' ? 2 : 0;
  return {true, amount, currency, digits};
}

// Bug: a limit in no steps.
STEP Status check_limit(const Account& account, long amount, long steps) {
  ++checks;
  if (amount > 1000000) {
    --checks;
    return {1, "too much"};
  }
  if (account.balance + amount / steps < 0) {
    --checks;
    return {2, "not enough"};
  }
  --checks;
  return {0, nullptr};
}

// Bug: the branch it is booked in.
STEP std::error_code book(Account& account, long amount, const char* branch) {
  if (*branch == '\0') {
    return std::make_error_code(std::errc::invalid_argument);
  }
  account.history.push_back(amount);
  account.balance += amount;
  totals[std::strtol(branch, nullptr, 0)] += amount;
  return {};
}

// Throws what is wrong. Bug: an owner without a tag.
STEP void validate(const Account& account, const char* mode) {
  if (*mode == 'x') {
    throw std::invalid_argument("mode");
  }
  ++checks;
  if (*mode == 't' && account.tag[0] == '-') {
    --checks;
    throw std::runtime_error("tag");
  }
  --checks;
}

// A number, or the reason. Bug: a mean of nothing.
STEP Result<long> mean(const Account& account, const char* mode) {
  if (account.history.size() > 50) {
    return {"too long"};
  }
  long sum = 0;
  for (const long amount : account.history) {
    sum += amount;
  }
  return {sum / (*mode == 'a' ? static_cast<long>(account.history.size()) : 1)};
}

struct Rule {
  virtual ~Rule() = default;
  virtual Verdict judge(const Account& account, const char* word) const = 0;
};
// Bug: a word that nobody may say.
struct WordRule final : Rule {
  STEP Verdict judge(const Account& account, const char* word) const override {
    if (*word == '\0') {
      return Verdict::refused;
    }
    if (*word == '!') {
      __builtin_trap();
    }
    return account.owner[0] == *word ? Verdict::deferred : Verdict::granted;
  }
};
const std::unique_ptr<const Rule> rules[] = {std::make_unique<WordRule>()};

using Hook = std::function<bool(Account&, long)>;
const std::vector<Hook>& hooks() {
  static const std::vector<Hook> all = {
      [](Account& account, long amount) { return account.history.size() < 60 && amount != 13; },
      // Bug: an amount that is a place.
      [](Account& account, long amount) {
        totals[3] += 1;
        if (amount > 900000 && amount < 1000000) {
          totals[account.owner.size() << 44] = static_cast<long>(account.history.size());
        }
        totals[3] -= 1;
        return amount > -900000;
      }};
  return all;
}

// The part before the colon; an empty view when there is none. Bug: two colons.
STEP std::string_view prefix(const char* text, const Account& account) {
  const char* colon = std::strchr(text, ':');
  if (colon == nullptr) {
    return {};
  }
  if (colon[1] == ':') {
    totals[2] += account.tag[1];
  }
  return {text, static_cast<std::size_t>(colon - text)};
}

// How often, or what is wrong, thrown. Bug: every zeroth.
STEP int repeat(const char* text, Account& account) {
  const int times = std::atoi(text);
  if (times < 0) {
    throw std::out_of_range("times");
  }
  account.balance += 1;
  const int result = 100 / times;
  account.balance -= 1;
  return result;
}

Verdict judged(const Account& account, const char* word) {
  for (const auto& rule : rules) {
    if (const Verdict verdict = rule->judge(account, word); verdict != Verdict::granted) {
      return verdict;
    }
  }
  return Verdict::granted;
}

void pay(Account& account, char* request, reply* out) {
  const Parsed parsed = parse(next_word(&request));
  if (!parsed.ok) {
    return answer(out, "ERR amount");
  }
  for (const Hook& hook : hooks()) {
    if (!hook(account, parsed.amount)) {
      return answer(out, "ERR hook");
    }
  }
  const Status status =
      check_limit(account, parsed.amount, std::strtol(next_word(&request), nullptr, 10));
  if (!status.ok()) {
    return answer(out, "ERR limit");
  }
  if (judged(account, next_word(&request)) != Verdict::granted) {
    return answer(out, "ERR rule");
  }
  validate(account, next_word(&request));
  if (const std::error_code error = book(account, parsed.amount, next_word(&request))) {
    return answer(out, "ERR booking %s", error.message().c_str());
  }
  answer(out, "OK %ld %s", account.balance, parsed.currency);
}

void perform(std::string_view verb, Account& account, char* request, reply* out) {
  if (verb == "PAY") {
    pay(account, request, out);
  } else if (verb == "MEAN") {
    const auto result = mean(account, next_word(&request));
    if (!result) {
      return answer(out, "ERR %s", std::get<0>(result.held).c_str());
    }
    answer(out, "OK %ld", std::get<1>(result.held));
  } else if (verb == "PREFIX") {
    const std::string_view text = prefix(next_word(&request), account);
    if (text.empty()) {
      return answer(out, "ERR no prefix");
    }
    answer(out, "OK %.*s", static_cast<int>(text.size()), text.data());
  } else if (verb == "REPEAT") {
    answer(out, "OK %d", repeat(next_word(&request), account));
  } else {
    answer(out, "ERR unknown request");
  }
}

void handle(char* request, reply* out) {
  const std::string_view verb = next_word(&request);
  const std::string name = next_word(&request);
  if (verb == "OPEN") {
    accounts[name].owner = name;
    return answer(out, "OK");
  }
  const auto found = accounts.find(name);
  if (found == accounts.end()) {
    return answer(out, "ERR no account");
  }
  try {
    perform(verb, found->second, request, out);
  } catch (const std::exception& problem) {
    answer(out, "ERR %s", problem.what());
  }
}

void state(reply* out) {
  answer(out, "checks=%ld totals=%ld,%ld,%ld,%ld", checks, totals[0], totals[1], totals[2],
         totals[3]);
  for (const auto& [name, account] : accounts) {
    answer(out, " %s:%ld,%zu", name.c_str(), account.balance, account.history.size());
  }
}

}  // namespace

int main() {
  const server account_server = {handle, state, nullptr};
  return serve(&account_server);
}
