/* Blocks of texts whose bytes are taken away while they are made: the same as those that stay where
 * they are, also where an alphabet turns out to be too small after most of it was taken. */
#include "storage/encoding/private.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define TEXT_SIZE_MAX 120

static struct slice texts[BLOCK_ROWS_MAX];
static char bytes[BLOCK_ROWS_MAX][TEXT_SIZE_MAX];
static struct random_stream chance;

/* What a writer's reader took away while a block was made. */
struct drained {
    struct writer out, taken;
    uint32_t drains, restarts;
};

static void take_some(void *context)
{
    struct drained *drained = context;
    struct writer *out = &drained->out;
    size_t size = random_below(&chance, out->size / 8 + 1) * 8;
    writer_bytes(&drained->taken, out->data, size);
    memmove(out->data, out->data + size, out->size - size);
    out->size -= size;
    drained->drains++;
}

static void take_back(void *context)
{
    struct drained *drained = context;
    writer_reset(&drained->out);
    writer_reset(&drained->taken);
    drained->restarts++;
}

static void fill(const char *alphabet, size_t alphabet_size)
{
    for (uint32_t row = 0; row < BLOCK_ROWS_MAX; row++) {
        size_t size = random_below(&chance, TEXT_SIZE_MAX + 1);
        for (size_t i = 0; i < size; i++)
            bytes[row][i] = alphabet == NULL ? (char)random_next(&chance)
                                             : alphabet[random_below(&chance, alphabet_size)];
        texts[row] = slice_of(bytes[row], size);
    }
}

static void fill_words(void)
{
    static const char *const words[] = {"Zurich ", "Genf, ", "Basel; ",
                                        "BERN (",  "Chur/",  "0123456789"};
    for (uint32_t row = 0; row < BLOCK_ROWS_MAX; row++) {
        size_t size = 0;
        for (size_t count = random_below(&chance, 9); count > 0; count--) {
            const char *word = words[random_below(&chance, array_count(words))];
            memcpy(bytes[row] + size, word, strlen(word));
            size += strlen(word);
        }
        bytes[row][size++] = (char)(row % 251); /* too many for an alphabet */
        texts[row] = slice_of(bytes[row], size);
    }
}

/* Of which words are a fifth smaller than an alphabet, and several times as slow. */
static void fill_addresses(void)
{
    for (uint32_t row = 0; row < BLOCK_ROWS_MAX; row++) {
        uint64_t random = random_next(&chance);
        int size = snprintf(bytes[row], TEXT_SIZE_MAX, "%u.%u.%u.%u", (unsigned)random & 255,
                            (unsigned)(random >> 8) & 255, (unsigned)(random >> 16) & 255,
                            (unsigned)(random >> 24) & 255);
        texts[row] = slice_of(bytes[row], (size_t)size);
    }
}

/* Whether the range is that of the rows that are not NULL. */
static bool is_zone(const struct block_encoded *encoded, const uint8_t *validity)
{
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (uint32_t row = 0; row < BLOCK_ROWS_MAX; row++) {
        int64_t order = text_order(texts[row]);
        if (validity != NULL && validity[row] == 0)
            continue;
        min = order < min ? order : min;
        max = order > max ? order : max;
    }
    return encoded->zone.has_range && encoded->zone.min == min && encoded->zone.max == max;
}

static void check_drained(const char *encoding, uint32_t forbidden, uint32_t restarts)
{
    struct block_values values = {.class = BLOCK_TEXT, .row_count = BLOCK_ROWS_MAX, .text = texts};
    struct drained drained = {0};
    struct writer whole;
    struct block_encoded encoded;
    struct encode_options options = {
        .drain = take_some, .restart = take_back, .context = &drained, .forbidden = forbidden};
    const struct encode_options alone = {.forbidden = forbidden};
    writer_init(&whole);
    writer_init(&drained.out);
    writer_init(&drained.taken);
    block_encode(&values, &alone, &whole, &encoded);
    assert_string_equal(encoding_name(encoded.encoding), encoding);
    block_encode(&values, &options, &drained.out, &encoded);
    writer_slice(&drained.taken, writer_as_slice(&drained.out));
    assert_true(slice_equal(writer_as_slice(&drained.taken), writer_as_slice(&whole)));
    assert_true(drained.drains > 0);
    assert_int_equal(drained.restarts, restarts);
    assert_true(is_zone(&encoded, NULL));
    writer_deinit(&whole);
    writer_deinit(&drained.out);
    writer_deinit(&drained.taken);
}

static void test_taken_away_while_made(void **state)
{
    (void)state;
    random_stream_init(&chance, 17);
    fill(NULL, 0);
    check_drained("plain", 0, 0);
    fill_words();
    check_drained("words", 0, 0);
    check_drained("lz4", 1u << 8, 0);
    fill("0123456789abcdef", 16);
    check_drained("alphabet", 0, 0);
    fill_addresses();
    check_drained("alphabet", 0, 0);
    check_drained("words", 1u << 7, 0);
}

static void test_taken_away_and_begun_anew(void **state)
{
    static const uint32_t rows[] = {1, 2049, 50001, BLOCK_ROWS_MAX - 1}; /* not in the sample */
    (void)state;
    random_stream_init(&chance, 18);
    for (size_t i = 0; i < array_count(rows); i++) {
        fill("0123456789abcdef", 16);
        texts[rows[i]] = SLICE("one more?");
        check_drained("alphabet", 0, 1);
    }
}

/* One in ten is NULL, and would be less than all others. */
static void test_ranges_without_nulls(void **state)
{
    static const uint32_t tags[] = {5, 6, 7, 8}; /* plain, lz4, alphabet, words */
    static uint8_t validity[BLOCK_ROWS_MAX];
    struct block_values values = {
        .class = BLOCK_TEXT, .row_count = BLOCK_ROWS_MAX, .text = texts, .validity = validity};
    struct block_encoded encoded;
    struct writer out;
    (void)state;
    random_stream_init(&chance, 19);
    writer_init(&out);
    fill("0123456789abcdef", 16);
    for (uint32_t row = 0; row < BLOCK_ROWS_MAX; row++) {
        if (texts[row].size == 0)
            texts[row] = SLICE("0");
        validity[row] = row % 10 != 0;
    }
    for (size_t i = 0; i < array_count(tags); i++) {
        struct encode_options options = {.forbidden = ~(1u << tags[i])};
        block_encode(&values, &options, &out, &encoded);
        assert_int_equal(encoded.encoding, tags[i]);
        assert_true(is_zone(&encoded, validity));
        fault_plant("encoding.null_noted");
        block_encode(&values, &options, &out, &encoded);
        fault_clear();
        assert_false(is_zone(&encoded, validity));
    }
    writer_deinit(&out);
}

/* A block's bytes, for one that remembers the blocks before it and for one that does not. */
static double size_by_alone(struct encode_memory *memory, uint32_t forbidden)
{
    struct block_values values = {.class = BLOCK_TEXT, .row_count = BLOCK_ROWS_MAX, .text = texts};
    const struct encode_options options = {.forbidden = forbidden, .memory = memory};
    const struct encode_options alone = {.forbidden = forbidden};
    struct block_encoded encoded;
    struct writer remembering, other;
    writer_init(&remembering);
    writer_init(&other);
    block_encode(&values, &options, &remembering, &encoded);
    block_encode(&values, &alone, &other, &encoded);
    double ratio = (double)remembering.size / (double)other.size;
    writer_deinit(&remembering);
    writer_deinit(&other);
    return ratio;
}

/* Blocks of hex, and then texts that LZ4 makes smaller, which lost before. */
static double change_texts(void)
{
    struct encode_memory memory = {0};
    double ratio = 0;
    for (int turn = 0; turn < 12; turn++) {
        if (turn % 6 == 0)
            fill("0123456789abcdef", 16);
        if (turn % 6 == 4)
            fill_words();
        double one = size_by_alone(&memory, 1u << 8);
        ratio = one > ratio ? one : ratio;
    }
    encode_memory_deinit(&memory);
    return ratio;
}

static void test_lost_before(void **state)
{
    (void)state;
    random_stream_init(&chance, 20);
    assert_true(change_texts() < 1.1);
    fault_plant("encoding.put_off_for_good");
    double ratio = change_texts();
    fault_clear();
    assert_true(ratio > 1.5);
}

/* --- walking over texts --- */

#define WALK_TEXTS 200
#define WALK_BYTES (WALK_TEXTS * 20)

/* Texts that follow each other, or do not, or are empty, taken in steps of any size: bytes of them
 * that are not what copying them one by one gives. */
static size_t walk(uint64_t seed, uint32_t size_max, size_t step_max)
{
    static char source[2 * WALK_BYTES], want[WALK_BYTES], got[WALK_BYTES];
    struct slice pieces[WALK_TEXTS];
    struct random_stream stream;
    size_t at = 0, size = 0, wrong = 0;
    random_stream_init(&stream, seed);
    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (char)random_below(&stream, 256);
    for (uint32_t i = 0; i < WALK_TEXTS; i++) {
        at += random_below(&stream, 4) == 0; /* a gap */
        pieces[i] = slice_of(source + at, random_below(&stream, size_max));
        if (random_below(&stream, 5) == 0)
            pieces[i] = slice_of(NULL, 0);
        memcpy(want + size, source + at, pieces[i].size);
        size += pieces[i].size;
        at += pieces[i].size;
    }
    struct text_walk walk = {.text = pieces};
    for (size_t begin = 0; begin < size;) {
        size_t step = 1 + random_below(&stream, step_max);
        step = step < size - begin ? step : size - begin;
        text_walk_take(&walk, step, (uint8_t *)got + begin);
        begin += step;
    }
    for (size_t i = 0; i < size; i++)
        wrong += got[i] != want[i];
    return wrong;
}

static void test_walk_beside_copies(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++)
        assert_int_equal(walk(seed, 1 + seed % 20, seed % 3 == 0 ? 3 : 1 + seed % 200), 0);
    fault_plant("text.gap_overlooked");
    assert_true(walk(1, 16, 50) > 0);
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_away_while_made),
        cmocka_unit_test(test_taken_away_and_begun_anew),
        cmocka_unit_test(test_ranges_without_nulls),
        cmocka_unit_test(test_lost_before),
        cmocka_unit_test(test_walk_beside_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
