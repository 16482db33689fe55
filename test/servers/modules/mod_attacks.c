// Apache: bugs for somebody who attacks it (test_attacks.py). What is sent is hex digits behind
// "?".
//
//   /attacks/greet?BYTES   copies BYTES into a buffer on the stack, as many as came
//   /attacks/visit?BYTES   the same within a structure, and calls the function it points to behind
//   it /attacks/peek?ADDRESS  reads a word there /attacks/null          NULL dereference
//   /attacks/inflate?N     expands a run of N bytes, as its header claims
//   /attacks/parse?N       a quadratic parser, and a document of N entries
//   /attacks/told          what a leak of memory would tell: where attack_steal() is, where data
//   is, the canary
//
// Built twice: with a canary in each frame, and without.
// httpd's headers need each other in this order.
// clang-format off
#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
// clang-format on

module AP_MODULE_DECLARE_DATA attacks_module;

// Exported, so that reports name them (and so no names that a library has, as inflate() of zlib); a
// region each.
#define REGION __attribute__((noinline, visibility("default")))

// Keeps the compiler from seeing what goes wrong.
static void* hide(const void* pointer) {
  void* hidden = (void*)pointer;
  __asm__ volatile("" : "+r"(hidden));
  return hidden;
}

static unsigned char received[4096];

// What the attacker wants to run: nothing of the module calls it.
REGION void attack_steal(void) {
  static const char loot[] = "STOLEN\n";
  if (write(2, loot, sizeof loot - 1) > 0) {
    _exit(3);
  }
}

REGION int attack_greet(const unsigned char* bytes, size_t size) {
  unsigned char name[32] = "";
  unsigned char* to = hide(name);
  for (size_t i = 0; i < size; ++i) {
    to[i] = bytes[i];
  }
  return *(volatile unsigned char*)name == 0xff ? -1 : 0;
}

struct visitor {
  unsigned char name[32];
  int (*greeting)(const struct visitor* visitor);
};

static __attribute__((noinline)) int good_morning(const struct visitor* visitor) {
  return visitor->name[0] == 0xff ? -1 : 0;
}

REGION int attack_visit(const unsigned char* bytes, size_t size) {
  struct visitor visitor = {"", good_morning};
  struct visitor* to = hide(&visitor);
  for (size_t i = 0; i < size; ++i) {
    ((volatile unsigned char*)to)[i] = bytes[i];
  }
  const int result = to->greeting(to);
  return result < 0 ? -1 : 0;
}

REGION int attack_peek(uintptr_t address, uintptr_t* value) {
  if (address == 0) {
    return -1;
  }
  *value = *(volatile uintptr_t*)address;
  return 0;
}

REGION int attack_null(uintptr_t* value) {
  const uintptr_t* nowhere = hide(NULL);
  *value = nowhere[1];
  return *value == 0 ? -1 : 0;
}

// A run-length code: a window of the output is kept, and its sum.
REGION int attack_inflate(uint64_t run, uintptr_t* sum) {
  unsigned char window[256] = {0};
  volatile unsigned char* to = hide(window);
  uintptr_t total = 0;
  for (uint64_t i = 0; i < run; ++i) {
    to[i % sizeof window] = (unsigned char)i;
    total += to[(i + 1) % sizeof window];
  }
  *sum = total;
  return run == 0 ? -1 : 0;
}

static __attribute__((noinline)) uint64_t skip(uint64_t entries) {
  uint64_t at = 0;
  while (at < entries) {
    ++at;
    __asm__ volatile("" : "+r"(at));
  }
  return at;
}

// Looks for each entry from the document's beginning.
REGION int attack_parse(uint64_t entries, uintptr_t* sum) {
  uintptr_t total = 0;
  for (uint64_t i = 0; i < entries; ++i) {
    total += skip(i);
  }
  *sum = total;
  return entries == 0 ? -1 : 0;
}

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

static uintptr_t canary(void) {
  uintptr_t value;
  __asm__("mov %%fs:0x28, %0" : "=r"(value));
  return value;
}

static int handler(request_rec* r) {
  static const char prefix[] = "/attacks/";
  if (!r->handler || strcmp(r->handler, "attacks") != 0) {
    return DECLINED;
  }
  if (strncmp(r->uri, prefix, sizeof prefix - 1) != 0) {
    return HTTP_NOT_FOUND;
  }
  const char* attack = r->uri + sizeof prefix - 1;
  const char* digits = r->args ? r->args : "";
  const size_t size = strlen(digits) / 2;
  unsigned char* bytes = apr_palloc(r->pool, size + 1);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = (unsigned char)(digit(digits[2 * i]) << 4 | digit(digits[2 * i + 1]));
  }
  const uint64_t number = strtoull(digits, NULL, 16);
  uintptr_t value = 0;
  int result = 0;
  if (strcmp(attack, "greet") == 0) {
    result = attack_greet(bytes, size);
  } else if (strcmp(attack, "visit") == 0) {
    result = attack_visit(bytes, size);
  } else if (strcmp(attack, "peek") == 0) {
    result = attack_peek(number, &value);
  } else if (strcmp(attack, "null") == 0) {
    result = attack_null(&value);
  } else if (strcmp(attack, "inflate") == 0) {
    result = attack_inflate(number, &value);
  } else if (strcmp(attack, "parse") == 0) {
    result = attack_parse(number, &value);
  } else if (strcmp(attack, "told") == 0) {
    ap_rprintf(r, "%lx %lx %lx\n", (unsigned long)(uintptr_t)attack_steal,
               (unsigned long)(uintptr_t)received, (unsigned long)canary());
    return OK;
  } else {
    return HTTP_NOT_FOUND;
  }
  if (result < 0) {
    return HTTP_INTERNAL_SERVER_ERROR;
  }
  ap_rprintf(r, "%lx\n", (unsigned long)value);
  return OK;
}

static void register_hooks(apr_pool_t* pool) {
  (void)pool;
  ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(attacks) = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks,
                              AP_MODULE_FLAG_NONE};
