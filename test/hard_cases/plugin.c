// What subject_modules.cpp loads: a module that tells what becomes of it.
#include <execinfo.h>
#include <string.h>
#include <unistd.h>

static void tell(const char* text) {
  if (write(STDOUT_FILENO, text, strlen(text)) < 0) {
    _exit(99);
  }
}

void* plugin_frames[64];
int plugin_frame_count;

__attribute__((constructor)) static void begin(void) {
  plugin_frame_count = backtrace(plugin_frames, 64);
  tell("constructor\n");
}

__attribute__((destructor)) static void end(void) {
  tell("destructor\n");
}

int plugin_number = 7;

int plugin_function(int x) {
  return x + plugin_number;
}
