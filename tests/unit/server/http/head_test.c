/* Heads that two parsers could read in two ways are refused; all others pass. */
#include "server/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static const struct {
    const char *head;
    const char *complaint; /* a part of it; NULL: fine */
} cases[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL},
    {"\r\n\r\nGET / HTTP/1.1\r\nhOsT:a\r\n\r\nrest", NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NULL},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     "more than one"},
    {"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n",
     "more than one"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
     "more than one"},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
     "more than one"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", "folded"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", "folded"},
    {"GET / HTTP/1.1\nHost: a\n\n", "without CR"},
    {"GET / HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", "without CR"},
    {"GET / HTTP/1.1\r\nHost: a\r\n\n", "without CR"},
    {"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", "control"},
    {"GET / HTTP/1.1\r\n\r\n", "missing"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "more than one Host"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: 1", "does not end"},
    {"", "does not end"},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct http_head head = http_head_check(slice_from_cstr(cases[i].head));
        if (cases[i].complaint == NULL) {
            assert_null(head.complaint);
            assert_true(slice_equal(head.host, SLICE("a")));
        } else {
            assert_non_null(head.complaint);
            assert_non_null(strstr(head.complaint, cases[i].complaint));
        }
    }
}

static void test_large_head_and_zero_byte(void **state)
{
    (void)state;
    size_t size = HTTP_HEAD_SIZE_MAX + 100;
    char *text = malloc(size);
    memset(text, 'x', size);
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    memcpy(text + size - 4, "\r\n\r\n", 4);
    assert_non_null(http_head_check(slice_of(text, size)).complaint);
    free(text);
    assert_non_null(http_head_check(SLICE("GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n")).complaint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),
                                       cmocka_unit_test(test_large_head_and_zero_byte)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
