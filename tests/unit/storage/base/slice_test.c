/* Text views: order, trimming, cutting, UTF-8 by RFC 3629. */
#include "storage/base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        struct slice text;
        size_t valid, count;
    } cases[] = {
        {{"", 0}, 0, 0},
        {{"plain text of more than eight", 29}, 29, 29},
        {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, 9, 3},
        {{"\xf4\x8f\xbf\xbf", 4}, 4, 1},
        {{"a\xff", 2}, 1, 1},
        {{"\xc0\xaf", 2}, 0, 0},
        {{"\xed\xa0\x80", 3}, 0, 0},
        {{"\xe0\x9f\xbf", 3}, 0, 0},
        {{"\xf4\x90\x80\x80", 4}, 0, 0},
        {{"12345678\xe2\x82", 10}, 8, 8},
    };
    for (size_t index = 0; index < array_count(cases); index++) {
        struct slice s = cases[index].text;
        assert_int_equal(utf8_validate(s), cases[index].valid);
        assert_int_equal(utf8_count(slice_of(s.data, cases[index].valid)), cases[index].count);
    }
    for (uint32_t c = 1; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 977) {
        char bytes[4];
        size_t back;
        size_t size = utf8_encode(c, bytes);
        bool is_surrogate = c >= 0xD800 && c <= 0xDFFF;
        assert_int_equal(utf8_validate(slice_of(bytes, size)) == size, !is_surrogate);
        assert_int_equal(utf8_decode(slice_of(bytes, size), &back), c);
        assert_int_equal(back, size);
    }
}

static void test_views(void **state)
{
    (void)state;
    assert_true(slice_compare(SLICE("a"), SLICE("ab")) < 0);
    assert_true(slice_compare(SLICE("b"), SLICE("ab")) > 0);
    assert_int_equal(slice_compare(SLICE(""), slice_of(NULL, 0)), 0);
    assert_true(slice_equal(slice_trim(SLICE(" \t\r\n\v\f x y ")), SLICE("x y")));
    assert_true(slice_equal_ignore_case(SLICE("AbC"), SLICE("aBc")));
    assert_false(slice_equal_ignore_case(SLICE("@"), SLICE("`")));
    assert_true(slice_starts_with(SLICE("abc"), SLICE("")));
    assert_false(slice_starts_with(SLICE("a"), SLICE("ab")));
    assert_true(slice_equal(slice_cut(SLICE("a\xc3\xa9z"), 2), SLICE("a")));
    assert_true(slice_equal(slice_cut(SLICE("abc"), 3), SLICE("abc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
