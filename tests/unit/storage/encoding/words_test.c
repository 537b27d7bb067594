/* Blocks of words: reads of any rows against the texts, entries longer than this writer makes, and
 * damage. That every text comes back from every encoding is encoding_test's. */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define ROWS 5000u
#define TAG 8
/* Sanitizers see fewer turns. */
#ifdef FRESHET_CHECK
#define SHARE 5
#else
#define SHARE 1
#endif

static struct slice texts[ROWS], out[BLOCK_VECTOR_ROWS];
static char pool[ROWS * 200];
static struct random_stream chance;
static struct block_scratch scratch;
static struct writer bytes;

static void fill(void)
{
    size_t used = 0;
    for (uint32_t row = 0; row < ROWS; row++) {
        size_t begin = used;
        for (uint64_t i = random_below(&chance, 20); i > 0; i--)
            used += (size_t)snprintf(pool + used, 8, "/w%u", (unsigned)random_below(&chance, 700));
        if (row > 4500 && row % 7 == 0) /* what the sample may not have */
            used += (size_t)snprintf(pool + used, 8, "\x01\xfe%u", row);
        texts[row] = slice_of(pool + begin, used - begin);
    }
}

static void encode(struct block *block)
{
    const struct block_values values = {.class = BLOCK_TEXT, .row_count = ROWS, .text = texts};
    const struct encode_options options = {.forbidden = ~(1u << TAG)};
    struct block_encoded encoded;
    struct error error;
    writer_reset(&bytes);
    block_encode(&values, &options, &bytes, &encoded);
    assert_int_equal(encoded.encoding, TAG);
    assert_int_equal(block_open(writer_as_slice(&bytes), BLOCK_TEXT, ROWS, block, &error), OK);
}

/* True: all as they should be. */
static bool read_some(const struct block *block)
{
    uint32_t rows[BLOCK_VECTOR_ROWS], count = 0;
    uint32_t vector = (uint32_t)random_below(&chance, vector_count_of(ROWS));
    uint32_t end = vector * BLOCK_VECTOR_ROWS + vector_rows_of(ROWS, vector);
    uint64_t gap = 1 + random_below(&chance, 200);
    for (uint32_t row = vector * BLOCK_VECTOR_ROWS + (uint32_t)random_below(&chance, gap);
         row < end; row += 1 + (uint32_t)random_below(&chance, gap))
        rows[count++] = row;
    if (block_read_at(block, rows, count, &scratch, out, NULL) != OK)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (!slice_equal(out[i], texts[rows[i]]))
            return false;
    }
    return true;
}

static void test_rows(void **state)
{
    struct block block;
    (void)state;
    random_stream_init(&chance, 3);
    fill();
    encode(&block);
    for (int turn = 0; turn < 200 / SHARE; turn++) {
        uint32_t begin = (uint32_t)random_below(&chance, vector_count_of(ROWS)) * BLOCK_VECTOR_ROWS;
        if (turn % 3 == 0)
            scratch.tag = 0;
        assert_true(read_some(&block));
        uint32_t count =
            1 + (uint32_t)random_below(&chance, vector_rows_of(ROWS, begin / BLOCK_VECTOR_ROWS));
        assert_int_equal(block_read(&block, begin, count, &scratch, out, NULL), OK);
        for (uint32_t i = 0; i < count; i++)
            assert_true(slice_equal(out[i], texts[begin + i]));
    }
}

/* What looks words up does not show in what is written. */
static void test_variants_agree(void **state)
{
    struct block block;
    struct writer first;
    (void)state;
    random_stream_init(&chance, 4);
    fill();
    writer_init(&first);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        encode(&block);
        if (isa == KERNEL_BASE)
            writer_slice(&first, writer_as_slice(&bytes));
        assert_true(slice_equal(writer_as_slice(&first), writer_as_slice(&bytes)));
    }
    writer_deinit(&first);
}

static bool is_read_wrong(const struct block *block)
{
    bool is_wrong = false;
    for (int turn = 0; turn < 20; turn++) {
        scratch.tag = 0;
        is_wrong |= !read_some(block);
    }
    return is_wrong;
}

static void test_faults_are_found(void **state)
{
    struct block block;
    (void)state;
    random_stream_init(&chance, 5);
    fill();
    encode(&block);
    assert_false(is_read_wrong(&block));
    fault_plant("words.first_code");
    bool is_found = is_read_wrong(&block);
    fault_plant("words.spelled_elsewhere");
    encode(&block);
    fault_clear();
    assert_true(is_found);
    assert_true(is_read_wrong(&block));
}

/* A block by hand: entries of all lengths up to 64, one code a row. */
static void test_long_entries(void **state)
{
    static const uint8_t zeros[8];
    struct block block;
    struct error error;
    uint8_t codes[WORDS_LENGTH_MAX] = {0};
    int64_t counts[WORDS_LENGTH_MAX];
    struct packed_plan plan;
    uint32_t rows = WORDS_LENGTH_MAX, size = 0;
    (void)state;
    writer_reset(&bytes);
    writer_u8(&bytes, TAG);
    writer_u8(&bytes, BLOCK_TEXT);
    writer_u16(&bytes, 0);
    writer_u32(&bytes, rows);
    writer_bytes(&bytes, zeros, 8);
    writer_bytes(&bytes, zeros, 8);
    writer_bytes(&bytes, zeros, 8);
    writer_u64(&bytes, 8); /* width */
    writer_patch_u32(&bytes, bytes.size - 4, rows);
    for (uint32_t length = 1; length <= WORDS_LENGTH_MAX; length++)
        writer_u16(&bytes, 1);
    for (uint32_t length = 0; length <= WORDS_LENGTH_MAX; length++)
        writer_u8(&bytes, (uint8_t)length);
    writer_bytes(&bytes, zeros, 7);
    for (uint32_t length = 1; length <= WORDS_LENGTH_MAX; size += length++) {
        for (uint32_t i = 0; i < length; i++)
            writer_u8(&bytes, (uint8_t)(length + i));
        counts[length - 1] = 1;
        codes[length - 1] = (uint8_t)length;
    }
    writer_bytes(&bytes, codes, rows);
    writer_u64(&bytes, 0);
    writer_u64(&bytes, rows);
    writer_u64(&bytes, size);
    packed_plan_make(counts, rows, 1, &plan);
    packed_write(&plan, counts, &bytes);
    writer_u64(&bytes, rows);
    assert_int_equal(block_open(writer_as_slice(&bytes), BLOCK_TEXT, rows, &block, &error), OK);
    assert_int_equal(block_read(&block, 0, rows, &scratch, out, &error), OK);
    for (uint32_t row = 0; row < rows; row++) {
        assert_int_equal(out[row].size, row + 1);
        for (uint32_t i = 0; i <= row; i++)
            assert_int_equal((uint8_t)out[row].data[i], row + 1 + i);
    }
}

/* Any byte changed: refused, or read without harm (sanitizers look on). */
static void test_damage(void **state)
{
    struct block block;
    struct error error;
    (void)state;
    random_stream_init(&chance, 6);
    fill();
    encode(&block);
    size_t size = bytes.size;
    char *copy = memory_alloc(size);
    for (int turn = 0; turn < 3000 / SHARE; turn++) {
        memcpy(copy, bytes.data, size);
        size_t front = turn % 2 == 0 ? size : 400 < size ? 400 : size;
        for (uint64_t i = 1 + random_below(&chance, 3); i > 0; i--)
            copy[random_below(&chance, front)] = (char)random_next(&chance);
        if (block_open(slice_of(copy, size), BLOCK_TEXT, ROWS, &block, &error) != OK)
            continue;
        for (uint32_t begin = 0; begin < ROWS; begin += BLOCK_VECTOR_ROWS) {
            uint32_t left = ROWS - begin;
            (void)!block_read(&block, begin, left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS,
                              &scratch, out, &error);
        }
        scratch.tag = 0;
        (void)read_some(&block);
    }
    memory_free(copy);
}

static int begin(void **state)
{
    (void)state;
    writer_init(&bytes);
    block_scratch_init(&scratch);
    return 0;
}

static int end(void **state)
{
    (void)state;
    writer_deinit(&bytes);
    block_scratch_deinit(&scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_variants_agree),
        cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_long_entries),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
