/* EXPLAIN: one line an operator, children indented below, subqueries after the main plan.
 *
 *   Sort (count DESC, limit 10)  (rows=10 time=0.021 ms)
 *     -> Group by country: count(*)  (rows=200 time=1.310 ms)
 *          -> Scan on clicks (ts, country) filter: (ts > …)  (rows=5000 of 100000 time=0.800 ms) */
#include "query/plan/plan.h"

#include "query/func/aggregate.h"
#include "query/func/over.h"
#include "query/func/series.h"
#include "query/kernel/kernel.h"

struct explainer {
    const struct plan_actual *actual;
    bool is_run; /* else `actual` says only what would answer */
    struct writer *out;
};

/* Names of a plan's columns as one array; for a join both sides. */
static struct slice *column_names(const struct plan *const *plans, size_t plan_count)
{
    size_t count = 0;
    for (size_t index = 0; index < plan_count; index++)
        count += plans[index]->column_count;
    struct slice *names = memory_alloc(count * sizeof(*names));
    count = 0;
    for (size_t index = 0; index < plan_count; index++)
        for (size_t column = 0; column < plans[index]->column_count; column++)
            names[count++] = plans[index]->columns[column].name;
    return names;
}

static void print_exprs(struct expr *const *exprs, size_t count, const struct slice *names,
                        struct writer *out)
{
    for (size_t index = 0; index < count; index++) {
        writer_cstr(out, index > 0 ? ", " : "");
        expr_print(exprs[index], names, out);
    }
}

static void print_filter(const struct expr *filter, const struct slice *names, struct writer *out)
{
    if (filter == NULL)
        return;
    writer_cstr(out, " filter: ");
    expr_print(filter, names, out);
}

static void print_columns(const struct plan *plan, struct writer *out)
{
    writer_cstr(out, " (");
    for (size_t index = 0; index < plan->column_count; index++) {
        writer_cstr(out, index > 0 ? ", " : "");
        writer_slice(out, plan->columns[index].name);
    }
    writer_cstr(out, ")");
}

/* Columns by which blocks and rows are left out before the filter sees them. */
static void print_conditions(const struct plan *plan, struct writer *out)
{
    static const char *const tests[] = {
        [CONDITION_COMPARE] = "range",     [CONDITION_IN] = "values",
        [CONDITION_ANY] = "values",        [CONDITION_NULL] = "null",
        [CONDITION_NOT_NULL] = "not null", [CONDITION_MATCHES] = "texts"};
    for (size_t index = 0; index < plan->scan.condition_count; index++) {
        const struct plan_condition *condition = &plan->scan.conditions[index];
        bool is_equality =
            condition->kind == CONDITION_COMPARE && condition->operation == COMPARE_EQ;
        writer_cstr(out, index == 0 ? " skips by: " : ", ");
        writer_slice(out, plan->columns[condition->column].name);
        writer_printf(out, " %s", is_equality ? "values" : tests[condition->kind]);
    }
}

static void print_scan(const struct plan *plan, const struct slice *names, struct writer *out)
{
    writer_printf(out, "Scan on %.*s", SLICE_ARGS(plan->scan.schema->name));
    if (plan->scan.alias.size > 0)
        writer_printf(out, " %.*s", SLICE_ARGS(plan->scan.alias));
    print_columns(plan, out);
    print_filter(plan->scan.filter, names, out);
    if (plan->scan.time_from != NULL) {
        writer_cstr(out, " from: ");
        expr_print(plan->scan.time_from, names, out);
    }
    if (plan->scan.time_to != NULL) {
        writer_cstr(out, " to: ");
        expr_print(plan->scan.time_to, names, out);
    }
    print_conditions(plan, out);
}

static void print_group(const struct plan *plan, const struct slice *names, struct writer *out)
{
    writer_cstr(out, plan->group.aggregate_count == 0 && plan->group.key_count > 0 ? "Distinct"
                                                                                   : "Group");
    if (plan->group.key_count > 0) {
        writer_cstr(out, " by ");
        print_exprs(plan->group.keys, plan->group.key_count, names, out);
    }
    for (size_t index = 0; index < plan->group.aggregate_count; index++) {
        const struct aggregate_call *call = &plan->group.aggregates[index];
        writer_printf(out, "%s%s(%s", index > 0 ? ", " : ": ", call->aggregate->name,
                      call->is_distinct ? "DISTINCT " : "");
        if (call->is_star)
            writer_cstr(out, "*");
        print_exprs(call->arguments, call->argument_count - call->order_count, names, out);
        writer_cstr(out, call->order_count > 0 ? " ORDER BY " : "");
        print_exprs(call->arguments + call->argument_count - call->order_count, call->order_count,
                    names, out);
        writer_cstr(out, ")");
        print_filter(call->filter, names, out);
    }
}

static void print_keys(const struct sort_key *keys, size_t count, const struct slice *names,
                       struct writer *out)
{
    for (size_t index = 0; index < count; index++) {
        const struct sort_key *key = &keys[index];
        writer_cstr(out, index > 0 ? ", " : "");
        expr_print(key->expr, names, out);
        writer_cstr(out, key->is_descending ? " DESC" : "");
        if (key->is_nulls_first != key->is_descending)
            writer_cstr(out, key->is_nulls_first ? " NULLS FIRST" : " NULLS LAST");
    }
}

static void print_sort(const struct plan *plan, const struct slice *names, struct writer *out)
{
    writer_cstr(out, plan->kind == PLAN_SORT ? "Sort by " : "Limit");
    print_keys(plan->sort.keys, plan->sort.key_count, names, out);
    if (plan->sort.limit != NULL) {
        writer_cstr(out, plan->kind == PLAN_SORT ? " limit " : " ");
        expr_print(plan->sort.limit, names, out);
    }
    if (plan->sort.offset != NULL) {
        writer_cstr(out, " offset ");
        expr_print(plan->sort.offset, names, out);
    }
    if (plan->sort.head_rows > 0)
        writer_printf(out, ", the first %zu of each %zu", plan->sort.head_rows,
                      plan->sort.head_keys);
}

static void print_join(const struct plan *plan, struct writer *out)
{
    static const char *const kinds[] = {
        [JOIN_INNER] = "Inner", [JOIN_LEFT] = "Left", [JOIN_CROSS] = "Cross",
        [JOIN_RIGHT] = "Right", [JOIN_FULL] = "Full", [JOIN_SEMI] = "Semi",
        [JOIN_ANTI] = "Anti"};
    const struct plan *left = plan->children[0];
    const struct plan *right = plan->children[1];
    struct slice *left_names = column_names(&left, 1);
    struct slice *right_names = column_names(&right, 1);
    struct slice *names = column_names((const struct plan *const *)plan->children, 2);
    writer_printf(out, "%s %s", kinds[plan->join.kind],
                  plan->kind == PLAN_APPLY   ? "apply"
                  : plan->join.key_count > 0 ? "hash join"
                                             : "loop join");
    for (size_t index = 0; index < plan->join.slots.count && plan->kind == PLAN_APPLY; index++) {
        writer_printf(out, "%s$%u = ", index > 0 ? ", " : " with ",
                      plan->join.slots.slots[index] + 1);
        expr_print(plan->join.arguments[index], left_names, out);
    }
    for (size_t index = 0; index < plan->join.key_count; index++) {
        writer_cstr(out, index > 0 ? " AND " : " on ");
        expr_print(plan->join.left_keys[index], left_names, out);
        writer_cstr(out, " = ");
        expr_print(plan->join.right_keys[index], right_names, out);
    }
    print_filter(plan->join.condition, names, out);
    memory_free(names);
    memory_free(right_names);
    memory_free(left_names);
}

static void print_sets(const struct plan *plan, const struct slice *names, struct writer *out)
{
    writer_cstr(out, "Expand to");
    for (size_t set = 0; set < plan->expand.set_count && set < 32; set++) {
        bool is_next = false;
        writer_cstr(out, set > 0 ? ", (" : " (");
        for (size_t key = 0; key < plan->expand.key_count; key++) {
            if ((plan->expand.sets[set] >> key & 1) == 0)
                continue;
            writer_cstr(out, is_next ? ", " : "");
            expr_print(plan->expand.keys[key], names, out);
            is_next = true;
        }
        writer_cstr(out, ")");
    }
    writer_cstr(out, plan->expand.set_count > 32 ? " …" : "");
}

static void print_series(const struct plan *plan, struct writer *out)
{
    writer_cstr(out, "Series ");
    for (size_t index = 0; index < plan->series.call_count; index++) {
        const struct series_call *call = &plan->series.calls[index];
        writer_cstr(out, index > 0 ? ", " : "");
        if (call->function != NULL)
            writer_printf(out, "%s(", call->function->name);
        print_exprs(call->arguments, call->argument_count, NULL, out);
        writer_cstr(out, call->function != NULL ? ")" : "");
    }
    writer_cstr(out, plan->series.has_ordinality ? " with ordinality" : "");
}

static void print_bound(enum frame_bound bound, const struct expr *offset,
                        const struct slice *names, struct writer *out)
{
    static const char *const words[] = {"UNBOUNDED PRECEDING", " PRECEDING", "CURRENT ROW",
                                        " FOLLOWING", "UNBOUNDED FOLLOWING"};
    if (offset != NULL)
        expr_print(offset, names, out);
    writer_cstr(out, words[bound]);
}

static void print_frame(const struct window_frame *frame, const struct slice *names,
                        struct writer *out)
{
    static const char *const modes[] = {" RANGE", " ROWS", " GROUPS"};
    static const char *const exclusions[] = {"", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP",
                                             " EXCLUDE TIES"};
    if (frame->mode == FRAME_RANGE && frame->start == BOUND_UNBOUNDED_PRECEDING &&
        frame->end == BOUND_CURRENT && frame->exclusion == EXCLUDE_NONE)
        return;
    writer_cstr(out, modes[frame->mode]);
    writer_cstr(out, " BETWEEN ");
    print_bound(frame->start, frame->start_offset, names, out);
    writer_cstr(out, " AND ");
    print_bound(frame->end, frame->end_offset, names, out);
    writer_cstr(out, exclusions[frame->exclusion]);
}

static void print_window(const struct plan *plan, const struct slice *names, struct writer *out)
{
    size_t partition_count = plan->window.partition_count;
    writer_cstr(out, "Window");
    if (partition_count > 0)
        writer_cstr(out, " partition by ");
    print_keys(plan->window.keys, partition_count, names, out);
    if (plan->window.key_count > partition_count)
        writer_cstr(out, " order by ");
    print_keys(plan->window.keys + partition_count, plan->window.key_count - partition_count, names,
               out);
    if (interval_span(plan->window.gap) != 0) {
        writer_cstr(out, " gap ");
        interval_print(plan->window.gap, out);
    }
    for (size_t index = 0; index < plan->window.call_count; index++) {
        const struct window_call *call = &plan->window.calls[index];
        writer_printf(out, "%s%s(%s", index > 0 ? ", " : ": ",
                      call->function != NULL ? call->function->name
                                             : call->aggregate.aggregate->name,
                      call->aggregate.is_star ? "*" : "");
        print_exprs(call->aggregate.arguments, call->aggregate.argument_count, names, out);
        writer_cstr(out, ")");
        print_filter(call->aggregate.filter, names, out);
        print_frame(&call->frame, names, out);
    }
}

static void print_lookup(const struct plan *plan, const struct slice *names, struct writer *out)
{
    static const char *const operations[] = {
        [COMPARE_LT] = "<", [COMPARE_LE] = "<=", [COMPARE_GT] = ">", [COMPARE_GE] = ">="};
    writer_cstr(out, "Lookup by ");
    size_t count = plan->lookup.key_count;
    for (size_t index = 0; index < count; index++) {
        writer_cstr(out, index > 0 ? ", " : "");
        expr_print(plan->lookup.keys[index], names, out);
        writer_cstr(out, " = ");
        expr_print(plan->lookup.values[index], names, out);
    }
    for (size_t index = 0; index < plan->lookup.bound_count; index++) {
        const struct lookup_bound *bound = &plan->lookup.bounds[index];
        writer_cstr(out, index + count > 0 ? ", " : "");
        expr_print(plan->lookup.order[0].expr, names, out);
        writer_printf(out, " %s ", operations[bound->operation]);
        expr_print(bound->value, names, out);
    }
    for (size_t index = 0; index < plan->lookup.order_count; index++) {
        writer_cstr(out, index > 0 ? ", " : " in order of ");
        expr_print(plan->lookup.order[index].expr, names, out);
        writer_cstr(out, plan->lookup.order[index].is_descending ? " DESC" : "");
    }
    print_filter(plan->lookup.condition, names, out);
}

static void print_recursion(const struct plan *plan, struct writer *out)
{
    bool is_rows = plan->kind == PLAN_WORKING;
    writer_printf(out, "%s %u%s", is_rows ? "Rows of recursion" : "Recursion",
                  plan->recursion.number + 1, plan->recursion.is_distinct ? ", each row once" : "");
}

static void print_hop(const struct plan *plan, struct writer *out)
{
    writer_cstr(out, "Hop over ");
    writer_slice(out, plan->children[0]->columns[plan->hop.time_column].name);
    writer_cstr(out, " size ");
    interval_print(plan->hop.size, out);
    writer_cstr(out, " slide ");
    interval_print(plan->hop.slide, out);
}

void plan_explain_node(const struct plan *plan, struct writer *out)
{
    const struct plan *source = plan->child_count > 0 ? plan->children[0] : plan;
    struct slice *names = column_names(&source, 1);
    switch (plan->kind) {
    case PLAN_SCAN:
        print_scan(plan, names, out);
        break;
    case PLAN_PROVIDER:
        writer_printf(out, "Scan on %s.%s", plan->provider.provider->schema_name,
                      plan->provider.provider->name);
        print_columns(plan, out);
        print_filter(plan->provider.filter, names, out);
        break;
    case PLAN_VALUES:
        writer_printf(out, "Values: %zu row%s", plan->values.row_count,
                      plan->values.row_count == 1 ? "" : "s");
        break;
    case PLAN_FILTER:
        writer_cstr(out, "Filter: ");
        expr_print(plan->filter.predicate, names, out);
        break;
    case PLAN_PROJECT:
        writer_cstr(out, "Project ");
        print_exprs(plan->project.exprs, plan->column_count, names, out);
        break;
    case PLAN_GROUP:
        print_group(plan, names, out);
        break;
    case PLAN_SORT:
    case PLAN_LIMIT:
        print_sort(plan, names, out);
        break;
    case PLAN_JOIN:
    case PLAN_APPLY:
        print_join(plan, out);
        break;
    case PLAN_LOOKUP:
        print_lookup(plan, names, out);
        break;
    case PLAN_UNION_ALL:
        writer_cstr(out, "Append");
        break;
    case PLAN_HOP:
        print_hop(plan, out);
        break;
    case PLAN_EXPAND:
        print_sets(plan, names, out);
        break;
    case PLAN_SERIES:
        print_series(plan, out);
        break;
    case PLAN_SET:
        writer_cstr(out, plan->set.is_except ? "Except" : "Intersect");
        writer_cstr(out, plan->set.is_all ? " all" : "");
        break;
    case PLAN_FIRST:
        writer_cstr(out, "First by ");
        print_exprs(plan->first.keys, plan->first.key_count, names, out);
        break;
    case PLAN_WINDOW:
        print_window(plan, names, out);
        break;
    case PLAN_RECURSION:
    case PLAN_WORKING:
        print_recursion(plan, out);
        break;
    }
    memory_free(names);
}

/* What a scan did not have to read. */
static void print_counts(const struct plan *plan, const struct plan_actual *actual,
                         struct writer *out)
{
    const struct scan_counts *counts = &actual->counts;
    writer_printf(out, "  (segments=%llu skipped=%llu blocks=%llu skipped=%llu",
                  (unsigned long long)actual->segments,
                  (unsigned long long)actual->segments_skipped, (unsigned long long)actual->blocks,
                  (unsigned long long)actual->blocks_skipped);
    if (counts->rows_considered > 0)
        writer_printf(out, " considered=%llu", (unsigned long long)counts->rows_considered);
    if (counts->bitmaps_used > 0)
        writer_printf(out, " bitmaps=%llu on ", (unsigned long long)counts->bitmaps_used);
    for (uint32_t column = 0, shown = 0; column < plan->column_count && column < 64; column++) {
        if ((counts->bitmap_columns >> column & 1) == 0)
            continue;
        writer_cstr(out, shown++ > 0 ? "+" : "");
        writer_slice(out, plan->columns[column].name);
    }
    if (counts->bitmaps_used > 0)
        writer_printf(out, " rows=%llu", (unsigned long long)counts->rows_by_bitmap);
    if (counts->pages_read > 0)
        writer_printf(out, " pages=%llu bytes=%llu", (unsigned long long)counts->pages_read,
                      (unsigned long long)counts->bytes_read);
    writer_cstr(out, ")");
}

static void explain(const struct explainer *e, const struct plan *plan, size_t level)
{
    for (size_t index = 0; index + 1 < level; index++)
        writer_cstr(e->out, "      ");
    writer_cstr(e->out, level > 0 ? "  ->  " : "");
    plan_explain_node(plan, e->out);
    if (e->actual != NULL && !e->is_run && e->actual[plan->id].rollup.size > 0)
        writer_printf(e->out, "  rollup=%.*s segments=%llu", SLICE_ARGS(e->actual[plan->id].rollup),
                      (unsigned long long)e->actual[plan->id].rollup_segments);
    if (e->is_run) {
        const struct plan_actual *actual = &e->actual[plan->id];
        writer_printf(e->out, "  (rows=%llu", (unsigned long long)actual->rows);
        if (actual->rows_in != actual->rows)
            writer_printf(e->out, " of %llu", (unsigned long long)actual->rows_in);
        writer_printf(e->out, " time=%.3f ms)", (double)actual->time_ns / 1e6);
        if (actual->spilled_bytes > 0)
            writer_printf(e->out, " (spilled %llu bytes to disk)",
                          (unsigned long long)actual->spilled_bytes);
        if (actual->keys_expected > 0)
            writer_printf(e->out, " (keys expected=%llu moved=%llu)",
                          (unsigned long long)actual->keys_expected,
                          (unsigned long long)actual->keys_moved);
        if (actual->late_columns > 0)
            writer_printf(e->out, " (late rows=%llu columns=%llu)",
                          (unsigned long long)actual->late_rows,
                          (unsigned long long)actual->late_columns);
        if (actual->partials_found + actual->partials_made > 0)
            writer_printf(e->out, " partials=%llu of %llu kept",
                          (unsigned long long)actual->partials_found,
                          (unsigned long long)(actual->partials_found + actual->partials_made));
        if (actual->rollup.size > 0)
            writer_printf(e->out, " rollup=%.*s segments=%llu portions=%llu rows=%llu",
                          SLICE_ARGS(actual->rollup), (unsigned long long)actual->rollup_segments,
                          (unsigned long long)actual->rollup_portions,
                          (unsigned long long)actual->rollup_rows);
        if (actual->helpers > 0)
            writer_printf(e->out, " threads=%llu", (unsigned long long)actual->helpers + 1);
        if (plan->kind == PLAN_SCAN && actual->blocks > 0)
            print_counts(plan, actual, e->out);
    }
    writer_cstr(e->out, "\n");
    for (size_t index = 0; index < plan->child_count; index++)
        explain(e, plan->children[index], level + 1);
}

void plan_explain(const struct statement *statement, const struct plan_actual *actual,
                  struct writer *lines)
{
    struct explainer e = {.actual = actual,
                          .is_run = actual != NULL &&
                                    (statement->is_analyze || statement->kind != STATEMENT_EXPLAIN),
                          .out = lines};
    explain(&e, statement->plan, 0);
    for (size_t index = 0; index < statement->subplan_count; index++) {
        if (statement->subplans[index] == NULL)
            continue;
        writer_printf(lines, "Subquery %zu\n", index + 1);
        explain(&e, statement->subplans[index], 1);
    }
}
