/* What is kept of a password: enough to check it, by SCRAM or as plain text, and not to say it. */
#ifndef FRESHET_SERVER_ACCESS_VERIFIER_H
#define FRESHET_SERVER_ACCESS_VERIFIER_H

#include "storage/base/error.h"
#include "storage/base/slice.h"

#define KEY_SIZE 32 /* SHA-256 */
#define SALT_SIZE 16
#define SALT_SIZE_MAX 64
#define VERIFIER_ITERATIONS 16384 /* of new ones; PostgreSQL's default is 4096, the least taken */
#define VERIFIER_ITERATIONS_MIN 4096
#define VERIFIER_ITERATIONS_MAX 100000 /* each wrong plain password makes the server do them */
#define VERIFIER_TEXT_MAX 256
#define PASSWORD_SIZE_MAX ((size_t)1024)

struct verifier {
    uint32_t iterations;
    uint32_t salt_size;
    uint8_t salt[SALT_SIZE_MAX];
    uint8_t stored_key[KEY_SIZE]; /* SHA-256 of the client's key */
    uint8_t server_key[KEY_SIZE];
};

/* Whether the password can be one: 1 to 1,024 bytes of valid UTF-8 without NUL, of characters that
 * SASLprep (RFC 4013) leaves as they are, so that every client derives the same keys. 22023. */
MUST_CHECK enum err password_check(struct slice password, struct error *error);
/* Of a password, or the verifier that another server made of one, in its text form. 22023: neither,
 * and what looks like a verifier but is not one that is taken is no password either; 0A000: MD5. */
MUST_CHECK enum err verifier_take(struct slice text, struct verifier *out, struct error *error);
/* With a fresh salt. */
void verifier_make(struct slice password, struct verifier *out);
/* With a given one. */
void verifier_derive(struct slice password, const uint8_t *salt, size_t salt_size,
                     uint32_t iterations, struct verifier *out);
/* Takes at least as long as making one, whatever its iterations. */
bool verifier_matches(const struct verifier *verifier, struct slice password);
/* PostgreSQL's text form, SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>. */
void verifier_print(const struct verifier *verifier, char out[VERIFIER_TEXT_MAX]);
/* False: it is not one, or asks for too few or too many iterations. */
bool verifier_parse(struct slice text, struct verifier *out);

#endif
