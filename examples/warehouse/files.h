// Static files, each mapped once and served from memory.
#ifndef WAREHOUSE_FILES_H
#define WAREHOUSE_FILES_H

#include <stddef.h>

struct file {
  const char* data;
  size_t size;
};

// `folder` is where files are looked for; NULL: there are none.
void files_open(const char* folder);

// The file of that name; NULL when there is none, or the name tries to leave the folder.
const struct file* files_get(const char* name);

// Writes an entity tag made of the contents; 0, or -1 when it does not fit.
int files_etag(const struct file* file, char* tag, size_t capacity);

#endif
