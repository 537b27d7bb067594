/* EXPLAIN (FORMAT JSON): the operators as nested objects under PostgreSQL's keys, so that tools
 * that draw plans find their way; "Details" is the line that EXPLAIN has for the operator. */
#include "query/plan/plan.h"

#include "storage/base/json.h"

#include <stdio.h>

static const char *const kind_names[] = {[PLAN_SCAN] = "Scan",
                                         [PLAN_PROVIDER] = "Scan",
                                         [PLAN_VALUES] = "Values",
                                         [PLAN_FILTER] = "Filter",
                                         [PLAN_PROJECT] = "Result",
                                         [PLAN_GROUP] = "Aggregate",
                                         [PLAN_SORT] = "Sort",
                                         [PLAN_LIMIT] = "Limit",
                                         [PLAN_JOIN] = "Join",
                                         [PLAN_APPLY] = "Nested Loop",
                                         [PLAN_LOOKUP] = "Lookup",
                                         [PLAN_UNION_ALL] = "Append",
                                         [PLAN_HOP] = "Hop",
                                         [PLAN_EXPAND] = "Expand",
                                         [PLAN_SERIES] = "Function Scan",
                                         [PLAN_SET] = "SetOp",
                                         [PLAN_FIRST] = "Unique",
                                         [PLAN_WINDOW] = "WindowAgg",
                                         [PLAN_RECURSION] = "Recursive Union",
                                         [PLAN_WORKING] = "WorkTable Scan"};

static void write_names(const struct plan *plan, struct writer *out)
{
    writer_cstr(out, ",\"Output\":[");
    for (size_t index = 0; index < plan->column_count; index++) {
        writer_cstr(out, index > 0 ? "," : "");
        json_write_string(out, plan->columns[index].name);
    }
    writer_cstr(out, "]");
}

static void write_actual(const struct plan *plan, const struct plan_actual *actual,
                         struct writer *out)
{
    writer_printf(out, ",\"Actual Rows\":%llu,\"Actual Total Time\":%.3f,\"Actual Loops\":1",
                  (unsigned long long)actual->rows, (double)actual->time_ns / 1e6);
    if (actual->rows_in > actual->rows)
        writer_printf(out, ",\"Rows Removed by Filter\":%llu",
                      (unsigned long long)(actual->rows_in - actual->rows));
    if (actual->partials_found + actual->partials_made > 0)
        writer_printf(out, ",\"Partials Found\":%llu,\"Partials Made\":%llu",
                      (unsigned long long)actual->partials_found,
                      (unsigned long long)actual->partials_made);
    if (actual->rollup.size > 0) {
        writer_cstr(out, ",\"Rollup\":");
        json_write_string(out, actual->rollup);
        writer_printf(out, ",\"Rollup Segments\":%llu,\"Rollup Rows\":%llu",
                      (unsigned long long)actual->rollup_segments,
                      (unsigned long long)actual->rollup_rows);
    }
    if (actual->keys_expected > 0)
        writer_printf(out, ",\"Keys Expected\":%llu,\"Keys Moved\":%llu",
                      (unsigned long long)actual->keys_expected,
                      (unsigned long long)actual->keys_moved);
    if (actual->late_columns > 0)
        writer_printf(out, ",\"Late Rows\":%llu,\"Late Columns\":%llu",
                      (unsigned long long)actual->late_rows,
                      (unsigned long long)actual->late_columns);
    if (actual->helpers > 0)
        writer_printf(out, ",\"Threads\":%llu", (unsigned long long)actual->helpers + 1);
    if (actual->spilled_bytes > 0)
        writer_printf(out, ",\"Spilled Bytes\":%llu", (unsigned long long)actual->spilled_bytes);
    if (plan->kind == PLAN_SCAN)
        writer_printf(
            out,
            ",\"Segments\":%llu,\"Segments Skipped\":%llu,\"Blocks\":%llu,"
            "\"Blocks Skipped\":%llu",
            (unsigned long long)actual->segments, (unsigned long long)actual->segments_skipped,
            (unsigned long long)actual->blocks, (unsigned long long)actual->blocks_skipped);
}

/* `subplans`: those of the statement, below its topmost plan; else NULL. */
static void write_plan(const struct plan *plan, const struct plan_actual *actual,
                       const struct statement *subplans, const char *name, struct writer *out)
{
    struct writer line;
    writer_init(&line);
    plan_explain_node(plan, &line);
    writer_printf(out, "{\"Node Type\":\"%s\"", kind_names[plan->kind]);
    if (name != NULL)
        writer_printf(out, ",\"Parent Relationship\":\"InitPlan\",\"Subplan Name\":\"%s\"", name);
    if (plan->kind == PLAN_SCAN) {
        writer_cstr(out, ",\"Relation Name\":");
        json_write_string(out, plan->scan.schema->name);
    }
    writer_cstr(out, ",\"Details\":");
    json_write_string(out, writer_as_slice(&line));
    writer_deinit(&line);
    write_names(plan, out);
    if (actual != NULL)
        write_actual(plan, &actual[plan->id], out);
    size_t count = 0;
    for (size_t index = 0; index < plan->child_count; index++) {
        writer_cstr(out, count++ > 0 ? "," : ",\"Plans\":[");
        write_plan(plan->children[index], actual, NULL, NULL, out);
    }
    for (size_t index = 0; subplans != NULL && index < subplans->subplan_count; index++) {
        char text[32];
        if (subplans->subplans[index] == NULL)
            continue;
        snprintf(text, sizeof(text), "Subquery %zu", index + 1);
        writer_cstr(out, count++ > 0 ? "," : ",\"Plans\":[");
        write_plan(subplans->subplans[index], actual, NULL, text, out);
    }
    writer_cstr(out, count > 0 ? "]}" : "}");
}

void plan_explain_json(const struct statement *statement, const struct plan_actual *actual,
                       double elapsed_ms, struct writer *out)
{
    writer_cstr(out, "[{\"Plan\":");
    write_plan(statement->plan, actual, statement, NULL, out);
    if (actual != NULL)
        writer_printf(out, ",\"Execution Time\":%.3f", elapsed_ms);
    writer_cstr(out, "}]");
}
