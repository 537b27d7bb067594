/* Sealing: the rows of a view become one file, sorted by event time.
 *
 *   event times ─▶ order          one pass; nothing more where rows stand in order
 *   per column: collect ─▶ permute ─▶ encode, 64 Ki rows at a time ─▶ sink
 *                    │   (where rows are runs that change places, they are collected to them)
 *                    └▶ codes or values in the new order ─▶ bitmap index, kept until the end
 *   indexes that are worth it, footer, header, sync ─▶ read back (read_back.c)
 *
 * The same steps seal mutable segments and merge sealed ones, because both are read through a
 * cursor. One column is in memory at a time: at most about 24 bytes a row. Texts that have a
 * dictionary are there as codes; others are borrowed from mutable segments, or gathered from sealed
 * ones a block at a time (gather.c).
 * Indexes by rule share a tenth of the file's other bytes, columns with fewer different values
 * first, since those are what people filter by; one asked for by CREATE INDEX is always written if
 * there can be one. */
#include "storage/base/fault.h"
#include "storage/index/bitmap.h"
#include "storage/segment/collect.h"
#include "storage/segment/read_back.h"
#include "storage/segment/sink.h"

#include <assert.h>
#include <stdlib.h>

#define INDEX_SHARE 10 /* automatic indexes: at most 1 / INDEX_SHARE of the other bytes */
#define STEP_SIZE ((size_t)1 << 20) /* hashed between pauses */

/* An index that was made and waits for the end. */
struct pending_index {
    struct sealed_column *column;
    struct writer bytes;
    uint32_t key_count; /* different values, for the order of preference */
    bool is_asked;
    bool is_chosen;
};

struct sealer {
    const struct seal_options *options;
    const struct schema *schema;
    struct pauser pauser;
    struct sink sink;
    void *blocks;       /* SINK_MEMORY for it, then for what is read back */
    struct arena arena; /* footer, order */
    struct sealed_footer footer;
    struct room *room;
    uint32_t *order;      /* NULL: rows go as they stand, or as they are collected: */
    struct row_run *runs; /* NULL: as they stand */
    bool can_gather;      /* texts need not be in memory as a whole */
    int64_t min_time_us, max_time_us;
    uint32_t next_ordinal;
    struct {
        struct sealed_page page;
        struct hash_stream hash;
        size_t hashed;     /* bytes of the sink's that are in `hash`, or are of pages before */
    } open;                /* the page that is being written */
    struct learnt *learnt; /* the caller's, or one of this segment's own */
    struct encode_memory *memory; /* of the column's blocks, or of its dictionary's */
    bool is_too_large;            /* some page was */
    struct pending_index *indexes;
    size_t index_count;
};

static void pause_encoding(void *context)
{
    struct sealer *sealer = context;
    (void)pauser_go_on(&sealer->pauser);
}

static enum err cancelled(struct error *error)
{
    return error_set(error, ERR_CANCELLED, NULL, "sealing was given up");
}

/* --- pages --- */

static void begin_hash(struct sealer *sealer)
{
    sealed_checksum_begin(sealer->options->number, sealer->open.page.ordinal, &sealer->open.hash);
    sealer->open.hashed = sealer->sink.bytes.size;
}

static void begin_page(struct sealer *sealer)
{
    sink_begin_page(&sealer->sink);
    sealer->open.page = (struct sealed_page){
        .offset = sink_offset(&sealer->sink),
        .ordinal = sealer->next_ordinal++,
    };
    begin_hash(sealer);
}

/* What there is of the page goes into its checksum and to the file, while it is in a cache. */
static void take_page(void *context)
{
    struct sealer *sealer = context;
    const struct writer *bytes = &sealer->sink.bytes;
    while (sealer->open.hashed < bytes->size) {
        size_t left = bytes->size - sealer->open.hashed;
        size_t size = left < STEP_SIZE ? left : STEP_SIZE;
        hash_stream_add(&sealer->open.hash, bytes->data + sealer->open.hashed, size);
        sealer->open.hashed += size;
        (void)pauser_go_on(&sealer->pauser);
    }
    while (sink_step(&sealer->sink))
        (void)pauser_go_on(&sealer->pauser);
    sealer->open.hashed = bytes->size;
}

static void restart_page(void *context)
{
    struct sealer *sealer = context;
    sink_restart_page(&sealer->sink);
    begin_hash(sealer);
}

static struct sealed_page end_page(struct sealer *sealer)
{
    take_page(sealer);
    uint64_t size = sink_offset(&sealer->sink) - sealer->open.page.offset;
    if (size > UINT32_MAX) { /* the footer has no room for it */
        sealer->is_too_large = true;
        return (struct sealed_page){0};
    }
    sealer->open.page.size = (uint32_t)size;
    sealer->open.page.checksum = hash_stream_end(&sealer->open.hash);
    return sealer->open.page;
}

/* Encodes into the sink, whose page is open. */
static struct encode_options encode_options(struct sealer *sealer)
{
    return (struct encode_options){.pause = pause_encoding,
                                   .drain = take_page,
                                   .restart = restart_page,
                                   .context = sealer,
                                   .memory = sealer->memory};
}

#define KIND_ENTRIES 0x100u /* else the class of blocks: codes and texts learn different things */

static void begin_learning(struct sealer *sealer, uint32_t column_id, uint32_t kind)
{
    const struct learnt_key key = {
        .table_id = sealer->schema->table_id, .column_id = column_id, .kind = kind};
    sealer->memory = learnt_of(sealer->learnt, &key);
}

static void end_learning(struct sealer *sealer)
{
    learnt_keep(sealer->learnt, sealer->memory);
    sealer->memory = NULL;
}

static void write_block(struct sealer *sealer, const struct block_values *values,
                        struct sealed_column *column, struct sealed_block *block)
{
    const struct encode_options options = encode_options(sealer);
    struct block_encoded encoded;
    begin_page(sealer);
    block_encode(values, &options, &sealer->sink.bytes, &encoded);
    *block = (struct sealed_block){
        .page = end_page(sealer),
        .encoding = encoded.encoding,
        .zone = encoded.zone,
    };
    if (fault_is("seal.zone") && block->zone.has_range && block->zone.max > block->zone.min)
        block->zone.max--;
    column->raw_bytes += encoded.raw_bytes;
}

/* --- one block's rows in order --- */

struct wide {
    uint8_t bytes[16];
};

struct permuted {
    uint8_t validity[BLOCK_ROWS_MAX];
    int64_t *integers; /* `i`, or where an index wants them */
    union {
        int64_t i[BLOCK_ROWS_MAX];
        double f[BLOCK_ROWS_MAX];
        struct wide wide[BLOCK_ROWS_MAX];
        struct slice text[BLOCK_ROWS_MAX];
    };
};

/* Rows that are late lie anywhere before the others, and what a processor looks ahead by itself is
 * less than the far memory takes. Behind the order of all rows stand so many zeros. */
#define AHEAD 256

/* What an index wants of all rows, in the order of the file. */
struct keys {
    union {
        int64_t *keys;   /* of integers; NULL: no index; of texts: */
        uint32_t *codes; /* that they have in the dictionary */
    };
    uint32_t *code_rows; /* NULL: integers; else how often there is each code, NULLs as any one */
    uint8_t *validity;
};

/* The compiler makes a loop for each class, with an order and without, with keys and without. */
#define FORCE_INLINE __attribute__((always_inline)) static inline
#define PERMUTE(TO, FROM)                                                                          \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        if (order != NULL)                                                                         \
            __builtin_prefetch(&(FROM)[order[i + AHEAD]]);                                         \
        (TO)[i] = (FROM)[order != NULL ? order[i] : begin + i];                                    \
    }

FORCE_INLINE void permute_codes(const struct collected *from, const uint32_t *order, uint32_t begin,
                                uint32_t count, int64_t *to, uint32_t *keys, uint32_t *code_rows)
{
    const uint32_t *codes = from->codes, *ranks = from->ranks;
    for (uint32_t i = 0; i < count; i++) {
        if (order != NULL)
            __builtin_prefetch(&codes[order[i + AHEAD]]);
        uint32_t code = ranks[codes[order != NULL ? order[i] : begin + i]];
        to[i] = code;
        if (keys != NULL) {
            keys[i] = code;
            code_rows[code]++;
        }
    }
}

/* `order`: of the block's rows; NULL: from `begin` on as they stand. */
FORCE_INLINE void permute_values(const struct collected *from, const uint32_t *order,
                                 uint32_t begin, uint32_t count, const struct keys *keys,
                                 struct permuted *to)
{
    const struct wide *wide = (const struct wide *)from->wide;
    if (from->entry_count != 0 && keys->code_rows != NULL)
        permute_codes(from, order, begin, count, to->i, keys->codes, keys->code_rows);
    else if (from->entry_count != 0)
        permute_codes(from, order, begin, count, to->i, NULL, NULL);
    else if (from->class == BLOCK_INTEGER)
        PERMUTE(to->integers, from->i)
    else if (from->class == BLOCK_FLOAT)
        PERMUTE(to->f, from->f)
    else if (from->class == BLOCK_TEXT)
        PERMUTE(to->text, from->text)
    else
        PERMUTE(to->wide, wide)
}

static bool permute_validity(const struct collected *from, const uint32_t *order, uint32_t begin,
                             uint32_t count, uint8_t *to)
{
    if (from->validity == NULL)
        return false;
    uint32_t valid_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (order != NULL)
            __builtin_prefetch(&from->validity[order[begin + i + AHEAD]]);
        to[i] = from->validity[order != NULL ? order[begin + i] : begin + i];
        valid_count += to[i];
    }
    return valid_count != count;
}

/* --- indexes --- */

static bool wants_index(const struct column_definition *definition,
                        const struct collected *collected)
{
    bool has_keys = collected->class == BLOCK_INTEGER;
    bool is_text = definition->type.id == TYPE_TEXT || definition->type.id == TYPE_VARCHAR;
    if (!has_keys || definition->index == INDEX_OFF)
        return false;
    return definition->index == INDEX_ON || (is_text && collected->entry_count != 0);
}

static void make_index(struct sealer *sealer, const struct column_definition *definition,
                       const struct collected *collected, const struct keys *keys,
                       struct sealed_column *column)
{
    struct pending_index *index = &sealer->indexes[sealer->index_count];
    const struct bitmap_input input = {
        .row_count = collected->row_count,
        .keys = keys->code_rows == NULL ? keys->keys : NULL,
        .codes = keys->code_rows != NULL ? keys->codes : NULL,
        .code_count = collected->entry_count,
        .code_rows = collected->null_count == 0 ? keys->code_rows : NULL,
        .memory = room_take(sealer->room, (collected->row_count + 1) * sizeof(uint32_t)),
        .validity = collected->null_count != 0 ? keys->validity : NULL,
        .pause = pause_encoding,
        .context = sealer,
    };
    *index = (struct pending_index){.column = column,
                                    .key_count = collected->entry_count,
                                    .is_asked = definition->index == INDEX_ON};
    writer_init(&index->bytes);
    if (bitmap_index_write(&input, &index->bytes))
        sealer->index_count++;
    else
        writer_deinit(&index->bytes);
}

/* Bytes that an index takes for what it gains: a condition on one of n keys costs a scan less what
 * its rows cost, which is half a scan for BITMAP_RARE keys and next to nothing for thousands. */
static double price_of(const struct pending_index *index)
{
    double keys = index->key_count < BITMAP_RARE ? BITMAP_RARE : (double)index->key_count;
    return (double)index->bytes.size / (1 - BITMAP_RARE / 2 / keys);
}

static int compare_indexes(const void *a, const void *b)
{
    const struct pending_index *left = *(struct pending_index *const *)a;
    const struct pending_index *right = *(struct pending_index *const *)b;
    if (left->is_asked != right->is_asked)
        return left->is_asked ? -1 : 1;
    return (price_of(left) > price_of(right)) - (price_of(left) < price_of(right));
}

/* What was asked for, then what the share has room for. */
static void choose_indexes(struct sealer *sealer)
{
    uint64_t left = sink_offset(&sealer->sink) / INDEX_SHARE;
    struct pending_index **order =
        arena_alloc_array(&sealer->arena, sealer->index_count, sizeof(struct pending_index *));
    for (size_t i = 0; i < sealer->index_count; i++)
        order[i] = &sealer->indexes[i];
    qsort(order, sealer->index_count, sizeof(*order), compare_indexes);
    for (size_t i = 0; i < sealer->index_count; i++) {
        order[i]->is_chosen = order[i]->is_asked || order[i]->bytes.size <= left;
        if (!order[i]->is_asked && order[i]->is_chosen)
            left -= order[i]->bytes.size;
    }
}

/* In the order of columns, as readers of the footer expect. */
static void write_indexes(struct sealer *sealer)
{
    choose_indexes(sealer);
    for (size_t i = 0; i < sealer->index_count; i++) {
        struct pending_index *index = &sealer->indexes[i];
        if (!index->is_chosen)
            continue;
        begin_page(sealer);
        writer_slice(&sealer->sink.bytes, writer_as_slice(&index->bytes));
        index->column->index = end_page(sealer);
        (void)pauser_go_on(&sealer->pauser);
    }
}

/* --- columns --- */

/* A block's values where they are collected; NULL: they have another order or form in the file, or
 * the index wants them as well. */
static const void *values_in_place(const struct collected *from, const uint32_t *order,
                                   const struct keys *keys, uint32_t begin)
{
    if (order != NULL || from->is_left || from->entry_count != 0 || keys->keys != NULL)
        return NULL;
    switch (from->class) {
    case BLOCK_INTEGER:
        return from->i + begin;
    case BLOCK_FLOAT:
        return from->f + begin;
    case BLOCK_WIDE:
        return from->wide + (size_t)begin * 16;
    case BLOCK_TEXT:
        return from->text + begin;
    }
    return NULL;
}

/* One block's rows in the order of the file; *has_null: `validity` counts. `is_in_place`: but for
 * the values, which are so already. */
static enum err permute(struct sealer *sealer, const struct collected *collected,
                        struct gather *gather, const struct gather_range *range, bool is_in_place,
                        const struct keys *keys, struct permuted *out, bool *has_null,
                        struct error *error)
{
    if (gather == NULL) {
        if (!is_in_place && range->order != NULL)
            permute_values(collected, range->order + range->begin, 0, range->count, keys, out);
        else if (!is_in_place)
            permute_values(collected, NULL, range->begin, range->count, keys, out);
        *has_null =
            permute_validity(collected, range->order, range->begin, range->count, out->validity);
        return OK;
    }
    enum err err = gather_block(gather, range, out->text, out->validity, error);
    *has_null = err == OK && memchr(out->validity, 0, range->count) != NULL;
    (void)pauser_go_on(&sealer->pauser);
    return err;
}

static enum err write_blocks(struct sealer *sealer, const struct collected *collected,
                             struct gather *gather, struct sealed_column *column,
                             struct permuted *permuted, const struct keys *keys,
                             struct error *error)
{
    for (uint32_t b = 0; b < sealer->footer.block_count; b++) {
        uint32_t begin = b * BLOCK_ROWS_MAX, left = collected->row_count - begin;
        const struct gather_range range = {.order = sealer->order,
                                           .begin = begin,
                                           .count = left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX};
        bool has_null;
        struct keys of_block = *keys;
        if (keys->code_rows != NULL)
            of_block.codes += begin;
        bool is_keys = keys->keys != NULL && keys->code_rows == NULL;
        permuted->integers = is_keys ? keys->keys + begin : permuted->i;
        const void *in_place = values_in_place(collected, sealer->order, keys, begin);
        enum err err = permute(sealer, collected, gather, &range, in_place != NULL, &of_block,
                               permuted, &has_null, error);
        if (err != OK)
            return err;
        if (keys->code_rows != NULL && fault_is("seal.row_uncounted"))
            keys->code_rows[permuted->i[0]]--;
        struct block_values values = {
            .class = collected->class,
            .row_count = range.count,
            .validity = has_null ? permuted->validity : NULL,
        };
        if (in_place != NULL)
            values.values = in_place;
        else if (collected->class == BLOCK_INTEGER)
            values.i = permuted->integers;
        else
            values.values = permuted->wide;
        write_block(sealer, &values, column, &column->blocks[b]);
        if (keys->validity != NULL && has_null)
            memcpy(keys->validity + begin, permuted->validity, range.count);
        else if (keys->validity != NULL)
            memset(keys->validity + begin, 1, range.count);
        if (sealer->is_too_large)
            return error_set(error, ERR_LIMIT, NULL, "a page of more than 4 GiB");
        if (!pauser_go_on(&sealer->pauser))
            return cancelled(error);
    }
    return OK;
}

/* What each column fills anew. */
struct buffers {
    struct permuted *permuted;
    struct keys keys; /* of all rows */
};

static enum err collect(struct sealer *sealer, uint32_t schema_index, struct collected *out,
                        struct error *error)
{
    const struct collect_options options = {.view = sealer->options->view,
                                            .column = schema_index,
                                            .can_gather = sealer->can_gather,
                                            .runs = sealer->runs,
                                            .room = sealer->room,
                                            .pauser = &sealer->pauser};
    return collect_column(&options, out, error);
}

/* For a column that gets an index. */
static struct keys keys_of(struct sealer *sealer, const struct collected *collected,
                           const struct buffers *buffers)
{
    struct keys keys = buffers->keys;
    if (collected->entry_count == 0)
        return keys;
    size_t size = collected->entry_count * sizeof(*keys.code_rows);
    keys.code_rows = room_take(sealer->room, size);
    memset(keys.code_rows, 0, size);
    return keys;
}

static enum err write_column(struct sealer *sealer, uint32_t schema_index, struct buffers *buffers,
                             struct sealed_column *column, struct error *error)
{
    const struct column_definition *definition = &sealer->schema->columns[schema_index];
    struct collected collected;
    enum err err = collect(sealer, schema_index, &collected, error);
    if (err != OK)
        return err;
    *column = (struct sealed_column){.column_id = definition->id,
                                     .type = definition->type,
                                     .entry_count = collected.entry_count};
    column->blocks =
        arena_alloc_zero(&sealer->arena, sealer->footer.block_count * sizeof(*column->blocks));
    if (collected.entry_count != 0) {
        begin_learning(sealer, definition->id, KIND_ENTRIES);
        const struct encode_options options = encode_options(sealer);
        begin_page(sealer);
        entries_write(collected.entries, collected.entry_count, &options, &sealer->sink.bytes);
        column->dictionary = end_page(sealer);
        end_learning(sealer);
    }
    bool is_indexed = wants_index(definition, &collected);
    const struct keys keys = is_indexed ? keys_of(sealer, &collected, buffers) : (struct keys){0};
    struct gather *gather = collected.is_left
                                ? gather_open(sealer->options->view, schema_index, &sealer->pauser)
                                : NULL;
    begin_learning(sealer, definition->id, collected.class);
    err = write_blocks(sealer, &collected, gather, column, buffers->permuted, &keys, error);
    end_learning(sealer);
    gather_close(gather);
    if (collected.text_bytes != 0)
        column->raw_bytes = collected.text_bytes;
    if (is_indexed && err == OK)
        make_index(sealer, definition, &collected, &keys, column);
    collected_deinit(&collected);
    return err == OK && sealer->pauser.is_cancelled ? cancelled(error) : err;
}

/* The span of times. */
static void find_span(struct sealer *sealer, const struct collected *times)
{
    sealer->min_time_us = INT64_MAX;
    sealer->max_time_us = INT64_MIN;
    for (uint32_t i = 0; i < times->row_count; i++) {
        int64_t time_us = times->i[i];
        if (times->validity != NULL && times->validity[i] == 0)
            continue;
        sealer->min_time_us = time_us < sealer->min_time_us ? time_us : sealer->min_time_us;
        sealer->max_time_us = time_us > sealer->max_time_us ? time_us : sealer->max_time_us;
    }
}

/* The order of rows, by runs or one by one, and the span of their times. */
static enum err find_order(struct sealer *sealer, struct error *error)
{
    const struct schema *schema = sealer->schema;
    const struct table_view *view = sealer->options->view;
    uint32_t row_count = sealer->footer.row_count;
    size_t mark = room_mark(sealer->room);
    sealer->min_time_us = INT64_MAX; /* where there is no time column */
    sealer->max_time_us = INT64_MIN;
    sealer->can_gather = gather_is_possible(view, NULL, row_count);
    if (schema->time_column < 0)
        return OK;
    uint32_t *order = room_take(sealer->room, ((size_t)row_count + AHEAD) * sizeof(*order));
    struct collected times;
    bool is_all_sealed = sealer->can_gather;
    sealer->can_gather = false;
    enum err err = collect(sealer, (uint32_t)schema->time_column, &times, error);
    if (err != OK)
        return err;
    find_span(sealer, &times);
    (void)pauser_go_on(&sealer->pauser);
    if (!is_all_sealed && time_runs(times.i, times.validity, row_count, &sealer->pauser,
                                    sealer->room, &sealer->arena, &sealer->runs))
        (void)pauser_go_on(&sealer->pauser);
    else if (time_order(times.i, times.validity, row_count, &sealer->pauser, sealer->room, order))
        sealer->order = order;
    memset(order + row_count, 0, AHEAD * sizeof(*order));
    if (sealer->order != NULL && fault_is("seal.row_taken_twice"))
        order[0] = order[row_count - 1];
    collected_deinit(&times);
    if (sealer->order == NULL)
        room_give_back(sealer->room, mark);
    sealer->can_gather = is_all_sealed && gather_is_possible(view, sealer->order, row_count);
    return pauser_go_on(&sealer->pauser) ? OK : cancelled(error);
}

static int compare_ids(const void *a, const void *b, void *context)
{
    const struct schema *schema = context;
    uint32_t left = schema->columns[*(const uint32_t *)a].id;
    uint32_t right = schema->columns[*(const uint32_t *)b].id;
    return left < right ? -1 : left > right;
}

static enum err write_columns(struct sealer *sealer, struct error *error)
{
    const struct schema *schema = sealer->schema;
    uint32_t *indexes = arena_alloc_array(&sealer->arena, schema->column_count, sizeof(*indexes));
    for (uint32_t i = 0; i < schema->column_count; i++)
        indexes[i] = i;
    qsort_r(indexes, schema->column_count, sizeof(*indexes), compare_ids, (void *)schema);
    uint32_t row_count = sealer->footer.row_count;
    struct buffers buffers = {
        .permuted = room_take(sealer->room, sizeof(*buffers.permuted)),
        .keys = {.keys = room_take(sealer->room, row_count * sizeof(int64_t)),
                 .validity = room_take(sealer->room, row_count)},
    };
    enum err err = OK;
    for (uint32_t i = 0; err == OK && i < schema->column_count; i++)
        err = write_column(sealer, indexes[i], &buffers, &sealer->footer.columns[i], error);
    return err;
}

/* --- the file --- */

static void begin_footer(struct sealer *sealer)
{
    const struct seal_options *options = sealer->options;
    const struct schema *schema = sealer->schema;
    uint32_t row_count = (uint32_t)table_view_rows(options->view);
    sealer->footer = (struct sealed_footer){
        .number = options->number,
        .table_id = schema->table_id,
        .schema_version = schema->version,
        .row_count = row_count,
        .block_count = (row_count + BLOCK_ROWS_MAX - 1) / BLOCK_ROWS_MAX,
        .column_count = schema->column_count,
        .time_column_id = schema->time_column < 0 ? 0 : schema->columns[schema->time_column].id,
        .first_position = options->first_position,
        .last_position = options->last_position,
        .created_at_us = options->created_at_us,
        .columns = arena_alloc_zero(&sealer->arena,
                                    schema->column_count * sizeof(*sealer->footer.columns)),
    };
    sealer->indexes =
        arena_alloc_array(&sealer->arena, schema->column_count, sizeof(*sealer->indexes));
}

static struct sealed_header header_of(const struct sealer *sealer, const struct sealed_info *info)
{
    return (struct sealed_header){
        .number = info->number,
        .table_id = info->table_id,
        .row_count = sealer->footer.row_count,
        .footer_offset = info->footer_offset,
        .footer_size = info->footer_size,
        .footer_checksum = info->footer_checksum,
    };
}

static enum err finish_file(struct sealer *sealer, struct sealed_info *info, struct error *error)
{
    write_indexes(sealer);
    struct writer *bytes = &sealer->sink.bytes;
    sink_begin_page(&sealer->sink);
    uint64_t footer_offset = sink_offset(&sealer->sink);
    size_t begin = bytes->size;
    footer_write(&sealer->footer, bytes);
    struct slice footer = slice_of(bytes->data + begin, bytes->size - begin);
    *info = (struct sealed_info){
        .number = sealer->options->number,
        .table_id = sealer->schema->table_id,
        .schema_version = sealer->schema->version,
        .index_version = sealer->schema->index_version,
        .row_count = sealer->footer.row_count,
        .min_time_us = sealer->min_time_us,
        .max_time_us = sealer->max_time_us,
        .first_position = sealer->options->first_position,
        .last_position = sealer->options->last_position,
        .created_at_us = sealer->options->created_at_us,
        .footer_offset = footer_offset,
        .footer_size = (uint32_t)footer.size,
        .footer_checksum = sealed_checksum(sealer->options->number, FOOTER_ORDINAL, footer),
    };
    if (!pauser_go_on(&sealer->pauser)) {
        sink_abandon(&sealer->sink);
        return cancelled(error);
    }
    struct sealed_header header = header_of(sealer, info);
    return sink_finish(&sealer->sink, sealer->options->directory, &header, &info->bytes, error);
}

static_assert(READ_BACK_SIZE <= SINK_MEMORY, "they share it");

/* Of the room, whose pages are there: from malloc half of what sealing met were fresh ones. */
static void *take_blocks(struct room *room)
{
    char *memory = room_take(room, SINK_MEMORY + IO_ALIGNMENT);
    return memory + (-(uintptr_t)memory & (IO_ALIGNMENT - 1));
}

static enum err write_segment(struct sealer *sealer, struct sealed_info *out, struct error *error)
{
    enum err err = find_order(sealer, error);
    if (err != OK)
        return err;
    sealer->blocks = take_blocks(sealer->room);
    err = sink_open(&sealer->sink, sealer->options->io, sealer->options->directory,
                    sealer->options->number, sealer->blocks, error);
    if (err != OK)
        return err;
    err = write_columns(sealer, error);
    if (err != OK) {
        sink_abandon(&sealer->sink);
        return err;
    }
    err = finish_file(sealer, out, error);
    const struct read_back_options read_back_options = {.io = sealer->options->io,
                                                        .directory = sealer->options->directory,
                                                        .footer = &sealer->footer,
                                                        .info = out,
                                                        .pauser = &sealer->pauser,
                                                        .buffer = sealer->blocks};
    return err == OK ? read_back(&read_back_options, error) : err;
}

enum err sealed_write(const struct seal_options *options, struct sealed_info *out,
                      struct error *error)
{
    uint64_t row_count = table_view_rows(options->view);
    assert(row_count > 0);
    assert(row_count <= SEALED_ROWS_MAX);
    size_t memory = row_count * SEAL_ROW_MEMORY;
    budget_charge_always(options->budget, memory);
    struct sealer sealer = {
        .options = options,
        .schema = options->view->schema,
        .pauser = {.pause = options->pause, .context = options->context},
        .learnt = options->learnt != NULL ? options->learnt : learnt_create(),
    };
    struct room own;
    room_init(&own);
    sealer.room = options->room != NULL ? options->room : &own;
    room_expect(sealer.room, memory + SINK_MEMORY + IO_ALIGNMENT);
    arena_init(&sealer.arena);
    begin_footer(&sealer);
    enum err err = write_segment(&sealer, out, error);
    for (size_t i = 0; i < sealer.index_count; i++)
        writer_deinit(&sealer.indexes[i].bytes);
    if (options->learnt == NULL)
        learnt_destroy(sealer.learnt);
    room_give_back(sealer.room, 0);
    room_deinit(&own);
    arena_deinit(&sealer.arena);
    budget_release(options->budget, memory);
    return err;
}
