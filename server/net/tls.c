/* TLS by OpenSSL, without sockets.
 *
 *   bytes from the peer ─▶ tls_stream_shake, then tls_stream_read ─▶ plain bytes
 *   plain bytes ─▶ tls_stream_write ─▶ bytes for the peer
 *
 * OpenSSL wants to read and write by itself: a BIO of our own gives it the caller's slice and takes
 * what it writes into the caller's writer, so nothing is copied on the way and a connection keeps
 * no buffers while it is idle. The HTTP port does the same inside h2o and takes only the context.
 *
 * 1.2 is the oldest version, with suites of forward secrecy and authenticated encryption only. No
 * renegotiation, no compression, no early data. A certificate that is read anew holds for
 * connections from then on; old ones keep the context they began with. A key with a passphrase is
 * refused: nobody is there to be asked. */
#include "server/net/tls.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/base/thread.h"

#include <assert.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define READ_SIZE ((size_t)16 << 10) /* of one record */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls {
    char *certificate_path, *key_path;
    struct mutex mutex; /* around: */
    SSL_CTX *context;
    _Atomic int64_t expires_at; /* seconds since the epoch; relaxed, like the counts */
    _Atomic uint64_t reloads, reload_failures, handshakes, handshake_failures;
};

struct tls_stream {
    struct tls *tls;
    SSL *ssl;
    struct slice in;    /* for the BIO, during a call */
    struct writer *out; /* likewise */
    uint8_t binding[EVP_MAX_MD_SIZE];
    unsigned binding_size;
    bool has_failed;
};

/* --- the BIO --- */

static int bio_read(BIO *bio, char *into, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t count = stream->in.size < (size_t)size ? stream->in.size : (size_t)size;
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(into, stream->in.data, count);
    stream->in = slice_of(stream->in.data + count, stream->in.size - count);
    return (int)count;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    assert(stream->out != NULL);
    writer_bytes(stream->out, bytes, (size_t)size);
    return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static _Atomic(BIO_METHOD *) bio_method;

/* One for the process; whoever is second gives theirs back. */
static const BIO_METHOD *method(void)
{
    BIO_METHOD *known = atomic_load_explicit(&bio_method, memory_order_acquire);
    if (known != NULL)
        return known;
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "freshet");
    assert(made != NULL);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    if (atomic_compare_exchange_strong_explicit(&bio_method, &known, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    BIO_meth_free(made);
    return known;
}

/* --- certificate and key --- */

static enum err complain(struct error *error, const char *path)
{
    char reason[160] = "not understood";
    unsigned long code = ERR_peek_error(); /* the first says most */
    const char *text =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    if (text != NULL)
        snprintf(reason, sizeof(reason), "%s", text);
    ERR_clear_error();
    return error_set(error, ERR_INPUT, "F0000", "cannot use %s: %s", path, reason);
}

static enum err check_file(const char *path, mode_t forbidden, mode_t forbidden_of_root,
                           struct error *error)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return error_set(error, ERR_IO, NULL, "cannot read %s: %s", path, strerror(errno));
    mode_t wrong = status.st_uid == 0 ? forbidden_of_root : forbidden;
    if ((status.st_mode & wrong) == 0)
        return OK;
    enum err err = error_set(error, ERR_INPUT, "F0000",
                             "the key %s can be read by others than its owner", path);
    error_hint(error, "chmod 0600; where it is root's, 0640 with the server's group.");
    return err;
}

static int no_passphrase(char *into, int size, int is_writing, void *context)
{
    (void)into, (void)size, (void)is_writing, (void)context;
    return -1;
}

static int64_t expiry_of(SSL_CTX *context)
{
    struct tm fields;
    const X509 *certificate = SSL_CTX_get0_certificate(context);
    return certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &fields) == 1
               ? (int64_t)timegm(&fields)
               : 0;
}

static enum err load(SSL_CTX *context, const struct tls *tls, struct error *error)
{
    enum err err = check_file(tls->certificate_path, 0, 0, error);
    if (err == OK)
        err = check_file(tls->key_path, S_IRWXG | S_IRWXO, S_IWGRP | S_IXGRP | S_IRWXO, error);
    if (err != OK)
        return err;
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(context, tls->certificate_path) != 1)
        return complain(error, tls->certificate_path);
    if (SSL_CTX_use_PrivateKey_file(context, tls->key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return complain(error, tls->key_path);
    return OK;
}

static enum err make_context(struct tls *tls, SSL_CTX **out, struct error *error)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert(context != NULL);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    int is_set = SSL_CTX_set_cipher_list(context, CIPHERS);
    assert(is_set == 1);
    (void)is_set;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    enum err err = load(context, tls, error);
    if (err != OK) {
        SSL_CTX_free(context);
        return err;
    }
    int64_t expires_at = expiry_of(context);
    if (expires_at < clock_wall_us() / 1000000)
        logger_write(LOG_WARN, "the certificate has expired path=\"%s\"", tls->certificate_path);
    atomic_store_explicit(&tls->expires_at, expires_at, memory_order_relaxed);
    *out = context;
    return OK;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_alloc(size), text, size);
}

enum err tls_open(const char *certificate_path, const char *key_path, struct tls **out,
                  struct error *error)
{
    struct tls *tls = memory_alloc_zero(sizeof(*tls));
    mutex_init(&tls->mutex);
    tls->certificate_path = copy_text(certificate_path);
    tls->key_path = copy_text(key_path);
    enum err err = make_context(tls, &tls->context, error);
    if (err != OK) {
        tls_close(tls);
        return err;
    }
    *out = tls;
    return OK;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    mutex_deinit(&tls->mutex);
    memory_free(tls->certificate_path);
    memory_free(tls->key_path);
    memory_free(tls);
}

enum err tls_reload(struct tls *tls, struct error *error)
{
    SSL_CTX *context;
    enum err err = make_context(tls, &context, error);
    atomic_fetch_add_explicit(err == OK ? &tls->reloads : &tls->reload_failures, 1,
                              memory_order_relaxed);
    if (err != OK)
        return err;
    mutex_lock(&tls->mutex);
    SSL_CTX *old = tls->context;
    tls->context = context;
    mutex_unlock(&tls->mutex);
    SSL_CTX_free(old);
    return OK;
}

struct ssl_ctx_st *tls_context(struct tls *tls)
{
    mutex_lock(&tls->mutex);
    SSL_CTX *context = tls->context;
    SSL_CTX_up_ref(context);
    mutex_unlock(&tls->mutex);
    return context;
}

void tls_context_unref(struct ssl_ctx_st *context)
{
    SSL_CTX_free(context);
}

void tls_metrics(void *context, struct writer *out)
{
    struct tls *tls = context;
    metrics_print_figure(out, "freshet_tls_certificate_expires_seconds", "gauge",
                         "When the certificate in use ends, in seconds since the epoch.",
                         (double)atomic_load_explicit(&tls->expires_at, memory_order_relaxed));
    metrics_print_family(out, "freshet_tls_reloads_total", "counter",
                         "Times that the certificate was read anew, by outcome.");
    metrics_print_sample(out, "freshet_tls_reloads_total", "outcome=\"ok\"",
                         (double)atomic_load_explicit(&tls->reloads, memory_order_relaxed));
    metrics_print_sample(out, "freshet_tls_reloads_total", "outcome=\"failed\"",
                         (double)atomic_load_explicit(&tls->reload_failures, memory_order_relaxed));
    metrics_print_family(out, "freshet_tls_handshakes_total", "counter",
                         "TLS handshakes of the PostgreSQL port, by outcome.");
    metrics_print_sample(out, "freshet_tls_handshakes_total", "outcome=\"ok\"",
                         (double)atomic_load_explicit(&tls->handshakes, memory_order_relaxed));
    metrics_print_sample(
        out, "freshet_tls_handshakes_total", "outcome=\"failed\"",
        (double)atomic_load_explicit(&tls->handshake_failures, memory_order_relaxed));
}

/* --- a connection --- */

struct tls_stream *tls_stream_create(struct tls *tls)
{
    struct tls_stream *stream = memory_alloc_zero(sizeof(*stream));
    SSL_CTX *context = tls_context(tls);
    BIO *bio = BIO_new(method());
    stream->tls = tls;
    stream->ssl = SSL_new(context);
    SSL_CTX_free(context);
    assert(stream->ssl != NULL);
    assert(bio != NULL);
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(stream->ssl, bio, bio);
    SSL_set_accept_state(stream->ssl);
    return stream;
}

void tls_stream_destroy(struct tls_stream *stream)
{
    if (stream == NULL)
        return;
    SSL_free(stream->ssl);
    memory_free(stream);
}

/* The hash that the signature of our certificate is made with; SHA-256 for those that are broken.
 */
static void find_binding(struct tls_stream *stream)
{
    int digest;
    X509 *certificate = SSL_get_certificate(stream->ssl);
    if (certificate == NULL ||
        X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) != 1 || digest == NID_undef)
        return;
    if (digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    const EVP_MD *kind = EVP_get_digestbynid(digest);
    if (kind == NULL || X509_digest(certificate, kind, stream->binding, &stream->binding_size) != 1)
        stream->binding_size = 0;
}

/* What a call of OpenSSL's ended with; its queue of errors is the thread's, and is emptied. */
static bool wants_more(struct tls_stream *stream, int result)
{
    int why = SSL_get_error(stream->ssl, result);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ;
}

enum tls_step tls_stream_shake(struct tls_stream *stream, struct slice *bytes, struct writer *out)
{
    if (stream->has_failed)
        return TLS_FAILED;
    stream->in = *bytes;
    stream->out = out;
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    enum tls_step step = result == 1                  ? TLS_OPEN
                         : wants_more(stream, result) ? TLS_MORE
                                                      : TLS_FAILED;
    *bytes = stream->in;
    stream->out = NULL;
    if (step == TLS_OPEN) {
        find_binding(stream);
        atomic_fetch_add_explicit(&stream->tls->handshakes, 1, memory_order_relaxed);
    } else if (step == TLS_FAILED) {
        stream->has_failed = true;
        atomic_fetch_add_explicit(&stream->tls->handshake_failures, 1, memory_order_relaxed);
    }
    return step;
}

bool tls_stream_read(struct tls_stream *stream, struct slice bytes, struct writer *plain,
                     struct writer *out)
{
    char piece[READ_SIZE];
    size_t count;
    if (stream->has_failed)
        return false;
    stream->in = bytes;
    stream->out = out;
    ERR_clear_error();
    int result;
    while ((result = SSL_read_ex(stream->ssl, piece, sizeof(piece), &count)) == 1)
        writer_bytes(plain, piece, count);
    stream->has_failed = !wants_more(stream, result);
    stream->out = NULL;
    return !stream->has_failed;
}

bool tls_stream_write(struct tls_stream *stream, struct slice plain, struct writer *out)
{
    size_t count;
    if (stream->has_failed)
        return false;
    if (plain.size == 0)
        return true;
    stream->out = out;
    ERR_clear_error();
    stream->has_failed =
        SSL_write_ex(stream->ssl, plain.data, plain.size, &count) != 1 || count != plain.size;
    ERR_clear_error();
    stream->out = NULL;
    return !stream->has_failed;
}

void tls_stream_end(struct tls_stream *stream, struct writer *out)
{
    if (stream->has_failed || !SSL_is_init_finished(stream->ssl))
        return;
    stream->in = slice_of("", 0);
    stream->out = out;
    ERR_clear_error();
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
    stream->out = NULL;
}

struct slice tls_stream_binding(const struct tls_stream *stream)
{
    return slice_of(stream->binding, stream->binding_size);
}
