#include "files.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { cache_size = 32 };

struct entry {
  char name[64];
  struct file file;
};

static const char* root;
static struct entry cache[cache_size];
static size_t cached;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void files_open(const char* folder) {
  root = folder;
}

static int map_file(const char* name, struct file* file) {
  char path[512];
  struct stat info;
  if (snprintf(path, sizeof path, "%s/%s", root, name) >= (int)sizeof path) {
    return -1;
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return -1;
  }
  if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
    close(fd);
    return -1;
  }
  void* data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, fd, 0);
  close(fd);
  if (data == MAP_FAILED) {
    return -1;
  }
  *file = (struct file){data, (size_t)info.st_size};
  return 0;
}

const struct file* files_get(const char* name) {
  const struct file* found = NULL;
  if (!root || name[0] == '\0' || name[0] == '.' || strchr(name, '/') ||
      strlen(name) >= sizeof cache[0].name) {
    return NULL;
  }
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < cached && !found; ++i) {
    if (strcmp(cache[i].name, name) == 0) {
      found = &cache[i].file;
    }
  }
  if (!found && cached < cache_size && map_file(name, &cache[cached].file) == 0) {
    strcpy(cache[cached].name, name);
    found = &cache[cached++].file;
  }
  pthread_mutex_unlock(&lock);
  return found;
}

// The bug: somebody may have cut the file since it was mapped; its lost pages raise SIGBUS.
int files_etag(const struct file* file, char* tag, size_t capacity) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (size_t i = 0; i < file->size; ++i) {
    hash = (hash ^ (unsigned char)file->data[i]) * 1099511628211u;
  }
  int n = snprintf(tag, capacity, "%016llx", (unsigned long long)hash);
  return n > 0 && (size_t)n < capacity ? 0 : -1;
}
