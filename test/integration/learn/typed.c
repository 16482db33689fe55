/* Faults in parse(), whose results come out of a table; what it says then is by its declared type.
 */
#include <stdio.h>
#include <string.h>

#include "test/support/opaque.h"

enum status { st_ok, st_more, st_error, st_done };
enum status table[256];

SELFHEAL_APART __attribute__((visibility("default"))) enum status parse(const char* text) {
  return table[(unsigned char)strchr(text, ' ')[1]];
}

int main(int argc, char** argv) {
  const enum status status = parse(argv[argc - 1]);
  puts(status == st_error ? "refused" : status == st_more ? "more" : "accepted");
}
