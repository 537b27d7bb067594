/* ORDER BY within an aggregate's call.
 *
 *   batch ──▶ rowset: group, arguments, keys ──▶ entries sorted by (group, keys) ──▶ update()
 *
 * Rows are kept until the input ends, sorted by one stable merge sort over 16-byte entries (the
 * first bytes of the first key decide most comparisons) and go to the aggregate in batches, so an
 * aggregate knows nothing of order. A key that is also an argument is kept once. Memory is charged
 * as rows are kept: 53200 past the query's limit. */
#include "query/exec/ordered.h"

#include "query/exec/rowset.h"
#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

#define COLUMNS_MAX (AGGREGATE_ARGUMENTS_MAX + 1)
#define RUN_ROWS 16

struct entry {
    uint64_t prefix;
    uint32_t group, row;
};

struct ordered {
    struct exec *exec;
    const struct aggregate_call *call;
    struct rowset rows;         /* column 0: the group */
    uint8_t place[COLUMNS_MAX]; /* of an argument among the rowset's columns */
    struct column keys[COLUMNS_MAX];
    struct exec_memory memory; /* of the entries */
    size_t unchecked;          /* of them, since the last look at the clock */
};

struct ordered *ordered_create(struct exec *exec, const struct aggregate_call *call)
{
    struct ordered *ordered = memory_alloc_zero(sizeof(*ordered));
    struct type types[COLUMNS_MAX + 1] = {type_of(TYPE_INT8)};
    size_t count = 1;
    assert(call->argument_count <= AGGREGATE_ARGUMENTS_MAX);
    ordered->exec = exec;
    ordered->call = call;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        ordered->place[i] = 0;
        for (uint32_t j = 0; j < i && ordered->place[i] == 0; j++)
            if (expr_equal(call->arguments[i], call->arguments[j]))
                ordered->place[i] = ordered->place[j];
        if (ordered->place[i] != 0)
            continue;
        ordered->place[i] = (uint8_t)count;
        types[count++] = call->arguments[i]->type;
    }
    rowset_init_types(&ordered->rows, types, count, exec->budget);
    exec_memory_init(&ordered->memory, exec->budget);
    return ordered;
}

void ordered_destroy(struct ordered *ordered)
{
    if (ordered == NULL)
        return;
    rowset_deinit(&ordered->rows);
    exec_memory_deinit(&ordered->memory);
    memory_free(ordered);
}

enum err ordered_add(struct ordered *ordered, const struct column *arguments, size_t row_count,
                     const uint32_t *group, uint32_t only, const uint32_t *selection, size_t count,
                     struct error *error)
{
    int64_t groups[VECTOR_ROWS_MAX];
    struct column columns[COLUMNS_MAX + 1];
    assert(row_count <= VECTOR_ROWS_MAX);
    for (size_t i = 0; i < row_count; i++)
        groups[i] = group != NULL ? group[i] : only;
    columns[0] = (struct column){.type = type_of(TYPE_INT8), .form = COLUMN_FLAT, .i = groups};
    for (uint32_t i = 0; i < ordered->call->argument_count; i++)
        columns[ordered->place[i]] = arguments[i];
    struct batch batch = {
        .row_count = row_count, .column_count = ordered->rows.column_count, .columns = columns};
    return rowset_append(&ordered->rows, &batch, selection, count, error);
}

enum err ordered_add_part(struct ordered *ordered, const struct ordered *from,
                          const uint8_t *part_of, unsigned part, struct error *error)
{
    const struct rowset *rows = &from->rows;
    struct column groups = rowset_column(rows, 0, 0), columns[COLUMNS_MAX + 1];
    struct batch all = {
        .row_count = rows->row_count, .column_count = rows->column_count, .columns = columns};
    uint32_t selection[VECTOR_ROWS_MAX];
    enum err err = OK;
    for (size_t i = 0; i < rows->column_count; i++)
        columns[i] = rowset_column(rows, i, 0);
    for (size_t row = 0; err == OK && row < rows->row_count;) {
        size_t count = 0;
        for (; row < rows->row_count && count < VECTOR_ROWS_MAX; row++) {
            selection[count] = (uint32_t)row;
            count += part_of[groups.i[row]] == part;
        }
        err = rowset_append(&ordered->rows, &all, selection, count, error);
    }
    return err;
}

size_t ordered_need(const struct ordered *ordered)
{
    return 2 * ordered->rows.row_count * sizeof(struct entry);
}

/* --- the sort --- */

static uint64_t entry_prefix(const struct ordered *ordered, size_t row)
{
    const struct aggregate_order *order = &ordered->call->orders[0];
    const struct column *key = &ordered->keys[0];
    if (column_is_null(key, row))
        return order->is_nulls_first ? 0 : UINT64_MAX;
    uint64_t prefix = sort_prefix(key, row);
    if (order->is_descending)
        prefix = ~prefix;
    return (uint64_t)1 << 62 | prefix >> 2;
}

static int compare_rows(const struct ordered *ordered, uint32_t a, uint32_t b)
{
    for (uint32_t k = 0; k < ordered->call->order_count; k++) {
        const struct aggregate_order *order = &ordered->call->orders[k];
        const struct column *key = &ordered->keys[k];
        bool a_null = column_is_null(key, a), b_null = column_is_null(key, b);
        if (a_null && b_null)
            continue;
        if (a_null || b_null)
            return a_null == order->is_nulls_first ? -1 : 1;
        struct value left = column_value(key, a), right = column_value(key, b);
        int result = value_compare(&left, &right);
        if (result != 0)
            return order->is_descending ? -result : result;
    }
    return 0;
}

static bool entry_after(const struct ordered *ordered, const struct entry *a, const struct entry *b)
{
    if (a->group != b->group)
        return a->group > b->group;
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    return compare_rows(ordered, a->row, b->row) > 0;
}

/* After so many entries were gone through. */
static enum err look(struct ordered *ordered, size_t count, struct error *error)
{
    ordered->unchecked += count;
    if (ordered->unchecked < EXEC_CHECK_ROWS || fault_is("ordered.sorts_blindly"))
        return OK;
    ordered->unchecked = 0;
    return exec_check(ordered->exec, error);
}

static void insertion_sort(const struct ordered *ordered, struct entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct entry entry = entries[i];
        size_t at = i;
        for (; at > 0 && entry_after(ordered, &entries[at - 1], &entry); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static enum err merge(struct ordered *ordered, const struct entry *left, size_t left_count,
                      const struct entry *right, size_t right_count, struct entry *out,
                      struct error *error)
{
    const struct entry *left_end = left + left_count, *right_end = right + right_count;
    enum err err = OK;
    while (err == OK && left < left_end && right < right_end) {
        const struct entry *begin = out;
        while (left < left_end && right < right_end && out - begin < (ptrdiff_t)EXEC_CHECK_ROWS)
            *out++ = entry_after(ordered, left, right) ? *right++ : *left++;
        err = look(ordered, (size_t)(out - begin), error);
    }
    if (err != OK)
        return err;
    size_t rest = (size_t)(left_end - left) + (size_t)(right_end - right);
    while (left < left_end)
        *out++ = *left++;
    while (right < right_end)
        *out++ = *right++;
    return look(ordered, rest, error);
}

/* Bottom-up and stable; both arrays have `count` entries. *sorted is the one that has the result.
 */
static enum err sort_entries(struct ordered *ordered, struct entry *entries, struct entry *other,
                             size_t count, struct entry **sorted, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < count; i += RUN_ROWS) {
        size_t part = count - i < RUN_ROWS ? count - i : RUN_ROWS;
        insertion_sort(ordered, entries + i, part);
        err = look(ordered, part, error);
    }
    for (size_t width = RUN_ROWS; err == OK && width < count; width *= 2) {
        for (size_t i = 0; err == OK && i < count; i += 2 * width) {
            size_t left = count - i < width ? count - i : width;
            size_t right = count - i - left < width ? count - i - left : width;
            err = merge(ordered, entries + i, left, entries + i + left, right, other + i, error);
        }
        struct entry *swap = entries;
        entries = other;
        other = swap;
    }
    *sorted = entries;
    return err;
}

/* --- the end --- */

static enum err feed(struct ordered *ordered, const struct entry *entries, size_t count,
                     char *states, size_t stride, struct aggregate_memory *memory,
                     struct error *error)
{
    const struct aggregate_call *call = ordered->call;
    uint32_t group[VECTOR_ROWS_MAX], rows[VECTOR_ROWS_MAX];
    struct column arguments[COLUMNS_MAX];
    uint32_t argument_count = call->argument_count - call->order_count;
    for (size_t i = 0; i < count; i++) {
        group[i] = entries[i].group;
        rows[i] = entries[i].row;
    }
    arena_reset(&ordered->rows.scratch);
    for (uint32_t i = 0; i < argument_count; i++) {
        struct column all = rowset_column(&ordered->rows, ordered->place[i], 0);
        arguments[i] = column_gather(&all, rows, count, &ordered->rows.scratch);
    }
    return call->aggregate->update(states, stride, group, NULL, count, arguments, memory, error);
}

enum err ordered_finish(struct ordered *ordered, char *states, size_t stride,
                        struct aggregate_memory *memory, struct exec_memory *charge,
                        struct error *error)
{
    const struct aggregate_call *call = ordered->call;
    size_t count = ordered->rows.row_count, capacity = 0;
    struct entry *entries = NULL, *sorted = NULL;
    enum err err = exec_memory_grow(&ordered->memory, (void **)&entries, &capacity, 2 * count + 1,
                                    sizeof(*entries), error);
    struct column groups = rowset_column(&ordered->rows, 0, 0);
    for (uint32_t k = 0; k < call->order_count; k++)
        ordered->keys[k] = rowset_column(
            &ordered->rows, ordered->place[call->argument_count - call->order_count + k], 0);
    for (size_t i = 0; err == OK && i < count; i++) {
        entries[i] = (struct entry){entry_prefix(ordered, i), (uint32_t)groups.i[i], (uint32_t)i};
        if (i % EXEC_CHECK_ROWS == EXEC_CHECK_ROWS - 1)
            err = look(ordered, EXEC_CHECK_ROWS, error);
    }
    if (err == OK)
        err = sort_entries(ordered, entries, entries + count, count, &sorted, error);
    for (size_t i = 0; err == OK && i < count; i += VECTOR_ROWS_MAX) {
        size_t part = count - i < VECTOR_ROWS_MAX ? count - i : VECTOR_ROWS_MAX;
        err = feed(ordered, sorted + i, part, states, stride, memory, error);
        if (err == OK)
            err = exec_memory_settle(charge, error);
        if (err == OK)
            err = exec_check(ordered->exec, error);
    }
    exec_memory_release(&ordered->memory, entries, capacity * sizeof(*entries));
    rowset_deinit(&ordered->rows);
    return err;
}
