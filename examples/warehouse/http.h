// Just enough HTTP/1.1: a request read from a socket, and a response written to one.
#ifndef WAREHOUSE_HTTP_H
#define WAREHOUSE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

enum { http_max_request = 16 * 1024, http_max_body = 64 * 1024 };

struct http_request {
  char method[8];
  char* path;   // decoded, without the query
  char* query;  // "" when there is none
  bool keep_alive;
  char buffer[http_max_request + 1];  // what was read; path and query point into it
  size_t filled;
  size_t used;  // the length of the current request; the rest belongs to the next one
};

struct http_response {
  int status;
  const char* type;
  char etag[24];  // "" for none
  char body[http_max_body];
  size_t size;
};

enum http_result { http_ok, http_closed, http_bad_request, http_too_large };

// Reads the next request of a connection into `request`, which keeps pipelined bytes between calls.
enum http_result http_read(int socket, struct http_request* request);

// Writes the response; -1 when the peer has gone.
int http_write(int socket, const struct http_response* response, bool keep_alive);

// Copies the decoded value of `name` out of a query string; false when it is not there or too long.
bool http_parameter(const char* query, const char* name, char* value, size_t capacity);

// Appends formatted text to the body; what does not fit is cut.
void http_print(struct http_response* response, const char* format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
