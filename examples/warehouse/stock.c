#include "stock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { shelves = 8, notes_capacity = 512 };

struct supplier {
  int id;
  const char* name;
};

struct item {
  const char* name;
  const char* kind;
  int supplier;
  long count;
  long price;
  long sold;
  long revenue;
};

struct order {
  long number;
  const struct item* item;
  long count;
  struct order* next;
};

struct shelf {
  long pieces;
  long last_order;
};

static const struct supplier suppliers[] = {{1, "Miller & Sons"}, {2, "Harbour Trading"}};

static struct item items[] = {
    {"apples", "food", 1, 120, 35, 40, 1400},  {"bread", "food", 1, 60, 220, 25, 5500},
    {"nails", "tools", 2, 5000, 2, 900, 1800}, {"hammer", "tools", 2, 14, 1650, 3, 4950},
    {"lantern", "outdoor", 7, 9, 2900, 0, 0},
};
enum { item_count = sizeof items / sizeof items[0] };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct order* first_order;
static struct order** last_order = &first_order;
static long next_number = 1;
static struct shelf* shelf_table;
static char notes[notes_capacity];
static size_t notes_used;

void stock_open(void) {
  shelf_table = calloc(shelves, sizeof *shelf_table);
  if (!shelf_table) {
    abort();
  }
}

static struct item* find(const char* name) {
  for (size_t i = 0; i < item_count; ++i) {
    if (strcmp(items[i].name, name) == 0) {
      return &items[i];
    }
  }
  return NULL;
}

static const struct supplier* find_supplier(int id) {
  for (size_t i = 0; i < sizeof suppliers / sizeof suppliers[0]; ++i) {
    if (suppliers[i].id == id) {
      return &suppliers[i];
    }
  }
  return NULL;
}

static void view_of(const struct item* item, struct item_view* view) {
  snprintf(view->name, sizeof view->name, "%s", item->name);
  view->count = item->count;
  view->price = item->price;
  view->sold = item->sold;
}

int stock_find(const char* name, struct item_view* view) {
  pthread_mutex_lock(&lock);
  const struct item* item = find(name);
  if (item) {
    view_of(item, view);
  }
  pthread_mutex_unlock(&lock);
  return item ? 0 : -1;
}

size_t stock_list(struct item_view* views, size_t capacity) {
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < item_count && i < capacity; ++i) {
    view_of(&items[i], &views[i]);
  }
  pthread_mutex_unlock(&lock);
  return item_count;
}

// The bug: not every supplier an item names is in the table (the lantern's has gone out of
// business).
const char* stock_supplier(const char* name) {
  const struct item* item = find(name);
  if (!item) {
    return NULL;
  }
  return find_supplier(item->supplier)->name;
}

// The bug: a kind of goods of which nothing was sold yet.
long stock_average_price(const char* kind) {
  long revenue = 0;
  long sold = 0;
  int known = 0;
  pthread_mutex_lock(&lock);
  for (size_t i = 0; i < item_count; ++i) {
    if (strcmp(items[i].kind, kind) == 0) {
      known = 1;
      revenue += items[i].revenue;
      sold += items[i].sold;
    }
  }
  pthread_mutex_unlock(&lock);
  return known ? revenue / sold : -1;
}

static void note(const char* text) {
  size_t room = sizeof notes - notes_used;
  int n = snprintf(notes + notes_used, room, "%s;", text);
  if (n > 0 && (size_t)n < room) {
    notes_used += (size_t)n;
  }
}

// The bug: nobody checks the number of the shelf, and by the time it is used the stock is changed,
// the order is in the book, memory is allocated and the lock is held.
long stock_order(const char* name, long count, long shelf) {
  long number = -1;
  pthread_mutex_lock(&lock);
  struct item* item = find(name);
  if (item && count > 0 && item->count >= count) {
    struct order* order = malloc(sizeof *order);
    if (order) {
      *order = (struct order){next_number++, item, count, NULL};
      *last_order = order;
      last_order = &order->next;
      item->count -= count;
      item->sold += count;
      item->revenue += count * item->price;
      note(item->name);
      shelf_table[shelf].pieces += count;
      shelf_table[shelf].last_order = order->number;
      number = order->number;
    }
  }
  pthread_mutex_unlock(&lock);
  return number;
}

long stock_order_book(char* text, size_t capacity) {
  size_t used = 0;
  pthread_mutex_lock(&lock);
  for (const struct order* o = first_order; o && used < capacity; o = o->next) {
    used += (size_t)snprintf(text + used, capacity - used, "%ld %s %ld\n", o->number, o->item->name,
                             o->count);
  }
  for (size_t i = 0; i < item_count && used < capacity; ++i) {
    used += (size_t)snprintf(text + used, capacity - used, "%s: %ld left, %ld sold for %ld\n",
                             items[i].name, items[i].count, items[i].sold, items[i].revenue);
  }
  for (size_t i = 0; i < shelves && used < capacity; ++i) {
    used += (size_t)snprintf(text + used, capacity - used, "shelf %zu: %ld, order %ld\n", i,
                             shelf_table[i].pieces, shelf_table[i].last_order);
  }
  if (used < capacity) {
    used += (size_t)snprintf(text + used, capacity - used, "notes: %s\n", notes);
  }
  pthread_mutex_unlock(&lock);
  return used < capacity ? (long)used : -1;
}

// The bug: "the caller has checked the unit" is held by a trap, and no caller has.
static const char* unit_text(const char* unit) {
  switch (unit[0]) {
    case 'p':
      return "pcs";
    case 'b':
      return "boxes";
    case 'k':
      return "kg";
    default:
      __builtin_trap();
  }
}

int stock_label(const char* name, const char* unit, char* text, size_t capacity) {
  struct item_view item;
  if (stock_find(name, &item) < 0) {
    return -1;
  }
  int n = snprintf(text, capacity, "%s, %ld %s", item.name, item.count, unit_text(unit));
  return n > 0 && (size_t)n < capacity ? 0 : -1;
}
