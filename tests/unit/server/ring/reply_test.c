/* The head of an answer, byte for byte. tests/e2e/test_ring.py compares with what h2o writes. */
#include "server/ring/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void check(const struct exchange *exchange, bool is_closing, int64_t wall_us,
                  struct ring_date *date, const char *want)
{
    struct writer out;
    writer_init(&out);
    ring_reply_head(exchange, is_closing, wall_us, date, &out);
    assert_true(slice_equal(writer_as_slice(&out), slice_from_cstr(want)));
    writer_deinit(&out);
}

static void test_heads(void **state)
{
    (void)state;
    struct ring_date date = {0};
    struct exchange exchange = {.status = 200, .content_type = SLICE("application/json")};
    writer_init(&exchange.content);
    check(&exchange, false, 0, &date,
          "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: keep-alive\r\n"
          "Content-Length: 0\r\ncontent-type: application/json\r\n"
          "x-content-type-options: nosniff\r\n\r\n");
    writer_cstr(&exchange.content, "{}\n");
    exchange.status = 429;
    exchange.headers[0] = (struct exchange_header){SLICE("retry-after"), SLICE("1")};
    exchange.headers[1] = (struct exchange_header){SLICE("a"), SLICE("b")};
    exchange.header_count = 2;
    check(&exchange, true, 1795329300999999, &date,
          "HTTP/1.1 429 Too Many Requests\r\nDate: Sun, 22 Nov 2026 06:35:00 GMT\r\n"
          "Connection: close\r\nContent-Length: 3\r\ncontent-type: application/json\r\n"
          "x-content-type-options: nosniff\r\nretry-after: 1\r\na: b\r\n\r\n");
    exchange.header_count = 0;
    exchange.content_type = (struct slice){NULL, 0};
    check(&exchange, false, 1795329301000000, &date,
          "HTTP/1.1 429 Too Many Requests\r\nDate: Sun, 22 Nov 2026 06:35:01 GMT\r\n"
          "Connection: keep-alive\r\nContent-Length: 3\r\nx-content-type-options: nosniff\r\n\r\n");
    writer_deinit(&exchange.content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_heads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
