// What the server answers: one function a page, found through a table of paths.
#ifndef WAREHOUSE_PAGES_H
#define WAREHOUSE_PAGES_H

#include "http.h"

// Fills `response` for `request`; failures become an error page.
void pages_answer(const struct http_request* request, struct http_response* response);

// Makes `response` the error page for `status`.
void pages_error(struct http_response* response, int status);

#endif
