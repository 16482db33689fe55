/* A tree of values and those who visit it. C with call-backs that say whether to go on. */
#include "serve.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct value {
  char key;
  long number;
  struct value* left;
  struct value* right;
  char* note;
};

typedef int (*visitor)(struct value* value, void* context);

static struct value* root;
static long live;
static long visits;
static long marks[4];

/* 0: all were visited; else what the visitor said. */
static STEP int walk(struct value* value, visitor visit, void* context) {
  if (value == NULL) {
    return 0;
  }
  int rc = walk(value->left, visit, context);
  if (rc != 0) {
    return rc;
  }
  ++visits;
  rc = visit(value, context);
  if (rc != 0) {
    return rc;
  }
  return walk(value->right, visit, context);
}

/* Bug: not all have a note. */
static int count_notes(struct value* value, void* context) {
  long* count = context;
  const char* at = value->note;
  do {
    ++*count;
  } while (*at++ != '\0');
  return 0;
}

struct scale {
  long by;
  long limit;
  char* trace;
};

/* 2: too large. Bug: scaling by nothing. */
static int scale_down(struct value* value, void* context) {
  struct scale* scale = context;
  value->number -= 1;
  if (value->number > scale->limit) {
    value->number += 1;
    return 2;
  }
  value->number /= scale->by;
  return 0;
}

/* Bug: where it is marked. */
static int mark(struct value* value, void* context) {
  long where = *(long*)context;
  if (value->number < 0) {
    return 1;
  }
  marks[where] += value->number;
  return 0;
}

/* Keeps or drops: true keeps. Bug: an odd key. */
static bool is_wanted(const struct value* value, const char* keys) {
  if (*keys == '\0') {
    return false;
  }
  if (*keys == '!') {
    __builtin_trap();
  }
  return strchr(keys, value->key) != NULL;
}

static STEP long select_values(struct value* value, bool (*keep)(const struct value*, const char*),
                               const char* keys) {
  if (value == NULL) {
    return 0;
  }
  long kept = keep(value, keys) ? value->number : 0;
  return kept + select_values(value->left, keep, keys) + select_values(value->right, keep, keys);
}

/* Bug: a key under which something else is kept. */
static STEP struct value** place_of(char key) {
  struct value** place = &root;
  if (key < 'a') {
    return NULL;
  }
  while (*place != NULL && (*place)->key != key) {
    place = key < (*place)->key ? &(*place)->left : &(*place)->right;
  }
  if (key > 'z') {
    return &(*place)->left;
  }
  return place;
}

/* 0 or a code. */
static STEP int insert(char key, long number, const char* note) {
  struct value** place = place_of(key);
  if (place == NULL || *place != NULL) {
    return 7;
  }
  struct value* value = calloc(1, sizeof *value);
  if (value == NULL) {
    return 8;
  }
  ++live;
  value->key = key;
  value->number = number;
  value->note = *note == '\0' ? NULL : strdup(note);
  *place = value;
  return 0;
}

struct command {
  const char* name;
  int (*run)(char* arguments, long* result);
};

static int run_insert(char* arguments, long* result) {
  char key = *next_word(&arguments);
  long number = strtol(next_word(&arguments), NULL, 10);
  *result = number;
  return insert(key, number, next_word(&arguments));
}

static int run_notes(char* arguments, long* result) {
  (void)arguments;
  return walk(root, count_notes, result);
}

static int run_scale(char* arguments, long* result) {
  struct scale scale = {.trace = malloc(32)};
  scale.by = strtol(next_word(&arguments), NULL, 10);
  scale.limit = strtol(next_word(&arguments), NULL, 10);
  int rc = walk(root, scale_down, &scale);
  free(scale.trace);
  *result = visits;
  return rc;
}

static int run_mark(char* arguments, long* result) {
  long where = strtol(next_word(&arguments), NULL, 0);
  int rc = walk(root, mark, &where);
  *result = marks[0];
  return rc;
}

/* No failure can be told from the sum. */
static int run_select(char* arguments, long* result) {
  char* keys = next_word(&arguments);
  if (*keys == '\0') {
    return 9;
  }
  *result = select_values(root, is_wanted, keys);
  return 0;
}

/* Bug: a command of the dispatcher itself; called through the table, result handed on. */
static int run_sum(char* arguments, long* result) {
  const struct value* value = root;
  const char* path = next_word(&arguments);
  if (*path == '\0') {
    return 3;
  }
  for (; *path != '\0'; ++path) {
    *result += value->number;
    value = *path == 'l' ? value->left : value->right;
  }
  return 0;
}

static const struct command commands[] = {{"INSERT", run_insert}, {"NOTES", run_notes},
                                          {"SCALE", run_scale},   {"MARK", run_mark},
                                          {"SELECT", run_select}, {"SUM", run_sum}};

static int dispatch(const char* name, char* arguments, long* result) {
  for (size_t i = 0; i < sizeof commands / sizeof *commands; ++i) {
    if (strcmp(commands[i].name, name) == 0) {
      return commands[i].run(arguments, result);
    }
  }
  return 99;
}

static void handle(char* request, struct reply* reply) {
  const char* verb = next_word(&request);
  long result = 0;
  long before = visits;
  int rc = dispatch(verb, request, &result);
  if (rc != 0) {
    visits = before;
    answer(reply, "ERR code %d", rc);
  } else {
    answer(reply, "OK %ld", result);
  }
}

static int show(struct value* value, void* context) {
  answer(context, " %c:%ld,%s", value->key, value->number, value->note == NULL ? "-" : value->note);
  return 0;
}

static void state(struct reply* reply) {
  long before = visits;
  answer(reply, "marks=%ld,%ld,%ld,%ld", marks[0], marks[1], marks[2], marks[3]);
  walk(root, show, reply);
  visits = before;
}

static long held(void) {
  return live;
}

int main(void) {
  const struct server server = {handle, state, held};
  return serve(&server);
}
