/* Words of a piece against a naive model, by every instruction set. */
#include "storage/encoding/words.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/mman.h>

static uint8_t piece[WORDS_PIECE + WORDS_PIECE_ROOM];

static bool is_word(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte >= 128;
}

static uint32_t find_starts(uint32_t size, uint16_t *want)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < size; i++) {
        if (i == 0 || (is_word(piece[i - 1]) && !is_word(piece[i])))
            want[count++] = (uint16_t)i;
    }
    return count;
}

#define PAGE_SIZE 4096

/* Where a page ends behind which there is none: who reads on does not come back. */
static char *end_of_memory(void)
{
    static char *pages;
    if (pages == NULL) {
        pages =
            mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(pages != MAP_FAILED);
        assert_int_equal(mprotect(pages + PAGE_SIZE, PAGE_SIZE, PROT_NONE), 0);
    }
    return pages + PAGE_SIZE;
}

/* The text put into another piece, behind `from` bytes: how many places or bytes are not what they
 * should be. */
static uint32_t take(uint32_t size, uint32_t from)
{
    static uint8_t other[WORDS_PIECE + WORDS_PIECE_ROOM];
    uint16_t want[WORDS_STARTS_MAX], got[WORDS_STARTS_MAX];
    uint32_t count = find_starts(size, want), wrong = 0;
    char *text = end_of_memory() - size;
    memcpy(text, piece, size);
    memset(other, 'x', sizeof(other));
    if (words_take(slice_of(text, size), from, other, got) != count)
        count = wrong = 1;
    for (uint32_t i = 0; i < count; i++)
        wrong += got[i] != from + want[i];
    for (uint32_t i = 0; i < from; i++)
        wrong += other[i] != 'x';
    return wrong + (memcmp(other + from, text, size) != 0);
}

static void check(uint32_t size)
{
    uint16_t want[WORDS_STARTS_MAX], got[WORDS_STARTS_MAX];
    uint32_t count = find_starts(size, want);
    assert_int_equal(words_split(piece, 0, size, got), count);
    assert_memory_equal(got, want, count * sizeof(*want));
    assert_int_equal(take(size, 0), 0);
    if (size < WORDS_PIECE) { /* behind another text */
        assert_int_equal(take(size, WORDS_PIECE - size), 0);
        assert_int_equal(take(size, 1), 0);
        memmove(piece + 1, piece, size);
        piece[0] = 'x';
        assert_int_equal(words_split(piece, 1, size, got), count);
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(got[i], want[i] + 1);
        memmove(piece, piece + 1, size);
    }
}

static void check_all(struct random_stream *chance)
{
    static const uint32_t sizes[] = {1, 2, 31, 32, 63, 64, 65, 127, 128, 129, 1000, 2047, 2048};
    static const char *const texts[] = {"GET /item/12?q=red", " a b c", "[`{@/:", "zZaA09",
                                        "\x7f\x80\xff.",      ".",      "a"};
    for (size_t i = 0; i < array_count(texts); i++) {
        memset(piece, 'x', sizeof(piece)); /* what is behind does not count */
        memcpy(piece, texts[i], strlen(texts[i]));
        check((uint32_t)strlen(texts[i]));
    }
    for (int turn = 0; turn < 200; turn++) {
        uint64_t kind = random_below(chance, 3);
        for (size_t i = 0; i < sizeof(piece); i++) {
            uint64_t random = random_next(chance);
            piece[i] = kind == 0   ? (uint8_t)random
                       : kind == 1 ? (uint8_t)(random % 7 == 0 ? ' ' : 'e')
                                   : (uint8_t)(random % 2 == 0 ? ' ' : 'e');
        }
        for (size_t i = 0; i < array_count(sizes); i++)
            check(sizes[i]);
    }
}

static void test_split(void **state)
{
    struct random_stream chance;
    (void)state;
    random_stream_init(&chance, 4);
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        if (!kernels_choose((enum kernel_isa)isa))
            continue;
        check_all(&chance);
        fault_plant("words.no_vbmi2"); /* no mistake: the other way */
        check_all(&chance);
        fault_clear();
    }
}

static void test_fault_is_found(void **state)
{
    (void)state;
    if (!kernels_choose(KERNEL_AVX512))
        return;
    memset(piece, 'a', sizeof(piece));
    piece[64] = ' ';
    assert_int_equal(take(100, 3), 0);
    fault_plant("words.glued");
    uint32_t wrong = take(100, 3);
    fault_clear();
    assert_true(wrong > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_split),
                                       cmocka_unit_test(test_fault_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
