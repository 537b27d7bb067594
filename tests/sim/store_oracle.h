/* What a simulated store must be like, whatever the layout: the model's rows exactly once, in any
 * order, less those past their table's retention; on the disk the files that it names, all of them
 * and no others, of the size it says. */
#ifndef FRESHET_TESTS_SIM_STORE_ORACLE_H
#define FRESHET_TESTS_SIM_STORE_ORACLE_H

#include "storage/log/manifest.h"
#include "tests/model/store_model.h"

#include <inttypes.h>

enum oracle_result {
    ORACLE_SAME,
    ORACLE_DIFFERENT, /* a wrong answer: *why */
    ORACLE_ERROR      /* a read failed and said so: *why */
};

/* --- rows as hashes --- */

struct oracle_row {
    uint64_t hash;
    bool may_be_gone; /* past the retention */
};

static inline uint64_t oracle_cell(uint32_t column_id, const struct value *value)
{
    uint64_t hash = hash_mix(column_id * UINT64_C(0x9e3779b97f4a7c15) + 1);
    uint64_t bits = 0;
    if (value->is_null)
        return hash_mix(hash ^ 1);
    switch (type_physical(value->type.id)) {
    case PHYSICAL_BOOL:
        bits = value->b;
        break;
    case PHYSICAL_INT:
        bits = (uint64_t)value->i;
        break;
    case PHYSICAL_FLOAT:
        memcpy(&bits, &value->f, sizeof(bits));
        break;
    case PHYSICAL_NUMERIC:
        bits = value->n.kind != NUMERIC_FINITE
                   ? (uint64_t)value->n.kind << 60
                   : (uint64_t)value->n.digits * 31 + (uint64_t)value->n.scale;
        break;
    default:
        bits = hash64(value->text.data, value->text.size) + value->text.size;
    }
    return hash_mix(hash ^ hash_mix(bits + 2));
}

static inline int oracle_order(const void *a, const void *b)
{
    const struct oracle_row *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

/* The model's, sorted. The time that retention counts from is the greatest of all rows: what the
 * store may count from is that or less. */
static inline struct oracle_row *oracle_want(const struct model_table *table)
{
    const struct schema *schema = table->schema;
    struct oracle_row *rows = memory_alloc((table->row_count + 1) * sizeof(*rows));
    uint32_t time_id = schema->columns[schema->time_column].id;
    int64_t greatest = INT64_MIN;
    for (size_t row = 0; row < table->row_count; row++) {
        int64_t time = table->rows[row].cells[time_id]->i;
        greatest = time > greatest ? time : greatest;
    }
    for (size_t row = 0; row < table->row_count; row++) {
        rows[row] = (struct oracle_row){0};
        for (uint32_t i = 0; i < schema->column_count; i++) {
            const struct value *cell = table->rows[row].cells[schema->columns[i].id];
            cell = cell == NULL ? &schema->columns[i].missing : cell;
            rows[row].hash += oracle_cell(schema->columns[i].id, cell);
        }
        int64_t retention_us = schema->options.retention_us;
        rows[row].may_be_gone =
            retention_us != 0 && table->rows[row].cells[time_id]->i < greatest - retention_us;
    }
    qsort(rows, table->row_count, sizeof(*rows), oracle_order);
    return rows;
}

/* The store's, sorted. NULL: a read failed. */
static inline struct oracle_row *oracle_got(const struct table_view *view, size_t *count,
                                            struct error *error)
{
    const struct schema *schema = table_view_schema(view);
    uint32_t indexes[MODEL_COLUMN_IDS];
    size_t row_count = table_view_rows(view), row = 0;
    struct oracle_row *rows = memory_alloc_zero((row_count + 1) * sizeof(*rows));
    for (uint32_t i = 0; i < schema->column_count; i++)
        indexes[i] = i;
    struct cursor *cursor = cursor_open(view, indexes, schema->column_count, NULL);
    enum err err = OK;
    for (size_t morsel = 0; morsel < table_view_morsel_count(view) && err == OK; morsel++) {
        bool has;
        struct batch batch;
        err = cursor_seek(cursor, morsel, &has, error);
        while (err == OK && has) {
            err = cursor_next(cursor, &batch, &has, error);
            for (size_t i = 0; err == OK && has && i < batch.row_count; i++, row++) {
                for (uint32_t c = 0; row < row_count && c < schema->column_count; c++) {
                    struct value value = column_value(&batch.columns[c], i);
                    rows[row].hash += oracle_cell(schema->columns[c].id, &value);
                }
            }
        }
    }
    cursor_close(cursor);
    *count = row;
    if (err != OK) {
        memory_free(rows);
        return NULL;
    }
    qsort(rows, row < row_count ? row : row_count, sizeof(*rows), oracle_order);
    return rows;
}

/* Every row that must be there is there as often, none more often than it was committed. */
static inline bool oracle_match(const struct oracle_row *want, size_t want_count,
                                const struct oracle_row *got, size_t got_count)
{
    size_t at = 0;
    for (size_t row = 0; row < want_count;) {
        uint64_t hash = want[row].hash;
        size_t all = 0, must = 0, found = 0;
        for (; row < want_count && want[row].hash == hash; row++) {
            all++;
            must += !want[row].may_be_gone;
        }
        for (; at < got_count && got[at].hash == hash; at++)
            found++;
        if (found < must || found > all)
            return false;
    }
    return at == got_count;
}

static inline enum oracle_result oracle_table(const struct model_table *table,
                                              const struct table_view *view, char *why,
                                              size_t why_size)
{
    struct error error = {0};
    size_t got_count;
    struct oracle_row *got = oracle_got(view, &got_count, &error);
    if (got == NULL) {
        snprintf(why, why_size, "%.150s", error.text);
        return ORACLE_ERROR;
    }
    struct oracle_row *want = oracle_want(table);
    bool is_same =
        got_count == table_view_rows(view) && oracle_match(want, table->row_count, got, got_count);
    if (!is_same)
        snprintf(why, why_size, "table %u: %zu rows of %" PRIu64 " read, not the %zu of the model",
                 table->schema->table_id, got_count, table_view_rows(view), table->row_count);
    memory_free(want);
    memory_free(got);
    return is_same ? ORACLE_SAME : ORACLE_DIFFERENT;
}

/* Rows and definitions of every table. */
static inline enum oracle_result oracle_compare(const struct model_state *state,
                                                const struct snapshot *snapshot, char *why,
                                                size_t why_size)
{
    enum oracle_result result = ORACLE_SAME;
    if (snapshot_table_count(snapshot) != state->table_count) {
        snprintf(why, why_size, "%zu tables instead of %zu", snapshot_table_count(snapshot),
                 state->table_count);
        return ORACLE_DIFFERENT;
    }
    for (size_t i = 0; i < state->table_count && result == ORACLE_SAME; i++) {
        const struct model_table *table = &state->tables[i];
        const struct table_view *view = snapshot_find_id(snapshot, table->schema->table_id);
        bool is_there = view != NULL && snapshot_find(snapshot, table->schema->name) == view &&
                        view->schema->version == table->schema->version &&
                        view->schema->index_version == table->schema->index_version &&
                        view->schema->column_count == table->schema->column_count;
        if (!is_there) {
            snprintf(why, why_size, "table %u is not there, or has another definition",
                     table->schema->table_id);
            return ORACLE_DIFFERENT;
        }
        result = oracle_table(table, view, why, why_size);
    }
    return result;
}

/* --- files --- */

struct oracle_files {
    struct io *io;
    const struct snapshot *snapshot;
    size_t segments, logs, checkpoints;
    char why[160];
};

static inline bool oracle_find_segment(const struct snapshot *snapshot, const char *id,
                                       uint64_t *bytes)
{
    for (size_t i = 0; i < snapshot_table_count(snapshot); i++) {
        const struct table_view *view = snapshot_table(snapshot, i);
        for (size_t s = 0; s < table_view_segment_count(view); s++) {
            struct segment_statistics statistics;
            table_view_segment(view, s, &statistics);
            *bytes = statistics.bytes;
            if (statistics.is_sealed && strcmp(statistics.id, id) == 0)
                return true;
        }
    }
    return false;
}

static inline size_t oracle_count_sealed(const struct snapshot *snapshot)
{
    size_t count = 0;
    for (size_t i = 0; i < snapshot_table_count(snapshot); i++) {
        const struct table_view *view = snapshot_table(snapshot, i);
        for (size_t s = 0; s < table_view_segment_count(view); s++) {
            struct segment_statistics statistics;
            table_view_segment(view, s, &statistics);
            count += statistics.is_sealed;
        }
    }
    return count;
}

static inline void oracle_segment_file(void *context, const char *name)
{
    struct oracle_files *files = context;
    char id[32], path[64];
    uint64_t number = strtoull(name, NULL, 16), bytes, size = 0;
    struct io_file *file;
    files->segments++;
    snprintf(id, sizeof(id), "s%" PRIu64, number);
    snprintf(path, sizeof(path), SEALED_DIRECTORY "/%s", name);
    if (!oracle_find_segment(files->snapshot, id, &bytes)) {
        snprintf(files->why, sizeof(files->why), "nobody names the file %s", path);
        return;
    }
    if (files->io->ops->open(files->io, path, 0, &file, NULL) != OK ||
        files->io->ops->size(file, &size, NULL) != OK || size != bytes)
        snprintf(files->why, sizeof(files->why), "%s has %" PRIu64 " bytes, not %" PRIu64, path,
                 size, bytes);
    (void)files->io->ops->close(file, NULL);
}

static inline void oracle_file(void *context, const char *name)
{
    struct oracle_files *files = context;
    files->logs += strncmp(name, "log-", 4) == 0;
    files->checkpoints += strncmp(name, "checkpoint-", 11) == 0;
    bool is_known = strncmp(name, "log-", 4) == 0 || strncmp(name, "checkpoint-", 11) == 0 ||
                    strcmp(name, "manifest") == 0 || strcmp(name, SEALED_DIRECTORY) == 0;
    if (!is_known)
        snprintf(files->why, sizeof(files->why), "an unknown file %s", name);
}

/* Just after a start, when nothing is on its way. */
static inline bool oracle_check_files(struct io *io, struct store *store, char *why,
                                      size_t why_size)
{
    struct snapshot *snapshot = snapshot_open(store);
    struct oracle_files files = {.io = io, .snapshot = snapshot};
    enum err err = io->ops->list(io, SEALED_DIRECTORY, oracle_segment_file, &files, NULL);
    if (err == OK)
        err = io->ops->list(io, "", oracle_file, &files, NULL);
    size_t sealed = oracle_count_sealed(snapshot);
    snapshot_close(snapshot);
    if (files.why[0] == 0 && sealed != files.segments)
        snprintf(files.why, sizeof(files.why), "%zu segments, %zu files", sealed, files.segments);
    if (files.why[0] == 0 && files.checkpoints > MANIFEST_CHECKPOINT_COUNT)
        snprintf(files.why, sizeof(files.why), "%zu checkpoints", files.checkpoints);
    snprintf(why, why_size, "%.150s", files.why);
    return err == OK && files.why[0] == 0;
}

#endif
