/* ORDER BY, and top-N where a limit is known.
 *
 * Rows are kept with those of their keys that are not columns already. Each row gets a 16-byte
 * entry: where NULL stands, the first eight bytes of the first key in an order-preserving form, and
 * the row number. sort_entries.c puts them in order; only equal prefixes look at the keys
 * themselves. Rows with equal keys stay in the order they came in.
 *
 * Top-N: once the kept rows reach max(4 N, 2,048) they are sorted, cut to N, and the Nth entry
 * becomes the bound; a later row whose entry is above the bound is dropped before it is copied.
 * Where the first key is the event time of a scan, or a column of it, the bound is the scan's too
 * (top.c).
 * ORDER BY ts DESC LIMIT 100 over millions of rows keeps a few thousand. Columns that nothing needs
 * before it is known which rows come out are read then (late.c).
 *
 * Memory is charged as rows are kept. Where the next ones would be too many the rows kept are
 * sorted and put aside as a run (sort_merge.c); without a place to put them a sort past the query's
 * limit fails with 53200. */
#include "query/exec/sort.h"
#include "query/exec/top.h"
#include "query/plan/rewrite.h"

#include "storage/base/fault.h"

#include <string.h>

#define TOP_ROWS_MIN 2048
#define ROWS_SHARE 16 /* of the query's memory: texts of rows that are kept at once */
/* Over a scan in time order the bound is worth more: it ends the scan. So it is renewed after so
 * many batches, once twice the rows wanted are there. */
#define TOP_BATCHES 8
#define TOP_TOLD_MAX 4096 /* rows wanted: sorting more again and again costs what is won */

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
static void open_heads(struct exec_node *node)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    size_t count = plan->sort.key_count;
    struct type *types = arena_alloc_array(&node->exec->arena, count, sizeof(*types));
    for (size_t i = 0; i < count; i++)
        types[i] = sort->types[sort->places[i]];
    heads_init(&sort->heads, plan, types, node->exec->budget);
    struct exec_node *scan =
        plan->sort.has_head_order ? find_time_scan(node, plan->sort.head_keys) : NULL;
    if (scan != NULL)
        exec_scan_follow_order(scan, plan->sort.keys[plan->sort.head_keys].is_descending);
}

static void add_column(struct sort *sort, struct type type, uint32_t *place)
{
    *place = (uint32_t)sort->column_count;
    sort->types[sort->column_count++] = type;
}

/* Columns of the rows kept: the child's but those that come late, behind them the keys that are
 * none of these, and the rows' numbers if some come late. */
static void place_keys(struct exec_node *node)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan, *child = plan->children[0];
    struct arena *arena = &node->exec->arena;
    size_t key_count = plan->sort.key_count, room = child->column_count + key_count + 1;
    struct expr **exprs = arena_alloc_zero(arena, (key_count + 1) * sizeof(*exprs));
    sort->types = arena_alloc_array(arena, room, sizeof(*sort->types));
    sort->places = arena_alloc_array(arena, key_count + 1, sizeof(*sort->places));
    sort->slots = arena_alloc_array(arena, child->column_count, sizeof(*sort->slots));
    for (size_t i = 0; i < child->column_count; i++) {
        sort->slots[i] = SORT_LATE;
        if (sort->late.count == 0 || !sort->late.is_late[i])
            add_column(sort, child->columns[i].type, &sort->slots[i]);
    }
    for (size_t i = 0; i < key_count; i++) {
        struct expr *key = plan->sort.keys[i].expr;
        if (key->kind == EXPR_COLUMN) {
            sort->places[i] = sort->slots[key->column];
            continue;
        }
        add_column(sort, key->type, &sort->places[i]);
        exprs[i] = key;
    }
    if (sort->numbered != NULL)
        add_column(sort, type_of(TYPE_INT8), &sort->number_place);
    sort->exprs = exec_evaluators(node->exec, exprs, key_count);
    rowset_init_types(&sort->rows, sort->types, sort->column_count, node->exec->budget);
}

/* One key more: rows equal in all others come as they lie in the table. */
static void order_by_place(struct exec_node *node)
{
    struct sort *sort = node->state;
    size_t count = sort->order.key_count;
    struct sort_key *keys = arena_alloc_zero(&node->exec->arena, (count + 1) * sizeof(*keys));
    memcpy(keys, sort->order.keys, count * sizeof(*keys));
    sort->places[count] = sort->number_place;
    sort->order.keys = keys;
    sort->order.key_count = fault_is("topn.order_of_blocks") ? count : count + 1;
    sort->order.is_exact = false;
}

static void make_order(struct exec_node *node)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    sort->order = (struct sort_order){
        .keys = plan->sort.keys, .key_count = plan->sort.key_count, .places = sort->places};
    if (plan->sort.key_count == 0)
        return;
    enum physical physical = type_physical(sort->types[sort->places[0]].id);
    bool is_whole =
        physical == PHYSICAL_BOOL || physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT;
    sort->order.is_exact = is_whole && plan->sort.key_count == 1;
    sort->order.first = is_whole ? 1 : 0;
    if (sort->is_by_place)
        order_by_place(node);
}

/* The scan right below, or below a projection, if rows may be kept from what stands between it and
 * here: none of that raises. *column: of the scan's output, which the first key is. */
static struct exec_node *find_top_scan(const struct exec_node *sort, uint32_t *column)
{
    const struct plan *plan = sort->plan;
    struct exec_node *child = sort->children[0], *scan = child;
    bool is_safe = plan->sort.keys[0].expr->kind == EXPR_COLUMN;
    for (size_t i = 1; i < plan->sort.key_count; i++)
        is_safe = is_safe && plan_is_safe(plan->sort.keys[i].expr);
    if (!is_safe)
        return NULL;
    *column = plan->sort.keys[0].expr->column;
    if (child->plan->kind == PLAN_PROJECT) {
        scan = child->children[0];
        for (size_t i = 0; i < child->plan->column_count; i++)
            is_safe = is_safe && plan_is_safe(child->plan->project.exprs[i]);
        const struct expr *key = child->plan->project.exprs[*column];
        is_safe = is_safe && key->kind == EXPR_COLUMN;
        *column = key->column;
    }
    if (!is_safe || scan->plan->kind != PLAN_SCAN)
        return NULL;
    const struct expr *filter = scan->plan->scan.filter;
    return filter == NULL || plan_is_safe(filter) ? scan : NULL;
}

/* Tells the scan of the first key. */
static enum err open_bound(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    uint32_t column;
    struct exec_node *scan = find_top_scan(node, &column);
    if (scan == NULL || !top_has_bound(scan->plan->columns[column].type))
        return OK;
    const struct schema *schema = scan->plan->scan.schema;
    struct top_key key = {
        .column = column,
        .is_descending = plan->sort.keys[0].is_descending,
        .is_nulls_first = plan->sort.keys[0].is_nulls_first,
        .is_only = plan->sort.key_count == 1,
        .is_not_null = schema->columns[scan->plan->scan.columns[column]].is_not_null,
    };
    enum err err = exec_scan_top(scan, &key, sort->time_scan != NULL, error);
    sort->top_scan = scan;
    sort->is_by_place = key.is_by_place;
    if (key.is_by_place)
        sort->numbered = scan;
    return err;
}

/* How many rows are wanted, and what follows from few of them. */
static enum err open_top(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    const struct plan *plan = node->plan;
    enum err err = exec_row_limit(node->exec, plan->sort.limit, false, &sort->limit, error);
    if (err == OK)
        err = exec_row_limit(node->exec, plan->sort.offset, true, &sort->offset, error);
    if (sort->offset < 0)
        sort->offset = 0;
    sort->top = SIZE_MAX;
    if (sort->limit >= 0 && sort->limit < INT64_MAX / 4 && sort->offset < INT64_MAX / 4)
        sort->top = (size_t)(sort->limit + sort->offset);
    if (err != OK || sort->top == SIZE_MAX)
        return err;
    sort->time_scan = find_time_scan(node, 0);
    if (sort->time_scan != NULL)
        exec_scan_follow_order(sort->time_scan, plan->sort.keys[0].is_descending);
    late_open(node, sort->top, &sort->late);
    sort->numbered = sort->late.scan;
    if (sort->top != 0 && plan->sort.key_count != 0)
        err = open_bound(node, error);
    if (sort->numbered != NULL)
        exec_scan_number_rows(sort->numbered);
    return err;
}

static enum err sort_open(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    exec_memory_init(&sort->memory, node->exec->budget);
    enum err err = open_top(node, error);
    place_keys(node);
    make_order(node);
    if (err == OK && node->plan->sort.head_rows > 0 && sort->top == SIZE_MAX)
        open_heads(node);
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
        if (type_is_array((enum type_id)column->type.id))
            return 0;
        return text_prefix(column_text(column, row));
    case PHYSICAL_NUMERIC:
    case PHYSICAL_INTERVAL:
        break;
    }
    return 0;
}

struct sort_entry sort_make_entry(const struct sort_key *key, const struct column *column,
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
static int compare_values(const struct column *a_column, uint32_t a, const struct column *b_column,
                          uint32_t b)
{
    if (a_column->type.id == TYPE_TEXT || a_column->type.id == TYPE_VARCHAR)
        return slice_compare(column_text(a_column, a), column_text(b_column, b));
    if (type_physical(a_column->type.id) == PHYSICAL_INT) {
        int64_t left = a_column->i[column_index(a_column, a)];
        int64_t right = b_column->i[column_index(b_column, b)];
        return (left > right) - (left < right);
    }
    struct value left = column_value(a_column, a), right = column_value(b_column, b);
    return value_compare(&left, &right);
}

int sort_compare_rows(const struct sort_order *order, const struct column *a_columns, uint32_t a,
                      const struct column *b_columns, uint32_t b)
{
    for (size_t k = order->first; k < order->key_count; k++) {
        const struct sort_key *key = &order->keys[k];
        const struct column *left = &a_columns[order->places[k]];
        const struct column *right = &b_columns[order->places[k]];
        bool a_null = column_is_null(left, a), b_null = column_is_null(right, b);
        if (a_null || b_null) {
            if (a_null && b_null)
                continue;
            return a_null == key->is_nulls_first ? -1 : 1;
        }
        int result = compare_values(left, a, right, b);
        if (result != 0)
            return key->is_descending ? -result : result;
    }
    return 0;
}

/* Those wanted: the others are behind them, in any order. */
static enum err sort_rows(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    struct sort_entry *spare = NULL;
    size_t capacity = 0;
    enum err err = exec_memory_grow(&sort->memory, (void **)&spare, &capacity, sort->entry_count,
                                    sizeof(*spare), error);
    if (err != OK)
        return err;
    struct column *columns = memory_alloc((sort->column_count + 1) * sizeof(*columns));
    for (size_t i = 0; i < sort->column_count; i++)
        columns[i] = rowset_column(&sort->rows, i, 0);
    err = sort_entries(node->exec, &sort->order, columns, sort->entries, sort->entry_count,
                       sort->top, spare, error);
    memory_free(columns);
    exec_memory_release(&sort->memory, spare, capacity * sizeof(*spare));
    return err;
}

/* Of sorted rows the last one wanted is the bound, if there are so many; rows[row] is it. */
static void set_bound(struct sort *sort)
{
    if (sort->top == 0 || sort->entry_count < sort->top)
        return;
    sort->bound = sort->entries[sort->top - 1];
    sort->has_bound = true;
    if (sort->time_scan != NULL && sort->bound.null_rank == 1) {
        struct column times = rowset_column(&sort->rows, sort->places[0], 0);
        exec_scan_bound(sort->time_scan, times.i[sort->bound.row]);
    }
    if (sort->top_scan != NULL) {
        struct column keys = rowset_column(&sort->rows, sort->places[0], 0);
        struct value worst = column_value(&keys, sort->bound.row);
        int64_t row = 0;
        if (sort->is_by_place)
            row = rowset_column(&sort->rows, sort->number_place, 0).i[sort->bound.row];
        exec_scan_worst(sort->top_scan, &worst, (uint64_t)row);
    }
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
    memory_free(selection);
    sort->entry_count = sort->top;
    if (err == OK)
        set_bound(sort);
    return err;
}

/* keep_below_bound() of integers, none NULL. */
static size_t keep_ints(const struct sort *sort, const struct sort_key *key, const int64_t *values,
                        size_t count, uint32_t *selection)
{
    uint64_t flip = ((uint64_t)1 << 63) ^ (key->is_descending ? UINT64_MAX : 0);
    uint64_t bound = sort->bound.prefix - fault_is("sort.bound");
    size_t kept = 0;
    for (size_t row = 0; row < count; row++) {
        selection[kept] = (uint32_t)row;
        kept += ((uint64_t)values[row] ^ flip) <= bound;
    }
    return kept;
}

/* The rows that may still be among the top: a later row equal to the bound loses against it only if
 * the first key decides alone, so equal entries are kept. */
static size_t keep_below_bound(const struct sort *sort, const struct sort_key *key,
                               const struct column *column, size_t count, uint32_t *selection)
{
    size_t kept = 0;
    if (type_physical((enum type_id)column->type.id) == PHYSICAL_INT &&
        column->form == COLUMN_FLAT && column->validity == NULL && sort->bound.null_rank == 1)
        return keep_ints(sort, key, column->i, count, selection);
    for (size_t row = 0; row < count; row++) {
        struct sort_entry entry = sort_make_entry(key, column, row);
        selection[kept] = (uint32_t)row;
        kept += entry.null_rank < sort->bound.null_rank ||
                (entry.null_rank == sort->bound.null_rank && entry.prefix <= sort->bound.prefix);
    }
    return kept;
}

/* Rows and keys of a batch as columns of the rows kept. */
static enum err make_columns(struct exec_node *node, const struct batch *in, struct batch *out,
                             struct error *error)
{
    struct sort *sort = node->state;
    struct column *columns =
        arena_alloc_array(&node->scratch, sort->column_count + 1, sizeof(*columns));
    for (size_t i = 0; i < in->column_count; i++)
        if (sort->slots[i] != SORT_LATE)
            columns[sort->slots[i]] = in->columns[i];
    *out = (struct batch){
        .row_count = in->row_count, .column_count = sort->column_count, .columns = columns};
    enum err err = OK;
    for (size_t i = 0; err == OK && i < node->plan->sort.key_count; i++)
        if (sort->exprs[i] != NULL)
            err = evaluator_run(sort->exprs[i], in, NULL, 0, &columns[sort->places[i]], error);
    if (sort->numbered != NULL)
        columns[sort->number_place] = *exec_scan_row_numbers(sort->numbered);
    return err;
}

/* Makes room for so many rows more: by putting aside what is there, if need be. Sorting takes a
 * second array of entries. */
static enum err make_room(struct exec_node *node, const struct batch *in, const uint32_t *selection,
                          size_t count, struct error *error)
{
    struct sort *sort = node->state;
    size_t total = sort->entry_count + count, entry_size = sizeof(*sort->entries);
    size_t need = rowset_growth(&sort->rows, in, selection, count) + total * entry_size;
    if (total > sort->entry_capacity)
        need += (total > 2 * sort->entry_capacity ? total : sort->entry_capacity) * entry_size;
    need += total * sort->room_row_bytes;
    size_t own = rowset_size(&sort->rows) + sort->entry_count * entry_size;
    if (!spill_is_due(node->exec, own, need))
        return OK;
    enum err err = sort_rows(node, error);
    if (err != OK)
        return err;
    set_bound(sort);
    return sort_spill_run(node, error);
}

void exec_sort_leave_room(struct exec_node *node, size_t row_bytes)
{
    struct sort *sort = node->state;
    sort->room_row_bytes = row_bytes;
}

static enum err keep_rows(struct exec_node *node, const struct batch *rows,
                          const uint32_t *selection, size_t count, struct error *error)
{
    struct sort *sort = node->state;
    enum err err = make_room(node, rows, selection, count, error);
    size_t first = sort->rows.row_count;
    if (err == OK)
        err = exec_memory_grow(&sort->memory, (void **)&sort->entries, &sort->entry_capacity,
                               first + count, sizeof(*sort->entries), error);
    if (err == OK)
        err = rowset_append(&sort->rows, rows, selection, count, error);
    for (size_t i = 0; err == OK && i < count; i++) {
        size_t row = selection != NULL ? selection[i] : i;
        struct sort_entry entry =
            sort_make_entry(&sort->order.keys[0], &rows->columns[sort->places[0]], row);
        entry.row = (uint32_t)(first + i);
        sort->entries[sort->entry_count++] = entry;
    }
    return err;
}

/* So many of these rows that what they take of a small memory is a small part of it. */
static size_t cut_rows(const struct exec_node *node, const struct batch *rows,
                       const uint32_t *selection, size_t count)
{
    const struct sort *sort = node->state;
    size_t share = node->exec->budget->limit / ROWS_SHARE;
    while (count > 1 && spill_is_on(node->exec) &&
           rowset_text_size(&sort->rows, rows, selection, count) > share)
        count /= 2;
    return count;
}

/* The rows of a batch that may be among those wanted. */
static size_t choose_rows(struct exec_node *node, const struct batch *rows, uint32_t *selection)
{
    struct sort *sort = node->state;
    const struct sort_order *order = &sort->order;
    size_t count = rows->row_count;
    if (sort->has_bound)
        return keep_below_bound(sort, &order->keys[0], &rows->columns[sort->places[0]], count,
                                selection);
    struct column *keys = arena_alloc_array(&node->scratch, order->key_count + 1, sizeof(*keys));
    for (size_t i = 0; i < order->key_count; i++)
        keys[i] = rows->columns[sort->places[i]];
    if (heads_keep(&sort->heads, keys, rows->row_count, selection, &count))
        return count;
    for (uint32_t i = 0; i < count; i++)
        selection[i] = i;
    return count;
}

static enum err add_rows(struct exec_node *node, const struct batch *in, struct error *error)
{
    size_t count = in->row_count;
    uint32_t selection[VECTOR_ROWS_MAX + 1];
    struct batch rows;
    enum err err = make_columns(node, in, &rows, error);
    if (err == OK)
        count = choose_rows(node, &rows, selection);
    for (size_t first = 0; err == OK && first < count;) {
        size_t part = cut_rows(node, &rows, selection + first, count - first);
        const uint32_t *chosen = part == rows.row_count ? NULL : selection + first;
        err = keep_rows(node, &rows, chosen, part, error);
        first += part;
    }
    return err;
}

static enum err take_batch(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct sort *sort = node->state;
    size_t cut_rows = SIZE_MAX;
    if (sort->top < (SIZE_MAX >> 4))
        cut_rows = sort->top * 4 > TOP_ROWS_MIN ? sort->top * 4 : TOP_ROWS_MIN;
    arena_reset(&node->scratch);
    enum err err = add_rows(node, in, error);
    bool is_told =
        sort->time_scan != NULL || (sort->top_scan != NULL && sort->top <= TOP_TOLD_MAX);
    bool is_due =
        is_told && ++sort->uncut_batches >= TOP_BATCHES && sort->entry_count / 2 >= sort->top;
    if (err == OK && (sort->entry_count >= cut_rows || is_due)) {
        err = cut_to_top(node, error);
        sort->uncut_batches = 0;
    }
    return err;
}

static void forget_rows(struct exec_node *node)
{
    struct sort *sort = node->state;
    rowset_deinit(&sort->rows);
    exec_memory_release(&sort->memory, sort->entries,
                        sort->entry_capacity * sizeof(*sort->entries));
    sort->entries = NULL;
    sort->entry_capacity = sort->entry_count = 0;
}

static enum err read_and_sort(struct exec_node *node, struct error *error)
{
    struct sort *sort = node->state;
    enum err err = exec_each(node, 0, take_batch, error);
    if (err == OK)
        err = sort_rows(node, error);
    if (err == OK && sort->run_count != 0) {
        err = sort_spill_run(node, error);
        forget_rows(node);
        if (err == OK)
            err = sort_merge_begin(node, error);
    }
    if (err != OK)
        return err;
    sort->is_sorted = true;
    sort->next = (size_t)sort->offset;
    if (sort->entry_count > sort->top)
        sort->entry_count = sort->top;
    return OK;
}

static enum err sort_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct sort *sort = node->state;
    if (!sort->is_sorted && sort->limit != 0) { /* LIMIT 0 asks for no row, so none can raise */
        enum err err = read_and_sort(node, error);
        if (err != OK)
            return err;
    }
    if (sort->merge != NULL)
        return sort_merge_next(node, out, error);
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
        arena_alloc_array(&node->scratch, sort->column_count + 1, sizeof(*columns));
    for (size_t i = 0; i < sort->column_count; i++) {
        struct column all = rowset_column(&sort->rows, i, 0);
        columns[i] = column_gather(&all, selection, count, &node->scratch);
    }
    struct batch kept = {
        .row_count = count, .column_count = sort->column_count, .columns = columns};
    if (err == OK)
        err = sort_arrange(node, &kept, 0, out, error);
    sort->next += err == OK ? out->row_count : 0;
    return err;
}

enum err sort_arrange(struct exec_node *node, const struct batch *kept, size_t first,
                      struct batch *out, struct error *error)
{
    struct sort *sort = node->state;
    size_t count = node->plan->column_count, row_count = kept->row_count - first;
    struct column *columns = arena_alloc_array(&node->scratch, count + 1, sizeof(*columns));
    enum err err = OK;
    *out = (struct batch){.column_count = count};
    if (row_count == 0)
        return OK;
    if (sort->late.count != 0) {
        struct column numbers = column_from(&kept->columns[sort->number_place], first);
        err = late_read(node, &sort->late, &numbers, &row_count, columns, error);
    }
    for (size_t i = 0; i < count; i++)
        if (sort->slots[i] != SORT_LATE)
            columns[i] = column_from(&kept->columns[sort->slots[i]], first);
    *out = (struct batch){.row_count = row_count, .column_count = count, .columns = columns};
    return err;
}

static void sort_close(struct exec_node *node)
{
    struct sort *sort = node->state;
    if (sort->memory.budget == NULL)
        return;
    exec_evaluators_destroy(sort->exprs, node->plan->sort.key_count);
    sort_merge_end(node);
    forget_rows(node);
    heads_deinit(&sort->heads);
    late_close(node, &sort->late);
    exec_memory_deinit(&sort->memory);
}

const struct exec_operator exec_sort_operator = {
    .name = "sort",
    .state_size = sizeof(struct sort),
    .open = sort_open,
    .next = sort_next,
    .close = sort_close,
};
