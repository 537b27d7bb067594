/* SCRAM (RFC 5802) with SHA-256 (RFC 7677) and channel binding by the hash of the server's
 * certificate (RFC 5929), as a machine of two steps.
 *
 *   client: <gs2-header>n=…,r=<nonce>              header: n,, | y,, | p=tls-server-end-point,,
 *   server: r=<nonce><ours>,s=<salt>,i=<rounds>
 *   client: c=<header and binding>,r=<both nonces>,p=<proof>
 *   server: v=<signature>
 *
 * The exchange is the same whether there is a role and whether its password is right: only the end
 * of the second step tells, and whoever is nobody has a verifier that nothing matches. What is
 * malformed is told as that, which depends on the client's bytes alone. */
#include "server/access/scram.h"

#include "server/access/crypto.h"

#include <assert.h>

#define BINDING_TYPE "tls-server-end-point"

static enum err wrong(struct error *error, const char *what)
{
    return error_set(error, ERR_INPUT, "08P01", "malformed SCRAM message: %s", what);
}

static void make_nonce(char out[SCRAM_NONCE_SIZE + 1])
{
    uint8_t bytes[SCRAM_NONCE_SIZE / 4 * 3];
    crypto_random(bytes, sizeof(bytes));
    base64_print(bytes, sizeof(bytes), out);
}

void scram_init(struct scram *scram, const struct verifier *verifier, struct slice binding,
                const char *nonce)
{
    *scram = (struct scram){.verifier = *verifier};
    assert(binding.size <= SCRAM_BINDING_MAX);
    if (binding.size > 0)
        memcpy(scram->binding, binding.data, binding.size);
    scram->binding_size = binding.size;
    if (nonce == NULL) {
        make_nonce(scram->nonce);
    } else {
        assert(strlen(nonce) <= SCRAM_NONCE_MAX);
        memcpy(scram->nonce, nonce, strlen(nonce));
    }
    writer_init(&scram->header);
    writer_init(&scram->bare);
    writer_init(&scram->server);
}

void scram_deinit(struct scram *scram)
{
    writer_deinit(&scram->header);
    writer_deinit(&scram->bare);
    writer_deinit(&scram->server);
    crypto_wipe(scram, sizeof(*scram));
}

const char *const *scram_mechanisms(struct slice binding)
{
    static const char *const names[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", NULL};
    return binding.size > 0 ? names : names + 1;
}

/* The attribute `name=` up to the comma, which is taken too. False: it does not stand there. */
static bool take(struct slice *rest, char name, struct slice *out)
{
    if (rest->size < 2 || rest->data[0] != name || rest->data[1] != '=')
        return false;
    const char *comma = memchr(rest->data, ',', rest->size);
    size_t size = comma == NULL ? rest->size : (size_t)(comma - rest->data);
    *out = slice_of(rest->data + 2, size - 2);
    size_t used = comma == NULL ? size : size + 1;
    *rest = slice_of(rest->data + used, rest->size - used);
    return true;
}

static bool is_nonce(struct slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) /* printable; commas end it */
            return false;
    return text.size > 0;
}

/* --- the first step --- */

/* Up to the first comma: whether and how the client binds. */
static enum err check_flag(struct scram *scram, struct slice flag, bool is_plus,
                           struct error *error)
{
    bool may_bind = scram->binding_size > 0;
    if (flag.size > 2 && flag.data[0] == 'p' && flag.data[1] == '=') {
        if (!is_plus)
            return wrong(error, "channel binding without SCRAM-SHA-256-PLUS");
        if (!slice_equal(flag, SLICE("p=" BINDING_TYPE)))
            return error_set(error, ERR_UNSUPPORTED, "0A000",
                             "unsupported SCRAM channel-binding type");
        scram->is_bound = true;
        return OK;
    }
    if (flag.size != 1 || (flag.data[0] != 'n' && flag.data[0] != 'y'))
        return wrong(error, "no channel-binding flag");
    if (is_plus)
        return wrong(error, "SCRAM-SHA-256-PLUS without channel binding");
    if (flag.data[0] == 'y' && may_bind)
        return error_set(error, ERR_INPUT, "28000",
                         "SCRAM channel binding negotiation error: the client could bind and was "
                         "not told that the server can");
    return OK;
}

/* gs2-header: the flag, an identity to act as (none is taken), and what is behind them. */
static enum err read_header(struct scram *scram, struct slice message, bool is_plus,
                            struct slice *bare, struct error *error)
{
    const char *comma = memchr(message.data, ',', message.size);
    if (comma == NULL)
        return wrong(error, "it ends too early");
    size_t flag_size = (size_t)(comma - message.data);
    enum err result = check_flag(scram, slice_of(message.data, flag_size), is_plus, error);
    if (result != OK)
        return result;
    struct slice rest = slice_of(comma + 1, message.size - flag_size - 1);
    if (rest.size > 0 && rest.data[0] == 'a')
        return error_set(error, ERR_UNSUPPORTED, "0A000", "an identity to act as is not supported");
    if (rest.size == 0 || rest.data[0] != ',')
        return wrong(error, "no comma behind the channel-binding flag");
    writer_slice(&scram->header, slice_of(message.data, flag_size + 2));
    *bare = slice_of(rest.data + 1, rest.size - 1);
    return OK;
}

enum err scram_first(struct scram *scram, struct slice mechanism, struct slice message,
                     struct writer *out, struct error *error)
{
    bool is_plus = slice_equal(mechanism, SLICE("SCRAM-SHA-256-PLUS"));
    struct slice rest, name, nonce, bare;
    char salt[SALT_SIZE_MAX * 2];
    if (scram->state != SCRAM_FIRST)
        return wrong(error, "out of turn");
    if (!slice_equal(mechanism, SLICE("SCRAM-SHA-256")) && !(is_plus && scram->binding_size > 0))
        return error_set(error, ERR_INPUT, "08P01",
                         "the client chose an authentication mechanism that was not offered");
    if (message.size > SCRAM_MESSAGE_MAX || memchr(message.data, 0, message.size) != NULL)
        return wrong(error, "its size");
    enum err result = read_header(scram, message, is_plus, &bare, error);
    if (result != OK)
        return result;
    rest = bare;
    if (rest.size > 1 && rest.data[0] == 'm' && rest.data[1] == '=')
        return error_set(error, ERR_UNSUPPORTED, "0A000", "a SCRAM extension is not supported");
    if (!take(&rest, 'n', &name) || !take(&rest, 'r', &nonce) || !is_nonce(nonce))
        return wrong(error, "name or nonce");
    writer_slice(&scram->bare, bare);
    base64_print(scram->verifier.salt, scram->verifier.salt_size, salt);
    writer_printf(&scram->server, "r=%.*s%s,s=%s,i=%u", SLICE_ARGS(nonce), scram->nonce, salt,
                  (unsigned)scram->verifier.iterations);
    writer_slice(out, writer_as_slice(&scram->server));
    scram->state = SCRAM_FINAL;
    return OK;
}

/* --- the second step --- */

/* What `c=` must be: the header as it was sent, and the certificate's hash if the client binds. */
static bool is_binding_right(const struct scram *scram, struct slice given)
{
    uint8_t bytes[SCRAM_MESSAGE_MAX];
    size_t size, binding_size = scram->is_bound ? scram->binding_size : 0;
    if (!base64_parse(given, bytes, sizeof(bytes), &size) ||
        size != scram->header.size + binding_size)
        return false;
    return memcmp(bytes, scram->header.data, scram->header.size) == 0 &&
           memcmp(bytes + scram->header.size, scram->binding, binding_size) == 0;
}

/* Both nonces, the client's first. */
static bool is_nonce_right(const struct scram *scram, struct slice given)
{
    struct slice server = writer_as_slice(&scram->server), both;
    return take(&server, 'r', &both) && slice_equal(both, given);
}

static void sign(const struct scram *scram, const uint8_t *key, struct slice without_proof,
                 uint8_t out[DIGEST_SIZE])
{
    struct writer message;
    writer_init(&message);
    writer_slice(&message, writer_as_slice(&scram->bare));
    writer_u8(&message, ',');
    writer_slice(&message, writer_as_slice(&scram->server));
    writer_u8(&message, ',');
    writer_slice(&message, without_proof);
    crypto_hmac(slice_of(key, KEY_SIZE), writer_as_slice(&message), out);
    writer_deinit(&message);
}

static bool is_proof_right(const struct scram *scram, const uint8_t *proof,
                           struct slice without_proof)
{
    uint8_t key[DIGEST_SIZE], stored[DIGEST_SIZE];
    sign(scram, scram->verifier.stored_key, without_proof, key);
    for (size_t i = 0; i < KEY_SIZE; i++)
        key[i] ^= proof[i];
    crypto_sha256(slice_of(key, sizeof(key)), stored);
    crypto_wipe(key, sizeof(key));
    return crypto_equal(stored, scram->verifier.stored_key, KEY_SIZE);
}

enum err scram_final(struct scram *scram, struct slice message, bool *is_right, struct writer *out,
                     struct error *error)
{
    struct slice rest = message, binding, nonce, proof_text;
    uint8_t proof[KEY_SIZE], signature[DIGEST_SIZE];
    char text[2 * DIGEST_SIZE];
    size_t size;
    *is_right = false;
    if (scram->state != SCRAM_FINAL)
        return wrong(error, "out of turn");
    scram->state = SCRAM_DONE;
    if (message.size > SCRAM_MESSAGE_MAX || !take(&rest, 'c', &binding) ||
        !take(&rest, 'r', &nonce))
        return wrong(error, "binding or nonce");
    while (rest.size > 1 && rest.data[0] != 'p' && take(&rest, rest.data[0], &proof_text))
        continue; /* extensions that need not be known */
    size_t proof_at = message.size - rest.size;
    if (!take(&rest, 'p', &proof_text) || rest.size > 0 ||
        !base64_parse(proof_text, proof, sizeof(proof), &size) || size != KEY_SIZE)
        return wrong(error, "proof");
    if (!is_binding_right(scram, binding))
        return error_set(error, ERR_INPUT, "28000", "SCRAM channel binding check failed");
    if (!is_nonce_right(scram, nonce))
        return wrong(error, "the nonce is not the one that was sent");
    struct slice without_proof = slice_of(message.data, proof_at - 1);
    *is_right = is_proof_right(scram, proof, without_proof);
    sign(scram, scram->verifier.server_key, without_proof, signature);
    base64_print(signature, sizeof(signature), text);
    if (*is_right)
        writer_printf(out, "v=%s", text);
    return OK;
}
