/* Units that are loaded, configured and started, as a service manager has them. C in the kernel's
 * style: negative errno, pointers that carry one, parsers in a table. */
#include "serve.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { max_units = 8, max_links = 4 };

enum kind { kind_service, kind_socket, kind_timer, kind_odd };

struct unit {
  char name[32];
  enum kind kind;
  bool active;
  unsigned long timeout;
  int nice;
  int links[max_links];
  int link_count;
  char* description;
};

static struct unit units[max_units];
static int unit_count;
static long jobs;

static void* error_pointer(long error) {
  return (void*)error;
}
static bool is_error(const void* pointer) {
  return (unsigned long)pointer >= (unsigned long)-4095;
}
static long error_of(const void* pointer) {
  return (long)pointer;
}

static struct unit* find_unit(const char* name) {
  for (int i = 0; i < unit_count; ++i) {
    if (strcmp(units[i].name, name) == 0) {
      return &units[i];
    }
  }
  return NULL;
}

static int log_failure(const char* what, int error) {
  fprintf(stderr, "%s: %s\n", what, strerror(-error));
  return error;
}

/* Bug: a name without a suffix. */
static STEP int name_is_valid(const char* name) {
  if (strlen(name) >= sizeof units[0].name) {
    return 0;
  }
  const char* dot = strrchr(name, '.');
  if (dot[1] == '\0' || dot == name) {
    return 0;
  }
  return 1;
}

static int kind_of(const char* name) {
  const char* suffix = strrchr(name, '.');
  return strcmp(suffix, ".service") == 0  ? kind_service
         : strcmp(suffix, ".socket") == 0 ? kind_socket
         : strcmp(suffix, ".timer") == 0  ? kind_timer
         : strcmp(suffix, ".odd") == 0    ? kind_odd
                                          : -EOPNOTSUPP;
}

/* "10s" or "1min/4". Bug: "1min/0". */
static STEP int parse_seconds(const char* text, unsigned long* seconds) {
  char* end;
  unsigned long n = strtoul(text, &end, 10);
  if (end == text) {
    return -EINVAL;
  }
  if (strncmp(end, "min", 3) == 0) {
    n *= 60;
    end += 3;
  } else if (*end == 's') {
    ++end;
  }
  if (*end == '/') {
    n /= strtoul(end + 1, &end, 10);
  }
  if (*end != '\0') {
    return -ERANGE;
  }
  *seconds = n;
  return 0;
}

typedef int (*parser)(struct unit* unit, const char* value);

static int parse_timeout(struct unit* unit, const char* value) {
  int r = parse_seconds(value, &unit->timeout);
  if (r < 0) {
    return log_failure("timeout", r);
  }
  return 0;
}

const char* nice_names[3] = {"low", "high"};

/* Bug: the table of names has holes. */
static int parse_nice(struct unit* unit, const char* value) {
  unit->nice = 99;
  if (*value < 'a') {
    unit->nice = atoi(value);
    return unit->nice < -20 || unit->nice > 19 ? -ERANGE : 0;
  }
  for (int i = 0; i < 3; ++i) {
    if (*nice_names[i] == *value) {
      unit->nice = i * 10 - 10;
      return 0;
    }
  }
  return -EINVAL;
}

/* Bug: a description of one character has no end. */
static int parse_description(struct unit* unit, const char* value) {
  char* copy = strdup(value);
  if (copy == NULL) {
    return -ENOMEM;
  }
  char* old = unit->description;
  unit->description = copy;
  copy[strlen(copy) < 2 ? (1UL << 46) : 0] = *value;
  free(old);
  return 0;
}

static const struct {
  const char* key;
  parser parse;
} settings[] = {
    {"Timeout", parse_timeout}, {"Nice", parse_nice}, {"Description", parse_description}};

static int unit_set(struct unit* unit, const char* key, const char* value) {
  for (size_t i = 0; i < sizeof settings / sizeof *settings; ++i) {
    if (strcmp(settings[i].key, key) == 0) {
      return settings[i].parse(unit, value);
    }
  }
  return -ENOENT;
}

/* Bug: the index of the link is not checked. */
static STEP int unit_link(struct unit* unit, const struct unit* other, long at) {
  if (unit == other) {
    return -ELOOP;
  }
  unit->link_count += 1;
  unit->links[at] = (int)(other - units) + 1;
  return 0;
}

/* A unit, or an error. Bug: an alias of nothing. */
static STEP struct unit* load_unit(const char* name, const char* alias) {
  if (find_unit(name) != NULL) {
    return error_pointer(-EEXIST);
  }
  if (unit_count == max_units) {
    return error_pointer(-ENOSPC);
  }
  struct unit* unit = &units[unit_count];
  snprintf(unit->name, sizeof unit->name, "%s", name);
  ++unit_count;
  if (*alias != '\0') {
    unit->timeout = find_unit(alias)->timeout;
  }
  return unit;
}

/* Bug: a kind that can be loaded, and not started. */
static WHOLE_STEP int unit_start(struct unit* unit) {
  ++jobs;
  unit->active = true;
  switch (unit->kind) {
    case kind_service:
    case kind_timer:
      return 0;
    case kind_socket:
      unit->active = false;
      --jobs;
      return -EADDRINUSE;
    default:
      __builtin_trap();
  }
}

/* Bug: nothing to divide the time among. */
static STEP int share(struct unit* unit) {
  if (unit->active) {
    return -EBUSY;
  }
  unsigned long part = unit->timeout / (unsigned long)unit->link_count;
  for (int i = 0; i < unit->link_count; ++i) {
    units[unit->links[i] - 1].timeout = part;
  }
  return (int)part;
}

static int do_load(char* request) {
  char* name = next_word(&request);
  if (!name_is_valid(name)) {
    return -EINVAL;
  }
  int kind = kind_of(name);
  if (kind < 0) {
    return kind;
  }
  struct unit* unit = load_unit(name, next_word(&request));
  if (is_error(unit)) {
    return (int)error_of(unit);
  }
  unit->kind = (enum kind)kind;
  return unit_count;
}

static int perform(const char* verb, char* request) {
  if (strcmp(verb, "LOAD") == 0) {
    return do_load(request);
  }
  struct unit* unit = find_unit(next_word(&request));
  if (unit == NULL) {
    return -ENOENT;
  }
  if (strcmp(verb, "SET") == 0) {
    char* key = next_word(&request);
    return unit_set(unit, key, next_word(&request));
  }
  if (strcmp(verb, "START") == 0) {
    int r = unit_start(unit);
    return r < 0 ? log_failure("start", r) : r;
  }
  if (strcmp(verb, "SHARE") == 0) {
    return share(unit);
  }
  if (strcmp(verb, "LINK") == 0) {
    const struct unit* other = find_unit(next_word(&request));
    return other == NULL ? -ENOENT : unit_link(unit, other, strtol(next_word(&request), NULL, 10));
  }
  return -EOPNOTSUPP;
}

static void handle(char* request, struct reply* reply) {
  char* verb = next_word(&request);
  int r = perform(verb, request);
  if (r < 0) {
    answer(reply, "ERR %s", strerrorname_np(-r));
  } else {
    answer(reply, "OK %d", r);
  }
}

static void state(struct reply* reply) {
  answer(reply, "units=%d jobs=%ld", unit_count, jobs);
  for (int i = 0; i < unit_count; ++i) {
    const struct unit* u = &units[i];
    answer(reply, " %s:%d,%d,%lu,%d,%d,%s", u->name, u->kind, u->active, u->timeout, u->nice,
           u->link_count, u->description == NULL ? "-" : u->description);
    for (int link = 0; link < max_links; ++link) {
      answer(reply, ",%d", u->links[link]);
    }
  }
}

int main(void) {
  const struct server server = {handle, state, NULL};
  return serve(&server);
}
