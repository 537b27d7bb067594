/* Connection texts: what is taken from them; that no error shows a value. (What is refused:
 * tests/sql/subscription_connections.test.) */
#include "ingest/kafka/connection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct connection connection;

static enum err parse(const char *text, struct arena *arena, struct error *error)
{
    return connection_parse(slice_from_cstr(text), arena, &connection, error);
}

static void test_parts(void **state)
{
    (void)state;
    struct arena arena;
    struct error error;
    arena_init(&arena);
    assert_int_equal(parse("kafka://h1:9092,h-2.example_x,[fe80::1]:65535/"
                           "?client.id=a%20%26b&sasl.password.file=/run/secret&&fetch.min.bytes=1"
                           "&ssl.ca.location=..a/b..",
                           &arena, &error),
                     OK);
    assert_true(slice_equal(connection.brokers, SLICE("h1:9092,h-2.example_x,[fe80::1]:65535")));
    assert_int_equal(connection.property_count, 4);
    static const struct {
        const char *name, *value;
        bool is_file, is_path;
    } want[] = {{"client.id", "a &b", false, false},
                {"sasl.password", "/run/secret", true, false},
                {"fetch.min.bytes", "1", false, false},
                {"ssl.ca.location", "..a/b..", false, true}};
    for (size_t i = 0; i < array_count(want); i++) {
        assert_true(slice_equal(connection.properties[i].name, slice_from_cstr(want[i].name)));
        assert_true(slice_equal(connection.properties[i].value, slice_from_cstr(want[i].value)));
        assert_int_equal(connection.properties[i].is_file, want[i].is_file);
        assert_int_equal(connection.properties[i].is_path, want[i].is_path);
    }
    assert_int_equal(parse("kafka://h", &arena, &error), OK);
    assert_int_equal(connection.property_count, 0);
    arena_deinit(&arena);
}

static void test_errors_show_no_value(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "kafka://user:hunter2@h:9092",
        "kafka://h?sasl.password=hunter2",
        "kafka://h?ssl.key.password=hunter2",
        "kafka://h?sasl.password.file=../hunter2",
        "kafka://h?ssl.key.location=/a/../hunter2",
        "kafka://h?sasl.kerberos.principal=hunter2",
        "kafka://h?unknown=hunter2",
        "kafka://h?client.id=hunter2%0",
        "kafka://h?client.id=hunter2%00",
        "kafka://h?sasl.password.file=/a&sasl.password.file=/hunter2",
        "kafka://hunter2 hunter2",
        "hunter2",
    };
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct error error = {0};
        assert_int_equal(parse(cases[i], &arena, &error), ERR_INPUT);
        assert_string_equal(error.sqlstate, "22023");
        if (strstr(error.text, "hunter2") != NULL || strstr(error.hint, "hunter2") != NULL)
            fail_msg("%s: %s %s", cases[i], error.text, error.hint);
    }
    arena_deinit(&arena);
}

static void test_limits(void **state)
{
    (void)state;
    struct arena arena;
    struct error error;
    static char text[CONNECTION_SIZE_MAX + 2] = "kafka://h?client.id=";
    arena_init(&arena);
    size_t used = strlen(text);
    memset(text + used, 'x', CONNECTION_SIZE_MAX - used);
    assert_int_equal(parse(text, &arena, &error), OK);
    text[CONNECTION_SIZE_MAX] = 'x';
    assert_int_equal(parse(text, &arena, &error), ERR_INPUT);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_errors_show_no_value),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
