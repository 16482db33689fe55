/* A server of requests given as arguments, each with one way to misuse the heap. Between them it
   serves good ones, which use the heap as well and check what they find there.

   Chunks are laid out so that libc's own heap notices every fault that is not silent: `few` writes
   over the size of the chunk behind, which is freed next. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define HANDLER __attribute__((noinline)) static int

static int served;
/* More than is in a buffer of 1,000, by 16 bytes. */
/* Too long for a buffer of 1,000, by 16 bytes. */
static char long_text[1017];

__attribute__((noinline)) static char* new_buffer(size_t size) {
  return malloc(size);
}

/* Writes `count` bytes into a buffer; -1 when it was told not to. */
__attribute__((noinline)) static int fill(volatile char* buffer, long from, long to) {
  for (long i = from; i != to; i += from < to ? 1 : -1) {
    buffer[i] = (char)(0x11 + i);
  }
  return 0;
}

/* A buffer of 1,000 bytes with another one behind it. */
HANDLER beyond(long from, long to) {
  char* buffer = new_buffer(1000);
  char* behind = new_buffer(1000);
  int result = fill(buffer, from, to);
  free(behind);
  free(buffer);
  return result;
}

HANDLER do_few(void) {
  return beyond(0, 1016);
}
HANDLER do_many(void) {
  return beyond(0, 3000);
}

HANDLER do_lot(void) {
  return beyond(0, 1L << 24);
}
HANDLER do_under(void) {
  return beyond(999, -9);
}

HANDLER do_copy(void) {
  char* buffer = new_buffer(1000);
  char* behind = new_buffer(1000);
  strcpy(buffer, long_text);
  int length = (int)strlen(buffer);
  free(behind);
  free(buffer);
  return length == (int)strlen(long_text) ? 0 : -2;
}

HANDLER do_print(void) {
  char* buffer = new_buffer(1000);
  char* behind = new_buffer(1000);
  sprintf(buffer, "%s", long_text);
  free(behind);
  free(buffer);
  return 0;
}

/* Into the list of free chunks, which the allocations behind follow. */
__attribute__((noinline)) static void drop(char* buffer) {
  free(buffer);
}

HANDLER do_late_write(void) {
  char* first = new_buffer(40);
  char* second = new_buffer(40);
  drop(first);
  drop(second);
  /* As libc mangles its links: the next chunk would begin at an odd address. */
  *(volatile uintptr_t*)second = ((uintptr_t)second >> 12) ^ 0x1231;
  first = new_buffer(40);
  second = new_buffer(40);
  free(first);
  free(second);
  return 0;
}

struct node {
  long* value;
  long rest[4];
};

HANDLER do_late_read(void) {
  static long seven = 7;
  struct node* node = (struct node*)new_buffer(sizeof *node);
  node->value = &seven;
  drop((char*)node);
  char* other = new_buffer(sizeof *node);
  memset(other, 0x33, sizeof *node);
  long found = *node->value;
  free(other);
  return found == 7 ? 0 : -2;
}

HANDLER do_twice(void) {
  char* buffer = new_buffer(40);
  free(buffer);
  free(buffer);
  return 0;
}

HANDLER do_inside(void) {
  char* buffer = new_buffer(100);
  free(buffer + 8);
  free(buffer);
  return 0;
}

HANDLER do_stack(void) {
  char local[64];
  char* volatile pointer = local + 16;
  memset(local, 0, sizeof local);
  free(pointer);
  return 0;
}

HANDLER do_again(void) {
  char* buffer = new_buffer(100);
  buffer = realloc(buffer + 8, 200);
  if (buffer == NULL) {
    return -1;
  }
  memset(buffer, 1, 200);
  free(buffer);
  return 0;
}

HANDLER do_good(void) {
  char* texts[20];
  for (int i = 0; i < 20; ++i) {
    texts[i] = new_buffer(40);
    memset(texts[i], i, 40);
  }
  int wrong = 0;
  for (int i = 0; i < 20; ++i) {
    for (int j = 0; j < 40; ++j) {
      wrong |= texts[i][j] != i;
    }
    free(texts[i]);
  }
  return wrong != 0 ? -3 : 0;
}

static const struct {
  const char* name;
  int (*handle)(void);
} requests[] = {
    {"good", do_good},
    {"few", do_few},
    {"lot", do_lot},
    {"many", do_many},
    {"under", do_under},
    {"copy", do_copy},
    {"print", do_print},
    {"late_write", do_late_write},
    {"late_read", do_late_read},
    {"twice", do_twice},
    {"inside", do_inside},
    {"stack", do_stack},
    {"again", do_again},
};

static int serve(const char* name) {
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; ++i) {
    if (strcmp(requests[i].name, name) == 0) {
      int result = requests[i].handle();
      printf("%s: %s (served %d)\n", name,
             result == 0    ? "done"
             : result == -3 ? "DAMAGED"
                            : "error",
             ++served);
      fflush(stdout);
      return 0;
    }
  }
  return 2;
}

static void* serve_on_thread(void* name) {
  serve(name);
  return NULL;
}

/* "few", or "thread:few", or "child:few". */
static void dispatch(char* request) {
  pthread_t thread;
  char* name = strchr(request, ':');
  if (name == NULL) {
    serve(request);
  } else if (request[0] == 't') {
    pthread_create(&thread, NULL, serve_on_thread, name + 1);
    pthread_join(thread, NULL);
  } else {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
      serve(name + 1);
      _exit(0);
    }
    waitpid(child, &status, 0);
    printf("child: %s\n", status == 0 ? "ended" : "died");
    fflush(stdout);
  }
}

int main(int count, char** arguments) {
  memset(long_text, 0x11, sizeof long_text - 1);
  for (int i = 1; i < count; ++i) {
    dispatch(arguments[i]);
  }
  return 0;
}
