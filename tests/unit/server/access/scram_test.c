/* SCRAM: the exchange of RFC 7677, binding, and every message damaged. */
#include "server/access/scram.h"

#include "server/access/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define FIRST "n,,n=user,r=" CLIENT_NONCE
#define FINAL                                                                                      \
    "c=biws,r=" CLIENT_NONCE SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define HASH SLICE("0123456789abcdef0123456789abcdef")

static void pencil(struct verifier *out)
{
    assert_true(verifier_parse(SLICE("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                     "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="),
                               out));
}

/* Both steps; *out is what we said last. */
static enum err exchange(struct slice binding, const char *mechanism, const char *first,
                         const char *final, bool *is_right, struct writer *out, struct error *error)
{
    struct scram scram;
    struct verifier verifier;
    pencil(&verifier);
    scram_init(&scram, &verifier, binding, SERVER_NONCE);
    *is_right = false;
    enum err err =
        scram_first(&scram, slice_from_cstr(mechanism), slice_from_cstr(first), out, error);
    if (err == OK && final != NULL) {
        writer_reset(out);
        err = scram_final(&scram, slice_from_cstr(final), is_right, out, error);
    }
    scram_deinit(&scram);
    return err;
}

static void test_known_exchange(void **state)
{
    (void)state;
    struct writer out;
    struct error error;
    bool is_right;
    writer_init(&out);
    assert_int_equal(exchange(SLICE(""), "SCRAM-SHA-256", FIRST, NULL, &is_right, &out, &error),
                     OK);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("r=" CLIENT_NONCE SERVER_NONCE
                                                         ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")));
    assert_int_equal(exchange(SLICE(""), "SCRAM-SHA-256", FIRST, FINAL, &is_right, &out, &error),
                     OK);
    assert_true(is_right);
    assert_true(slice_equal(writer_as_slice(&out),
                            SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    writer_deinit(&out);
}

static void test_first_messages(void **state)
{
    (void)state;
    static const struct {
        bool has_tls;
        const char *mechanism, *message;
        const char *sqlstate; /* NULL: taken */
    } cases[] = {
        {false, "SCRAM-SHA-256", "n,,n=,r=x", NULL},
        {false, "SCRAM-SHA-256", "y,,n=,r=x", NULL},
        {true, "SCRAM-SHA-256", "n,,n=,r=x", NULL},
        {true, "SCRAM-SHA-256", "y,,n=,r=x", "28000"}, /* the offer was tampered with */
        {true, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x", NULL},
        {true, "SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=x", "0A000"},
        {true, "SCRAM-SHA-256-PLUS", "n,,n=,r=x", "08P01"},
        {true, "SCRAM-SHA-256-PLUS", "y,,n=,r=x", "08P01"},
        {false, "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x", "08P01"},
        {true, "SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=x", "08P01"},
        {false, "SCRAM-SHA-1", "n,,n=,r=x", "08P01"},
        {false, "SCRAM-SHA-256", "n,a=other,n=,r=x", "0A000"},
        {false, "SCRAM-SHA-256", "n,,m=x,n=,r=x", "0A000"},
        {false, "SCRAM-SHA-256", "n,,n=,r=", "08P01"},
        {false, "SCRAM-SHA-256", "n,,n=,r=a b", "08P01"},
        {false, "SCRAM-SHA-256", "n,,r=x,n=", "08P01"},
        {false, "SCRAM-SHA-256", "n,n=,r=x", "08P01"},
        {false, "SCRAM-SHA-256", "n", "08P01"},
        {false, "SCRAM-SHA-256", "", "08P01"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct writer out;
        struct error error;
        bool is_right;
        writer_init(&out);
        enum err err = exchange(cases[i].has_tls ? HASH : SLICE(""), cases[i].mechanism,
                                cases[i].message, NULL, &is_right, &out, &error);
        if ((err == OK) != (cases[i].sqlstate == NULL) ||
            (err != OK && strcmp(error.sqlstate, cases[i].sqlstate) != 0))
            fail_msg("%s %s: %s", cases[i].mechanism, cases[i].message,
                     err == OK ? "taken" : error.text);
        writer_deinit(&out);
    }
}

/* A client's final message, made from the password as a client makes it. */
static void make_final(const char *header, struct slice binding, const char *bare,
                       struct slice server_first, char out[512])
{
    struct verifier verifier;
    uint8_t salted[32], key[32], signature[32], bound[128];
    char channel[256], message[1024], proof[64];
    pencil(&verifier);
    size_t header_size = strlen(header);
    memcpy(bound, header, header_size);
    memcpy(bound + header_size, binding.data, binding.size);
    base64_print(bound, header_size + binding.size, channel);
    snprintf(out, 512, "c=%s,r=%s", channel, CLIENT_NONCE SERVER_NONCE);
    snprintf(message, sizeof(message), "%s,%.*s,%s", bare, SLICE_ARGS(server_first), out);
    crypto_pbkdf2(SLICE("pencil"), slice_of(verifier.salt, verifier.salt_size), 4096, salted);
    crypto_hmac(slice_of(salted, 32), SLICE("Client Key"), key);
    crypto_hmac(slice_of(verifier.stored_key, 32), slice_from_cstr(message), signature);
    for (size_t i = 0; i < 32; i++)
        key[i] ^= signature[i];
    base64_print(key, 32, proof);
    size_t size = strlen(out);
    snprintf(out + size, 512 - size, ",p=%s", proof);
}

static void test_binding(void **state)
{
    (void)state;
    static const char bare[] = "n=,r=" CLIENT_NONCE;
    static const char header[] = "p=tls-server-end-point,,";
    char first[128], final[512], other[512];
    struct writer out;
    struct error error;
    bool is_right;
    writer_init(&out);
    snprintf(first, sizeof(first), "%s%s", header, bare);
    assert_int_equal(exchange(HASH, "SCRAM-SHA-256-PLUS", first, NULL, &is_right, &out, &error),
                     OK);
    make_final(header, HASH, bare, writer_as_slice(&out), final);
    make_final(header, SLICE("another certificate's hash, of 32"), bare, writer_as_slice(&out),
               other);
    assert_int_equal(exchange(HASH, "SCRAM-SHA-256-PLUS", first, final, &is_right, &out, &error),
                     OK);
    assert_true(is_right);
    assert_int_equal(exchange(HASH, "SCRAM-SHA-256-PLUS", first, other, &is_right, &out, &error),
                     ERR_INPUT);
    assert_string_equal(error.sqlstate, "28000");
    assert_false(is_right);
    writer_deinit(&out);
}

/* No cut and no changed byte of the last message proves anything; nor does a second try. */
static void test_damaged_final(void **state)
{
    (void)state;
    struct writer out;
    struct error error;
    bool is_right;
    writer_init(&out);
    char text[sizeof(FINAL)];
    for (size_t i = 0; i < sizeof(FINAL) - 1; i++) {
        memcpy(text, FINAL, sizeof(text));
        text[i] = 0;
        (void)!exchange(SLICE(""), "SCRAM-SHA-256", FIRST, text, &is_right, &out, &error);
        assert_false(is_right);
        memcpy(text, FINAL, sizeof(text));
        text[i] = text[i] == 'A' ? 'B' : 'A';
        enum err err = exchange(SLICE(""), "SCRAM-SHA-256", FIRST, text, &is_right, &out, &error);
        assert_false(is_right);
        if (err == OK)
            assert_int_equal(out.size, 0);
    }
    struct scram scram;
    struct verifier verifier;
    pencil(&verifier);
    scram_init(&scram, &verifier, SLICE(""), SERVER_NONCE);
    assert_int_equal(scram_final(&scram, SLICE(FINAL), &is_right, &out, &error), ERR_INPUT);
    assert_int_equal(scram_first(&scram, SLICE("SCRAM-SHA-256"), SLICE(FIRST), &out, &error), OK);
    text[9] = 'x';
    assert_int_equal(scram_final(&scram, slice_from_cstr(text), &is_right, &out, &error),
                     ERR_INPUT);
    assert_int_equal(scram_final(&scram, SLICE(FINAL), &is_right, &out, &error), ERR_INPUT);
    assert_false(is_right);
    scram_deinit(&scram);
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_exchange),
        cmocka_unit_test(test_first_messages),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_damaged_final),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
