/* Lists of rows as varints of their distances, the form that nearly all keys of an index have.
 *
 * Where a value is one of 200, half of the distances take one byte and the others two, as chance
 * has it: going from one to the next costs a load and two steps that wait for each other. So four
 * are taken at a time where the processor can spread bytes by a mask, in 1.3 ns a row against 3.5.
 */
#include "storage/encoding/kernels.h"
#include "storage/index/bitmap_private.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__x86_64__)

/* Four deltas of one or two bytes each lie in the next eight bytes; which bytes have another one
 * behind them says where each begins. By those eight bits: the mask that spreads the bytes over
 * four fields of 16 bits, and how many bytes that took (0: one of the four is longer). So the next
 * four wait for a load and a table, not for four lengths one after the other. */
struct four_deltas {
    uint64_t spread;
    uint8_t size;
};
#define LENGTH_AT(m, at) (1 + ((m) >> (at)&1))
#define SECOND(m) LENGTH_AT(m, 0)
#define THIRD(m) (SECOND(m) + LENGTH_AT(m, SECOND(m)))
#define FOURTH(m) (THIRD(m) + LENGTH_AT(m, THIRD(m)))
#define BEHIND(m) (FOURTH(m) + LENGTH_AT(m, FOURTH(m)))
#define FIELD(m, at) (LENGTH_AT(m, at) == 2 ? UINT64_C(0xFFFF) : UINT64_C(0xFF))
#define IS_LONG(m, at) (((m) >> (at)&3) == 3)
#define FOUR(m)                                                                                    \
    {FIELD(m, 0) | FIELD(m, SECOND(m)) << 16 | FIELD(m, THIRD(m)) << 32 |                          \
         FIELD(m, FOURTH(m)) << 48,                                                                \
     IS_LONG(m, 0) || IS_LONG(m, SECOND(m)) || IS_LONG(m, THIRD(m)) || IS_LONG(m, FOURTH(m))       \
         ? 0                                                                                       \
         : BEHIND(m)},
#define FOURS_4(m) FOUR(m) FOUR((m) + 1) FOUR((m) + 2) FOUR((m) + 3)
#define FOURS_16(m) FOURS_4(m) FOURS_4((m) + 4) FOURS_4((m) + 8) FOURS_4((m) + 12)
#define FOURS_64(m) FOURS_16(m) FOURS_16((m) + 16) FOURS_16((m) + 32) FOURS_16((m) + 48)
static const struct four_deltas four_deltas[256] = {FOURS_64(0) FOURS_64(64) FOURS_64(128)
                                                        FOURS_64(192)};

/* As many fours as there are from row `i` > 0 on; moves *at and *row along and returns the next i.
 * A delta of 0 sets *is_bad. Rows only grow, so the caller holds the last one to the bound. */
__attribute__((target("bmi2"))) static uint32_t read_fours(const uint8_t **at, const uint8_t *end,
                                                           uint32_t i, uint32_t count,
                                                           uint64_t *row, uint32_t *rows,
                                                           bool *is_bad)
{
    const uint8_t *next = *at;
    uint64_t last = *row, zero = 0;
    while (count - i >= 4 && end - next >= 8) {
        uint64_t bytes;
        memcpy(&bytes, next, sizeof(bytes));
        const struct four_deltas *four = &four_deltas[_pext_u64(bytes, 0x8080808080808080)];
        if (four->size == 0)
            break;
        next += four->size;
        uint64_t fields = _pdep_u64(bytes, four->spread);
        fields = (fields & 0x007F007F007F007F) | (fields >> 1 & 0x3F803F803F803F80);
        zero |= (fields - 0x0001000100010001) & ~fields & 0x8000800080008000;
        uint64_t pairs = fields + (fields << 16); /* sums of neighbours, below 2^15 */
        rows[i] = (uint32_t)(last + (fields & 0xFFFF));
        rows[i + 1] = (uint32_t)(last += pairs >> 16 & 0xFFFF);
        rows[i + 2] = (uint32_t)(last + (fields >> 32 & 0xFFFF));
        rows[i + 3] = (uint32_t)(last += pairs >> 48);
        i += 4;
    }
    *at = next;
    *row = last;
    *is_bad |= zero != 0;
    return i;
}

#else

static uint32_t read_fours(const uint8_t **at, const uint8_t *end, uint32_t i, uint32_t count,
                           uint64_t *row, uint32_t *rows, bool *is_bad)
{
    (void)at, (void)end, (void)count, (void)row, (void)rows, (void)is_bad;
    return i;
}

#endif

/* One of any length. */
static bool read_delta(const uint8_t **at, const uint8_t *end, uint64_t *delta)
{
    unsigned shift = 0;
    *delta = 0;
    for (; *at < end && **at >= 0x80 && shift < 28; shift += 7)
        *delta |= (uint64_t)(*(*at)++ & 0x7F) << shift;
    if (*at == end || **at >= 0x80)
        return false;
    *delta |= (uint64_t) * (*at)++ << shift;
    return true;
}

bool deltas_read(struct slice list, uint32_t count, uint32_t row_count, uint32_t *rows)
{
    const uint8_t *at = (const uint8_t *)list.data, *end = at + list.size;
    bool has_fours = kernels_chosen()->isa != KERNEL_BASE, is_bad = false;
    uint64_t row = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t delta;
        if (has_fours && i > 0)
            i = read_fours(&at, end, i, count, &row, rows, &is_bad);
        if (is_bad || row >= row_count)
            return false;
        if (i == count)
            break;
        if (!read_delta(&at, end, &delta) || delta >= row_count || (i > 0 && delta == 0))
            return false;
        row += delta;
        if (row >= row_count)
            return false;
        rows[i] = (uint32_t)row;
    }
    return at == end;
}
