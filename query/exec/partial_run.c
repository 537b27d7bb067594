/* GROUP portion by portion.
 *
 *   view ── segment ── segment ── mutable rows      two blocks or chunks a portion
 *             └ portion ─▶ partial ─┐
 *             └ portion ─▶ partial ─┴▶ combined in order ─▶ first tier ─▶ groups
 *             └ portion, too many groups: it and all rows after it are grouped one by one
 *
 * What is a portion follows from the view and the query alone, so that an answer is the same to the
 * last bit whoever computes its portions. Once the groups of all take a share of the query's memory
 * the rest goes row by row too: only rows can be put aside (group_spill.c). */
#include "query/exec/partial.h"

/* Of a segment: blocks or chunks of 64 Ki rows. */
#define PORTION_MORSELS 2
/* A table of fewer rows is read as it is. */
#define ROWS_MIN ((uint64_t)64 << 10)
/* Of the query's memory: what the groups of all may take, while portions are combined. */
#define MEMORY_SHARE 8

struct portions {
    size_t count;
    struct portion *list;
    size_t morsel_count;
};

static bool can_skip(const struct exec_node *scan, const struct portion *portion)
{
    bool can = true;
    for (size_t morsel = portion->begin; can && morsel < portion->end; morsel++)
        can = exec_scan_can_skip(scan, morsel);
    return can;
}

/* All that may hold rows of the scan. */
static void list_portions(struct exec_node *node, struct portions *portions)
{
    const struct exec_node *scan = partial_scan(node);
    const struct table_view *view = exec_scan_view(scan);
    size_t morsel_count = portions->morsel_count;
    portions->list = arena_alloc_array(&node->exec->arena, morsel_count, sizeof(*portions->list));
    for (size_t morsel = 0; morsel < morsel_count;) {
        struct portion portion = {.begin = morsel, .home = table_view_morsel_home(view, morsel)};
        do {
            struct morsel_range range = table_view_morsel(view, morsel);
            portion.rows += range.end - range.begin;
            morsel++;
        } while (morsel < morsel_count &&
                 table_view_morsel_home(view, morsel).index % PORTION_MORSELS != 0);
        portion.end = morsel;
        if (!can_skip(scan, &portion))
            portions->list[portions->count++] = portion;
    }
}

void portions_open(struct exec_node *node)
{
    struct group *group = node->state;
    if (!partial_is_for(node->plan))
        return;
    const struct table_view *view = exec_scan_view(partial_scan(node));
    if (table_view_rows(view) < ROWS_MIN)
        return;
    group->portions = arena_alloc_zero(&node->exec->arena, sizeof(*group->portions));
    group->portions->morsel_count = table_view_morsel_count(view);
    list_portions(node, group->portions);
}

void portions_close(struct portions *portions)
{
    (void)portions;
}

/* Whether there is room for one more portion's groups, and rows could still be put aside. */
static bool has_room(const struct exec_node *node)
{
    const struct group *group = node->state;
    return !group->can_spill ||
           partial_tier_size(group, &group->tiers[0]) <= node->exec->budget->limit / MEMORY_SHARE;
}

static enum err add_portion(struct exec_node *node, const struct portion *portion, bool *is_done,
                            struct error *error)
{
    struct partial *partial = NULL;
    enum err err = partial_compute(node, portion, &partial, error);
    *is_done = err == OK && partial != NULL;
    if (*is_done)
        err = partial_combine(node, partial, error);
    partial_unref(partial);
    return err;
}

enum err portions_read(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    const struct portions *portions = group->portions;
    size_t next = 0;
    bool is_done = true;
    enum err err = OK;
    while (err == OK && next < portions->count && has_room(node)) {
        err = add_portion(node, &portions->list[next], &is_done, error);
        if (!is_done)
            break;
        next++;
    }
    size_t rest = next < portions->count ? portions->list[next].begin : portions->morsel_count;
    exec_scan_range(partial_scan(node), rest, portions->morsel_count);
    return err;
}
