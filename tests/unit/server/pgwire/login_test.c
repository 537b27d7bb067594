/* Logging in to a session: the exchange as a client makes it, and what everybody else is told. */
#include "tests/unit/server/pgwire/memory_session.h"

#include "server/access/access.h"
#include "server/access/crypto.h"
#include "storage/base/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ITERATIONS 4096
#define STARTUP_ANN "\0\0\0\x12\0\3\0\0user\0ann\0\0"
#define STARTUP_EVE "\0\0\0\x12\0\3\0\0user\0eve\0\0"

static struct memory_server server;
static char directory[] = "/tmp/freshet-login-XXXXXX";

static enum err add_ann(void *context, struct role_set *set, struct error *error)
{
    struct role *role;
    (void)context;
    enum err result = role_set_add(set, SLICE("ann"), &role, error);
    if (result != OK)
        return result;
    role->kind = ROLE_READER;
    role->has_verifier = true;
    verifier_derive(SLICE("right"), (const uint8_t *)"0123456789abcdef", SALT_SIZE, ITERATIONS,
                    &role->verifier);
    return OK;
}

static enum err drop_ann(void *context, struct role_set *set, struct error *error)
{
    (void)context, (void)error;
    role_set_remove(set, role_set_find(set, SLICE("ann")));
    return OK;
}

static void change(enum err (*how)(void *context, struct role_set *set, struct error *error))
{
    struct error error;
    assert_int_equal(access_change(server.access, how, NULL, &error), OK);
}

static void put(struct memory_client *client, const char *text, size_t size)
{
    struct writer out;
    writer_init(&out);
    size_t begin = message_begin(&out, 'p');
    writer_bytes(&out, text, size);
    message_end(&out, begin);
    memory_client_feed(client, writer_as_slice(&out));
    writer_deinit(&out);
}

static void put_initial(struct memory_client *client, const char *mechanism, const char *first)
{
    struct writer body;
    writer_init(&body);
    message_put_text(&body, slice_from_cstr(mechanism));
    message_put_u32(&body, (uint32_t)strlen(first));
    writer_slice(&body, slice_from_cstr(first));
    put(client, (const char *)body.data, body.size);
    writer_deinit(&body);
}

/* The last message's type and body. */
static char last(const struct memory_client *client, struct slice *body)
{
    struct message message = {0};
    size_t at = 0;
    while (message_next(slice_of(client->out.data + at, client->out.size - at), 1 << 20,
                        &message) == MESSAGE_WHOLE)
        at += message.size;
    assert_int_equal(at, client->out.size);
    *body = message.body;
    return message.type;
}

static bool says(struct slice body, const char *text)
{
    return memmem(body.data, body.size, text, strlen(text)) != NULL;
}

/* The final message to the server's first, as a client with that password makes it. */
static void make_final(struct slice server_first, const char *password, char out[512])
{
    uint8_t salted[32], key[32], stored[32], signature[32], salt[SALT_SIZE_MAX];
    char proof[64], message[1024];
    size_t salt_size;
    const char *salt_at = memmem(server_first.data, server_first.size, ",s=", 3);
    assert_non_null(salt_at);
    const char *salt_end = memchr(salt_at + 1, ',', 200);
    assert_true(base64_parse(slice_of(salt_at + 3, (size_t)(salt_end - salt_at) - 3), salt,
                             sizeof(salt), &salt_size));
    snprintf(message, sizeof(message), "%.*s",
             (int)(server_first.data + server_first.size - salt_end - 3), salt_end + 3);
    uint32_t iterations = (uint32_t)strtoul(message, NULL, 10);
    snprintf(out, 512, "c=biws,%.*s", (int)(salt_at - server_first.data), server_first.data);
    snprintf(message, sizeof(message), "n=,r=client,%.*s,%s", SLICE_ARGS(server_first), out);
    crypto_pbkdf2(slice_from_cstr(password), slice_of(salt, salt_size), iterations, salted);
    crypto_hmac(slice_of(salted, 32), SLICE("Client Key"), key);
    crypto_sha256(slice_of(key, 32), stored);
    crypto_hmac(slice_of(stored, 32), slice_from_cstr(message), signature);
    for (size_t i = 0; i < 32; i++)
        key[i] ^= signature[i];
    base64_print(key, 32, proof);
    size_t size = strlen(out);
    snprintf(out + size, 512 - size, ",p=%s", proof);
}

/* Through the exchange; the types of all that was answered. */
static char log_in(struct memory_client *client, const char *startup, const char *password,
                   struct slice *body)
{
    char text[512];
    memory_client_open(client, &server);
    memory_client_feed(client, slice_of(startup, 18));
    assert_int_equal(last(client, body), 'R');
    assert_true(says(*body, "SCRAM-SHA-256"));
    assert_false(says(*body, "PLUS"));
    put_initial(client, "SCRAM-SHA-256", "n,,n=,r=client");
    assert_int_equal(last(client, body), 'R');
    assert_memory_equal(body->data, "\0\0\0\x0b", 4);
    make_final(slice_of(body->data + 4, body->size - 4), password, text);
    put(client, text, strlen(text));
    return last(client, body);
}

static void test_right_and_wrong(void **state)
{
    (void)state;
    struct memory_client client;
    struct slice body;
    assert_int_equal(log_in(&client, STARTUP_ANN, "right", &body), 'Z');
    writer_reset(&client.out);
    memory_client_feed(&client, SLICE("Q\0\0\0\x0dselect 1\0"));
    assert_int_equal(last(&client, &body), 'Z');
    memory_client_close(&client);
    assert_int_equal(log_in(&client, STARTUP_ANN, "wrong", &body), 'E');
    assert_true(says(body, "28P01") && says(body, "\"ann\""));
    assert_true(pg_session_has_ended(client.session));
    memory_client_close(&client);
    assert_int_equal(log_in(&client, STARTUP_EVE, "right", &body), 'E'); /* is nobody's */
    assert_true(says(body, "28P01") && says(body, "\"eve\""));
    memory_client_close(&client);
}

/* Who is not on loopback is told to use TLS before anything is asked; over TLS binding is offered.
 */
static void test_tls_is_required(void **state)
{
    (void)state;
    static const char request[] = "\0\0\0\x08\x04\xd2\x16\x2f";
    struct memory_client client;
    struct slice body;
    server.is_tls_required = server.has_tls = true;
    server.peer = "192.0.2.11:1";
    memory_client_open(&client, &server);
    memory_client_feed(&client, slice_of(STARTUP_ANN, 18));
    assert_int_equal(last(&client, &body), 'E');
    assert_true(says(body, "28000") && says(body, "TLS only"));
    memory_client_close(&client);

    memory_client_open(&client, &server);
    memory_client_feed(&client, slice_of(request, 8));
    assert_int_equal(client.out.size, 1);
    assert_int_equal(client.out.data[0], 'S');
    writer_reset(&client.out);
    memory_client_feed(&client, slice_of(STARTUP_ANN, 18));
    assert_int_equal(last(&client, &body), 'R');
    assert_true(says(body, "SCRAM-SHA-256-PLUS"));
    memory_client_close(&client);

    memory_client_open(&client, &server); /* encrypted already */
    memory_client_feed(&client, slice_of(request, 8));
    assert_int_equal(last(&client, &body), 'E');
    assert_true(says(body, "TLS within TLS"));
    memory_client_close(&client);
    server.is_encrypted = false;

    char both[26];
    memcpy(both, request, 8);
    memcpy(both + 8, STARTUP_ANN, 18);
    memory_client_open(&client, &server); /* said before there was TLS */
    memory_client_feed(&client, slice_of(both, sizeof(both)));
    assert_int_equal(last(&client, &body), 'E');
    assert_true(says(body, "unencrypted data after SSL request"));
    assert_false(server.is_encrypted);
    memory_client_close(&client);

    server.peer = NULL; /* of loopback */
    memory_client_open(&client, &server);
    memory_client_feed(&client, slice_of(STARTUP_ANN, 18));
    assert_int_equal(last(&client, &body), 'R');
    memory_client_close(&client);
    server.is_tls_required = server.has_tls = false;
}

static void test_damaged_messages(void **state)
{
    (void)state;
    static const struct {
        char bytes[64];
        size_t size;
    } cases[] = {
        {"Q\0\0\0\x0dselect 1", 14},                        /* not before the password */
        {"p\0\0\0\x04", 5},                                 /* no mechanism */
        {"p\0\0\0\x16SCRAM-SHA-256\0\xff\xff\xff\xff", 23}, /* no first message */
        {"p\0\0\0\x16SCRAM-SHA-256\0\0\0\0\x09", 23},       /* shorter than it says */
        {"p\0\0\0\x14SCRAM-SHA-1\0\0\0\0\0", 21},           /* not offered */
        {"p\0\0\x30\0", 5},                                 /* too long for a log-in */
        {"p\0\0\0\1", 5},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct memory_client client;
        struct slice body;
        memory_client_open(&client, &server);
        memory_client_feed(&client, slice_of(STARTUP_ANN, 18));
        memory_client_feed(&client, slice_of(cases[i].bytes, cases[i].size));
        if (!pg_session_has_ended(client.session) || last(&client, &body) != 'E')
            fail_msg("case %zu", i);
        memory_client_close(&client);
    }
}

static void test_attempts_are_limited(void **state)
{
    (void)state;
    struct slice body;
    server.peer = "192.0.2.9:1";
    for (int i = 0; i < 40; i++) {
        struct memory_client client;
        memory_client_open(&client, &server);
        memory_client_feed(&client, slice_of(STARTUP_EVE, 18));
        put_initial(&client, "SCRAM-SHA-256", "n,,n=,r=client");
        bool is_refused = last(&client, &body) == 'E';
        assert_int_equal(is_refused, pg_session_has_ended(client.session));
        if (is_refused)
            assert_true(says(body, "28000") && says(body, "too many attempts"));
        memory_client_close(&client); /* half-way: an attempt too */
        if (i == 39)
            assert_true(is_refused);
    }
    server.peer = NULL;
}

/* More right log-ins under way at once than there are attempts; then guesses begun together. */
static void test_log_ins_at_once(void **state)
{
    (void)state;
    enum { MANY = 60 };
    static struct memory_client clients[MANY];
    static char texts[MANY][512];
    struct slice body;
    for (int round = 0; round < 2; round++) {
        const char *password = round == 0 ? "right" : "wrong";
        int in = 0, judged = 0, limited = 0;
        server.peer = round == 0 ? "192.0.2.12:1" : "192.0.2.13:1";
        for (int i = 0; i < MANY; i++) {
            memory_client_open(&clients[i], &server);
            memory_client_feed(&clients[i], slice_of(STARTUP_ANN, 18));
            put_initial(&clients[i], "SCRAM-SHA-256", "n,,n=,r=client");
            assert_int_equal(last(&clients[i], &body), 'R');
            make_final(slice_of(body.data + 4, body.size - 4), password, texts[i]);
        }
        for (int i = 0; i < MANY; i++) {
            put(&clients[i], texts[i], strlen(texts[i]));
            in += last(&clients[i], &body) == 'Z';
            judged += says(body, "28P01");
            limited += says(body, "too many attempts");
            memory_client_close(&clients[i]);
        }
        assert_int_equal(in, round == 0 ? MANY : 0);
        assert_true(judged <= 21);
        assert_int_equal(judged + limited, MANY - in);
    }
    server.peer = NULL;
}

static void test_rights_are_those_of_now(void **state)
{
    (void)state;
    struct memory_client client;
    struct slice body;
    static const char select[] = "Q\0\0\0\x0dselect 1";
    static const char command[] = "Q\0\0\0\x1b"
                                  "create table t (a int)"; /* with its end */
    server.peer = "192.0.2.10:1";
    assert_int_equal(log_in(&client, STARTUP_ANN, "right", &body), 'Z');
    writer_reset(&client.out);
    memory_client_feed(&client, slice_of(command, sizeof(command)));
    (void)last(&client, &body);
    assert_non_null(memmem(client.out.data, client.out.size, "42501", 5));
    writer_reset(&client.out);
    memory_client_feed(&client, slice_of(select, sizeof(select)));
    assert_null(memmem(client.out.data, client.out.size, "28000", 5));
    for (int i = 0; i < 2; i++) { /* whoever has the name later is somebody else */
        change(i == 0 ? drop_ann : add_ann);
        writer_reset(&client.out);
        memory_client_feed(&client, slice_of(select, sizeof(select)));
        assert_non_null(memmem(client.out.data, client.out.size, "28000", 5));
    }
    memory_client_close(&client);
    server.peer = NULL;
}

/* Everybody may come in before there are users, and is nobody from then on. */
static void test_sessions_from_before_the_first_user(void **state)
{
    (void)state;
    struct memory_client client;
    struct slice body;
    static const char select[] = "Q\0\0\0\x0dselect 1";
    memory_client_open(&client, &server);
    memory_client_feed(&client, slice_of(STARTUP_EVE, 18));
    assert_int_equal(last(&client, &body), 'Z');
    change(add_ann);
    writer_reset(&client.out);
    memory_client_feed(&client, slice_of(select, sizeof(select)));
    assert_non_null(memmem(client.out.data, client.out.size, "28000", 5));
    memory_client_close(&client);
}

static int set_up(void **state)
{
    (void)state;
    struct error error;
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    assert_non_null(mkdtemp(directory));
    memory_server_open(&server);
    assert_int_equal(access_open(directory, &server.access, &error), OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    access_close(server.access);
    memory_server_close(&server);
    for (size_t i = 0; i < 2; i++) {
        snprintf(command, sizeof(command), "%s/%s", directory, i == 0 ? "users" : "users.lock");
        (void)unlink(command);
    }
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions_from_before_the_first_user),
        cmocka_unit_test(test_right_and_wrong),
        cmocka_unit_test(test_tls_is_required),
        cmocka_unit_test(test_damaged_messages),
        cmocka_unit_test(test_attempts_are_limited),
        cmocka_unit_test(test_rights_are_those_of_now),
        cmocka_unit_test(test_log_ins_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
