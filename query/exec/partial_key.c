/* What a partial result depends on beside the rows of its segment, as bytes: two queries share
 * results exactly where these bytes are equal.
 *
 *   plan below the group ─▶ table, definition, columns, filters, expressions ─┐
 *   group                ─▶ keys, aggregates                                  ├▶ bytes
 *   session              ─▶ zone                                              ┘
 *   filter: ts >= bound  ─▶ bounds, apart: no part of the bytes where every row of a portion meets
 *                           them
 *
 * So a panel whose window slides has the same bytes each time, and its inner segments are the same
 * portions. Whatever is one value for all rows, a parameter or now() - interval '1 hour', stands in
 * the bytes as that value. What rows make of a setting other than the zone, of the clock or of the
 * catalogue is not told by the bytes: such results are not kept.
 *
 * Results are of a table by its number, and rights are on whole tables: who may ask may see all
 * that a result was made of. */
#include "query/exec/partial.h"

#include "query/func/func.h"
#include "query/plan/rewrite.h"
#include "storage/base/fault.h"

#include <string.h>

#define KEY_SIZE_MAX ((size_t)64 << 10)

struct maker {
    struct exec *exec;
    struct partial_key *key;
    struct writer *out;
    bool is_kept; /* so far */
};

static void put(struct maker *m, const void *data, size_t size)
{
    writer_u64(m->out, size);
    writer_bytes(m->out, data, size);
}

static void put_type(struct maker *m, struct type type)
{
    const uint32_t parts[] = {type.id, type.precision, type.scale, type.alias, type.length};
    writer_bytes(m->out, parts, sizeof(parts));
}

static void put_value(struct maker *m, const struct value *value)
{
    put_type(m, value->type);
    writer_u8(m->out, value->is_null);
    if (value->is_null || fault_is("partial.values_ignored"))
        return;
    switch (type_physical(value->type.id)) {
    case PHYSICAL_BOOL:
        writer_u8(m->out, value->b);
        break;
    case PHYSICAL_INT:
    case PHYSICAL_FLOAT:
        writer_bytes(m->out, &value->i, sizeof(value->i));
        break;
    case PHYSICAL_NUMERIC:
        writer_bytes(m->out, &value->n.digits, sizeof(value->n.digits));
        writer_u64(m->out, value->n.scale);
        writer_u64(m->out, value->n.kind);
        break;
    case PHYSICAL_INTERVAL:
        writer_bytes(m->out, &value->interval, sizeof(value->interval));
        break;
    case PHYSICAL_TEXT:
        put(m, value->text.data, value->text.size);
        break;
    }
}

/* --- expressions --- */

static bool has_columns(const struct expr *expr)
{
    bool has = expr->kind == EXPR_COLUMN;
    for (uint32_t i = 0; !has && i < expr->argument_count; i++)
        has = has_columns(expr->arguments[i]);
    return has;
}

static void put_node(struct maker *m, const struct expr *expr)
{
    m->is_kept = m->is_kept && expr_is_zoned(expr);
    if (expr->kind == EXPR_COLUMN)
        writer_u64(m->out, expr->column);
    else if (expr->kind == EXPR_CALL || expr->kind == EXPR_NULLIF ||
             expr->kind == EXPR_ARRAY_COMPARE)
        writer_u64(m->out, (uint64_t)(uintptr_t)expr->function);
}

static void put_expr(struct maker *m, const struct expr *expr)
{
    m->is_kept = m->is_kept && m->out->size <= KEY_SIZE_MAX;
    if (!m->is_kept)
        return;
    writer_u8(m->out, expr != NULL);
    if (expr == NULL)
        return;
    if (!has_columns(expr)) {
        struct value value;
        struct error error;
        m->is_kept =
            expr_evaluate_constant(expr, &m->exec->eval, &m->exec->arena, &value, &error) == OK;
        writer_u8(m->out, UINT8_MAX);
        if (m->is_kept)
            put_value(m, &value);
        return;
    }
    writer_u8(m->out, (uint8_t)expr->kind);
    put_type(m, expr->type);
    writer_u8(m->out, (uint8_t)(expr->is_negated + 2 * expr->is_all));
    writer_u64(m->out, expr->argument_count);
    put_node(m, expr);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        put_expr(m, expr->arguments[i]);
}

static void put_exprs(struct maker *m, struct expr *const *exprs, size_t count)
{
    writer_u64(m->out, count);
    for (size_t i = 0; i < count; i++)
        put_expr(m, exprs[i]);
}

/* --- bounds of event time --- */

static bool is_time_column(const struct plan *scan, const struct expr *expr)
{
    int32_t time_column = scan->scan.schema->time_column;
    return expr->kind == EXPR_COLUMN && time_column >= 0 &&
           scan->scan.columns[expr->column] == (uint32_t)time_column;
}

/* Event time compared with one value for all rows. */
static bool take_bound(struct maker *m, const struct plan *scan, const struct expr *expr)
{
    enum compare_operation operation;
    struct value value;
    struct error error;
    if (expr->kind != EXPR_CALL || expr->argument_count != 2 ||
        m->key->bound_count == PARTIAL_BOUNDS_MAX)
        return false;
    const struct expr *left = expr->arguments[0], *right = expr->arguments[1];
    bool is_swapped = !is_time_column(scan, left);
    const struct expr *constant = is_swapped ? left : right;
    if ((is_swapped && !is_time_column(scan, right)) || has_columns(constant) ||
        left->type.id != TYPE_TIMESTAMPTZ || right->type.id != TYPE_TIMESTAMPTZ ||
        !expr_comparison(expr, is_swapped, &operation) || operation == COMPARE_EQ ||
        expr_evaluate_constant(constant, &m->exec->eval, &m->exec->arena, &value, &error) != OK ||
        value.is_null)
        return false;
    m->key->bounds[m->key->bound_count++] =
        (struct partial_bound){.operation = operation, .us = value.i};
    return true;
}

static void put_conjuncts(struct maker *m, const struct plan *scan, const struct expr *expr)
{
    if (expr->kind == EXPR_AND) {
        for (uint32_t i = 0; i < expr->argument_count; i++)
            put_conjuncts(m, scan, expr->arguments[i]);
    } else if (!take_bound(m, scan, expr)) {
        put_expr(m, expr);
    }
}

bool partial_key_is_met(const struct partial_key *key, int64_t min_us, int64_t max_us)
{
    bool is_met = true;
    for (size_t i = 0; is_met && i < key->bound_count; i++) {
        int64_t us = key->bounds[i].us;
        switch (key->bounds[i].operation) {
        case COMPARE_LT:
            is_met = max_us < us;
            break;
        case COMPARE_LE:
            is_met = max_us <= us;
            break;
        case COMPARE_GT:
            is_met = min_us > us;
            break;
        case COMPARE_GE:
            is_met = min_us >= us;
            break;
        default:
            is_met = false;
        }
    }
    return is_met || fault_is("partial.bounds_ignored");
}

/* --- plans --- */

static void put_scan(struct maker *m, const struct plan *plan)
{
    const struct schema *schema = plan->scan.schema;
    writer_u64(m->out, schema->table_id);
    if (fault_is("partial.columns_ignored")) {
        writer_u64(m->out, plan->column_count);
    } else {
        writer_u64(m->out, schema->version); /* what columns an older segment lacks read as */
        for (size_t i = 0; i < plan->column_count; i++) {
            const struct column_definition *column = &schema->columns[plan->scan.columns[i]];
            writer_u64(m->out, column->id);
            put_type(m, column->type);
        }
    }
    /* Doubles are added up in another order where rows are told of as a whole. */
    writer_u8(m->out, plan->scan.filter == NULL || plan->scan.is_conditions_whole);
    writer_u8(m->out, m->exec->is_without_bitmaps);
    if (plan->scan.filter != NULL)
        put_conjuncts(m, plan, plan->scan.filter);
}

static void put_hop(struct maker *m, const struct plan *plan)
{
    const char *zone = timezone_name(plan->hop.zone);
    writer_u64(m->out, plan->hop.time_column);
    writer_bytes(m->out, &plan->hop.slide, sizeof(plan->hop.slide));
    if (!fault_is("partial.hop_size_ignored"))
        writer_bytes(m->out, &plan->hop.size, sizeof(plan->hop.size));
    put(m, zone, strlen(zone));
}

static void put_below(struct maker *m, const struct plan *plan)
{
    writer_u8(m->out, (uint8_t)plan->kind);
    switch (plan->kind) {
    case PLAN_SCAN:
        put_scan(m, plan);
        return;
    case PLAN_FILTER:
        put_expr(m, plan->filter.predicate);
        break;
    case PLAN_PROJECT:
        put_exprs(m, plan->project.exprs, plan->column_count);
        break;
    case PLAN_HOP:
        put_hop(m, plan);
        break;
    default:
        m->is_kept = false;
        return;
    }
    put_below(m, plan->children[0]);
}

static void put_call(struct maker *m, const struct aggregate_call *call)
{
    writer_u64(m->out, (uint64_t)(uintptr_t)call->aggregate);
    put_type(m, call->type);
    writer_u8(m->out, call->is_star);
    for (size_t i = 0; i < EXPR_DIRECT_MAX && call->aggregate->direct[i] != 0; i++)
        put_value(m, &call->direct[i]);
    put_exprs(m, call->arguments, call->argument_count);
    put_expr(m, call->filter);
}

bool partial_key_make(const struct exec_node *node, struct partial_key *key)
{
    const struct plan *plan = node->plan;
    struct maker m = {.exec = node->exec, .key = key, .out = &key->bytes, .is_kept = true};
    *key = (struct partial_key){0};
    writer_init(&key->bytes);
    if (!fault_is("partial.zone_ignored")) {
        const char *zone = timezone_name(node->exec->eval.zone);
        put(&m, zone, strlen(zone));
    }
    put_exprs(&m, plan->group.keys, plan->group.key_count);
    writer_u64(m.out, plan->group.aggregate_count);
    for (size_t i = 0; i < plan->group.aggregate_count; i++)
        put_call(&m, &plan->group.aggregates[i]);
    put_below(&m, plan->children[0]);
    /* How much memory there is says which portions are given up for having too many groups. */
    writer_u64(m.out, node->exec->budget->limit);
    return m.is_kept && !key->bytes.failed;
}
