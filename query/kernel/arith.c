/* Arithmetic kernels. They compute over every row, NULL or not selected too, and only remember
 * whether some result looks wrong; the caller then walks the selected rows to see whether one of
 * them is really out of range. The common case, no trouble at all, stays one branch-free pass. */
#include "query/kernel/kernel.h"
#include "storage/base/fault.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))
#define A a[i * a_step]
#define B b[i * b_step]

/* One row; `bad` collects overflow of int64 and of the SQL type. */
#define INT_LOOP(builtin)                                                                          \
    for (size_t i = 0; i < count; i++) {                                                           \
        int64_t result;                                                                            \
        bad |= builtin(A, B, &result);                                                             \
        bad |= (result < min) | (result > max);                                                    \
        out[i] = result;                                                                           \
    }

INLINE bool int_body(enum arith_operation operation, const int64_t *restrict a, size_t a_step,
                     const int64_t *restrict b, size_t b_step, int64_t min, int64_t max,
                     size_t count, int64_t *restrict out)
{
    bool bad = false;
    switch (operation) {
    case ARITH_ADD:
        INT_LOOP(__builtin_add_overflow)
        break;
    case ARITH_SUBTRACT:
        INT_LOOP(__builtin_sub_overflow)
        break;
    case ARITH_MULTIPLY:
        INT_LOOP(__builtin_mul_overflow)
        break;
    }
    return bad;
}

bool arith_int(enum arith_operation operation, struct kernel_int a, struct kernel_int b,
               int64_t min, int64_t max, size_t count, int64_t *out)
{
    if (fault_is("kernel.add") && operation == ARITH_ADD)
        operation = ARITH_SUBTRACT;
    if (!a.is_constant && !b.is_constant)
        return int_body(operation, a.values, 1, b.values, 1, min, max, count, out);
    if (!a.is_constant)
        return int_body(operation, a.values, 1, b.values, 0, min, max, count, out);
    return int_body(operation, a.values, 0, b.values, b.is_constant ? 0 : 1, min, max, count, out);
}

#define FLOAT_LOOP(operator, suspicious)                                                           \
    for (size_t i = 0; i < count; i++) {                                                           \
        double result = is_single ? (double)((float)A operator(float) B) : A operator B;           \
        bad |= (fabs(result) <= 1.7976931348623157e308) == 0;                                      \
        bad |= (suspicious);                                                                       \
        out[i] = result;                                                                           \
    }

INLINE bool float_body(enum arith_operation operation, const double *restrict a, size_t a_step,
                       const double *restrict b, size_t b_step, bool is_single, size_t count,
                       double *restrict out)
{
    int bad = 0;
    switch (operation) {
    case ARITH_ADD:
        FLOAT_LOOP(+, 0)
        break;
    case ARITH_SUBTRACT:
        FLOAT_LOOP(-, 0)
        break;
    case ARITH_MULTIPLY:
        FLOAT_LOOP(*, (result == 0) & (A != 0) & (B != 0))
        break;
    }
    return bad != 0;
}

bool arith_float(enum arith_operation operation, struct kernel_float a, struct kernel_float b,
                 bool is_single, size_t count, double *out)
{
    size_t a_step = a.is_constant ? 0 : 1, b_step = b.is_constant ? 0 : 1;
    if (is_single)
        return float_body(operation, a.values, a_step, b.values, b_step, true, count, out);
    if (!a.is_constant && !b.is_constant)
        return float_body(operation, a.values, 1, b.values, 1, false, count, out);
    if (!a.is_constant)
        return float_body(operation, a.values, 1, b.values, 0, false, count, out);
    return float_body(operation, a.values, 0, b.values, b_step, false, count, out);
}
