/* Content encodings: members and frames in sequence, damage, bombs, the limit to the byte. */
#include "ingest/decode/decode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

static void gzip_add(struct writer *out, struct slice text)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&stream, text.size) + 64;
    stream.next_in = (Bytef *)(uintptr_t)text.data;
    stream.avail_in = (uInt)text.size;
    stream.next_out = writer_reserve(out, room);
    stream.avail_out = (uInt)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->size += room - stream.avail_out;
    deflateEnd(&stream);
}

static void zstd_add(struct writer *out, struct slice text)
{
    size_t room = ZSTD_compressBound(text.size);
    void *data = writer_reserve(out, room);
    size_t size = ZSTD_compress(data, room, text.data, text.size, 1);
    assert_false(ZSTD_isError(size));
    out->size += size;
}

static enum err inflate_all(const struct writer *in, size_t size, enum ingest_encoding encoding,
                            size_t limit, struct writer *out)
{
    struct error error;
    writer_reset(out);
    return decode_inflate(slice_of(in->data, size), encoding, limit, out, &error);
}

static void check_encoding(enum ingest_encoding encoding,
                           void (*add)(struct writer *, struct slice))
{
    struct writer in, out;
    writer_init(&in);
    writer_init(&out);
    add(&in, SLICE("{\"a\":1}\n"));
    add(&in, SLICE(""));
    add(&in, SLICE("{\"a\":2}\n"));
    assert_int_equal(inflate_all(&in, in.size, encoding, 1000, &out), OK);
    assert_true(slice_equal(writer_as_slice(&out), SLICE("{\"a\":1}\n{\"a\":2}\n")));
    assert_int_equal(inflate_all(&in, in.size, encoding, 16, &out), OK);
    assert_int_equal(inflate_all(&in, in.size, encoding, 15, &out), ERR_LIMIT);
    /* Cut anywhere but between members: refused. */
    size_t refused = 0;
    for (size_t size = 0; size < in.size; size++)
        refused += inflate_all(&in, size, encoding, 1000, &out) == ERR_INPUT;
    assert_true(refused >= in.size - 3);
    for (size_t i = 0; i < in.size; i += 3) {
        in.data[i] ^= 0x55;
        enum err err = inflate_all(&in, in.size, encoding, 1000, &out);
        assert_true(err == ERR_INPUT || err == OK || err == ERR_LIMIT);
        in.data[i] ^= 0x55;
    }
    writer_u8(&in, 'x');
    assert_int_equal(inflate_all(&in, in.size, encoding, 1000, &out), ERR_INPUT);
    writer_deinit(&in);
    writer_deinit(&out);
}

static void test_gzip(void **state)
{
    (void)state;
    check_encoding(INGEST_GZIP, gzip_add);
}

static void test_zstd(void **state)
{
    (void)state;
    check_encoding(INGEST_ZSTD, zstd_add);
}

static void test_bomb_costs_its_limit(void **state)
{
    (void)state;
    size_t size = 64 << 20;
    char *zeros = calloc(1, size);
    struct writer in, out;
    writer_init(&in);
    writer_init(&out);
    gzip_add(&in, slice_of(zeros, size));
    assert_true(in.size < size / 500);
    assert_int_equal(inflate_all(&in, in.size, INGEST_GZIP, 1 << 20, &out), ERR_LIMIT);
    assert_true(out.capacity <= 4 << 20);
    writer_reset(&in);
    zstd_add(&in, slice_of(zeros, size));
    assert_int_equal(inflate_all(&in, in.size, INGEST_ZSTD, 1 << 20, &out), ERR_LIMIT);
    assert_true(out.capacity <= 4 << 20);
    writer_deinit(&in);
    writer_deinit(&out);
    free(zeros);
}

static void test_plain(void **state)
{
    (void)state;
    struct writer out;
    struct error error;
    writer_init(&out);
    assert_int_equal(decode_inflate(SLICE("abc"), INGEST_PLAIN, 3, &out, &error), OK);
    assert_int_equal(out.size, 3);
    writer_reset(&out);
    assert_int_equal(decode_inflate(SLICE("abcd"), INGEST_PLAIN, 3, &out, &error), ERR_LIMIT);
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_zstd),
        cmocka_unit_test(test_bomb_costs_its_limit),
        cmocka_unit_test(test_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
