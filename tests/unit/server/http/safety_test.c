/* Which Hosts and Origins may talk to a loopback port. */
#include "server/http/safety.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *bound, *host;
        bool is_ours;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:8080", true},
        {"127.0.0.1", "localhost", true},
        {"127.0.0.1", "LOCALHOST:1", true},
        {"127.0.0.1", "[::1]:8080", true},
        {"127.0.0.1", "app.localhost", true},
        {"127.0.0.1", "127.8.9.1", true},
        {"127.0.0.1", "evil.example", false},
        {"127.0.0.1", "127.0.0.1.evil.example", false},
        {"127.0.0.1", "localhost.evil.example", false},
        {"127.0.0.1", "", false},
        {"127.0.0.1", "[::1", false},
        {"127.0.0.1", "10.0.0.5", false},
        {"10.0.0.5", "10.0.0.5:80", true},
        {"0.0.0.0", "any.example", true},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct safety safety = {.bind_host = cases[i].bound, .allowed_origins = ""};
        assert_int_equal(safety_host_is_ours(&safety, slice_from_cstr(cases[i].host)),
                         cases[i].is_ours);
    }
}

static void test_origins(void **state)
{
    (void)state;
    static const struct {
        const char *allowed, *origin;
        enum origin_verdict verdict;
    } cases[] = {
        {"", NULL, ORIGIN_NONE},
        {"", "http://localhost:8080", ORIGIN_OWN},
        {"", "http://localhost:8081", ORIGIN_REFUSED},
        {"", "null", ORIGIN_REFUSED},
        {"", "", ORIGIN_REFUSED},
        {"", "http://localhost:8080.evil.example", ORIGIN_REFUSED},
        {"https://a.example, https://b.example", "https://b.example", ORIGIN_ALLOWED},
        {"https://a.example,https://b.example", "https://c.example", ORIGIN_REFUSED},
        {"https://a.example", "https://a.example.evil.example", ORIGIN_REFUSED},
        {"*", "https://x.example", ORIGIN_ALLOWED},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct safety safety = {.bind_host = "127.0.0.1", .allowed_origins = cases[i].allowed};
        struct slice origin = {NULL, 0};
        if (cases[i].origin != NULL) {
            origin = slice_from_cstr(cases[i].origin);
        }
        assert_int_equal(safety_judge_origin(&safety, origin, SLICE("localhost:8080")),
                         cases[i].verdict);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hosts),
                                       cmocka_unit_test(test_origins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
