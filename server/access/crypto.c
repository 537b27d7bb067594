/* The primitives of access control: a thin layer over OpenSSL, so that its types and its ways to
 * fail stop in this file. What it is asked here fails only when memory ends or its library is
 * broken, and then nobody must get in: the process ends.
 *
 * Base64 is our own: OpenSSL's decoder takes white space and wrong padding, and two texts for one
 * verifier are one too many. */
#include "server/access/crypto.h"

#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool is_right, const char *what)
{
    if (is_right)
        return;
    fprintf(stderr, "freshet: OpenSSL failed in %s\n", what);
    abort();
}

void crypto_sha256(struct slice data, uint8_t out[DIGEST_SIZE])
{
    must(SHA256((const unsigned char *)data.data, data.size, out) != NULL, "SHA-256");
}

void crypto_hmac(struct slice key, struct slice data, uint8_t out[DIGEST_SIZE])
{
    unsigned size = 0;
    assert(key.size <= INT_MAX);
    must(HMAC(EVP_sha256(), key.data, (int)key.size, (const unsigned char *)data.data, data.size,
              out, &size) != NULL &&
             size == DIGEST_SIZE,
         "HMAC");
}

void crypto_pbkdf2(struct slice password, struct slice salt, uint32_t iterations,
                   uint8_t out[DIGEST_SIZE])
{
    assert(password.size <= INT_MAX);
    assert(salt.size <= INT_MAX);
    assert(iterations > 0 && iterations <= INT_MAX);
    must(PKCS5_PBKDF2_HMAC(password.data, (int)password.size, (const unsigned char *)salt.data,
                           (int)salt.size, (int)iterations, EVP_sha256(), DIGEST_SIZE, out) == 1,
         "PBKDF2");
}

void crypto_random(void *out, size_t size)
{
    assert(size <= INT_MAX);
    must(RAND_bytes(out, (int)size) == 1, "RAND");
}

bool crypto_equal(const void *a, const void *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

void crypto_wipe(void *data, size_t size)
{
    OPENSSL_cleanse(data, size);
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_print(const void *data, size_t size, char *out)
{
    const uint8_t *bytes = data;
    for (size_t at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t group = (uint32_t)bytes[at] << 16 | (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) |
                         (left > 2 ? bytes[at + 2] : 0);
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *out++ = left > 2 ? alphabet[group & 63] : '=';
    }
    *out = 0;
}

static int value_of(char c)
{
    const char *found = c == 0 ? NULL : strchr(alphabet, c);
    return found == NULL ? -1 : (int)(found - alphabet);
}

bool base64_parse(struct slice text, void *out, size_t size_max, size_t *size)
{
    uint8_t *bytes = out;
    *size = 0;
    if (text.size % 4 != 0)
        return false;
    for (size_t at = 0; at < text.size; at += 4) {
        const char *group = text.data + at;
        bool is_last = at + 4 == text.size;
        size_t padding = !is_last || group[3] != '=' ? 0 : group[2] != '=' ? 1 : 2;
        uint32_t value = 0;
        for (size_t i = 0; i < 4; i++) {
            int digit = i + padding >= 4 ? 0 : value_of(group[i]);
            if (digit < 0)
                return false;
            value = value << 6 | (uint32_t)digit;
        }
        size_t count = 3 - padding;
        bool is_canonical = (value & ((1u << (8 * padding)) - 1)) == 0;
        if (!is_canonical || count > size_max - *size)
            return false;
        for (size_t i = 0; i < count; i++)
            bytes[(*size)++] = (uint8_t)(value >> (16 - 8 * i));
    }
    return true;
}
