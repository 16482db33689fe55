/* Every way to end in SIGABRT, each a request to the server. */
#pragma once

#include "service.h"

#ifdef __cplusplus
extern "C" {
#endif

int do_good(const char* text);
int do_abort(const char* text);
int do_assert(const char* text);
int do_assert_perror(const char* text);
int do_raise(const char* text);
int do_kill(const char* text);
int do_die(const char* text);      /* through two functions that never return */
int do_overflow(const char* text); /* memcpy, checked */
int do_print(const char* text);    /* sprintf, checked */
int do_smash(const char* text);
int do_double_free(const char* text);
int do_wild_free(const char* text);
int do_foreign_free(const char* text); /* of what no allocator gave out */
int do_heap(const char* text);
int do_jump(const char* text); /* longjmp, checked */

int do_throw(const char* text);
int do_throw_int(const char* text);
int do_noexcept(const char* text);
int do_pure(const char* text);
int do_thread(const char* text); /* a joinable thread is destroyed */
int do_length(const char* text); /* thrown inside libstdc++ */

#ifdef __cplusplus
}
#endif
