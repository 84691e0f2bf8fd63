// SPDX-License-Identifier: Apache-2.0
// Signs and verifies with one keyed OpenSSL context, which is reset for each message.
#include "signing.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct signer {
  EVP_MAC *mac;
  EVP_MAC_CTX *context;
};

static size_t decode_secret(const char *secret, unsigned char *key, size_t room) {
  size_t count = strlen(secret);
  if (strncmp(secret, "whsec_", 6) != 0) {
    if (count > room) return 0;
    memcpy(key, secret, count);
    return count;
  }
  const char *text = secret + 6;
  count -= 6;
  if (count == 0 || count % 4 != 0 || count > 1024 || count / 4 * 3 > room) return 0;
  int decoded = EVP_DecodeBlock(key, (const unsigned char *)text, (int)count);
  if (decoded < 0) return 0;
  size_t padding = (text[count - 1] == '=') + (size_t)(text[count - 2] == '=');
  return (size_t)decoded - padding;
}

struct signer *signer_new(const char *secret) {
  unsigned char key[1024];
  size_t key_count = decode_secret(secret, key, sizeof key);
  struct signer *signer = calloc(1, sizeof *signer);
  if (!signer || key_count == 0) {
    free(signer);
    return NULL;
  }
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  signer->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
  signer->context = signer->mac ? EVP_MAC_CTX_new(signer->mac) : NULL;
  if (!signer->context || EVP_MAC_init(signer->context, key, key_count, parameters) != 1) {
    signer_free(signer);
    return NULL;
  }
  return signer;
}

void signer_free(struct signer *signer) {
  EVP_MAC_CTX_free(signer->context);
  EVP_MAC_free(signer->mac);
  free(signer);
}

static void require(int done) {
  if (done == 1) return;
  fputs("HMAC-SHA256 failed\n", stderr);
  exit(2);
}

void signer_sign(struct signer *signer, const char *id, size_t id_count, const char *timestamp,
                 size_t timestamp_count, const char *body, size_t body_count,
                 char out[SIGNATURE_SIZE]) {
  unsigned char tag[32];
  size_t tag_count = 0;
  EVP_MAC_CTX *context = signer->context;
  require(EVP_MAC_init(context, NULL, 0, NULL));
  require(EVP_MAC_update(context, (const unsigned char *)id, id_count));
  require(EVP_MAC_update(context, (const unsigned char *)".", 1));
  require(EVP_MAC_update(context, (const unsigned char *)timestamp, timestamp_count));
  require(EVP_MAC_update(context, (const unsigned char *)".", 1));
  require(EVP_MAC_update(context, (const unsigned char *)body, body_count));
  require(EVP_MAC_final(context, tag, &tag_count, sizeof tag));
  memcpy(out, "v1,", 3);
  EVP_EncodeBlock((unsigned char *)out + 3, tag, (int)tag_count);
}

bool signer_verify(struct signer *signer, const char *id, size_t id_count, const char *timestamp,
                   size_t timestamp_count, const char *body, size_t body_count,
                   const char *header, size_t header_count) {
  char expected[SIGNATURE_SIZE];
  signer_sign(signer, id, id_count, timestamp, timestamp_count, body, body_count, expected);
  size_t expected_count = strlen(expected);
  const char *end = header + header_count;
  while (header < end) {
    const char *space = memchr(header, ' ', (size_t)(end - header));
    if (!space) space = end;
    if ((size_t)(space - header) == expected_count &&
        CRYPTO_memcmp(header, expected, expected_count) == 0)
      return true;
    header = space + 1;
  }
  return false;
}
