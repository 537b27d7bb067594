/* numeric from text and to text. Digits are gathered into 128 bits, zeros being held back until a
 * digit follows, so that long runs of them cost no room. */
#include "storage/base/numeric.h"

#include "storage/base/numeric_digits.h"

#include <assert.h>

#define QUOTE_SIZE_MAX 200

struct scan {
    struct slice text;
    size_t index;
    __int128 digits;
    int32_t scale; /* may pass 38 until the exponent is known */
    int32_t zeros; /* trailing zeros of the digits not yet multiplied in */
    size_t count;  /* digit characters seen */
    bool is_over;
};

/* Zeros are held back, so that '1.000…' with many of them and '1e30' with a fraction still fit. */
static void scan_digit(struct scan *scan, char c)
{
    scan->count++;
    if (c == '0') {
        scan->zeros += scan->digits != 0 && scan->zeros < 1000000;
        return;
    }
    __int128 digits;
    if (!digits_scale_up(scan->digits, scan->zeros + 1, &digits) ||
        !digits_fit(digits + (c - '0'))) {
        scan->is_over = true;
        return;
    }
    scan->digits = digits + (c - '0');
    scan->zeros = 0;
}

static bool scan_exponent(struct scan *scan, int32_t *exponent)
{
    const char *data = scan->text.data;
    size_t index = scan->index + 1;
    bool is_negative = index < scan->text.size && data[index] == '-';
    if (index < scan->text.size && (data[index] == '-' || data[index] == '+'))
        index++;
    size_t first = index;
    int32_t value = 0;
    for (; index < scan->text.size && data[index] >= '0' && data[index] <= '9'; index++)
        value = value < 1000000 ? value * 10 + (data[index] - '0') : value;
    *exponent = is_negative ? -value : value;
    scan->index = index;
    return index > first;
}

static bool find_special(struct slice s, struct numeric *out)
{
    static const struct {
        const char *name;
        enum numeric_kind kind;
    } names[] = {
        {"NaN", NUMERIC_NAN},
        {"Infinity", NUMERIC_INFINITY},
        {"+Infinity", NUMERIC_INFINITY},
        {"inf", NUMERIC_INFINITY},
        {"-Infinity", NUMERIC_MINUS_INFINITY},
        {"+inf", NUMERIC_INFINITY},
        {"-inf", NUMERIC_MINUS_INFINITY},
    };
    for (size_t index = 0; index < array_count(names); index++) {
        if (slice_equal_ignore_case(s, slice_from_cstr(names[index].name))) {
            *out = (struct numeric){.kind = (int32_t)names[index].kind};
            return true;
        }
    }
    return false;
}

/* Sign, digits, point, exponent. False for the form. */
static bool scan_text(struct scan *scan, bool *is_negative, int32_t *exponent)
{
    const char *data = scan->text.data;
    size_t size = scan->text.size;
    *is_negative = size > 0 && data[0] == '-';
    scan->index = size > 0 && (data[0] == '-' || data[0] == '+');
    bool has_point = false;
    for (; scan->index < size; scan->index++) {
        char c = data[scan->index];
        if (c == '.' && !has_point) {
            has_point = true;
        } else if (c >= '0' && c <= '9') {
            scan_digit(scan, c);
            scan->scale += has_point && scan->scale < 1000000;
        } else {
            break;
        }
    }
    if (scan->count == 0)
        return false;
    if (scan->index < size && (data[scan->index] | 0x20) == 'e' && !scan_exponent(scan, exponent))
        return false;
    return scan->index == size;
}

enum err numeric_parse(struct slice text, struct numeric *out, struct error *error)
{
    struct scan scan = {.text = slice_trim(text)};
    bool is_negative;
    int32_t exponent = 0;
    if (find_special(scan.text, out))
        return OK;
    if (!scan_text(&scan, &is_negative, &exponent))
        return error_set(error, ERR_INPUT, "22P02",
                         "invalid input syntax for type numeric: \"%.*s\"",
                         SLICE_ARGS(slice_cut(text, QUOTE_SIZE_MAX)));
    int32_t scale = scan.scale - exponent;
    int32_t zeros = scan.zeros;
    if (scale < 0) {
        zeros = scan.digits != 0 ? zeros - scale : 0;
        scale = 0;
    }
    if (scan.is_over)
        return digits_overflow(error);
    /* Zeros that stand past the 38th place say nothing. */
    int32_t cut = scale > NUMERIC_DIGITS_MAX ? scale - NUMERIC_DIGITS_MAX : 0;
    if (scan.digits != 0 && cut > zeros)
        return digits_overflow(error);
    __int128 digits = 0;
    while (scan.digits != 0 && !digits_scale_up(scan.digits, zeros - cut, &digits))
        if (++cut > zeros || cut > scale)
            return digits_overflow(error);
    *out = numeric_from_int128(is_negative ? -digits : digits, scale - cut);
    return OK;
}

void numeric_print(struct numeric n, struct writer *out)
{
    if (n.kind != NUMERIC_FINITE) {
        writer_cstr(out, n.kind == NUMERIC_NAN        ? "NaN"
                         : n.kind == NUMERIC_INFINITY ? "Infinity"
                                                      : "-Infinity");
        return;
    }
    char text[2 * NUMERIC_DIGITS_MAX];
    size_t used = sizeof(text);
    u128 value = digits_magnitude(n.digits);
    int32_t place = 0;
    /* 19 digits at a time: 64-bit divisions are several times cheaper than 128-bit ones. */
    while (value > 0 || place <= n.scale) {
        uint64_t part = (uint64_t)(value % POWER19);
        value /= POWER19;
        for (int digit = 0; digit < 19 && (value > 0 || part > 0 || place <= n.scale);
             digit++, place++) {
            if (place == n.scale && place > 0)
                text[--used] = '.';
            text[--used] = (char)('0' + part % 10);
            part /= 10;
        }
    }
    if (n.digits < 0)
        text[--used] = '-';
    writer_bytes(out, text + used, sizeof(text) - used);
}
