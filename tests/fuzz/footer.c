/* Fuzz target: bytes as the header and the footer of a sealed segment. Both are refused, or are
 * what writing what was read gives. Byte 0 chooses: 1 mend the header's checksum; 2 the footer
 * alone. */
#include "storage/base/hash.h"
#include "storage/segment/footer.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define FILE_SIZE ((uint64_t)1 << 24)

static void try_header(const uint8_t *data, size_t size)
{
    struct sealed_header header;
    uint8_t again[SEALED_HEADER_SIZE];
    if (sealed_header_read(slice_of(data, size), FILE_SIZE, &header, NULL) != OK)
        return;
    assert(header.footer_offset + header.footer_size <= FILE_SIZE);
    sealed_header_write(&header, again);
    /* Bytes 48 … 55 are not looked at. */
    assert(memcmp(again, data, 48) == 0);
}

static void try_footer(const uint8_t *data, size_t size)
{
    struct sealed_footer footer;
    struct arena arena;
    arena_init(&arena);
    if (footer_read(slice_of(data, size), FILE_SIZE, &arena, &footer, NULL) == OK) {
        struct writer again;
        writer_init(&again);
        footer_write(&footer, &again);
        assert(slice_equal(writer_as_slice(&again), slice_of(data, size)));
        writer_deinit(&again);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    uint8_t choice = data[0];
    size_t left = size - 1;
    uint8_t *copy = malloc(left + 1);
    memcpy(copy, data + 1, left);
    if ((choice & 2) != 0) {
        try_footer(copy, left);
    } else {
        if ((choice & 1) != 0 && left >= SEALED_HEADER_SIZE) {
            uint64_t checksum = hash64(copy, SEALED_HEADER_SIZE - 8);
            memcpy(copy + SEALED_HEADER_SIZE - 8, &checksum, sizeof(checksum));
        }
        try_header(copy, left);
    }
    free(copy);
    return 0;
}

/* --- seeds --- */

static void add_page(struct sealed_page *page, uint64_t *end, uint32_t *ordinal)
{
    *page = (struct sealed_page){
        .offset = *end, .size = 100 + *ordinal, .ordinal = *ordinal, .checksum = *end * 77};
    *end = (page->offset + page->size + 7) / 8 * 8;
    ++*ordinal;
}

static void write_seed(uint32_t column_count, uint32_t row_count, struct writer *out)
{
    static const struct type types[] = {{.id = TYPE_TIMESTAMPTZ},
                                        {.id = TYPE_TEXT},
                                        {.id = TYPE_NUMERIC, .precision = 10, .scale = 2},
                                        {.id = TYPE_UUID},
                                        {.id = TYPE_VARCHAR, .length = 9}};
    struct sealed_column columns[array_count(types)] = {0};
    struct sealed_block blocks[array_count(types)][4] = {0};
    struct sealed_footer footer = {.number = 7,
                                   .table_id = 3,
                                   .schema_version = 2,
                                   .row_count = row_count,
                                   .block_count = (row_count - 1) / BLOCK_ROWS_MAX + 1,
                                   .column_count = column_count,
                                   .time_column_id = column_count == 0 ? 0 : 1,
                                   .first_position = 5,
                                   .last_position = 9,
                                   .created_at_us = 1,
                                   .columns = columns};
    uint64_t end = SEALED_HEADER_SIZE;
    uint32_t ordinal = 0;
    for (uint32_t c = 0; c < column_count; c++) {
        columns[c] = (struct sealed_column){.column_id = 1 + c * 2, .type = types[c]};
        columns[c].blocks = blocks[c];
        if (c % 3 == 1) {
            columns[c].entry_count = 40;
            add_page(&columns[c].dictionary, &end, &ordinal);
        }
        for (uint32_t i = 0; i < footer.block_count; i++) {
            add_page(&blocks[c][i].page, &end, &ordinal);
            blocks[c][i].encoding = (uint8_t)c;
            blocks[c][i].zone = (struct block_zone){.null_count = i, .has_range = true, .max = 39};
        }
    }
    for (uint32_t c = 0; c < column_count; c++) {
        if (c % 3 == 1)
            add_page(&columns[c].index, &end, &ordinal);
    }
    footer_write(&footer, out);
}

struct slice fuzz_seed(size_t index)
{
    static const struct {
        uint32_t column_count, row_count;
    } seeds[] = {{0, 1}, {1, 65536}, {2, 65537}, {3, 200000}, {5, 131072}};
    static struct writer out;
    writer_reset(&out);
    if (index < array_count(seeds)) {
        writer_u8(&out, 2);
        write_seed(seeds[index].column_count, seeds[index].row_count, &out);
    } else if (index == array_count(seeds)) {
        struct sealed_header header = {.number = 7,
                                       .table_id = 3,
                                       .row_count = 65537,
                                       .footer_offset = 4096,
                                       .footer_size = 400,
                                       .footer_checksum = 99};
        uint8_t bytes[SEALED_HEADER_SIZE];
        sealed_header_write(&header, bytes);
        writer_u8(&out, 1);
        writer_bytes(&out, bytes, sizeof(bytes));
    }
    return writer_as_slice(&out);
}
