/* Rows put aside on disk.
 *
 *   batch ── pieces: row count · each column ──▶ bytes ──▶ blocks of the run's temporary file
 *
 * A piece is what was written together, cut to about a block: a fixed-width column as its values, a
 * column of texts as lengths and bytes, validity a byte a row where there is a NULL. Pieces follow
 * each other without regard to blocks, so a text of any size goes through. Reading copies straight
 * into arrays, several pieces a batch: partitions get a few rows of each batch that comes, and are
 * read back in batches of 2,048 all the same.
 *
 * All operators of a run share one file, made when the first of them needs it; blocks that were
 * read for the last time are written anew, so the file is as large as what is aside at one time.
 * Blocks in hand are charged to the query whatever its limit is: they are what frees memory.
 * Numbers of blocks (4 bytes a block) are not charged. Each block written or read is a moment to
 * look at the clock and the flags. */
#include "query/exec/spill.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

#define BLOCK_SIZE_MAX ((size_t)256 << 10)
#define BLOCK_SHARE 256
#define OWN_SHARE 16  /* of the limit: fewer rows than that are not worth a trip */
#define READ_BLOCKS 4 /* a batch that was read holds texts of about so many at most */

/* --- the rule --- */

bool spill_is_on(const struct exec *exec)
{
    return exec->temp != NULL;
}

static size_t used_of(const struct budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}

bool spill_is_due(const struct exec *exec, size_t own, size_t need)
{
    const struct budget *budget = exec->budget, *all = budget->parent;
    if (!spill_is_on(exec) || own == 0)
        return false;
    size_t wanted = used_of(budget) + need, wanted_of_all = all == NULL ? 0 : used_of(all) + need;
    size_t limit_of_all = all == NULL ? SIZE_MAX : all->limit - all->reserve;
    if (wanted > budget->limit || wanted_of_all > limit_of_all)
        return true;
    bool is_tight = wanted > budget->limit - budget->limit / 4 ||
                    wanted_of_all > limit_of_all - limit_of_all / 8;
    return is_tight && own >= budget->limit / OWN_SHARE;
}

size_t spill_block_size(const struct exec *exec)
{
    size_t size = TEMP_BLOCK_MIN;
    while (size < BLOCK_SIZE_MAX && size < exec->budget->limit / BLOCK_SHARE)
        size *= 2;
    return size;
}

void spill_close(struct exec *exec)
{
    temp_file_destroy(exec->spill_file);
    exec->spill_file = NULL;
}

/* --- blocks --- */

static enum err take_buffer(struct spill_stream *stream, struct error *error)
{
    struct exec *exec = stream->node->exec;
    enum err err = OK;
    if (stream->buffer != NULL)
        return OK;
    if (exec->spill_file == NULL)
        err = temp_file_create(exec->temp, spill_block_size(exec), &exec->spill_file, error);
    if (err != OK)
        return err;
    budget_charge_always(exec->budget, spill_block_size(exec));
    stream->buffer = temp_file_buffer(exec->spill_file);
    memset(stream->buffer, 0, spill_block_size(exec)); /* the rest of a last block is known too */
    return OK;
}

static void drop_buffer(struct spill_stream *stream)
{
    struct exec *exec = stream->node->exec;
    if (stream->buffer == NULL)
        return;
    temp_file_buffer_free(exec->spill_file, stream->buffer);
    budget_release(exec->budget, spill_block_size(exec));
    stream->buffer = NULL;
}

static uint64_t identity_of(const struct spill_stream *stream, size_t block)
{
    return stream->id << 32 | (uint32_t)block;
}

static enum err flush(struct spill_stream *stream, struct error *error)
{
    struct exec *exec = stream->node->exec;
    uint32_t block;
    enum err err = exec_check(exec, error);
    if (err == OK)
        err = temp_file_write(exec->spill_file, stream->buffer,
                              identity_of(stream, stream->block_count), &block, error);
    if (err != OK)
        return err;
    if (stream->block_count == stream->block_capacity) {
        stream->block_capacity = stream->block_capacity == 0 ? 16 : 2 * stream->block_capacity;
        stream->blocks =
            memory_realloc(stream->blocks, stream->block_capacity * sizeof(*stream->blocks));
    }
    stream->blocks[stream->block_count++] = block;
    stream->used = TEMP_HEADER_SIZE;
    exec->actual[stream->node->plan->id].spilled_bytes += spill_block_size(exec);
    atomic_fetch_add_explicit(&exec->statistics.spilled_bytes, spill_block_size(exec),
                              memory_order_relaxed);
    return OK;
}

static enum err put(struct spill_stream *stream, const void *data, size_t size, struct error *error)
{
    size_t end = spill_block_size(stream->node->exec);
    const char *from = data;
    while (size > 0) {
        size_t part = end - stream->used < size ? end - stream->used : size;
        memcpy(stream->buffer + stream->used, from, part);
        stream->used += part;
        from += part;
        size -= part;
        enum err err = stream->used == end ? flush(stream, error) : OK;
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err load(struct spill_stream *stream, bool is_last, struct error *error)
{
    struct exec *exec = stream->node->exec;
    assert(stream->next_block < stream->block_count);
    uint32_t block = stream->blocks[stream->next_block];
    enum err err = exec_check(exec, error);
    if (err == OK)
        err = temp_file_read(exec->spill_file, block, identity_of(stream, stream->next_block),
                             stream->buffer, error);
    if (err != OK)
        return err;
    stream->next_block++;
    stream->used = TEMP_HEADER_SIZE;
    if (is_last) {
        temp_file_forget(exec->spill_file, block);
        stream->forgotten_count = stream->next_block;
    }
    return OK;
}

static enum err get(struct spill_stream *stream, void *data, size_t size, bool is_last,
                    struct error *error)
{
    size_t end = spill_block_size(stream->node->exec);
    char *to = data;
    while (size > 0) {
        enum err err = stream->used == end ? load(stream, is_last, error) : OK;
        if (err != OK)
            return err;
        size_t part = end - stream->used < size ? end - stream->used : size;
        memcpy(to, stream->buffer + stream->used, part);
        stream->used += part;
        to += part;
        size -= part;
    }
    return OK;
}

/* --- streams --- */

void spill_stream_init(struct spill_stream *stream, struct exec_node *node,
                       const struct type *types, size_t column_count)
{
    *stream = (struct spill_stream){.node = node,
                                    .types = types,
                                    .column_count = column_count,
                                    .id = node->exec->spill_stream_count++,
                                    .used = TEMP_HEADER_SIZE};
    exec_memory_init(&stream->memory, node->exec->budget);
    arena_init(&stream->scratch);
}

void spill_stream_deinit(struct spill_stream *stream)
{
    if (stream->node == NULL)
        return;
    drop_buffer(stream);
    for (size_t i = stream->forgotten_count; i < stream->block_count; i++)
        temp_file_forget(stream->node->exec->spill_file, stream->blocks[i]);
    memory_free(stream->blocks);
    exec_memory_deinit(&stream->memory);
    arena_deinit(&stream->scratch);
    *stream = (struct spill_stream){0};
}

static size_t element_size(struct type type)
{
    return physical_size(type_physical(type.id));
}

static bool is_text(struct type type)
{
    return type_physical(type.id) == PHYSICAL_TEXT;
}

static enum err put_texts(struct spill_stream *stream, const struct column *column, size_t first,
                          size_t count, struct error *error)
{
    uint32_t sizes[VECTOR_ROWS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        sizes[i] = column_is_null(column, first + i) ? 0 : (uint32_t)column->text[first + i].size;
    enum err err = put(stream, sizes, count * sizeof(*sizes), error);
    for (size_t i = 0; err == OK && i < count; i++)
        if (sizes[i] != 0)
            err = put(stream, column->text[first + i].data, sizes[i], error);
    return err;
}

static enum err put_piece(struct spill_stream *stream, const struct column *columns, size_t first,
                          size_t count, struct error *error)
{
    uint32_t rows = (uint32_t)count;
    enum err err = put(stream, &rows, sizeof(rows), error);
    for (size_t c = 0; err == OK && c < stream->column_count; c++) {
        const struct column *column = &columns[c];
        const uint8_t *validity = column->validity == NULL ? NULL : column->validity + first;
        uint8_t has_null = validity != NULL && memchr(validity, 0, count) != NULL;
        size_t size = element_size(stream->types[c]);
        err = put(stream, &has_null, 1, error);
        if (err == OK && has_null)
            err = put(stream, validity, count, error);
        if (err == OK && is_text(stream->types[c]))
            err = put_texts(stream, column, first, count, error);
        else if (err == OK)
            err = put(stream, (const char *)column->values + first * size, count * size, error);
    }
    return err;
}

/* Rows from `first` on that are a piece: about a block, at least one. */
static size_t cut_piece(const struct spill_stream *stream, const struct column *columns,
                        size_t first, size_t count)
{
    size_t fixed = 0, bytes = 0, rows = 0, target = spill_block_size(stream->node->exec);
    for (size_t c = 0; c < stream->column_count; c++)
        fixed +=
            1 + (is_text(stream->types[c]) ? sizeof(uint32_t) : element_size(stream->types[c]));
    for (; first + rows < count && rows < VECTOR_ROWS_MAX; rows++) {
        bytes += fixed;
        for (size_t c = 0; c < stream->column_count; c++)
            if (is_text(stream->types[c]) && !column_is_null(&columns[c], first + rows))
                bytes += columns[c].text[first + rows].size;
        if (bytes > target && rows > 0)
            break;
    }
    return rows;
}

enum err spill_stream_write(struct spill_stream *stream, const struct batch *batch,
                            const uint32_t *selection, size_t count, struct error *error)
{
    if (count == 0)
        return OK;
    enum err err = take_buffer(stream, error);
    arena_reset(&stream->scratch);
    struct column *columns =
        arena_alloc_array(&stream->scratch, stream->column_count + 1, sizeof(*columns));
    for (size_t c = 0; c < stream->column_count; c++) {
        columns[c] = batch->columns[c];
        if (selection != NULL)
            columns[c] = column_gather(&columns[c], selection, count, &stream->scratch);
        columns[c] = column_flatten(&columns[c], count, &stream->scratch);
    }
    for (size_t first = 0; err == OK && first < count;) {
        size_t rows = cut_piece(stream, columns, first, count);
        err = put_piece(stream, columns, first, rows, error);
        first += rows;
    }
    stream->row_count += count;
    return err;
}

enum err spill_stream_end(struct spill_stream *stream, struct error *error)
{
    static const uint32_t end = 0;
    enum err err = OK;
    if (stream->buffer != NULL) {
        err = put(stream, &end, sizeof(end), error);
        if (err == OK && stream->used > TEMP_HEADER_SIZE)
            err = flush(stream, error);
    }
    drop_buffer(stream);
    arena_deinit(&stream->scratch);
    spill_stream_rewind(stream);
    return err;
}

void spill_stream_rewind(struct spill_stream *stream)
{
    assert(stream->forgotten_count == 0);
    stream->next_block = 0;
    stream->piece_rows = 0;
    stream->is_at_end = false;
    stream->used = spill_block_size(stream->node->exec); /* the first block is to be loaded */
}

/* --- reading --- */

struct reading {
    struct spill_stream *stream;
    struct column *columns; /* their arrays have room for VECTOR_ROWS_MAX rows */
    size_t count, text_bytes;
    bool is_last;
};

static enum err get_texts(struct reading *reading, struct slice *texts, size_t count,
                          struct error *error)
{
    uint32_t sizes[VECTOR_ROWS_MAX];
    size_t total = 0;
    enum err err = get(reading->stream, sizes, count * sizeof(*sizes), reading->is_last, error);
    if (err != OK)
        return err;
    for (size_t i = 0; i < count; i++)
        total += sizes[i];
    char *bytes = arena_alloc(&reading->stream->memory.arena, total);
    for (size_t i = 0, at = 0; i < count; i++) {
        texts[i] = slice_of(bytes + at, sizes[i]);
        at += sizes[i];
    }
    reading->text_bytes += total;
    return get(reading->stream, bytes, total, reading->is_last, error);
}

/* Adds the next piece to what was read. */
static enum err get_piece(struct reading *reading, struct error *error)
{
    struct spill_stream *stream = reading->stream;
    size_t count = stream->piece_rows, first = reading->count;
    enum err err = OK;
    for (size_t c = 0; err == OK && c < stream->column_count; c++) {
        struct column *column = &reading->columns[c];
        uint8_t has_null = 0, *validity = (uint8_t *)column->validity + first;
        size_t size = element_size(stream->types[c]);
        char *values = (char *)column->values + first * size;
        err = get(stream, &has_null, 1, reading->is_last, error);
        if (err == OK && has_null)
            err = get(stream, validity, count, reading->is_last, error);
        else
            memset(validity, 1, count);
        if (err == OK && is_text(stream->types[c]))
            err = get_texts(reading, (struct slice *)(void *)values, count, error);
        else if (err == OK)
            err = get(stream, values, count * size, reading->is_last, error);
    }
    reading->count += count;
    stream->piece_rows = 0;
    return err;
}

/* The row count of the next piece; 0: the end. */
static enum err look_at_piece(struct spill_stream *stream, bool is_last, struct error *error)
{
    if (stream->piece_rows != 0 || stream->is_at_end)
        return OK;
    enum err err = get(stream, &stream->piece_rows, sizeof(stream->piece_rows), is_last, error);
    stream->is_at_end = err == OK && stream->piece_rows == 0;
    if (err == OK && stream->piece_rows > VECTOR_ROWS_MAX)
        return error_set(error, ERR_CORRUPT, "XX001", "rows that were spilled to disk are damaged");
    return err;
}

static void make_columns(struct spill_stream *stream, size_t rows, struct column *columns)
{
    struct arena *arena = &stream->memory.arena;
    for (size_t c = 0; c < stream->column_count; c++)
        columns[c] = (struct column){
            .type = stream->types[c],
            .form = COLUMN_FLAT,
            .validity = arena_alloc(arena, rows + 1),
            .values = arena_alloc_array(arena, rows + 1, element_size(stream->types[c])),
        };
}

enum err spill_stream_read(struct spill_stream *stream, size_t rows_max, bool is_last,
                           struct batch *out, struct error *error)
{
    *out = (struct batch){.column_count = stream->column_count};
    if (stream->block_count == 0)
        return OK;
    arena_reset(&stream->memory.arena);
    enum err err = stream->is_at_end ? OK : take_buffer(stream, error);
    if (err == OK)
        err = look_at_piece(stream, is_last, error);
    if (err != OK)
        return err;
    if (stream->is_at_end) {
        drop_buffer(stream);
        return OK;
    }
    size_t limit = stream->piece_rows > rows_max ? stream->piece_rows : rows_max;
    size_t bytes_max = READ_BLOCKS * spill_block_size(stream->node->exec);
    struct reading reading = {.stream = stream, .is_last = is_last};
    reading.columns =
        arena_alloc_array(&stream->memory.arena, stream->column_count + 1, sizeof(struct column));
    make_columns(stream, limit, reading.columns);
    do {
        err = get_piece(&reading, error);
        if (err == OK)
            err = look_at_piece(stream, is_last, error);
    } while (err == OK && !stream->is_at_end && reading.count + stream->piece_rows <= limit &&
             reading.text_bytes < bytes_max);
    out->row_count = err == OK ? reading.count : 0;
    out->columns = reading.columns;
    return err == OK ? exec_memory_settle(&stream->memory, error) : err;
}

/* --- parts --- */

#define PART_BITS 5
static_assert(1 << PART_BITS == SPILL_PARTS, "a part is so many bits");
static_assert(PART_BITS * SPILL_DEPTH_MAX <= 64, "each depth has bits of its own");

unsigned spill_part(uint64_t hash, size_t depth)
{
    assert(depth < SPILL_DEPTH_MAX);
    return (unsigned)(hash >> (64 - PART_BITS * (depth + 1))) % SPILL_PARTS;
}

enum err spill_write_parts(struct spill_stream *const *streams, size_t depth,
                           const struct batch *batch, const uint32_t *selection, size_t count,
                           const uint64_t *hashes, struct error *error)
{
    size_t counts[SPILL_PARTS] = {0}, ends[SPILL_PARTS];
    uint32_t rows[VECTOR_ROWS_MAX];
    enum err err = OK;
    for (size_t i = 0; i < count; i++)
        counts[spill_part(hashes[selection != NULL ? selection[i] : i], depth)]++;
    for (size_t part = 0, at = 0; part < SPILL_PARTS; part++) {
        ends[part] = at;
        at += counts[part];
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t row = selection != NULL ? selection[i] : (uint32_t)i;
        rows[ends[spill_part(hashes[row], depth)]++] = row;
    }
    for (size_t part = 0; err == OK && part < SPILL_PARTS; part++) {
        const uint32_t *first = rows + ends[part] - counts[part];
        if (part == 3 && fault_is("spill.part_lost"))
            continue;
        err = spill_stream_write(streams[part], batch, first, counts[part], error);
        if (err == OK && part == 3 && fault_is("spill.part_twice"))
            err = spill_stream_write(streams[part], batch, first, counts[part], error);
    }
    return err;
}
