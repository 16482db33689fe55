/* libselfheal: what a program may ask of the runtime that is loaded into it.
 *
 * A program needs none of this to be healed; `LD_PRELOAD=libselfheal.so program` is enough. This is
 * for people who can recompile: they name the functions that know how to fail (rescue points,
 * ASSURE, 2009), run a piece of code that is undone when it faults, and hear of what was healed.
 *
 * Two ways to use it:
 *   - Include it and link nothing. All names are weak: where the runtime is not preloaded, the
 *     functions do nothing, as each of them says, and selfheal_rescue just calls.
 *   - Link with libselfheal.so (CMake: find_package(selfheal), target selfheal::selfheal) to have
 *     the runtime without preloading. Define SELFHEAL_LINKED then; the CMake target does.
 *
 * Any thread, and nothing allocates. selfheal_version, selfheal_active and selfheal_get_statistics
 * may be called from signal handlers, the others may not.
 */
#ifndef SELFHEAL_SELFHEAL_H
#define SELFHEAL_SELFHEAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(SELFHEAL_LINKED)
  #define SELFHEAL_API __attribute__((visibility("default")))
#else
  #define SELFHEAL_API __attribute__((visibility("default"), weak))
#endif

/* "MAJOR.MINOR.PATCH", a constant string; "absent" without the runtime. */
SELFHEAL_API const char* selfheal_version(void);

/* 1 when faults of this process are recorded or healed; 0 when the runtime does nothing here, be it
 * by mode=off, AT_SECURE, a store it cannot use, or because it is absent. */
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

/* Fills `out` up to out->size. 0, or -1 with errno EINVAL when out is NULL or its size is below 8,
 * ENOSYS without the runtime. */
SELFHEAL_API int selfheal_get_statistics(struct selfheal_statistics* out);

/* What the caller of a protected function gets when a fault in it, or in anything it calls, is
 * rolled back. Set `size` to sizeof(struct selfheal_protection). */
struct selfheal_protection {
  uint64_t size;
  int64_t value;        /* returned (rax), when has_value */
  int32_t error_number; /* put into errno, when has_error_number */
  uint8_t has_value;    /* 0: what the caller's code makes of the result decides */
  uint8_t has_error_number;
  uint8_t reserved[2];
};

/* From now on `function` is a region: the engine runs its calls, on every thread, and a fault in
 * them is healed although none was recorded before. `options` may be NULL. What the operator's
 * catalog says of the same function goes first. At most 64 functions a process.
 *
 * 0; or -1 with errno EINVAL (no function begins there, or a bad option), ENOSYS (the runtime is
 * absent, or its mode does not heal), ENOSPC, ENOTSUP (its entry cannot be patched, or the engine
 * cannot run here), EAGAIN (patches were being changed; try again). */
SELFHEAL_API int selfheal_protect(void (*function)(void),
                                  const struct selfheal_protection* options);

/* Takes that back; calls under way end as they began. 0; or -1 with errno EINVAL (it was not
 * protected by selfheal_protect), ENOSYS, EAGAIN. */
SELFHEAL_API int selfheal_unprotect(void (*function)(void));

/* Calls body(argument) as a region of its own. 0: it returned, or left by an exception or longjmp.
 * 1: it faulted; memory is as before the call, what it opened is closed, what it locked is unlocked
 * and selfheal_last_event tells. Without the runtime it is an ordinary call. Inside another region
 * it is part of that, and a fault goes back to the outer one's entry. */
SELFHEAL_API int selfheal_rescue(void (*body)(void*), void* argument);

/* One heal, or one fault in a region that was not healed. Fields are only ever appended. */
struct selfheal_event {
  uint64_t size;
  uint64_t time_ns;     /* CLOCK_REALTIME */
  const char* fault;    /* kind: "null-access", "divide", ... a constant string */
  const char* outcome;  /* "healed", "left to die", ... a constant string */
  uint64_t function;    /* address of the region's entry */
  uint64_t site;        /* address of the faulting instruction */
  uint64_t address;     /* of the data access; 0 where there is none */
  uint64_t value;       /* what the caller got */
  uint64_t duration_ns; /* fault seen to running again */
  int32_t error_number; /* what errno was set to; 0: left alone */
  uint32_t irrevocable; /* system calls that could not be undone */
};

/* The calling thread's last event. 0; or -1 with errno ENOENT (it had none), EINVAL (as for
 * selfheal_get_statistics), ENOSYS. Set out->size before the call. */
SELFHEAL_API int selfheal_last_event(struct selfheal_event* out);

/* `handler(event, context)` is called once for each event, by the thread it happened on, in
 * ordinary context: when the thread is about to make its next blocking call (read, accept, poll,
 * ...). Of several events between two such calls only the last is delivered. The handler may do
 * anything but fault. One handler a process; NULL takes it back. 0; or -1 with errno ENOSYS. */
typedef void (*selfheal_event_handler)(const struct selfheal_event* event, void* context);
SELFHEAL_API int selfheal_on_event(selfheal_event_handler handler, void* context);

#if !defined(SELFHEAL_LINKED)
  /* Inert where the runtime is absent: an undefined weak function has the address NULL. The macros
   * stand in front of the functions only when these are called by name. */
  #include <errno.h>
static inline int selfheal_absent(void) {
  errno = ENOSYS;
  return -1;
}
  #define selfheal_version() (&(selfheal_version) ? (selfheal_version)() : "absent")
  #define selfheal_active() (&(selfheal_active) ? (selfheal_active)() : 0)
  #define selfheal_get_statistics(out) \
    (&(selfheal_get_statistics) ? (selfheal_get_statistics)(out) : selfheal_absent())
  #define selfheal_protect(function, options) \
    (&(selfheal_protect) ? (selfheal_protect)(function, options) : selfheal_absent())
  #define selfheal_unprotect(function) \
    (&(selfheal_unprotect) ? (selfheal_unprotect)(function) : selfheal_absent())
  #define selfheal_last_event(out) \
    (&(selfheal_last_event) ? (selfheal_last_event)(out) : selfheal_absent())
  #define selfheal_on_event(handler, context) \
    (&(selfheal_on_event) ? (selfheal_on_event)(handler, context) : selfheal_absent())
  #define selfheal_rescue(body, argument) \
    (&(selfheal_rescue) ? (selfheal_rescue)(body, argument) : ((body)(argument), 0))
#endif

/* At file scope: protects `function` from the program's start, with `result` as its error value.
 *
 *   static int parse(struct request* r) { ... }
 *   SELFHEAL_PROTECT(parse, -1)
 */
#define SELFHEAL_PROTECT(function, result)                                       \
  __attribute__((constructor)) static void selfheal_protect_##function(void) {   \
    struct selfheal_protection selfheal_options = {                              \
        sizeof(struct selfheal_protection), (int64_t)(result), 0, 1, 0, {0, 0}}; \
    (void)selfheal_protect((void (*)(void))(function), &selfheal_options);       \
  }

#ifdef __cplusplus
}
#endif

#endif
