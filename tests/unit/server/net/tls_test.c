/* TLS without sockets: a client of OpenSSL's on the other side, in pieces of every size, and
 * certificates that are right, wrong and changed. */
#include "server/net/tls.h"

#include "storage/base/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/freshet-tls-XXXXXX";
static char certificate_path[64], key_path[64];

static void write_pair(const EVP_MD *digest, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 7);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    assert_true(X509_sign(certificate, key, digest) > 0);
    FILE *file = fopen(certificate_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
    file = fopen(key_path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
    assert_int_equal(chmod(key_path, 0600), 0);
    X509_free(certificate);
}

static void make_pair(const EVP_MD *digest)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    assert_non_null(key);
    write_pair(digest, key);
    EVP_PKEY_free(key);
}

struct peer {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
};

static void peer_open(struct peer *peer, int version_max)
{
    peer->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(peer->context, version_max);
    peer->ssl = SSL_new(peer->context);
    peer->in = BIO_new(BIO_s_mem());
    peer->out = BIO_new(BIO_s_mem());
    SSL_set_bio(peer->ssl, peer->in, peer->out);
    SSL_set_connect_state(peer->ssl);
}

static void peer_close(struct peer *peer)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->context);
}

/* What the peer has to send. */
static struct slice peer_bytes(struct peer *peer, char *buffer, size_t size)
{
    int got = BIO_read(peer->out, buffer, (int)size);
    return slice_of(buffer, got < 0 ? 0 : (size_t)got);
}

static void to_peer(struct peer *peer, struct writer *out)
{
    if (out->size > 0)
        assert_int_equal(BIO_write(peer->in, out->data, (int)out->size), (int)out->size);
    writer_reset(out);
}

/* A whole handshake; what the client sends comes in pieces of `step`. What is left behind its end
 * is in `rest`. */
static enum tls_step shake(struct tls_stream *stream, struct peer *peer, size_t step,
                           struct writer *out)
{
    static char buffer[65536];
    enum tls_step reached = TLS_MORE;
    for (int turn = 0; turn < 20 && reached == TLS_MORE; turn++) {
        (void)SSL_do_handshake(peer->ssl);
        struct slice bytes = peer_bytes(peer, buffer, sizeof(buffer));
        for (size_t at = 0; at < bytes.size && reached == TLS_MORE; at += step) {
            size_t size = bytes.size - at < step ? bytes.size - at : step;
            struct slice piece = slice_of(bytes.data + at, size);
            reached = tls_stream_shake(stream, &piece, out);
            assert_int_equal(piece.size, 0);
        }
        to_peer(peer, out);
    }
    if (reached == TLS_OPEN)
        assert_int_equal(SSL_do_handshake(peer->ssl), 1);
    return reached;
}

static struct tls *open_tls(void)
{
    struct tls *tls;
    struct error error;
    make_pair(EVP_sha256());
    assert_int_equal(tls_open(certificate_path, key_path, &tls, &error), OK);
    return tls;
}

static void test_pieces(void **state)
{
    (void)state;
    static char text[100000], buffer[300000], back[100000];
    static const size_t steps[] = {1, 2, 3, 7, 64, 1000, 100000};
    struct tls *tls = open_tls();
    struct writer out, plain;
    writer_init(&out);
    writer_init(&plain);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < array_count(steps) * 2; i++) {
        struct tls_stream *stream = tls_stream_create(tls);
        struct peer peer;
        size_t step = steps[i / 2], count, got = 0;
        peer_open(&peer, i % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
        assert_int_equal(shake(stream, &peer, step, &out), TLS_OPEN);
        assert_int_equal(tls_stream_binding(stream).size, 32);
        assert_int_equal(SSL_write_ex(peer.ssl, text, sizeof(text), &count), 1);
        struct slice bytes = peer_bytes(&peer, buffer, sizeof(buffer));
        writer_reset(&plain);
        for (size_t at = 0; at < bytes.size; at += step) {
            size_t size = bytes.size - at < step ? bytes.size - at : step;
            assert_true(tls_stream_read(stream, slice_of(bytes.data + at, size), &plain, &out));
        }
        assert_int_equal(plain.size, sizeof(text));
        assert_memory_equal(plain.data, text, sizeof(text));
        assert_true(tls_stream_write(stream, slice_of(text, sizeof(text)), &out));
        assert_true(tls_stream_write(stream, slice_of(text, 0), &out));
        tls_stream_end(stream, &out);
        to_peer(&peer, &out);
        while (SSL_read_ex(peer.ssl, back + got, sizeof(back) - got, &count) == 1)
            got += count;
        assert_int_equal(got, sizeof(text));
        assert_memory_equal(back, text, sizeof(text));
        assert_int_equal(SSL_get_shutdown(peer.ssl), SSL_RECEIVED_SHUTDOWN);
        SSL_shutdown(peer.ssl);
        assert_false(
            tls_stream_read(stream, peer_bytes(&peer, buffer, sizeof(buffer)), &plain, &out));
        peer_close(&peer);
        tls_stream_destroy(stream);
    }
    writer_deinit(&out);
    writer_deinit(&plain);
    tls_close(tls);
}

/* A handshake, and then records, with one byte changed: never another text, and what has failed
 * stays so. */
static void test_damage(void **state)
{
    (void)state;
    static char buffer[65536];
    struct tls *tls = open_tls();
    struct writer out, plain;
    writer_init(&out);
    writer_init(&plain);
    for (size_t at = 0; at < 60; at++) {
        struct tls_stream *stream = tls_stream_create(tls);
        struct peer peer;
        size_t count;
        peer_open(&peer, at % 2 == 0 ? TLS1_2_VERSION : TLS1_3_VERSION);
        assert_int_equal(shake(stream, &peer, 100000, &out), TLS_OPEN);
        assert_int_equal(SSL_write_ex(peer.ssl, "attack at dawn, by the river", 28, &count), 1);
        struct slice bytes = peer_bytes(&peer, buffer, sizeof(buffer));
        buffer[at % bytes.size] ^= 0x10;
        writer_reset(&plain);
        (void)tls_stream_read(stream, bytes, &plain, &out);
        assert_int_equal(plain.size, 0);
        writer_reset(&out);
        peer_close(&peer);
        tls_stream_destroy(stream);
    }
    struct tls_stream *stream = tls_stream_create(tls);
    struct slice garbage = SLICE("\x16\x03\x01\0\x05hello");
    assert_int_equal(tls_stream_shake(stream, &garbage, &out), TLS_FAILED);
    assert_true(out.size > 0); /* an alert */
    size_t size = out.size;
    assert_int_equal(tls_stream_shake(stream, &garbage, &out), TLS_FAILED);
    assert_false(tls_stream_read(stream, SLICE("x"), &plain, &out));
    assert_false(tls_stream_write(stream, SLICE("x"), &out));
    tls_stream_end(stream, &out);
    assert_int_equal(out.size, size);
    tls_stream_destroy(stream);
    writer_deinit(&out);
    writer_deinit(&plain);
    tls_close(tls);
}

static void test_old_versions(void **state)
{
    (void)state;
    struct tls *tls = open_tls();
    struct tls_stream *stream = tls_stream_create(tls);
    struct peer peer;
    struct writer out;
    writer_init(&out);
    peer_open(&peer, TLS1_1_VERSION);
    SSL_set_security_level(peer.ssl, 0);
    SSL_set_min_proto_version(peer.ssl, TLS1_VERSION);
    assert_int_equal(shake(stream, &peer, 100000, &out), TLS_FAILED);
    peer_close(&peer);
    tls_stream_destroy(stream);
    writer_deinit(&out);
    tls_close(tls);
}

static size_t binding_size(struct tls *tls)
{
    struct tls_stream *stream = tls_stream_create(tls);
    struct peer peer;
    struct writer out;
    writer_init(&out);
    peer_open(&peer, TLS1_3_VERSION);
    assert_int_equal(shake(stream, &peer, 100000, &out), TLS_OPEN);
    size_t size = tls_stream_binding(stream).size;
    peer_close(&peer);
    tls_stream_destroy(stream);
    writer_deinit(&out);
    return size;
}

static void test_reload(void **state)
{
    (void)state;
    struct tls *tls = open_tls();
    struct error error;
    assert_int_equal(binding_size(tls), 32);
    make_pair(EVP_sha384());
    assert_int_equal(tls_reload(tls, &error), OK);
    assert_int_equal(binding_size(tls), 48);
    assert_int_equal(chmod(key_path, 0644), 0);
    assert_int_equal(tls_reload(tls, &error), ERR_INPUT);
    assert_int_equal(chmod(key_path, 0600), 0);
    assert_int_equal(truncate(certificate_path, 100), 0);
    assert_int_equal(tls_reload(tls, &error), ERR_INPUT);
    assert_int_equal(unlink(certificate_path), 0);
    assert_int_equal(tls_reload(tls, &error), ERR_IO);
    assert_int_equal(binding_size(tls), 48); /* the last one that was good */
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    write_pair(NULL, key); /* its signature has no hash of its own: nothing to bind by */
    EVP_PKEY_free(key);
    assert_int_equal(tls_reload(tls, &error), OK);
    assert_int_equal(binding_size(tls), 0);
    tls_close(tls);
}

static int set_up(void **state)
{
    (void)state;
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    assert_non_null(mkdtemp(folder));
    snprintf(certificate_path, sizeof(certificate_path), "%s/crt", folder);
    snprintf(key_path, sizeof(key_path), "%s/key", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(certificate_path);
    (void)unlink(key_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_reload),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
