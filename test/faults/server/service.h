/* A server of made-up requests (server.c) and what it serves (`services`, ended by a null name). */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct service {
  const char* name;
  /* Does harm when it is given a text. Counts in `served` before, which a rollback has to take
   * back. */
  int (*serve)(const char* text);
};

extern const struct service services[];
extern int served;

#ifdef __cplusplus
}
#endif
