#include "http.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  c = (char)tolower((unsigned char)c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Decodes %XX and + of [from, end) into `to`; the length, or -1 when it does not fit.
static long decode(const char* from, const char* end, char* to, size_t capacity) {
  size_t n = 0;
  while (from < end) {
    char c = *from++;
    if (c == '+') {
      c = ' ';
    } else if (c == '%' && end - from >= 2 && hex_digit(from[0]) >= 0 && hex_digit(from[1]) >= 0) {
      c = (char)(hex_digit(from[0]) * 16 + hex_digit(from[1]));
      from += 2;
    }
    if (n + 1 >= capacity) {
      return -1;
    }
    to[n++] = c;
  }
  to[n] = '\0';
  return (long)n;
}

static void look_at_headers(struct http_request* request, const char* line, const char* end) {
  while (line < end) {
    const char* eol = strstr(line, "\r\n");
    if (strncasecmp(line, "Connection:", 11) == 0) {
      const char* value = line + 11;
      while (*value == ' ') {
        ++value;
      }
      if (strncasecmp(value, "close", 5) == 0) {
        request->keep_alive = false;
      } else if (strncasecmp(value, "keep-alive", 10) == 0) {
        request->keep_alive = true;
      }
    }
    line = eol + 2;
  }
}

static enum http_result parse(struct http_request* request) {
  char* line_end = strstr(request->buffer, "\r\n");
  char* method_end = memchr(request->buffer, ' ', (size_t)(line_end - request->buffer));
  if (!method_end || (size_t)(method_end - request->buffer) >= sizeof request->method) {
    return http_bad_request;
  }
  *method_end = '\0';
  memcpy(request->method, request->buffer, (size_t)(method_end - request->buffer) + 1);

  char* target = method_end + 1;
  char* target_end = memchr(target, ' ', (size_t)(line_end - target));
  if (!target_end || *target != '/' || strncmp(target_end, " HTTP/1.", 8) != 0) {
    return http_bad_request;
  }
  request->keep_alive = target_end[8] == '1';
  *target_end = '\0';
  look_at_headers(request, line_end + 2, request->buffer + request->used - 2);

  char* question = strchr(target, '?');
  char* path_end = question ? question : target_end;
  request->query = question ? question + 1 : target_end;
  request->path = target;
  *path_end = '\0';
  decode(target, path_end, target, (size_t)(path_end - target) + 1);
  return http_ok;
}

enum http_result http_read(int socket, struct http_request* request) {
  request->filled -= request->used;
  memmove(request->buffer, request->buffer + request->used, request->filled);
  request->used = 0;
  for (;;) {
    request->buffer[request->filled] = '\0';
    const char* end = strstr(request->buffer, "\r\n\r\n");
    if (end) {
      request->used = (size_t)(end - request->buffer) + 4;
      return parse(request);
    }
    if (request->filled == http_max_request) {
      return http_too_large;
    }
    ssize_t n =
        recv(socket, request->buffer + request->filled, http_max_request - request->filled, 0);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return http_closed;
    }
    request->filled += (size_t)n;
  }
}

static const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    default:
      return "Internal Server Error";
  }
}

int http_write(int socket, const struct http_response* response, bool keep_alive) {
  char head[256];
  int size = snprintf(head, sizeof head,
                      "HTTP/1.1 %d %s\r\nServer: warehouse\r\nContent-Type: %s\r\n"
                      "Content-Length: %zu\r\n%s%s%sConnection: %s\r\n\r\n",
                      response->status, reason(response->status), response->type, response->size,
                      response->etag[0] ? "ETag: \"" : "", response->etag,
                      response->etag[0] ? "\"\r\n" : "", keep_alive ? "keep-alive" : "close");
  struct iovec parts[2] = {{head, (size_t)size}, {(void*)response->body, response->size}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  while (parts[0].iov_len + parts[1].iov_len > 0) {
    ssize_t n = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return -1;
    }
    for (int i = 0; i < 2; ++i) {
      size_t taken = (size_t)n < parts[i].iov_len ? (size_t)n : parts[i].iov_len;
      parts[i].iov_base = (char*)parts[i].iov_base + taken;
      parts[i].iov_len -= taken;
      n -= (ssize_t)taken;
    }
  }
  return 0;
}

bool http_parameter(const char* query, const char* name, char* value, size_t capacity) {
  size_t length = strlen(name);
  while (*query) {
    const char* end = strchrnul(query, '&');
    if (strncmp(query, name, length) == 0 && query[length] == '=') {
      return decode(query + length + 1, end, value, capacity) >= 0;
    }
    query = *end ? end + 1 : end;
  }
  return false;
}

void http_print(struct http_response* response, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  size_t room = sizeof response->body - response->size;
  int n = vsnprintf(response->body + response->size, room, format, arguments);
  va_end(arguments);
  if (n > 0) {
    response->size += (size_t)n < room ? (size_t)n : room - 1;
  }
}
