/* Requests that go through phases, as in web servers: enumerations, OK/DECLINED/ERROR, statuses. */
#include "serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, ERROR = -1, AGAIN = -2, DECLINED = -5 };
enum { HTTP_OK = 200, HTTP_BAD_REQUEST = 400, HTTP_FORBIDDEN = 403, HTTP_ERROR = 500 };

enum method { METHOD_NONE, METHOD_GET, METHOD_PUT, METHOD_MOVE };
enum parse { PARSE_DONE, PARSE_MORE, PARSE_BAD };
enum verdict { ACCEPT, REJECT, TEMPFAIL };
enum row { ROW = 100, DONE = 101, MISUSE = 21, FULL = 13 };
enum check { CHECK_FINE, CHECK_TOO_LONG, CHECK_BAD_NAME, CHECK_INTERNAL, check_count };

static const char* const check_names[check_count] = {"fine", "too-long", "bad-name", "internal"};

struct session {
  long answered;
  long headers;
  long rows;
  long stored[8];
  char user[16];
};

static struct session session;

struct request {
  enum method method;
  char* path;
  char* headers[4];
  int header_count;
};

/* Bug: a method of two letters. */
static STEP enum method parse_method(const char* word) {
  static const char* const longer[] = {NULL, NULL, NULL, "GET", "MOVE"};
  size_t length = strlen(word);
  if (length > 4 || length == 0) {
    return METHOD_NONE;
  }
  if (word[0] == 'P') {
    return strcmp(word, "PUT") == 0 ? METHOD_PUT : METHOD_NONE;
  }
  const char* known = longer[length];
  return known[0] != word[0] ? METHOD_NONE : known[0] == 'G' ? METHOD_GET : METHOD_MOVE;
}

/* Bug: a header without a value. */
static STEP enum parse parse_header(struct request* r, char* text) {
  if (*text == '\0') {
    return PARSE_DONE;
  }
  session.headers += 1;
  if (r->header_count == 4) {
    session.headers -= 1;
    return PARSE_BAD;
  }
  char* colon = strchr(text, ':');
  *colon = '\0';
  r->headers[r->header_count++] = colon + 1;
  return PARSE_MORE;
}

/* Bug: the depth of a path in an average. */
static STEP enum check check_path(const char* path) {
  size_t length = strlen(path);
  if (length > 40) {
    return CHECK_TOO_LONG;
  }
  if (*path != '/') {
    return CHECK_BAD_NAME;
  }
  size_t depth = 0;
  for (const char* at = path + 1; *at != '\0'; ++at) {
    depth += *at == '/';
  }
  size_t mean = path[1] == '~' ? length / depth : length;
  return mean > 30 ? CHECK_TOO_LONG : CHECK_FINE;
}

/* A phase says OK, DECLINED (ask the next one), or what to answer. */
static int by_address(struct request* r) {
  return r->header_count == 0 ? DECLINED : DECLINED;
}
/* Bug: a user without a name. */
static STEP int by_user(struct request* r) {
  if (r->header_count == 0) {
    return DECLINED;
  }
  const char* user = strstr(r->headers[0], "u=");
  if (user == NULL) {
    return HTTP_FORBIDDEN;
  }
  session.answered += 1;
  long slot = strtol(user + 2, NULL, 10);
  session.user[slot > 9 ? slot << 30 : slot] = 'u';
  session.answered -= 1;
  return OK;
}
static int by_default(struct request* r) {
  return r->method == METHOD_MOVE ? HTTP_FORBIDDEN : OK;
}
static int (*const phases[])(struct request* r) = {by_address, by_user, by_default};

static STEP int run_phases(struct request* r) {
  for (size_t i = 0; i < sizeof phases / sizeof *phases; ++i) {
    int rc = phases[i](r);
    if (rc == DECLINED) {
      continue;
    }
    return rc;
  }
  return HTTP_ERROR;
}

/* Bug: a row of another kind. */
static STEP enum row step(const char** query, long* value) {
  char kind = **query;
  if (kind == '\0') {
    return DONE;
  }
  ++*query;
  session.rows += 1;
  switch (kind) {
    case 'a' ... 'f':
      *value = kind - 'a' + 10;
      return ROW;
    case '0' ... '9':
      *value = kind - '0';
      return ROW;
    case '?':
      session.rows -= 1;
      return MISUSE;
    case '@':
      __builtin_trap();
    default:
      session.rows -= 1;
      return FULL;
  }
}

struct filter {
  enum verdict (*judge)(const char* path);
  const char* pattern;
};

const char* default_kind;

/* Bug: a path that ends in a dot. */
static STEP enum verdict judge_suffix(const char* path) {
  const char* dot = strrchr(path, '.');
  if (dot == NULL) {
    return ACCEPT;
  }
  const char* kind = dot[1] == '\0' ? default_kind : dot + 1;
  return *kind == 'x' ? REJECT : *kind == 't' ? TEMPFAIL : ACCEPT;
}
static const struct filter filters[] = {{judge_suffix, "*"}};

static STEP int query(const char* text, long* sum) {
  long value = 0;
  enum row rc;
  long rows = session.rows;
  while ((rc = step(&text, &value)) == ROW) {
    *sum += value;
  }
  if (rc != DONE) {
    session.rows = rows;
    return ERROR;
  }
  return OK;
}

/* A status to answer with. Bug: a body that says where it goes. */
static STEP int store(const char* body) {
  if (*body == '\0') {
    return HTTP_BAD_REQUEST;
  }
  long at = strtol(body, NULL, 0);
  session.answered += 10;
  session.stored[at] = (long)strlen(body);
  session.answered -= 10;
  return HTTP_OK;
}

static int respond(struct request* r, char* rest) {
  int rc = run_phases(r);
  if (rc != OK) {
    return rc < 0 ? HTTP_ERROR : rc;
  }
  for (size_t i = 0; i < sizeof filters / sizeof *filters; ++i) {
    switch (filters[i].judge(r->path)) {
      case ACCEPT:
        break;
      case REJECT:
        return HTTP_FORBIDDEN;
      default:
        return HTTP_ERROR;
    }
  }
  if (r->method == METHOD_PUT) {
    int status = store(next_word(&rest));
    if (status >= 300) {
      return status;
    }
  }
  long sum = 0;
  if (query(next_word(&rest), &sum) == ERROR) {
    return HTTP_BAD_REQUEST;
  }
  ++session.answered;
  return HTTP_OK + (int)(sum % 50);
}

/* METHOD path header... . body query */
static void handle(char* request, struct reply* reply) {
  struct request r = {.header_count = 0};
  long headers = session.headers;
  r.method = parse_method(next_word(&request));
  if (r.method == METHOD_NONE) {
    answer(reply, "ERR method");
    return;
  }
  r.path = next_word(&request);
  enum check check = check_path(r.path);
  if (check != CHECK_FINE) {
    answer(reply, "ERR %s", check_names[check]);
    return;
  }
  for (;;) {
    char* word = next_word(&request);
    switch (parse_header(&r, strcmp(word, ".") == 0 ? "" : word)) {
      case PARSE_MORE:
        continue;
      case PARSE_BAD:
        session.headers = headers;
        answer(reply, "ERR header");
        return;
      case PARSE_DONE:
        break;
    }
    break;
  }
  int status = respond(&r, request);
  if (status >= 300) {
    session.headers = headers;
    answer(reply, "ERR %d", status);
  } else {
    answer(reply, "OK %d", status);
  }
}

static void state(struct reply* reply) {
  answer(reply, "answered=%ld headers=%ld rows=%ld user=%s", session.answered, session.headers,
         session.rows, session.user);
  for (int i = 0; i < 8; ++i) {
    answer(reply, " %ld", session.stored[i]);
  }
}

int main(void) {
  const struct server server = {handle, state, NULL};
  return serve(&server);
}
