// named: a query plugin; NAME.good.faults.test, NAME.bad.faults.test and, as TXT,
// ledger.faults.test. A good query is refused, as the zone is not ours; one that failed is answered
// SERVFAIL.
#include "faults.h"

#include <dns/message.h>
#include <dns/name.h>
#include <dns/result.h>
#include <isc/log.h>
#include <isc/mem.h>
#include <isc/result.h>
#include <isc/util.h>
#include <ns/client.h>
#include <ns/hooks.h>
#include <ns/log.h>
#include <ns/query.h>
#include <string.h>

static void note(void* context, const char* text) {
  (void)context;
  isc_log_write(ns_lctx, NS_LOGCATEGORY_QUERIES, NS_LOGMODULE_QUERY, ISC_LOG_INFO, "faults: %s",
                text);
}

// "null.bad.faults.test" -> "null/bad"; false for other names.
static bool request_of(const dns_name_t* name, char* request, size_t size) {
  static const char suffix[] = ".faults.test";
  char text[DNS_NAME_FORMATSIZE];
  dns_name_format(name, text, sizeof text);
  const size_t length = strlen(text);
  const size_t tail = sizeof suffix - 1;
  if (length <= tail || length - tail >= size || strcmp(text + length - tail, suffix) != 0) {
    return false;
  }
  memcpy(request, text, length - tail);
  request[length - tail] = '\0';
  char* dot = strchr(request, '.');
  if (dot != NULL) {
    *dot = '/';
  }
  return true;
}

static ns_hookresult_t on_query(void* arg, void* data, isc_result_t* result) {
  query_ctx_t* query = arg;
  char request[64];
  (void)data;
  if (!request_of(query->client->query.qname, request, sizeof request)) {
    return NS_HOOK_CONTINUE;
  }
  if (strcmp(request, "ledger") == 0) {
    char text[128];
    note(NULL, faults_ledger(text, sizeof text));
    return NS_HOOK_CONTINUE;
  }
  const struct faults_client client = {note, NULL};
  if (faults_serve(request, &client) == faults_done) {
    return NS_HOOK_CONTINUE;
  }
  query->result = DNS_R_SERVFAIL;
  *result = ns_query_done(query);
  return NS_HOOK_RETURN;
}

isc_result_t plugin_register(const char* parameters, const void* configuration, const char* file,
                             unsigned long line, isc_mem_t* memory, isc_log_t* log, void* context,
                             ns_hooktable_t* hooks, void** instance) {
  static int nothing;
  static const ns_hook_t hook = {.action = on_query};
  (void)parameters, (void)configuration, (void)file, (void)line, (void)log, (void)context;
  ns_hook_add(hooks, memory, NS_QUERY_START_BEGIN, &hook);
  *instance = &nothing;
  return ISC_R_SUCCESS;
}

isc_result_t plugin_check(const char* parameters, const void* configuration, const char* file,
                          unsigned long line, isc_mem_t* memory, isc_log_t* log, void* context) {
  (void)parameters, (void)configuration, (void)file, (void)line, (void)memory, (void)log,
      (void)context;
  return ISC_R_SUCCESS;
}

void plugin_destroy(void** instance) {
  *instance = NULL;
}

int plugin_version(void) {
  return NS_PLUGIN_VERSION;
}
