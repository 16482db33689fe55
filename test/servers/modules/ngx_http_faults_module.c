// nginx: the directive `faults` makes a location answer /faults/NAME/good, /faults/NAME/bad and
// /faults/ledger.
#include "faults.h"

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

struct answer {
  ngx_http_request_t* request;
  ngx_flag_t header_sent;
};

static ngx_int_t send_text(struct answer* answer, const char* text, ngx_flag_t last) {
  ngx_http_request_t* r = answer->request;
  if (!answer->header_sent) {
    answer->header_sent = 1;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;
    ngx_str_set(&r->headers_out.content_type, "text/plain");
    if (ngx_http_send_header(r) != NGX_OK) {
      return NGX_ERROR;
    }
  }
  ngx_buf_t* buffer = ngx_create_temp_buf(r->pool, ngx_strlen(text));
  if (buffer == NULL) {
    return NGX_ERROR;
  }
  buffer->last = ngx_cpymem(buffer->pos, text, ngx_strlen(text));
  buffer->flush = 1;
  buffer->last_buf = last;
  ngx_chain_t chain = {buffer, NULL};
  return ngx_http_output_filter(r, &chain);
}

static void say(void* context, const char* text) {
  send_text(context, text, 0);
}

static ngx_int_t handler(ngx_http_request_t* r) {
  static const char prefix[] = "/faults/";
  char name[64] = "";
  if (r->uri.len < sizeof prefix || r->uri.len - sizeof prefix >= sizeof name - 1) {
    return NGX_HTTP_NOT_FOUND;
  }
  if (ngx_http_discard_request_body(r) != NGX_OK) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  ngx_memcpy(name, r->uri.data + sizeof prefix - 1, r->uri.len - sizeof prefix + 1);
  struct answer answer = {r, 0};
  if (ngx_strcmp(name, "ledger") == 0) {
    char text[128];
    return send_text(&answer, faults_ledger(text, sizeof text), 1);
  }
  const struct faults_client client = {say, &answer};
  switch (faults_serve(name, &client)) {
    case faults_done:
      return send_text(&answer, "done\n", 1);
    case faults_unknown:
      return NGX_HTTP_NOT_FOUND;
    default:
      return answer.header_sent ? NGX_ERROR : NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
}

static char* set_handler(ngx_conf_t* conf, ngx_command_t* command, void* context) {
  (void)command;
  (void)context;
  ngx_http_core_loc_conf_t* location =
      ngx_http_conf_get_module_loc_conf(conf, ngx_http_core_module);
  location->handler = handler;
  return NGX_CONF_OK;
}

static ngx_command_t commands[] = {
    {ngx_string("faults"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_handler, 0, 0, NULL},
    ngx_null_command};

static ngx_http_module_t context = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};

ngx_module_t ngx_http_faults_module = {NGX_MODULE_V1, &context, commands, NGX_HTTP_MODULE,
                                       NULL,          NULL,     NULL,     NULL,
                                       NULL,          NULL,     NULL,     NGX_MODULE_V1_PADDING};

// What nginx's own build writes for a dynamic module.
ngx_module_t* ngx_modules[] = {&ngx_http_faults_module, NULL};
char* ngx_module_names[] = {"ngx_http_faults_module", NULL};
char* ngx_module_order[] = {NULL};
