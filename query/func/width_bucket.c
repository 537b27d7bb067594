/* width_bucket: the part of a range that a value falls into, of equal parts or between the elements
 * of a sorted array. */
#include "query/func/text.h"

#include <limits.h>
#include <math.h>

static enum err width_bucket_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    double value = a[0].f, low = a[1].f, high = a[2].f;
    int64_t buckets = a[3].i;
    const char *wrong = NULL;
    if (buckets <= 0)
        wrong = "count must be greater than zero";
    else if (isnan(value) || isnan(low) || isnan(high))
        wrong = "operand, lower bound, and upper bound cannot be NaN";
    else if (isinf(low) || isinf(high))
        wrong = "lower and upper bounds must be finite";
    else if (low == high)
        wrong = "lower bound cannot equal upper bound";
    if (wrong != NULL)
        return error_set(call->error, ERR_INPUT, "2201G", "%s", wrong);
    bool is_down = low > high;
    bool is_below = is_down ? value > low : value < low;
    bool is_above = is_down ? value <= high : value >= high;
    if (is_below || is_above) {
        out->i = is_below ? 0 : buckets + 1;
        return out->i <= INT_MAX ? OK : error_out_of_range(call->error, "integer");
    }
    double share = is_down ? (low - value) / (low - high) : (value - low) / (high - low);
    out->i = (int64_t)((double)buckets * share) + 1;
    if (out->i > buckets)
        out->i = buckets;
    return OK;
}

/* Exactly: floor((value - low) * count / (high - low)) + 1, computed in whole numbers of digits. */
static enum err numeric_share(struct call *call, struct numeric value, struct numeric low,
                              struct numeric high, int64_t count, int64_t *out)
{
    struct numeric above, width, quotient, rest, multiple;
    enum err err = numeric_subtract(value, low, &above, call->error);
    if (err == OK)
        err = numeric_subtract(high, low, &width, call->error);
    if (err == OK)
        err = numeric_multiply(above, numeric_from_int(count), &multiple, call->error);
    if (err == OK)
        err = numeric_modulo(multiple, width, &rest, call->error);
    if (err == OK)
        err = numeric_subtract(multiple, rest, &multiple, call->error);
    if (err == OK)
        err = numeric_divide(multiple, width, &quotient, call->error);
    if (err == OK)
        err = numeric_to_int(quotient, out, call->error);
    return err;
}

static bool is_infinite(struct numeric n)
{
    return n.kind == NUMERIC_INFINITY || n.kind == NUMERIC_MINUS_INFINITY;
}

static enum err numeric_bucket_row(struct call *call, const struct value *a, size_t count,
                                   struct value *out)
{
    (void)count;
    struct numeric value = a[0].n, low = a[1].n, high = a[2].n;
    int64_t buckets = a[3].i, share = 0;
    const char *wrong = NULL;
    if (buckets <= 0)
        wrong = "count must be greater than zero";
    else if (value.kind == NUMERIC_NAN || low.kind == NUMERIC_NAN || high.kind == NUMERIC_NAN)
        wrong = "operand, lower bound, and upper bound cannot be NaN";
    else if (is_infinite(low) || is_infinite(high))
        wrong = "lower and upper bounds must be finite";
    else if (numeric_compare(low, high) == 0)
        wrong = "lower bound cannot equal upper bound";
    if (wrong != NULL)
        return error_set(call->error, ERR_INPUT, "2201G", "%s", wrong);
    bool is_down = numeric_compare(low, high) > 0;
    int from_low = numeric_compare(value, low), from_high = numeric_compare(value, high);
    if (is_down ? from_low > 0 : from_low < 0) {
        out->i = 0;
        return OK;
    }
    if (is_down ? from_high <= 0 : from_high >= 0)
        share = buckets;
    else if (numeric_share(call, value, low, high, buckets, &share) != OK)
        return ERR_INPUT;
    out->i = share + 1;
    return out->i <= INT_MAX ? OK : error_out_of_range(call->error, "integer");
}

/* How many of the sorted thresholds are at or below the value. */
static enum err array_bucket_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    struct array_reader array;
    struct value threshold;
    struct value *thresholds;
    size_t length = 0, low = 0;
    if (!array_begin(&array, a[1].type.id, a[1].text))
        return call_bad_array(call);
    enum err err =
        call_array(call, (size_t)array.count + 1, sizeof(struct value), (void **)&thresholds);
    if (err != OK)
        return err;
    while (array_next(&array, &threshold)) {
        if (threshold.is_null)
            return error_set(call->error, ERR_INPUT, "22004",
                             "thresholds array must not contain NULLs");
        thresholds[length++] = threshold;
    }
    for (size_t high = length; low < high;) {
        size_t middle = (low + high) / 2;
        if (value_compare(&a[0], &thresholds[middle]) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    out->i = (int64_t)low;
    return OK;
}

#define I TYPE_INT4
#define N TYPE_NUMERIC
#define D TYPE_FLOAT8
#define F TEXT_FUNCTION

#define THRESHOLDS(array, element, literal, item)                                                  \
    F("width_bucket", 2, LIST(element, array), I, 0, array_bucket_row,                             \
      "how many thresholds of a sorted array are at or below",                                     \
      "width_bucket(" item ", " literal ")")
/* clang-format off */
static const struct function functions[] = {
    F("width_bucket", 4, LIST(D, D, D, I), I, 0, width_bucket_row,
      "the bucket of a value, 0 below the first", "width_bucket(5.3::float8, 0, 10, 5)")
    F("width_bucket", 4, LIST(N, N, N, I), I, 0, numeric_bucket_row,
      "the bucket of a value, 0 below the first", "width_bucket(5.3, 0, 10, 5)")
    FOR_COMPARED_ARRAYS(THRESHOLDS)
};
/* clang-format on */

const struct function_group functions_width_bucket = {functions, array_count(functions)};
