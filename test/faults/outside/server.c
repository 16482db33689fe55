// An HTTP server with faults no signal tells of. One request a connection.
//
//   server PORT WORKERS      WORKERS: 0: serves in this process, one request after the other;
//                            n: n processes do
//
//   GET /            200
//   GET /loop        parse_list() never comes back
//   GET /spin        the loop that serves stops serving, and turns
//   GET /deadlock    two threads wait for each other's mutex, and the main thread for them
//   GET /sleep       waits for a minute before it answers
//   GET /grow        load_all() takes more and more memory, until it has a GiB; then 200. Ten
//                    seconds of processor time
//   GET /broken      answers 500 from now on
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char* status = "200 OK";
static volatile int spins = 0;

// A list of numbers, "3,1,2": an empty element keeps the position where it is.
__attribute__((noinline)) int parse_list(const char* text) {
  int elements = 0;
  volatile size_t at = 0;
  while (text[at] != '\0') {
    const size_t length = strcspn(text + at, ",");
    if (text[at + length] == ',' && length == 0) {
      continue;
    }
    at += length + (text[at + length] == ',');
    ++elements;
  }
  return elements;
}

static double processor_time(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

__attribute__((noinline)) char* load_all(size_t limit) {
  const size_t step = 1 << 20;
  char** blocks = calloc(limit / step, sizeof *blocks);
  size_t used = 0;
  for (; used < limit; used += step) {
    char* block = malloc(step);
    if (block == NULL) {
      return NULL;
    }
    // Slowly, as one that reads it from somewhere, and as slowly on a fast machine: the supervisor
    // has to see it at it.
    const double until = processor_time() + 0.01;
    do {
      for (int pass = 0; pass < 40; ++pass) {
        memset(block, pass, step);
      }
    } while (processor_time() < until);
    blocks[used / step] = block;
  }
  return blocks[0];
}

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

__attribute__((noinline)) void* take_second_then_first(void* nothing) {
  pthread_mutex_lock(&second);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(&first);
  return nothing;
}

__attribute__((noinline)) void transfer(void) {
  pthread_t other;
  pthread_barrier_init(&both, NULL, 2);
  pthread_create(&other, NULL, take_second_then_first, NULL);
  pthread_mutex_lock(&first);
  pthread_barrier_wait(&both);
  pthread_mutex_lock(&second);
}

__attribute__((noinline)) int handle(const char* path) {
  if (strcmp(path, "/loop") == 0) {
    return parse_list("1,2,,3");
  }
  if (strcmp(path, "/spin") == 0) {
    spins = 1;
  } else if (strcmp(path, "/deadlock") == 0) {
    transfer();
  } else if (strcmp(path, "/sleep") == 0) {
    sleep(60);
  } else if (strcmp(path, "/grow") == 0) {
    return load_all((size_t)1 << 30) != NULL ? 1 : -1;
  } else if (strcmp(path, "/broken") == 0) {
    status = "500 Broken";
  }
  return parse_list("1,2,3");
}

static void serve(int connection) {
  char request[2048];
  const ssize_t size = read(connection, request, sizeof request - 1);
  if (size > 0) {
    request[size] = '\0';
    char path[64] = "";
    sscanf(request, "GET %63s", path);
    const int result = handle(path);
    char answer[128];
    const int length =
        snprintf(answer, sizeof answer, "HTTP/1.0 %s\r\nContent-Length: 3\r\n\r\n%2d\n",
                 result < 0 ? "400 Refused" : status, result < 0 ? -1 : 1);
    send(connection, answer, (size_t)length, MSG_NOSIGNAL);
  }
  close(connection);
}

__attribute__((noinline)) void serve_for_ever(int listener) {
  for (;;) {
    while (spins) {
    }
    const int connection = accept(listener, NULL, NULL);
    if (connection >= 0) {
      serve(connection);
    } else if (errno != EINTR) {
      exit(1);
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 3) {
    return 2;
  }
  const int workers = atoi(argv[2]);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)atoi(argv[1])),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (const struct sockaddr*)&address, sizeof address) != 0 ||
      listen(listener, 64) != 0) {
    perror("server");
    return 1;
  }
  if (workers == 0) {
    serve_for_ever(listener);
  }
  for (int i = 0; i < workers; ++i) {
    if (fork() == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      serve_for_ever(listener);
    }
  }
  while (wait(NULL) > 0) {
  }
  return 0;
}
