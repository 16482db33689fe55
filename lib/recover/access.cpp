#include "lib/recover/access.h"

#include <cstring>

#include "lib/image/symbols.h"
#include "lib/recover/imports.h"

namespace selfheal::recover {
namespace {

constexpr unsigned deepest = 3;           // calls from the function to the library's
constexpr unsigned most_functions = 400;  // looked at
constexpr unsigned most_instructions = 60'000;

// Those whose answer is the verdict: libcrypt, PAM, OpenSSL, GnuTLS, NSS, GSSAPI, Kerberos,
// libsodium, SASL, APR, libc, tcp_wrappers.
constexpr const char* checks[] = {
    "crypt",
    "crypt_r",
    "crypt_rn",
    "crypt_ra",
    "crypt_checksalt",
    "pam_authenticate",
    "pam_acct_mgmt",
    "pam_chauthtok",
    "CRYPTO_memcmp",
    "timingsafe_bcmp",
    "timingsafe_memcmp",
    "consttime_memequal",
    "EVP_DigestVerify",
    "EVP_DigestVerifyFinal",
    "EVP_VerifyFinal",
    "EVP_VerifyFinal_ex",
    "EVP_PKEY_verify",
    "EVP_PKEY_verify_recover",
    "RSA_verify",
    "RSA_public_decrypt",
    "DSA_verify",
    "DSA_do_verify",
    "ECDSA_verify",
    "ECDSA_do_verify",
    "HMAC_Verify",
    "X509_verify",
    "X509_verify_cert",
    "X509_check_host",
    "PKCS7_verify",
    "CMS_verify",
    "OCSP_basic_verify",
    "gnutls_pubkey_verify_data2",
    "gnutls_pubkey_verify_hash2",
    "gnutls_certificate_verify_peers2",
    "gnutls_certificate_verify_peers3",
    "gnutls_x509_crt_verify",
    "VFY_VerifyData",
    "VFY_VerifyDigest",
    "gss_accept_sec_context",
    "gss_userok",
    "gss_verify_mic",
    "krb5_verify_user",
    "krb5_verify_init_creds",
    "krb5_kuserok",
    "crypto_sign_verify_detached",
    "crypto_sign_open",
    "crypto_auth_verify",
    "crypto_pwhash_str_verify",
    "sodium_memcmp",
    "sasl_checkpass",
    "sasl_server_step",
    "apr_password_validate",
    "getspnam",
    "getspnam_r",
    "ruserok",
    "ruserok_af",
    "iruserok",
    "hosts_access",
    "hosts_ctl",
};

// Breadth first, so that each function is met at its least depth.
class Search {
 public:
  Search(const ImageView& image, const image::Module& module)
      : image_(image), module_(module), walk_(image, most_instructions) {}

  bool from(const image::Function& function) {
    add(function.start, 0);
    for (unsigned next = 0; next < count_; ++next) {
      image::Function each{};
      if (image_.find_part(image_.context, module_, found_[next].start, each) &&
          calls_check(each, found_[next].depth)) {
        return true;
      }
    }
    return false;
  }

 private:
  struct Found {
    u64 start;
    unsigned depth;
  };

  void add(u64 start, unsigned depth) {
    for (unsigned i = 0; i < count_; ++i) {
      if (found_[i].start == start) {
        return;
      }
    }
    if (count_ < most_functions) {
      found_[count_++] = {start, depth};
    }
  }

  bool is_check(u64 slot) const {
    const char* name = slot == 0 ? nullptr : image::import_at(module_, slot);
    return name != nullptr && checks_credentials(name);
  }

  bool calls_check(const image::Function& function, unsigned depth) {
    for (u64 at = function.start; at < function.end() && walk_.fetch(at); at = walk_.next()) {
      const bool leads_away =
          walk_.category() == ZYDIS_CATEGORY_CALL || walk_.category() == ZYDIS_CATEGORY_UNCOND_BR;
      if (!leads_away) {
        continue;
      }
      if (is_check(walk_.through_slot())) {
        return true;
      }
      const u64 target = walk_.target();
      if (target == 0 || function.holds(target)) {
        continue;
      }
      if (const u64 slot = slot_of_stub(image_, target); slot != 0) {
        if (is_check(slot)) {
          return true;
        }
      } else if (depth < deepest) {
        add(target, depth + 1);
      }
    }
    return false;
  }

  const ImageView& image_;
  const image::Module& module_;
  CodeWalk walk_;
  Found found_[most_functions] = {};
  unsigned count_ = 0;
};

}  // namespace

bool checks_credentials(const char* name) {
  for (const char* check : checks) {
    if (std::strcmp(check, name) == 0) {
      return true;
    }
  }
  return false;
}

bool asks_about_access(const ImageView& image, const image::Module& module,
                       const image::Function& function) {
  return Search(image, module).from(function);
}

}  // namespace selfheal::recover
