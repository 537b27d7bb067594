/* count, sum, avg.
 *
 * Integers add up in 128 bits, so neither sum nor avg can overflow on the way and order does not
 * matter. Doubles add with a compensation term (Neumaier's, in the branch-free form of Knuth's
 * two-sum): the result is the same for one order of rows and within an ulp or two of the exact sum.
 * A sum that becomes infinite without an infinite input is 22003.
 *
 * update has two shapes: all rows into one state (totals), where flat columns without NULLs run
 * through tight loops, and one state a row (GROUP BY). */
#include "query/func/aggregate.h"
#include "storage/base/fault.h"

#include "query/func/func.h"
#include "query/kernel/kernel.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

struct count_state {
    int64_t count;
};
struct int_sum {
    __int128 sum;
    int64_t count;
};
struct float_sum {
    double sum, compensation;
    int64_t count;
    int64_t infinite_count;
};
struct numeric_sum {
    struct numeric sum;
    int64_t count;
};
struct interval_sum {
    __int128 months, days, microseconds;
    int64_t count;
};

/* Widths the group operator lays states out by. A count alone is eight bytes: twice as many of many
 * groups are in a cache. */
#define STATE(type)                                                                                \
    (sizeof(struct type) == 8 ? sizeof(struct type) : (sizeof(struct type) + 15) / 16 * 16)
#define ROW(k) (selection != NULL ? selection[k] : (k))

static void zero_count_state(void *state)
{
    memset(state, 0, sizeof(struct count_state));
}
static void zero_int_sum(void *state)
{
    memset(state, 0, sizeof(struct int_sum));
}
static void zero_float_sum(void *state)
{
    memset(state, 0, sizeof(struct float_sum));
}
static void zero_numeric_sum(void *state)
{
    memset(state, 0, sizeof(struct numeric_sum));
}
static void zero_interval_sum(void *state)
{
    memset(state, 0, sizeof(struct interval_sum));
}

/* --- count --- */

static enum err count_star_update(char *states, size_t stride, const uint32_t *group,
                                  const uint32_t *selection, size_t count,
                                  const struct column *arguments, struct aggregate_memory *memory,
                                  struct error *error)
{
    (void)arguments, (void)memory, (void)error;
    if (group == NULL) {
        ((struct count_state *)states)->count += (int64_t)count;
        return OK;
    }
    for (size_t k = 0; selection == NULL && k < count; k++)
        ((struct count_state *)(states + group[k] * stride))->count++;
    for (size_t k = 0; selection != NULL && k < count; k++)
        ((struct count_state *)(states + group[selection[k]] * stride))->count++;
    return OK;
}

static enum err count_update(char *states, size_t stride, const uint32_t *group,
                             const uint32_t *selection, size_t count,
                             const struct column *arguments, struct aggregate_memory *memory,
                             struct error *error)
{
    if (arguments[0].validity == NULL)
        return count_star_update(states, stride, group, selection, count, arguments, memory, error);
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        ((struct count_state *)aggregate_state(states, stride, group, row))->count +=
            !column_is_null(&arguments[0], row);
    }
    return OK;
}

static void count_star_remove(void *state, size_t count, const struct column *arguments)
{
    (void)arguments;
    ((struct count_state *)state)->count -= (int64_t)count;
}

static void count_remove(void *state, size_t count, const struct column *arguments)
{
    for (size_t row = 0; row < count; row++)
        ((struct count_state *)state)->count -= !column_is_null(&arguments[0], row);
}

static enum err count_star_take(void *state, const struct scan_extent *extent,
                                struct aggregate_memory *memory, struct error *error)
{
    (void)memory, (void)error;
    ((struct count_state *)state)->count += (int64_t)extent->row_count;
    return OK;
}

static enum err count_take(void *state, const struct scan_extent *extent,
                           struct aggregate_memory *memory, struct error *error)
{
    (void)memory, (void)error;
    ((struct count_state *)state)->count += (int64_t)(extent->row_count - extent->null_count);
    return OK;
}

static enum err count_combine(void *target, const void *source, struct aggregate_memory *memory,
                              struct error *error)
{
    (void)memory, (void)error;
    ((struct count_state *)target)->count += ((const struct count_state *)source)->count;
    return OK;
}

static enum err int_combine(void *target, const void *source, struct aggregate_memory *memory,
                            struct error *error)
{
    (void)memory, (void)error;
    struct int_sum *to = target;
    const struct int_sum *from = source;
    to->sum += from->sum;
    to->count += from->count;
    return OK;
}

static enum err count_finish(const void *state, const struct aggregate_call *call,
                             struct aggregate_memory *memory, struct value *out,
                             struct error *error)
{
    (void)memory, (void)error;
    *out = (struct value){.type = call->type, .i = ((const struct count_state *)state)->count};
    return OK;
}

/* --- integers --- */

/* High and low halves add up apart, in 64 bits each, which the compiler turns into vector adds. */
static __int128 sum_flat(const int64_t *values, size_t count)
{
    int64_t high = 0;
    uint64_t low = 0;
    for (size_t i = 0; i < count; i++) {
        high += values[i] >> 32;
        low += (uint32_t)values[i];
    }
    return (__int128)high * ((int64_t)1 << 32) + low;
}

static enum err int_update(char *states, size_t stride, const uint32_t *group,
                           const uint32_t *selection, size_t count, const struct column *arguments,
                           struct aggregate_memory *memory, struct error *error)
{
    (void)memory, (void)error;
    const struct column *in = &arguments[0];
    if (group == NULL && selection == NULL && in->form == COLUMN_FLAT && in->validity == NULL) {
        struct int_sum *state = (struct int_sum *)states;
        for (size_t done = 0; done < count;
             done += 1u << 20) /* the halves cannot overflow in so many rows */
            state->sum += sum_flat(in->i + done, count - done < 1u << 20 ? count - done : 1u << 20);
        state->count += (int64_t)count;
        return OK;
    }
    bool is_plain = in->form == COLUMN_FLAT && in->validity == NULL && selection == NULL;
    is_plain = is_plain && !fault_is("aggregate.sum");
    for (size_t k = 0; is_plain && k < count; k++) {
        struct int_sum *state = (struct int_sum *)(void *)(states + group[k] * stride);
        state->sum += in->i[k];
        state->count++;
    }
    if (is_plain)
        return OK;
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        struct int_sum *state = aggregate_state(states, stride, group, row);
        if (fault_is("aggregate.sum") && row == 7)
            continue;
        state->sum += in->i[column_index(in, row)];
        state->count++;
    }
    return OK;
}

static void int_remove(void *state, size_t count, const struct column *arguments)
{
    struct int_sum *sum = state;
    for (size_t row = 0; row < count; row++) {
        if (column_is_null(&arguments[0], row))
            continue;
        sum->sum -= arguments[0].i[column_index(&arguments[0], row)];
        sum->count--;
    }
}

static enum err int_take(void *state, const struct scan_extent *extent,
                         struct aggregate_memory *memory, struct error *error)
{
    (void)memory, (void)error;
    struct int_sum *sum = state;
    sum->sum += extent->sum;
    sum->count += (int64_t)(extent->row_count - extent->null_count);
    return OK;
}

static enum err int_sum_finish(const void *state, const struct aggregate_call *call,
                               struct aggregate_memory *memory, struct value *out,
                               struct error *error)
{
    (void)memory;
    const struct int_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0};
    if (call->type.id == TYPE_NUMERIC) {
        out->n = numeric_from_int128(sum->sum, 0);
        return OK;
    }
    if (sum->sum < INT64_MIN || sum->sum > INT64_MAX)
        return error_set(error, ERR_INPUT, "22003", "bigint out of range");
    out->i = (int64_t)sum->sum;
    return OK;
}

static enum err int_avg_finish(const void *state, const struct aggregate_call *call,
                               struct aggregate_memory *memory, struct value *out,
                               struct error *error)
{
    (void)memory;
    const struct int_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0};
    if (out->is_null)
        return OK;
    return numeric_divide(numeric_from_int128(sum->sum, 0), numeric_from_int(sum->count), &out->n,
                          error);
}

/* --- doubles --- */

static inline void float_add(struct float_sum *state, double value)
{
    double sum = state->sum + value;
    double part = sum - state->sum;
    state->compensation += (state->sum - (sum - part)) + (value - part);
    state->sum = sum;
}

static void float_add_flat(struct float_sum *state, const double *values, size_t count)
{
    double sum, compensation;
    sum_doubles(values, count, &sum, &compensation);
    state->count += (int64_t)count;
    if (isfinite(sum) && isfinite(compensation)) { /* then so was every value */
        float_add(state, sum);
        state->compensation += compensation;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        float_add(state, values[i]);
        state->infinite_count += isinf(values[i]) != 0;
    }
}

/* One state a row, every row. Many rows of one group come close together, and the next one waits
 * for the sum of the one before. So the sum is stored as soon as it is known: without the barrier
 * the compiler stores it together with the compensation, which takes three times as long to come.
 */
static void float_add_groups(char *states, size_t stride, const uint32_t *group,
                             const double *values, size_t count)
{
    bool has_infinity = has_infinite(values, count) && !fault_is("aggregate.infinity");
    for (size_t k = 0; k < count; k++) {
        struct float_sum *state = (struct float_sum *)(void *)(states + group[k] * stride);
        double value = values[k], before = state->sum, sum = before + value;
        state->sum = sum;
        __asm__ volatile("" ::: "memory");
        double part = sum - before;
        state->compensation += (before - (sum - part)) + (value - part);
        state->count++;
    }
    for (size_t k = 0; has_infinity && k < count; k++)
        ((struct float_sum *)(void *)(states + group[k] * stride))->infinite_count +=
            isinf(values[k]) != 0;
}

static enum err float_update(char *states, size_t stride, const uint32_t *group,
                             const uint32_t *selection, size_t count,
                             const struct column *arguments, struct aggregate_memory *memory,
                             struct error *error)
{
    (void)memory, (void)error;
    const struct column *in = &arguments[0];
    if (group == NULL && selection == NULL && in->form == COLUMN_FLAT && in->validity == NULL) {
        float_add_flat((struct float_sum *)states, in->f, count);
        return OK;
    }
    if (selection == NULL && in->form == COLUMN_FLAT && in->validity == NULL) {
        float_add_groups(states, stride, group, in->f, count);
        return OK;
    }
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        struct float_sum *state = aggregate_state(states, stride, group, row);
        double value = in->f[column_index(in, row)];
        float_add(state, value);
        state->count++;
        state->infinite_count += isinf(value) != 0;
    }
    return OK;
}

static enum err float_sum_take(void *state, const struct scan_extent *extent,
                               struct aggregate_memory *memory, struct error *error)
{
    (void)memory, (void)error;
    struct float_sum *sum = state;
    float_add(sum, extent->total);
    sum->compensation += extent->lost;
    sum->count += (int64_t)(extent->row_count - extent->null_count);
    sum->infinite_count += (int64_t)extent->infinite_count;
    return OK;
}

static enum err float_combine(void *target, const void *source, struct aggregate_memory *memory,
                              struct error *error)
{
    (void)memory, (void)error;
    struct float_sum *to = target;
    const struct float_sum *from = source;
    float_add(to, from->sum);
    to->compensation += from->compensation;
    to->count += from->count;
    to->infinite_count += from->infinite_count;
    return OK;
}

static enum err float_total(const struct float_sum *sum, double *out, struct error *error)
{
    *out = isfinite(sum->sum) ? sum->sum + sum->compensation : sum->sum;
    if (isinf(*out) && sum->infinite_count == 0)
        return error_set(error, ERR_INPUT, "22003", "value out of range: overflow");
    return OK;
}

static enum err float_sum_finish(const void *state, const struct aggregate_call *call,
                                 struct aggregate_memory *memory, struct value *out,
                                 struct error *error)
{
    (void)memory;
    const struct float_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0};
    if (out->is_null)
        return OK;
    enum err err = float_total(sum, &out->f, error);
    if (err == OK && call->type.id == TYPE_FLOAT4) {
        double total = out->f;
        out->f = (float)total;
        if (isinf(out->f) && !isinf(total))
            return error_set(error, ERR_INPUT, "22003", "value out of range: overflow");
    }
    return err;
}

static enum err float_avg_finish(const void *state, const struct aggregate_call *call,
                                 struct aggregate_memory *memory, struct value *out,
                                 struct error *error)
{
    (void)memory;
    const struct float_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0};
    if (out->is_null)
        return OK;
    enum err err = float_total(sum, &out->f, error);
    out->f /= (double)sum->count;
    return err;
}

/* --- numeric --- */

/* Same scale, finite, no overflow: the usual row of a numeric(p, s) column. */
static inline bool numeric_add_fast(struct numeric *sum, const struct numeric *value)
{
    if (sum->scale != value->scale || (sum->kind | value->kind) != NUMERIC_FINITE)
        return false;
    __int128 result;
    static const __int128 limit = (__int128)1 << 120;
    if (__builtin_add_overflow(sum->digits, value->digits, &result) || result > limit ||
        result < -limit)
        return false;
    sum->digits = result;
    return true;
}

static inline enum err numeric_accumulate(struct numeric_sum *state, const struct numeric *value,
                                          struct error *error)
{
    if (state->count++ == 0) {
        state->sum = *value;
        return OK;
    }
    if (numeric_add_fast(&state->sum, value))
        return OK;
    return numeric_add(state->sum, *value, &state->sum, error);
}

static enum err numeric_update(char *states, size_t stride, const uint32_t *group,
                               const uint32_t *selection, size_t count,
                               const struct column *arguments, struct aggregate_memory *memory,
                               struct error *error)
{
    (void)memory;
    const struct column *in = &arguments[0];
    struct numeric sum;
    if (group == NULL && selection == NULL && in->form == COLUMN_FLAT && in->validity == NULL &&
        sum_numerics(in->n, count, &sum)) {
        struct numeric_sum *state = (struct numeric_sum *)states;
        enum err err = numeric_accumulate(state, &sum, error);
        state->count += (int64_t)count - 1;
        return err;
    }
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        struct numeric_sum *state = aggregate_state(states, stride, group, row);
        enum err err = numeric_accumulate(state, &in->n[column_index(in, row)], error);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err numeric_take(void *state, const struct scan_extent *extent,
                             struct aggregate_memory *memory, struct error *error)
{
    (void)memory;
    struct numeric_sum *sum = state;
    struct numeric value = {.digits = extent->sum, .scale = extent->scale};
    int64_t count = sum->count + (int64_t)(extent->row_count - extent->null_count);
    if (extent->row_count == extent->null_count)
        return OK;
    enum err err = numeric_accumulate(sum, &value, error);
    sum->count = count;
    return err;
}

static enum err numeric_combine(void *target, const void *source, struct aggregate_memory *memory,
                                struct error *error)
{
    (void)memory;
    struct numeric_sum *to = target;
    const struct numeric_sum *from = source;
    if (from->count == 0)
        return OK;
    int64_t count = to->count + from->count;
    enum err err = numeric_accumulate(to, &from->sum, error);
    to->count = count;
    return err;
}

static enum err numeric_sum_finish(const void *state, const struct aggregate_call *call,
                                   struct aggregate_memory *memory, struct value *out,
                                   struct error *error)
{
    (void)memory, (void)error;
    const struct numeric_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0, .n = sum->sum};
    return OK;
}

static enum err numeric_avg_finish(const void *state, const struct aggregate_call *call,
                                   struct aggregate_memory *memory, struct value *out,
                                   struct error *error)
{
    (void)memory;
    const struct numeric_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0};
    return out->is_null ? OK
                        : numeric_divide(sum->sum, numeric_from_int(sum->count), &out->n, error);
}

/* --- intervals --- */

static enum err interval_update(char *states, size_t stride, const uint32_t *group,
                                const uint32_t *selection, size_t count,
                                const struct column *arguments, struct aggregate_memory *memory,
                                struct error *error)
{
    (void)memory, (void)error;
    const struct column *in = &arguments[0];
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(in, row))
            continue;
        struct interval_sum *state = aggregate_state(states, stride, group, row);
        const struct interval *value = &in->interval[column_index(in, row)];
        state->months += value->months;
        state->days += value->days;
        state->microseconds += value->microseconds;
        state->count++;
    }
    return OK;
}

static enum err interval_combine(void *target, const void *source, struct aggregate_memory *memory,
                                 struct error *error)
{
    (void)memory, (void)error;
    struct interval_sum *to = target;
    const struct interval_sum *from = source;
    to->months += from->months;
    to->days += from->days;
    to->microseconds += from->microseconds;
    to->count += from->count;
    return OK;
}

static enum err interval_sum_finish(const void *state, const struct aggregate_call *call,
                                    struct aggregate_memory *memory, struct value *out,
                                    struct error *error)
{
    (void)memory;
    const struct interval_sum *sum = state;
    *out = (struct value){.type = call->type, .is_null = sum->count == 0};
    if (sum->months != (int32_t)sum->months || sum->days != (int32_t)sum->days ||
        sum->microseconds != (int64_t)sum->microseconds)
        return error_set(error, ERR_INPUT, "22008", "interval out of range");
    out->interval =
        (struct interval){(int32_t)sum->months, (int32_t)sum->days, (int64_t)sum->microseconds};
    return OK;
}

static enum err interval_avg_finish(const void *state, const struct aggregate_call *call,
                                    struct aggregate_memory *memory, struct value *out,
                                    struct error *error)
{
    const struct interval_sum *sum = state;
    enum err err = interval_sum_finish(state, call, memory, out, error);
    return err != OK || out->is_null
               ? err
               : interval_divide(out->interval, (double)sum->count, &out->interval, error);
}

#define AGGREGATE(name_text, from, to, prefix, state_type, finish_form, doc_text, example_text)    \
    {                                                                                              \
        .name = name_text, .argument = from, .result = to, .state_size = STATE(state_type),        \
        .init = zero_##state_type, .update = prefix##_update, .need = prefix##_need,               \
        .take = prefix##_take, .combine = prefix##_combine, .remove = prefix##_remove,             \
        .finish = finish_form, .doc = doc_text, .example = example_text                            \
    }
/* Doubles would leave what cancels out, numerics the scale of what went. */
#define float_remove NULL
#define numeric_remove NULL
#define interval_remove NULL
#define count_star_need NEED_ROWS
#define count_need NEED_NULLS
#define int_need NEED_SUM
#define numeric_need NEED_SUM
#define float_need NEED_SUM
#define float_take float_sum_take
#define interval_need NEED_VALUES
#define interval_take NULL
#define count_star_combine count_combine
#define SUM "the sum of the values that are not NULL"
#define AVG "the mean of the values that are not NULL"

static const struct aggregate aggregates[] = {
    AGGREGATE("count", AGGREGATE_NONE, TYPE_INT8, count_star, count_state, count_finish,
              "how many rows", "count(*)"),
    AGGREGATE("count", AGGREGATE_ANY, TYPE_INT8, count, count_state, count_finish,
              "how many values are not NULL", "count(1)"),
    AGGREGATE("sum", TYPE_INT4, TYPE_INT8, int, int_sum, int_sum_finish, SUM, "sum(1)"),
    AGGREGATE("sum", TYPE_INT2, TYPE_INT8, int, int_sum, int_sum_finish, SUM, "sum(1::smallint)"),
    AGGREGATE("sum", TYPE_INT8, TYPE_NUMERIC, int, int_sum, int_sum_finish, SUM, "sum(1::bigint)"),
    AGGREGATE("sum", TYPE_FLOAT8, TYPE_FLOAT8, float, float_sum, float_sum_finish, SUM,
              "sum(1.5::float8)"),
    AGGREGATE("sum", TYPE_FLOAT4, TYPE_FLOAT4, float, float_sum, float_sum_finish, SUM,
              "sum(1.5::real)"),
    AGGREGATE("sum", TYPE_NUMERIC, TYPE_NUMERIC, numeric, numeric_sum, numeric_sum_finish, SUM,
              "sum(1.5)"),
    AGGREGATE("sum", TYPE_INTERVAL, TYPE_INTERVAL, interval, interval_sum, interval_sum_finish, SUM,
              "sum(interval '1 minute')"),
    AGGREGATE("avg", TYPE_INT4, TYPE_NUMERIC, int, int_sum, int_avg_finish, AVG, "avg(1)"),
    AGGREGATE("avg", TYPE_INT2, TYPE_NUMERIC, int, int_sum, int_avg_finish, AVG,
              "avg(1::smallint)"),
    AGGREGATE("avg", TYPE_INT8, TYPE_NUMERIC, int, int_sum, int_avg_finish, AVG, "avg(1::bigint)"),
    AGGREGATE("avg", TYPE_FLOAT8, TYPE_FLOAT8, float, float_sum, float_avg_finish, AVG,
              "avg(1.5::float8)"),
    AGGREGATE("avg", TYPE_FLOAT4, TYPE_FLOAT8, float, float_sum, float_avg_finish, AVG,
              "avg(1.5::real)"),
    AGGREGATE("avg", TYPE_NUMERIC, TYPE_NUMERIC, numeric, numeric_sum, numeric_avg_finish, AVG,
              "avg(1.5)"),
    AGGREGATE("avg", TYPE_INTERVAL, TYPE_INTERVAL, interval, interval_sum, interval_avg_finish, AVG,
              "avg(interval '1 minute')"),
};

const struct aggregate_group aggregates_sum = {aggregates, array_count(aggregates)};

bool aggregate_sum_ints(const struct aggregate_call *call, const char *states, size_t stride,
                        size_t count, int64_t *out, uint8_t *validity, bool *has_null)
{
    bool is_sound = true;
    *has_null = false;
    if (call->aggregate->finish == count_finish) {
        for (size_t i = 0; i < count; i++)
            out[i] = ((const struct count_state *)(const void *)(states + i * stride))->count;
        memset(validity, 1, count);
        return true;
    }
    if (call->aggregate->finish != int_sum_finish || call->type.id != TYPE_INT8)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct int_sum *sum = (const void *)(states + i * stride);
        out[i] = (int64_t)sum->sum;
        validity[i] = sum->count != 0 || fault_is("aggregate.null_sum");
        *has_null |= sum->count == 0;
        is_sound = is_sound && sum->sum == (int64_t)sum->sum;
    }
    return is_sound;
}

/* What lies between the fields is not written: it may be anything. */
void aggregate_sum_write(const struct aggregate *aggregate, const void *state, struct writer *out)
{
    _Alignas(16) char plain[STATE(interval_sum)] = {0};
    assert(aggregate->state_size <= sizeof(plain));
    if (aggregate->init == zero_numeric_sum) {
        const struct numeric_sum *sum = state;
        struct numeric_sum *copy = (struct numeric_sum *)plain;
        copy->sum.digits = sum->sum.digits;
        copy->sum.scale = sum->sum.scale;
        copy->sum.kind = sum->sum.kind;
        copy->count = sum->count;
    } else {
        size_t size = aggregate->init == zero_int_sum ? offsetof(struct int_sum, count) + 8
                      : aggregate->init == zero_interval_sum
                          ? offsetof(struct interval_sum, count) + 8
                          : aggregate->state_size;
        memcpy(plain, state, size);
    }
    writer_bytes(out, plain, aggregate->state_size);
}

bool aggregate_sum_read(const struct aggregate *aggregate, struct reader *in, void *state)
{
    struct slice bytes = reader_bytes(in, aggregate->state_size);
    if (in->failed)
        return false;
    memcpy(state, bytes.data, bytes.size);
    if (aggregate->init == zero_numeric_sum) {
        const struct numeric_sum *sum = state;
        return sum->count >= 0 && numeric_is_sound(sum->sum);
    }
    if (aggregate->init == zero_int_sum) {
        const struct int_sum *sum = state;
        return sum->count >= 0 && numeric_is_sound((struct numeric){.digits = sum->sum});
    }
    return true;
}

bool aggregate_sum_combine(const struct aggregate *aggregate, char *targets, const uint32_t *ids,
                           const char *sources, size_t stride, size_t count)
{
    if (aggregate->combine == count_combine) {
        for (size_t i = 0; i < count; i++)
            ((struct count_state *)(void *)(targets + ids[i] * stride))->count +=
                ((const struct count_state *)(const void *)(sources + i * stride))->count;
        return true;
    }
    if (aggregate->combine != int_combine)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct int_sum *to = (void *)(targets + ids[i] * stride);
        const struct int_sum *from = (const void *)(sources + i * stride);
        to->sum += from->sum;
        to->count += from->count;
    }
    return true;
}
