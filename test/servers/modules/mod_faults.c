// Apache: /faults/NAME/good, /faults/NAME/bad and /faults/ledger.
// httpd's headers need each other in this order.
// clang-format off
#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <string.h>
// clang-format on

#include "faults.h"

module AP_MODULE_DECLARE_DATA faults_module;

static void say(void* context, const char* text) {
  request_rec* r = context;
  ap_rputs(text, r);
  ap_rflush(r);
}

static int handler(request_rec* r) {
  static const char prefix[] = "/faults/";
  if (!r->handler || strcmp(r->handler, "faults") != 0) {
    return DECLINED;
  }
  if (strncmp(r->uri, prefix, sizeof prefix - 1) != 0) {
    return HTTP_NOT_FOUND;
  }
  const char* request = r->uri + sizeof prefix - 1;
  ap_set_content_type(r, "text/plain");
  if (strcmp(request, "ledger") == 0) {
    char text[128];
    ap_rputs(faults_ledger(text, sizeof text), r);
    return OK;
  }
  const struct faults_client client = {say, r};
  switch (faults_serve(request, &client)) {
    case faults_done:
      ap_rputs("done\n", r);
      return OK;
    case faults_unknown:
      return HTTP_NOT_FOUND;
    default:
      return HTTP_INTERNAL_SERVER_ERROR;
  }
}

static void register_hooks(apr_pool_t* pool) {
  (void)pool;
  ap_hook_handler(handler, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(faults) = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks,
                             AP_MODULE_FLAG_NONE};
