// What decides about access is not healed by a guess.
//
// A function that answers "may he in?" has an error value like any other, but a wrong guess at it
// opens the door: for many of them 0 means yes. They are told by their names, and where they live:
// libraries whose business is authentication or the checking of signatures; and, where there are no
// names, by the checks of such libraries that they call (lib/recover/access.h). For these only a
// value that somebody set (`selfheal set`, `selfheal learn --set`, a rule) is returned; else the
// fault ends the process, as it always did. Too wide a net costs a heal, too narrow a one a
// break-in.
#include "lib/store/rules.h"

namespace selfheal::store {
namespace {

constexpr void copy(const char* from, char* to) {
  while (*from != '\0') {
    *to++ = *from++;
  }
}

consteval Rule of_function(const char* pattern) {
  Rule rule{};
  copy(pattern, rule.function);
  rule.mode = RuleMode::known_value;
  return rule;
}

consteval Rule of_module(const char* pattern) {
  Rule rule{};
  copy(pattern, rule.module);
  rule.mode = RuleMode::known_value;
  return rule;
}

constexpr Rule rules[] = {
    of_function("*auth*"),          of_function("*verif*"),      of_function("*passw*"),
    of_function("*passphrase*"),    of_function("*credential*"), of_function("*signature*"),
    of_function("*permission*"),    of_function("*permitted*"),  of_function("*access_check*"),
    of_function("*check_access*"),  of_function("*privilege*"),  of_function("*login*"),
    of_function("*allowed*"),       of_function("*trusted*"),    of_function("*x509*"),
    of_function("*certificate*"),   of_function("*hmac*"),       of_function("*timingsafe*"),
    of_function("*constant_time*"), of_function("crypt*"),       of_function("*_acl_*"),
    of_function("*acl_check*"),     of_function("pam_*"),        of_module("pam_*.so"),
    of_module("libpam*.so*"),       of_module("libnss_*.so*"),   of_module("libcrypt.so*"),
    of_module("libcrypto.so*"),     of_module("libssl.so*"),     of_module("libgnutls.so*"),
    of_module("libnettle.so*"),     of_module("libhogweed.so*"), of_module("libsodium.so*"),
    of_module("libgcrypt.so*"),     of_module("libkrb5*.so*"),   of_module("libgssapi*.so*"),
    of_module("libsasl2.so*"),      of_module("libpolkit*.so*"), of_module("sudoers.so"),
    of_module("libselinux.so*"),
};

}  // namespace

std::span<const Rule> built_in_rules() {
  return rules;
}

}  // namespace selfheal::store
