/* Numbers as text.
 *
 * Parsing floats: up to 19 digits with a small power of ten go the exact way (Clinger 1990: both
 * factors are exact doubles, so one division or multiplication rounds correctly); the rest goes to
 * the C library's strtod on a copy with a terminator, which is correctly rounded too. The process
 * never sets a locale, so the point is a point.
 *
 * Printing floats: the fewest digits that read back the same. Up to 15 digits any decimal survives
 * the way through a double, so a value that is an integer over 10^k is printed from integers; else
 * 15, 16 and 17 digits are tried, in 128-bit integers for values of usual size (60 ns), by the C
 * library for others (2 us). Two cases would give a digit too many and are tried apart:
 * denormals, which have fewer than 15 good digits, and powers of two, whose lower neighbour is
 * nearer than the upper. The A decimal exactly between two doubles (1e23) counts as reading back,
 * which PostgreSQL does not allow: the one known difference. The digits are then laid out as
 * PostgreSQL 12 and later does: scientific for exponents below -4 and from 15 (real: 6) on. */
#include "storage/base/number.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COPY_SIZE 128
#define QUOTE_SIZE_MAX 200 /* of wrong input in an error text */

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* --- integers --- */

static enum err bad_syntax(struct error *error, const char *type_name, struct slice text)
{
    return error_set(error, ERR_INPUT, "22P02", "invalid input syntax for type %s: \"%.*s\"",
                     type_name, SLICE_ARGS(slice_cut(text, QUOTE_SIZE_MAX)));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

enum err int_parse(struct slice text, int64_t min, int64_t max, const char *type_name, int64_t *out,
                   struct error *error)
{
    assert(min <= max);
    struct slice s = slice_trim(text);
    bool is_negative = s.size > 0 && s.data[0] == '-';
    size_t index = is_negative || (s.size > 0 && s.data[0] == '+');
    if (index == s.size)
        return bad_syntax(error, type_name, text);
    uint64_t magnitude = 0;
    bool is_over = false;
    for (; index < s.size; index++) {
        if (!is_digit(s.data[index]))
            return bad_syntax(error, type_name, text);
        is_over |= __builtin_mul_overflow(magnitude, 10, &magnitude);
        is_over |= __builtin_add_overflow(magnitude, (uint64_t)(s.data[index] - '0'), &magnitude);
    }
    is_over |= magnitude > (uint64_t)INT64_MAX + is_negative;
    int64_t value = is_over ? 0 : is_negative ? (int64_t)-magnitude : (int64_t)magnitude;
    if (is_over || value < min || value > max)
        return error_set(error, ERR_INPUT, "22003", "value \"%.*s\" is out of range for type %s",
                         SLICE_ARGS(slice_cut(text, QUOTE_SIZE_MAX)), type_name);
    *out = value;
    return OK;
}

void uint_print(uint64_t value, struct writer *out)
{
    char digits[20];
    size_t used = sizeof(digits);
    do {
        digits[--used] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    writer_bytes(out, digits + used, sizeof(digits) - used);
}

void int_print(int64_t value, struct writer *out)
{
    if (value < 0)
        writer_u8(out, '-');
    uint_print(value < 0 ? -(uint64_t)value : (uint64_t)value, out);
}

/* --- reading floats --- */

/* What a scan over [sign] digits [. digits] [e [sign] digits] found. */
struct decimal {
    uint64_t mantissa; /* the first 19 digits */
    int64_t exponent;  /* of ten */
    bool is_negative;
    bool is_exact;   /* mantissa holds all digits */
    bool is_integer; /* neither point nor exponent */
    size_t size;     /* bytes scanned; 0: not a number */
};

static bool add_digit(struct decimal *decimal, char c)
{
    if (decimal->mantissa >= UINT64_C(1000000000000000000)) {
        decimal->is_exact &= c == '0';
        return false;
    }
    decimal->mantissa = decimal->mantissa * 10 + (uint64_t)(c - '0');
    return true;
}

static size_t scan_exponent(struct slice s, size_t index, int64_t *exponent)
{
    size_t start = index;
    index++;
    bool is_negative = index < s.size && s.data[index] == '-';
    if (index < s.size && (s.data[index] == '-' || s.data[index] == '+'))
        index++;
    if (index >= s.size || !is_digit(s.data[index]))
        return start;
    int64_t value = 0;
    for (; index < s.size && is_digit(s.data[index]); index++)
        if (value < 1000000)
            value = value * 10 + (s.data[index] - '0');
    *exponent += is_negative ? -value : value;
    return index;
}

static struct decimal decimal_scan(struct slice s)
{
    struct decimal decimal = {.is_exact = true, .is_integer = true};
    size_t index = 0;
    if (s.size > 0 && (s.data[0] == '-' || s.data[0] == '+')) {
        decimal.is_negative = s.data[0] == '-';
        index++;
    }
    size_t first = index;
    for (; index < s.size && is_digit(s.data[index]); index++)
        if (!add_digit(&decimal, s.data[index]))
            decimal.exponent++;
    size_t digit_count = index - first;
    if (index < s.size && s.data[index] == '.') {
        decimal.is_integer = false;
        for (index++; index < s.size && is_digit(s.data[index]); index++, digit_count++)
            if (add_digit(&decimal, s.data[index]))
                decimal.exponent--;
    }
    if (digit_count == 0)
        return (struct decimal){0};
    if (index < s.size && (s.data[index] | 0x20) == 'e') {
        size_t end = scan_exponent(s, index, &decimal.exponent);
        decimal.is_integer &= end == index;
        index = end;
    }
    decimal.size = index;
    return decimal;
}

static bool decimal_to_double_exactly(const struct decimal *decimal, double *out)
{
    if (!decimal->is_exact || decimal->mantissa > (UINT64_C(1) << 53))
        return false;
    if (decimal->exponent < -22 || decimal->exponent > 22)
        return false;
    double value = (double)decimal->mantissa;
    value = decimal->exponent < 0 ? value / powers[-decimal->exponent]
                                  : value * powers[decimal->exponent];
    *out = decimal->is_negative ? -value : value;
    return true;
}

/* strtod over a slice. *size is how much of it was a number; errno is the C library's. */
static double library_parse(struct slice s, bool is_float4, size_t *size)
{
    char small[COPY_SIZE];
    char *copy = s.size < COPY_SIZE ? small : memory_alloc(s.size + 1);
    if (s.size > 0)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    char *end = copy;
    errno = 0;
    double value = is_float4 ? (double)strtof(copy, &end) : strtod(copy, &end);
    int os_error = errno;
    *size = (size_t)(end - copy);
    if (copy != small)
        memory_free(copy);
    errno = os_error;
    return value;
}

static enum err float_parse(struct slice text, bool is_float4, double *out, struct error *error)
{
    const char *type_name = is_float4 ? "real" : "double precision";
    struct slice s = slice_trim(text);
    if (s.size == 0)
        return bad_syntax(error, type_name, text);
    struct decimal decimal = decimal_scan(s);
    if (!is_float4 && decimal.size == s.size && decimal_to_double_exactly(&decimal, out))
        return OK;
    size_t size;
    double value = library_parse(s, is_float4, &size);
    if (size != s.size)
        return bad_syntax(error, type_name, text);
    if (errno == ERANGE && (value == 0 || isinf(value)))
        return error_set(error, ERR_INPUT, "22003", "\"%.*s\" is out of range for type %s",
                         SLICE_ARGS(slice_cut(s, QUOTE_SIZE_MAX)), type_name);
    *out = value;
    return OK;
}

enum err float8_parse(struct slice text, double *out, struct error *error)
{
    return float_parse(text, false, out, error);
}

enum err float4_parse(struct slice text, double *out, struct error *error)
{
    return float_parse(text, true, out, error);
}

/* --- printing floats --- */

static double read_back(const char *text, bool is_float4)
{
    return is_float4 ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/* "-1.2345e+02" to "12345" and 2; trailing zeros are dropped. Returns how many digits. */
static size_t split_scientific(const char *text, char *digits, int *exponent)
{
    size_t count = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (is_digit(*p))
            digits[count++] = *p;
    *exponent = (int)strtol(p + 1, NULL, 10);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

static bool is_power_of_two(double value)
{
    int exponent;
    return frexp(value, &exponent) == 0.5;
}

/* The same for doubles from 2^-10 to 2^49, in integers: value * 10^p, with p such that it has 17
 * digits before the point, is m * 5^p / 2^shift exactly, and fits in 128 bits. A decimal reads back
 * as the value if it is nearer than half of the last bit, which is 5^p in those units (doubled), or
 * as near if m is even. Returns how many digits, 0 for values that it does not do. */
static size_t shortest_digits_fast(double value, char *digits, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint64_t m = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    int power = (int)(bits >> 52 & 0x7FF) - 1075;
    if (power < -62 || power >= -3 || (m & (m - 1)) == 0) /* a power of two has uneven neighbours */
        return 0;
    int p = 16 - (int)floor(log10(value));
    uint64_t five = 1;
    for (int i = 0; i < p; i++)
        five *= 5; /* p <= 20: below 2^47 */
    int shift = -(power + p);
    assert(p >= 1 && p <= 20 && shift >= 1);
    unsigned __int128 scaled = (unsigned __int128)m * five;
    uint64_t whole = (uint64_t)(scaled >> shift);
    if (whole < UINT64_C(10000000000000000) || whole >= UINT64_C(100000000000000000))
        return 0; /* log10 was off by one */
    unsigned __int128 part = scaled & (((unsigned __int128)1 << shift) - 1);
    uint64_t unit = 100;
    for (int count = 15; count <= 17; count++, unit /= 10) {
        uint64_t decimal = whole / unit;
        unsigned __int128 below = ((unsigned __int128)(whole % unit) << shift) + part;
        unsigned __int128 above = ((unsigned __int128)unit << shift) - below;
        bool is_up = above < below || (above == below && decimal % 2 == 1);
        unsigned __int128 distance = 2 * (is_up ? above : below);
        if (distance > five || (distance == five && m % 2 == 1))
            continue;
        decimal += is_up;
        for (int place = count - 1; place >= 0; place--, decimal /= 10)
            digits[place] = (char)('0' + decimal % 10);
        if (decimal != 0) /* rounded up to the next power of ten */
            return 0;
        *exponent = 16 - p;
        while (count > 1 && digits[count - 1] == '0')
            count--;
        return (size_t)count;
    }
    return 0;
}

/* Shortest digits of a positive finite value: 0.d1d2d3… is not meant, d1.d2d3… * 10^*exponent is.
 */
static size_t shortest_digits(double value, bool is_float4, char *digits, int *exponent)
{
    int digits_max = is_float4 ? 9 : 17;
    bool is_denormal = value < (is_float4 ? (double)0x1p-126f : 0x1p-1022);
    int precision = is_denormal ? 1 : is_float4 ? 6 : 15;
    char text[40];
    for (; precision <= digits_max; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision - 1, value);
        if (read_back(text, is_float4) == value)
            return split_scientific(text, digits, exponent);
        if (!is_power_of_two(value))
            continue;
        /* The nearest decimal of this length lies below and reads back as the lower neighbour, but
         * the next one above may still be ours. */
        size_t last = (size_t)precision; /* of the mantissa: "d.ddd" */
        if (precision > 1 && text[last] >= '0' && text[last] < '9') {
            text[last]++;
            if (read_back(text, is_float4) == value)
                return split_scientific(text, digits, exponent);
        }
    }
    assert(false);
    return 0;
}

/* Digits and exponent laid out as PostgreSQL does. */
static void layout_digits(const char *digits, size_t count, int exponent, bool is_float4,
                          struct writer *out)
{
    if (exponent < -4 || exponent >= (is_float4 ? 6 : 15)) {
        writer_u8(out, (uint8_t)digits[0]);
        if (count > 1) {
            writer_u8(out, '.');
            writer_bytes(out, digits + 1, count - 1);
        }
        writer_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        writer_bytes(out, "0.0000", 1 - (size_t)exponent);
        writer_bytes(out, digits, count);
        return;
    }
    size_t whole = (size_t)exponent + 1;
    writer_bytes(out, digits, count < whole ? count : whole);
    if (count < whole)
        writer_bytes(out, "00000000000000", whole - count);
    if (count > whole) {
        writer_u8(out, '.');
        writer_bytes(out, digits + whole, count - whole);
    }
}

/* Values that are m / 10^k with m < 10^15 and k <= 6, which is most of what people store. */
static bool print_short_decimal(double value, struct writer *out)
{
    if (value < 1e-4 || value >= 1e15)
        return false;
    for (int k = 0; k <= 6; k++) {
        double scaled = value * powers[k];
        if (scaled >= 1e15)
            return false;
        double whole = nearbyint(scaled);
        if (whole / powers[k] != value)
            continue;
        uint64_t m = (uint64_t)whole;
        uint64_t unit = (uint64_t)powers[k];
        uint_print(m / unit, out);
        if (k == 0)
            return true;
        char fraction[7] = ".";
        uint64_t rest = m % unit;
        for (int place = k; place >= 1; place--, rest /= 10)
            fraction[place] = (char)('0' + rest % 10);
        writer_bytes(out, fraction, (size_t)k + 1);
        return true;
    }
    return false;
}

static void float_print(double value, bool is_float4, struct writer *out)
{
    if (isnan(value)) {
        writer_cstr(out, "NaN");
        return;
    }
    if (signbit(value))
        writer_u8(out, '-');
    value = fabs(value);
    if (isinf(value)) {
        writer_cstr(out, "Infinity");
        return;
    }
    if (value == 0) {
        writer_u8(out, '0');
        return;
    }
    if (!is_float4 && print_short_decimal(value, out))
        return;
    char digits[40];
    int exponent;
    size_t count = is_float4 ? 0 : shortest_digits_fast(value, digits, &exponent);
    if (count == 0)
        count = shortest_digits(value, is_float4, digits, &exponent);
    layout_digits(digits, count, exponent, is_float4, out);
}

void float8_print(double value, struct writer *out)
{
    float_print(value, false, out);
}

void float4_print(double value, struct writer *out)
{
    float_print(value, true, out);
}

/* --- JSON --- */

/* The grammar that decimal_scan is laxer than: no plus, no leading zeros, digits around the point.
 */
static bool is_json_number(struct slice s)
{
    size_t index = s.size > 0 && s.data[0] == '-';
    if (index >= s.size || !is_digit(s.data[index]))
        return false;
    if (s.data[index] == '0' && index + 1 < s.size && is_digit(s.data[index + 1]))
        return false;
    while (index < s.size && is_digit(s.data[index]))
        index++;
    if (index < s.size && s.data[index] == '.')
        return index + 1 < s.size && is_digit(s.data[index + 1]);
    return true;
}

bool json_number_parse(struct slice text, bool *is_integer, int64_t *i, double *d)
{
    if (!is_json_number(text))
        return false;
    struct decimal decimal = decimal_scan(text);
    if (decimal.size != text.size)
        return false;
    uint64_t limit = (uint64_t)INT64_MAX + decimal.is_negative;
    *is_integer = decimal.is_integer && decimal.exponent == 0 && decimal.mantissa <= limit;
    if (*is_integer)
        *i = decimal.is_negative ? (int64_t)-decimal.mantissa : (int64_t)decimal.mantissa;
    if (*is_integer && decimal.mantissa <= (UINT64_C(1) << 53)) {
        *d = decimal.is_negative ? -(double)decimal.mantissa : (double)decimal.mantissa;
        return true;
    }
    size_t size;
    if (!decimal_to_double_exactly(&decimal, d))
        *d = library_parse(text, false, &size);
    return true;
}
