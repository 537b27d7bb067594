/* Rows of packed vectors whose code is in a set.
 *
 * What is asked of codes is asked of what is packed of them: runs of codes less the vector's base,
 * or a table that begins at it. Few runs of codes, as most lists of values are, are compared with;
 * sets of more are looked up in a table of all values of so many bits, where kernels have a form
 * for the width, else codes are unpacked and the set itself is asked. Codes that no block may have
 * count as the greatest: hostile bytes find wrong rows, and nothing outside of the set is read. */
#include "storage/encoding/packed_units.h"

#include "storage/base/fault.h"

static bool has_bit(const uint64_t *set, uint32_t place)
{
    return set[place / 64] >> place % 64 & 1;
}

/* --- words of a set, many in one go --- */

#define MANY_WORDS 32u

/* How many of `count` words are 0 before one that is not, or a few less. */
static uint64_t zero_words_base(const uint64_t *words, uint64_t count)
{
    for (uint64_t done = 0;; done += MANY_WORDS) {
        uint64_t all = done + MANY_WORDS > count;
        for (uint32_t i = 0; i < MANY_WORDS && all == 0; i++)
            all |= words[done + i];
        if (all != 0)
            return done;
    }
}

/* out[i] = bits of words[i] from `shift` on, and behind them those of the next. */
static void move_words_base(const uint64_t *words, uint32_t count, uint32_t shift, uint64_t *out)
{
    for (uint32_t i = 0; i < count; i++)
        out[i] = words[i] >> shift | words[i + 1] << 1 << (63 - shift);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load_four(const uint64_t *words)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)words);
}

AVX2 static uint64_t zero_words_avx2(const uint64_t *words, uint64_t count)
{
    for (uint64_t done = 0;; done += MANY_WORDS) {
        __m256i all = _mm256_setzero_si256();
        if (done + MANY_WORDS > count)
            return done;
        for (uint32_t i = 0; i < MANY_WORDS; i += 4)
            all = _mm256_or_si256(all, load_four(words + done + i));
        if (!_mm256_testz_si256(all, all))
            return done;
    }
}

/* Moved by 64 bits nothing is left. */
AVX2 static void move_words_avx2(const uint64_t *words, uint32_t count, uint32_t shift,
                                 uint64_t *out)
{
    __m128i down = _mm_cvtsi32_si128((int)shift), up = _mm_cvtsi32_si128((int)(64 - shift));
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i low = _mm256_srl_epi64(load_four(words + i), down);
        __m256i high = _mm256_sll_epi64(load_four(words + i + 1), up);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), _mm256_or_si256(low, high));
    }
    move_words_base(words + i, count - i, shift, out + i);
}
#else
#define zero_words_avx2 zero_words_base
#define move_words_avx2 move_words_base
#endif

static uint64_t zero_words(const uint64_t *words, uint64_t count)
{
    return kernels_chosen()->isa == KERNEL_BASE ? zero_words_base(words, count)
                                                : zero_words_avx2(words, count);
}

static void move_words(const uint64_t *words, uint32_t count, uint32_t shift, uint64_t *out)
{
    if (kernels_chosen()->isa == KERNEL_BASE)
        move_words_base(words, count, shift, out);
    else
        move_words_avx2(words, count, shift, out);
}

/* --- what a set says of what is packed --- */

/* The first place from `place` on, and up to `last`, whose bit is `wanted`; last + 1: none. */
static uint64_t next_bit(const uint64_t *set, uint64_t place, uint32_t last, bool wanted)
{
    uint64_t turned = wanted ? 0 : UINT64_MAX;
    uint64_t bits = (set[place / 64] ^ turned) & UINT64_MAX << place % 64;
    uint64_t word = place / 64;
    if (wanted && bits == 0) /* few of many codes */
        word += zero_words(set + word + 1, last / 64 - word);
    while (bits == 0 && word < last / 64)
        bits = set[++word] ^ turned;
    uint64_t found = bits == 0 ? UINT64_MAX : word * 64 + (uint64_t)__builtin_ctzll(bits);
    return found <= last ? found : (uint64_t)last + 1;
}

/* Runs of codes of the set among [first, last]; SELECT_RUNS + 1: there are more. */
static uint32_t runs_of_set(const uint64_t *set, uint32_t first, uint32_t last,
                            struct value_run *runs)
{
    uint32_t count = 0;
    for (uint64_t end = first;;) {
        uint64_t begin = end > last ? end : next_bit(set, end, last, true);
        if (begin > last || count == SELECT_RUNS)
            return count + (begin <= last);
        end = next_bit(set, begin, last, false);
        runs[count++] =
            (struct value_run){.low = (uint32_t)begin, .span = (uint32_t)(end - 1 - begin)};
    }
}

static uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Bits of what is packed: of base + value, or of `limit` where that is more. */
static void table_of_set(const uint64_t *set, uint32_t base, uint32_t limit, uint32_t width,
                         uint64_t *table)
{
    uint32_t words = width <= 6 ? 1 : 1u << (width - 6), shift = base % 64, end = limit - base;
    uint32_t word = least_of(least_of(limit / 64 - base / 64, end / 64), words);
    uint64_t behind = has_bit(set, limit) ? UINT64_MAX : 0;
    move_words(set + base / 64, word, shift, table); /* of these all are inside */
    for (; word < words; word++) {
        uint32_t from = base / 64 + word, first = word * 64;
        uint64_t low = from <= limit / 64 ? set[from] : 0;
        uint64_t high = from < limit / 64 ? set[from + 1] : 0;
        uint64_t inside = end < first         ? 0
                          : end - first >= 64 ? UINT64_MAX
                                              : (UINT64_C(1) << (end - first)) - 1;
        table[word] = ((low >> shift | high << 1 << (63 - shift)) & inside) | (behind & ~inside);
    }
}

static uint32_t select_plainly(const struct packed *packed, uint32_t vector, uint32_t count,
                               const uint64_t *set, uint32_t limit, uint32_t *selection)
{
    uint32_t codes[BLOCK_VECTOR_ROWS + SELECT_ROOM];
    packed_read_codes(packed, vector, count, limit, codes);
    return kernels_chosen()->select_set(codes, count, set, limit, selection);
}

/* Runs of codes to runs of what is packed, as many as kernels want. What is above `limit` counts as
 * the limit. */
static void pack_runs(struct value_run *runs, uint32_t count, const struct packed_head *head,
                      uint32_t limit)
{
    uint32_t base = (uint32_t)head->base, mask = (1u << head->width) - 1;
    if (runs[count - 1].low + runs[count - 1].span == limit)
        runs[count - 1].span = mask - (runs[count - 1].low - base);
    for (uint32_t run = 0; run < SELECT_RUNS; run++) {
        runs[run] = runs[run < count ? run : 0];
        runs[run].low -= run < count ? base : 0;
    }
}

/* By a table, where there is a kernel for so many bits. */
static uint32_t select_by_table(const struct packed_head *head, uint32_t count, const uint64_t *set,
                                uint32_t limit, uint32_t *selection)
{
    uint64_t table[(1u << PACKED_SET_WIDTH_MAX) / 64];
    table_of_set(set, (uint32_t)head->base, limit, head->width, table);
    return kernels_chosen()->select_packed_set(head->units, head->width, count, table, selection);
}

uint32_t packed_select_set(const struct packed *packed, uint32_t vector, uint32_t count,
                           const uint64_t *set, uint32_t limit, uint32_t *selection)
{
    struct packed_head head = head_of(packed, vector);
    const struct kernels *kernels = kernels_chosen();
    struct value_run runs[SELECT_RUNS];
    if (head.width > PACKED_RUNS_WIDTH_MAX || packed->scale != 1 || head.base > limit)
        return select_plainly(packed, vector, count, set, limit, selection);
    uint32_t table_width_max =
        kernels->select_packed_set != NULL ? kernels->packed_set_width_max() : 0;
    if (head.width >= 1 && head.width < PACKED_RUNS_WIDTH_MIN && head.width <= table_width_max)
        return select_by_table(&head, count, set, limit, selection);
    uint64_t top = head.base + (UINT64_C(1) << head.width) - 1;
    uint32_t run_count =
        runs_of_set(set, (uint32_t)head.base, top < limit ? (uint32_t)top : limit, runs);
    if (run_count == 0)
        return 0;
    if (run_count > SELECT_RUNS && head.width <= table_width_max)
        return select_by_table(&head, count, set, limit, selection);
    if (run_count > SELECT_RUNS)
        return select_plainly(packed, vector, count, set, limit, selection);
    if (head.width == 0)
        return select_rows_between(0, count, selection, 0);
    pack_runs(runs, run_count, &head, fault_is("packed.set_limit_lost") ? UINT32_MAX : limit);
    if (run_count == 1)
        return units_select(head.units, count, head.width, runs[0].low, runs[0].span, selection);
    if (head.width >= PACKED_RUNS_WIDTH_MIN && kernels->select_packed_runs != NULL)
        return kernels->select_packed_runs(head.units, head.width, count, runs, selection);
    uint32_t values[BLOCK_VECTOR_ROWS];
    units_read(head.units, count, head.width, values);
    return kernels->select_runs(values, count, runs, selection);
}
