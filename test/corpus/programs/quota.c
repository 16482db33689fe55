/* Users, quotas and rights. C with bool results, in both senses, and results through pointers. */
#include "serve.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { user_count = 3, setting_count = 4 };

struct group {
  long members;
  long share;
};

struct user {
  const char* name;
  struct group* group;
  long used;
  long quota;
  const char* motto;
  long settings[setting_count];
};

static struct group staff = {2, 1000};
static struct group nobody = {0, 50};
static struct user users[user_count] = {{"ada", &staff, 10, 500, "onwards", {0}},
                                        {"bob", &staff, 20, 100, NULL, {0}},
                                        {"eve", &nobody, 0, 10, "listen", {0}}};
static long grants;
static long denials_checked;
static char warnings[64];

static struct user* find_user(const char* name) {
  for (int i = 0; i < user_count; ++i) {
    if (strcmp(users[i].name, name) == 0) {
      return &users[i];
    }
  }
  return NULL;
}

/* Reads "120" or "120k". Bug: another unit is looked up where it is not. */
static STEP bool parse_amount(const char* text, long* amount) {
  static const struct unit {
    char letter;
    long factor;
  } units[] = {{'k', 1000}, {'m', 1000000}};
  char* end;
  *amount = strtol(text, &end, 10);
  if (end == text || *amount < 0) {
    return false;
  }
  if (*end != '\0') {
    const struct unit* unit = NULL;
    for (int i = 0; i < 2; ++i) {
      if (units[i].letter == *end) {
        unit = &units[i];
      }
    }
    *amount *= unit->factor;
  }
  return true;
}

/* Bug: a group without members. */
static STEP bool within_share(const struct user* user, long amount) {
  return user->used + amount <= user->group->share / user->group->members;
}

/* True refuses. Bug: a motto is not given by all. */
static STEP bool is_banned(const struct user* user, const char* word) {
  ++denials_checked;
  if (*word == '\0') {
    return true;
  }
  for (const char* at = user->motto; *at != '\0'; ++at) {
    if (*at == *word) {
      return true;
    }
  }
  return false;
}

/* Bug: the number of the setting. */
static STEP bool set(struct user* user, long number, long value) {
  user->used += 1;
  if (value > user->quota) {
    user->used -= 1;
    return false;
  }
  user->settings[number] = value;
  return true;
}

/* "left=right" in two texts of the caller's own, both NULL if it is none. Bug: three parts. */
static STEP bool split(const char* text, char** left, char** right) {
  *left = NULL;
  *right = NULL;
  const char* sign = strchr(text, '=');
  if (sign == NULL) {
    return false;
  }
  if (strchr(sign + 1, '=') != NULL) {
    __builtin_trap();
  }
  *left = strndup(text, (size_t)(sign - text));
  *right = strdup(sign + 1);
  return *left != NULL && *right != NULL;
}

static bool find_setting(const char* name, long* number) {
  static const char* const names[setting_count] = {"colour", "size", "shape", "tone"};
  for (long i = 0; i < setting_count; ++i) {
    if (strcmp(names[i], name) == 0) {
      *number = i;
      return true;
    }
  }
  return parse_amount(name, number);
}

static bool assign(struct user* user, const char* text) {
  bool done = false;
  char* left;
  char* right;
  long number;
  long value;
  if (!split(text, &left, &right)) {
    goto out;
  }
  done = find_setting(left, &number) && parse_amount(right, &value) && set(user, number, value);
out:
  free(left);
  free(right);
  return done;
}

typedef bool (*rule)(const struct user* user, long amount);

static bool is_positive(const struct user* user, long amount) {
  return user->quota >= 0 && amount > 0;
}
/* Bug: what is far beyond a quota. */
static STEP bool is_affordable(const struct user* user, long amount) {
  long rest = user->quota - user->used - amount;
  if (rest < -100) {
    warnings[user->used * user->used * user->quota * 10000000] = 'x';
  }
  return rest >= 0;
}
static const rule rules[] = {is_positive, within_share, is_affordable};

/* Bug: rights that contradict each other. Anything but 1 refuses. */
static STEP int may_grant(const struct user* giver, const struct user* taker) {
  if (giver == taker) {
    return 0;
  }
  if (giver->group == &nobody && taker->group == &staff) {
    return *(volatile int*)(giver->settings[3]);
  }
  return 1;
}

static const char* grant(struct user* user, char* request) {
  long amount;
  if (!parse_amount(next_word(&request), &amount)) {
    return "amount";
  }
  for (size_t i = 0; i < sizeof rules / sizeof *rules; ++i) {
    if (!rules[i](user, amount)) {
      return "rule";
    }
  }
  if (is_banned(user, next_word(&request))) {
    return "banned";
  }
  user->used += amount;
  ++grants;
  return NULL;
}

static const char* hand_over(struct user* user, char* request) {
  struct user* taker = find_user(next_word(&request));
  if (taker == NULL || may_grant(user, taker) != 1) {
    return "right";
  }
  taker->quota += user->quota;
  user->quota = 0;
  return NULL;
}

static void handle(char* request, struct reply* reply) {
  const char* verb = next_word(&request);
  struct user* user = find_user(next_word(&request));
  const char* problem = "request";
  if (user == NULL) {
    problem = "user";
  } else if (strcmp(verb, "GRANT") == 0) {
    problem = grant(user, request);
  } else if (strcmp(verb, "SET") == 0) {
    problem = assign(user, next_word(&request)) ? NULL : "setting";
  } else if (strcmp(verb, "GIVE") == 0) {
    problem = hand_over(user, request);
  }
  if (problem != NULL) {
    answer(reply, "ERR %s", problem);
  } else {
    answer(reply, "OK %ld", user->used);
  }
}

static void state(struct reply* reply) {
  answer(reply, "grants=%ld warned=%.60s", grants, warnings);
  for (int i = 0; i < user_count; ++i) {
    const struct user* u = &users[i];
    answer(reply, " %s:%ld/%ld,%ld,%ld,%ld,%ld", u->name, u->used, u->quota, u->settings[0],
           u->settings[1], u->settings[2], u->settings[3]);
  }
}

int main(void) {
  const struct server server = {handle, state, NULL};
  return serve(&server);
}
