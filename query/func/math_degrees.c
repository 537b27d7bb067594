/* Trigonometry in degrees, exact where the result is: sind(30) is 0.5 and not 0.49999999999999994.
 *
 * An angle is brought into the first quadrant by its symmetries, which is exact in degrees. There
 * sine is computed up to 30 degrees and cosine up to 60, each scaled by what libm gives for the
 * last angle of that range, so that 30, 45 and 60 come out as they should; the rest follows from
 * cos(x) = sin(90 - x). The inverses go the same way back. */
#include "query/func/math.h"

#include <math.h>

enum { SIND, COSD, TAND, COTD, ASIND, ACOSD, ATAND };

static double radians(double degrees)
{
    return degrees * (M_PI / 180);
}

/* libm's values at the ends of the ranges: read through a volatile, so that the compiler does not
 * compute them by other means than the calls they are compared with. */
static double end_of_range(double (*function)(double), double x)
{
    volatile double argument = x;
    return function(argument);
}

static double sine_0_to_30(double x)
{
    return sin(radians(x)) / end_of_range(sin, radians(30)) / 2;
}

static double cosine_0_to_60(double x)
{
    double less = 1 - cos(radians(x)), least = 1 - end_of_range(cos, radians(60));
    return 1 - less / least / 2;
}

/* 0 … 90 degrees */
static double sine(double x)
{
    return x <= 30 ? sine_0_to_30(x) : cosine_0_to_60(90 - x);
}

static double cosine(double x)
{
    return x <= 60 ? cosine_0_to_60(x) : sine_0_to_30(90 - x);
}

static double tangent(double x)
{
    return sine(x) / cosine(x) / (sine(45) / cosine(45));
}

static double cotangent(double x)
{
    return cosine(x) / sine(x) / (cosine(45) / sine(45));
}

/* Any angle from one of 0 … 90 degrees. */
static double of_angle(int operation, double x)
{
    bool is_tangent = operation == TAND || operation == COTD;
    double sign = 1;
    x = fmod(x, 360);
    if (x < 0) { /* sine, tangent and cotangent are odd */
        x = -x;
        sign = operation == COSD ? 1 : -1;
    }
    if (x > 180) {
        x = 360 - x;
        sign = operation == COSD ? sign : -sign;
    }
    if (x > 90) {
        x = 180 - x;
        sign = operation == SIND ? sign : -sign;
    }
    double result = operation == SIND   ? sine(x)
                    : operation == COSD ? cosine(x)
                    : operation == TAND ? tangent(x)
                                        : cotangent(x);
    result *= sign;
    return is_tangent && result == 0 ? 0 : result; /* no minus zero */
}

/* 0 … 1 */
static double arc_sine(double x)
{
    return x <= 0.5 ? asin(x) / end_of_range(asin, 0.5) * 30
                    : 90 - acos(x) / end_of_range(acos, 0.5) * 60;
}

static double arc_cosine(double x)
{
    return x <= 0.5 ? 90 - asin(x) / end_of_range(asin, 0.5) * 30
                    : acos(x) / end_of_range(acos, 0.5) * 60;
}

static enum err degrees_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    int operation = call->function->operation;
    double x = a[0].f;
    bool is_arc = operation == ASIND || operation == ACOSD;
    if (isnan(x)) {
        out->f = x;
        return OK;
    }
    if ((is_arc && fabs(x) > 1) || (operation <= COTD && isinf(x)))
        return error_set(call->error, ERR_INPUT, "22003", "input is out of range");
    if (operation == ATAND)
        out->f = atan(x) / end_of_range(atan, 1) * 45;
    else if (operation == ASIND)
        out->f = x >= 0 ? arc_sine(x) : -arc_sine(-x);
    else if (operation == ACOSD)
        out->f = x >= 0 ? arc_cosine(x) : 90 + arc_sine(-x);
    else
        out->f = of_angle(operation, x);
    return OK;
}

static enum err atan2d_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)call, (void)count;
    out->f =
        isnan(a[0].f) || isnan(a[1].f) ? NAN : atan2(a[0].f, a[1].f) / end_of_range(atan, 1) * 45;
    return OK;
}

#define F8 TYPE_FLOAT8
#define ONE(name_text, kind, argument)                                                             \
    {.name = name_text,                                                                            \
     .argument_count = 1,                                                                          \
     .arguments = {F8},                                                                            \
     .result = F8,                                                                                 \
     .operation = kind,                                                                            \
     .row = degrees_row,                                                                           \
     .doc = "in degrees",                                                                          \
     .example = name_text "(" argument ")"},

/* clang-format off */
static const struct function functions[] = {
    ONE("sind", SIND, "30")
    ONE("cosd", COSD, "60")
    ONE("tand", TAND, "45")
    ONE("cotd", COTD, "45")
    ONE("asind", ASIND, "0.5")
    ONE("acosd", ACOSD, "0.5")
    ONE("atand", ATAND, "1")
    {.name = "atan2d",
     .argument_count = 2,
     .arguments = {F8, F8},
     .result = F8,
     .row = atan2d_row,
     .doc = "the angle of a point (y, x) in degrees",
     .example = "atan2d(1, 1)"},
};
/* clang-format on */

const struct function_group functions_math_degrees = {functions, array_count(functions)};
