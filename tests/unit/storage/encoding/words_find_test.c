/* Tables of words against a list, by every instruction set, and packing against bits one by one. */
#include "storage/encoding/words.h"

#include "storage/base/arena.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define KEYS_MAX 65535u

static struct words_key keys[KEYS_MAX];
static struct random_stream chance;

/* The longest there can be, of which a longer word might be taken for one. */
#define LONGEST "fourteen bytes"

/* Distinct: the number is in it, but for the first. */
static struct words_key key_of(uint32_t number)
{
    uint8_t bytes[16] = {0};
    if (number == 0)
        return words_key_of((const uint8_t *)LONGEST "xx", WORDS_KEY_MAX);
    int size = snprintf((char *)bytes, sizeof(bytes), "%s%u", number % 3 == 0 ? "longword" : " w",
                        (unsigned)number);
    return words_key_of(bytes, (uint64_t)size);
}

/* Texts of its words, others, and such as are too long: how many are coded wrong. */
static uint32_t find_words(const struct words_table *table, uint32_t count, uint32_t words_max)
{
    static uint8_t text[WORDS_PIECE + WORDS_PIECE_ROOM];
    uint16_t starts[WORDS_PIECE + WORDS_ROOM], codes[WORDS_PIECE + WORDS_ROOM];
    uint32_t wrong = 0;
    for (int turn = 0; turn < 20; turn++) {
        uint32_t want[WORDS_PIECE], words = 0, size = 0;
        bool is_whole = true;
        while (size < WORDS_PIECE - 40 && words < words_max) {
            uint64_t random = random_next(&chance);
            starts[words] = (uint16_t)size;
            if (random % 50 == 0) { /* too long */
                memcpy(text + size, LONGEST "longlonglong", 15 + random % 9);
                size += (uint32_t)(15 + random % 9);
                want[words] = 0;
            } else {
                bool is_strange = count == 0 || (turn % 2 == 0 && random % 40 == 1);
                uint32_t number = count == 0 ? 7 : (uint32_t)(random >> 20) % count;
                struct words_key key = key_of(number * 2 + is_strange);
                memcpy(text + size, &key, words_key_size(key));
                size += words_key_size(key);
                want[words] = is_strange ? 0 : number + 1;
            }
            is_whole = is_whole && want[words] != 0;
            words++;
        }
        for (uint32_t i = 0; i <= WORDS_ROOM; i++)
            starts[words + i] = (uint16_t)size;
        memset(text + size, 'y', WORDS_PIECE_ROOM);
        wrong += words_find_all(table, text, starts, words, codes) != is_whole;
        for (uint32_t i = 0; i < words; i++)
            wrong += codes[i] != want[i];
    }
    return wrong;
}

static void check_table(uint32_t count)
{
    struct words_table table;
    for (uint32_t i = 0; i < count; i++)
        keys[i] = key_of(i * 2);
    words_table_init(&table, keys, count);
    for (uint32_t i = 0; i < count; i++) {
        if (words_find(&table, keys[i]) != i + 1)
            fail_msg("%u keys, %s: code %u", count, kernels_chosen()->name, i + 1);
        assert_int_equal(words_find(&table, key_of(i * 2 + 1)), 0);
    }
    for (uint32_t words = 1; words < 20; words++)
        assert_int_equal(find_words(&table, count, words), 0);
    assert_int_equal(find_words(&table, count, 100), 0);
    assert_int_equal(find_words(&table, count, WORDS_PIECE), 0);
    words_table_deinit(&table);
}

static void test_tables(void **state)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 4, 7, 8, 100, 255, 256, 4095, 4096, 20000, 65535};
    (void)state;
    random_stream_init(&chance, 8);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (size_t i = 0; i < array_count(counts); i++)
            check_table(counts[i]);
    }
}

static void test_fault_is_found(void **state)
{
    struct words_table table;
    (void)state;
    if (!kernels_choose(KERNEL_AVX512))
        return;
    random_stream_init(&chance, 10);
    for (uint32_t i = 0; i < 4000; i++)
        keys[i] = key_of(i * 2);
    words_table_init(&table, keys, 4000);
    fault_plant("words.half_compared");
    uint32_t wrong = 0;
    for (int turn = 0; turn < 10; turn++)
        wrong += find_words(&table, 4000, WORDS_PIECE);
    fault_clear();
    words_table_deinit(&table);
    assert_true(wrong > 0);
}

/* Bits that are not those of the codes; a byte behind all that may be written counts as one. */
static uint32_t pack(const uint16_t *codes, uint32_t eights, uint32_t width)
{
    uint8_t packed[16 * 16 + 16 + 1];
    uint32_t wrong = 0, size = eights * width;
    memset(packed, 0x5a, sizeof(packed));
    words_pack(codes, eights, width, packed);
    for (uint32_t bit = 0; bit < 8 * size; bit++)
        wrong += (packed[bit / 8] >> bit % 8 & 1) != (codes[bit / width] >> bit % width & 1);
    return wrong + (packed[size + 16] != 0x5a);
}

static void test_pack(void **state)
{
    uint16_t codes[16 * 8];
    (void)state;
    random_stream_init(&chance, 9);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (uint32_t width = WORDS_WIDTH_MIN; width <= WORDS_WIDTH_MAX; width++) {
            for (uint32_t eights = 0; eights <= 16; eights++) {
                uint32_t most = (1u << width) - 1;
                for (size_t i = 0; i < array_count(codes); i++)
                    codes[i] = (uint16_t)(eights == 16 ? most : random_next(&chance) & most);
                assert_int_equal(pack(codes, eights, width), 0);
            }
        }
    }
    if (!kernels_choose(KERNEL_AVX512))
        return;
    for (size_t i = 0; i < array_count(codes); i++)
        codes[i] = (uint16_t)i;
    fault_plant("words.packed_short");
    uint32_t wrong = pack(codes, 16, 12);
    fault_clear();
    assert_true(wrong > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_fault_is_found),
                                       cmocka_unit_test(test_pack)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
