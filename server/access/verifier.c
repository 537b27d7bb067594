/* Verifiers: SCRAM-SHA-256's stored and server key (RFC 5802 section 3, RFC 7677), in memory and in
 * PostgreSQL's text form, so that a role can be carried over from there and back. */
#include "server/access/verifier.h"

#include "server/access/crypto.h"
#include "storage/base/number.h"

#include <assert.h>
#include <stdio.h>

#define MECHANISM "SCRAM-SHA-256"

static_assert(KEY_SIZE == DIGEST_SIZE, "a key is a digest");

void verifier_derive(struct slice password, const uint8_t *salt, size_t salt_size,
                     uint32_t iterations, struct verifier *out)
{
    uint8_t salted[DIGEST_SIZE], client_key[DIGEST_SIZE];
    assert(salt_size <= SALT_SIZE_MAX);
    *out = (struct verifier){.iterations = iterations, .salt_size = (uint32_t)salt_size};
    memcpy(out->salt, salt, salt_size);
    crypto_pbkdf2(password, slice_of(salt, salt_size), iterations, salted);
    crypto_hmac(slice_of(salted, sizeof(salted)), SLICE("Client Key"), client_key);
    crypto_sha256(slice_of(client_key, sizeof(client_key)), out->stored_key);
    crypto_hmac(slice_of(salted, sizeof(salted)), SLICE("Server Key"), out->server_key);
    crypto_wipe(salted, sizeof(salted));
    crypto_wipe(client_key, sizeof(client_key));
}

void verifier_make(struct slice password, struct verifier *out)
{
    uint8_t salt[SALT_SIZE];
    crypto_random(salt, sizeof(salt));
    verifier_derive(password, salt, sizeof(salt), VERIFIER_ITERATIONS, out);
}

/* As an older PostgreSQL keeps passwords: as a password of ours it would be nobody's. */
static bool is_md5(struct slice text)
{
    bool is_hex = text.size == 35 && slice_starts_with(text, SLICE("md5"));
    for (size_t i = 3; is_hex && i < text.size; i++)
        is_hex = (text.data[i] >= '0' && text.data[i] <= '9') ||
                 (text.data[i] >= 'a' && text.data[i] <= 'f');
    return is_hex;
}

enum err verifier_take(struct slice text, struct verifier *out, struct error *error)
{
    if (verifier_parse(text, out))
        return OK;
    if (slice_starts_with(text, SLICE(MECHANISM "$")))
        return error_set(error, ERR_INPUT, "22023",
                         "the verifier is damaged, or not of %d to %d iterations",
                         VERIFIER_ITERATIONS_MIN, VERIFIER_ITERATIONS_MAX);
    if (is_md5(text))
        return error_set(error, ERR_UNSUPPORTED, "0A000", "MD5 passwords are not supported");
    enum err result = password_check(text, error);
    if (result == OK)
        verifier_make(text, out);
    return result;
}

/* The iterations that one of fewer has not are done all the same, or a name that is known could be
 * told by its time. */
bool verifier_matches(const struct verifier *verifier, struct slice password)
{
    struct verifier given;
    uint8_t idle[DIGEST_SIZE];
    if (verifier->iterations < VERIFIER_ITERATIONS)
        crypto_pbkdf2(password, slice_of(verifier->salt, verifier->salt_size),
                      VERIFIER_ITERATIONS - verifier->iterations, idle);
    verifier_derive(password, verifier->salt, verifier->salt_size, verifier->iterations, &given);
    bool is_equal = crypto_equal(given.stored_key, verifier->stored_key, KEY_SIZE);
    crypto_wipe(&given, sizeof(given));
    crypto_wipe(idle, sizeof(idle));
    return is_equal;
}

void verifier_print(const struct verifier *verifier, char out[VERIFIER_TEXT_MAX])
{
    char salt[SALT_SIZE_MAX * 2], stored_key[KEY_SIZE * 2], server_key[KEY_SIZE * 2];
    base64_print(verifier->salt, verifier->salt_size, salt);
    base64_print(verifier->stored_key, KEY_SIZE, stored_key);
    base64_print(verifier->server_key, KEY_SIZE, server_key);
    int size = snprintf(out, VERIFIER_TEXT_MAX, MECHANISM "$%u:%s$%s:%s",
                        (unsigned)verifier->iterations, salt, stored_key, server_key);
    assert(size > 0 && size < VERIFIER_TEXT_MAX);
    (void)size;
}

/* The text up to `end`, and *rest what is behind it. False: there is no `end`. */
static bool cut(struct slice *rest, char end, struct slice *out)
{
    const char *found = rest->size == 0 ? NULL : memchr(rest->data, end, rest->size);
    if (found == NULL)
        return false;
    *out = slice_of(rest->data, (size_t)(found - rest->data));
    *rest = slice_of(found + 1, rest->size - out->size - 1);
    return true;
}

static bool parse_key(struct slice text, uint8_t out[KEY_SIZE])
{
    size_t size;
    return base64_parse(text, out, KEY_SIZE, &size) && size == KEY_SIZE;
}

bool verifier_parse(struct slice text, struct verifier *out)
{
    struct slice mechanism, iterations, salt, stored_key;
    int64_t count;
    size_t salt_size;
    *out = (struct verifier){0};
    if (!cut(&text, '$', &mechanism) || !slice_equal(mechanism, SLICE(MECHANISM)) ||
        !cut(&text, ':', &iterations) || !cut(&text, '$', &salt) || !cut(&text, ':', &stored_key))
        return false;
    if (iterations.size == 0 || iterations.data[0] < '1' || iterations.data[0] > '9' ||
        int_parse(iterations, VERIFIER_ITERATIONS_MIN, VERIFIER_ITERATIONS_MAX, "integer", &count,
                  NULL) != OK ||
        !base64_parse(salt, out->salt, SALT_SIZE_MAX, &salt_size) || salt_size == 0)
        return false;
    out->iterations = (uint32_t)count;
    out->salt_size = (uint32_t)salt_size;
    return parse_key(stored_key, out->stored_key) && parse_key(text, out->server_key);
}
