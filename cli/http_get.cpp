#include "cli/http_get.h"

#include <curl/curl.h>
#include <fmt/core.h>
#include <memory>

namespace selfheal::cli {
namespace {

struct CloseHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

size_t throw_away(char*, size_t size, size_t count, void*) {
  return size * count;
}

}  // namespace

std::string url_problem(const std::string& url) {
  CURLU* parsed = curl_url();
  const CURLUcode code = curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0);
  char* scheme = nullptr;
  std::string problem;
  if (code != CURLUE_OK) {
    problem = curl_url_strerror(code);
  } else if (curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
             (std::string(scheme) != "http" && std::string(scheme) != "https")) {
    problem = "it does not begin with http:// or https://";
  }
  curl_free(scheme);
  curl_url_cleanup(parsed);
  return problem;
}

std::string http_problem(const std::string& url, std::chrono::milliseconds timeout) {
  const std::unique_ptr<CURL, CloseHandle> handle(curl_easy_init());
  if (!handle) {
    return "no memory for the request";
  }
  CURL* curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "selfheal-health/" SELFHEAL_VERSION);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &throw_away);
  if (const CURLcode code = curl_easy_perform(curl); code != CURLE_OK) {
    return curl_easy_strerror(code);
  }
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  return status >= 200 && status < 400 ? "" : fmt::format("HTTP status {}", status);
}

}  // namespace selfheal::cli
