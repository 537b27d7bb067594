/* Heads: rows that cannot be among the first few of their key never reach the sort.
 *
 *   newest row of each page, first three events of each user:  SORT by key, order ▶ … first n of
 * key
 *
 * For each key the codes of the n best rows met so far are kept: the first eight bytes of the first
 * thing ordered by, in a form that is in order as the values are (sort_prefix). A row whose code is
 * beyond the worst of n has n rows before it, whatever else they are ordered by, and goes. Equal
 * codes stay, so what is left out is never needed, and what stays is for the sort to tell. Rows of
 * a batch are met from its end where the order descends: rows mostly come in order of time.
 *
 * It costs a key's number a row. Where seven of eight rows of a long stretch stay, or keys
 * take an eighth of the query's memory, it ends: all rows go to the sort then, as they would have
 * without. */
#include "query/exec/heads.h"

#include <string.h>

#define STRETCH_ROWS 1048576
#define MEMORY_SHARE 8 /* of the query's memory: a sort can put rows aside, not these */

void heads_init(struct heads *heads, const struct plan *plan, const struct type *types,
                struct budget *budget)
{
    *heads = (struct heads){
        .plan = plan,
        .budget = {.parent = budget, .limit = budget->limit / MEMORY_SHARE, .name = "heads"}};
    exec_memory_init(&heads->memory, &heads->budget);
    tuple_table_init(&heads->keys, types, plan->sort.head_keys, &heads->memory);
}

void heads_deinit(struct heads *heads)
{
    if (heads->plan == NULL)
        return;
    tuple_table_deinit(&heads->keys);
    exec_memory_release(&heads->memory, heads->codes, heads->capacity * sizeof(*heads->codes));
    exec_memory_deinit(&heads->memory);
    *heads = (struct heads){0};
}

/* A smaller code comes first; NULLs have the code of the value at their end. */
static uint64_t make_code(const struct sort_key *key, const struct column *column, size_t row)
{
    if (column_is_null(column, row))
        return key->is_nulls_first ? 0 : UINT64_MAX;
    uint64_t prefix = sort_prefix(column, row);
    return key->is_descending ? ~prefix : prefix;
}

/* Takes the place of the worst; the worst of those that are left comes to the front. */
static void put_code(uint64_t *codes, size_t count, uint64_t code)
{
    size_t worst = 0;
    codes[0] = code;
    for (size_t index = 1; index < count; index++)
        if (codes[index] > codes[worst])
            worst = index;
    codes[0] = codes[worst];
    codes[worst] = code;
}

static enum err grow(struct heads *heads, struct error *error)
{
    size_t rows = heads->plan->sort.head_rows, needed = heads->keys.count * rows;
    enum err err = exec_memory_grow(&heads->memory, (void **)&heads->codes, &heads->capacity,
                                    needed, sizeof(*heads->codes), error);
    if (err != OK)
        return err;
    memset(heads->codes + heads->known, 0xff, (needed - heads->known) * sizeof(*heads->codes));
    heads->known = needed;
    return exec_memory_settle(&heads->memory, error);
}

static size_t keep_best(struct heads *heads, const struct column *keys, const uint32_t *ids,
                        size_t row_count, uint8_t *stays)
{
    const struct plan *plan = heads->plan;
    size_t rows = plan->sort.head_rows, kept = 0;
    bool has_order = plan->sort.has_head_order;
    const struct sort_key *key = &plan->sort.keys[plan->sort.head_keys];
    bool is_backward = has_order && key->is_descending;
    for (size_t index = 0; index < row_count; index++) {
        size_t row = is_backward ? row_count - 1 - index : index;
        uint64_t *codes = heads->codes + ids[row] * rows;
        uint64_t code = has_order ? make_code(key, &keys[plan->sort.head_keys], row) : 0;
        stays[row] = has_order ? code <= codes[0] : codes[0] != 0;
        if (stays[row] == 0)
            continue;
        kept++;
        if (code < codes[0])
            put_code(codes, rows, code);
    }
    return kept;
}

bool heads_keep(struct heads *heads, const struct column *keys, size_t row_count,
                uint32_t *selection, size_t *kept)
{
    uint32_t ids[VECTOR_ROWS_MAX];
    uint8_t stays[VECTOR_ROWS_MAX];
    struct error ignored;
    if (heads->plan == NULL)
        return false;
    bool is_late = heads->stretch_rows >= STRETCH_ROWS;
    if ((is_late && heads->stretch_kept > heads->stretch_rows / 8 * 7) ||
        tuple_table_ids(&heads->keys, keys, NULL, row_count, true, ids, &ignored) != OK ||
        grow(heads, &ignored) != OK) {
        heads_deinit(heads);
        return false;
    }
    if (is_late)
        heads->stretch_rows = heads->stretch_kept = 0;
    size_t count = keep_best(heads, keys, ids, row_count, stays);
    heads->stretch_rows += row_count;
    heads->stretch_kept += count;
    if (count == row_count)
        return false;
    *kept = 0;
    for (uint32_t row = 0; row < row_count; row++) {
        selection[*kept] = row;
        *kept += stays[row];
    }
    return true;
}
