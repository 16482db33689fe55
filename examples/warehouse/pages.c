#include "pages.h"

#include "calculator.h"
#include "files.h"
#include "stock.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// A page returns the status of its answer; anything but 200 is turned into an error page.
typedef int page(const struct http_request* request, const char* rest,
                 struct http_response* response);

static atomic_long requests;

static int home(const struct http_request* request, const char* rest,
                struct http_response* response) {
  (void)request;
  if (*rest) {
    return 404;
  }
  http_print(response,
             "warehouse: /items /items/NAME /supplier/NAME /average/KIND /orders "
             "/order?item=&count=&shelf= /label/NAME?unit= /files/NAME /sum?of= /status\n");
  return 200;
}

static int list_items(const struct http_request* request, const char* rest,
                      struct http_response* response) {
  (void)request;
  (void)rest;
  struct item_view items[16];
  size_t count = stock_list(items, 16);
  for (size_t i = 0; i < count && i < 16; ++i) {
    http_print(response, "%s\n", items[i].name);
  }
  return 200;
}

static int show_item(const struct http_request* request, const char* rest,
                     struct http_response* response) {
  (void)request;
  struct item_view item;
  if (stock_find(rest, &item) < 0) {
    return 404;
  }
  http_print(response, "%s: %ld left at %ld.%02ld, %ld sold\n", item.name, item.count,
             item.price / 100, item.price % 100, item.sold);
  return 200;
}

static int show_supplier(const struct http_request* request, const char* rest,
                         struct http_response* response) {
  (void)request;
  const char* supplier = stock_supplier(rest);
  if (!supplier) {
    return 404;
  }
  http_print(response, "%s comes from %s\n", rest, supplier);
  return 200;
}

static int show_average(const struct http_request* request, const char* rest,
                        struct http_response* response) {
  (void)request;
  long cents = stock_average_price(rest);
  if (cents < 0) {
    return 500;
  }
  http_print(response, "%s: %ld.%02ld a piece\n", rest, cents / 100, cents % 100);
  return 200;
}

static int take_order(const struct http_request* request, const char* rest,
                      struct http_response* response) {
  (void)rest;
  char name[24];
  char count[16];
  char shelf[24];
  if (!http_parameter(request->query, "item", name, sizeof name) ||
      !http_parameter(request->query, "count", count, sizeof count) ||
      !http_parameter(request->query, "shelf", shelf, sizeof shelf)) {
    return 400;
  }
  long number = stock_order(name, atol(count), atol(shelf));
  if (number < 0) {
    return 409;
  }
  http_print(response, "order %ld\n", number);
  return 200;
}

static int show_orders(const struct http_request* request, const char* rest,
                       struct http_response* response) {
  (void)request;
  (void)rest;
  long size = stock_order_book(response->body, sizeof response->body);
  if (size < 0) {
    return 500;
  }
  response->size = (size_t)size;
  return 200;
}

static int show_label(const struct http_request* request, const char* rest,
                      struct http_response* response) {
  char unit[16];
  char label[64];
  if (!http_parameter(request->query, "unit", unit, sizeof unit)) {
    return 400;
  }
  if (stock_label(rest, unit, label, sizeof label) != 0) {
    return 404;
  }
  http_print(response, "[%s]\n", label);
  return 200;
}

static int send_file(const struct http_request* request, const char* rest,
                     struct http_response* response) {
  (void)request;
  const struct file* file = files_get(rest);
  if (!file) {
    return 404;
  }
  if (file->size > sizeof response->body) {
    return 413;
  }
  if (files_etag(file, response->etag, sizeof response->etag) < 0) {
    return 500;
  }
  memcpy(response->body, file->data, file->size);
  response->size = file->size;
  return 200;
}

static int show_sum(const struct http_request* request, const char* rest,
                    struct http_response* response) {
  (void)rest;
  static _Thread_local char expression[http_max_request];
  long result;
  if (!http_parameter(request->query, "of", expression, sizeof expression)) {
    return 400;
  }
  if (calculate(expression, &result) != 0) {
    return 400;
  }
  http_print(response, "%ld\n", result);
  return 200;
}

static int show_status(const struct http_request* request, const char* rest,
                       struct http_response* response) {
  (void)request;
  (void)rest;
  http_print(response, "pid %d, %ld requests\n", (int)getpid(), atomic_load(&requests));
  return 200;
}

static const struct route {
  const char* path;
  page* page;
  const char* method;
} routes[] = {
    {"/items/", show_item, "GET"},
    {"/items", list_items, "GET"},
    {"/supplier/", show_supplier, "GET"},
    {"/average/", show_average, "GET"},
    {"/orders", show_orders, "GET"},
    {"/order", take_order, "POST"},
    {"/label/", show_label, "GET"},
    {"/files/", send_file, "GET"},
    {"/sum", show_sum, "GET"},
    {"/status", show_status, "GET"},
    {"/", home, "GET"},
};

static int dispatch(const struct http_request* request, struct http_response* response) {
  for (size_t i = 0; i < sizeof routes / sizeof routes[0]; ++i) {
    size_t length = strlen(routes[i].path);
    if (strncmp(request->path, routes[i].path, length) != 0) {
      continue;
    }
    const char* rest = request->path + length;
    if (routes[i].path[length - 1] != '/' && *rest) {
      continue;
    }
    if (strcmp(request->method, routes[i].method) != 0) {
      return 405;
    }
    return routes[i].page(request, rest, response);
  }
  return 404;
}

void pages_error(struct http_response* response, int status) {
  response->status = status;
  response->type = "text/plain";
  response->etag[0] = '\0';
  response->size = 0;
  http_print(response, "error %d\n", status);
}

void pages_answer(const struct http_request* request, struct http_response* response) {
  atomic_fetch_add(&requests, 1);
  response->type = "text/plain";
  response->etag[0] = '\0';
  response->size = 0;
  response->status = dispatch(request, response);
  if (response->status != 200) {
    pages_error(response, response->status);
  }
}
