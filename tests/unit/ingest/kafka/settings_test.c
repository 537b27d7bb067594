/* Lists of partitions and positions; options of subscriptions. */
#include "ingest/kafka/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_partitions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count, first, last; /* count -1: refused */
    } cases[] = {
        {"", 0, 0, 0},
        {"  ", 0, 0, 0},
        {"0", 1, 0, 0},
        {"0-5,7", 7, 0, 7},
        {" 1 , 3-4 ", 3, 1, 4},
        {"0-9999", 10000, 0, 9999},
        {"0-10000", -1, 0, 0},
        {"5-1", -1, 0, 0},
        {"1,1", -1, 0, 0},
        {"2,1", -1, 0, 0},
        {"1,", -1, 0, 0},
        {",1", -1, 0, 0},
        {"-1", -1, 0, 0},
        {"1-", -1, 0, 0},
        {"a", -1, 0, 0},
        {"1 2", -1, 0, 0},
        {"2147483647", 1, 2147483647, 2147483647},
        {"2147483648", -1, 0, 0},
    };
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct error error;
        int32_t *list;
        size_t count;
        enum err err = settings_parse_partitions(slice_from_cstr(cases[i].text), &arena, &list,
                                                 &count, &error);
        if ((err == OK) != (cases[i].count >= 0))
            fail_msg("\"%s\": %d", cases[i].text, (int)err);
        if (err != OK || cases[i].count == 0)
            continue;
        assert_int_equal(count, cases[i].count);
        assert_int_equal(list[0], cases[i].first);
        assert_int_equal(list[count - 1], cases[i].last);
    }
    arena_deinit(&arena);
}

static void test_start(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int kind, count; /* kind -1: refused */
        int64_t last;
    } cases[] = {
        {"earliest", START_EARLIEST, 0, 0},
        {"LATEST", START_LATEST, 0, 0},
        {"0:1500,3:1490", START_POSITIONS, 2, 1490},
        {"0:0", START_POSITIONS, 1, 0},
        {" 0:1 , 2:9223372036854775806 ", START_POSITIONS, 2, INT64_MAX - 1},
        {"0:9223372036854775807", -1, 0, 0},
        {"", -1, 0, 0},
        {"0", -1, 0, 0},
        {"0:", -1, 0, 0},
        {"0:1,", -1, 0, 0},
        {"1:1,0:1", -1, 0, 0},
        {"0:-1", -1, 0, 0},
        {"soon", -1, 0, 0},
    };
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct error error;
        struct subscription_start start;
        enum err err = settings_parse_start(slice_from_cstr(cases[i].text), &arena, &start, &error);
        if ((err == OK) != (cases[i].kind >= 0))
            fail_msg("\"%s\": %d", cases[i].text, (int)err);
        if (err != OK)
            continue;
        assert_int_equal(start.kind, cases[i].kind);
        assert_int_equal(start.count, cases[i].count);
        if (start.count > 0)
            assert_true(start.positions[start.count - 1].next == cases[i].last);
    }
    arena_deinit(&arena);
}

static void test_options(void **state)
{
    (void)state;
    struct subscription_definition definition = {.name = SLICE("s"), .is_enabled = true};
    struct error error;
    bool has_start;
    const struct ingest_option create[] = {{.name = SLICE("table"), .value = SLICE("t")},
                                           {.name = SLICE("enabled"), .value = SLICE("off")},
                                           {.name = SLICE("start"), .value = SLICE("latest")}};
    assert_int_equal(settings_apply(&definition, create, 3, false, &has_start, &error), OK);
    assert_true(has_start);
    assert_false(definition.is_enabled);
    assert_true(slice_equal(definition.table, SLICE("t")));
    const struct ingest_option alter[] = {
        {.name = SLICE("group"), .value = SLICE("g")},
        {.name = SLICE("table"), .value = SLICE("u"), .text_position = 7}};
    assert_int_equal(settings_apply(&definition, alter, 1, true, &has_start, &error), OK);
    assert_false(has_start);
    assert_int_equal(settings_apply(&definition, alter, 2, true, &has_start, &error),
                     ERR_UNSUPPORTED);
    assert_int_equal(error.text_position, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
