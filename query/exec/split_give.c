/* Groups that two threads have made, each those of half of a key's values, in order of first sight.
 *
 *   first tier  ── in order of their first rows ─┐
 *   second tier ── as well                      ─┴▶ merged by these ─▶ batches
 *
 * Numbers ascend with first rows in each tier, so the groups of a batch are a run of either. */
#include "query/exec/split.h"

#include "storage/base/fault.h"

#include <string.h>

/* The next groups by their first rows: how many of each half, and of each its place among those of
 * the first half and then the second. */
static size_t merge(struct split *split, uint32_t *counts, uint32_t *places)
{
    size_t count = 0, left = 0, total;
    const uint64_t *first_rows[HALVES];
    uint32_t at[HALVES], is_second[VECTOR_ROWS_MAX];
    static const uint64_t none = UINT64_MAX;
    for (unsigned i = 0; i < HALVES; i++) {
        const struct half *half = &split->halves[i];
        at[i] = half->next_out;
        first_rows[i] = half->tier->keys.count == 0 ? &none : half->first_rows;
        left += half->tier->keys.count - half->next_out;
    }
    total = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX;
    for (; count < total; count++) {
        uint32_t second = first_rows[1][at[1]] < first_rows[0][at[0]];
        is_second[count] = second;
        at[0] += 1 - second;
        at[1] += second;
    }
    for (unsigned i = 0; i < HALVES; i++)
        counts[i] = at[i] - split->halves[i].next_out;
    for (uint32_t i = 0, next[HALVES] = {0, counts[0]}; i < count; i++)
        places[i] = fault_is("split.order_lost") ? i : next[is_second[i]]++;
    return count;
}

/* Both, one behind the other, then in the order of places. */
static struct column join(struct column *of, const uint32_t *counts, const uint32_t *places,
                          struct arena *arena)
{
    size_t count = (size_t)counts[0] + counts[1], size;
    for (unsigned i = 0; i < HALVES; i++)
        of[i] = column_flatten(&of[i], counts[i], arena);
    size = physical_size(type_physical(of[0].type.id));
    char *values = arena_alloc_array(arena, count, size);
    memcpy(values, of[0].values, counts[0] * size);
    memcpy(values + counts[0] * size, of[1].values, counts[1] * size);
    struct column both = {.type = of[0].type, .form = COLUMN_FLAT, .values = values};
    if (of[0].validity != NULL || of[1].validity != NULL) {
        uint8_t *validity = arena_alloc(arena, count);
        memset(validity, 1, count);
        if (of[0].validity != NULL)
            memcpy(validity, of[0].validity, counts[0]);
        if (of[1].validity != NULL)
            memcpy(validity + counts[0], of[1].validity, counts[1]);
        both.validity = validity;
    }
    return column_gather(&both, places, count, arena);
}

enum err split_give(struct exec_node *node, struct batch *out, struct error *error)
{
    struct group *group = node->state;
    struct split *split = group->split;
    size_t column_count = node->plan->column_count;
    uint32_t counts[HALVES], places[VECTOR_ROWS_MAX];
    enum err err = exec_check(node->exec, error);
    arena_reset(&node->scratch);
    size_t count = merge(split, counts, places);
    struct column *columns[HALVES];
    for (unsigned i = 0; i < HALVES; i++) {
        struct half *half = &split->halves[i];
        columns[i] = arena_alloc_array(&node->scratch, column_count, sizeof(**columns));
        if (err == OK && counts[i] != 0)
            err = group_give(node, half->tier, half->next_out, counts[i], columns[i], error);
        half->next_out += counts[i];
    }
    bool is_both = counts[0] != 0 && counts[1] != 0;
    for (size_t c = 0; err == OK && is_both && c < column_count; c++) {
        struct column of[HALVES] = {columns[0][c], columns[1][c]};
        columns[0][c] = join(of, counts, places, &node->scratch);
    }
    *out = (struct batch){.row_count = err == OK ? count : 0,
                          .column_count = column_count,
                          .columns = columns[!is_both && counts[0] == 0 ? 1 : 0]};
    return err;
}
