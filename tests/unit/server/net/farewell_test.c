/* Lingering close: the answer outlives a body that nobody reads; ends by FIN, by time; the list is
 * bounded. */
#include "server/net/farewell.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void connect_pair(int *client, int *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    *client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(*client, (struct sockaddr *)&address, size), 0);
    *server = accept(listener, NULL, NULL);
    assert_true(*server >= 0);
    close(listener);
}

/* The server answers "no" to a body it has not read and closes; the client, which sends all of its
 * body before it reads, as most do, either comes to the answer or is thrown out while sending. */
static bool is_answer_seen(bool has_farewell)
{
    struct farewell farewell = {0};
    int client, server;
    static char body[65536];
    char text[8] = {0};
    connect_pair(&client, &server);
    assert_int_equal(write(client, body, sizeof(body)), sizeof(body));
    struct pollfd wait = {.fd = server, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, 1000), 1);
    assert_int_equal(write(server, "no", 2), 2);
    if (has_farewell)
        assert_true(farewell_add(&farewell, server, 0));
    close(server);
    bool is_sent = true;
    for (int i = 0; i < 50 && is_sent; i++) {
        is_sent = send(client, body, sizeof(body), MSG_NOSIGNAL) == sizeof(body);
        (void)farewell_run(&farewell, 1);
    }
    bool is_seen = is_sent && read(client, text, sizeof(text)) == 2 && memcmp(text, "no", 2) == 0;
    close(client);
    while (farewell_run(&farewell, 1))
        usleep(1000);
    return is_seen;
}

static void test_answer_survives(void **state)
{
    (void)state;
    assert_true(is_answer_seen(true));
    assert_false(is_answer_seen(false)); /* the test can fail */
}

static void test_time_ends_it(void **state)
{
    (void)state;
    struct farewell farewell = {0};
    int client, server;
    connect_pair(&client, &server);
    assert_true(farewell_add(&farewell, server, 1000));
    close(server);
    assert_true(farewell_run(&farewell, 1000 + FAREWELL_TIME_US - 1));
    assert_false(farewell_run(&farewell, 1000 + FAREWELL_TIME_US));
    close(client);
}

static void test_bounds(void **state)
{
    (void)state;
    struct farewell farewell = {0};
    int client, server;
    connect_pair(&client, &server);
    for (size_t i = 0; i < FAREWELL_COUNT_MAX; i++)
        assert_true(farewell_add(&farewell, server, 0));
    assert_false(farewell_add(&farewell, server, 0));
    close(client);
    close(server);
    while (farewell_run(&farewell, 1))
        usleep(1000);
    assert_int_equal(farewell.count, 0);
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[1]);
    close(ends[0]);
    assert_false(farewell_add(&farewell, ends[0], 0)); /* no such descriptor */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer_survives),
        cmocka_unit_test(test_time_ends_it),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
