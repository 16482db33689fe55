/* What a malloc and a free cost: without the runtime, with it idle, and with the allocation probe.

     heap_pairs LIBSELFHEAL.SO     all of it, each several times in turn; least, and ratio to absent
     heap_pairs --pairs            one measurement, in this process
     heap_pairs --twice            a double free, which switches the probe on for later runs

   Plain: chunks with red zones, as in a program whose double frees are ignored. Guarded: each chunk
   against a guard page, which takes two system calls and a page fault. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { pairs = 200000, turns = 5 };

static double processor_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void measure(void) {
  const double begin = processor_ns();
  for (int i = 0; i < pairs; ++i) {
    char* volatile chunk = malloc(200);
    *chunk = 1;
    free(chunk);
  }
  printf("%.2f\n", (processor_ns() - begin) / pairs);
}

static double run(const char* self, const char* what, const char* library, const char* store,
                  const char* options) {
  char command[2048];
  double result = 0;
  snprintf(command, sizeof command,
           "SELFHEAL_STORE=%s SELFHEAL_OPTIONS=report=never%s LD_PRELOAD=%s exec %s %s 2>&1", store,
           options, library, self, what);
  FILE* output = popen(command, "r");
  if (output == NULL || fscanf(output, "%lf", &result) != 1) {
    result = 0;
  }
  if (output != NULL) {
    pclose(output);
  }
  return result;
}

int main(int count, char** arguments) {
  if (count == 2 && strcmp(arguments[1], "--pairs") == 0) {
    measure();
    return 0;
  }
  if (count == 2 && strcmp(arguments[1], "--twice") == 0) {
    char* volatile chunk = malloc(200);
    free(chunk);
    free(chunk); /* NOLINT */
    return 0;
  }
  if (count != 2) {
    fprintf(stderr, "usage: heap_pairs LIBSELFHEAL.SO\n");
    return 2;
  }
  char folder[] = "/tmp/heap_pairs-XXXXXX";
  if (mkdtemp(folder) == NULL) {
    return 1;
  }
  char known[64], empty[64];
  snprintf(known, sizeof known, "%s/known", folder);
  snprintf(empty, sizeof empty, "%s/empty", folder);
  run(arguments[0], "--twice", arguments[1], known, "");
  const struct {
    const char *name, *library, *store, *options;
  } rows[] = {{"absent", "", empty, ""},
              {"idle", arguments[1], empty, ""},
              {"probe, plain", arguments[1], known, ""},
              {"probe, guarded", arguments[1], empty, ":heap-probe=always"}};
  double least[4] = {0};
  for (int turn = 0; turn < turns; ++turn) {
    for (int i = 0; i < 4; ++i) {
      const double ns =
          run(arguments[0], "--pairs", rows[i].library, rows[i].store, rows[i].options);
      least[i] = least[i] == 0 || ns < least[i] ? ns : least[i];
    }
  }
  for (int i = 0; i < 4; ++i) {
    printf("%-16s %9.1f ns a pair  x %.2f\n", rows[i].name, least[i], least[i] / least[0]);
  }
  snprintf(known, sizeof known, "rm -r %s", folder);
  return system(known) == 0 ? 0 : 1;
}
