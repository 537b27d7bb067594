/* What the ring takes, what it leaves to h2o, and that cuts do not change either. */
#include "server/ring/head.h"

#include "server/http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#define LINE "POST /v1/ingest/t HTTP/1.1\r\n"
#define SOUND LINE "Host: a\r\nContent-Length: 3\r\n"
#define BODY_MAX 1000

static const struct {
    const char *head;
    enum ring_verdict verdict;
} cases[] = {
    {SOUND "\r\nabc", RING_TAKE},
    {LINE "hOsT:a\r\nCONTENT-LENGTH:  3\r\n\r\n", RING_TAKE},
    {SOUND "Connection: keep-alive\r\n\r\n", RING_TAKE},
    {SOUND "Connection: Keep-Alive\r\n\r\n", RING_TAKE},
    {SOUND "Authorization: Bearer x\r\nIdempotency-Key: \"a b\"\r\n\r\n", RING_TAKE},
    {"POST /v1/ingest/a%20b?create=true&format=csv HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
     "\r\n",
     RING_TAKE},
    {LINE "Host: a\r\nContent-Length: 1001\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length: 0\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length: +3\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length: 3 \r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length: 3, 3\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length: 0x3\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length:\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\nContent-Length: 18446744073709551619\r\n\r\n", RING_LEAVE},
    {LINE "Host: a\r\n\r\n", RING_LEAVE},
    {LINE "Content-Length: 3\r\n\r\n", RING_LEAVE},
    {LINE "\r\n", RING_LEAVE},
    {SOUND "Host: a\r\n\r\n", RING_LEAVE},
    {SOUND "Content-Length: 3\r\n\r\n", RING_LEAVE},
    {SOUND "Content-Type: text/csv\r\ncontent-type: text/csv\r\n\r\n", RING_LEAVE},
    {SOUND "Transfer-Encoding: chunked\r\n\r\n", RING_LEAVE},
    {SOUND "Expect: 100-continue\r\n\r\n", RING_LEAVE},
    {SOUND "Upgrade: h2c\r\n\r\n", RING_LEAVE},
    {SOUND "Origin: http://a\r\n\r\n", RING_LEAVE},
    {SOUND "Connection: close\r\n\r\n", RING_LEAVE},
    {SOUND "Connection: keep-alive, upgrade\r\n\r\n", RING_LEAVE},
    {SOUND "X-Unknown: a\r\n\r\n", RING_LEAVE},
    {SOUND "Accept : a\r\n\r\n", RING_LEAVE},
    {SOUND " Accept: a\r\n\r\n", RING_LEAVE},
    {SOUND "Accept: a\r\n b\r\n\r\n", RING_LEAVE},
    {SOUND "Accept: a\tb\r\n\r\n", RING_LEAVE},
    {SOUND "Accept: a\rb\r\n\r\n", RING_LEAVE},
    {SOUND "Accept: \xc3\xa9\r\n\r\n", RING_LEAVE},
    {SOUND "Accept: a\n\r\n", RING_LEAVE},
    {SOUND "Accept\r\n\r\n", RING_LEAVE},
    {SOUND ": a\r\n\r\n", RING_LEAVE},
    {SOUND "\n", RING_LEAVE},
    {LINE "\r\n" SOUND, RING_LEAVE},
    {"\r\n" SOUND "\r\n", RING_LEAVE},
    {"post /v1/ingest/t HTTP/1.1\r\n", RING_LEAVE},
    {"POST  /v1/ingest/t HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/ingest/t  HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/ingest/t x HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/ingest/t HTTP/1.0\r\n", RING_LEAVE},
    {"POST /v1/ingest/t HTTP/1.1 \r\n", RING_LEAVE},
    {"POST /v1/ingest/t\r\n", RING_LEAVE},
    {"POST /v1/ingest/ HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/ingest/?create=true HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/ingest/a/b HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/ingest/\x80 HTTP/1.1\r\n", RING_LEAVE},
    {"POST /v1/sql HTTP/1.1\r\n", RING_LEAVE},
    {"POST http://a/v1/ingest/t HTTP/1.1\r\n", RING_LEAVE},
    {"PUT", RING_LEAVE},
    {"\x16\x03\x01", RING_LEAVE},
    {"PRI * HTTP/2.0\r\n\r\n", RING_LEAVE},
    {"", RING_MORE},
    {"P", RING_MORE},
    {"POST /v1/ingest/t", RING_MORE},
    {SOUND, RING_MORE},
    {SOUND "\r", RING_MORE},
};

static enum ring_verdict parse(const char *text, size_t size, struct ring_head *head)
{
    /* Exactly so many bytes, for the sanitizer. */
    char *copy = malloc(size == 0 ? 1 : size);
    memcpy(copy, text, size);
    enum ring_verdict verdict = ring_head_parse(slice_of(copy, size), BODY_MAX, head);
    ring_head_move(head, copy, text);
    free(copy);
    return verdict;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct ring_head head;
        enum ring_verdict verdict = parse(cases[i].head, strlen(cases[i].head), &head);
        if (verdict != cases[i].verdict)
            fail_msg("verdict %d of %s", (int)verdict, cases[i].head);
    }
}

/* A head that is taken is wanted more of at each cut; what is left is left however it goes on; what
 * is taken nobody else complains of. */
static void test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(cases); i++) {
        struct slice text = slice_from_cstr(cases[i].head);
        struct ring_head head, part;
        enum ring_verdict whole = parse(text.data, text.size, &head);
        for (size_t cut = 0; cut < text.size; cut++) {
            enum ring_verdict verdict = parse(text.data, cut, &part);
            if (whole == RING_TAKE)
                assert_int_equal(verdict, cut < head.size ? RING_MORE : RING_TAKE);
            else
                assert_true(verdict == RING_MORE || whole == RING_LEAVE);
            if (verdict == RING_LEAVE)
                assert_int_equal(whole, RING_LEAVE);
        }
        if (whole == RING_TAKE) {
            struct http_head check = http_head_check(text);
            assert_null(check.complaint);
            assert_true(slice_equal(check.host, head.values[RING_HOST]));
        }
    }
}

static void test_parts(void **state)
{
    (void)state;
    struct ring_head head;
    const char *text =
        "POST /v1/ingest/a%20b?create=true HTTP/1.1\r\nhost: x\r\nContent-Length: 12\r\n"
        "freshet-producer: p q\r\n\r\nbody";
    assert_int_equal(ring_head_parse(slice_from_cstr(text), BODY_MAX, &head), RING_TAKE);
    assert_int_equal(head.size, strlen(text) - 4);
    assert_int_equal(head.body_size, 12);
    assert_true(slice_equal(head.path, SLICE("/v1/ingest/a%20b")));
    assert_true(slice_equal(head.query, SLICE("create=true")));
    assert_true(slice_equal(ring_head_value(&head, "freshet-producer"), SLICE("p q")));
    assert_true(slice_equal(ring_head_value(&head, "host"), SLICE("x")));
    assert_null(ring_head_value(&head, "content-type").data);
    assert_null(ring_head_value(&head, "origin").data);
}

static void test_largest_head(void **state)
{
    (void)state;
    for (size_t excess = 0; excess < 3; excess++) {
        static char text[RING_HEAD_SIZE_MAX + 8];
        const size_t size = RING_HEAD_SIZE_MAX - 1 + excess;
        static const char begin[] = SOUND "Accept: ", end[] = "\r\n\r\n";
        memset(text, 'a', sizeof(text));
        memcpy(text, begin, sizeof(begin) - 1);
        memcpy(text + size - 4, end, 4);
        struct ring_head head;
        assert_int_equal(parse(text, size, &head), excess < 2 ? RING_TAKE : RING_LEAVE);
        assert_int_equal(parse(text, size - 1, &head), excess < 2 ? RING_MORE : RING_LEAVE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_largest_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
