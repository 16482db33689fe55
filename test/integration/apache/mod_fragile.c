// mod_fragile: a content handler for stock httpd, written as such modules are, whose data functions
// (election.c) crash on some requests. Used as
//   LoadModule fragile_module .../mod_fragile.so
//   <Location /fragile> SetHandler fragile </Location>

#include "election.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>
#include <http_protocol.h>
#include <httpd.h>
#include <stdlib.h>
#include <string.h>

module AP_MODULE_DECLARE_DATA fragile_module;

// Returns the value of `key` in the query, or "" .
static const char* parameter(request_rec* r, const char* key) {
  char* rest = apr_pstrdup(r->pool, r->args ? r->args : "");
  for (char *last, *pair = apr_strtok(rest, "&", &last); pair;
       pair = apr_strtok(NULL, "&", &last)) {
    size_t length = strlen(key);
    if (strncmp(pair, key, length) == 0 && pair[length] == '=') {
      return pair + length + 1;
    }
  }
  return "";
}

static int city_page(request_rec* r) {
  const char* member = parameter(r, "member");
  const char* city = election_city(member);
  if (city == NULL) {
    return HTTP_NOT_FOUND;
  }
  ap_rprintf(r, "%s lives in %s\n", member, city);
  return OK;
}

static int age_page(request_rec* r) {
  const char* team = parameter(r, "team");
  long age;
  int status = election_average_age(team, &age);
  if (status != OK) {
    return status;
  }
  ap_rprintf(r, "team %s is %ld years old on average\n", team, age);
  return OK;
}

static int vote_page(request_rec* r) {
  const char* member = parameter(r, "member");
  int status = election_vote(member, atol(parameter(r, "box")));
  if (status != OK) {
    return status;
  }
  ap_rprintf(r, "voted for %s\n", member);
  return OK;
}

static int browser_page(request_rec* r) {
  const char* browser = election_browser(r);
  if (browser == NULL) {
    return HTTP_BAD_REQUEST;
  }
  ap_rprintf(r, "hello %s\n", browser);
  return OK;
}

static int state_page(request_rec* r) {
  ap_rputs(election_state(r->pool), r);
  return OK;
}

static const struct {
  const char* path;
  int (*page)(request_rec* r);
} pages[] = {
    {"/fragile/city", city_page},   {"/fragile/age", age_page},
    {"/fragile/vote", vote_page},   {"/fragile/browser", browser_page},
    {"/fragile/state", state_page},
};

static int fragile_handler(request_rec* r) {
  if (!r->handler || strcmp(r->handler, "fragile") != 0) {
    return DECLINED;
  }
  ap_set_content_type(r, "text/plain");
  for (unsigned i = 0; i < sizeof pages / sizeof pages[0]; ++i) {
    if (strcmp(r->uri, pages[i].path) == 0) {
      return pages[i].page(r);
    }
  }
  return HTTP_NOT_FOUND;
}

static void child_init(apr_pool_t* pool, server_rec* server) {
  apr_status_t status = election_open(pool);
  if (status != APR_SUCCESS) {
    ap_log_error(APLOG_MARK, APLOG_CRIT, status, server, "mod_fragile: cannot make its lock");
  }
}

static void register_hooks(apr_pool_t* pool) {
  (void)pool;
  ap_hook_child_init(child_init, NULL, NULL, APR_HOOK_MIDDLE);
  ap_hook_handler(fragile_handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(fragile) = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks,
                              AP_MODULE_FLAG_NONE};
