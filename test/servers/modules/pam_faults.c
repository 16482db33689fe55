// PAM: the user NAME/good or NAME/bad (with '.' for '/') is served before any password is looked
// at. Runs in sshd's monitor for passwords, and in a process of its own for keyboard-interactive.
#define PAM_SM_AUTH
#include "faults.h"

#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

static void say(void* context, const char* text) {
  pam_info(context, "%s", text);
}

int pam_sm_authenticate(pam_handle_t* pam, int flags, int argc, const char** argv) {
  static const char prefix[] = "pam-";
  const char* user = NULL;
  (void)flags, (void)argc, (void)argv;
  if (pam_get_user(pam, &user, NULL) != PAM_SUCCESS ||
      strncmp(user, prefix, sizeof prefix - 1) != 0) {
    return PAM_IGNORE;
  }
  char request[64];
  snprintf(request, sizeof request, "%s", user + sizeof prefix - 1);
  char* dot = strrchr(request, '.');
  if (dot != NULL) {
    *dot = '/';
  }
  const struct faults_client client = {say, pam};
  return faults_serve(request, &client) == faults_done ? PAM_IGNORE : PAM_SYSTEM_ERR;
}

int pam_sm_setcred(pam_handle_t* pam, int flags, int argc, const char** argv) {
  (void)pam, (void)flags, (void)argc, (void)argv;
  return PAM_IGNORE;
}
