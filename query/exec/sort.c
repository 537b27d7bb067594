/* ORDER BY, and top-N where a limit is known.
 *
 * Rows and their evaluated keys are kept in two rowsets. Each row gets a 16-byte entry: where NULL
 * stands, the first eight bytes of the first key in an order-preserving form, and the row number.
 * Entries are merge sorted; only equal prefixes look at the keys themselves. The sort is stable:
 * rows with equal keys stay in the order they came in.
 *
 * Top-N: once the kept rows reach max(4 N, 8,192) they are sorted, cut to N, and the Nth entry
 * becomes the bound; a later row whose entry is above the bound is dropped before it is copied.
 * Where the first key is the event time of a scan the bound is the scan's too.
 * ORDER BY ts DESC LIMIT 100 over millions of rows keeps a few thousand. Memory is charged as rows
 * are kept; a sort past the query's limit fails with 53200. */
#include "query/exec/heads.h"
#include "query/exec/rowset.h"

#include <string.h>

#define TOP_ROWS_MIN 8192
/* Over a scan in time order the bound is worth more: it ends the scan. So it is renewed after so
 * many batches, once twice the rows wanted are there. */
#define TOP_BATCHES 8

struct sort_entry {
    uint64_t prefix;
    uint32_t null_rank; /* of the first key: 0 NULLs before, 1 values, 2 NULLs after */
    uint32_t row;
};

struct sort {
    struct rowset rows, keys;
    struct heads heads;
    struct evaluator **exprs;
    int64_t limit, offset;
    size_t top; /* rows wanted; SIZE_MAX: all */
    struct sort_entry *entries;
    size_t entry_capacity;
    size_t entry_count;
    struct exec_memory memory; /* of the entries */
    bool has_bound, is_sorted;
    struct sort_entry bound;
    struct exec_node *time_scan; /* the scan below whose event time is the first key, NULL: none */
    size_t next;
};

/* The scan whose event time a key is, through projections and filters; NULL if it is something
 * else, or may be NULL: bounds of morsels say nothing of NULLs. */
static struct exec_node *find_time_scan(const struct exec_node *sort, size_t key_index)
{
    const struct expr *key = sort->plan->sort.keys[key_index].expr;
    struct exec_node *node = sort->children[0];
    for (; key->kind == EXPR_COLUMN; node = node->children[0]) {
        const struct plan *plan = node->plan;
        if (plan->kind == PLAN_SCAN) {
            const struct schema *schema = plan->scan.schema;
            uint32_t column = plan->scan.columns[key->column];
            bool is_time =
                (int64_t)column == schema->time_column && schema->columns[column].is_not_null;
            return is_time ? node : NULL;
        }
        if (plan->kind == PLAN_PROJECT)
            key = plan->project.exprs[key->column];
        else if (plan->kind != PLAN_FILTER)
            return NULL;
    }
    return NULL;
}

/* Rows that come first are met first where that can be had. */
static void open_heads(struct exec_node *node, const struct type *types)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    heads_init(&sort->heads, plan, types, node->exec->budget);
    struct exec_node *scan =
        plan->sort.has_head_order ? find_time_scan(node, plan->sort.head_keys) : NULL;
    if (scan != NULL)
        exec_scan_follow_order(scan, plan->sort.keys[plan->sort.head_keys].is_descending);
}

static enum err sort_open(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    const struct plan *child = plan->children[0];
    exec_memory_init(&sort->memory, node->exec->budget);
    rowset_init(&sort->rows, child->columns, child->column_count, node->exec->budget);
    struct expr **exprs =
        arena_alloc_array(&node->exec->arena, plan->sort.key_count, sizeof(*exprs));
    struct type *types =
        arena_alloc_array(&node->exec->arena, plan->sort.key_count, sizeof(*types));
    for (size_t i = 0; i < plan->sort.key_count; i++) {
        exprs[i] = plan->sort.keys[i].expr;
        types[i] = exprs[i]->type;
    }
    rowset_init_types(&sort->keys, types, plan->sort.key_count, node->exec->budget);
    sort->exprs = exec_evaluators(node->exec, exprs, plan->sort.key_count);
    enum err err = exec_row_limit(node->exec, plan->sort.limit, false, &sort->limit, error);
    if (err == OK)
        err = exec_row_limit(node->exec, plan->sort.offset, true, &sort->offset, error);
    if (sort->offset < 0)
        sort->offset = 0;
    sort->top = SIZE_MAX;
    if (sort->limit >= 0 && sort->limit < INT64_MAX / 4 && sort->offset < INT64_MAX / 4)
        sort->top = (size_t)(sort->limit + sort->offset);
    if (sort->top != SIZE_MAX) {
        sort->time_scan = find_time_scan(node, 0);
        if (sort->time_scan != NULL)
            exec_scan_follow_order(sort->time_scan, plan->sort.keys[0].is_descending);
    }
    if (err == OK && plan->sort.head_rows > 0 && sort->top == SIZE_MAX)
        open_heads(node, types);
    return err;
}

/* --- entries --- */

static uint64_t text_prefix(struct slice text)
{
    unsigned char bytes[8] = {0};
    memcpy(bytes, text.data == NULL ? "" : text.data, text.size < 8 ? text.size : 8);
    uint64_t word;
    memcpy(&word, bytes, 8);
    return __builtin_bswap64(word);
}

uint64_t sort_prefix(const struct column *column, size_t row)
{
    switch (type_physical(column->type.id)) {
    case PHYSICAL_BOOL:
        return column->b[column_index(column, row)];
    case PHYSICAL_INT:
        return (uint64_t)column->i[column_index(column, row)] ^ (uint64_t)1 << 63;
    case PHYSICAL_FLOAT: {
        double f = column->f[column_index(column, row)];
        if (f != f)
            return UINT64_MAX;
        f += 0.0; /* -0 is 0 */
        uint64_t word;
        memcpy(&word, &f, 8);
        return word >> 63 != 0 ? ~word : word | (uint64_t)1 << 63;
    }
    case PHYSICAL_TEXT:
        if (column->type.id == TYPE_TEXT_ARRAY || column->type.id == TYPE_INT8_ARRAY)
            return 0;
        return text_prefix(column_text(column, row));
    case PHYSICAL_NUMERIC:
    case PHYSICAL_INTERVAL:
        break;
    }
    return 0;
}

static struct sort_entry make_entry(const struct sort_key *key, const struct column *column,
                                    size_t row)
{
    struct sort_entry entry = {.null_rank = 1, .row = (uint32_t)row};
    if (column_is_null(column, row))
        entry.null_rank = key->is_nulls_first ? 0 : 2;
    else
        entry.prefix = sort_prefix(column, row);
    if (key->is_descending && entry.null_rank == 1)
        entry.prefix = ~entry.prefix;
    return entry;
}

/* The order of one key's values, neither NULL. Integers and texts without making values of them. */
static int compare_values(const struct column *column, uint32_t a, uint32_t b)
{
    if (column->type.id == TYPE_TEXT || column->type.id == TYPE_VARCHAR)
        return slice_compare(column_text(column, a), column_text(column, b));
    if (type_physical(column->type.id) == PHYSICAL_INT) {
        int64_t left = column->i[column_index(column, a)];
        int64_t right = column->i[column_index(column, b)];
        return (left > right) - (left < right);
    }
    struct value left = column_value(column, a), right = column_value(column, b);
    return value_compare(&left, &right);
}

/* Rows whose entries are equal, by all keys. */
static int compare_rows(const struct exec_node *node, const struct column *keys, size_t first_key,
                        uint32_t a, uint32_t b)
{
    const struct plan *plan = node->plan;
    for (size_t k = first_key; k < plan->sort.key_count; k++) {
        const struct sort_key *key = &plan->sort.keys[k];
        bool a_null = column_is_null(&keys[k], a), b_null = column_is_null(&keys[k], b);
        if (a_null || b_null) {
            if (a_null && b_null)
                continue;
            return a_null == key->is_nulls_first ? -1 : 1;
        }
        int order = compare_values(&keys[k], a, b);
        if (order != 0)
            return key->is_descending ? -order : order;
    }
    return 0;
}

struct sorter {
    const struct exec_node *node;
    struct column *keys;
    bool is_exact; /* one key whose prefix is its whole order */
    size_t first;  /* the first key that entries do not decide alone */
};

static bool entry_after(const struct sorter *sorter, const struct sort_entry *a,
                        const struct sort_entry *b)
{
    if (a->null_rank != b->null_rank)
        return a->null_rank > b->null_rank;
    if (a->prefix != b->prefix)
        return a->prefix > b->prefix;
    return !sorter->is_exact &&
           compare_rows(sorter->node, sorter->keys, sorter->first, a->row, b->row) > 0;
}

static void insertion_sort(const struct sorter *sorter, struct sort_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sort_entry entry = entries[i];
        size_t at = i;
        for (; at > 0 && entry_after(sorter, &entries[at - 1], &entry); at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static void merge(const struct sorter *sorter, const struct sort_entry *left, size_t left_count,
                  const struct sort_entry *right, size_t right_count, struct sort_entry *out)
{
    const struct sort_entry *left_end = left + left_count, *right_end = right + right_count;
    if (left_count != 0 && right_count != 0 && !entry_after(sorter, left_end - 1, right)) {
        memcpy(out, left, left_count * sizeof(*out)); /* rows that come nearly sorted */
        memcpy(out + left_count, right, right_count * sizeof(*out));
        return;
    }
    while (left < left_end && right < right_end)
        *out++ = entry_after(sorter, left, right) ? *right++ : *left++;
    while (left < left_end)
        *out++ = *left++;
    while (right < right_end)
        *out++ = *right++;
}

#define RUN_ROWS 16

/* Bottom-up merge sort; the flags are looked at every 64 Ki entries. */
static enum err merge_sort(struct exec_node *node, const struct sorter *sorter,
                           struct sort_entry *entries, size_t count, struct error *error)
{
    struct sort *sort = node->state;
    struct sort_entry *other = NULL, *from = entries;
    size_t capacity = 0, unchecked = 0;
    enum err err =
        exec_memory_grow(&sort->memory, (void **)&other, &capacity, count, sizeof(*other), error);
    for (size_t i = 0; i < count; i += RUN_ROWS)
        insertion_sort(sorter, entries + i, count - i < RUN_ROWS ? count - i : RUN_ROWS);
    struct sort_entry *to = other;
    for (size_t width = RUN_ROWS; err == OK && width < count; width *= 2) {
        for (size_t i = 0; err == OK && i < count; i += 2 * width) {
            size_t left = count - i < width ? count - i : width;
            size_t right = count - i - left < width ? count - i - left : width;
            merge(sorter, from + i, left, from + i + left, right, to + i);
            unchecked += left + right;
            if (unchecked >= EXEC_CHECK_ROWS) {
                err = exec_check(node->exec, error);
                unchecked = 0;
            }
        }
        struct sort_entry *swap = from;
        from = to;
        to = swap;
    }
    if (err == OK && from != entries)
        memcpy(entries, from, count * sizeof(*entries));
    memory_free(other);
    if (capacity != 0)
        budget_release(node->exec->budget, capacity * sizeof(*other));
    return err;
}

static struct sorter make_sorter(const struct exec_node *node, struct column *keys)
{
    const struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    struct sorter sorter = {.node = node, .keys = keys};
    for (size_t i = 0; i < plan->sort.key_count; i++)
        keys[i] = rowset_column(&sort->keys, i, 0);
    if (plan->sort.key_count != 0) {
        enum physical physical = type_physical(keys[0].type.id);
        bool is_whole =
            physical == PHYSICAL_BOOL || physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT;
        sorter.is_exact = is_whole && plan->sort.key_count == 1;
        sorter.first = is_whole ? 1 : 0;
    }
    return sorter;
}

static enum err sort_rows(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    struct column *keys = memory_alloc((node->plan->sort.key_count + 1) * sizeof(*keys));
    struct sorter sorter = make_sorter(node, keys);
    enum err err = merge_sort(node, &sorter, sort->entries, sort->entry_count, error);
    memory_free(keys);
    return err;
}

/* Sorts what is kept and cuts it to the rows wanted: these are then rows 0 … top - 1 in order. */
static enum err cut_to_top(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    enum err err = sort_rows(node, error);
    if (err != OK || sort->entry_count <= sort->top)
        return err;
    uint32_t *selection = memory_alloc((sort->top + 1) * sizeof(*selection));
    for (size_t i = 0; i < sort->top; i++) {
        selection[i] = sort->entries[i].row;
        sort->entries[i].row = (uint32_t)i;
    }
    err = rowset_compact(&sort->rows, selection, sort->top, error);
    if (err == OK)
        err = rowset_compact(&sort->keys, selection, sort->top, error);
    memory_free(selection);
    sort->entry_count = sort->top;
    if (sort->top != 0) {
        sort->bound = sort->entries[sort->top - 1];
        sort->has_bound = true;
    }
    if (err == OK && sort->time_scan != NULL && sort->has_bound && sort->bound.null_rank == 1) {
        struct column times = rowset_column(&sort->keys, 0, 0);
        exec_scan_bound(sort->time_scan, times.i[sort->top - 1]);
    }
    return err;
}

/* The rows that may still be among the top: a later row equal to the bound loses against it only if
 * the first key decides alone, so equal entries are kept. */
static size_t keep_below_bound(const struct sort *sort, const struct sort_key *key,
                               const struct column *column, size_t count, uint32_t *selection)
{
    size_t kept = 0;
    for (size_t row = 0; row < count; row++) {
        struct sort_entry entry = make_entry(key, column, row);
        selection[kept] = (uint32_t)row;
        kept += entry.null_rank < sort->bound.null_rank ||
                (entry.null_rank == sort->bound.null_rank && entry.prefix <= sort->bound.prefix);
    }
    return kept;
}

static enum err add_rows(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct sort *sort = node->state;
    size_t key_count = node->plan->sort.key_count, count = in->row_count;
    struct column *keys = arena_alloc_array(&node->scratch, key_count, sizeof(*keys));
    uint32_t selected[VECTOR_ROWS_MAX + 1], *selection = NULL;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < key_count; i++)
        err = evaluator_run(sort->exprs[i], in, NULL, 0, &keys[i], error);
    if (err == OK && sort->has_bound) {
        count = keep_below_bound(sort, &node->plan->sort.keys[0], &keys[0], count, selected);
        selection = selected;
    } else if (err == OK && heads_keep(&sort->heads, keys, in->row_count, selected, &count)) {
        selection = selected;
    }
    if (err != OK || count == 0)
        return err;
    size_t first = sort->rows.row_count;
    struct batch key_batch = {
        .row_count = in->row_count, .column_count = key_count, .columns = keys};
    err = exec_memory_grow(&sort->memory, (void **)&sort->entries, &sort->entry_capacity,
                           first + count, sizeof(*sort->entries), error);
    if (err == OK)
        err = rowset_append(&sort->rows, in, selection, count, error);
    if (err == OK)
        err = rowset_append(&sort->keys, &key_batch, selection, count, error);
    for (size_t i = 0; err == OK && i < count; i++) {
        size_t row = selection != NULL ? selection[i] : i;
        struct sort_entry entry = make_entry(&node->plan->sort.keys[0], &keys[0], row);
        entry.row = (uint32_t)(first + i);
        sort->entries[sort->entry_count++] = entry;
    }
    return err;
}

static enum err read_rows(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    size_t unchecked = 0, cut_rows = SIZE_MAX, batches = 0;
    if (sort->top < (SIZE_MAX >> 4))
        cut_rows = sort->top * 4 > TOP_ROWS_MIN ? sort->top * 4 : TOP_ROWS_MIN;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err != OK || in.row_count == 0)
            return err;
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        arena_reset(&node->scratch);
        err = add_rows(node, &in, error);
        bool is_due = sort->time_scan != NULL && ++batches >= TOP_BATCHES &&
                      sort->entry_count / 2 >= sort->top;
        if (err == OK && (sort->entry_count >= cut_rows || is_due)) {
            err = cut_to_top(node, error);
            batches = 0;
        }
        unchecked += in.row_count;
        if (err == OK && unchecked >= EXEC_CHECK_ROWS) {
            err = exec_check(node->exec, error);
            unchecked = 0;
        }
        if (err != OK)
            return err;
    }
}

static enum err sort_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct sort *sort = node->state;
    if (!sort->is_sorted) {
        enum err err = read_rows(node, error);
        if (err == OK)
            err = sort_rows(node, error);
        if (err != OK)
            return err;
        sort->is_sorted = true;
        sort->next = (size_t)sort->offset;
        if (sort->entry_count > sort->top)
            sort->entry_count = sort->top;
    }
    if (sort->next >= sort->entry_count)
        return OK;
    enum err err = exec_check(node->exec, error);
    size_t count = sort->entry_count - sort->next;
    if (count > VECTOR_ROWS_MAX)
        count = VECTOR_ROWS_MAX;
    arena_reset(&node->scratch);
    uint32_t *selection = arena_alloc_array(&node->scratch, count, sizeof(*selection));
    for (size_t i = 0; i < count; i++)
        selection[i] = sort->entries[sort->next + i].row;
    struct column *columns =
        arena_alloc_array(&node->scratch, node->plan->column_count, sizeof(*columns));
    for (size_t i = 0; i < node->plan->column_count; i++) {
        struct column all = rowset_column(&sort->rows, i, 0);
        columns[i] = column_gather(&all, selection, count, &node->scratch);
    }
    sort->next += count;
    *out = (struct batch){
        .row_count = count, .column_count = node->plan->column_count, .columns = columns};
    return err;
}

static void sort_close(struct exec_node *node)
{
    struct sort *sort = node->state;
    if (sort->memory.budget == NULL)
        return;
    exec_evaluators_destroy(sort->exprs, node->plan->sort.key_count);
    rowset_deinit(&sort->rows);
    rowset_deinit(&sort->keys);
    heads_deinit(&sort->heads);
    memory_free(sort->entries);
    if (sort->entry_capacity != 0)
        budget_release(node->exec->budget, sort->entry_capacity * sizeof(*sort->entries));
    exec_memory_deinit(&sort->memory);
}

const struct exec_operator exec_sort_operator = {
    .name = "sort",
    .state_size = sizeof(struct sort),
    .open = sort_open,
    .next = sort_next,
    .close = sort_close,
};
