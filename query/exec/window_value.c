/* Window functions that are no aggregates. They give numbers (row_number … ntile, interpolate), or
 * say which row's first argument the value is (lag … locf), which is then gathered a batch at a
 * time. Each costs a few steps a row; only nth_value and its like look at frames. */
#include "query/exec/window.h"

#include "query/func/over.h"

#include <assert.h>

static struct column input(const struct window_run *run, size_t argument)
{
    return rowset_column(&run->inputs, argument, 0);
}

void window_value_begin(struct window_run *run, const struct window_partition *partition)
{
    (void)partition;
    run->tile = 0;
    run->last_known = run->next_known = WINDOW_NO_ROW;
    run->is_next_known = false;
}

static int64_t rows_of(const struct window_partition *partition)
{
    return (int64_t)(partition->end - partition->begin);
}

static size_t first_peer(const struct window_partition *partition, size_t row)
{
    return partition->group_first[partition->group[row]];
}

static size_t last_peer_end(const struct window_partition *partition, size_t row)
{
    size_t end = partition->group_first[partition->group[row] + 1];
    return end < partition->end ? end : partition->end;
}

/* --- numbers --- */

/* The first rows % parts parts have one row more. Counting starts at the first row whose argument
 * is not NULL, as PostgreSQL's does. */
static enum err tile(struct window_run *run, const struct window_partition *partition, size_t row,
                     int64_t *out, bool *is_null, struct error *error)
{
    if (run->tile == 0) {
        struct column parts = input(run, 0);
        *is_null = column_is_null(&parts, row);
        if (*is_null)
            return OK;
        if (parts.i[row] <= 0)
            return error_set(error, ERR_INPUT, "22014",
                             "argument of ntile must be greater than zero");
        run->tile = 1;
        run->tile_rows = run->tile_rest = 0;
        run->tile_limit = rows_of(partition) / parts.i[row];
        if (run->tile_limit == 0)
            run->tile_limit = 1;
        else
            run->tile_rest = rows_of(partition) % parts.i[row];
        run->tile_limit += run->tile_rest != 0;
    }
    if (++run->tile_rows > run->tile_limit) {
        if (run->tile_rest != 0 && run->tile == run->tile_rest) {
            run->tile_rest = 0;
            run->tile_limit--;
        }
        run->tile++;
        run->tile_rows = 1;
    }
    *out = run->tile;
    return OK;
}

static double number_at(const struct column *column, size_t row)
{
    switch (type_physical((enum type_id)column->type.id)) {
    case PHYSICAL_FLOAT:
        return column->f[row];
    case PHYSICAL_NUMERIC:
        return numeric_to_double(column->n[row]);
    default:
        return (double)column->i[row];
    }
}

/* b - a, where differences of whole numbers are exact. */
static double key_distance(const struct column *keys, size_t a, size_t b)
{
    if (type_physical((enum type_id)keys->type.id) == PHYSICAL_INT)
        return (double)((__int128)keys->i[b] - keys->i[a]);
    return number_at(keys, b) - number_at(keys, a);
}

/* The first row behind `row` that has both a value and a key. */
static void find_next_known(struct window_run *run, const struct window_partition *partition,
                            size_t row)
{
    struct column values = input(run, 0);
    if (run->is_next_known && (run->next_known == WINDOW_NO_ROW || run->next_known > row))
        return;
    size_t at = row + 1;
    while (at < partition->end &&
           (column_is_null(&values, at) || column_is_null(&partition->key, at)))
        at++;
    run->next_known = at < partition->end ? (uint32_t)at : WINDOW_NO_ROW;
    run->is_next_known = true;
}

static void interpolate(struct window_run *run, const struct window_partition *partition,
                        size_t row, double *out, bool *is_null)
{
    struct column values = input(run, 0);
    const struct column *keys = &partition->key;
    if (!column_is_null(&values, row)) {
        *out = values.f[row];
        if (!column_is_null(keys, row))
            run->last_known = (uint32_t)row;
        return;
    }
    find_next_known(run, partition, row);
    *is_null = run->last_known == WINDOW_NO_ROW || run->next_known == WINDOW_NO_ROW ||
               column_is_null(keys, row);
    if (*is_null)
        return;
    size_t a = run->last_known, b = run->next_known;
    double span = key_distance(keys, a, b);
    double part = span == 0 ? 0 : key_distance(keys, a, row) / span;
    *out = values.f[a] + (values.f[b] - values.f[a]) * part;
}

static enum err fill_number(struct window_run *run, const struct window_partition *partition,
                            size_t row, struct error *error)
{
    int64_t *whole = (int64_t *)run->values + run->filled;
    double *real = (double *)run->values + run->filled;
    int64_t rows = rows_of(partition);
    bool is_null = false;
    enum err err = OK;
    *whole = 0;
    switch (run->call->function->kind) {
    case OVER_ROW_NUMBER:
        *whole = (int64_t)(row - partition->begin) + 1;
        break;
    case OVER_RANK:
        *whole = (int64_t)(first_peer(partition, row) - partition->begin) + 1;
        break;
    case OVER_DENSE_RANK:
        *whole = (int64_t)partition->group[row] - partition->group[partition->begin] + 1;
        break;
    case OVER_PERCENT_RANK:
        *real = rows <= 1
                    ? 0
                    : (double)(first_peer(partition, row) - partition->begin) / (double)(rows - 1);
        break;
    case OVER_CUME_DIST:
        *real = (double)(last_peer_end(partition, row) - partition->begin) / (double)rows;
        break;
    case OVER_INTERPOLATE:
        interpolate(run, partition, row, real, &is_null);
        break;
    default:
        assert(run->call->function->kind == OVER_NTILE);
        err = tile(run, partition, row, whole, &is_null, error);
    }
    run->validity[run->filled] = !is_null;
    run->has_null = run->has_null || is_null;
    run->filled++;
    return err;
}

/* --- rows --- */

static uint32_t shift(const struct window_run *run, const struct window_partition *partition,
                      size_t row, bool *is_default)
{
    int64_t away = 1;
    if (run->argument_count > 1) {
        struct column offsets = input(run, 1);
        if (column_is_null(&offsets, row))
            return WINDOW_NO_ROW;
        away = offsets.i[row];
    }
    int64_t at = (int64_t)row + (run->call->function->kind == OVER_LEAD ? away : -away);
    if (at >= (int64_t)partition->begin && at < (int64_t)partition->end)
        return (uint32_t)at;
    *is_default = run->argument_count > 2;
    return WINDOW_NO_ROW;
}

static uint32_t nth(const struct window_range *pieces, size_t count, uint64_t place)
{
    for (size_t index = 0; index < count; index++) {
        uint64_t size = pieces[index].end - pieces[index].begin;
        if (place < size)
            return (uint32_t)(pieces[index].begin + place);
        place -= size;
    }
    return WINDOW_NO_ROW;
}

static enum err framed(struct window_run *run, const struct window_partition *partition, size_t row,
                       uint32_t *out, struct error *error)
{
    struct window_range pieces[WINDOW_PIECES_MAX];
    size_t count;
    *out = WINDOW_NO_ROW;
    enum err err = frame_walk_row(&run->walk, partition, row, pieces, &count, error);
    if (err != OK)
        return err;
    if (run->call->function->kind == OVER_FIRST_VALUE) {
        *out = nth(pieces, count, 0);
    } else if (run->call->function->kind == OVER_LAST_VALUE) {
        if (count > 0)
            *out = (uint32_t)(pieces[count - 1].end - 1);
    } else {
        struct column places = input(run, 1);
        if (column_is_null(&places, row))
            return OK;
        if (places.i[row] <= 0)
            return error_set(error, ERR_INPUT, "22016",
                             "argument of nth_value must be greater than zero");
        *out = nth(pieces, count, (uint64_t)places.i[row] - 1);
    }
    return OK;
}

static enum err fill_row(struct window_run *run, const struct window_partition *partition,
                         size_t row, struct error *error)
{
    uint32_t *out = &run->rows[run->filled];
    bool *is_default = &run->is_default[run->filled];
    enum err err = OK;
    *is_default = false;
    switch (run->call->function->kind) {
    case OVER_LAG:
    case OVER_LEAD:
        *out = shift(run, partition, row, is_default);
        break;
    case OVER_LOCF: {
        struct column values = input(run, 0);
        if (!column_is_null(&values, row))
            run->last_known = (uint32_t)row;
        *out = run->last_known;
        break;
    }
    default:
        err = framed(run, partition, row, out, error);
    }
    run->filled++;
    return err;
}

enum err window_value_fill(struct window_run *run, const struct window_partition *partition,
                           size_t first, size_t count, struct error *error)
{
    enum err err = OK;
    for (size_t row = first; err == OK && row < first + count; row++)
        err = run->rows != NULL ? fill_row(run, partition, row, error)
                                : fill_number(run, partition, row, error);
    return err;
}
