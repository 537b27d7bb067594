/* Rows into columns.
 *
 * The row under construction is row `count` of every column, written in place; a rejected row is
 * simply written over by the next. What tells a cell of this row from one of the row before is a
 * mark: the number of the row in the input and the rank of the name by which the cell came, so that
 * neither order nor duplicates of fields matter and nothing is cleared between rows.
 *
 *   mark = row_number << 2 | 3 - rank      a better name wins, an equal one replaces (and is
 * counted)
 *
 * Columns cost nothing until a row has a value for them: an untouched column becomes one constant,
 * NULL or its DEFAULT. One that few rows have a value for falls behind, and the run of rows
 * without is filled at once when a value comes, or at the end: tables of 1,000 columns are sent
 * rows of ten. Text columns begin as dictionaries and fall back to plain slices when their texts do
 * not repeat; that they did is remembered in the mapping, so the next batch begins plain and now
 * and then tries again.
 *
 * A row's errors belong to columns: a later duplicate that fits takes its column's error back, and
 * what is left at the end of the row decides. */
#include "ingest/rows/rows.h"

#include "ingest/rows/coerce.h"
#include "storage/base/fault.h"

#include <assert.h>

#define CAPACITY_FIRST 256
/* One batch in this many tries a dictionary on a column that had none. */
#define DISTINCT_RETRY 16
/* A column falls behind when since it was touched so many rows, and three of four, had no value. */
#define MISSED_MIN 32
#define SECTION_ROWS_MIN 64

static uint64_t mark_rank(enum mapping_rank rank)
{
    return 3 - (uint64_t)rank;
}

static size_t cell_size(const struct rows_column *column)
{
    return column->is_dictionary ? sizeof(uint32_t)
                                 : physical_size(type_physical(column->definition->type.id));
}

/* --- columns --- */

static void column_allocate(struct rows *rows, struct rows_column *column)
{
    column->values = arena_alloc_array(rows->arena, rows->capacity, cell_size(column));
    column->validity = arena_alloc(rows->arena, rows->capacity);
}

static void store_value(struct rows *rows, struct rows_column *column, size_t row,
                        const struct value *value);

static void look_at(struct rows *rows, const struct rows_column *column)
{
    size_t index = (size_t)(column - rows->columns);
    rows->looked_at[index / 64] |= UINT64_C(1) << index % 64;
}

static void watch(struct rows *rows, struct rows_column *column)
{
    rows->touched_count += !column->is_watched;
    column->is_watched = true;
    look_at(rows, column);
}

static void unwatch(struct rows *rows, struct rows_column *column)
{
    size_t index = (size_t)(column - rows->columns);
    assert(column->is_watched && !column->is_required);
    rows->touched_count--;
    column->is_watched = false;
    rows->looked_at[index / 64] &= ~(UINT64_C(1) << index % 64);
}

/* Rows [begin, rows->count) have no value. */
static void fill_run(struct rows *rows, struct rows_column *column, size_t begin)
{
    size_t count = rows->count - begin;
    if (count == 0)
        return;
    memset(column->validity + begin, 0, count);
    memset((char *)column->values + begin * cell_size(column), 0, count * cell_size(column));
    if (!column->has_default || column->default_value.is_null || fault_is("rows.run_of_nulls")) {
        column->has_null = true;
        return;
    }
    assert(column->is_default_known);
    store_value(rows, column, begin, &column->default_value); /* its dictionary may give up */
    size_t size = cell_size(column);
    char *first = (char *)column->values + begin * size;
    for (size_t done = 1; done < count; done *= 2)
        memcpy(first + done * size, first, (done < count - done ? done : count - done) * size);
    memset(column->validity + begin, 1, count);
}

/* A value comes, and the rows before it are to be there too. */
static void column_touch(struct rows *rows, struct rows_column *column)
{
    assert(!column->is_touched);
    if (!column->has_arrays) {
        column->has_arrays = true;
        if (column->is_dictionary)
            local_dictionary_init(&column->dictionary, rows->arena);
        column_allocate(rows, column);
    }
    fill_run(rows, column, column->behind);
    column->is_touched = true;
    column->since = rows->count;
    column->missed = 0;
    watch(rows, column);
}

static void *copy_array(struct arena *arena, const void *from, size_t count, size_t capacity,
                        size_t size)
{
    void *to = arena_alloc_array(arena, capacity, size);
    memcpy(to, from, count * size);
    return to;
}

static void rows_grow(struct rows *rows)
{
    rows->capacity *= 2;
    if (rows->capacity > rows->section_rows)
        rows->capacity = rows->section_rows;
    for (uint32_t i = 0; i < rows->schema->column_count; i++) {
        struct rows_column *column = &rows->columns[i];
        if (!column->has_arrays)
            continue;
        size_t count = column->is_touched ? rows->count : column->behind;
        column->values =
            copy_array(rows->arena, column->values, count, rows->capacity, cell_size(column));
        column->validity = copy_array(rows->arena, column->validity, count, rows->capacity, 1);
    }
}

/* Codes become slices: the texts turned out not to repeat. */
static void column_give_up_dictionary(struct rows *rows, struct rows_column *column)
{
    struct slice *texts = arena_alloc_array(rows->arena, rows->capacity, sizeof(*texts));
    for (size_t i = 0; i < rows->count; i++)
        texts[i] =
            column->validity[i] ? column->dictionary.entries[column->codes[i]] : (struct slice){0};
    column->is_dictionary = false;
    column->text = texts;
    mapping_set_distinct(rows->options.mapping, (uint32_t)(column - rows->columns), true);
}

/* code: the text's, DICTIONARY_NONE if it has none; is_new: it was not there before. */
static inline void store_code(struct rows *rows, struct rows_column *column, size_t row,
                              struct slice text, uint32_t code, bool is_new)
{
    if (code != DICTIONARY_NONE &&
        (!is_new || !local_dictionary_is_hopeless(&column->dictionary, row + 1))) {
        column->codes[row] = code;
        return;
    }
    column_give_up_dictionary(rows, column);
    column->text[row] = text;
}

static inline void store_text(struct rows *rows, struct rows_column *column, size_t row,
                              struct slice text)
{
    if (column->is_dictionary) {
        uint32_t before = column->dictionary.count;
        uint32_t code = local_dictionary_code(&column->dictionary, text);
        store_code(rows, column, row, text, code, code >= before);
        return;
    }
    column->text[row] = text;
}

static void store_null(struct rows_column *column, size_t row)
{
    column->validity[row] = 0;
    column->has_null = true;
    size_t size = cell_size(column);
    memset((char *)column->values + row * size, 0, size);
}

static void store_value(struct rows *rows, struct rows_column *column, size_t row,
                        const struct value *value)
{
    if (value->is_null) {
        store_null(column, row);
        return;
    }
    column->validity[row] = 1;
    switch (type_physical(column->definition->type.id)) {
    case PHYSICAL_BOOL:
        column->b[row] = value->b;
        break;
    case PHYSICAL_INT:
        column->i[row] = value->i;
        break;
    case PHYSICAL_FLOAT:
        column->f[row] = value->f;
        break;
    case PHYSICAL_NUMERIC:
        column->n[row] = value->n;
        break;
    case PHYSICAL_TEXT:
        store_text(rows, column, row, value->text);
        break;
    case PHYSICAL_INTERVAL:
        assert(!"intervals are not storable");
    }
}

/* --- life --- */

static void column_init(struct rows *rows, uint32_t index)
{
    struct rows_column *column = &rows->columns[index];
    column->definition = &rows->schema->columns[index];
    enum type_id type = column->definition->type.id;
    column->coerce = (uint8_t)coerce_of(type, &column->min, &column->max);
    column->has_default =
        column->definition->default_text.size > 0 && rows->options.defaults != NULL;
    column->is_required = column->definition->is_not_null && !column->has_default;
    rows->required_count += column->is_required;
    bool is_dictionary = type_physical(type) == PHYSICAL_TEXT && type != TYPE_UUID;
    if (is_dictionary && mapping_is_distinct(rows->options.mapping, index))
        is_dictionary = (uint64_t)rows->options.now_us % DISTINCT_RETRY == 0;
    if (is_dictionary)
        mapping_set_distinct(rows->options.mapping, index, false);
    column->is_dictionary = is_dictionary;
    if (column->is_required)
        look_at(rows, column);
    if (column->has_default) /* the first row without shows what kind of default it is */
        watch(rows, column);
}

static size_t section_rows_of(const struct rows_options *options, uint32_t column_count)
{
    if (options->take_section == NULL)
        return SIZE_MAX;
    size_t rows = options->section_cells / (column_count + 1);
    return rows < SECTION_ROWS_MIN ? SECTION_ROWS_MIN : rows;
}

void rows_init(struct rows *rows, const struct rows_options *options)
{
    *rows = (struct rows){
        .options = *options, .schema = mapping_schema(options->mapping), .arena = options->arena};
    rows->capacity = options->capacity < CAPACITY_FIRST ? CAPACITY_FIRST : options->capacity;
    if (rows->capacity > options->rows_max)
        rows->capacity = options->rows_max;
    uint32_t column_count = rows->schema->column_count;
    rows->section_rows = section_rows_of(options, column_count);
    if (rows->capacity > rows->section_rows)
        rows->capacity = rows->section_rows;
    rows->looked_at = arena_alloc_zero(rows->arena, (column_count / 64 + 1) * sizeof(uint64_t));
    rows->columns = arena_alloc_zero(rows->arena, column_count * sizeof(*rows->columns));
    for (uint32_t i = 0; i < column_count; i++)
        column_init(rows, i);
    rows->wants_rest = rows->schema->options.rest_column >= 0;
    writer_init(&rows->rest);
    int64_t future_us = rows->schema->options.future_us;
    if (__builtin_add_overflow(options->now_us, future_us, &rows->future_limit_us))
        rows->future_limit_us = INT64_MAX;
}

void rows_deinit(struct rows *rows)
{
    memory_free(rows->rejections);
    rows->rejections = NULL;
    writer_deinit(&rows->rest);
}

/* --- cells --- */

/* What was there has been taken. Arrays stay where they are. */
static void begin_section(struct rows *rows)
{
    rows->sectioned += rows->count;
    rows->count = 0;
    for (uint32_t i = 0; i < rows->schema->column_count; i++) {
        struct rows_column *column = &rows->columns[i];
        column->has_null = false;
        column->behind = 0;
        column->since = column->missed = 0;
        if (column->has_arrays && column->is_dictionary)
            local_dictionary_clear(&column->dictionary);
    }
}

static enum err make_room(struct rows *rows, struct error *error)
{
    if (rows->capacity < rows->section_rows) {
        rows_grow(rows);
        return OK;
    }
    enum err err = OK;
    if (!fault_is("rows.section_lost"))
        err = rows->options.take_section(rows->options.section_context, error);
    if (err == OK)
        begin_section(rows);
    return err;
}

enum err rows_begin(struct rows *rows, struct error *error)
{
    if (rows->row_number == rows->options.rows_max)
        return error_set(error, ERR_LIMIT, "54000",
                         "more than %zu rows in one body; freshet load splits it",
                         rows->options.rows_max);
    if (rows->count == rows->capacity) {
        enum err err = make_room(rows, error);
        if (err != OK)
            return err;
    }
    rows->row_number++;
    if (!fault_is("ingest.miscount.received") || rows->row_number % 10 != 0)
        rows->received++;
    rows->mark = (uint64_t)rows->row_number << 2;
    rows->set_count = 0;
    rows->required_set = 0;
    rows->error_count = 0;
    rows->has_row_error = false;
    if (rows->wants_rest)
        writer_reset(&rows->rest);
    return OK;
}

/* The column if this cell is the one to keep, else NULL. */
static inline struct rows_column *claim(struct rows *rows, const struct mapping_ref *ref)
{
    struct rows_column *column = &rows->columns[ref->column];
    if (!column->is_touched)
        column_touch(rows, column);
    if (column->mark < rows->mark) {
        rows->set_count++;
        rows->required_set += column->is_required;
    } else if ((column->mark & 3) > mark_rank(ref->rank)) {
        return NULL;
    } else {
        rows->duplicate_keys += (column->mark & 3) == mark_rank(ref->rank);
        if (column->error_mark == rows->mark) {
            column->error_mark = 0;
            rows->error_count--;
        }
    }
    column->mark = rows->mark | mark_rank(ref->rank);
    return column;
}

static void cell_error(struct rows *rows, struct rows_column *column, const struct error *error)
{
    if (rows->error_count == 0) {
        rows->error = *error;
        rows->error_column = (uint32_t)(column - rows->columns);
    }
    rows->error_count++;
    column->error_mark = rows->mark;
    store_null(column, rows->count);
}

static void null_error(struct rows *rows, struct rows_column *column)
{
    struct error error;
    error_set(&error, ERR_INPUT, "23502",
              "null value in column \"%.*s\" violates not-null constraint",
              SLICE_ARGS(column->definition->name));
    cell_error(rows, column, &error);
}

void rows_null(struct rows *rows, const struct mapping_ref *ref)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    if (column->definition->is_not_null)
        null_error(rows, column);
    else
        store_null(column, rows->count);
}

/* Keeps what a coercion gave. */
static inline void cell_finish(struct rows *rows, struct rows_column *column, enum err err,
                               const struct value *value, const struct error *error)
{
    if (err != OK)
        cell_error(rows, column, error);
    else
        store_value(rows, column, rows->count, value);
}

void rows_bool(struct rows *rows, const struct mapping_ref *ref, bool b)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    struct error error;
    struct value value = {0};
    enum err err = coerce_bool(column, b, &value, &error);
    cell_finish(rows, column, err, &value, &error);
}

void rows_number(struct rows *rows, const struct mapping_ref *ref, const struct decimal *number)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    struct error error;
    struct value value;
    value.is_null = false;
    enum err err = coerce_number(column, number, rows->arena, &value, &error);
    cell_finish(rows, column, err, &value, &error);
}

static inline void set_text(struct rows *rows, struct rows_column *column, struct slice text)
{
    if (column->coerce == COERCE_TEXT && text.size <= ROW_STRING_SIZE_MAX) {
        column->validity[rows->count] = 1;
        store_text(rows, column, rows->count, text);
        return;
    }
    struct error error;
    struct value value;
    value.is_null = false;
    enum err err = coerce_text(column, text, rows->arena, &value, &error);
    cell_finish(rows, column, err, &value, &error);
}

void rows_string(struct rows *rows, const struct mapping_ref *ref, struct slice text,
                 struct slice source)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    if (column->coerce == COERCE_JSON && source.size <= ROW_STRING_SIZE_MAX) {
        column->validity[rows->count] = 1;
        store_text(rows, column, rows->count, source);
        return;
    }
    set_text(rows, column, text);
}

void rows_text(struct rows *rows, const struct mapping_ref *ref, struct slice text)
{
    struct rows_column *column = claim(rows, ref);
    if (column != NULL)
        set_text(rows, column, text);
}

void rows_value(struct rows *rows, const struct mapping_ref *ref, const struct value *value)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    struct error error;
    enum err err = OK;
    if (type_physical((enum type_id)value->type.id) == PHYSICAL_TEXT &&
        value->text.size > ROW_STRING_SIZE_MAX)
        err = error_set(&error, ERR_INPUT, "54000", "a value of %zu bytes is longer than %zu bytes",
                        value->text.size, ROW_STRING_SIZE_MAX);
    cell_finish(rows, column, err, value, &error);
}

void rows_document(struct rows *rows, const struct mapping_ref *ref, struct slice source)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    struct error error;
    struct value value = {0};
    enum err err = coerce_document(column, source, rows->arena, &value, &error);
    cell_finish(rows, column, err, &value, &error);
}

/* --- cells without marks --- */

void rows_touch(struct rows *rows, uint32_t index)
{
    if (!rows->columns[index].is_touched)
        column_touch(rows, &rows->columns[index]);
}

void rows_mark(struct rows *rows, uint32_t index, enum mapping_rank rank)
{
    rows->columns[index].mark = rows->mark | mark_rank(rank);
}

void rows_put_any_text(struct rows *rows, struct rows_column *column, struct slice text)
{
    column->validity[rows->count] = 1;
    store_text(rows, column, rows->count, text);
}

void rows_put_new_text(struct rows *rows, struct rows_column *column, struct slice text)
{
    struct local_dictionary *dictionary = &column->dictionary;
    struct local_key key = local_dictionary_short_key(text);
    uint32_t code = local_dictionary_add(dictionary, text, key, local_dictionary_tag(key));
    column->validity[rows->count] = 1;
    store_code(rows, column, rows->count, text, code, !fault_is("rows.new_text_hopeful"));
}

static bool put_value(struct rows *rows, uint32_t index, enum err err, const struct value *value)
{
    if (err == OK)
        store_value(rows, &rows->columns[index], rows->count, value);
    return err == OK;
}

bool rows_put_null(struct rows *rows, uint32_t index)
{
    if (rows->columns[index].definition->is_not_null && !fault_is("template.null_anywhere"))
        return false;
    store_null(&rows->columns[index], rows->count);
    return true;
}

bool rows_put_bool(struct rows *rows, uint32_t index, bool b)
{
    struct error error;
    struct value value = {0};
    enum err err = coerce_bool(&rows->columns[index], b, &value, &error);
    return put_value(rows, index, err, &value);
}

bool rows_put_number(struct rows *rows, uint32_t index, const struct decimal *number)
{
    struct error error;
    struct value value = {0};
    enum err err = coerce_number(&rows->columns[index], number, rows->arena, &value, &error);
    return put_value(rows, index, err, &value);
}

bool rows_put_string(struct rows *rows, uint32_t index, struct slice text, struct slice source)
{
    struct error error;
    struct value value = {0};
    enum err err = OK;
    if (rows->columns[index].coerce == COERCE_JSON && source.size <= ROW_STRING_SIZE_MAX)
        value.text = source;
    else
        err = coerce_text(&rows->columns[index], text, rows->arena, &value, &error);
    return put_value(rows, index, err, &value);
}

bool rows_put_document(struct rows *rows, uint32_t index, struct slice source)
{
    struct error error;
    struct value value = {0};
    enum err err = coerce_document(&rows->columns[index], source, rows->arena, &value, &error);
    return put_value(rows, index, err, &value);
}

void rows_bad(struct rows *rows, const struct mapping_ref *ref, const char *sqlstate,
              const char *reason)
{
    struct rows_column *column = claim(rows, ref);
    if (column == NULL)
        return;
    struct error error;
    error_set(&error, ERR_INPUT, sqlstate, "%s", reason);
    cell_error(rows, column, &error);
}

/* --- ends --- */

static enum err default_get(struct rows *rows, struct rows_column *column, struct error *error)
{
    if (column->is_default_known && !column->is_default_volatile)
        return OK;
    const struct rows_defaults *defaults = rows->options.defaults;
    enum err err = defaults->get(defaults->context, (uint32_t)(column - rows->columns), rows->arena,
                                 &column->default_value, &column->is_default_volatile, error);
    column->is_default_known = err == OK;
    return err;
}

static struct rows_column *touched(struct rows *rows, struct rows_column *column)
{
    if (!column->is_touched)
        column_touch(rows, column);
    return column;
}

/* This row has no value for it: NULL, or a default that is the same for every row. */
static void miss(struct rows *rows, struct rows_column *column)
{
    if (!column->is_touched) {
        unwatch(rows, column);
        return;
    }
    column->missed++;
    if (column->missed < MISSED_MIN || column->missed * 4 < (rows->count - column->since) * 3) {
        if (column->has_default)
            store_value(rows, column, rows->count, &column->default_value);
        else
            store_null(column, rows->count);
        return;
    }
    column->is_touched = false;
    column->behind = rows->count;
    rows->lapses += !fault_is("rows.lapse_uncounted");
    unwatch(rows, column);
}

static void fill_missing(struct rows *rows, struct rows_column *column)
{
    if (column->is_required) {
        null_error(rows, touched(rows, column));
        return;
    }
    if (!column->has_default) {
        miss(rows, column);
        return;
    }
    struct error error;
    enum err err = default_get(rows, column, &error);
    /* A row's event time is looked at, wherever it comes from. */
    bool is_time = column - rows->columns == rows->schema->time_column;
    if (err != OK)
        cell_error(rows, touched(rows, column), &error);
    else if (column->default_value.is_null && column->definition->is_not_null)
        null_error(rows, touched(rows, column));
    else if (column->is_default_volatile || is_time)
        store_value(rows, touched(rows, column), rows->count, &column->default_value);
    else
        miss(rows, column);
}

/* In the order of columns: the first in error is named. */
static void fill_all_missing(struct rows *rows)
{
    for (uint32_t word = 0; word <= rows->schema->column_count / 64; word++) {
        for (uint64_t bits = rows->looked_at[word]; bits != 0; bits &= bits - 1) {
            struct rows_column *column =
                &rows->columns[word * 64 + (uint32_t)__builtin_ctzll(bits)];
            if (column->mark < rows->mark)
                fill_missing(rows, column);
        }
    }
}

static void set_special(struct rows *rows, int32_t column, struct slice document)
{
    if (document.size == 0)
        return;
    struct mapping_ref ref = {.column = (uint32_t)column, .rank = RANK_EXACT};
    if (document.size > ROW_STRING_SIZE_MAX && rows->columns[column].coerce == COERCE_VARCHAR)
        rows_text(rows, &ref, document);
    else
        rows_document(rows, &ref, document);
}

static inline void check_future(struct rows *rows)
{
    int32_t index = rows->schema->time_column;
    if (index < 0)
        return;
    struct rows_column *column = &rows->columns[index];
    if (!column->is_touched || column->validity[rows->count] == 0 ||
        column->error_mark == rows->mark || column->i[rows->count] <= rows->future_limit_us)
        return;
    struct error error;
    error_set(&error, ERR_INPUT, "22008",
              "event time in column \"%.*s\" is further ahead of the server's clock than the "
              "table's option "
              "\"future\" allows",
              SLICE_ARGS(column->definition->name));
    cell_error(rows, column, &error);
}

void rows_end(struct rows *rows, struct slice raw, struct slice document)
{
    if (raw.size > rows->options.row_size_max) {
        rows_reject(rows, raw, "54000", "the row is longer than the limit");
        return;
    }
    if (rows->wants_rest && rows->rest.size > 0) {
        writer_u8(&rows->rest, '}');
        set_special(rows, rows->schema->options.rest_column,
                    arena_copy(rows->arena, writer_as_slice(&rows->rest)));
    }
    if (rows->schema->options.whole_column >= 0)
        set_special(rows, rows->schema->options.whole_column, document);
    if (rows->set_count < rows->touched_count || rows->required_set < rows->required_count)
        fill_all_missing(rows);
    check_future(rows);
    if (rows->error_count == 0 && !rows->has_row_error) {
        rows->count++;
        return;
    }
    struct slice column = {0};
    if (rows->error_count > 0)
        column = rows->columns[rows->error_column].definition->name;
    rows_add_rejection(rows, raw, column, rows->error.sqlstate, slice_from_cstr(rows->error.text));
}

void rows_finish(struct rows *rows, struct batch *batch, const uint32_t **column_ids)
{
    uint32_t count = rows->schema->column_count;
    struct column *columns = arena_alloc_zero(rows->arena, count * sizeof(*columns));
    uint32_t *ids = arena_alloc_array(rows->arena, count, sizeof(*ids));
    for (uint32_t i = 0; i < count; i++) {
        struct rows_column *from = &rows->columns[i];
        ids[i] = from->definition->id;
        if (!from->is_touched && from->behind == 0) {
            struct value value = {.type = from->definition->type, .is_null = true};
            if (from->is_default_known)
                value = from->default_value;
            columns[i] = column_from_value(&value, rows->arena);
            continue;
        }
        if (!from->is_touched) {
            fill_run(rows, from, from->behind);
            from->behind = rows->count;
        }
        columns[i] = (struct column){
            .type = from->definition->type, .form = COLUMN_FLAT, .values = from->values};
        columns[i].validity = from->has_null ? from->validity : NULL;
        if (from->is_dictionary) {
            columns[i].form = COLUMN_DICTIONARY;
            columns[i].codes = from->codes;
            columns[i].values = NULL;
            columns[i].dictionary = from->dictionary.entries;
            columns[i].dictionary_count = from->dictionary.count;
        }
    }
    *batch = (struct batch){.row_count = rows->count, .column_count = count, .columns = columns};
    *column_ids = ids;
}
