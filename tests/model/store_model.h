/* A store as a list of commits: what tests compare the real one with.
 *
 * model_commit() makes up a commit by chance (rows of one or two tables, CREATE, DROP, ALTER,
 * TRUNCATE, a section) and keeps what is in it; model_replay() builds the tables as of any position
 * by doing those commits one by one in the plainest way; model_compare() reads every cell of a
 * snapshot through cursors and looks for a difference. */
#ifndef FRESHET_TESTS_MODEL_STORE_MODEL_H
#define FRESHET_TESTS_MODEL_STORE_MODEL_H

#include "tests/model/cursor_model.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"
#include "storage/segment/view.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MODEL_COLUMN_IDS 64
#define MODEL_SECTION 7

struct model_part {
    uint32_t table_id;
    uint32_t row_count, column_count;
    uint32_t *column_ids;
    struct value *cells; /* [row * column_count + column] */
    struct model_part *next;
};

struct model_op {
    uint64_t position; /* 0: not known to be in */
    enum change_kind change;
    uint32_t table_id;
    const struct schema *schema;
    struct model_part *parts;
    bool has_section;
    uint64_t section;
    struct model_op *next;
};

struct model {
    struct random_stream random;
    struct arena arena;
    struct model_op *first, **last;
    uint32_t rows_max; /* of a part */
    uint32_t name_counter;
    /* Not 0: event times go on from here, a little out of order, some tables keep rows so long, and
     * columns get and lose their indexes. 0: times by chance, for ever, no indexes. */
    int64_t time_us;
    int64_t retention_us;
};

/* Tables as of a position. */
struct model_row {
    const struct value *cells[MODEL_COLUMN_IDS]; /* by column id; NULL: missing */
};
struct model_table {
    const struct schema *schema;
    struct model_row *rows;
    size_t row_count, row_capacity;
};
struct model_state {
    struct model_table tables[32];
    size_t table_count;
    uint64_t section_sum, section_count, row_count; /* what the test extension keeps too */
};

/* --- the test extension: a sum, a count and the rows it has seen go by --- */
struct model_extension {
    uint64_t section_sum, section_count, row_count;
    uint64_t position;
    bool is_out_of_order;
};

static inline uint64_t model_mix(uint64_t sum, uint64_t count, uint64_t section)
{
    return hash_mix(sum * 31 + count) ^ section;
}

static inline void model_extension_apply(void *context, const struct record_view *record)
{
    struct model_extension *extension = context;
    extension->is_out_of_order |= record->position <= extension->position;
    extension->position = record->position;
    for (size_t i = 0; i < record->section_count; i++) {
        uint64_t section;
        assert(record->sections[i].kind == MODEL_SECTION && record->sections[i].bytes.size == 8);
        memcpy(&section, record->sections[i].bytes.data, 8);
        extension->section_sum =
            model_mix(extension->section_sum, extension->section_count, section);
        extension->section_count++;
    }
    for (size_t i = 0; i < record->rows_count; i++)
        extension->row_count += record->rows[i].row_count;
}

static inline void model_extension_save(void *context, struct writer *out)
{
    struct model_extension *extension = context;
    writer_u64(out, extension->section_sum);
    writer_u64(out, extension->section_count);
    writer_u64(out, extension->row_count);
    writer_u64(out, extension->position);
}

static inline enum err model_extension_load(void *context, struct reader *in, struct error *error)
{
    struct model_extension *extension = context;
    extension->section_sum = reader_u64(in);
    extension->section_count = reader_u64(in);
    extension->row_count = reader_u64(in);
    extension->position = reader_u64(in);
    return in->failed ? error_set(error, ERR_CORRUPT, NULL, "extension state ends early") : OK;
}

static inline struct store_extension model_extension(struct model_extension *context)
{
    *context = (struct model_extension){0};
    return (struct store_extension){.context = context,
                                    .apply = model_extension_apply,
                                    .save = model_extension_save,
                                    .load = model_extension_load};
}

/* --- replay --- */

static inline struct model_table *model_find(struct model_state *state, uint32_t table_id)
{
    for (size_t i = 0; i < state->table_count; i++) {
        if (state->tables[i].schema->table_id == table_id)
            return &state->tables[i];
    }
    return NULL;
}

static inline void model_replay_part(struct model_table *table, const struct model_part *part)
{
    for (uint32_t row = 0; row < part->row_count; row++) {
        if (table->row_count == table->row_capacity) {
            table->row_capacity = table->row_capacity == 0 ? 64 : table->row_capacity * 2;
            table->rows = memory_realloc(table->rows, table->row_capacity * sizeof(*table->rows));
        }
        struct model_row *out = &table->rows[table->row_count++];
        memset(out, 0, sizeof(*out));
        for (uint32_t column = 0; column < part->column_count; column++)
            out->cells[part->column_ids[column]] = &part->cells[row * part->column_count + column];
    }
}

static inline void model_replay_op(struct model_state *state, const struct model_op *op)
{
    struct model_table *table = model_find(state, op->table_id);
    if (op->change == CHANGE_CREATE)
        state->tables[state->table_count++] = (struct model_table){.schema = op->schema};
    else if (op->change == CHANGE_ALTER)
        table->schema = op->schema;
    else if (op->change == CHANGE_TRUNCATE)
        table->row_count = 0;
    else if (op->change == CHANGE_DROP) {
        memory_free(table->rows);
        *table = state->tables[--state->table_count];
    }
    for (const struct model_part *part = op->parts; part != NULL; part = part->next) {
        model_replay_part(model_find(state, part->table_id), part);
        state->row_count += part->row_count;
    }
    if (op->has_section) {
        state->section_sum = model_mix(state->section_sum, state->section_count, op->section);
        state->section_count++;
    }
}

static inline void model_replay(const struct model *model, uint64_t position,
                                struct model_state *state)
{
    *state = (struct model_state){0};
    for (const struct model_op *op = model->first; op != NULL && op->position <= position;
         op = op->next) {
        if (op->position != 0)
            model_replay_op(state, op);
    }
}

static inline void model_state_deinit(struct model_state *state)
{
    for (size_t i = 0; i < state->table_count; i++)
        memory_free(state->tables[i].rows);
    state->table_count = 0;
}

/* --- compare --- */

static inline bool model_cell_equal(const struct value *want, const struct value *got)
{
    if (want->is_null || got->is_null)
        return want->is_null == got->is_null;
    switch (type_physical(want->type.id)) {
    case PHYSICAL_BOOL:
        return want->b == got->b;
    case PHYSICAL_INT:
        return want->i == got->i;
    case PHYSICAL_FLOAT:
        return memcmp(&want->f, &got->f, 8) == 0;
    case PHYSICAL_NUMERIC:
        return want->n.digits == got->n.digits && want->n.kind == got->n.kind &&
               (want->n.scale == got->n.scale || want->n.kind != NUMERIC_FINITE);
    case PHYSICAL_TEXT:
        return slice_equal(want->text, got->text);
    default:
        return false;
    }
}

static inline bool model_compare_column(const struct model_table *table,
                                        const struct table_view *view, uint32_t column, char *why,
                                        size_t why_size)
{
    const struct column_definition *definition = &view->schema->columns[column];
    struct cursor *cursor = cursor_open(view, &column, 1, NULL);
    size_t row = 0;
    bool is_equal = true;
    for (size_t morsel = 0; morsel < table_view_morsel_count(view) && is_equal; morsel++) {
        struct batch batch;
        test_seek(cursor, morsel);
        is_equal = table_view_morsel(view, morsel).begin == row;
        while (is_equal && test_next(cursor, &batch)) {
            for (size_t i = 0; i < batch.row_count && is_equal; i++, row++) {
                const struct value *want =
                    row < table->row_count ? table->rows[row].cells[definition->id] : NULL;
                if (want == NULL)
                    want = &definition->missing;
                struct value got = column_value(&batch.columns[0], i);
                is_equal = row < table->row_count && model_cell_equal(want, &got);
            }
        }
    }
    cursor_close(cursor);
    if (!is_equal || row != table->row_count) {
        snprintf(why, why_size, "table %u column %u differs near row %zu of %zu",
                 view->schema->table_id, definition->id, row, table->row_count);
        return false;
    }
    return true;
}

/* --- in no order: sealed segments are sorted by event time --- */

static inline int model_by_hash(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static inline uint64_t model_cell_hash(uint64_t row_hash, const struct value *cell)
{
    uint64_t hash = cell->is_null ? 77 : value_hash(cell);
    if (!cell->is_null && type_physical(cell->type.id) == PHYSICAL_FLOAT)
        memcpy(&hash, &cell->f, sizeof(hash)); /* bit by bit */
    return hash_mix(row_hash * 31 + hash);
}

/* A hash over the cells of each row, as the view has it and as the model has it. */
static inline bool model_hash_rows(const struct model_table *table, const struct table_view *view,
                                   uint64_t *got, uint64_t *want)
{
    bool is_whole = true;
    for (uint32_t column = 0; column < view->schema->column_count; column++) {
        const struct column_definition *definition = &view->schema->columns[column];
        struct cursor *cursor = cursor_open(view, &column, 1, NULL);
        size_t row = 0;
        for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
            struct batch batch;
            test_seek(cursor, morsel);
            is_whole &= table_view_morsel(view, morsel).begin == row;
            while (test_next(cursor, &batch)) {
                for (size_t i = 0; i < batch.row_count && row < table->row_count; i++, row++) {
                    struct value cell = column_value(&batch.columns[0], i);
                    got[row] = model_cell_hash(got[row], &cell);
                }
            }
        }
        is_whole &= row == table->row_count;
        cursor_close(cursor);
        for (row = 0; row < table->row_count; row++) {
            const struct value *cell = table->rows[row].cells[definition->id];
            want[row] = model_cell_hash(want[row], cell != NULL ? cell : &definition->missing);
        }
    }
    return is_whole;
}

static inline bool model_compare_rows(const struct model_table *table,
                                      const struct table_view *view, char *why, size_t why_size)
{
    size_t count = table->row_count;
    uint64_t *got = memory_alloc_zero((count + 1) * sizeof(*got));
    uint64_t *want = memory_alloc_zero((count + 1) * sizeof(*want));
    bool is_equal = model_hash_rows(table, view, got, want);
    qsort(got, count, sizeof(*got), model_by_hash);
    qsort(want, count, sizeof(*want), model_by_hash);
    is_equal = is_equal && memcmp(got, want, count * sizeof(*got)) == 0;
    memory_free(got);
    memory_free(want);
    if (!is_equal)
        snprintf(why, why_size, "table %u: %zu rows, and not all of them the same",
                 view->schema->table_id, count);
    return is_equal;
}

static inline bool model_has_sealed(const struct table_view *view)
{
    struct table_statistics statistics;
    table_view_statistics(view, &statistics);
    return statistics.sealed_count != 0;
}

/* Rows and definitions of every table. False: *why. */
static inline bool model_compare(const struct model_state *state, const struct snapshot *snapshot,
                                 char *why, size_t why_size)
{
    if (snapshot_table_count(snapshot) != state->table_count) {
        snprintf(why, why_size, "%zu tables instead of %zu", snapshot_table_count(snapshot),
                 state->table_count);
        return false;
    }
    for (size_t i = 0; i < state->table_count; i++) {
        const struct model_table *table = &state->tables[i];
        const struct table_view *view = snapshot_find_id(snapshot, table->schema->table_id);
        bool is_there = view != NULL && snapshot_find(snapshot, table->schema->name) == view &&
                        view->schema->version == table->schema->version &&
                        view->schema->column_count == table->schema->column_count;
        if (!is_there || table_view_rows(view) != table->row_count) {
            snprintf(why, why_size, "table %u: %llu rows instead of %zu, or another definition",
                     table->schema->table_id,
                     view == NULL ? 0ULL : (unsigned long long)table_view_rows(view),
                     table->row_count);
            return false;
        }
        bool has_sealed = model_has_sealed(view);
        if (has_sealed && !model_compare_rows(table, view, why, why_size))
            return false;
        for (uint32_t column = 0; !has_sealed && column < view->schema->column_count; column++) {
            if (!model_compare_column(table, view, column, why, why_size))
                return false;
        }
    }
    return true;
}

/* --- making things up --- */

static inline void model_init(struct model *model, uint64_t seed, uint32_t rows_max)
{
    *model = (struct model){.rows_max = rows_max};
    model->last = &model->first;
    random_stream_init(&model->random, seed);
    arena_init(&model->arena);
}

static inline void model_deinit(struct model *model)
{
    for (struct model_op *op = model->first; op != NULL; op = op->next)
        schema_unref(op->schema);
    arena_deinit(&model->arena);
}

static inline uint64_t model_below(struct model *model, uint64_t bound)
{
    return random_below(&model->random, bound);
}

static inline struct type model_type(struct model *model)
{
    static const enum type_id ids[] = {TYPE_BOOL,      TYPE_INT2,   TYPE_INT4,    TYPE_INT8,
                                       TYPE_FLOAT4,    TYPE_FLOAT8, TYPE_NUMERIC, TYPE_TEXT,
                                       TYPE_TEXT,      TYPE_TEXT,   TYPE_VARCHAR, TYPE_DATE,
                                       TYPE_TIMESTAMP, TYPE_UUID,   TYPE_JSONB,   TYPE_BYTEA};
    struct type type = type_of(ids[model_below(model, array_count(ids))]);
    if (type.id == TYPE_NUMERIC) {
        type.precision = 18;
        type.scale = (uint8_t)model_below(model, 5);
    }
    if (type.id == TYPE_VARCHAR)
        type.length = 4000;
    return type;
}

/* `spread`: how many different values there may be. */
static inline struct value model_value(struct model *model, struct type type, uint64_t spread)
{
    struct value value = {.type = type};
    uint64_t x = model_below(model, spread);
    switch (type_physical(type.id)) {
    case PHYSICAL_BOOL:
        value.b = x & 1;
        break;
    case PHYSICAL_INT:
        value.i = type.id == TYPE_INT2 ? (int16_t)x
                  : type.id == TYPE_INT4 || type.id == TYPE_DATE
                      ? (int32_t)(x * 7919)
                      : (int64_t)(x * UINT64_C(0x9E3779B97F4A7C15));
        break;
    case PHYSICAL_FLOAT:
        value.f = type.id == TYPE_FLOAT4 ? (double)(float)((double)x / 3) : (double)x / 3;
        break;
    case PHYSICAL_NUMERIC:
        value.n = numeric_from_int128((__int128)x * 977 - 100000, type.scale);
        if (x % 97 == 5)
            value.n = (struct numeric){.kind = NUMERIC_NAN};
        break;
    case PHYSICAL_TEXT:
        if (type.id == TYPE_UUID) {
            uint64_t id[2] = {hash_mix(x), x};
            value.text = arena_copy(&model->arena, slice_of(id, 16));
        } else if (x % 50 == 0) {
            value.text = slice_of("", 0);
        } else {
            char *text = arena_printf(
                &model->arena, "%llu-%.*s", (unsigned long long)x, (int)(x % 60),
                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop");
            value.text = slice_from_cstr(text);
        }
        break;
    default:
        break;
    }
    return value;
}

static inline void model_column_add(struct model *model, struct schema *schema)
{
    struct column_definition *columns =
        arena_alloc_zero(&schema->arena, (schema->column_count + 1) * sizeof(*columns));
    if (schema->column_count != 0)
        memcpy(columns, schema->columns, schema->column_count * sizeof(*columns));
    struct column_definition *column = &columns[schema->column_count++];
    column->id = schema->next_column_id++;
    column->name = slice_from_cstr(arena_printf(&schema->arena, "c%u", column->id));
    column->type = model_type(model);
    column->missing = (struct value){.type = column->type, .is_null = true};
    if (model_below(model, 3) == 0) {
        column->missing = model_value(model, column->type, 1000);
        if (type_physical(column->type.id) == PHYSICAL_TEXT)
            column->missing.text = arena_copy(&schema->arena, column->missing.text);
    }
    schema->columns = columns;
}

static inline struct schema *model_schema(struct model *model, uint32_t table_id)
{
    struct schema *schema = schema_create();
    schema->table_id = table_id;
    schema->version = 1;
    /* Few names, so that a dropped one comes back. */
    schema->name = slice_from_cstr(arena_printf(&schema->arena, "t%u", model->name_counter++ % 40));
    schema->columns = arena_alloc_zero(&schema->arena, sizeof(*schema->columns));
    schema->columns[0] = (struct column_definition){.id = schema->next_column_id++,
                                                    .name = SLICE("ts"),
                                                    .type = type_of(TYPE_TIMESTAMPTZ),
                                                    .is_not_null = true};
    schema->columns[0].missing = (struct value){.type = schema->columns[0].type, .is_null = true};
    schema->column_count = 1;
    schema->time_column = 0;
    if (model->time_us != 0 && model_below(model, 2) == 0)
        schema->options.retention_us = model->retention_us;
    uint64_t count = 1 + model_below(model, 8);
    for (uint64_t i = 0; i < count; i++)
        model_column_add(model, schema);
    return schema;
}

static inline struct schema *model_alter(struct model *model, const struct schema *old)
{
    struct schema *schema = schema_copy(old);
    schema->version++;
    bool can_add = schema->next_column_id < MODEL_COLUMN_IDS;
    if (model->time_us != 0 && model_below(model, 3) == 0) {
        struct column_definition *column =
            &schema->columns[1 + model_below(model, schema->column_count - 1)];
        column->index = column->index == INDEX_ON ? INDEX_OFF : INDEX_ON;
        column->index_name = column->index == INDEX_ON
                                 ? slice_from_cstr(arena_printf(&schema->arena, "i%u", column->id))
                                 : SLICE("");
        schema->index_version++;
        return schema;
    }
    if (schema->column_count > 2 && (!can_add || model_below(model, 2) == 0)) {
        uint64_t gone = 1 + model_below(model, schema->column_count - 1);
        for (uint64_t i = gone; i + 1 < schema->column_count; i++)
            schema->columns[i] = schema->columns[i + 1];
        schema->column_count--;
    } else if (can_add) {
        model_column_add(model, schema);
    }
    return schema;
}

/* A column over the cells of one model column, in a form by chance. */
static inline struct column model_column(struct model *model, const struct model_part *part,
                                         uint32_t index, bool is_constant, struct type type)
{
    struct arena *arena = &model->arena;
    struct column_builder builder;
    column_builder_init(&builder, type, arena);
    for (uint32_t row = 0; row < part->row_count; row++)
        column_builder_add(&builder, &part->cells[row * part->column_count + index]);
    struct column flat = column_builder_finish(&builder);
    if (is_constant)
        return column_from_value(&part->cells[index], arena);
    if (type_physical(type.id) != PHYSICAL_TEXT || part->row_count > 4000 ||
        model_below(model, 2) == 0)
        return flat;
    /* Distinct texts by looking at all, and some that no row uses. */
    struct slice *entries = arena_alloc_array(arena, part->row_count + 4, sizeof(*entries));
    uint32_t *codes = arena_alloc_array(arena, part->row_count, sizeof(*codes));
    uint32_t count = 0;
    uint64_t unused = model_below(model, 3);
    for (uint64_t i = 0; i < unused; i++)
        entries[count++] = slice_from_cstr(i == 0 ? "~unused~" : "~nobody~");
    for (uint32_t row = 0; row < part->row_count; row++) {
        codes[row] = 0;
        if (column_is_null(&flat, row))
            continue;
        uint32_t code = 0;
        while (code < count && !slice_equal(entries[code], flat.text[row]))
            code++;
        if (code == count)
            entries[count++] = flat.text[row];
        codes[row] = code;
    }
    struct column out = {.type = type,
                         .form = COLUMN_DICTIONARY,
                         .validity = flat.validity,
                         .codes = codes,
                         .dictionary = entries,
                         .dictionary_count = count};
    return out;
}

static inline struct model_part *model_rows(struct model *model, const struct schema *schema,
                                            struct commit *commit)
{
    struct arena *arena = &model->arena;
    struct model_part *part = arena_alloc_zero(arena, sizeof(*part));
    part->table_id = schema->table_id;
    part->row_count =
        1 + (uint32_t)model_below(model, model_below(model, 4) == 0 ? model->rows_max : 20);
    part->column_ids = arena_alloc_array(arena, schema->column_count, sizeof(uint32_t));
    uint32_t indexes[MODEL_COLUMN_IDS];
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (i != 0 && model_below(model, 10) == 0)
            continue; /* not named */
        indexes[part->column_count] = i;
        part->column_ids[part->column_count++] = schema->columns[i].id;
    }
    part->cells = arena_alloc_array(arena, (size_t)part->row_count * part->column_count,
                                    sizeof(*part->cells));
    struct batch batch = {.row_count = part->row_count, .column_count = part->column_count};
    batch.columns = arena_alloc_array(arena, part->column_count, sizeof(*batch.columns));
    static const uint64_t spreads[] = {2, 20, 300, 5000, UINT64_C(1) << 40};
    static const uint64_t null_shares[] = {0, 0, 10, 2, 1};
    for (uint32_t column = 0; column < part->column_count; column++) {
        const struct column_definition *definition = &schema->columns[indexes[column]];
        bool is_constant = model_below(model, 10) == 0;
        uint64_t null_share = definition->is_not_null ? 0 : null_shares[model_below(model, 5)];
        uint64_t spread = spreads[model_below(model, array_count(spreads))];
        for (uint32_t row = 0; row < part->row_count; row++) {
            struct value *cell = &part->cells[row * part->column_count + column];
            if (is_constant && row != 0)
                *cell = part->cells[column];
            else if (null_share != 0 && model_below(model, null_share) == 0)
                *cell = (struct value){.type = definition->type, .is_null = true};
            else
                *cell = model_value(model, definition->type, spread);
            if (indexes[column] == 0 && model->time_us != 0) {
                model->time_us += (int64_t)model_below(model, 400000);
                cell->i = model->time_us - (int64_t)model_below(model, 2000000);
            }
        }
        is_constant &= indexes[column] != 0 || model->time_us == 0;
        batch.columns[column] = model_column(model, part, column, is_constant, definition->type);
    }
    commit_add_rows(commit, schema, part->column_ids, &batch);
    return part;
}

/* A commit by chance, as the tables are in `state` (everything submitted so far), and its place in
 * the list. The caller submits it, sets op->position and replays the op on `state`; or leaves
 * position 0 if it was refused. */
static inline struct commit *model_commit(struct model *model, struct store *store,
                                          const struct model_state *state, struct model_op **out)
{
    struct model_op *op = arena_alloc_zero(&model->arena, sizeof(*op));
    struct commit *commit = commit_create(store);
    uint64_t dice = model_below(model, 100);
    const struct schema *schema = NULL;
    if (state->table_count != 0)
        schema = state->tables[model_below(model, state->table_count)].schema;
    struct schema *changed = NULL;
    if (schema == NULL || (dice < 4 && state->table_count < 12)) {
        op->change = CHANGE_CREATE;
        changed = model_schema(model, store_next_table_id(store));
        op->table_id = changed->table_id;
    } else if (dice < 12) {
        op->change = dice < 8 ? CHANGE_ALTER : dice < 10 ? CHANGE_TRUNCATE : CHANGE_DROP;
        op->table_id = schema->table_id;
        if (op->change == CHANGE_ALTER)
            changed = model_alter(model, schema);
    }
    if (changed != NULL)
        op->schema = schema_ref(changed);
    if (op->change != CHANGE_NONE)
        commit_set_change(commit, op->change, op->table_id, changed);
    if (op->change == CHANGE_NONE || (changed != NULL && model_below(model, 2) == 0)) {
        op->parts = model_rows(model, changed != NULL ? op->schema : schema, commit);
        if (changed == NULL && model_below(model, 5) == 0) { /* of a second table */
            const struct schema *other =
                state->tables[model_below(model, state->table_count)].schema;
            if (other != schema)
                op->parts->next = model_rows(model, other, commit);
        }
    }
    if (model_below(model, 2) == 0) {
        op->has_section = true;
        op->section = random_next(&model->random);
        commit_add_section(commit, MODEL_SECTION, slice_of(&op->section, 8));
    }
    *model->last = op;
    model->last = &op->next;
    *out = op;
    return commit;
}

#endif
