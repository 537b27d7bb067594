/* floor(extract(epoch from t) / n) * n, the bucket that dashboards write, as one step over
 * microseconds.
 *
 * The tree is four numeric operations a row, each with 128-bit divisions. The result depends on t
 * only through the n seconds it falls in, so it is one integer division here, and a compare where
 * the row before fell in the same bucket. It is the same number: numeric division keeps at least 16
 * digits, so a quotient is never rounded up to the next integer by the microseconds of any time
 * there is. The factor may be another than the divisor, or absent. */
#include "query/expr/node.h"

#include "query/func/time.h"

#define SECONDS_MAX 1000000000

static bool is_call(const struct expr *expr, const char *name, uint32_t argument_count)
{
    return expr->kind == EXPR_CALL && expr->argument_count == argument_count &&
           slice_equal(slice_from_cstr(expr->function->name), slice_from_cstr(name));
}

/* A whole number from 1 to SECONDS_MAX, written as numeric without decimals. */
static bool is_seconds(const struct expr *expr, int64_t *out)
{
    if (expr->kind != EXPR_CONSTANT || expr->type.id != TYPE_NUMERIC || expr->constant.is_null)
        return false;
    struct numeric n = expr->constant.n;
    if (n.kind != NUMERIC_FINITE || n.scale != 0 || n.digits < 1 || n.digits > SECONDS_MAX)
        return false;
    *out = (int64_t)n.digits;
    return true;
}

static bool is_epoch_of_time(const struct expr *expr)
{
    if (!is_call(expr, "extract", 2) || expr->arguments[0]->kind != EXPR_CONSTANT ||
        expr->arguments[0]->constant.is_null)
        return false;
    enum time_unit unit;
    uint8_t type = expr->arguments[1]->type.id;
    return (type == TYPE_TIMESTAMPTZ || type == TYPE_TIMESTAMP) &&
           time_unit_find(expr->arguments[0]->constant.text, &unit) && unit == UNIT_EPOCH;
}

bool bucket_match(const struct expr *expr, struct bucket *out)
{
    *out = (struct bucket){.factor = 1};
    bool has_factor = is_call(expr, "*", 2);
    if (has_factor && !is_seconds(expr->arguments[1], &out->factor))
        return false;
    const struct expr *rounded = has_factor ? expr->arguments[0] : expr;
    if (!is_call(rounded, "floor", 1) || !is_call(rounded->arguments[0], "/", 2))
        return false;
    const struct expr *quotient = rounded->arguments[0];
    int64_t seconds;
    if (!is_seconds(quotient->arguments[1], &seconds) || !is_epoch_of_time(quotient->arguments[0]))
        return false;
    out->width_us = seconds * MICROSECONDS_PER_SECOND;
    out->depth = has_factor ? 3 : 2; /* first children down to the extract */
    return true;
}

static struct numeric bucket_of(int64_t us, const struct bucket *bucket, int64_t *start)
{
    int64_t number = us / bucket->width_us - (us % bucket->width_us < 0);
    if (__builtin_mul_overflow(number, bucket->width_us, start))
        *start = us; /* the bucket that holds the beginning of time */
    return numeric_from_int128((__int128)number * bucket->factor, 0);
}

enum err bucket_run(struct frame *frame, struct node *node, struct rows rows, struct column *out)
{
    struct node *time_node = node;
    for (int i = 0; i < node->bucket.depth; i++)
        time_node = &time_node->children[0];
    struct column time;
    enum err err = node_run(frame, &time_node->children[1], rows, &time);
    if (err != OK)
        return err;
    int64_t start = 0, width = node->bucket.width_us;
    struct numeric last = bucket_of(0, &node->bucket, &start);
    if (rows.selection == NULL && time.form == COLUMN_FLAT && time.validity == NULL) {
        last = bucket_of(time.i[0], &node->bucket, &start); /* rows.count is not 0 */
        if (start > INT64_MIN / 2 && start <= TIME_MAX - width &&
            time_all_within(time.i, rows.count, start, start + width)) {
            struct value value = {.type = node->expr->type, .n = last};
            *out = result_constant(frame, &value);
            return OK;
        }
    }
    *out = result_create(frame, node->expr->type);
    struct numeric *values = (struct numeric *)(void *)out->n;
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        if (column_is_null(&time, row)) {
            result_set_null(frame, out, row);
            continue;
        }
        int64_t us = time.i[column_index(&time, row)];
        if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY) {
            values[row] = (struct numeric){.kind = us == TIME_INFINITY ? NUMERIC_INFINITY
                                                                       : NUMERIC_MINUS_INFINITY};
            continue;
        }
        if (us < start || (uint64_t)us - (uint64_t)start >= (uint64_t)width)
            last = bucket_of(us, &node->bucket, &start);
        values[row] = last;
    }
    return OK;
}
