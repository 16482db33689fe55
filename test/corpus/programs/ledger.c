/* Accounts and transfers. C with clean-up by goto; 0 or -1 with errno; NULL for no object. */
#include "serve.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { account_count = 4, memo_slots = 8 };

struct owner {
  long limit;
};

struct account {
  const char* name;
  const struct owner* owner;
  long cents;
  long postings;
  const char* label;
  int memo[memo_slots];
};

struct rate {
  const char* currency;
  long numerator;
  long denominator;
};

static const struct owner bank = {100000};
static struct account accounts[account_count] = {
    {.name = "anna", .owner = &bank, .cents = 50000, .label = "household"},
    {.name = "bert", .owner = &bank, .cents = 20000, .label = "savings"},
    {.name = "shop", .owner = &bank, .cents = 0, .label = "till"},
    {.name = "ghost", .cents = 90000},
};
static const struct rate rates[] = {{"EUR", 1, 1}, {"USD", 9, 10}, {"XTS", 1, 0}};
static pthread_mutex_t books = PTHREAD_MUTEX_INITIALIZER;
static long transfers;
static long open_transfers;

static struct account* find_account(const char* name) {
  for (int i = 0; i < account_count; ++i) {
    if (strcmp(accounts[i].name, name) == 0) {
      return &accounts[i];
    }
  }
  return NULL;
}

static const struct rate* find_rate(const char* currency) {
  for (size_t i = 0; i < sizeof rates / sizeof *rates; ++i) {
    if (strcmp(rates[i].currency, currency) == 0) {
      return &rates[i];
    }
  }
  return NULL;
}

/* "12.50" or "12.50USD". Bugs: an unknown currency; one whose rate is 1/0. */
static STEP int parse_cents(const char* text, long* cents) {
  char* end;
  long whole = strtol(text, &end, 10);
  if (end == text || *end != '.') {
    errno = EINVAL;
    return -1;
  }
  long hundredths = strtol(end + 1, &end, 10);
  if (hundredths < 0 || hundredths > 99) {
    errno = ERANGE;
    return -1;
  }
  *cents = whole * 100 + hundredths;
  if (*end != '\0') {
    const struct rate* rate = find_rate(end);
    *cents = *cents * rate->numerator / rate->denominator;
  }
  return 0;
}

/* Bug: the slot a memo names is not checked. */
static STEP int post(struct account* account, long cents, const char* memo) {
  account->postings += 1;
  account->cents += cents;
  if (account->cents < 0) {
    account->postings -= 1;
    account->cents -= cents;
    errno = EDQUOT;
    return -1;
  }
  if (memo[0] == '#') {
    account->memo[strtol(memo + 1, NULL, 10)] = (int)cents;
  }
  return 0;
}

static void unpost(struct account* account, long cents) {
  account->postings -= 1;
  account->cents -= cents;
}

/* Bug: a character nobody thought of. */
static STEP int check_memo(const char* memo, char* clean, size_t size) {
  size_t length = 0;
  for (; *memo != '\0'; ++memo) {
    if (length + 1 >= size) {
      errno = ENAMETOOLONG;
      return -1;
    }
    switch (*memo) {
      case '!':
        __builtin_trap();
      case '_':
        clean[length++] = ' ';
        break;
      default:
        clean[length++] = *memo;
    }
  }
  clean[length] = '\0';
  return 0;
}

/* Bug: not every account has an owner. */
static STEP int transfer(struct account* from, struct account* to, long cents, const char* memo) {
  int result = -1;
  int journal = -1;
  pthread_mutex_lock(&books);
  ++open_transfers;
  char* clean = malloc(64);
  if (clean == NULL || check_memo(memo, clean, 64) == -1) {
    goto out;
  }
  journal = dup(1);
  if (journal < 0) {
    goto out;
  }
  if (post(from, -cents, clean) < 0) {
    goto out;
  }
  if (cents > from->owner->limit) {
    errno = EPERM;
    unpost(from, -cents);
    goto out;
  }
  if (post(to, cents, memo) < 0) {
    unpost(from, -cents);
    goto out;
  }
  ++transfers;
  result = 0;
out:
  if (journal >= 0) {
    close(journal);
  }
  free(clean);
  --open_transfers;
  pthread_mutex_unlock(&books);
  return result;
}

/* Bug: a fee in no parts. */
static STEP int take_fee(struct account* account, long percent, long parts) {
  if (percent < 0 || percent > 100) {
    errno = EINVAL;
    return -1;
  }
  long fee = account->cents * percent / 100;
  account->postings += parts;
  account->cents -= fee / parts * parts;
  return 0;
}

/* A text of the caller's own, or NULL. Bug: an account without a label. */
static STEP char* statement(const struct account* account) {
  size_t size = strlen(account->name) + 32;
  char* text = malloc(size);
  if (text == NULL) {
    return NULL;
  }
  size_t n = (size_t)snprintf(text, size, "%s %ld ", account->name, account->cents);
  for (const char* from = account->label; *from != '\0' && n + 1 < size; ++from) {
    text[n++] = *from;
  }
  text[n] = '\0';
  return text;
}

static void handle(char* request, struct reply* reply) {
  char* verb = next_word(&request);
  struct account* account = find_account(next_word(&request));
  if (account == NULL) {
    answer(reply, "ERR no such account");
  } else if (strcmp(verb, "TRANSFER") == 0) {
    struct account* to = find_account(next_word(&request));
    long cents;
    if (to == NULL || parse_cents(next_word(&request), &cents) < 0) {
      answer(reply, "ERR bad transfer");
    } else if (transfer(account, to, cents, next_word(&request)) < 0) {
      answer(reply, "ERR transfer refused");
    } else {
      answer(reply, "OK %ld", transfers);
    }
  } else if (strcmp(verb, "FEE") == 0) {
    long percent = strtol(next_word(&request), NULL, 10);
    if (take_fee(account, percent, strtol(next_word(&request), NULL, 10)) == -1) {
      answer(reply, "ERR fee refused");
    } else {
      answer(reply, "OK %ld", account->cents);
    }
  } else if (strcmp(verb, "STATEMENT") == 0) {
    char* text = statement(account);
    if (text == NULL) {
      answer(reply, "ERR no statement");
    } else {
      answer(reply, "OK %s", text);
      free(text);
    }
  } else {
    answer(reply, "ERR unknown request");
  }
}

static void state(struct reply* reply) {
  answer(reply, "transfers=%ld", transfers);
  for (int i = 0; i < account_count; ++i) {
    const struct account* a = &accounts[i];
    answer(reply, " %s:%ld/%ld", a->name, a->cents, a->postings);
    for (int slot = 0; slot < memo_slots; ++slot) {
      answer(reply, ",%d", a->memo[slot]);
    }
  }
}

static long held(void) {
  long locked = pthread_mutex_trylock(&books) != 0;
  if (!locked) {
    pthread_mutex_unlock(&books);
  }
  return open_transfers + 1000 * locked;
}

int main(void) {
  const struct server server = {handle, state, held};
  return serve(&server);
}
