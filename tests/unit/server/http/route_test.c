/* Paths and methods lead to routes; what is not there yet has its name. */
#include "server/http/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum http_method method;
        enum route_match match;
        const char *route, *argument;
    } cases[] = {
        {"/healthz", HTTP_GET, ROUTE_FOUND, "/healthz", NULL},
        {"/healthz", HTTP_HEAD, ROUTE_FOUND, "/healthz", NULL},
        {"/healthz", HTTP_POST, ROUTE_WRONG_METHOD, NULL, NULL},
        {"/healthz/", HTTP_GET, ROUTE_UNKNOWN, NULL, NULL},
        {"/HEALTHZ", HTTP_GET, ROUTE_UNKNOWN, NULL, NULL},
        {"", HTTP_GET, ROUTE_UNKNOWN, NULL, NULL},
        {"/", HTTP_GET, ROUTE_FOUND, "/", NULL},
        {"/v1/ingest/clicks", HTTP_POST, ROUTE_FOUND, "/v1/ingest/*", "clicks"},
        {"/v1/ingest/", HTTP_POST, ROUTE_UNKNOWN, NULL, NULL},
        {"/v1/ingest/a/b", HTTP_POST, ROUTE_UNKNOWN, NULL, NULL},
        {"/v1/sql", HTTP_GET, ROUTE_FOUND, "/v1/sql", NULL},
        {"/v1/sql", HTTP_OTHER, ROUTE_WRONG_METHOD, NULL, NULL},
        {"/v1/sql/id", HTTP_DELETE, ROUTE_FOUND, "/v1/sql/*", "id"},
        {"/v1/sql/id", HTTP_GET, ROUTE_WRONG_METHOD, NULL, NULL},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        const struct route *route = NULL;
        struct slice argument = {NULL, 0};
        unsigned allowed = 0;
        enum route_match match = route_find(slice_from_cstr(cases[i].path), cases[i].method, &route,
                                            &allowed, &argument);
        assert_int_equal(match, cases[i].match);
        assert_int_equal(allowed != 0, match != ROUTE_UNKNOWN);
        if (match == ROUTE_FOUND) {
            assert_string_equal(route->path, cases[i].route);
        }
        if (cases[i].argument != NULL) {
            assert_true(slice_equal(argument, slice_from_cstr(cases[i].argument)));
        }
    }
}

static void test_table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        assert_int_equal(routes[i].path[0], '/');
        assert_true(routes[i].methods != 0);
        assert_non_null(routes[i].doc);
        assert_true(routes[i].handle != NULL || routes[i].place == ROUTE_INLINE);
    }
}

static void test_methods_are_printed(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    route_print_methods(HTTP_GET | HTTP_POST, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("GET, POST")));
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_table_is_sound),
        cmocka_unit_test(test_methods_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
