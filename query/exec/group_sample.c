/* How large a GROUP's tables will become, guessed from its first rows where no run of its plan has
 * left it to be known (group_sizes.c).
 *
 *   rows   0 ── 6 Ki ── 12 Ki ────── 24 Ki ──────────────── 4 M
 *   keys        3,000   5,000        8,600     ▶ with twice the rows 1.79, 1.77, 1.74, … times
 *
 * With twice the rows there are at most twice the keys, and how far it stays below that goes up:
 * by little where some keys come far more often than others (users, pages), twofold where all come
 * as often as each other, not at all where keys come for a while and then others (sessions, in
 * order of time). Three counts tell which it is. A guess may be wrong by much all the same; all
 * that depends on it is how much room tables are given once a sixteenth of it has come (key_room())
 * and whether two threads are to share the groups (split.c): then what was made of the first rows
 * is thrown away. Otherwise it stays, and rows go on behind it as they would have. */
#include "query/exec/group.h"
#include "query/exec/partial.h"
#include "query/exec/split.h"
#include "query/exec/tally.h"

#include "storage/base/fault.h"

/* Of fewer rows tables need not be large. */
#define SAMPLED_ROWS_MIN ((uint64_t)200 << 10)
#define SAMPLE_ROWS ((uint64_t)24 << 10)
/* A filter that lets few rows through ends it: nothing is guessed after this share of the table. */
#define SHARE_MAX 8

struct sample {
    struct exec_node *node;
    size_t first;                   /* morsel */
    struct partial_counted counted; /* by then */
    uint64_t total;                 /* rows of all morsels that may hold some */
    uint64_t scanned, rows;         /* of those that were read to the end; what came of them */
    struct group_growth growth;
    size_t count_count; /* of these, taken */
    size_t unchecked;
};

static bool has_filter(const struct plan *group)
{
    const struct plan *plan = group->children[0];
    while (plan->kind == PLAN_PROJECT)
        plan = plan->children[0];
    return plan->kind == PLAN_FILTER;
}

static uint64_t count_rows(const struct exec_node *node, size_t first)
{
    const struct exec_node *scan = partial_scan(node);
    const struct table_view *view = exec_scan_view(scan);
    uint64_t rows = 0;
    for (size_t morsel = first; morsel < table_view_morsel_count(view); morsel++) {
        struct morsel_range range = table_view_morsel(view, morsel);
        rows += exec_scan_can_skip(scan, morsel) ? 0 : range.end - range.begin;
    }
    return rows;
}

static enum err add_batch(struct sample *sample, const struct batch *in, struct error *error)
{
    struct exec_node *node = sample->node;
    const struct group *group = node->state;
    node->exec->actual[node->plan->id].rows_in += in->row_count;
    enum err err = group_add_batch(node, in, error);
    sample->rows += in->row_count;
    size_t at = sample->count_count;
    if (err == OK && at < GROWTH_COUNTS && sample->rows >= SAMPLE_ROWS >> (GROWTH_COUNTS - at)) {
        sample->growth.rows[at] = sample->rows;
        group_sizes_count(node, &group->tiers[0], sample->growth.counts[at]);
        sample->count_count++;
    }
    sample->unchecked += in->row_count;
    if (err == OK && sample->unchecked >= EXEC_CHECK_ROWS) {
        sample->unchecked = 0;
        err = exec_check(node->exec, error);
    }
    return err;
}

/* Rows of the scan's morsel until it ends, or so many have come. */
static enum err read_morsel(struct sample *sample, uint64_t row_count, bool *is_over,
                            struct error *error)
{
    *is_over = false;
    while (sample->rows < row_count) {
        struct batch in;
        enum err err = exec_next(sample->node->children[0], &in, error);
        *is_over = err == OK && in.row_count == 0;
        if (err == OK && !*is_over)
            err = add_batch(sample, &in, error);
        if (err != OK || *is_over)
            return err;
    }
    return OK;
}

/* Tells what is to be expected, of so many rows in all; and has two threads begin anew where that
 * pays. */
static enum err guess(struct sample *sample, uint64_t row_count, enum split_end *end,
                      struct error *error)
{
    struct exec_node *node = sample->node;
    struct group *group = node->state;
    *end = SPLIT_NOT;
    if (group->tiers[0].parts != NULL || sample->count_count < GROWTH_COUNTS)
        return OK;
    sample->growth.rows[GROWTH_COUNTS] = sample->rows;
    sample->growth.all_rows = row_count;
    group_sizes_guess(node, &group->tiers[0], &sample->growth);
    group_sizes_expect(node, &group->tiers[0], 1);
    return split_read(node, sample->first, &sample->counted, end, error);
}

/* From a morsel on; *next: behind the last one read, or the first one where all is forgotten. */
static enum err read_rows(struct sample *sample, size_t *next, enum split_end *end,
                          struct error *error)
{
    struct exec_node *node = sample->node, *scan = partial_scan(node);
    struct group *group = node->state;
    const struct table_view *view = exec_scan_view(scan);
    size_t morsel_count = table_view_morsel_count(view), morsel = sample->first;
    bool is_filtered = has_filter(node->plan), is_guessed = false, is_over = true;
    enum err err = OK;
    for (; err == OK && morsel < morsel_count && !is_guessed; morsel++) {
        struct morsel_range range = table_view_morsel(view, morsel);
        if (exec_scan_can_skip(scan, morsel))
            continue;
        exec_scan_range(scan, morsel, morsel + 1);
        err = read_morsel(sample, is_filtered ? UINT64_MAX : SAMPLE_ROWS, &is_over, error);
        sample->scanned += range.end - range.begin;
        group->sampled++;
        if (err == OK && sample->rows >= SAMPLE_ROWS) {
            double share = is_filtered ? (double)sample->rows / (double)sample->scanned : 1;
            is_guessed = true;
            err = guess(sample, (uint64_t)((double)sample->total * share), end, error);
        }
        if (*end == SPLIT_NOT && err == OK && !is_over)
            err = read_morsel(sample, UINT64_MAX, &is_over, error);
        is_guessed = is_guessed || sample->scanned > sample->total / SHARE_MAX;
    }
    bool is_anew = *end == SPLIT_ANEW || fault_is("group.sample_twice");
    *next = is_anew ? sample->first : morsel;
    group->sampled = *end == SPLIT_NOT ? group->sampled : 0;
    if (err == OK && *end == SPLIT_NOT)
        exec_scan_range(scan, *next, morsel_count);
    return err;
}

enum err group_sample(struct exec_node *node, size_t *first, bool *is_done, struct error *error)
{
    const struct group *group = node->state;
    const struct group_tier *tier = &group->tiers[0];
    enum split_end end = SPLIT_NOT;
    struct sample sample = {.node = node, .first = *first};
    *is_done = false;
    if (node->exec->is_fork || node->plan->group.key_count == 0 || tier->parts != NULL ||
        tier->keys.count != 0 || group_sizes_are_known(node) || node->plan->group.size_count == 0 ||
        !split_is_chain(node->plan))
        return OK;
    sample.total = count_rows(node, *first);
    if (sample.total < SAMPLED_ROWS_MIN)
        return OK;
    sample.counted = partial_counted(node);
    for (size_t i = 0; i < GROWTH_COUNTS; i++)
        sample.growth.counts[i] = arena_alloc_zero(
            &node->exec->arena, node->plan->group.size_count * sizeof(*sample.growth.counts[i]));
    enum err err = read_rows(&sample, first, &end, error);
    *is_done = end == SPLIT_DONE;
    return err;
}
