/* Aggregates over pairs (y, x) of doubles: corr, covar_pop, covar_samp and the regr_ family.
 *
 * One state for all of them: the count, both sums and the sums of squares and products of the
 * differences from the means, carried along as Youngs and Cramer do (one pass, no cancellation), so
 * two states combine as two halves of one input. Pairs with a NULL in them do not count. */
#include "query/func/aggregate.h"

#include <math.h>
#include <string.h>

struct pairs {
    double count, sum_x, sum_y, squares_x, squares_y, products;
};

static void pairs_init(void *state)
{
    memset(state, 0, sizeof(struct pairs));
}

static enum err overflow(struct error *error)
{
    return error_set(error, ERR_INPUT, "22003", "value out of range: overflow");
}

/* What became infinite out of finite inputs is an overflow; else it is NaN from here on. */
static bool pairs_settle(struct pairs *s, bool is_finite_x, bool is_finite_y)
{
    bool over_x = isinf(s->sum_x) || isinf(s->squares_x);
    bool over_y = isinf(s->sum_y) || isinf(s->squares_y);
    if ((over_x && is_finite_x) || (over_y && is_finite_y) ||
        (isinf(s->products) && is_finite_x && is_finite_y))
        return false;
    if (isinf(s->squares_x))
        s->squares_x = NAN;
    if (isinf(s->squares_y))
        s->squares_y = NAN;
    if (isinf(s->products))
        s->products = NAN;
    return true;
}

static bool pairs_add(struct pairs *s, double y, double x)
{
    double before = s->count, sum_x = s->sum_x, sum_y = s->sum_y;
    s->count += 1;
    s->sum_x += x;
    s->sum_y += y;
    if (before > 0) {
        double dx = x * s->count - s->sum_x, dy = y * s->count - s->sum_y;
        double scale = 1.0 / (s->count * before);
        s->squares_x += dx * dx * scale;
        s->squares_y += dy * dy * scale;
        s->products += dx * dy * scale;
        return pairs_settle(s, !isinf(sum_x) && !isinf(x), !isinf(sum_y) && !isinf(y));
    }
    if (!isfinite(x))
        s->squares_x = s->products = NAN;
    if (!isfinite(y))
        s->squares_y = s->products = NAN;
    return true;
}

static AGGREGATE_UPDATE(pairs_update)
{
    (void)memory;
    const struct column *y = &arguments[0], *x = &arguments[1];
    for (size_t k = 0; k < count; k++) {
        size_t row = selection != NULL ? selection[k] : k;
        if (column_is_null(x, row) || column_is_null(y, row))
            continue;
        if (!pairs_add(aggregate_state(states, stride, group, row), y->f[column_index(y, row)],
                       x->f[column_index(x, row)]))
            return overflow(error);
    }
    return OK;
}

static AGGREGATE_COMBINE(pairs_combine)
{
    (void)memory;
    struct pairs *a = target;
    const struct pairs *b = source;
    if (b->count == 0)
        return OK;
    if (a->count == 0) {
        *a = *b;
        return OK;
    }
    double count = a->count + b->count, scale = a->count * b->count / count;
    double dx = a->sum_x / a->count - b->sum_x / b->count;
    double dy = a->sum_y / a->count - b->sum_y / b->count;
    bool is_finite_x = !isinf(a->sum_x) && !isinf(b->sum_x);
    bool is_finite_y = !isinf(a->sum_y) && !isinf(b->sum_y);
    *a = (struct pairs){count,
                        a->sum_x + b->sum_x,
                        a->sum_y + b->sum_y,
                        a->squares_x + b->squares_x + scale * dx * dx,
                        a->squares_y + b->squares_y + scale * dy * dy,
                        a->products + b->products + scale * dx * dy};
    return pairs_settle(a, is_finite_x, is_finite_y) ? OK : overflow(error);
}

/* Each result: when it is NULL, and what it is. */
#define RESULT(name, is_missing, result)                                                           \
    static AGGREGATE_FINISH(name##_finish)                                                         \
    {                                                                                              \
        (void)memory, (void)error;                                                                 \
        const struct pairs *s = state;                                                             \
        *out = (struct value){.type = call->type, .is_null = is_missing};                          \
        if (!out->is_null)                                                                         \
            out->f = result;                                                                       \
        return OK;                                                                                 \
    }
RESULT(corr, s->count < 1 || s->squares_x == 0 || s->squares_y == 0,
       s->products / sqrt(s->squares_x * s->squares_y))
RESULT(covar_pop, s->count < 1, s->products / s->count)
RESULT(covar_samp, s->count < 2, s->products / (s->count - 1))
RESULT(regr_avgx, s->count < 1, s->sum_x / s->count)
RESULT(regr_avgy, s->count < 1, s->sum_y / s->count)
RESULT(regr_sxx, s->count < 1, s->squares_x)
RESULT(regr_syy, s->count < 1, s->squares_y)
RESULT(regr_sxy, s->count < 1, s->products)
RESULT(regr_slope, s->count < 1 || s->squares_x == 0, s->products / s->squares_x)
RESULT(regr_intercept, s->count < 1 || s->squares_x == 0,
       (s->sum_y - s->sum_x * s->products / s->squares_x) / s->count)
RESULT(regr_r2, s->count < 1 || s->squares_x == 0,
       s->squares_y == 0 ? 1.0 : s->products * s->products / (s->squares_x * s->squares_y))

static AGGREGATE_FINISH(regr_count_finish)
{
    (void)memory, (void)error;
    const struct pairs *s = state;
    *out = (struct value){.type = call->type, .i = (int64_t)s->count};
    return OK;
}

#define PAIR(name_text, to, doc_text)                                                              \
    {.name = #name_text,                                                                           \
     .argument = TYPE_FLOAT8,                                                                      \
     .more = {TYPE_FLOAT8},                                                                        \
     .result = to,                                                                                 \
     .state_size = AGGREGATE_STATE_SIZE(pairs),                                                    \
     .init = pairs_init,                                                                           \
     .update = pairs_update,                                                                       \
     .combine = pairs_combine,                                                                     \
     .finish = name_text##_finish,                                                                 \
     .doc = doc_text,                                                                              \
     .example = #name_text "(y, x)"},

static const struct aggregate aggregates[] = {
    PAIR(corr, TYPE_FLOAT8, "the correlation of pairs (y, x)")
        PAIR(covar_pop, TYPE_FLOAT8, "the covariance of a whole population")
            PAIR(covar_samp, TYPE_FLOAT8, "the covariance of a sample")
                PAIR(regr_avgx, TYPE_FLOAT8, "the mean of x in pairs (y, x)") PAIR(
                    regr_avgy, TYPE_FLOAT8, "the mean of y in pairs (y, x)")
                    PAIR(regr_count, TYPE_INT8, "pairs (y, x) without NULL") PAIR(
                        regr_intercept, TYPE_FLOAT8, "y at x = 0 of the line through pairs (y, x)")
                        PAIR(regr_r2, TYPE_FLOAT8, "the square of the correlation") PAIR(
                            regr_slope, TYPE_FLOAT8, "the slope of the line through pairs (y, x)")
                            PAIR(regr_sxx, TYPE_FLOAT8, "the sum of squares of x about its mean")
                                PAIR(regr_sxy, TYPE_FLOAT8, "the sum of products about the means")
                                    PAIR(regr_syy, TYPE_FLOAT8,
                                         "the sum of squares of y about its mean")};

const struct aggregate_group aggregates_pair = {aggregates, array_count(aggregates)};
