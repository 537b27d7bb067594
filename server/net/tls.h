/* TLS: the certificate of both ports, and the encryption of one connection, bytes to bytes. */
#ifndef FRESHET_SERVER_NET_TLS_H
#define FRESHET_SERVER_NET_TLS_H

#include "storage/base/bytes.h"
#include "storage/base/error.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX, for h2o */
struct tls;
struct tls_stream;

/* Reads both files (PEM; the certificate with the chain behind it). ERR_IO, ERR_INPUT. Others than
 * the owner, and root's group, must not be able to read the key. */
MUST_CHECK enum err tls_open(const char *certificate_path, const char *key_path, struct tls **out,
                             struct error *error);
/* No connection uses it any more. NULL is nothing. */
void tls_close(struct tls *tls);
/* Reads them anew, for connections from now on; when that fails the old ones stay. Any thread. */
MUST_CHECK enum err tls_reload(struct tls *tls, struct error *error);
/* What new connections are to use; the caller gives it back. Any thread. */
struct ssl_ctx_st *tls_context(struct tls *tls);
void tls_context_unref(struct ssl_ctx_st *context);
/* Families of /metrics. Any thread. */
void tls_metrics(void *tls, struct writer *out);

/* --- one connection, the server's end; one thread at a time --- */

enum tls_step {
    TLS_MORE, /* the handshake wants more bytes */
    TLS_OPEN,
    TLS_FAILED
};

struct tls_stream *tls_stream_create(struct tls *tls);
void tls_stream_destroy(struct tls_stream *stream);
/* Goes on with the handshake. *bytes is what the peer sent, and then what is left of it for
 * tls_stream_read(); what is to be sent is appended to `out`, after a failure too. */
enum tls_step tls_stream_shake(struct tls_stream *stream, struct slice *bytes, struct writer *out);
/* Takes all of the peer's bytes and appends what they say. False: it has ended, or broken the
 * protocol; what came before that is there. */
bool tls_stream_read(struct tls_stream *stream, struct slice bytes, struct writer *plain,
                     struct writer *out);
/* False: it has failed. */
bool tls_stream_write(struct tls_stream *stream, struct slice plain, struct writer *out);
/* Says that nothing follows. */
void tls_stream_end(struct tls_stream *stream, struct writer *out);
/* The hash of our certificate (tls-server-end-point, RFC 5929), as long as the stream; empty where
 * its signature has none. */
struct slice tls_stream_binding(const struct tls_stream *stream);

#endif
