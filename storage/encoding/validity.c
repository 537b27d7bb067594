/* Which rows of a block are NULL: nothing where none or all are, else a bit a row (1: not NULL), in
 * words of 64, the first row lowest. Bytes in memory are made of bits eight at a time. */
#include "storage/encoding/private.h"

#include <assert.h>

size_t validity_size(enum validity_kind kind, uint32_t row_count)
{
    return kind == VALIDITY_BITMAP ? (size_t)(row_count + 63) / 64 * 8 : 0;
}

void validity_write(const uint8_t *validity, uint32_t row_count, struct writer *out)
{
    for (uint32_t first = 0; first < row_count; first += 64) {
        uint64_t word = 0;
        for (uint32_t i = 0; i < 64 && first + i < row_count; i++)
            word |= (uint64_t)(validity[first + i] != 0) << i;
        writer_u64(out, word);
    }
}

bool validity_check(const uint8_t *bitmap, enum validity_kind kind, uint32_t row_count,
                    uint32_t null_count)
{
    if (kind == VALIDITY_ALL)
        return null_count == 0;
    if (kind == VALIDITY_NONE)
        return null_count == row_count;
    uint64_t last = load_u64(bitmap + validity_size(kind, row_count) - 8);
    if (row_count % 64 != 0 && last >> row_count % 64 != 0)
        return false;
    uint32_t valid = 0;
    for (uint32_t first = 0; first < row_count; first += 64)
        valid += (uint32_t)__builtin_popcountll(load_u64(bitmap + first / 8));
    return valid + null_count == row_count && valid > 0 && null_count > 0;
}

/* Bit k of `bits` as byte k, 0 or 1. */
static uint64_t spread(uint8_t bits)
{
    uint64_t each = bits * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
    return (each + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101);
}

static bool is_full(const uint8_t *bits, uint32_t count)
{
    uint32_t row = 0;
    for (; row + 64 <= count; row += 64) {
        if (load_u64(bits + row / 8) != UINT64_MAX)
            return false;
    }
    uint64_t rest = (UINT64_C(1) << count % 64) - 1;
    return rest == 0 || (load_u64(bits + row / 8) & rest) == rest;
}

bool validity_read(const uint8_t *bitmap, enum validity_kind kind, uint32_t begin, uint32_t count,
                   uint8_t *out)
{
    assert(begin % 64 == 0);
    if (kind == VALIDITY_ALL)
        return false;
    if (kind == VALIDITY_NONE) {
        memset(out, 0, count);
        return true;
    }
    const uint8_t *bits = bitmap + begin / 8;
    if (is_full(bits, count))
        return false;
    uint32_t row = 0;
    for (; row + 8 <= count; row += 8) {
        uint64_t eight = spread(bits[row / 8]);
        memcpy(out + row, &eight, sizeof(eight));
    }
    for (; row < count; row++)
        out[row] = bits[row / 8] >> row % 8 & 1;
    return true;
}

uint32_t validity_filter(const uint8_t *bitmap, enum validity_kind kind, uint32_t begin,
                         uint32_t *selection, uint32_t selected)
{
    if (kind != VALIDITY_BITMAP)
        return kind == VALIDITY_ALL ? selected : 0;
    const uint8_t *bits = bitmap + begin / 8;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < selected; i++) {
        uint32_t row = selection[i];
        selection[kept] = row;
        kept += bits[row / 8] >> row % 8 & 1;
    }
    return kept;
}
