/* Comparison kernels: one body per element type, inlined with constant strides and a constant
 * operator, so each of the eighteen loops is a plain one that the compiler turns into vector code
 * for each instruction set (this file is built with -O3: at -O2 gcc leaves such loops as they are).
 *
 * Floats follow PostgreSQL's total order: NaN equals NaN and is greater than every number. Written
 * with | and & on the single tests instead of branches, so that it vectorizes like the integer
 * form. */
#include "query/kernel/kernel.h"
#include "storage/base/fault.h"
#include "storage/encoding/kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define EACH(expression)                                                                           \
    for (size_t i = 0; i < count; i++)                                                             \
    out[i] = (uint8_t)(expression)

INLINE void int_body(enum compare_operation operation, const int64_t *restrict a, size_t a_step,
                     const int64_t *restrict b, size_t b_step, size_t count, uint8_t *restrict out)
{
    switch (operation) {
    case COMPARE_EQ:
        EACH(a[i * a_step] == b[i * b_step]);
        break;
    case COMPARE_NE:
        EACH(a[i * a_step] != b[i * b_step]);
        break;
    case COMPARE_LT:
        EACH(a[i * a_step] < b[i * b_step]);
        break;
    case COMPARE_LE:
        EACH(a[i * a_step] <= b[i * b_step]);
        break;
    case COMPARE_GT:
        EACH(a[i * a_step] > b[i * b_step]);
        break;
    case COMPARE_GE:
        EACH(a[i * a_step] >= b[i * b_step]);
        break;
    }
}

#define A a[i * a_step]
#define B b[i * b_step]

INLINE void float_body(enum compare_operation operation, const double *restrict a, size_t a_step,
                       const double *restrict b, size_t b_step, size_t count, uint8_t *restrict out)
{
    switch (operation) {
    case COMPARE_EQ:
        EACH((A == B) | ((A != A) & (B != B)));
        break;
    case COMPARE_NE:
        EACH(!((A == B) | ((A != A) & (B != B))));
        break;
    case COMPARE_LT:
        EACH((A < B) | ((A == A) & (B != B)));
        break;
    case COMPARE_LE:
        EACH((A <= B) | (B != B));
        break;
    case COMPARE_GT:
        EACH((A > B) | ((A != A) & (B == B)));
        break;
    case COMPARE_GE:
        EACH((A >= B) | (A != A));
        break;
    }
}

/* One operator and shape a loop, for each instruction set. */
INLINE void int_shapes(enum compare_operation operation, const struct kernel_int *a,
                       const struct kernel_int *b, size_t count, uint8_t *out)
{
    if (!a->is_constant && !b->is_constant)
        int_body(operation, a->values, 1, b->values, 1, count, out);
    else if (!a->is_constant)
        int_body(operation, a->values, 1, b->values, 0, count, out);
    else if (!b->is_constant)
        int_body(operation, a->values, 0, b->values, 1, count, out);
    else
        int_body(operation, a->values, 0, b->values, 0, count, out);
}

INLINE void float_shapes(enum compare_operation operation, const struct kernel_float *a,
                         const struct kernel_float *b, size_t count, uint8_t *out)
{
    if (!a->is_constant && !b->is_constant)
        float_body(operation, a->values, 1, b->values, 1, count, out);
    else if (!a->is_constant)
        float_body(operation, a->values, 1, b->values, 0, count, out);
    else if (!b->is_constant)
        float_body(operation, a->values, 0, b->values, 1, count, out);
    else
        float_body(operation, a->values, 0, b->values, 0, count, out);
}

typedef void int_function(enum compare_operation operation, const struct kernel_int *a,
                          const struct kernel_int *b, size_t count, uint8_t *out);
typedef void float_function(enum compare_operation operation, const struct kernel_float *a,
                            const struct kernel_float *b, size_t count, uint8_t *out);

#define VARIANT(isa, attributes)                                                                   \
    attributes static void int_##isa(enum compare_operation operation, const struct kernel_int *a, \
                                     const struct kernel_int *b, size_t count, uint8_t *out)       \
    {                                                                                              \
        int_shapes(operation, a, b, count, out);                                                   \
    }                                                                                              \
    attributes static void float_##isa(enum compare_operation operation,                           \
                                       const struct kernel_float *a, const struct kernel_float *b, \
                                       size_t count, uint8_t *out)                                 \
    {                                                                                              \
        float_shapes(operation, a, b, count, out);                                                 \
    }

VARIANT(base, )
#if defined(__x86_64__)
VARIANT(avx2, __attribute__((target("avx2"))))
VARIANT(avx512, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))))
#else
#define int_avx2 int_base
#define int_avx512 int_base
#define float_avx2 float_base
#define float_avx512 float_base
#endif

void compare_int(enum compare_operation operation, struct kernel_int a, struct kernel_int b,
                 size_t count, uint8_t *out)
{
    static int_function *const variants[KERNEL_ISA_COUNT] = {
        [KERNEL_BASE] = int_base, [KERNEL_AVX2] = int_avx2, [KERNEL_AVX512] = int_avx512};
    if (fault_is("kernel.less") && operation == COMPARE_LT)
        operation = COMPARE_LE;
    variants[kernels_chosen()->isa](operation, &a, &b, count, out);
}

void compare_float(enum compare_operation operation, struct kernel_float a, struct kernel_float b,
                   size_t count, uint8_t *out)
{
    static float_function *const variants[KERNEL_ISA_COUNT] = {
        [KERNEL_BASE] = float_base, [KERNEL_AVX2] = float_avx2, [KERNEL_AVX512] = float_avx512};
    variants[kernels_chosen()->isa](operation, &a, &b, count, out);
}
