// The shop's stock and its orders: one table behind one lock.
//
// Functions report failure the C way: NULL, -1 or a negative number, nothing changed.
#ifndef WAREHOUSE_STOCK_H
#define WAREHOUSE_STOCK_H

#include <stddef.h>

struct item_view {
  char name[24];
  long count;
  long price;  // cents
  long sold;
};

// Fills the table with the shop's goods.
void stock_open(void);

// Looks an item up; -1 when there is none of that name.
int stock_find(const char* name, struct item_view* view);

// Copies up to `capacity` items; how many there were.
size_t stock_list(struct item_view* views, size_t capacity);

// The name of the supplier of an item; NULL when the item is unknown.
const char* stock_supplier(const char* name);

// Revenue per piece sold of a kind of goods ("food", "tools", ...) in cents; -1 for an unknown
// kind.
long stock_average_price(const char* kind);

// Takes `count` pieces out of the stock and books the order on shelf `shelf`. The number of the
// order, or -1: no such item, or not enough of it.
long stock_order(const char* name, long count, long shelf);

// The text of the order book, oldest first, and totals; the length, or -1 if it does not fit.
long stock_order_book(char* text, size_t capacity);

// Writes the label of an item ("nails, 250 pcs"); -1 when the item is unknown.
int stock_label(const char* name, const char* unit, char* text, size_t capacity);

#endif
