/* The client against a small server in a thread: keep-alive, a connection closed while idle,
 * refused and broken ones. */
#include "server/client/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct fake {
    int listener;
    char address[32];
    int calls_per_connection; /* then it closes without a word */
    int connections;
    pthread_t thread;
};

static void answer(int fd, int calls)
{
    char request[4096];
    for (int i = 0; i < calls; i++) {
        size_t size = 0;
        while (memmem(request, size, "\r\n\r\n", 4) == NULL) {
            ssize_t got = recv(fd, request + size, sizeof(request) - size, 0);
            if (got <= 0) {
                return;
            }
            size += (size_t)got;
        }
        static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert_int_equal(send(fd, reply, sizeof(reply) - 1, MSG_NOSIGNAL), sizeof(reply) - 1);
    }
}

static void *serve(void *context)
{
    struct fake *fake = context;
    for (;;) {
        int fd = accept(fake->listener, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        fake->connections++;
        answer(fd, fake->calls_per_connection);
        close(fd);
    }
}

static void fake_start(struct fake *fake, int calls_per_connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    *fake = (struct fake){.listener = socket(AF_INET, SOCK_STREAM, 0),
                          .calls_per_connection = calls_per_connection};
    assert_int_equal(bind(fake->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fake->listener, 8), 0);
    getsockname(fake->listener, (struct sockaddr *)&address, &size);
    snprintf(fake->address, sizeof(fake->address), "127.0.0.1:%d", ntohs(address.sin_port));
    pthread_create(&fake->thread, NULL, serve, fake);
}

static void fake_stop(struct fake *fake)
{
    shutdown(fake->listener, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    close(fake->listener);
}

static void test_connection_is_kept_and_renewed(void **state)
{
    (void)state;
    struct fake fake;
    fake_start(&fake, 3);
    struct http_client *client = http_client_create(fake.address, 2000000);
    struct error error;
    const struct http_reply *reply;
    struct http_call call = {.method = "GET", .target = SLICE("/"), .is_repeatable = true};
    for (int i = 0; i < 7; i++) {
        assert_int_equal(http_client_call(client, &call, &reply, &error), OK);
        assert_int_equal(reply->status, 200);
        assert_true(slice_equal(writer_as_slice(&reply->body), SLICE("ok")));
    }
    http_client_destroy(client);
    fake_stop(&fake);
    assert_int_equal(fake.connections, 3);
}

static void test_call_that_may_not_repeat_fails(void **state)
{
    (void)state;
    struct fake fake;
    fake_start(&fake, 1);
    struct http_client *client = http_client_create(fake.address, 2000000);
    struct error error;
    const struct http_reply *reply;
    struct http_call call = {.method = "POST", .target = SLICE("/"), .body = SLICE("")};
    assert_int_equal(http_client_call(client, &call, &reply, &error), OK);
    assert_int_equal(http_client_call(client, &call, &reply, &error), ERR_IO);
    assert_int_equal(http_client_call(client, &call, &reply, &error), OK);
    http_client_destroy(client);
    fake_stop(&fake);
}

static void test_refused_and_malformed_addresses(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.1:", ":1", "[::1:8080",
                                            "127.0.0.1:1"};
    static const enum err wants[] = {ERR_INPUT, ERR_INPUT, ERR_INPUT, ERR_INPUT, ERR_IO};
    for (size_t i = 0; i < array_count(addresses); i++) {
        struct error error;
        int fd;
        assert_int_equal(http_connect(addresses[i], &fd, &error), wants[i]);
    }
}

static void test_encode(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    http_encode(SLICE("a b/\xc3\xa4~"), &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("a%20b%2F%C3%A4~")));
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connection_is_kept_and_renewed),
        cmocka_unit_test(test_call_that_may_not_repeat_fails),
        cmocka_unit_test(test_refused_and_malformed_addresses),
        cmocka_unit_test(test_encode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
