/* When deferred calls are made, and how often. */
#include "storage/base/defer.h"

#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static char trace[256];

static void mark(void *context)
{
    strncat(trace, context, sizeof(trace) - strlen(trace) - 1);
}

static void mark_other(void *context)
{
    strncat(trace, "!", sizeof(trace) - strlen(trace) - 1);
    mark(context);
}

static void expect(const char *want)
{
    assert_string_equal(trace, want);
    trace[0] = 0;
}

static void test_calls(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b";
    defer_call(mark, a);
    defer_call(mark, a);
    expect("aa");
    defer_begin();
    defer_end();
    expect("");
    defer_begin();
    defer_call(mark, b);
    defer_call(mark, a);
    defer_call(mark_other, b);
    defer_call(mark, b);
    defer_begin();
    defer_call(mark, a);
    defer_end();
    expect("");
    defer_end();
    expect("ba!b");
    defer_call(mark, a);
    expect("a");
    fault_plant("defer.forgotten");
    defer_begin();
    defer_call(mark, a);
    defer_end();
    expect(""); /* what a test of whoever defers must find */
    fault_clear();
}

/* More than are kept: none is lost. */
static void test_many(void **state)
{
    (void)state;
    char texts[20][2];
    defer_begin();
    for (int i = 0; i < 20; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%c", 'a' + i);
        defer_call(mark, texts[i]);
    }
    expect("ijklmnopqrst");
    defer_call(mark, texts[3]);
    defer_end();
    expect("abcdefgh");
}

static void nested(void *context)
{
    mark(context);
    defer_begin();
    defer_call(mark, context);
    defer_end();
}

/* Calls may defer, too. */
static void test_within(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b";
    defer_begin();
    defer_call(nested, a);
    defer_call(mark, b);
    defer_end();
    expect("aab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
