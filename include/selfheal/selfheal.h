/* libselfheal: what a program may ask of the runtime that is loaded into it.
 *
 * A program needs none of this to be healed; `LD_PRELOAD=libselfheal.so program` is enough. Link
 * with libselfheal.so (CMake: find_package(selfheal), target selfheal::selfheal) to have the
 * runtime without preloading, or look the functions up with dlsym to find out whether it is there.
 *
 * All functions may be called from any thread at any time, and from signal handlers. None
 * allocates.
 */
#ifndef SELFHEAL_SELFHEAL_H
#define SELFHEAL_SELFHEAL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SELFHEAL_API __attribute__((visibility("default")))

/* "MAJOR.MINOR.PATCH", a constant string. */
SELFHEAL_API const char* selfheal_version(void);

/* 1 when faults of this process are recorded or healed; 0 when the runtime does nothing here, be it
 * by mode=off, AT_SECURE, or a store it cannot use. */
SELFHEAL_API int selfheal_active(void);

/* Counts since this process started (a forked child starts with its parent's). Fields are only ever
 * appended: set `size` to sizeof(struct selfheal_statistics) before the call. */
struct selfheal_statistics {
  uint64_t size;    /* bytes of this struct, as the caller knows it */
  uint64_t regions; /* functions of this process whose entry leads to the engine now */
  uint64_t faults;  /* recorded */
  uint64_t heals;   /* calls ended by a virtualized return */
  uint64_t
      left_to_die; /* faults in a region that were not healed, for the reason in their record */
  uint64_t bytes_undone; /* memory put back */
  /* What the engine did. Counted without locks: with more than 64 threads a few may be missing. */
  uint64_t region_calls; /* calls of regions that the engine ran, those still running included */
  uint64_t
      instructions;     /* interpreted in them; of those still running, the calling thread's only */
  uint64_t went_native; /* of them, ended by going on natively without protection, because of
                           something the engine does not do or a full undo log */
};

/* Fills `out` up to out->size. 0, or -1 with errno EINVAL when out is NULL or its size is below 8.
 */
SELFHEAL_API int selfheal_get_statistics(struct selfheal_statistics* out);

#ifdef __cplusplus
}
#endif

#endif
