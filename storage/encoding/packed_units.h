/* Units of packed vectors (packed.c), as its files read them. */
#ifndef FRESHET_STORAGE_ENCODING_PACKED_UNITS_H
#define FRESHET_STORAGE_ENCODING_PACKED_UNITS_H

#include "storage/encoding/private.h"

#define HEAD_SIZE 16u
#define LANES(width) ((width) <= 32 ? 32u : 16u)

/* Bytes of one unit of `count` <= 1,024 values: whole rows of words. */
static inline uint32_t unit_size(uint32_t count, uint32_t width)
{
    uint32_t lane_bits = width <= 32 ? 32 : 64;
    uint32_t rows = (count + LANES(width) - 1) / LANES(width);
    return (rows * width + lane_bits - 1) / lane_bits * UNIT_ROW_BYTES;
}

/* A whole unit of these bytes of one: themselves, or a copy with zeros behind. */
static inline const uint8_t *whole_unit(const uint8_t *units, uint32_t size, uint32_t width,
                                        uint8_t *rest)
{
    if (size >= width * UNIT_ROW_BYTES)
        return units;
    memcpy(rest, units, size);
    memset(rest + size, 0, width * UNIT_ROW_BYTES - size);
    return rest;
}

/* Asks for what lies so far behind what is about to be read: columns are read a vector each in
 * turn, and the processor by itself only sees what comes where it comes in one go. Behind the end
 * it is something else, or nothing, which does no harm. */
#ifndef AHEAD
#define AHEAD 4096u
#endif
static inline void ask_ahead(const uint8_t *unit, uint32_t size)
{
    for (uint32_t line = 0; line < size; line += 64)
        __builtin_prefetch(unit + AHEAD + line);
}

/* Of a vector of `count` values the whole unit that begins with value `done`; what lies ahead of it
 * is asked for. */
static inline const uint8_t *unit_of(const uint8_t *units, uint32_t width, uint32_t count,
                                     uint32_t done, uint8_t *rest)
{
    const uint8_t *unit = units + done / UNIT_VALUES * (UNIT_ROW_BYTES * width);
    uint32_t values = count - done < UNIT_VALUES ? count - done : UNIT_VALUES;
    uint32_t size = unit_size(values, width);
    ask_ahead(unit, size);
    return whole_unit(unit, size, width, rest);
}

struct packed_head {
    uint64_t base;
    const uint8_t *units;
    uint32_t width;
};

static inline struct packed_head head_of(const struct packed *packed, uint32_t vector)
{
    const uint8_t *head = packed->heads + (size_t)vector * HEAD_SIZE;
    return (struct packed_head){
        .base = load_u64(head), .units = packed->units + load_u32(head + 8), .width = head[12]};
}

/* Rows whose packed value - low <= span; width 1 … 32. */
uint32_t units_select(const uint8_t *units, uint32_t count, uint32_t width, uint32_t low,
                      uint32_t span, uint32_t *selection);

#endif
