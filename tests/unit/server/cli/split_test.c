/* Files into parts: whatever the chunk that is offered, the parts are whole records and joined give
 * the file. */
#include "server/cli/split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_parts(void **state)
{
    (void)state;
    static const struct {
        enum split_format format;
        const char *text;
        bool is_last;
        size_t size_max, want;
    } cases[] = {
        {SPLIT_LINES, "", true, 10, 0},
        {SPLIT_LINES, "a\nb\n", true, 10, 4},
        {SPLIT_LINES, "a\nb\n", false, 10, 0},
        {SPLIT_LINES, "a\nb\n", true, 3, 2},
        {SPLIT_LINES, "a\nb", true, 10, 3},
        {SPLIT_LINES, "aaaa\nbbbb", true, 6, 5},
        {SPLIT_LINES, "aaaaaaaa\nb\n", true, 4, 9},
        {SPLIT_LINES, "aaaaaaaa", false, 4, 0},
        {SPLIT_LINES, "aaaaaaaa", true, 4, 8},
        {SPLIT_LINES, "a\nbbbbbb", false, 4, 2},
        {SPLIT_CSV, "\"a\nb\",1\nc\n", true, 8, 8},
        {SPLIT_CSV, "\"a\nb\",1\nc\n", true, 4, 8},
        {SPLIT_CSV, "\"a\"\"\n\"\n", true, 100, 7},
        {SPLIT_CSV, "\"a\n", false, 2, 0},
        {SPLIT_WHOLE, "[1,\n2]", true, 2, 6},
        {SPLIT_WHOLE, "[1,\n2]", false, 2, 0},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct slice text = slice_from_cstr(cases[i].text);
        assert_int_equal(split_part(cases[i].format, text, cases[i].is_last, cases[i].size_max),
                         cases[i].want);
    }
}

static void test_same_cuts_whatever_is_buffered(void **state)
{
    (void)state;
    enum { SIZE = 4000, PART = 100 };
    char text[SIZE];
    srand(7);
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = rand() % 12 == 0 ? '\n' : rand() % 20 == 0 ? '"' : 'x';
    }
    enum split_format formats[] = {SPLIT_LINES, SPLIT_CSV};
    for (size_t f = 0; f < array_count(formats); f++) {
        size_t cuts[SIZE], cut_count = 0;
        for (size_t at = 0; at < SIZE;) {
            at += split_part(formats[f], slice_of(text + at, SIZE - at), true, PART);
            cuts[cut_count++] = at;
        }
        assert_int_equal(cuts[cut_count - 1], SIZE);
        for (size_t at = 0, cut = 0, window = PART; at < SIZE; window += 37) {
            size_t size = SIZE - at < window ? SIZE - at : window;
            size_t part =
                split_part(formats[f], slice_of(text + at, size), at + size == SIZE, PART);
            if (part > 0) {
                at += part;
                assert_int_equal(at, cuts[cut++]);
                window = PART;
            }
        }
    }
}

static void test_guess_and_header(void **state)
{
    (void)state;
    static const struct {
        const char *name, *start;
        enum split_format want;
    } cases[] = {
        {"a.csv", "{", SPLIT_CSV},
        {"a.CSV", "x", SPLIT_CSV},
        {"a.ndjson", "{\"a\":1}\n{", SPLIT_LINES},
        {"a.json", " [\n{}]", SPLIT_WHOLE},
        {"a.json", "{\n \"a\": 1}", SPLIT_WHOLE},
        {"a.json", "{\"a\":1}\n", SPLIT_LINES},
        {"-", "{\"a\":1}", SPLIT_LINES},
        {"-", "a,b\n1,2\n", SPLIT_CSV},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        assert_int_equal(
            split_guess(slice_from_cstr(cases[i].name), slice_from_cstr(cases[i].start)),
            cases[i].want);
    }
    assert_int_equal(split_header(SLICE("a,\"b\nc\"\r\n1,2\n"), false), 9);
    assert_int_equal(split_header(SLICE("a,b"), false), 0);
    assert_int_equal(split_header(SLICE("a,b"), true), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_same_cuts_whatever_is_buffered),
        cmocka_unit_test(test_guess_and_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
