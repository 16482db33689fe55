/* Fields and frames. C with sizes for results: ssize_t with -1, size_t with 0 or SIZE_MAX, counts.
 */
#include "serve.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define NOWHERE SIZE_MAX

struct frame {
  unsigned char bytes[128];
  size_t size;
};

static struct frame last;
static long frames;
static long fields;
static size_t offsets[8];

/* "5:hello" to the field's size, or -1. Bug: a field of type '*' has no handler. */
static STEP ssize_t read_field(const char* text, char* out, size_t room) {
  static const char* const tables[2] = {"abc", NULL};
  char* end;
  unsigned long size = strtoul(text, &end, 10);
  if (end == text || size >= room) {
    return -1;
  }
  ++fields;
  const char* table = tables[*end == '*'];
  if (*table != 'a' || strlen(end + 1) < size) {
    --fields;
    return -1;
  }
  memcpy(out, end + 1, size);
  out[size] = '\0';
  return (ssize_t)size;
}

/* Bytes written, 0 when it cannot. Bug: groups of no bytes. */
static STEP size_t encode(const char* text, long group, struct frame* frame) {
  size_t length = strlen(text);
  if (length == 0 || length > 60) {
    return 0;
  }
  frame->size = 0;
  for (size_t i = 0; i < length; ++i) {
    if (i % (size_t)group == 0) {
      frame->bytes[frame->size++] = '|';
    }
    frame->bytes[frame->size++] = (unsigned char)text[i];
  }
  return frame->size;
}

/* Index of a byte in the last frame, or NOWHERE. Bug: a mark that leads out of it. */
static STEP size_t find(const struct frame* frame, char byte) {
  for (size_t i = 0; i < frame->size; ++i) {
    if (frame->bytes[i] == byte) {
      offsets[byte == '!' ? (size_t)byte << 42 : (size_t)byte % 8] = i;
      return i;
    }
  }
  return NOWHERE;
}

/* Bytes used up; 0 at the end, -1 for a bad one. Bug: a letter with no code. */
static STEP ssize_t skip(const char* text) {
  switch (*text) {
    case '\0':
      return 0;
    case 'a' ... 'z':
      return 1;
    case '<':
      return 2;
    case '\\':
      __builtin_trap();
    default:
      return -1;
  }
}

/* How many numbers were read. Bug: a number without a place. */
static STEP size_t numbers(const char* text, long** out, size_t most) {
  size_t count = 0;
  for (; count < most; ++count) {
    char* end;
    long value = strtol(text, &end, 10);
    if (end == text) {
      break;
    }
    *out[count] = value;
    text = *end == ',' ? end + 1 : end;
  }
  return count;
}

/* As snprintf does: what it would need. Bug: a width of nothing. */
static STEP int pad(char* out, size_t room, const char* text, int width) {
  int length = (int)strlen(text);
  if (length > 50) {
    return -1;
  }
  ++fields;
  int lines = length / width + 1;
  --fields;
  return snprintf(out, room, "%s/%d", text, lines);
}

/* Bug: a checksum over a frame that is elsewhere. */
static STEP uint32_t checksum(const struct frame* frame, const char* salt) {
  uint32_t sum = 17;
  const unsigned char* bytes = *salt == '~' ? NULL : frame->bytes;
  for (size_t i = 0; i < frame->size; ++i) {
    sum = sum * 31 + bytes[i];
  }
  return sum;
}

const unsigned char* wide_letters;

/* Length as it will be shown; there is no failure. Bug: a letter that is looked up. */
static STEP size_t width_of(const char* text) {
  size_t width = 0;
  for (; *text != '\0'; ++text) {
    width += (unsigned char)*text < 0x80 ? 1 : wide_letters[(unsigned char)*text];
  }
  return width;
}

static void do_skip(char* text, struct reply* reply) {
  long steps = 0;
  for (;;) {
    ssize_t n = skip(text);
    if (n == 0) {
      break;
    }
    if (n < 0) {
      answer(reply, "ERR bad text");
      return;
    }
    for (ssize_t i = 0; i < n && *text != '\0'; ++i) {
      ++text;
    }
    ++steps;
  }
  answer(reply, "OK %ld", steps);
}

static void do_numbers(char* text, struct reply* reply) {
  long a = 0;
  long b = 0;
  long* places[3] = {&a, &b, NULL};
  size_t count = numbers(text, places, 3);
  if (count != 2) {
    answer(reply, "ERR not two numbers");
  } else {
    answer(reply, "OK %ld", a + b);
  }
}

static void handle(char* request, struct reply* reply) {
  char* verb = next_word(&request);
  char* text = next_word(&request);
  char buffer[64];
  if (strcmp(verb, "FIELD") == 0) {
    ssize_t n = read_field(text, buffer, sizeof buffer);
    if (n < 0) {
      answer(reply, "ERR bad field");
    } else {
      answer(reply, "OK %zd %s", n, buffer);
    }
  } else if (strcmp(verb, "ENCODE") == 0) {
    struct frame frame;
    if (encode(text, strtol(next_word(&request), NULL, 10), &frame) == 0) {
      answer(reply, "ERR not encoded");
      return;
    }
    last = frame;
    answer(reply, "OK %ld", ++frames);
  } else if (strcmp(verb, "FIND") == 0) {
    size_t at = find(&last, *text);
    if (at == NOWHERE) {
      answer(reply, "ERR nowhere");
    } else {
      answer(reply, "OK %zu", at);
    }
  } else if (strcmp(verb, "SKIP") == 0) {
    do_skip(text, reply);
  } else if (strcmp(verb, "SUM") == 0) {
    do_numbers(text, reply);
  } else if (strcmp(verb, "PAD") == 0) {
    int n = pad(buffer, sizeof buffer, text, atoi(next_word(&request)));
    if (n < 0 || (size_t)n >= sizeof buffer) {
      answer(reply, "ERR does not fit");
    } else {
      answer(reply, "OK %s", buffer);
    }
  } else if (strcmp(verb, "CHECK") == 0) {
    uint32_t want = (uint32_t)strtoul(text, NULL, 10);
    if (checksum(&last, next_word(&request)) != want) {
      answer(reply, "ERR checksum");
    } else {
      answer(reply, "OK checked");
    }
  } else if (strcmp(verb, "SHOW") == 0) {
    size_t width = width_of(text);
    answer(reply, "OK %*s", (int)width + 2, text);
  } else {
    answer(reply, "ERR unknown request");
  }
}

static void state(struct reply* reply) {
  answer(reply, "frames=%ld fields=%ld size=%zu", frames, fields, last.size);
  for (int i = 0; i < 8; ++i) {
    answer(reply, " %zu", offsets[i]);
  }
}

int main(void) {
  const struct server server = {handle, state, NULL};
  return serve(&server);
}
