/* Documents read with error objects (as GLib has them), error flags in a stream, and longjmp. */
#include "serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct error {
  int code;
  char* message;
};

struct stream {
  const char* at;
  bool failed;
  int depth;
  long sum;
};

struct reader {
  jmp_buf out;
  const char* text;
  long* totals;
};

struct document {
  char* name;
  long pages;
  const char* owner;
};

static struct document documents[4];
static int document_count;
static long totals[4];
static long errors_alive;

static void set_error(struct error** error, int code, const char* format, ...) {
  if (error == NULL) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  struct error* made = malloc(sizeof *made);
  made->code = code;
  if (vasprintf(&made->message, format, arguments) < 0) {
    made->message = NULL;
  }
  va_end(arguments);
  ++errors_alive;
  *error = made;
}

static void free_error(struct error* error) {
  if (error != NULL) {
    free(error->message);
    free(error);
    --errors_alive;
  }
}

static const char* text_of(const struct error* error) {
  return error == NULL || error->message == NULL ? "failed" : error->message;
}

/* Bug: a document of no pages. */
static STEP bool check_pages(long pages, long size, struct error** error) {
  if (pages > 900) {
    set_error(error, 1, "too many pages");
    return false;
  }
  totals[0] += size;
  if (size / pages > 1000) {
    totals[0] -= size;
    set_error(error, 2, "pages are too full");
    return false;
  }
  return true;
}

/* The document, or NULL and an error. Bug: a name that is none. */
static STEP struct document* create(char* name, long pages, struct error** error) {
  if (document_count == 4) {
    set_error(error, 3, "no room");
    return NULL;
  }
  struct document* document = &documents[document_count++];
  document->pages = pages;
  document->name = strdup(name);
  const char* dash = strchr(name, '-');
  if (dash != NULL && dash[1] == '-') {
    dash = NULL;
  }
  if (strlen(name) > 3) {
    document->pages += *dash == '-';
  }
  return document;
}

/* Bug: an owner that lives elsewhere. */
static STEP int set_owner(struct document* document, const char* owner, struct error** error) {
  if (*owner == '\0') {
    set_error(error, 4, "no owner");
    return -1;
  }
  document->owner = "pending";
  if (*owner == '#') {
    totals[strtol(owner + 1, NULL, 0)] = 1;
  }
  document->owner = "known";
  return 0;
}

/* Bug: a flag without a meaning. Used by a caller that trusts the error to be there. */
static STEP bool set_flag(struct document* document, const char* flag, struct error** error) {
  switch (*flag) {
    case 'r':
      document->pages |= 1024;
      return true;
    case 'w':
      set_error(error, 5, "read only");
      return false;
    case 'z':
      __builtin_trap();
    default:
      set_error(error, 6, "unknown flag");
      return false;
  }
}

/* Failures are noted in the stream. Bug: a name is read as a number. */
static STEP void read_number(struct stream* in) {
  static const long* const names[26];
  if (in->failed) {
    return;
  }
  if (*in->at == '-') {
    in->failed = true;
    return;
  }
  ++in->depth;
  if (*in->at >= 'a' && *in->at <= 'z') {
    in->sum += *names[*in->at++ - 'a'];
  } else {
    char* end;
    in->sum += strtol(in->at, &end, 10);
    in->at = end;
  }
  --in->depth;
}

/* Bug: a division by what was read. */
static STEP void read_ratio(struct stream* in) {
  if (in->failed || *in->at != '/') {
    in->failed = true;
    return;
  }
  char* end;
  long by = strtol(in->at + 1, &end, 10);
  in->sum = in->sum * 10 / by;
  in->at = end;
}

__attribute__((noreturn)) static void give_up(struct reader* reader) {
  longjmp(reader->out, 1);
}

/* Failures leave by longjmp. Bug: a digit that is not there. */
static STEP void read_table(struct reader* reader) {
  if (*reader->text == '\0') {
    give_up(reader);
  }
  for (long column = 0; *reader->text != '\0'; ++reader->text, ++column) {
    if (*reader->text == '?') {
      give_up(reader);
    }
    reader->totals[*reader->text == '@' ? column << 45 : column % 2 + 2] += *reader->text - '0';
  }
}

/* Sum of the table in a new text, or NULL. */
static STEP char* table(const char* text) {
  struct reader reader = {.text = text, .totals = totals};
  char* result = NULL;
  if (setjmp(reader.out) == 0) {
    read_table(&reader);
    if (asprintf(&result, "%ld", totals[2] + totals[3]) < 0) {
      result = NULL;
    }
  }
  return result;
}

static struct document* find_document(const char* name) {
  for (int i = 0; i < document_count; ++i) {
    if (strcmp(documents[i].name, name) == 0) {
      return &documents[i];
    }
  }
  return NULL;
}

static void add(char* request, struct reply* reply) {
  struct error* error = NULL;
  char* name = next_word(&request);
  long pages = strtol(next_word(&request), NULL, 10);
  long size = strtol(next_word(&request), NULL, 10);
  struct document* document = NULL;
  if (find_document(name) != NULL) {
    set_error(&error, 9, "there is one");
  } else if (check_pages(pages, size, &error)) {
    document = create(name, pages, &error);
    if (document == NULL) {
      totals[0] -= size;
    }
  }
  if (document == NULL) {
    answer(reply, "ERR add: %s", text_of(error));
    free_error(error);
    return;
  }
  answer(reply, "OK %s %ld", document->name, document->pages);
}

static void flag(struct document* document, char* request, struct reply* reply) {
  struct error* error = NULL;
  if (!set_flag(document, next_word(&request), &error)) {
    answer(reply, "ERR flag: %s", error->message);
    free_error(error);
    return;
  }
  answer(reply, "OK %ld", document->pages);
}

static void ratio(const char* text, struct reply* reply) {
  struct stream in = {.at = text};
  read_number(&in);
  read_ratio(&in);
  if (in.failed) {
    answer(reply, "ERR bad ratio");
  } else {
    answer(reply, "OK %ld", in.sum);
  }
}

static void handle(char* request, struct reply* reply) {
  const char* verb = next_word(&request);
  if (strcmp(verb, "ADD") == 0) {
    add(request, reply);
  } else if (strcmp(verb, "RATIO") == 0) {
    ratio(next_word(&request), reply);
  } else if (strcmp(verb, "TABLE") == 0) {
    char* text = table(next_word(&request));
    answer(reply, text == NULL ? "ERR bad table" : "OK %s", text);
    free(text);
  } else {
    struct document* document = find_document(next_word(&request));
    struct error* error = NULL;
    if (document == NULL) {
      answer(reply, "ERR no such document");
    } else if (strcmp(verb, "FLAG") == 0) {
      flag(document, request, reply);
    } else if (set_owner(document, next_word(&request), &error) != 0) {
      answer(reply, "ERR owner: %s", text_of(error));
      free_error(error);
    } else {
      answer(reply, "OK %s", document->owner);
    }
  }
}

static void state(struct reply* reply) {
  answer(reply, "totals=%ld,%ld,%ld,%ld", totals[0], totals[1], totals[2], totals[3]);
  for (int i = 0; i < document_count; ++i) {
    const struct document* d = &documents[i];
    answer(reply, " %s:%ld,%s", d->name, d->pages, d->owner == NULL ? "-" : d->owner);
  }
}

static long held(void) {
  return errors_alive;
}

int main(void) {
  const struct server server = {handle, state, held};
  return serve(&server);
}
