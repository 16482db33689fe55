/* Uses the heap in all ways that are right, on four threads and in children, and checks what it
   holds: nothing may be noticed of the allocation probe. Exit 0, or a line that says what is wrong.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                       \
  do {                                                         \
    if (!(condition)) {                                        \
      printf("line %d: %s is not so\n", __LINE__, #condition); \
      _exit(1);                                                \
    }                                                          \
  } while (0)

enum { held = 256, rounds = 20000 };

static uint64_t next_random(uint64_t* state) {
  *state += 0x9e3779b97f4a7c15;
  uint64_t z = *state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

static int all_are(const unsigned char* bytes, size_t size, unsigned char value) {
  for (size_t i = 0; i < size; ++i) {
    if (bytes[i] != value) {
      return 0;
    }
  }
  return 1;
}

static size_t any_size(uint64_t* state) {
  const unsigned bits = next_random(state) % 18;
  return next_random(state) & ((1u << bits) - 1);
}

static unsigned char* allocate(uint64_t* state, size_t size) {
  void* chunk = NULL;
  switch (next_random(state) % 5) {
    case 0:
      chunk = calloc(1, size);
      CHECK(chunk != NULL && all_are(chunk, size, 0));
      return chunk;
    case 1: {
      const size_t alignment = (size_t)16 << next_random(state) % 9;
      CHECK(posix_memalign(&chunk, alignment, size) == 0);
      CHECK((uintptr_t)chunk % alignment == 0);
      return chunk;
    }
    case 2:
      chunk = aligned_alloc(64, (size + 63) & ~(size_t)63);
      CHECK((uintptr_t)chunk % 64 == 0);
      return chunk;
    default:
      chunk = malloc(size);
      CHECK((uintptr_t)chunk % 16 == 0);
      return chunk;
  }
}

static void* work(void* seed) {
  uint64_t state = (uintptr_t)seed;
  unsigned char* chunks[held] = {0};
  size_t sizes[held] = {0};
  for (int round = 0; round < rounds; ++round) {
    const unsigned i = next_random(&state) % held;
    const unsigned char mark = (unsigned char)i;
    if (chunks[i] == NULL) {
      sizes[i] = any_size(&state);
      chunks[i] = allocate(&state, sizes[i]);
      CHECK(chunks[i] != NULL);
      CHECK(malloc_usable_size(chunks[i]) >= sizes[i]);
      memset(chunks[i], mark, sizes[i]);
      continue;
    }
    CHECK(all_are(chunks[i], sizes[i], mark));
    if (next_random(&state) % 3 == 0) {
      const size_t size = any_size(&state) + 1;
      chunks[i] = realloc(chunks[i], size);
      CHECK(chunks[i] != NULL && all_are(chunks[i], size < sizes[i] ? size : sizes[i], mark));
      memset(chunks[i], mark, size);
      sizes[i] = size;
    } else {
      free(chunks[i]);
      chunks[i] = NULL;
    }
  }
  for (int i = 0; i < held; ++i) {
    free(chunks[i]);
  }
  return NULL;
}

static long resident_kib(void) {
  long pages = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%*d %ld", &pages) == 1);
  fclose(file);
  return pages * 4;
}

int main(void) {
  pthread_t threads[4];
  errno = 77;
  free(malloc(10));
  CHECK(errno == 77);
  CHECK(malloc(SIZE_MAX / 2) == NULL && errno == ENOMEM);
  CHECK(realloc(malloc(8), 0) == NULL);
  char* large = malloc(40 << 20);
  large[(40 << 20) - 1] = 1;
  free(large);
  for (uintptr_t i = 0; i < 4; ++i) {
    pthread_create(&threads[i], NULL, work, (void*)(i + 1));
  }
  for (int i = 0; i < 20; ++i) { /* while the others are in malloc */
    const pid_t child = fork();
    if (child == 0) {
      free(strdup("in a child of a busy parent"));
      _exit(malloc(100) == NULL);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
  for (int i = 0; i < 4; ++i) {
    pthread_join(threads[i], NULL);
  }
  const long before = resident_kib();
  for (uintptr_t i = 0; i < 20; ++i) {
    work((void*)(i + 10));
  }
  const long grown = resident_kib() - before;
  if (grown > 64 * 1024) {
    printf("%ld KiB more are resident\n", grown);
    return 1;
  }
  puts("all is well");
  return 0;
}
