// A GET as a health check makes it.
#pragma once

#include <chrono>
#include <string>

namespace selfheal::cli {

// Why the URL cannot be one of a check, in one clause; "" when it can.
std::string url_problem(const std::string& url);

// Gets it, follows no redirect and uses no proxy; "" for an answer with a status of 200 to 399,
// else what went wrong, in one clause. A certificate is not checked: the server is asked as its
// neighbour, by another name than its public one.
std::string http_problem(const std::string& url, std::chrono::milliseconds timeout);

}  // namespace selfheal::cli
