/* Checking a sealed segment's file from its first byte to its last, as one that anybody may have
 * written.
 *
 *   header, footer ─▶ the manifest's figures ─▶ per column: dictionary, every block, index ─▶ zeros
 *
 * Readers trust what block_open proves and what the footer says of a block, and use it to leave
 * blocks out; so every value is read here and held against its zone, its dictionary and its index,
 * and the event times against the order that they are said to be in. Bytes that belong to nothing
 * have to be zero: a bit that changed anywhere in the file is found. Memory: a page at a time, and
 * nine bytes a row for each column with an index, since indexes lie behind all blocks. */
#include "storage/index/bitmap.h"
#include "storage/segment/footer.h"
#include "storage/segment/sealed.h"

#include <assert.h>

#define STEP_SIZE ((size_t)1 << 20) /* of what is read to see zeros */

union vector {
    int64_t i[BLOCK_VECTOR_ROWS];
    double f[BLOCK_VECTOR_ROWS];
    uint8_t wide[BLOCK_VECTOR_ROWS][16];
    struct slice text[BLOCK_VECTOR_ROWS];
};

struct check {
    struct io *io;
    struct io_file *file;
    char path[SEALED_PATH_SIZE];
    uint64_t number;
    uint64_t file_size;
    char *buffer; /* aligned */
    size_t buffer_size;
    uint64_t end; /* of what was looked at */
    const struct sealed_info *info;
    struct sealed_footer footer;
    struct arena arena; /* the footer */
    struct block_scratch scratch;
    union vector *vector; /* values of the rows at hand */
    int64_t last_time_us;
    bool has_null_time;
    int64_t min_time_us, max_time_us;
};

static enum err damaged(const struct check *check, uint64_t offset, const char *what,
                        struct error *error)
{
    return error_set(error, ERR_CORRUPT, NULL, "segment file %s, offset %llu: %s", check->path,
                     (unsigned long long)offset, what);
}

/* --- bytes --- */

/* Valid until the next read. */
static enum err read_bytes(struct check *check, uint64_t offset, size_t size, struct slice *out,
                           struct error *error)
{
    uint64_t begin = offset / IO_ALIGNMENT * IO_ALIGNMENT;
    size_t whole = (size_t)(offset + size - begin + IO_ALIGNMENT - 1) / IO_ALIGNMENT * IO_ALIGNMENT;
    size_t got = 0;
    if (whole > check->buffer_size) {
        if (check->buffer != NULL)
            io_buffer_free(check->io, check->buffer);
        check->buffer = io_buffer_alloc(check->io, whole);
        check->buffer_size = whole;
    }
    enum err err = check->io->ops->read(check->file, check->buffer, whole, begin, &got, error);
    if (err != OK)
        return err;
    if (got < offset - begin + size)
        return damaged(check, offset, "the file ends early", error);
    *out = slice_of(check->buffer + (offset - begin), size);
    return OK;
}

/* What lies between two pages is zero. */
static enum err skip_to(struct check *check, uint64_t offset, struct error *error)
{
    if (offset < check->end)
        return damaged(check, offset, "pages lie over each other", error);
    while (check->end < offset) {
        uint64_t left = offset - check->end;
        struct slice bytes;
        size_t size = left < STEP_SIZE ? (size_t)left : STEP_SIZE;
        enum err err = read_bytes(check, check->end, size, &bytes, error);
        if (err != OK)
            return err;
        for (size_t i = 0; i < size; i++) {
            if (bytes.data[i] != 0)
                return damaged(check, check->end + i, "bytes that belong to nothing are not zero",
                               error);
        }
        check->end += size;
    }
    return OK;
}

static enum err read_page(struct check *check, const struct sealed_page *page, struct slice *out,
                          struct error *error)
{
    enum err err = skip_to(check, page->offset, error);
    if (err == OK)
        err = read_bytes(check, page->offset, page->size, out, error);
    check->end = page->offset + page->size;
    if (err == OK && sealed_checksum(check->number, page->ordinal, *out) != page->checksum)
        err = damaged(check, page->offset, "the page's checksum does not hold", error);
    return err;
}

/* --- values against what the footer says --- */

struct column_check {
    const struct sealed_column *column;
    enum block_class class;
    bool is_time;
    int64_t *keys; /* of all rows, where there is an index */
    uint8_t *validity;
};

/* Times stand in order, NULLs behind all others. */
static bool is_time_in_order(struct check *check, bool is_null, int64_t time_us)
{
    if (is_null) {
        check->has_null_time = true;
        return true;
    }
    bool is_in_order = !check->has_null_time && time_us >= check->last_time_us;
    check->last_time_us = time_us;
    check->min_time_us = time_us < check->min_time_us ? time_us : check->min_time_us;
    check->max_time_us = time_us > check->max_time_us ? time_us : check->max_time_us;
    return is_in_order;
}

/* NULL, or what is wrong with one value. */
static const char *judge_value(struct check *check, const struct column_check *column,
                               const struct block_zone *zone, bool is_null,
                               const union vector *vector, uint32_t i)
{
    int64_t order = 0;
    bool has_order = column->class != BLOCK_WIDE;
    if (column->is_time && !is_time_in_order(check, is_null, vector->i[i]))
        return "event times are out of order";
    if (is_null)
        return NULL;
    if (column->class == BLOCK_INTEGER)
        order = vector->i[i];
    else if (column->class == BLOCK_FLOAT)
        order = float_order(vector->f[i]);
    else if (column->class == BLOCK_TEXT)
        order = text_order(vector->text[i]);
    if (has_order && (!zone->has_range || order < zone->min || order > zone->max))
        return "a value is outside of what the footer says of its block";
    if (column->column->entry_count != 0 && (order < 0 || order >= column->column->entry_count))
        return "a code without an entry";
    return NULL;
}

static const char *judge_vector(struct check *check, const struct column_check *column,
                                const struct block *block, const struct block_zone *zone,
                                uint32_t begin, uint32_t count, uint64_t first_row,
                                uint32_t *null_count)
{
    uint8_t validity[BLOCK_VECTOR_ROWS];
    union vector *vector = check->vector;
    struct error error;
    const char *wrong = NULL;
    bool has_validity = block_validity(block, begin, count, validity);
    if (block_read(block, begin, count, &check->scratch, vector, &error) != OK)
        return "values cannot be read";
    for (uint32_t i = 0; wrong == NULL && i < count; i++) {
        bool is_null = has_validity && validity[i] == 0;
        *null_count += is_null;
        wrong = judge_value(check, column, zone, is_null, vector, i);
        if (column->keys != NULL) {
            column->keys[first_row + i] = vector->i[i];
            column->validity[first_row + i] = !is_null;
        }
    }
    return wrong;
}

static enum err check_block(struct check *check, const struct column_check *column, uint32_t index,
                            struct error *error)
{
    const struct sealed_block *sealed = &column->column->blocks[index];
    uint32_t before = index * BLOCK_ROWS_MAX;
    uint32_t left = check->footer.row_count - before;
    uint32_t row_count = left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX;
    uint32_t null_count = 0;
    struct slice bytes;
    struct block block;
    struct error cause = {0};
    enum err err = read_page(check, &sealed->page, &bytes, error);
    if (err != OK)
        return err;
    if (block_open(bytes, column->class, row_count, &block, &cause) != OK)
        return damaged(check, sealed->page.offset, cause.text, error);
    if (block.encoding != sealed->encoding)
        return damaged(check, sealed->page.offset, "another encoding than the footer says", error);
    for (uint32_t begin = 0; begin < row_count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t rest = row_count - begin;
        uint32_t count = rest < BLOCK_VECTOR_ROWS ? rest : BLOCK_VECTOR_ROWS;
        const char *wrong = judge_vector(check, column, &block, &sealed->zone, begin, count,
                                         (uint64_t)before + begin, &null_count);
        if (wrong != NULL)
            return damaged(check, sealed->page.offset, wrong, error);
    }
    if (null_count != sealed->zone.null_count)
        return damaged(check, sealed->page.offset, "more or fewer NULLs than the footer says",
                       error);
    return OK;
}

/* --- columns --- */

static enum err check_entries(struct check *check, const struct sealed_column *column,
                              struct error *error)
{
    struct slice bytes, *entries;
    struct arena arena;
    struct error cause = {0};
    enum err err = read_page(check, &column->dictionary, &bytes, error);
    if (err != OK)
        return err;
    arena_init(&arena);
    if (entries_read(bytes, column->entry_count, NULL, &arena, &entries, &cause) != OK)
        err = damaged(check, column->dictionary.offset, cause.text, error);
    arena_deinit(&arena);
    return err;
}

static enum err check_index(struct check *check, const struct column_check *column,
                            struct error *error)
{
    struct slice bytes;
    struct bitmap_index index;
    struct error cause = {0};
    const struct sealed_page *page = &column->column->index;
    const struct bitmap_input input = {
        .row_count = check->footer.row_count, .keys = column->keys, .validity = column->validity};
    enum err err = read_page(check, page, &bytes, error);
    if (err != OK)
        return err;
    if (bitmap_index_open(bytes, check->footer.row_count, &index, &cause) != OK ||
        bitmap_index_check(&index, &input, &cause) != OK)
        return damaged(check, page->offset, cause.text, error);
    return OK;
}

static struct column_check column_check_of(const struct check *check, uint32_t index)
{
    const struct sealed_column *column = &check->footer.columns[index];
    return (struct column_check){
        .column = column,
        .class = column->entry_count != 0 ? BLOCK_INTEGER : block_class_of(column->type.id),
        .is_time = column->column_id == check->footer.time_column_id,
    };
}

static enum err check_columns(struct check *check, struct error *error)
{
    const struct sealed_footer *footer = &check->footer;
    struct column_check *columns = memory_alloc_zero((footer->column_count + 1) * sizeof(*columns));
    enum err err = OK;
    for (uint32_t c = 0; err == OK && c < footer->column_count; c++) {
        columns[c] = column_check_of(check, c);
        if (columns[c].column->index.size != 0) {
            columns[c].keys = memory_alloc(footer->row_count * sizeof(*columns[c].keys));
            columns[c].validity = memory_alloc(footer->row_count);
        }
        if (columns[c].column->entry_count != 0)
            err = check_entries(check, columns[c].column, error);
        for (uint32_t b = 0; err == OK && b < footer->block_count; b++)
            err = check_block(check, &columns[c], b, error);
    }
    for (uint32_t c = 0; err == OK && c < footer->column_count; c++) {
        if (columns[c].keys != NULL)
            err = check_index(check, &columns[c], error);
    }
    for (uint32_t c = 0; c < footer->column_count; c++) {
        memory_free(columns[c].keys);
        memory_free(columns[c].validity);
    }
    memory_free(columns);
    return err;
}

/* --- header and footer --- */

static bool fits_info(const struct check *check, const struct sealed_header *header)
{
    const struct sealed_info *info = check->info;
    return header->table_id == info->table_id && header->row_count == info->row_count &&
           header->footer_offset == info->footer_offset &&
           header->footer_size == info->footer_size &&
           header->footer_checksum == info->footer_checksum && check->file_size == info->bytes;
}

static enum err read_header(struct check *check, struct sealed_header *header, struct error *error)
{
    struct slice bytes;
    struct error cause = {0};
    if (check->file_size < SEALED_HEADER_SIZE)
        return damaged(check, 0, "the file is shorter than a header", error);
    enum err err = read_bytes(check, 0, SEALED_HEADER_SIZE, &bytes, error);
    if (err != OK)
        return err;
    if (sealed_header_read(bytes, check->file_size, header, &cause) != OK)
        return damaged(check, 0, cause.text, error);
    if (header->number != check->number)
        return damaged(check, 0, "the header has another number than the name", error);
    if (check->info != NULL && !fits_info(check, header))
        return damaged(check, 0, "header and size are not what the manifest says", error);
    check->end = SEALED_HEADER_SIZE;
    return OK;
}

static enum err read_footer(struct check *check, const struct sealed_header *header,
                            struct error *error)
{
    struct slice bytes;
    struct error cause = {0};
    enum err err = read_bytes(check, header->footer_offset, header->footer_size, &bytes, error);
    if (err != OK)
        return err;
    if (sealed_checksum(check->number, FOOTER_ORDINAL, bytes) != header->footer_checksum)
        return damaged(check, header->footer_offset, "the footer's checksum does not hold", error);
    if (footer_read(bytes, header->footer_offset, &check->arena, &check->footer, &cause) != OK)
        return damaged(check, header->footer_offset, cause.text, error);
    const struct sealed_footer *footer = &check->footer;
    bool fits = footer->number == header->number && footer->table_id == header->table_id &&
                footer->row_count == header->row_count;
    const struct sealed_info *info = check->info;
    if (info != NULL)
        fits = fits && footer->schema_version == info->schema_version &&
               footer->first_position == info->first_position &&
               footer->last_position == info->last_position &&
               footer->created_at_us == info->created_at_us;
    return fits ? OK
                : damaged(check, header->footer_offset,
                          "the footer is not what header and manifest say", error);
}

static enum err check_file(struct check *check, struct error *error)
{
    struct sealed_header header;
    enum err err = read_header(check, &header, error);
    if (err == OK)
        err = read_footer(check, &header, error);
    if (err == OK)
        err = check_columns(check, error);
    if (err == OK)
        err = skip_to(check, header.footer_offset, error);
    check->end = header.footer_offset + header.footer_size;
    if (err == OK)
        err = skip_to(check, check->file_size, error);
    if (err != OK || check->info == NULL)
        return err;
    if (check->min_time_us != check->info->min_time_us ||
        check->max_time_us != check->info->max_time_us)
        return damaged(check, 0, "event times are not within what the manifest says", error);
    return OK;
}

enum err sealed_check(struct io *io, const char *directory, uint64_t number,
                      const struct sealed_info *info, uint64_t *out_rows, struct error *error)
{
    struct check check = {.io = io,
                          .number = number,
                          .info = info,
                          .last_time_us = INT64_MIN,
                          .min_time_us = INT64_MAX,
                          .max_time_us = INT64_MIN};
    assert(info == NULL || info->number == number);
    *out_rows = 0;
    sealed_path(directory, number, check.path, sizeof(check.path));
    struct error cause = {0};
    enum err err = io->ops->open(io, check.path, IO_DIRECT, &check.file, &cause);
    if (err == ERR_NOT_FOUND) /* the manifest has it */
        return damaged(&check, 0, "there is no such file", error);
    if (err != OK)
        return error_set(error, err, NULL, "segment file %s: %s", check.path, cause.text);
    arena_init(&check.arena);
    block_scratch_init(&check.scratch);
    check.vector = memory_alloc(sizeof(*check.vector));
    err = io->ops->size(check.file, &check.file_size, error);
    if (err == OK)
        err = check_file(&check, error);
    if (err == OK)
        *out_rows = check.footer.row_count;
    if (check.buffer != NULL)
        io_buffer_free(io, check.buffer);
    memory_free(check.vector);
    block_scratch_deinit(&check.scratch);
    arena_deinit(&check.arena);
    (void)io->ops->close(check.file, NULL);
    return err;
}
