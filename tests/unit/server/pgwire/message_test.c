/* Messages: lengths that can and cannot be, and the same messages whatever pieces they come in. */
#include "server/pgwire/message.h"

#include "storage/base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool is_first;
        enum message_found want;
    } cases[] = {
        {"", 0, true, MESSAGE_MORE},
        {"\0\0\0", 3, true, MESSAGE_MORE},
        {"\0\0\0\x08", 4, true, MESSAGE_MORE},
        {"\0\0\0\x08\x04\xd2\x16\x2f", 8, true, MESSAGE_WHOLE},
        {"\0\0\0\x07\x04\xd2\x16\x2f", 8, true, MESSAGE_BROKEN},
        {"\0\0\0\0", 4, true, MESSAGE_BROKEN},
        {"\xff\xff\xff\xff", 4, true, MESSAGE_BROKEN},
        {"\x7f\xff\xff\xff", 4, true, MESSAGE_BROKEN},
        {"\0\0\x27\x11", 4, true, MESSAGE_BROKEN}, /* 10,001 */
        {"\0\0\x27\x10", 4, true, MESSAGE_MORE},
        {"GET ", 4, true, MESSAGE_BROKEN},
        {"", 0, false, MESSAGE_MORE},
        {"S\0\0\0", 4, false, MESSAGE_MORE},
        {"S\0\0\0\x04", 5, false, MESSAGE_WHOLE},
        {"S\0\0\0\x03", 5, false, MESSAGE_BROKEN},
        {"Q\xff\xff\xff\xff", 5, false, MESSAGE_BROKEN},
        {"Q\x80\0\0\0", 5, false, MESSAGE_BROKEN},
        {"Q\0\0\0\x69", 5, false, MESSAGE_BROKEN}, /* 101 bytes of body */
        {"Q\0\0\0\x68", 5, false, MESSAGE_MORE},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct message message;
        struct slice input = slice_of(cases[i].bytes, cases[i].size);
        enum message_found found =
            cases[i].is_first ? message_first(input, &message) : message_next(input, 100, &message);
        if (found != cases[i].want)
            fail_msg("case %zu: %d instead of %d", i, (int)found, (int)cases[i].want);
    }
}

#define STREAM                                                                                     \
    "Q\0\0\0\x0dselect 1\0"                                                                        \
    "H\0\0\0\x04"                                                                                  \
    "P\0\0\0\x0a"                                                                                  \
    "a\0b\0\0\0"                                                                                   \
    "S\0\0\0\x04"

static void test_every_split(void **state)
{
    (void)state;
    static const char types[] = "QHPS";
    struct slice all = slice_of(STREAM, sizeof(STREAM) - 1);
    for (size_t first = 0; first <= all.size; first++)
        for (size_t second = first; second <= all.size; second++) {
            size_t ends[] = {first, second, all.size}, at = 0, count = 0;
            for (size_t piece = 0; piece < 3; piece++) {
                struct message message;
                struct slice seen = slice_of(all.data + at, ends[piece] - at);
                while (message_next(seen, 100, &message) == MESSAGE_WHOLE) {
                    assert_int_equal(message.type, types[count++]);
                    assert_true(message.size == message.body.size + 5);
                    at += message.size;
                    seen = slice_of(all.data + at, ends[piece] - at);
                }
                assert_true(message_next_size(seen, 100) > seen.size);
            }
            assert_int_equal(count, 4);
            assert_int_equal(at, all.size);
        }
}

static void test_reading_past_the_end(void **state)
{
    (void)state;
    struct reader reader = reader_of(slice_of("ab\0c", 4));
    assert_true(slice_equal(message_text(&reader), SLICE("ab")));
    assert_int_equal(message_text(&reader).size, 0); /* no NUL */
    assert_true(reader.failed);
    assert_int_equal(message_u32(&reader), 0);
}

static void test_writing(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    size_t begin = message_begin(&out, 'T');
    message_put_u16(&out, 0x0102);
    message_put_u32(&out, 0x03040506);
    message_put_text(&out, SLICE("x"));
    message_patch_u16(&out, begin + 4, 7);
    message_end(&out, begin);
    assert_int_equal(out.size, 13);
    assert_memory_equal(out.data, "T\0\0\0\x0c\0\x07\x03\x04\x05\x06x\0", 13);
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_reading_past_the_end),
        cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
