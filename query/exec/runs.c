/* Groups by time without rows: a scan whose rows come in order of time tells of runs of them.
 *
 *   keys of the time alone ── where a bucket ends ──▶ scan: ends found by halving
 *   run ── number, least, greatest, sum of each column ──▶ states of its group
 *
 * Each key is a bucket of the scan's event time (date_trunc, date_bin, time_bucket, tumble, the
 * epoch divided), or it reads nothing but the windows of a hop over the scan; then a run goes to
 * each of the windows its rows are in. The key itself is evaluated as ever, over one row with the
 * time of the run's first. Every aggregate has to do with what is known of a run (digest.c), else
 * the rows come. So they do for morsels that are not in order (those of mutable segments), that the
 * scan has to filter row by row, whose runs are short, and once groups are put aside. */
#include "query/exec/digest.h"
#include "query/exec/group.h"
#include "query/expr/node.h"
#include "query/func/func.h"
#include "query/func/time.h"
#include "storage/base/fault.h"

#include <assert.h>

struct run_bucket {
    int64_t width_us; /* of the epoch's bucket; 0: a function */
    const struct function *function;
    struct column arguments[FUNCTION_ARGUMENTS_MAX];
};

struct runs {
    struct exec_node *node, *hop; /* hop NULL: right above the scan */
    size_t bucket_count;
    struct run_bucket *buckets;
    struct batch one; /* of the child's columns: NULLs, and times that stand for a run */
    int64_t us, window_start, window_end;
};

/* --- ends --- */

static bool bucket_end(const struct runs *runs, const struct run_bucket *bucket, int64_t *end)
{
    int64_t start;
    if (bucket->width_us == 0)
        return function_bucket(bucket->function, &runs->node->exec->eval, bucket->arguments,
                               &runs->us, &start, end);
    int64_t number = runs->us / bucket->width_us - (runs->us % bucket->width_us < 0);
    return !__builtin_mul_overflow(number, bucket->width_us, &start) &&
           !__builtin_add_overflow(start, bucket->width_us, end);
}

static bool find_end(void *context, int64_t us, int64_t *end_us)
{
    struct runs *runs = context;
    struct hop_run run;
    runs->us = us;
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return false;
    if (runs->hop != NULL) {
        bool has_windows = exec_hop_run(runs->hop, us, &run);
        *end_us = has_windows ? run.end_us : us;
        return has_windows;
    }
    *end_us = INT64_MAX;
    for (size_t i = 0; i < runs->bucket_count; i++) {
        int64_t end;
        if (!bucket_end(runs, &runs->buckets[i], &end))
            return false;
        *end_us = end < *end_us ? end : *end_us;
    }
    return us < *end_us;
}

/* --- what the scan calls --- */

static bool begin(void *context, size_t run_count)
{
    const struct runs *runs = context;
    return group_can_add(runs->node, run_count);
}

static enum err add(struct runs *runs, const struct scan_extent *extents, struct error *error)
{
    struct group *group = runs->node->state;
    struct group_tier *tier = &group->tiers[group->tier_count - 1];
    char *states;
    enum err err = group_states_of(runs->node, &runs->one, &states, error);
    for (size_t i = 0; err == OK && i < group->call_count; i++)
        err = group->calls[i].call->aggregate->take(states + group->calls[i].state_offset,
                                                    &extents[i], &tier->aggregate_memory, error);
    return err;
}

static enum err take(void *context, int64_t us, const struct scan_extent *extents,
                     struct error *error)
{
    struct runs *runs = context;
    struct hop_run run;
    runs->us = us;
    if (runs->hop == NULL)
        return add(runs, extents, error);
    enum err err = exec_check(runs->node->exec, error);
    bool has_windows = exec_hop_run(runs->hop, us, &run);
    assert(has_windows);
    int64_t last = run.last_window - (fault_is("group.run_last_window") ? 1 : 0);
    for (int64_t window = run.window; err == OK && window <= last; window++) {
        exec_hop_window(runs->hop, window, &runs->window_start, &runs->window_end);
        runs->node->exec->actual[runs->hop->plan->id].rows += extents[0].row_count;
        err = add(runs, extents, error);
    }
    return err;
}

/* --- what can be told so --- */

/* A call that puts the scan's event time into buckets, the rest constant. */
static bool open_bucket(struct runs *runs, const struct expr *key, uint32_t time_column,
                        struct run_bucket *out)
{
    struct exec *exec = runs->node->exec;
    struct bucket epoch;
    if (bucket_match(key, &epoch)) {
        for (int i = 0; i < epoch.depth; i++)
            key = key->arguments[0];
        out->width_us = epoch.width_us;
        return key->arguments[1]->kind == EXPR_COLUMN && key->arguments[1]->column == time_column;
    }
    size_t time_count = 0;
    if (key->kind != EXPR_CALL || key->argument_count > FUNCTION_ARGUMENTS_MAX)
        return false;
    out->function = key->function;
    for (size_t i = 0; i < key->argument_count; i++) {
        const struct expr *argument = key->arguments[i];
        struct value value;
        struct error ignored;
        if (argument->kind == EXPR_COLUMN && argument->column == time_column) {
            out->arguments[i] = (struct column){
                .type = argument->type, .form = COLUMN_CONSTANT, .values = &runs->us};
            time_count++;
            continue;
        }
        if ((argument->kind != EXPR_CONSTANT && argument->kind != EXPR_BOUND) ||
            expr_evaluate_constant(argument, &exec->eval, &exec->arena, &value, &ignored) != OK ||
            value.is_null)
            return false;
        out->arguments[i] = column_from_value(&value, &exec->arena);
    }
    int64_t end;
    return time_count == 1 && bucket_end(runs, out, &end);
}

struct readers {
    uint32_t first; /* columns before it are the scan's */
    bool is_fine;
};

static void note_column(void *context, uint32_t column)
{
    struct readers *readers = context;
    readers->is_fine = readers->is_fine && column >= readers->first;
}

static bool is_of_windows(const struct expr *key, uint32_t column_count)
{
    struct readers readers = {.first = column_count, .is_fine = true};
    if (expr_is_volatile(key) || key->kind != EXPR_COLUMN)
        return false;
    expr_visit_columns(key, note_column, &readers);
    return readers.is_fine;
}

static bool open_keys(struct runs *runs, const struct plan *scan, uint32_t time_column)
{
    const struct plan *plan = runs->node->plan;
    runs->buckets =
        arena_alloc_zero(&runs->node->exec->arena, plan->group.key_count * sizeof(*runs->buckets));
    for (size_t i = 0; i < plan->group.key_count; i++) {
        const struct expr *key = plan->group.keys[i];
        bool is_fine = runs->hop != NULL ? is_of_windows(key, (uint32_t)scan->column_count)
                                         : open_bucket(runs, key, time_column, &runs->buckets[i]);
        if (!is_fine)
            return false;
    }
    runs->bucket_count = plan->group.key_count;
    return true;
}

/* Where the event time is among the scan's columns; false: it is not read. */
static bool find_time(const struct plan *scan, uint32_t *out)
{
    for (uint32_t i = 0; i < scan->column_count; i++) {
        if ((int64_t)scan->scan.columns[i] == scan->scan.schema->time_column) {
            *out = i;
            return true;
        }
    }
    return false;
}

static void make_row(struct runs *runs, const struct plan *scan, uint32_t time_column)
{
    const struct plan *child = runs->node->plan->children[0];
    struct column *columns =
        arena_alloc_array(&runs->node->exec->arena, child->column_count, sizeof(*columns));
    const int64_t *windows[] = {&runs->window_start, &runs->window_end};
    for (size_t i = 0; i < child->column_count; i++) {
        columns[i] = column_null(child->columns[i].type);
        const int64_t *value = i == time_column          ? &runs->us
                               : i >= scan->column_count ? windows[i - scan->column_count]
                                                         : NULL;
        if (value != NULL)
            columns[i] = (struct column){
                .type = child->columns[i].type, .form = COLUMN_CONSTANT, .values = value};
    }
    runs->one =
        (struct batch){.row_count = 1, .column_count = child->column_count, .columns = columns};
}

void group_runs_open(struct exec_node *node)
{
    struct group *group = node->state;
    struct arena *arena = &node->exec->arena;
    struct exec_node *child = node->children[0], *scan = child;
    uint32_t time_column;
    bool is_hop = child->plan->kind == PLAN_HOP;
    if (is_hop)
        scan = child->children[0];
    if (scan->plan->kind != PLAN_SCAN || !find_time(scan->plan, &time_column) ||
        (is_hop && (child->plan->hop.time_column != time_column || !exec_hop_has_runs(child))))
        return;
    struct runs *runs = arena_alloc_zero(arena, sizeof(*runs));
    runs->node = node;
    runs->hop = is_hop ? child : NULL;
    if (!open_keys(runs, scan->plan, time_column))
        return;
    struct scan_digest_item *items =
        arena_alloc_zero(arena, (group->call_count + 1) * sizeof(*items));
    for (size_t i = 0; i < group->call_count; i++)
        if (!digest_item(scan->plan, group->calls[i].call, &items[i]))
            return;
    make_row(runs, scan->plan, time_column);
    struct scan_runs *told = arena_alloc_zero(arena, sizeof(*told));
    *told = (struct scan_runs){.time_column = time_column,
                               .find_end = find_end,
                               .begin = begin,
                               .take = take,
                               .context = runs};
    struct scan_digest *digest = arena_alloc_zero(arena, sizeof(*digest));
    *digest = (struct scan_digest){
        .item_count = group->call_count, .items = items, .is_all = true, .runs = told};
    exec_scan_digest(scan, digest);
}
