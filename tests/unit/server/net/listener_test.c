/* Addresses: loopback is bound, others only with insecure, malformed ones are named. */
#include "server/net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_insecure;
        enum err want;
        const char *host;
    } cases[] = {
        {"127.0.0.1:0", false, OK, "127.0.0.1"},
        {"localhost:0", false, OK, "127.0.0.1"},
        {"[::1]:0", false, OK, "::1"},
        {"0.0.0.0:0", false, ERR_INPUT, NULL},
        {"0.0.0.0:0", true, OK, "0.0.0.0"},
        {"192.0.2.1:0", false, ERR_INPUT, NULL},
        {"192.0.2.1:0", true, ERR_IO, NULL},
        {"127.0.0.1", false, ERR_INPUT, NULL},
        {"127.0.0.1:", false, ERR_INPUT, NULL},
        {":80", false, ERR_INPUT, NULL},
        {"127.0.0.1:65536", false, ERR_INPUT, NULL},
        {"127.0.0.1:8x", false, ERR_INPUT, NULL},
        {"example.com:80", true, ERR_INPUT, NULL},
        {"[::1:80", false, ERR_INPUT, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct listener listener;
        struct error error;
        enum err result = listener_open(cases[i].text, cases[i].is_insecure, &listener, &error);
        if (result == ERR_IO && strcmp(cases[i].text, "[::1]:0") == 0) {
            continue; /* a machine without IPv6 */
        }
        assert_int_equal(result, cases[i].want);
        if (result == OK) {
            assert_string_equal(listener.host, cases[i].host);
            assert_null(strstr(listener.address, ":0\0"));
            listener_close(&listener);
        }
    }
}

static void test_peers(void **state)
{
    (void)state;
    static const struct {
        const char *peer;
        bool is_loopback;
    } cases[] = {
        {"127.0.0.1:4711", true},
        {"127.9.9.9:1", true},
        {"::1:4711", true},
        {"::ffff:127.0.0.1:4711", true},
        {"128.0.0.1:4711", false},
        {"::ffff:10.0.0.1:4711", false},
        {"2001:db8::1:4711", false},
        {"127.0.0.1.example:1", false},
        {"127.0.0.1", false},
        {"::1", false}, /* the address is "::", what is behind it the port */
        {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (listener_is_loopback_peer(cases[i].peer) != cases[i].is_loopback)
            fail_msg("%s", cases[i].peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
