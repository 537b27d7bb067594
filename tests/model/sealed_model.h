/* Tables of all shapes for tests of sealed segments: cells made from a seed, written as segments of
 * their own by the plainest code there is, or appended to a mutable one, and filters judged row by
 * row. */
#ifndef FRESHET_TESTS_MODEL_SEALED_MODEL_H
#define FRESHET_TESTS_MODEL_SEALED_MODEL_H

#include "storage/base/hash.h"
#include "storage/base/random.h"
#include "storage/index/bitmap.h"
#include "storage/io/sim.h"
#include "storage/segment/footer.h"
#include "storage/segment/view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    M_TS,      /* ascending */
    M_ID,      /* the row's number */
    M_NUMBER,  /* bigint, 500 values, NULLs, bitmap */
    M_COUNTRY, /* text, 40 values, few of them frequent, NULLs, dictionary, bitmap */
    M_USER,    /* text, 4,000 values, dictionary, bitmap */
    M_PAGE,    /* text that follows the time, dictionary */
    M_MESSAGE, /* text without a dictionary, NULLs */
    M_RATIO,   /* double: NaN, both zeros, NULLs */
    M_REAL,
    M_PRICE, /* numeric(10,2): NaN, NULLs */
    M_FLAG,  /* boolean, NULLs */
    M_UUID,
    M_BLOB, /* bytea, mostly NULL */
    M_DAY,  /* date that follows the time */
    M_LATE, /* smallint that sealed segments do not have: 42 */
    M_COLUMNS
};

struct model {
    uint64_t seed;
    uint32_t row_count;
    struct arena arena;
    struct value *cells[M_COLUMNS];
    struct schema *schema;
};

static const struct {
    const char *name;
    struct type type;
    bool has_dictionary, has_index;
} model_columns[M_COLUMNS] = {
    [M_TS] = {"ts", {.id = TYPE_TIMESTAMPTZ}, false, false},
    [M_ID] = {"id", {.id = TYPE_INT8}, false, false},
    [M_NUMBER] = {"number", {.id = TYPE_INT8}, false, true},
    [M_COUNTRY] = {"country", {.id = TYPE_TEXT}, true, true},
    [M_USER] = {"user", {.id = TYPE_TEXT}, true, true},
    [M_PAGE] = {"page", {.id = TYPE_VARCHAR, .length = 20}, true, false},
    [M_MESSAGE] = {"message", {.id = TYPE_TEXT}, false, false},
    [M_RATIO] = {"ratio", {.id = TYPE_FLOAT8}, false, false},
    [M_REAL] = {"real", {.id = TYPE_FLOAT4}, false, false},
    [M_PRICE] = {"price", {.id = TYPE_NUMERIC, .precision = 10, .scale = 2}, false, false},
    [M_FLAG] = {"flag", {.id = TYPE_BOOL}, false, false},
    [M_UUID] = {"uuid", {.id = TYPE_UUID}, false, false},
    [M_BLOB] = {"blob", {.id = TYPE_BYTEA}, false, false},
    [M_DAY] = {"day", {.id = TYPE_DATE}, false, false},
    [M_LATE] = {"late", {.id = TYPE_INT2}, false, false},
};

static inline struct slice model_text(struct arena *arena, const char *word, uint64_t number)
{
    char text[48];
    int size = snprintf(text, sizeof(text), "%s%llu", word, (unsigned long long)number);
    return arena_copy(arena, slice_of(text, (size_t)size));
}

static inline struct value model_cell(struct model *m, int column, uint32_t row)
{
    uint64_t chance = hash_mix(m->seed * 1000003 + (uint64_t)column * 7919 + hash_mix(row + 1));
    static const unsigned null_in[M_COLUMNS] = {[M_NUMBER] = 11, [M_COUNTRY] = 9, [M_MESSAGE] = 7,
                                                [M_RATIO] = 6,   [M_PRICE] = 13,  [M_FLAG] = 5};
    struct value value = {.type = model_columns[column].type};
    value.is_null = null_in[column] != 0 && chance % null_in[column] == 0;
    value.is_null |= column == M_BLOB && chance % 50 != 0;
    if (value.is_null)
        return value;
    chance = hash_mix(chance);
    switch (column) {
    case M_TS:
        value.i = (int64_t)row * 1000 + (int64_t)(chance % 900);
        break;
    case M_ID:
        value.i = row;
        break;
    case M_NUMBER: /* half of the rows have few values */
        value.i = (int64_t)(chance % 2 == 0 ? chance / 2 % 4 : chance / 2 % 500) - 100;
        break;
    case M_COUNTRY:
        value.text =
            model_text(&m->arena, "c", chance % 8 != 0 ? chance / 8 % 4 : chance / 8 % 2000 % 40);
        break;
    case M_USER:
        value.text = model_text(&m->arena, "user-", chance % 4000);
        break;
    case M_PAGE:
        value.text = model_text(&m->arena, "/p/", row / 3000 + chance % 3);
        break;
    case M_MESSAGE:
        value.text = model_text(&m->arena, "message number ", row / 10000 * 1000 + chance % 1000);
        break;
    case M_RATIO:
        value.f = chance % 20 == 0 ? NAN : ((double)(chance % 2001) - 1000) / 8 + row / 10000;
        value.f = chance % 21 == 0 ? -0.0 : value.f;
        value.f = chance % 22 == 0 ? 0.0 : value.f;
        break;
    case M_REAL:
        value.f = (float)((double)(chance % 1000) / 10);
        break;
    case M_PRICE:
        value.n = numeric_from_int128((int64_t)(chance % 20000) - 5000 + row / 100, 2);
        if (chance % 40000 == 0)
            value.n = (struct numeric){.scale = 2, .kind = NUMERIC_NAN};
        break;
    case M_FLAG:
        value.b = chance % 3 == 0;
        break;
    case M_UUID:
        value.text = arena_copy(&m->arena, slice_of((char[16]){(char)chance, 1, 2, (char)row}, 16));
        break;
    case M_BLOB:
        value.text = arena_copy(&m->arena, slice_of("\0\1\2\3\4\5\6\7", chance % 9));
        break;
    case M_DAY:
        value.i = row / 5000;
        break;
    default:
        value.i = 42;
    }
    return value;
}

static inline void model_init(struct model *m, uint64_t seed, uint32_t row_count)
{
    *m = (struct model){.seed = seed, .row_count = row_count};
    arena_init(&m->arena);
    for (int c = 0; c < M_COLUMNS; c++) {
        m->cells[c] = arena_alloc_array(&m->arena, row_count, sizeof(struct value));
        for (uint32_t row = 0; row < row_count; row++)
            m->cells[c][row] = model_cell(m, c, row);
    }
    struct schema *schema = m->schema = schema_create();
    schema->table_id = 1;
    schema->version = 1;
    schema->name = SLICE("t");
    schema->column_count = M_COLUMNS;
    schema->columns = arena_alloc_zero(&schema->arena, M_COLUMNS * sizeof(*schema->columns));
    for (uint32_t c = 0; c < M_COLUMNS; c++) {
        struct column_definition *column = &schema->columns[c];
        column->id = c + 1;
        column->name = slice_from_cstr(model_columns[c].name);
        column->type = model_columns[c].type;
        column->missing = (struct value){.type = column->type, .is_null = c != M_LATE, .i = 42};
    }
    schema->next_column_id = M_COLUMNS + 1;
    schema->time_column = M_TS;
}

static inline void model_deinit(struct model *m)
{
    schema_unref(m->schema);
    arena_deinit(&m->arena);
}

/* --- a segment's file --- */

struct model_writer {
    struct model *m;
    uint64_t number;
    uint32_t first, count; /* rows */
    struct arena arena;
    struct writer out;
    uint32_t ordinal;
};

/* The page that begins at `offset` and ends where the writer is now. */
static inline struct sealed_page model_page(struct model_writer *w, uint64_t offset)
{
    struct slice bytes = slice_of((const char *)w->out.data + offset, w->out.size - offset);
    struct sealed_page page = {
        .offset = offset, .size = (uint32_t)bytes.size, .ordinal = w->ordinal++};
    page.checksum = sealed_checksum(w->number, page.ordinal, bytes);
    while (w->out.size % 8 != 0)
        writer_u8(&w->out, 0);
    return page;
}

static inline int model_compare_texts(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* A value as blocks have it. */
static inline void model_store(const struct value *value, enum block_class class, void *out)
{
    if (class == BLOCK_TEXT)
        *(struct slice *)out = value->is_null ? (struct slice){"", 0} : value->text;
    else if (value->is_null)
        memset(out, 0, class == BLOCK_WIDE ? 16 : 8);
    else if (class == BLOCK_WIDE)
        memcpy(out, value->text.data, 16);
    else if (class == BLOCK_FLOAT)
        *(double *)out = value->f;
    else if (value->type.id == TYPE_NUMERIC)
        *(int64_t *)out = value->n.kind == NUMERIC_FINITE ? (int64_t)value->n.digits : INT64_MIN;
    else
        *(int64_t *)out = value->type.id == TYPE_BOOL ? value->b : value->i;
}

/* Codes of a text column in place of its values; the entries are written. */
static inline int64_t *model_codes(struct model_writer *w, const struct value *cells,
                                   struct sealed_column *column)
{
    struct slice *texts = arena_alloc_array(&w->arena, w->count, sizeof(*texts));
    uint32_t count = 0, kept = 0;
    for (uint32_t row = 0; row < w->count; row++) {
        if (!cells[row].is_null)
            texts[count++] = cells[row].text;
    }
    qsort(texts, count, sizeof(*texts), model_compare_texts);
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || !slice_equal(texts[kept - 1], texts[i]))
            texts[kept++] = texts[i];
    }
    int64_t *codes = arena_alloc_zero(&w->arena, w->count * sizeof(*codes));
    for (uint32_t row = 0; row < w->count; row++) {
        if (!cells[row].is_null)
            codes[row] = (struct slice *)bsearch(&cells[row].text, texts, kept, sizeof(*texts),
                                                 model_compare_texts) -
                         texts;
    }
    uint64_t offset = w->out.size;
    entries_write(texts, kept, &(struct encode_options){0}, &w->out);
    column->entry_count = kept;
    column->dictionary = model_page(w, offset);
    return codes;
}

static inline void model_write_column(struct model_writer *w, int c, struct sealed_column *column)
{
    const struct value *cells = w->m->cells[c] + w->first;
    enum block_class class = block_class_of(model_columns[c].type.id);
    *column = (struct sealed_column){.column_id = (uint32_t)c + 1, .type = model_columns[c].type};
    size_t width = class == BLOCK_TEXT || class == BLOCK_WIDE ? 16 : 8;
    char *values = arena_alloc_array(&w->arena, w->count, width);
    uint8_t *validity = arena_alloc(&w->arena, w->count);
    for (uint32_t row = 0; row < w->count; row++) {
        model_store(&cells[row], class, values + row * width);
        validity[row] = !cells[row].is_null;
    }
    bool has_values = memchr(validity, 1, w->count) != NULL;
    if (model_columns[c].has_dictionary && has_values) {
        values = (char *)model_codes(w, cells, column);
        class = BLOCK_INTEGER;
        width = 8;
    }
    uint32_t block_count = (w->count + BLOCK_ROWS_MAX - 1) / BLOCK_ROWS_MAX;
    column->blocks = arena_alloc_zero(&w->arena, block_count * sizeof(*column->blocks));
    for (uint32_t b = 0; b < block_count; b++) {
        uint32_t row = b * BLOCK_ROWS_MAX, left = w->count - row;
        struct block_values block = {.class = class,
                                     .row_count = left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX,
                                     .validity = validity + row,
                                     .values = values + row * width};
        struct encode_options options = {0};
        struct block_encoded encoded;
        uint64_t offset = w->out.size;
        block_encode(&block, &options, &w->out, &encoded);
        column->blocks[b] = (struct sealed_block){
            .page = model_page(w, offset), .encoding = encoded.encoding, .zone = encoded.zone};
    }
    if (model_columns[c].has_index &&
        has_values) { /* written behind all columns: kept until then */
        column->raw_bytes = (uint64_t)(uintptr_t)values;
        column->index.offset = (uint64_t)(uintptr_t)validity;
    }
}

static inline void model_write_index(struct model_writer *w, struct sealed_column *column)
{
    struct bitmap_input input = {
        .row_count = w->count,
        .keys = (const int64_t *)(uintptr_t)column->raw_bytes,
        .validity = (const uint8_t *)(uintptr_t)column->index.offset,
    };
    uint64_t offset = w->out.size;
    if (input.keys == NULL) /* all NULL */
        return;
    column->raw_bytes = 0;
    column->index = (struct sealed_page){0};
    if (bitmap_index_write(&input, &w->out))
        column->index = model_page(w, offset);
}

static inline void model_must(enum err err, const struct error *error)
{
    if (err == OK)
        return;
    fprintf(stderr, "a model failed: %s\n", error->text);
    abort();
}

static inline void model_put_file(struct io *io, const char *path, struct slice content)
{
    struct error error = {0};
    struct io_file *file;
    model_must(io->ops->mkdir(io, SEALED_DIRECTORY, &error), &error);
    model_must(io->ops->open(io, path, IO_CREATE | IO_WRITE, &file, &error), &error);
    struct io_write_options write = {.data = content.data, .size = content.size, .sync = true};
    model_must(io->ops->write_begin(file, &write), &error);
    model_must(io->ops->write_wait(file, &error), &error);
    model_must(io->ops->close(file, &error), &error);
}

/* Rows [first, first + count), without the column `late`. */
static inline struct sealed_info
model_write_segment(struct model *m, struct io *io, uint64_t number, uint32_t first, uint32_t count)
{
    struct model_writer w = {.m = m, .number = number, .first = first, .count = count};
    struct sealed_column columns[M_LATE];
    arena_init(&w.arena);
    writer_init(&w.out);
    writer_bytes(&w.out, (char[SEALED_HEADER_SIZE]){0}, SEALED_HEADER_SIZE);
    for (int c = 0; c < M_LATE; c++)
        model_write_column(&w, c, &columns[c]);
    for (int c = 0; c < M_LATE; c++) {
        if (model_columns[c].has_index)
            model_write_index(&w, &columns[c]);
    }
    struct sealed_footer footer = {.number = number,
                                   .table_id = 1,
                                   .schema_version = 1,
                                   .row_count = count,
                                   .block_count = (count + BLOCK_ROWS_MAX - 1) / BLOCK_ROWS_MAX,
                                   .column_count = M_LATE,
                                   .time_column_id = M_TS + 1,
                                   .first_position = 1,
                                   .last_position = 2,
                                   .columns = columns};
    struct sealed_info info = {.number = number,
                               .table_id = 1,
                               .row_count = count,
                               .min_time_us = m->cells[M_TS][first].i,
                               .max_time_us = m->cells[M_TS][first + count - 1].i,
                               .first_position = 1,
                               .last_position = 2,
                               .footer_offset = w.out.size};
    footer_write(&footer, &w.out);
    info.footer_size = (uint32_t)(w.out.size - info.footer_offset);
    info.footer_checksum =
        sealed_checksum(number, FOOTER_ORDINAL,
                        slice_of((const char *)w.out.data + info.footer_offset, info.footer_size));
    while (w.out.size % 4096 != 0)
        writer_u8(&w.out, 0);
    info.bytes = w.out.size;
    struct sealed_header header = {.number = number,
                                   .table_id = 1,
                                   .row_count = count,
                                   .footer_offset = info.footer_offset,
                                   .footer_size = info.footer_size,
                                   .footer_checksum = info.footer_checksum};
    sealed_header_write(&header, w.out.data);
    char path[SEALED_PATH_SIZE];
    sealed_path("", number, path, sizeof(path));
    model_put_file(io, path, writer_as_slice(&w.out));
    writer_deinit(&w.out);
    arena_deinit(&w.arena);
    return info;
}

/* Rows [first, first + count) into a mutable segment, in batches. */
static inline void model_append(struct model *m, struct segment *segment, uint32_t first,
                                uint32_t count)
{
    for (uint32_t done = 0; done < count;) {
        uint32_t rows = count - done < 1000 ? count - done : 1000;
        struct arena arena;
        arena_init(&arena);
        struct column columns[M_COLUMNS];
        uint32_t ids[M_COLUMNS];
        for (uint32_t c = 0; c < M_COLUMNS; c++) {
            struct column_builder builder;
            column_builder_init(&builder, model_columns[c].type, &arena);
            for (uint32_t row = 0; row < rows; row++)
                column_builder_add(&builder, &m->cells[c][first + done + row]);
            columns[c] = column_builder_finish(&builder);
            ids[c] = c + 1;
        }
        struct batch batch = {.row_count = rows, .column_count = M_COLUMNS, .columns = columns};
        struct writer bytes;
        writer_init(&bytes);
        stored_write(m->schema, ids, &batch, &bytes);
        struct reader reader = reader_of(writer_as_slice(&bytes));
        struct stored_rows stored;
        model_must(stored_read(&reader, &arena, &stored), &(struct error){.text = "stored rows"});
        segment_append(segment, m->schema, &stored);
        writer_deinit(&bytes);
        arena_deinit(&arena);
        done += rows;
    }
}

/* --- filters --- */

/* Exactly, row by row. NULL satisfies nothing but SCAN_NULL. */
static inline bool model_satisfies(const struct scan_condition *condition,
                                   const struct value *value)
{
    if (condition->test == SCAN_NULL || condition->test == SCAN_NOT_NULL)
        return value->is_null == (condition->test == SCAN_NULL);
    if (value->is_null)
        return false;
    if (condition->test == SCAN_MATCHES)
        return condition->matches(condition->context, value->text);
    if (condition->test == SCAN_RANGE)
        return (!condition->has_low || value_compare(&condition->low, value) <= 0) &&
               (!condition->has_high || value_compare(value, &condition->high) <= 0);
    for (size_t i = 0; i < condition->value_count; i++) {
        if (value_compare(&condition->values[i], value) == 0)
            return true;
    }
    return false;
}

static inline bool model_matches(void *context, struct slice text)
{
    uint64_t modulus = *(const uint64_t *)context;
    return hash64(text.data, text.size) % modulus == 0;
}

/* A value to compare a column with: most often one that is there. */
static inline struct value model_any(struct model *m, struct random_stream *random, int column,
                                     struct arena *arena)
{
    for (;;) {
        struct value value = m->cells[column][random_below(random, m->row_count)];
        uint64_t chance = random_below(random, 10);
        if (value.is_null)
            continue;
        if (chance == 0 && type_physical(value.type.id) == PHYSICAL_INT)
            value.i += (int64_t)random_below(random, 2001) - 1000;
        if (chance == 0 && value.type.id == TYPE_TEXT)
            value.text = model_text(arena, "c", random_below(random, 100));
        if (chance < 3 && value.type.id == TYPE_NUMERIC && value.n.kind == NUMERIC_FINITE)
            value.n =
                numeric_from_int128(value.n.digits * 10 + (int)random_below(random, 19) - 9, 3);
        return value;
    }
}

static inline struct scan_condition model_condition(struct model *m, struct random_stream *random,
                                                    struct arena *arena)
{
    struct scan_condition condition = {.column = (uint32_t)random_below(random, M_COLUMNS)};
    int column = (int)condition.column;
    bool is_text =
        model_columns[column].type.id == TYPE_TEXT || model_columns[column].type.id == TYPE_VARCHAR;
    condition.test = (enum scan_test)random_below(random, 5);
    if (condition.test == SCAN_MATCHES && !is_text)
        condition.test = SCAN_IN;
    /* BLOB may have no value at all in a small table */
    if (column == M_BLOB && condition.test != SCAN_NULL)
        condition.test = SCAN_NOT_NULL;
    if (condition.test == SCAN_RANGE) {
        condition.has_low = random_below(random, 4) != 0;
        condition.has_high = !condition.has_low || random_below(random, 4) != 0;
        condition.low = model_any(m, random, column, arena);
        condition.high = model_any(m, random, column, arena);
        if (condition.has_low && condition.has_high &&
            value_compare(&condition.low, &condition.high) > 0 && random_below(random, 20) != 0) {
            struct value low = condition.high;
            condition.high = condition.low;
            condition.low = low;
        }
    } else if (condition.test == SCAN_IN) {
        condition.value_count =
            random_below(random, 2) == 0 ? 1 : 1 + (size_t)random_below(random, 20);
        if (random_below(random, 8) == 0)
            condition.value_count = 80;
        struct value *values = arena_alloc_array(arena, condition.value_count, sizeof(*values));
        for (size_t i = 0; i < condition.value_count; i++)
            values[i] = model_any(m, random, column, arena);
        condition.values = values;
    } else if (condition.test == SCAN_MATCHES) {
        uint64_t *modulus = arena_alloc(arena, sizeof(*modulus));
        *modulus = 1 + random_below(random, 300);
        condition.matches = model_matches;
        condition.context = modulus;
    }
    return condition;
}

/* --- a simulated disk with what sealed and mutable segments of a model need --- */

struct model_place {
    struct model model;
    struct sim *sim;
    struct io *io;
    struct sealed_source *source;
    struct budget budget;
    struct pool *pool;
};

static inline void model_place_init(struct model_place *place, uint64_t seed, uint32_t row_count,
                                    size_t cache_size)
{
    struct error error = {0};
    *place = (struct model_place){.budget = {.limit = SIZE_MAX, .name = "rows"}};
    model_init(&place->model, seed, row_count);
    place->sim = sim_create(&(struct sim_options){.seed = seed});
    sim_open(place->sim, &place->io);
    model_must(place->io->ops->mkdir(place->io, SEALED_DIRECTORY, &error), &error);
    place->source = sealed_source_create(&(struct sealed_source_options){
        .io = place->io, .directory = "", .cache_size = cache_size});
    place->pool = pool_create(&place->budget);
}

/* All segments are gone. */
static inline void model_place_deinit(struct model_place *place)
{
    if (atomic_load(&place->budget.used) != 0)
        abort();
    pool_destroy(place->pool);
    sealed_source_destroy(place->source);
    place->io->ops->destroy(place->io);
    sim_destroy(place->sim);
    model_deinit(&place->model);
}

static inline struct sealed *model_seal(struct model_place *place, uint64_t number, uint32_t first,
                                        uint32_t count)
{
    struct sealed_info info = model_write_segment(&place->model, place->io, number, first, count);
    return sealed_create(place->source, &info);
}

struct model_parts {
    uint32_t first, in_memory, second; /* rows */
};

/* The model's rows as a sealed segment (5), one in memory and a sealed one (6). */
static inline struct table_view model_view_make(struct model_place *place,
                                                const struct model_parts *parts)
{
    struct segment *segment = segment_create(place->pool);
    model_append(&place->model, segment, parts->first, parts->in_memory);
    struct segment_entry entries[3] = {
        {.sealed = model_seal(place, 5, 0, parts->first)},
        {.segment = segment,
         .published = {.rows = parts->in_memory, .chunk_count = segment_chunk_count(segment)}},
        {.sealed = model_seal(place, 6, parts->first + parts->in_memory, parts->second)},
    };
    struct table_view view = {.schema = place->model.schema,
                              .closed = segment_list_create(entries, 3)};
    sealed_unref(entries[0].sealed);
    segment_unref(segment);
    sealed_unref(entries[2].sealed);
    return view;
}

#endif
