/* Percent-decoding and query strings. */
#include "server/http/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_decode(void **state)
{
    (void)state;
    static const struct {
        const char *input, *want; /* want NULL: refused */
    } cases[] = {
        {"", ""},      {"a%20b", "a b"}, {"%41%62", "Ab"}, {"a+b", "a b"}, {"%c3%A4", "\xc3\xa4"},
        {"%", NULL},   {"%4", NULL},     {"%zz", NULL},    {"%00", NULL},  {"%ff", NULL},
        {"a%2", NULL},
    };
    struct arena arena;
    struct error error;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct slice out;
        enum err result =
            target_decode(slice_from_cstr(cases[i].input), true, &arena, &out, &error);
        assert_int_equal(result, cases[i].want == NULL ? ERR_INPUT : OK);
        if (cases[i].want != NULL) {
            assert_true(slice_equal(out, slice_from_cstr(cases[i].want)));
        }
    }
    struct slice out;
    assert_int_equal(target_decode(SLICE("a+b"), false, &arena, &out, &error), OK);
    assert_true(slice_equal(out, SLICE("a+b")));
    arena_deinit(&arena);
}

static void test_origin_form(void **state)
{
    (void)state;
    static const struct {
        struct slice input, want;
    } cases[] = {
        {{"/a", 2}, {"/a", 2}},      {{"http://h/a?b", 12}, {"/a?b", 4}},
        {{"http://h", 8}, {"/", 1}}, {{"http://", 7}, {"/", 1}},
        {{"*", 1}, {"*", 1}},        {{"", 0}, {"", 0}},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        assert_true(slice_equal(target_origin_form(cases[i].input), cases[i].want));
    }
}

static void test_parameters(void **state)
{
    (void)state;
    static const char *const want[][2] = {
        {"q", "SELECT 1=1&"}, {"format", ""}, {"x", ""}, {"", "v"}};
    struct slice rest = SLICE("q=SELECT+1=1%26&&format=&x&=v&");
    struct arena arena;
    struct error error;
    struct target_parameter parameter;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(want); i++) {
        assert_int_equal(target_next_parameter(&rest, &arena, &parameter, &error), OK);
        assert_true(slice_equal(parameter.name, slice_from_cstr(want[i][0])));
        assert_true(slice_equal(parameter.value, slice_from_cstr(want[i][1])));
    }
    assert_int_equal(target_next_parameter(&rest, &arena, &parameter, &error), ERR_NOT_FOUND);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_decode),
                                       cmocka_unit_test(test_parameters),
                                       cmocka_unit_test(test_origin_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
