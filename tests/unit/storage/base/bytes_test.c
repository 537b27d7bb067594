/* Sticky readers and writers: everything written reads back, every cut is found. */
#include "storage/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void write_all(struct writer *out)
{
    writer_u8(out, 1);
    writer_u16(out, 0x0203);
    writer_u32(out, 0x04050607);
    writer_u64(out, UINT64_MAX - 1);
    writer_i64(out, -5);
    writer_varint(out, 127);
    writer_varint(out, UINT64_MAX);
    writer_text(out, SLICE("text"));
}

static void read_all(struct reader *reader)
{
    reader_u8(reader);
    reader_u16(reader);
    reader_u32(reader);
    reader_u64(reader);
    reader_i64(reader);
    reader_varint(reader);
    reader_varint(reader);
    reader_text(reader);
}

static void test_round_trip_and_cuts(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    write_all(&out);
    struct reader reader = reader_of(writer_as_slice(&out));
    assert_int_equal(reader_u8(&reader), 1);
    assert_int_equal(reader_u16(&reader), 0x0203);
    assert_int_equal(reader_u32(&reader), 0x04050607);
    assert_true(reader_u64(&reader) == UINT64_MAX - 1);
    assert_int_equal(reader_i64(&reader), -5);
    assert_int_equal(reader_varint(&reader), 127);
    assert_true(reader_varint(&reader) == UINT64_MAX);
    assert_true(slice_equal(reader_text(&reader), SLICE("text")));
    assert_false(reader.failed);
    assert_int_equal(reader_left(&reader), 0);
    for (size_t size = 0; size < out.size; size++) {
        reader = reader_of(slice_of(out.data, size));
        read_all(&reader);
        assert_true(reader.failed);
        assert_int_equal(reader_u32(&reader), 0);
    }
    writer_deinit(&out);
}

static void test_limit_and_patch(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    out.limit = 8;
    writer_u32(&out, 0);
    writer_patch_u32(&out, 0, 77);
    writer_cstr(&out, "abcd");
    assert_false(out.failed);
    assert_int_equal(out.data[0], 77);
    writer_u8(&out, 1);
    assert_true(out.failed);
    assert_int_equal(out.size, 8);
    writer_reset(&out);
    out.limit = 0;
    writer_printf(&out, "%d-%s", 5, "x");
    assert_true(slice_equal(writer_as_slice(&out), SLICE("5-x")));
    writer_deinit(&out);
    struct reader reader = reader_of(SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    assert_int_equal(reader_varint(&reader), 0);
    assert_true(reader.failed);
}

static void test_blocks(void **state)
{
    (void)state;
    struct writer out;
    for (size_t head = 1; head < WRITER_BLOCK_SIZE; head += 409) {
        writer_init_block(&out, head);
        writer_deinit(&out); /* of one that was never used */
        writer_init_block(&out, head);
        for (uint32_t i = 0; i < 5000; i++) {
            writer_u32(&out, i);
            assert_int_equal((uintptr_t)out.data % WRITER_BLOCK_SIZE, head);
            assert_int_equal((head + out.capacity) % WRITER_BLOCK_SIZE, 0);
        }
        memset(out.data - head, 0xff, head); /* the head is ours */
        for (uint32_t i = 0; i < 5000; i++)
            assert_memory_equal(out.data + 4 * i, &i, sizeof(i));
        writer_deinit(&out);
    }
}

static void check_numbers(const struct writer *out, uint32_t count)
{
    assert_int_equal(out->size, count * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++)
        assert_memory_equal(out->data + 4 * i, &i, sizeof(i));
}

/* Memory that is lent is filled to its end, left when it is too small, and never freed. */
static void test_lent(void **state)
{
    (void)state;
    enum { HEAD = 64, SIZE = 2 * WRITER_BLOCK_SIZE, FITTING = (SIZE - HEAD) / 4 };
    static _Alignas(4096) uint8_t memory[SIZE];
    const uint32_t counts[] = {0, 1, FITTING - 1, FITTING, FITTING + 1, 5 * FITTING};
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct writer out;
        writer_init_lent(&out, HEAD, memory, SIZE);
        memset(out.data - HEAD, 0xa5, HEAD);
        for (uint32_t i = 0; i < counts[c]; i++)
            writer_u32(&out, i);
        check_numbers(&out, counts[c]);
        assert_int_equal(out.data == memory + HEAD, counts[c] <= FITTING);
        assert_int_equal(out.data[-1], 0xa5); /* the head moves along */
        writer_deinit(&out);
        writer_deinit(&out);
        memset(memory, (int)c, SIZE); /* still ours */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_lent),
        cmocka_unit_test(test_round_trip_and_cuts),
        cmocka_unit_test(test_limit_and_patch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
