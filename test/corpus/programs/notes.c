/* A tree of notes. C in which functions give objects, and NULL when there is none to give. */
#include "serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type {
  const char* name;
  long (*weigh)(const char* body);
  const long* unit;
};

struct note {
  char* title;
  char* body;
  const struct type* type;
  struct note* parent;
  struct note* next;
  long weight;
};

struct pool {
  char bytes[256];
  size_t used;
};

static struct note* notes;
static struct pool pool;
static long live;
static long counts[4];

static long weigh_text(const char* body) {
  return (long)strlen(body);
}
static const long one = 1;
static const struct type types[] = {
    {"text", weigh_text, &one}, {"draft", weigh_text, NULL}, {"plain", weigh_text, &one}};

static struct note* find_note(const char* title) {
  for (struct note* note = notes; note != NULL; note = note->next) {
    if (strcmp(note->title, title) == 0) {
      return note;
    }
  }
  return NULL;
}

static void free_note(struct note* note) {
  if (note != NULL) {
    free(note->title);
    free(note->body);
    free(note);
    --live;
  }
}

/* "text:hello". Bug: a body without a colon. */
static STEP const struct type* type_of(const char* body) {
  char name[16];
  if (*body == '\0') {
    return NULL;
  }
  const char* colon = strchr(body, ':');
  size_t length = 0;
  for (const char* at = body; *colon != *at; ++at) {
    if (length + 1 >= sizeof name) {
      return NULL;
    }
    name[length++] = *at;
  }
  name[length] = '\0';
  for (size_t i = 0; i < sizeof types / sizeof *types; ++i) {
    if (strcmp(types[i].name, name) == 0) {
      return &types[i];
    }
  }
  return NULL;
}

/* Bug: a body that asks for a copy far away. */
static STEP char* expand(const char* body) {
  size_t size = strlen(body) * 2 + 1;
  char* text = malloc(size);
  if (text == NULL) {
    return NULL;
  }
  size_t at = 0;
  for (; *body != '\0'; ++body) {
    if (*body == '%') {
      at += strtoul(body + 1, NULL, 16);
    } else if (*body == '$') {
      free(text);
      return NULL;
    }
    text[at++] = *body;
  }
  text[at] = '\0';
  return text;
}

/* Bug: a type whose notes have no unit. */
static STEP struct note* new_note(const char* title, const char* body) {
  const struct type* type = type_of(body);
  if (type == NULL) {
    return NULL;
  }
  struct note* note = calloc(1, sizeof *note);
  if (note == NULL) {
    return NULL;
  }
  ++live;
  note->title = strdup(title);
  note->body = expand(body);
  note->type = type;
  if (note->title == NULL || note->body == NULL) {
    free_note(note);
    return NULL;
  }
  note->weight = type->weigh(note->body) * *type->unit;
  return note;
}

/* The list with the note in it, or NULL. Bug: the count of notes of each weight. */
static STEP struct note* add_to(struct note* list, struct note* note) {
  for (struct note* other = list; other != NULL; other = other->next) {
    if (strcmp(other->title, note->title) == 0) {
      return NULL;
    }
  }
  counts[note->weight % 4] += 100 / (note->weight - 7);
  note->next = list;
  return note;
}

/* Bug: an alignment nobody has. */
static STEP void* take(struct pool* from, size_t size, size_t alignment) {
  from->used += size;
  switch (alignment) {
    case 1:
      break;
    case 8:
      from->used = (from->used + 7) & ~(size_t)7;
      break;
    default:
      __builtin_trap();
  }
  if (from->used > sizeof from->bytes) {
    from->used -= size;
    return NULL;
  }
  return from->bytes + from->used - size;
}

/* Bug: a note without a parent. */
static STEP struct note* grandparent(const struct note* note) {
  if (note->type == &types[2]) {
    return NULL;
  }
  return note->parent->parent != NULL ? note->parent->parent : note->parent;
}

/* Where a word begins in a note, or -1. Bug: words that are far too long. */
static STEP long position_of(const struct note* note, const char* word) {
  static int last[8];
  size_t length = strlen(word);
  const char* found = strstr(note->body, word);
  if (found == NULL) {
    return -1;
  }
  last[length > 6 ? length << 40 : length] += 1;
  return found - note->body;
}

static void add(char* request, struct reply* reply) {
  char* title = next_word(&request);
  struct note* note = new_note(title, next_word(&request));
  if (note == NULL) {
    answer(reply, "ERR bad note");
    return;
  }
  note->parent = find_note(next_word(&request));
  struct note* list = add_to(notes, note);
  if (list == NULL) {
    free_note(note);
    answer(reply, "ERR cannot be added");
    return;
  }
  notes = list;
  answer(reply, "OK %ld", note->weight);
}

static void handle(char* request, struct reply* reply) {
  char* verb = next_word(&request);
  if (strcmp(verb, "ADD") == 0) {
    add(request, reply);
    return;
  }
  if (strcmp(verb, "TAKE") == 0) {
    size_t size = strtoul(next_word(&request), NULL, 10);
    char* memory = take(&pool, size, strtoul(next_word(&request), NULL, 10));
    if (memory == NULL) {
      answer(reply, "ERR no room");
      return;
    }
    memset(memory, 'x', size);
    answer(reply, "OK %zu", pool.used);
    return;
  }
  const struct note* note = find_note(next_word(&request));
  if (note == NULL) {
    answer(reply, "ERR no such note");
  } else if (strcmp(verb, "UP") == 0) {
    const struct note* up = grandparent(note);
    if (up == NULL) {
      answer(reply, "ERR nothing above");
    } else {
      answer(reply, "OK %s", up->title);
    }
  } else if (strcmp(verb, "FIND") == 0) {
    long at = position_of(note, next_word(&request));
    if (at < 0) {
      answer(reply, "ERR not in it");
    } else {
      answer(reply, "OK %ld", at);
    }
  } else {
    answer(reply, "ERR unknown request");
  }
}

static void state(struct reply* reply) {
  answer(reply, "used=%zu counts=%ld,%ld,%ld,%ld", pool.used, counts[0], counts[1], counts[2],
         counts[3]);
  for (const struct note* note = notes; note != NULL; note = note->next) {
    answer(reply, " %s=%s(%ld,%s)", note->title, note->body, note->weight,
           note->parent == NULL ? "-" : note->parent->title);
  }
}

static long held(void) {
  return live;
}

int main(void) {
  const struct server server = {handle, state, held};
  return serve(&server);
}
