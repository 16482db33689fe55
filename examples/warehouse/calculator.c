#include "calculator.h"

#include <ctype.h>
#include <stdlib.h>

struct scanner {
  const char* at;
};

static int parse_sum(struct scanner* scanner, long* result);

static void skip_blanks(struct scanner* scanner) {
  while (*scanner->at == ' ') {
    ++scanner->at;
  }
}

// The bug: an expression may be nested as deeply as a request is long, and a worker's stack is
// small.
static int parse_operand(struct scanner* scanner, long* result) {
  skip_blanks(scanner);
  if (*scanner->at == '(') {
    ++scanner->at;
    if (parse_sum(scanner, result) != 0 || *scanner->at != ')') {
      return -1;
    }
    ++scanner->at;
  } else if (isdigit((unsigned char)*scanner->at)) {
    char* end;
    *result = strtol(scanner->at, &end, 10);
    scanner->at = end;
  } else {
    return -1;
  }
  skip_blanks(scanner);
  return 0;
}

static int parse_product(struct scanner* scanner, long* result) {
  if (parse_operand(scanner, result) != 0) {
    return -1;
  }
  while (*scanner->at == '*') {
    long factor;
    ++scanner->at;
    if (parse_operand(scanner, &factor) != 0) {
      return -1;
    }
    *result = (long)((unsigned long)*result * (unsigned long)factor);
  }
  return 0;
}

static int parse_sum(struct scanner* scanner, long* result) {
  if (parse_product(scanner, result) != 0) {
    return -1;
  }
  while (*scanner->at == '+' || *scanner->at == '-') {
    long term;
    char sign = *scanner->at++;
    if (parse_product(scanner, &term) != 0) {
      return -1;
    }
    *result = sign == '+' ? (long)((unsigned long)*result + (unsigned long)term)
                          : (long)((unsigned long)*result - (unsigned long)term);
  }
  return 0;
}

int calculate(const char* text, long* result) {
  struct scanner scanner = {text};
  return parse_sum(&scanner, result) == 0 && *scanner.at == '\0' ? 0 : -1;
}
