/* A request server in a few lines: one request a line on stdin, one answer a line on stdout.
 *
 *   STATE   all that the requests so far have made of the server
 *   RES     what it holds: descriptors, threads, heap in use, its own count of open things
 *   else    the program's own requests; "OK ..." or, as it refuses bad ones, "ERR ..."
 */
#ifndef CORPUS_SERVE_H
#define CORPUS_SERVE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct reply {
  char text[1024];
  size_t length;
};

struct server {
  void (*handle)(char* request, struct reply* reply);
  void (*state)(struct reply* reply);
  long (*held)(void); /* open transactions, locks, objects; may be NULL */
};

__attribute__((format(printf, 2, 3))) void answer(struct reply* reply, const char* format, ...);
int serve(const struct server* server);

/* The next word of a request, cut off with NUL; "" at its end. */
char* next_word(char** rest);

#ifdef __cplusplus
}
#endif

/* A function that stays one in the binary: the compiler would put all of these small ones into
 * their callers. */
#define STEP __attribute__((noinline))

/* Nor may gcc put its beginning into its callers and leave a function of one ud2: where a request
 * handler calls it, no function is left between the two that could fail. */
#ifdef __clang__
  #define WHOLE_STEP STEP
#else
  #define WHOLE_STEP __attribute__((noinline, noipa))
#endif

#endif
