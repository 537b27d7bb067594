/* Dictionaries from samples: what repeats has an entry, what does not makes none, and every text
 * can be coded with what there is. */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define ROWS 20000u

static struct slice texts[ROWS];
static char pool[ROWS * 100];
static struct encode_job job;
static struct random_stream chance;

enum kind { KIND_WORDS, KIND_LINES, KIND_HEX, KIND_RANDOM, KIND_EMPTY, KIND_LONG };

static size_t write_text(enum kind kind, char *out)
{
    static const char *const levels[] = {"INFO", "WARN", "ERROR"};
    uint64_t random = random_next(&chance);
    size_t size = 0;
    switch (kind) {
    case KIND_WORDS:
        for (uint64_t i = 0; i < random % 12; i++)
            size += (size_t)snprintf(out + size, 8, " w%u", (unsigned)random_below(&chance, 1500));
        return size;
    case KIND_LINES:
        return (size_t)snprintf(out, 100, "%s request %u of user-%u took %u.%03u ms",
                                levels[random % 3], (unsigned)(random >> 20),
                                (unsigned)(random % 5000), (unsigned)(random >> 40) % 90,
                                (unsigned)(random >> 50) % 1000);
    case KIND_HEX:
        return (size_t)snprintf(out, 100, "%016llx%016llx", (unsigned long long)random,
                                (unsigned long long)random_next(&chance));
    case KIND_RANDOM:
        for (; size < 24; size++)
            out[size] = (char)random_next(&chance);
        return size;
    case KIND_LONG:
        return (size_t)snprintf(out, 100, "%s",
                                "averyveryverylongwordwithoutanyend.....................");
    default:
        return 0;
    }
}

static void fill(enum kind kind)
{
    size_t used = 0;
    job = (struct encode_job){
        .class = BLOCK_TEXT, .row_count = ROWS, .text = texts, .best = UINT64_MAX};
    for (uint32_t row = 0; row < ROWS; row++) {
        size_t size = write_text(kind, pool + used);
        texts[row] = slice_of(pool + used, size);
        used += size;
    }
    job.text_size = used;
}

/* Codes back to bytes by the keys. */
static void check_text(const struct words *words, struct slice text, uint64_t *total)
{
    static uint8_t piece[WORDS_PIECE + WORDS_PIECE_ROOM];
    uint16_t codes[WORDS_CODES_MAX];
    char got[WORDS_PIECE];
    size_t size = 0;
    if (text.size == 0)
        return;
    memset(piece, 0, sizeof(piece));
    memcpy(piece, text.data, text.size);
    uint32_t count = words_encode(words, piece, (uint32_t)text.size, codes);
    *total += count;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(codes[i] <= words->count);
        if (codes[i] == 0) {
            assert_true(++i < count);
            got[size++] = (char)codes[i];
            continue;
        }
        const struct words_key *key = &words->keys[codes[i] - 1];
        memcpy(got + size, key, words_key_size(*key));
        size += words_key_size(*key);
    }
    assert_int_equal(size, text.size);
    assert_memory_equal(got, text.data, size);
}

static void test_learn(void **state)
{
    static const struct {
        enum kind kind;
        bool is_rejected;
        double codes_max; /* a text */
    } cases[] = {
        {KIND_WORDS, false, 5.6}, {KIND_LINES, false, 17.5}, {KIND_HEX, true, 64},
        {KIND_RANDOM, true, 48},  {KIND_EMPTY, false, 0},    {KIND_LONG, true, 60},
    };
    (void)state;
    random_stream_init(&chance, 9);
    for (size_t i = 0; i < array_count(cases); i++) {
        uint64_t total = 0, lengths = 0;
        fill(cases[i].kind);
        struct words *words = words_learn(&job);
        assert_non_null(words); /* when nothing else can be: always one */
        assert_true(words->width >= WORDS_WIDTH_MIN && words->width <= WORDS_WIDTH_MAX);
        assert_true(words->count < 1u << words->width);
        for (uint32_t code = 1; code <= words->count; code++) {
            uint64_t length = words_key_size(words->keys[code - 1]);
            assert_true(length >= lengths && length <= WORDS_KEY_MAX);
            assert_int_equal(words_find(&words->table, words->keys[code - 1]), code);
            lengths = length;
        }
        for (uint32_t row = 0; row < ROWS; row++)
            check_text(words, texts[row], &total);
        if ((double)total > cases[i].codes_max * ROWS)
            fail_msg("case %zu: %.2f codes a text", i, (double)total / ROWS);
        double stored = (double)total * words->width / 8;
        assert_true((double)words->estimate >= stored * 0.9);
        words_destroy(words);
        job.best = job.text_size + 1;
        words = words_learn(&job);
        if ((words == NULL) != cases[i].is_rejected)
            fail_msg("case %zu", i);
        words_destroy(words);
    }
}

/* Bytes that are zero are bytes like others. */
static void test_zeros(void **state)
{
    static const char zeros[20];
    (void)state;
    for (uint32_t row = 0; row < ROWS; row++)
        texts[row] = slice_of(zeros, row % 20);
    job = (struct encode_job){.class = BLOCK_TEXT,
                              .row_count = ROWS,
                              .text = texts,
                              .text_size = ROWS / 20 * 190,
                              .best = UINT64_MAX};
    struct words *words = words_learn(&job);
    uint64_t total = 0;
    for (uint32_t row = 0; row < 20; row++)
        check_text(words, texts[row], &total);
    words_destroy(words);
}

/* A long text that the sample passes over, among empty ones: nothing is known of it, so nothing is
 * promised, neither by a new dictionary nor by one of another block. */
static void test_passed_over(void **state)
{
    (void)state;
    memset(pool, 'x', sizeof(pool));
    for (uint32_t row = 0; row < ROWS; row++)
        texts[row] = slice_of(pool, row == 1 ? sizeof(pool) : 0);
    job = (struct encode_job){.class = BLOCK_TEXT,
                              .row_count = ROWS,
                              .text = texts,
                              .text_size = sizeof(pool),
                              .best = sizeof(pool)};
    assert_null(words_learn(&job));
    struct encode_job passed_over = job;
    fill(KIND_WORDS);
    job.best = job.text_size;
    struct words *words = words_learn(&job);
    assert_non_null(words);
    assert_true(words_is_good(words, &job));
    for (uint32_t row = 0; row < ROWS; row++)
        texts[row] = slice_of(pool, row == 1 ? sizeof(pool) : 0);
    assert_false(words_is_good(words, &passed_over));
    words_destroy(words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_learn), cmocka_unit_test(test_zeros),
                                       cmocka_unit_test(test_passed_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
