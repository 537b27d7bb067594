/* TLS of the command line's requests, by OpenSSL over the socket itself: the client waits for one
 * thing at a time, so nothing need be taken apart as in net/tls.c. An unknown certificate is an
 * error; there is no switch to go on all the same. */
#include "server/client/secure.h"

#include "storage/base/arena.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

struct secure {
    SSL_CTX *context;
    SSL *ssl;
};

static enum err complain(const struct secure *secure, const char *host, struct error *error)
{
    long verdict = SSL_get_verify_result(secure->ssl);
    unsigned long code = ERR_peek_error();
    const char *reason = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict)
                         : code != 0          ? ERR_reason_error_string(code)
                                              : "the connection ended";
    ERR_clear_error();
    enum err err = error_set(error, ERR_IO, NULL, "cannot trust %.200s: %s", host,
                             reason == NULL ? "TLS failed" : reason);
    if (verdict != X509_V_OK)
        error_hint(error, "SSL_CERT_FILE in the environment names the certificates to trust.");
    return err;
}

static bool set_host(SSL *ssl, const char *host)
{
    struct in6_addr address;
    if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum err secure_open(int fd, const char *host, struct secure **out, struct error *error)
{
    struct secure *secure = memory_alloc_zero(sizeof(*secure));
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL; the answer may be there */
    ERR_clear_error();
    secure->context = SSL_CTX_new(TLS_client_method());
    if (secure->context != NULL && SSL_CTX_set_default_verify_paths(secure->context) == 1 &&
        SSL_CTX_set_min_proto_version(secure->context, TLS1_2_VERSION) == 1)
        secure->ssl = SSL_new(secure->context);
    if (secure->ssl == NULL) {
        secure_close(secure);
        return error_set(error, ERR_IO, NULL, "TLS cannot be used here");
    }
    SSL_set_mode(secure->ssl, SSL_MODE_AUTO_RETRY);
    SSL_set_verify(secure->ssl, SSL_VERIFY_PEER, NULL);
    if (!set_host(secure->ssl, host) || SSL_set_fd(secure->ssl, fd) != 1 ||
        SSL_connect(secure->ssl) != 1) {
        enum err err = complain(secure, host, error);
        secure_close(secure);
        return err;
    }
    *out = secure;
    return OK;
}

void secure_close(struct secure *secure)
{
    if (secure == NULL)
        return;
    SSL_free(secure->ssl);
    SSL_CTX_free(secure->context);
    memory_free(secure);
}

/* The cause of a call's failure, in errno. */
static ssize_t fail(const struct secure *secure, int result)
{
    int why = SSL_get_error(secure->ssl, result);
    ERR_clear_error();
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        errno = EAGAIN; /* the socket's time is over */
    else if (why != SSL_ERROR_SYSCALL || errno == 0)
        errno = EPROTO;
    return -1;
}

ssize_t secure_send(struct secure *secure, struct slice bytes)
{
    size_t sent;
    ERR_clear_error();
    errno = 0;
    int result = bytes.size == 0 ? 1 : SSL_write_ex(secure->ssl, bytes.data, bytes.size, &sent);
    if (result == 1)
        return (ssize_t)bytes.size;
    return fail(secure, result) == 0 ? (errno = EPIPE, -1) : -1;
}

ssize_t secure_receive(struct secure *secure, char *into, size_t size)
{
    size_t got;
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(secure->ssl, into, size, &got);
    return result == 1 ? (ssize_t)got : fail(secure, result);
}
