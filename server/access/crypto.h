/* The primitives of access control, all of them OpenSSL's. */
#ifndef FRESHET_SERVER_ACCESS_CRYPTO_H
#define FRESHET_SERVER_ACCESS_CRYPTO_H

#include "storage/base/slice.h"

#define DIGEST_SIZE 32 /* SHA-256 */

void crypto_sha256(struct slice data, uint8_t out[DIGEST_SIZE]);
void crypto_hmac(struct slice key, struct slice data, uint8_t out[DIGEST_SIZE]);
/* PBKDF2 with HMAC-SHA-256. */
void crypto_pbkdf2(struct slice password, struct slice salt, uint32_t iterations,
                   uint8_t out[DIGEST_SIZE]);
void crypto_random(void *out, size_t size);
/* In a time that depends on the size alone. */
bool crypto_equal(const void *a, const void *b, size_t size);
void crypto_wipe(void *data, size_t size);

/* Base64 with padding (RFC 4648 section 4): `out` has room for (size + 2) / 3 * 4 + 1, ended by 0.
 */
void base64_print(const void *data, size_t size, char *out);
/* Only the canonical form. False: it is not, or has more than size_max bytes. */
bool base64_parse(struct slice text, void *out, size_t size_max, size_t *size);

#endif
