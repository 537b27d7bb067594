/* What is remembered of columns: each its own, for a number of segments, so many at most; and
 * segments that were sealed with what others taught read back as they are. */
#include "storage/segment/sealed.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/encoding/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define COLUMNS 256 /* as many as there is room for */
#define DICTIONARIES 32
#define PERIOD 16
#define ROWS 3000

static struct slice texts[ROWS];
static char bytes[ROWS][64];

static struct encode_memory *ask(struct learnt *learnt, uint32_t table, uint32_t column,
                                 uint32_t kind)
{
    const struct learnt_key key = {.table_id = table, .column_id = column, .kind = kind};
    return learnt_of(learnt, &key);
}

/* How many columns get another's memory, or not their own. */
static uint32_t mark_columns(struct learnt *learnt, uint32_t count)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct encode_memory *memory = ask(learnt, i % 3, i / 6, i / 3 % 2);
        wrong += memory->rate != 0;
        memory->rate = i + 1;
    }
    for (uint32_t i = 0; i < count; i++)
        wrong += ask(learnt, i % 3, i / 6, i / 3 % 2)->rate != i + 1;
    return wrong;
}

static void test_each_its_own(void **state)
{
    static const uint32_t counts[] = {1, 2, 100, COLUMNS};
    (void)state;
    for (size_t i = 0; i < array_count(counts); i++) {
        struct learnt *learnt = learnt_create();
        assert_int_equal(mark_columns(learnt, counts[i]), 0);
        learnt_destroy(learnt);
    }
    struct learnt *learnt = learnt_create();
    fault_plant("learnt.of_another");
    uint32_t wrong = mark_columns(learnt, 100);
    fault_clear();
    assert_true(wrong > 0);
    learnt_destroy(learnt);
}

static void test_the_oldest_goes(void **state)
{
    struct learnt *learnt = learnt_create();
    (void)state;
    for (uint32_t i = 0; i < COLUMNS; i++)
        ask(learnt, 1, i, 0)->rate = 1;
    ask(learnt, 1, 0, 0);           /* now column 1 is the one */
    ask(learnt, 2, 0, 0)->rate = 2; /* takes its place */
    assert_true(ask(learnt, 1, 0, 0)->rate == 1);
    assert_true(ask(learnt, 1, 2, 0)->rate == 1);
    assert_true(ask(learnt, 1, 1, 0)->rate == 0);
    learnt_destroy(learnt);
}

static void test_learnt_anew(void **state)
{
    struct learnt *learnt = learnt_create();
    (void)state;
    ask(learnt, 1, 1, 0)->rate = 5;
    for (int turn = 1; turn < PERIOD; turn++)
        assert_true(ask(learnt, 1, 1, 0)->rate == 5);
    assert_true(ask(learnt, 1, 1, 0)->rate == 0);
    learnt_destroy(learnt);
}

static void fill_texts(uint32_t seed)
{
    for (uint32_t row = 0; row < ROWS; row++) {
        int size = snprintf(bytes[row], sizeof(bytes[row]), "seed %u came home, %s %u and; %c",
                            seed, row % 3 == 0 ? "Ann" : "bert", row * 7919 % 50, (char)row);
        texts[row] = slice_of(bytes[row], (size_t)size);
    }
}

static void check_block(struct encode_memory *memory)
{
    struct block_values values = {.class = BLOCK_TEXT, .row_count = ROWS, .text = texts};
    const struct encode_options options = {.memory = memory, .forbidden = 1u << 6}; /* no LZ4 */
    struct block_encoded encoded;
    struct block block;
    struct block_scratch scratch;
    struct error error;
    struct slice read[BLOCK_VECTOR_ROWS];
    struct writer out;
    writer_init(&out);
    block_scratch_init(&scratch);
    block_encode(&values, &options, &out, &encoded);
    assert_string_equal(encoding_name(encoded.encoding), "words");
    assert_int_equal(block_open(writer_as_slice(&out), BLOCK_TEXT, ROWS, &block, &error), OK);
    for (uint32_t begin = 0; begin < ROWS; begin += BLOCK_VECTOR_ROWS) {
        uint32_t count = ROWS - begin < BLOCK_VECTOR_ROWS ? ROWS - begin : BLOCK_VECTOR_ROWS;
        assert_int_equal(block_read(&block, begin, count, &scratch, read, &error), OK);
        for (uint32_t i = 0; i < count; i++)
            assert_true(slice_equal(read[i], texts[begin + i]));
    }
    block_scratch_deinit(&scratch);
    writer_deinit(&out);
}

/* Of more columns than dictionaries are kept; some of their texts are those of others. */
static void test_dictionaries(void **state)
{
    struct learnt *learnt = learnt_create();
    uint32_t kept = 0;
    (void)state;
    for (uint32_t turn = 0; turn < 2; turn++) {
        for (uint32_t column = 0; column < DICTIONARIES + 8; column++) {
            struct encode_memory *memory = ask(learnt, 1, column, BLOCK_TEXT);
            fill_texts(column / 2 + turn);
            check_block(memory);
            learnt_keep(learnt, memory);
            assert_non_null(memory->words);
        }
    }
    for (uint32_t column = 0; column < DICTIONARIES + 8; column++)
        kept += ask(learnt, 1, column, BLOCK_TEXT)->words != NULL;
    assert_int_equal(kept, DICTIONARIES);
    learnt_destroy(learnt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_its_own),
        cmocka_unit_test(test_the_oldest_goes),
        cmocka_unit_test(test_learnt_anew),
        cmocka_unit_test(test_dictionaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
