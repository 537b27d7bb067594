/* Replies split at every byte read the same as whole; broken ones are told apart from unfinished
 * ones. */
#include "server/client/http_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
    const char *input;
    enum http_reply_state state;
    int status;
    const char *body;
    bool is_keep_alive;
    size_t left_over;
} cases[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", HTTP_REPLY_COMPLETE, 200, "hello", true,
     0},
    {"HTTP/1.1 200 OK\r\ncontent-length:0\r\nConnection: close\r\n\r\n", HTTP_REPLY_COMPLETE, 200,
     "", false, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
     "chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
     HTTP_REPLY_COMPLETE, 200, "abc0123456789", true, 0},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 413 Payload Too Large\r\nContent-Length: 1\r\n\r\nx",
     HTTP_REPLY_COMPLETE, 413, "x", true, 0},
    {"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200", HTTP_REPLY_COMPLETE, 204, "", true, 12},
    {"HTTP/1.0 200 OK\r\n\r\nall of it", HTTP_REPLY_UNTIL_CLOSE, 200, "all of it", false, 0},
    {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", HTTP_REPLY_LENGTH, 200, "hello", true,
     0},
    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", HTTP_REPLY_BROKEN, 200, "", true, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HTTP_REPLY_BROKEN, 200, "",
     true, 0},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", HTTP_REPLY_BROKEN, 200,
     "abc", true, 0},
    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", HTTP_REPLY_BROKEN, 0, "", false, 0},
};

static void check_case(size_t i, size_t step)
{
    struct http_reply reply;
    http_reply_init(&reply);
    struct slice input = slice_from_cstr(cases[i].input);
    size_t offset = 0;
    while (offset < input.size && reply.state != HTTP_REPLY_COMPLETE &&
           reply.state != HTTP_REPLY_BROKEN) {
        size_t size = input.size - offset < step ? input.size - offset : step;
        offset += http_reply_feed(&reply, slice_of(input.data + offset, size));
    }
    assert_int_equal(reply.state, cases[i].state);
    assert_int_equal(reply.status, cases[i].status);
    assert_true(slice_equal(writer_as_slice(&reply.body), slice_from_cstr(cases[i].body)));
    if (reply.state == HTTP_REPLY_COMPLETE) {
        assert_int_equal(reply.is_keep_alive, cases[i].is_keep_alive);
        assert_int_equal(input.size - offset, cases[i].left_over);
    }
    http_reply_end(&reply);
    bool is_complete =
        cases[i].state == HTTP_REPLY_COMPLETE || cases[i].state == HTTP_REPLY_UNTIL_CLOSE;
    assert_int_equal(reply.state, is_complete ? HTTP_REPLY_COMPLETE : HTTP_REPLY_BROKEN);
    http_reply_deinit(&reply);
}

static void test_any_split_reads_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        for (size_t step = 1; step < 100; step++) {
            check_case(i, step);
        }
    }
}

static void test_header_is_found_in_any_case(void **state)
{
    (void)state;
    struct http_reply reply;
    http_reply_init(&reply);
    struct slice input =
        SLICE("HTTP/1.1 429 Too Many\r\nRetry-After:  3 \r\nX: y\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(http_reply_feed(&reply, input), input.size);
    assert_true(slice_equal(http_reply_header(&reply, "retry-after"), SLICE("3")));
    assert_true(slice_equal(http_reply_header(&reply, "x"), SLICE("y")));
    assert_null(http_reply_header(&reply, "retry").data);
    http_reply_deinit(&reply);
}

static void test_endless_head_is_refused(void **state)
{
    (void)state;
    struct http_reply reply;
    http_reply_init(&reply);
    struct slice start = SLICE("HTTP/1.1 200 OK\r\n"), line = SLICE("X: 0123456789\r\n");
    http_reply_feed(&reply, start);
    for (size_t i = 0; i < 10000 && reply.state == HTTP_REPLY_HEAD; i++) {
        http_reply_feed(&reply, line);
    }
    assert_int_equal(reply.state, HTTP_REPLY_BROKEN);
    http_reply_deinit(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_split_reads_the_same),
        cmocka_unit_test(test_header_is_found_in_any_case),
        cmocka_unit_test(test_endless_head_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
