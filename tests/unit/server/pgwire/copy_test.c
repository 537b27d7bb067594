/* COPY on the wire: its first message, the settings it begins by, its warnings. */
#include "server/pgwire/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static void test_response(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    copy_print_response(COPY_TEXT, 2, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("\0\0\2\0\0\0\0")));
    writer_reset(&out);
    copy_print_response(COPY_CSV, 1, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("\0\0\1\0\0")));
    writer_reset(&out);
    copy_print_response(COPY_BINARY, 3, &out);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("\1\0\3\0\1\0\1\0\1")));
    writer_deinit(&out);
}

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        const char *producer, *sequence, *want;
    } cases[] = {
        {"", "", ""},
        {"p", "", "freshet.producer and freshet.sequence come together"},
        {"", "1", "freshet.producer and freshet.sequence come together"},
        {"p", "x", "freshet.sequence is not a number: \"x\""},
        {"p", "-1", "freshet.sequence is not a number: \"-1\""},
        {"p", "7", ""},
    };
    struct ingest_options ingest_options = {.limits = ingest_limits_default};
    struct ingest *ingest = ingest_create(&ingest_options);
    struct copy_options format = {.format = COPY_TEXT};
    uint32_t column = 1;
    struct schema schema = {.table_id = 1};
    struct command command = {.table = SLICE("t"),
                              .schema = &schema,
                              .column_ids = &column,
                              .column_id_count = 1,
                              .copy = &format};
    for (size_t index = 0; index < array_count(cases); index++) {
        struct settings settings = {0};
        struct ingest_copy *copy = NULL;
        struct error error = {0};
        snprintf(settings.producer, sizeof(settings.producer), "%s", cases[index].producer);
        snprintf(settings.sequence, sizeof(settings.sequence), "%s", cases[index].sequence);
        enum err err = copy_begin_in(ingest, &command, &settings, NULL, NULL, &copy, &error);
        assert_string_equal(error.text, cases[index].want);
        assert_int_equal(err, cases[index].want[0] == 0 ? OK : ERR_INPUT);
        ingest_copy_destroy(copy);
    }
    ingest_destroy(ingest);
}

static void test_warnings(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    struct ingest_copy_answer answer = {.rows = 5};
    assert_false(copy_print_warning(&answer, false, &out));
    answer.is_repeated = true;
    assert_true(copy_print_warning(&answer, false, &out));
    assert_true(slice_equal(writer_as_slice(&out),
                            SLICE("this sequence was stored before: 5 rows then, none now")));
    writer_reset(&out);
    answer = (struct ingest_copy_answer){.rows = 5, .rejected = 2};
    error_set(&answer.reason, ERR_INPUT, "22P02", "row 3: a: no number");
    assert_true(copy_print_warning(&answer, false, &out));
    assert_true(
        slice_equal(writer_as_slice(&out), SLICE("2 rows were not stored but kept in "
                                                 "freshet.dead_letters; row 3: a: no number")));
    static const struct {
        uint64_t rejected;
        bool is_held;
        const char *want;
    } cases[] = {
        {1, false, "1 row was not stored but kept in freshet.dead_letters; row 3: a: no number"},
        {1, true,
         "1 row is not stored but will be kept in freshet.dead_letters at COMMIT; row 3: a: no "
         "number"},
        {2, true,
         "2 rows are not stored but will be kept in freshet.dead_letters at COMMIT; row 3: a: no "
         "number"},
    };
    for (size_t index = 0; index < array_count(cases); index++) {
        writer_reset(&out);
        answer.rejected = cases[index].rejected;
        assert_true(copy_print_warning(&answer, cases[index].is_held, &out));
        assert_true(slice_equal(writer_as_slice(&out), slice_from_cstr(cases[index].want)));
    }
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
