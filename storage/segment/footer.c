/* The bytes of a sealed segment's header and footer. The offsets are those of FORMAT.md; all
 * integers little-endian.
 *
 *   footer:  head (64) | per column: column (72), its blocks (48 each)
 *
 * Fixed sizes all through: a footer's size follows from two counts, so a wrong count is seen before
 * anything is read by it, and a footer of 21 columns and 16 blocks is 17 KiB, read once and kept.
 *
 * Reading trusts nothing, also under a checksum that holds. Pages stand in the file in one order
 * (column by column the dictionary and the blocks, then the indexes) with ordinals 0, 1, 2 … along
 * it, so one pass proves that they lie in the file, between header and footer, do not overlap, and
 * that no ordinal comes twice. */
#include "storage/segment/footer.h"

#include "storage/base/hash.h"
#include "storage/column/schema.h"

#include <assert.h>
#include <inttypes.h>

#define HEADER_MAGIC 0x3147455348535246ULL /* "FRSHSEG1" */
#define FOOTER_MAGIC 0x31544f4648535246ULL /* "FRSHFOT1" */
#define HEADER_CHECKED_SIZE (SEALED_HEADER_SIZE - 8)
#define HEAD_SIZE ((size_t)64)
#define COLUMN_SIZE ((size_t)72)
#define BLOCK_SIZE ((size_t)48)
#define NUMERIC_PRECISION_MAX 18

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are copied as they lie");
static_assert(SEALED_ROWS_MAX / BLOCK_ROWS_MAX * (uint64_t)SCHEMA_COLUMNS_MAX * BLOCK_SIZE +
                      SCHEMA_COLUMNS_MAX * COLUMN_SIZE + HEAD_SIZE <
                  UINT32_MAX,
              "the size of a footer fits its field");

uint64_t sealed_checksum(uint64_t number, uint32_t ordinal, struct slice bytes)
{
    return hash64_seed(bytes.data, bytes.size, hash_mix(number) ^ ordinal);
}

void sealed_checksum_begin(uint64_t number, uint32_t ordinal, struct hash_stream *stream)
{
    hash_stream_init(stream, hash_mix(number) ^ ordinal);
}

/* --- header --- */

void sealed_header_write(const struct sealed_header *header, void *out)
{
    uint64_t fields[SEALED_HEADER_SIZE / 8] = {
        HEADER_MAGIC,
        (uint64_t)header->table_id << 32 | SEALED_VERSION,
        header->number,
        header->footer_offset,
        header->footer_checksum,
        (uint64_t)header->row_count << 32 | header->footer_size,
    };
    fields[7] = hash64(fields, HEADER_CHECKED_SIZE);
    memcpy(out, fields, sizeof(fields));
}

enum err sealed_header_read(struct slice bytes, uint64_t file_size, struct sealed_header *out,
                            struct error *error)
{
    uint64_t fields[SEALED_HEADER_SIZE / 8];
    if (bytes.size < sizeof(fields))
        return error_set(error, ERR_CORRUPT, NULL, "too short for a header");
    memcpy(fields, bytes.data, sizeof(fields));
    if (fields[0] != HEADER_MAGIC)
        return error_set(error, ERR_CORRUPT, NULL, "not a sealed segment");
    if (fields[7] != hash64(fields, HEADER_CHECKED_SIZE))
        return error_set(error, ERR_CORRUPT, NULL, "the header's checksum does not hold");
    uint32_t version = (uint32_t)fields[1];
    if (version != SEALED_VERSION)
        return error_set(error, ERR_CORRUPT, NULL,
                         "format version %" PRIu32 "; this program knows versions up to %d",
                         version, SEALED_VERSION);
    *out = (struct sealed_header){
        .number = fields[2],
        .table_id = (uint32_t)(fields[1] >> 32),
        .row_count = (uint32_t)(fields[5] >> 32),
        .footer_offset = fields[3],
        .footer_size = (uint32_t)fields[5],
        .footer_checksum = fields[4],
    };
    if (out->footer_offset < SEALED_HEADER_SIZE || out->footer_offset > file_size ||
        out->footer_size > file_size - out->footer_offset)
        return error_set(error, ERR_CORRUPT, NULL, "the footer is outside of the file");
    return OK;
}

/* --- writing --- */

size_t footer_size(uint32_t column_count, uint32_t block_count)
{
    return HEAD_SIZE + column_count * (COLUMN_SIZE + block_count * BLOCK_SIZE);
}

static void write_page(const struct sealed_page *page, struct writer *out)
{
    writer_u64(out, page->offset);
    writer_u32(out, page->size);
    writer_u32(out, page->ordinal);
    writer_u64(out, page->checksum);
}

static void write_column(const struct sealed_column *column, uint32_t block_count,
                         struct writer *out)
{
    writer_u32(out, column->column_id);
    writer_u8(out, column->type.id);
    writer_u8(out, column->type.precision);
    writer_u8(out, column->type.scale);
    writer_u8(out, 0);
    writer_u32(out, column->type.length);
    writer_u32(out, column->entry_count);
    write_page(&column->dictionary, out);
    write_page(&column->index, out);
    writer_u64(out, column->raw_bytes);
    for (uint32_t i = 0; i < block_count; i++) {
        const struct sealed_block *block = &column->blocks[i];
        write_page(&block->page, out);
        writer_u8(out, block->encoding);
        writer_u8(out, block->zone.has_range);
        writer_u16(out, 0);
        writer_u32(out, block->zone.null_count);
        writer_i64(out, block->zone.min);
        writer_i64(out, block->zone.max);
    }
}

void footer_write(const struct sealed_footer *footer, struct writer *out)
{
    size_t begin = out->size;
    writer_u64(out, FOOTER_MAGIC);
    writer_u64(out, footer->number);
    writer_u32(out, footer->table_id);
    writer_u32(out, footer->schema_version);
    writer_u32(out, footer->row_count);
    writer_u32(out, footer->block_count);
    writer_u32(out, footer->column_count);
    writer_u32(out, footer->time_column_id);
    writer_u64(out, footer->first_position);
    writer_u64(out, footer->last_position);
    writer_i64(out, footer->created_at_us);
    for (uint32_t i = 0; i < footer->column_count; i++)
        write_column(&footer->columns[i], footer->block_count, out);
    assert(out->failed ||
           out->size - begin == footer_size(footer->column_count, footer->block_count));
}

/* --- reading --- */

/* What one pass over the pages in file order has seen. */
struct page_walk {
    uint64_t end; /* of the page before */
    uint64_t limit;
    uint32_t ordinal; /* of the next */
};

static struct sealed_page read_page(struct reader *in)
{
    struct sealed_page page = {.offset = reader_u64(in)};
    page.size = reader_u32(in);
    page.ordinal = reader_u32(in);
    page.checksum = reader_u64(in);
    return page;
}

static bool is_absent(const struct sealed_page *page)
{
    return page->size == 0 && page->offset == 0 && page->ordinal == 0 && page->checksum == 0;
}

static bool step_page(struct page_walk *walk, const struct sealed_page *page)
{
    if (page->size == 0 || page->ordinal != walk->ordinal || page->offset < walk->end ||
        page->offset % SEALED_PAGE_ALIGNMENT != 0 || page->offset > walk->limit ||
        page->size > walk->limit - page->offset)
        return false;
    walk->end = page->offset + page->size;
    walk->ordinal++;
    return true;
}

static bool is_type_good(struct type type)
{
    if (type.id >= TYPE_COUNT || !type_is_storable(type.id))
        return false;
    if (type.id == TYPE_NUMERIC) {
        if (type.precision == 0 || type.precision > NUMERIC_PRECISION_MAX ||
            type.scale > type.precision)
            return false;
    } else if (type.precision != 0 || type.scale != 0) {
        return false;
    }
    return type.length == 0 || type.id == TYPE_VARCHAR;
}

static bool has_texts(struct type type)
{
    return type_physical(type.id) == PHYSICAL_TEXT && type.id != TYPE_UUID;
}

static bool is_column_good(const struct sealed_column *column)
{
    if (column->column_id == 0 || !is_type_good(column->type))
        return false;
    if (column->entry_count > SEALED_ENTRIES_MAX ||
        (column->entry_count != 0) == is_absent(&column->dictionary))
        return false;
    if (column->entry_count != 0 && !has_texts(column->type))
        return false;
    if (column->index.size == 0)
        return is_absent(&column->index);
    return column->entry_count != 0 || (type_physical(column->type.id) != PHYSICAL_TEXT &&
                                        type_physical(column->type.id) != PHYSICAL_FLOAT);
}

static bool is_zone_good(const struct block_zone *zone, uint32_t row_count, uint32_t entry_count)
{
    if (zone->null_count > row_count)
        return false;
    if (!zone->has_range)
        return zone->min == 0 && zone->max == 0 &&
               (entry_count == 0 || zone->null_count == row_count);
    if (zone->null_count == row_count || zone->min > zone->max)
        return false;
    return entry_count == 0 || (zone->min >= 0 && zone->max < entry_count);
}

static bool read_column(struct reader *in, const struct sealed_footer *footer,
                        struct sealed_column *column)
{
    column->column_id = reader_u32(in);
    column->type = (struct type){.id = reader_u8(in)};
    column->type.precision = reader_u8(in);
    column->type.scale = reader_u8(in);
    bool is_good = reader_u8(in) == 0;
    column->type.length = reader_u32(in);
    column->entry_count = reader_u32(in);
    column->dictionary = read_page(in);
    column->index = read_page(in);
    column->raw_bytes = reader_u64(in);
    is_good = is_good && is_column_good(column);
    uint32_t left = footer->row_count;
    for (uint32_t i = 0; is_good && i < footer->block_count; i++) {
        struct sealed_block *block = &column->blocks[i];
        uint32_t row_count = left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX;
        left -= row_count;
        block->page = read_page(in);
        block->encoding = reader_u8(in);
        uint8_t has_range = reader_u8(in);
        uint16_t zero = reader_u16(in);
        block->zone = (struct block_zone){.has_range = has_range == 1};
        block->zone.null_count = reader_u32(in);
        block->zone.min = reader_i64(in);
        block->zone.max = reader_i64(in);
        is_good = has_range <= 1 && zero == 0 && block->encoding < ENCODING_COUNT_MAX &&
                  is_zone_good(&block->zone, row_count, column->entry_count);
    }
    return is_good;
}

static bool are_pages_good(const struct sealed_footer *footer, uint64_t limit)
{
    struct page_walk walk = {.end = SEALED_HEADER_SIZE, .limit = limit};
    for (uint32_t c = 0; c < footer->column_count; c++) {
        const struct sealed_column *column = &footer->columns[c];
        if (column->entry_count != 0 && !step_page(&walk, &column->dictionary))
            return false;
        for (uint32_t i = 0; i < footer->block_count; i++) {
            if (!step_page(&walk, &column->blocks[i].page))
                return false;
        }
    }
    for (uint32_t c = 0; c < footer->column_count; c++) {
        const struct sealed_column *column = &footer->columns[c];
        if (column->index.size != 0 && !step_page(&walk, &column->index))
            return false;
    }
    return true;
}

static bool are_columns_good(const struct sealed_footer *footer)
{
    bool has_time = footer->time_column_id == 0;
    for (uint32_t c = 0; c < footer->column_count; c++) {
        const struct sealed_column *column = &footer->columns[c];
        if (c > 0 && column->column_id <= footer->columns[c - 1].column_id)
            return false;
        has_time |=
            column->column_id == footer->time_column_id && column->type.id == TYPE_TIMESTAMPTZ;
    }
    return has_time;
}

static bool read_head(struct reader *in, struct sealed_footer *out)
{
    bool is_good = reader_u64(in) == FOOTER_MAGIC;
    *out = (struct sealed_footer){.number = reader_u64(in)};
    out->table_id = reader_u32(in);
    out->schema_version = reader_u32(in);
    out->row_count = reader_u32(in);
    out->block_count = reader_u32(in);
    out->column_count = reader_u32(in);
    out->time_column_id = reader_u32(in);
    out->first_position = reader_u64(in);
    out->last_position = reader_u64(in);
    out->created_at_us = reader_i64(in);
    return is_good && !in->failed && out->row_count != 0 && out->row_count <= SEALED_ROWS_MAX &&
           out->block_count == (out->row_count - 1) / BLOCK_ROWS_MAX + 1 &&
           out->column_count <= SCHEMA_COLUMNS_MAX && out->first_position <= out->last_position &&
           in->size == footer_size(out->column_count, out->block_count);
}

enum err footer_read(struct slice bytes, uint64_t file_size, struct arena *arena,
                     struct sealed_footer *out, struct error *error)
{
    struct reader in = reader_of(bytes);
    if (!read_head(&in, out))
        return error_set(error, ERR_CORRUPT, NULL, "the footer's head does not fit");
    size_t block_count = (size_t)out->column_count * out->block_count;
    out->columns = arena_alloc_array(arena, out->column_count, sizeof(*out->columns));
    struct sealed_block *blocks = arena_alloc_array(arena, block_count, sizeof(*blocks));
    for (uint32_t c = 0; c < out->column_count; c++) {
        out->columns[c].blocks = blocks + (size_t)c * out->block_count;
        if (!read_column(&in, out, &out->columns[c]))
            return error_set(error, ERR_CORRUPT, NULL,
                             "the footer's column at its byte %zu does not fit",
                             footer_size(c, out->block_count));
    }
    assert(!in.failed);
    assert(in.offset == in.size);
    if (!are_columns_good(out))
        return error_set(error, ERR_CORRUPT, NULL,
                         "the footer's columns are out of order, or the event time is none");
    if (!are_pages_good(out, file_size))
        return error_set(error, ERR_CORRUPT, NULL, "the footer's pages are out of place");
    return OK;
}
