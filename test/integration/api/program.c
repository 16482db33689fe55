/* program WHAT: each does one thing with the API and prints what came of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <selfheal/selfheal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int state;

__attribute__((noinline)) static int parse(const int* request) {
  state += 1000;
  return *request;
}
#ifdef PROTECT_AT_START
SELFHEAL_PROTECT(parse, -7)
#endif

/* One that the caller's code tells nothing of. */
__attribute__((noinline)) static long measure(const long* sample) {
  state += 5;
  return 3 * *sample;
}

static int descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 64; ++fd) {
    count += fcntl(fd, F_GETFD) != -1;
  }
  return count;
}

static int protect_parse(void) {
  struct selfheal_protection options = {.size = sizeof options,
                                        .value = -7,
                                        .has_value = 1,
                                        .error_number = EBADMSG,
                                        .has_error_number = 1};
  return selfheal_protect((void (*)(void))parse, &options);
}

static void protect(void) {
  const int good = 42;
  printf("protect %d\n", protect_parse());
  printf("good %d", parse(&good));
  printf(" state %d\n", state);
  errno = 0;
  const int result = parse(NULL);
  printf("bad %d errno %d state %d\n", result, errno, state);
  struct selfheal_event event = {.size = sizeof event, .fault = "none", .outcome = "none"};
  const int known = selfheal_last_event(&event);
  printf("event %d %s %s value %d function %d\n", known, event.fault, event.outcome,
         (int)event.value, event.function == (uint64_t)(uintptr_t)parse);
  printf("again %d\n", protect_parse());
  printf("unprotect %d\n", selfheal_unprotect((void (*)(void))parse));
  printf("unprotect %d", selfheal_unprotect((void (*)(void))parse));
  printf(" errno %d\n", errno);
  fflush(stdout);
  parse(NULL);
}

static void* hammer(void* argument) {
  const int good = 1;
  for (int i = 0; i < 300; ++i) {
    if (parse(i % 3 == 0 ? NULL : &good) != (i % 3 == 0 ? -7 : 1)) {
      *(int*)argument = 1;
    }
  }
  return NULL;
}

/* Threads call a function while it is being patched and unpatched. Its faults wait until it is. */
static void threads(void) {
  pthread_t thread[4];
  int wrong = 0;
  printf("protect %d\n", protect_parse());
  for (int i = 0; i < 4; ++i) {
    pthread_create(&thread[i], NULL, hammer, &wrong);
  }
  for (int i = 0; i < 50; ++i) {
    if (selfheal_protect((void (*)(void))measure, NULL) != 0 ||
        selfheal_unprotect((void (*)(void))measure) != 0) {
      printf("protect failed: %s\n", strerror(errno));
    }
  }
  for (int i = 0; i < 4; ++i) {
    pthread_join(thread[i], NULL);
  }
  struct selfheal_statistics statistics = {.size = sizeof statistics};
  selfheal_get_statistics(&statistics);
  printf("wrong %d heals %d\n", wrong, (int)statistics.heals);
}

static void refuse(void) {
  printf("null %d", selfheal_protect(NULL, NULL));
  printf(" errno %d\n", errno);
  printf("middle %d", selfheal_protect((void (*)(void))((uintptr_t)parse + 1), NULL));
  printf(" errno %d\n", errno);
  printf("data %d", selfheal_protect((void (*)(void))(void*)&state, NULL));
  printf(" errno %d\n", errno);
  struct selfheal_protection small = {.size = 8};
  printf("size %d", selfheal_protect((void (*)(void))parse, &small));
  printf(" errno %d\n", errno);
  struct selfheal_event event = {.size = sizeof event};
  printf("event %d", selfheal_last_event(&event));
  printf(" errno %d\n", errno);
}

static void body(void* argument) {
  char* text = malloc(100);
  const int fd = open("/dev/null", O_RDONLY);
  state = 1;
  strcpy(text, "half done");
  if (argument == NULL) {
    *(volatile int*)NULL = 1;
  }
  close(fd);
  free(text);
}

static void rescue(void) {
  const int before = descriptors();
  printf("good %d", selfheal_rescue(body, &state));
  printf(" state %d\n", state);
  state = 0;
  printf("bad %d", selfheal_rescue(body, NULL));
  printf(" state %d\n", state);
  struct selfheal_event event = {.size = sizeof event, .fault = "none"};
  const int known = selfheal_last_event(&event);
  printf("event %d %s\n", known, event.fault);
  for (int i = 0; i < 1000; ++i) {
    selfheal_rescue(body, NULL);
  }
  printf("descriptors %d\n", descriptors() - before);
}

static void nested_body(void* argument) {
  state += 1;
  printf("inner %d\n", selfheal_rescue(body, argument));
  state += 1;
}

static void nested(void) {
  printf("outer %d", selfheal_rescue(nested_body, &state));
  printf(" state %d\n", state);
  state = 0;
  printf("outer %d", selfheal_rescue(nested_body, NULL));
  printf(" state %d\n", state);
}

static int told;

static void on_event(const struct selfheal_event* event, void* context) {
  free(malloc(10)); /* ordinary context */
  told += *(int*)context;
  printf("told of %s\n", event->fault);
}

static void events(void) {
  static int one = 1;
  printf("on_event %d\n", selfheal_on_event(on_event, &one));
  printf("protect %d\n", protect_parse());
  parse(NULL);
  printf("before %d\n", told);
  usleep(1);
  printf("after %d\n", told);
  usleep(1);
  printf("later %d\n", told);
  selfheal_on_event(NULL, NULL);
  parse(NULL);
  usleep(1);
  printf("none %d\n", told);
}

static void present(void) {
  const int version = strcmp(selfheal_version(), "absent") != 0;
  struct selfheal_statistics statistics = {.size = sizeof statistics};
  printf("version %d active %d", version, selfheal_active());
  printf(" statistics %d\n", selfheal_get_statistics(&statistics));
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*function)(void);
  } cases[] = {{"protect", protect}, {"threads", threads}, {"refuse", refuse},  {"rescue", rescue},
               {"nested", nested},   {"events", events},   {"present", present}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
    if (argc > 1 && strcmp(argv[1], cases[i].name) == 0) {
      cases[i].function();
      return 0;
    }
  }
  return 2;
}
