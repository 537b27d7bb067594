/* Words of a piece against a naive model, by every instruction set. */
#include "storage/encoding/words.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static uint8_t piece[WORDS_PIECE + WORDS_PIECE_ROOM];

static bool is_word(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte >= 128;
}

static void check(uint32_t size)
{
    uint32_t want[WORDS_STARTS_MAX], got[WORDS_STARTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i++) {
        if (i == 0 || (is_word(piece[i - 1]) && !is_word(piece[i])))
            want[count++] = i;
    }
    assert_int_equal(words_split(piece, 0, size, got), count);
    assert_memory_equal(got, want, count * sizeof(*want));
    if (size < WORDS_PIECE) { /* behind another text */
        memmove(piece + 1, piece, size);
        piece[0] = 'x';
        assert_int_equal(words_split(piece, 1, size, got), count);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(got[i], want[i] + 1);
        memmove(piece, piece + 1, size);
    }
}

static void test_split(void **state)
{
    static const uint32_t sizes[] = {1, 2, 31, 32, 63, 64, 65, 127, 128, 129, 1000, 2047, 2048};
    static const char *const texts[] = {"GET /item/12?q=red", " a b c", "[`{@/:", "zZaA09",
                                        "\x7f\x80\xff.",      ".",      "a"};
    struct random_stream chance;
    (void)state;
    random_stream_init(&chance, 4);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        for (size_t i = 0; i < array_count(texts); i++) {
            memset(piece, 'x', sizeof(piece)); /* what is behind does not count */
            memcpy(piece, texts[i], strlen(texts[i]));
            check((uint32_t)strlen(texts[i]));
        }
        for (int turn = 0; turn < 200; turn++) {
            uint64_t kind = random_below(&chance, 3);
            for (size_t i = 0; i < sizeof(piece); i++) {
                uint64_t random = random_next(&chance);
                piece[i] = kind == 0   ? (uint8_t)random
                           : kind == 1 ? (uint8_t)(random % 7 == 0 ? ' ' : 'e')
                                       : (uint8_t)(random % 2 == 0 ? ' ' : 'e');
            }
            for (size_t i = 0; i < array_count(sizes); i++)
                check(sizes[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
