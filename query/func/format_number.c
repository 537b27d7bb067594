/* to_char of numbers.
 *
 * The template says how many digits stand before and behind the point; the number is rounded to
 * that, printed, and laid out from left to right: blanks or zeros where it has no digit, the sign
 * just before the first one (or where S, MI, PL, SG or PR put it). A number with more digits than
 * the template has places is a row of #. The decimal point is '.', the group separator ',': there
 * is no locale. */
#include "query/func/format_number.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum err invalid(struct call *call, const char *what)
{
    return error_set(call->error, ERR_INPUT, "42601", "%s", what);
}

/* --- templates --- */

static const struct {
    const char *name;
    enum part_kind kind;
} names[] = {
    {"EEEE", PART_EXPONENT}, {"FM", PART_FILL},    {"MI", PART_MINUS},      {"PL", PART_PLUS},
    {"PR", PART_BRACKET},    {"RN", PART_ROMAN},   {"SG", PART_PLUS_MINUS}, {"TH", PART_ORDINAL},
    {"B", PART_BLANK},       {"D", PART_POINT},    {"G", PART_COMMA},       {"L", PART_CURRENCY},
    {"C", PART_NOTHING},     {"SP", PART_NOTHING}, {"S", PART_SIGN},        {"V", PART_SHIFT},
    {"9", PART_NINE},        {"0", PART_ZERO},     {".", PART_POINT},       {",", PART_COMMA},
};

static bool find_part(struct slice rest, struct part *part)
{
    for (size_t i = 0; i < array_count(names); i++) {
        size_t size = strlen(names[i].name), matched[2] = {0, 0};
        if (rest.size < size)
            continue;
        for (size_t k = 0; k < size; k++) {
            char upper = names[i].name[k];
            char lower = upper >= 'A' && upper <= 'Z' ? (char)(upper - 'A' + 'a') : upper;
            matched[0] += rest.data[k] == upper;
            matched[1] += rest.data[k] == lower;
        }
        if (matched[0] != size && matched[1] != size)
            continue;
        *part = (struct part){names[i].kind, matched[0] != size, slice_of(rest.data, size)};
        return true;
    }
    return false;
}

static void note_digit(struct number_template *t, enum part_kind kind)
{
    if (kind == PART_ZERO && !t->has_zero && !t->has_point) {
        t->has_zero = true;
        t->zero_start = t->before + 1;
    }
    if (kind == PART_NINE && t->has_shift)
        t->shift++;
    else if (t->has_point)
        t->behind++;
    else
        t->before++;
    if (kind == PART_ZERO)
        t->zero_end = t->before + t->behind;
}

/* What a part means for the whole. */
static enum err note_part(struct call *call, struct number_template *t, enum part_kind kind)
{
    if (t->has_exponent && kind != PART_EXPONENT && kind != PART_TEXT)
        return invalid(call, "\"EEEE\" must be the last pattern used");
    switch (kind) {
    case PART_NINE:
    case PART_ZERO:
        if (t->has_bracket)
            return invalid(call, "\"9\" must be ahead of \"PR\"");
        note_digit(t, kind);
        break;
    case PART_POINT:
        if (t->has_point)
            return invalid(call, "multiple decimal points");
        if (t->has_shift)
            return invalid(call, "cannot use \"V\" and decimal point together");
        t->has_point = true;
        break;
    case PART_SIGN:
        if (t->has_sign)
            return invalid(call, "cannot use \"S\" twice");
        if (t->has_plus || t->has_minus || t->has_bracket)
            return invalid(call, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        t->has_sign = true;
        t->sign_place = t->has_point ? SIGN_BEHIND : SIGN_BEFORE;
        t->sign_at = t->before;
        break;
    case PART_MINUS:
    case PART_PLUS:
    case PART_PLUS_MINUS:
        if (t->has_sign)
            return invalid(call, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        t->has_minus = t->has_minus || kind != PART_PLUS;
        t->has_plus = t->has_plus || kind != PART_MINUS;
        break;
    case PART_BRACKET:
        if (t->has_sign || t->has_plus || t->has_minus)
            return invalid(call, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
        t->has_bracket = true;
        break;
    case PART_SHIFT:
        if (t->has_point)
            return invalid(call, "cannot use \"V\" and decimal point together");
        t->has_shift = true;
        break;
    case PART_EXPONENT:
        if (t->has_exponent)
            return invalid(call, "cannot use \"EEEE\" twice");
        if (t->has_sign || t->has_plus || t->has_minus || t->has_bracket || t->has_roman ||
            t->has_shift || t->is_filled || t->has_blank)
            return invalid(call, "\"EEEE\" is incompatible with other formats");
        t->has_exponent = true;
        break;
    case PART_ROMAN:
        t->has_roman = true;
        break;
    case PART_FILL:
        t->is_filled = true;
        break;
    case PART_BLANK:
        t->has_blank = true;
        break;
    default:
        break;
    }
    return OK;
}

enum err number_template_read(struct call *call, struct slice text, struct number_template *t)
{
    size_t most = text.size < PARTS_MAX ? text.size : PARTS_MAX; /* a byte each, or more */
    *t = (struct number_template){.parts = arena_alloc_array(call->arena, most, sizeof(*t->parts))};
    bool is_in_quotes = false;
    for (size_t at = 0; at < text.size;) {
        struct part part = {.kind = PART_TEXT};
        struct slice rest = slice_of(text.data + at, text.size - at);
        if (rest.data[0] == '"') {
            is_in_quotes = !is_in_quotes;
            at++;
            continue;
        }
        if (is_in_quotes || !find_part(rest, &part)) {
            bool is_escape =
                rest.data[0] == '\\' && rest.size > 1 && (is_in_quotes || rest.data[1] == '"');
            at += is_escape;
            rest = slice_of(text.data + at, text.size - at);
            part.text = slice_of(rest.data, text_prefix_size(rest, 1));
        }
        at += part.text.size;
        if (t->part_count == PARTS_MAX)
            return error_set(call->error, ERR_INPUT, "54000", "the format is too long");
        t->parts[t->part_count++] = part;
        enum err err = note_part(call, t, part.kind);
        if (err != OK)
            return err;
    }
    return OK;
}

/* --- layout --- */

struct layout {
    struct number_template *t;
    const char *digits; /* without a sign */
    const char *next;   /* the digit to be written */
    const char *last;   /* the last that counts (FM); NULL: all */
    int blanks;         /* places before the first digit */
    int place, end;
    char sign;
    bool is_signed, is_in_number;
    struct writer out;
};

/* "0.5" by "9.9": the zero is not shown. */
static bool hides_zero(const struct layout *l)
{
    return !l->t->has_zero && l->next == l->digits && l->digits[0] == '0' && l->t->behind != 0;
}

static bool ends_with_point(const struct layout *l)
{
    return l->last != NULL && *l->last == '.';
}

static void write_sign(struct layout *l)
{
    const struct number_template *t = l->t;
    bool starts = l->place >= l->blanks || (t->has_zero && t->zero_start == l->place);
    if (l->is_signed || !starts || (hides_zero(l) && !ends_with_point(l)))
        return;
    if (t->has_sign) {
        if (t->sign_place != SIGN_BEFORE)
            return;
        writer_u8(&l->out, (uint8_t)l->sign);
    } else if (t->has_bracket) {
        writer_u8(&l->out, l->sign == '+' ? ' ' : '<');
    } else if (l->sign == '-' || !t->is_filled) {
        writer_u8(&l->out, l->sign == '+' ? ' ' : '-');
    }
    l->is_signed = true;
}

/* The digit or point that is next, where the number has reached its place. */
static void write_next(struct layout *l, bool is_zero_part)
{
    const struct number_template *t = l->t;
    if (*l->next == '.') {
        if (!ends_with_point(l) || t->is_filled)
            writer_u8(&l->out, '.');
    } else if (l->last != NULL && l->next > l->last && !is_zero_part) {
        /* a zero behind the last digit that counts */
    } else if (hides_zero(l)) {
        if (!t->is_filled)
            writer_u8(&l->out, ' ');
        else if (ends_with_point(l))
            writer_u8(&l->out, '0');
    } else { /* past the last digit this is the zero that ends the text */
        writer_u8(&l->out, (uint8_t)*l->next);
        l->is_in_number = true;
    }
    if (*l->next != 0)
        l->next++;
}

static void write_place(struct layout *l, enum part_kind kind)
{
    const struct number_template *t = l->t;
    if (t->has_roman)
        return;
    l->is_in_number = false;
    write_sign(l);
    bool is_before = l->place < l->blanks;
    if (is_before && (!t->has_zero || t->zero_start > l->place)) {
        if (!t->is_filled)
            writer_u8(&l->out, ' ');
    } else if (is_before) {
        writer_u8(&l->out, '0');
        l->is_in_number = true;
    } else {
        write_next(l, kind == PART_ZERO);
    }
    int end = l->end + (l->blanks != 0) + t->has_point;
    if (l->last != NULL && l->last == l->next)
        end = l->place;
    if (l->place + 1 == end) {
        if (l->is_signed && t->has_bracket)
            writer_u8(&l->out, l->sign == '+' ? ' ' : '>');
        else if (t->has_sign && t->sign_place == SIGN_BEHIND)
            writer_u8(&l->out, (uint8_t)l->sign);
    }
    l->place++;
}

static enum err write_ordinal(struct call *call, struct layout *l, bool is_lower)
{
    static const char *const endings[2][4] = {{"TH", "ST", "ND", "RD"}, {"th", "st", "nd", "rd"}};
    size_t size = strlen(l->digits);
    if (l->t->has_roman || l->digits[0] == '#' || l->sign == '-' || l->t->has_point || size == 0)
        return OK;
    if (l->digits[size - 1] < '0' || l->digits[size - 1] > '9') /* NaN; no place for a digit */
        return error_set(call->error, ERR_INPUT, "22P02", "\"%s\" is not a number", l->digits);
    int digit = l->digits[size - 1] - '0';
    if (digit > 3 || (size > 1 && l->digits[size - 2] == '1'))
        digit = 0;
    writer_cstr(&l->out, endings[is_lower][digit]);
    return OK;
}

static void write_roman(struct layout *l, bool is_lower)
{
    for (size_t i = strlen(l->digits); i < 15 && !l->t->is_filled; i++)
        writer_u8(&l->out, ' ');
    for (const char *c = l->digits; *c != 0; c++)
        writer_u8(&l->out, (uint8_t)(is_lower && *c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c));
}

/* A sign of its own: what it shows, or a blank in its place. */
static void write_own_sign(struct layout *l, char wanted)
{
    if (l->sign == wanted)
        writer_u8(&l->out, (uint8_t)wanted);
    else if (!l->t->is_filled)
        writer_u8(&l->out, ' ');
}

static enum err write_part(struct call *call, struct layout *l, const struct part *part)
{
    switch (part->kind) {
    case PART_NINE:
    case PART_ZERO:
    case PART_POINT:
        write_place(l, part->kind);
        break;
    case PART_COMMA:
        if (l->is_in_number)
            writer_u8(&l->out, ',');
        else if (!l->t->is_filled)
            writer_u8(&l->out, ' ');
        break;
    case PART_MINUS:
        write_own_sign(l, '-');
        break;
    case PART_PLUS:
        write_own_sign(l, '+');
        break;
    case PART_PLUS_MINUS:
        writer_u8(&l->out, (uint8_t)l->sign);
        break;
    case PART_CURRENCY:
        writer_u8(&l->out, ' ');
        break;
    case PART_ORDINAL:
        return write_ordinal(call, l, part->is_lower);
    case PART_ROMAN:
        write_roman(l, part->is_lower);
        break;
    case PART_TEXT:
        writer_slice(&l->out, part->text);
        break;
    default:
        break;
    }
    return OK;
}

static void layout_begin(struct layout *l)
{
    struct number_template *t = l->t;
    if (t->zero_start > 0)
        t->zero_start--;
    if (t->has_plus || t->has_minus) {
        l->is_signed = t->has_minus;
    } else {
        if (l->sign != '-' && t->has_bracket && t->is_filled)
            t->has_bracket = false;
        l->is_signed = l->sign == '+' && t->is_filled && !t->has_sign;
        if (t->sign_place == SIGN_BEFORE && t->before == t->sign_at)
            t->sign_place = SIGN_BEHIND;
    }
    l->end = t->behind + t->before - 1;
    const char *point = strchr(l->digits, '.');
    if (t->is_filled && t->has_point && point != NULL) {
        l->last = point;
        for (const char *c = point + 1; *c != 0; c++)
            if (*c != '0')
                l->last = c;
        if (t->zero_end > l->blanks) {
            size_t kept = (size_t)(t->zero_end - l->blanks), size = strlen(l->digits);
            const char *zero = l->digits + (kept < size - 1 ? kept : size - 1);
            l->last = zero > l->last ? zero : l->last;
        }
    }
    if (!l->is_signed && l->blanks == 0)
        l->end++;
    l->next = l->digits;
}

/* `digits` as printed, rounded to the template's places, perhaps with a sign. A Roman number has no
 * sign: where SG asks for it the text ends, as it does where there is no digit for a place. */
static enum err lay_out(struct call *call, struct number_template *t, char *digits,
                        struct value *out)
{
    struct layout l = {.t = t, .sign = digits[0] == '-' ? '-' : '+'};
    if (digits[0] == '-')
        digits++;
    if (t->has_roman)
        l.sign = 0;
    int length = (int)strcspn(digits, ".");
    if (!t->has_roman && length < t->before) {
        l.blanks = t->before - length;
    } else if (!t->has_roman && length > t->before) {
        digits = arena_alloc(call->arena, (size_t)(t->before + t->behind + 2));
        memset(digits, '#', (size_t)(t->before + t->behind + 1));
        digits[t->before] = '.';
        digits[t->before + t->behind + 1] = 0;
    }
    l.digits = digits;
    layout_begin(&l);
    writer_init(&l.out);
    enum err err = OK;
    for (size_t i = 0; i < t->part_count && err == OK; i++)
        err = write_part(call, &l, &t->parts[i]);
    struct slice text = writer_as_slice(&l.out);
    text.size = text.size == 0 ? 0 : strnlen(text.data, text.size);
    out->text = arena_copy(call->arena, text);
    writer_deinit(&l.out);
    return err;
}

/* --- numbers --- */

static const char *roman(struct call *call, int64_t number)
{
    static const struct {
        int value;
        const char *text;
    } digits[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"},
                  {90, "XC"},  {50, "L"},   {40, "XL"}, {10, "X"},   {9, "IX"},
                  {5, "V"},    {4, "IV"},   {1, "I"}};
    if (number < 1 || number > 3999)
        return "###############";
    struct writer out;
    writer_init(&out);
    for (size_t i = 0; i < array_count(digits); i++)
        for (; number >= digits[i].value; number -= digits[i].value)
            writer_cstr(&out, digits[i].text);
    char *text = arena_copy_cstr(call->arena, writer_as_slice(&out));
    writer_deinit(&out);
    return text;
}

static char *print_numeric(struct call *call, struct numeric n)
{
    struct writer out;
    writer_init(&out);
    numeric_print(n, &out);
    char *text = arena_copy_cstr(call->arena, writer_as_slice(&out));
    writer_deinit(&out);
    return text;
}

/* d.ddde+dd */
static enum err write_exponent(struct call *call, const struct number_template *t, struct numeric n,
                               struct value *out)
{
    char *text;
    if (n.kind != NUMERIC_FINITE) {
        text = arena_alloc(call->arena, (size_t)t->before + (size_t)t->behind + 7);
        memset(text, '#', (size_t)t->before + (size_t)t->behind + 6);
        text[t->before + t->behind + 6] = 0;
        text[0] = ' ';
        text[t->before + 1] = '.';
        out->text = slice_from_cstr(text);
        return OK;
    }
    int digits = 0, exponent = 0, leading = 1;
    struct numeric rounded = n;
    for (__int128 rest = n.digits; rest != 0; rest /= 10)
        digits++;
    if (digits > 0) {
        exponent = digits - 1 - n.scale;
        bool is_cut = t->behind - exponent < n.scale; /* else zeros follow, for which 38 digits may
                                                         have no room */
        enum err err = OK;
        if (is_cut)
            err = numeric_round(n, t->behind - exponent, &rounded, call->error);
        if (err != OK)
            return err;
        digits = 0;
        for (__int128 rest = rounded.digits; rest != 0; rest /= 10)
            digits++;
        leading = digits - 1 - rounded.scale > exponent ? 2 : 1; /* rounding has carried */
    }
    struct writer plain;
    writer_init(&plain);
    numeric_print((struct numeric){.digits = rounded.digits < 0 ? -rounded.digits : rounded.digits},
                  &plain);
    writer_u8(&plain, 0);
    size_t size = strlen((char *)plain.data);
    struct writer result;
    writer_init(&result);
    writer_u8(&result, n.digits < 0 ? '-' : ' ');
    for (int i = 0; i < leading + t->behind; i++) {
        if (i == leading)
            writer_u8(&result, '.');
        writer_u8(&result, (size_t)i < size ? plain.data[i] : '0');
    }
    writer_printf(&result, "e%c%02d", exponent < 0 ? '-' : '+',
                  exponent < 0 ? -exponent : exponent);
    out->text = arena_copy(call->arena, writer_as_slice(&result));
    writer_deinit(&plain);
    writer_deinit(&result);
    return OK;
}

bool number_is_too_long(struct numeric n, int places)
{
    __int128 limit = numeric_power10(places < NUMERIC_DIGITS_MAX ? places : NUMERIC_DIGITS_MAX);
    __int128 whole = n.kind == NUMERIC_FINITE ? numeric_truncate(n, 0).digits : 0;
    return whole >= limit || whole <= -limit;
}

/* Times ten to the number of places behind V. */
static enum err shift_point(struct call *call, int shift, struct numeric *n)
{
    int behind = n->scale < shift ? n->scale : shift;
    shift = shift - behind < NUMERIC_DIGITS_MAX ? shift - behind : NUMERIC_DIGITS_MAX - 1;
    n->scale -= behind;
    return numeric_multiply(*n, (struct numeric){.digits = numeric_power10(shift)}, n, call->error);
}

static enum err numeric_char(struct call *call, struct numeric n, struct number_template *t,
                             struct value *out)
{
    if (t->has_exponent)
        return write_exponent(call, t, n, out);
    if (t->has_roman) {
        int64_t whole = 0;
        if (n.kind != NUMERIC_FINITE)
            return error_set(call->error, ERR_UNSUPPORTED, "0A000", "cannot convert %s to integer",
                             n.kind == NUMERIC_NAN ? "NaN" : "infinity");
        if (numeric_to_int(n, &whole, NULL) != OK || whole > INT_MAX || whole < INT_MIN)
            return error_out_of_range(call->error, "integer");
        return lay_out(call, t, arena_printf(call->arena, "%s", roman(call, whole)), out);
    }
    bool is_filled_up = number_is_too_long(n, t->before); /* a row of # */
    t->before += t->shift;
    enum err err = OK;
    if (is_filled_up && t->before < NUMERIC_DIGITS_MAX) {
        n = (struct numeric){.digits = (n.digits < 0 ? -1 : 1) * numeric_power10(t->before)};
    } else {
        if (t->has_shift && n.kind == NUMERIC_FINITE)
            err = shift_point(call, t->shift, &n);
        if (err == OK)
            err = numeric_round(n, t->behind, &n, call->error);
    }
    return err != OK ? err : lay_out(call, t, print_numeric(call, n), out);
}

static enum err numeric_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct number_template *t = arena_alloc(call->arena, sizeof(*t));
    out->text = SLICE("");
    enum err err = a[1].text.size == 0 ? OK : number_template_read(call, a[1].text, t);
    if (err != OK || a[1].text.size == 0)
        return err;
    return numeric_char(call, a[0].n, t, out);
}

/* d.ddde+dd of a double. */
static void print_exponent(struct call *call, const struct number_template *t, double value,
                           struct value *out)
{
    char *text = arena_printf(call->arena, "%+.*e", t->behind, value);
    text[0] = text[0] == '+' ? ' ' : text[0];
    out->text = slice_from_cstr(text);
}

static enum err integer_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct number_template *t = arena_alloc(call->arena, sizeof(*t));
    bool is_int8 = a[0].type.id == TYPE_INT8;
    out->text = SLICE("");
    enum err err = a[1].text.size == 0 ? OK : number_template_read(call, a[1].text, t);
    if (err != OK || a[1].text.size == 0)
        return err;
    if (t->has_exponent && !is_int8) {
        print_exponent(call, t, (double)a[0].i, out);
        return OK;
    }
    int64_t shifted = a[0].i, power = 1; /* V: PostgreSQL multiplies in the integer's own type */
    bool is_over = false;
    for (int i = 0; i < t->shift && !t->has_exponent && !t->has_roman && !is_over; i++)
        is_over = __builtin_mul_overflow(power, 10, &power) || (!is_int8 && power > INT_MAX);
    is_over = is_over || __builtin_mul_overflow(shifted, power, &shifted) ||
              (!is_int8 && (shifted > INT_MAX || shifted < INT_MIN));
    if (is_over)
        return error_out_of_range(call->error, is_int8 ? "bigint" : "integer");
    return numeric_char(call, numeric_from_int(a[0].i), t, out);
}

/* Doubles have 15 digits (real: 6): what is behind them is not shown. */
static enum err float_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct number_template *t = arena_alloc(call->arena, sizeof(*t));
    int digits_max = a[0].type.id == TYPE_FLOAT4 ? 6 : 15;
    double value = a[0].f;
    out->text = SLICE("");
    enum err err = a[1].text.size == 0 ? OK : number_template_read(call, a[1].text, t);
    if (err != OK || a[1].text.size == 0)
        return err;
    if (t->has_exponent && isfinite(value)) {
        print_exponent(call, t, value, out);
        return OK;
    }
    if (t->has_exponent)
        return write_exponent(call, t, (struct numeric){.kind = NUMERIC_NAN}, out);
    if (t->has_roman) {
        const char *text = roman(call, fabs(value) < 1e9 ? (int64_t)rint(value) : 0);
        return lay_out(call, t, arena_printf(call->arena, "%s", text), out);
    }
    if (t->has_shift) {
        value = a[0].type.id == TYPE_FLOAT4 ? (float)value * (float)pow(10, t->shift)
                                            : value * pow(10, t->shift);
        t->before += t->shift;
    }
    /* What is not finite is a word, whose letters count as digits before the point. */
    const char *word = isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
    int before = isnan(value)   ? 3
                 : isinf(value) ? 8
                                : (int)strlen(arena_printf(call->arena, "%.0f", fabs(value)));
    if (before >= digits_max)
        t->behind = 0;
    else if (before + t->behind > digits_max)
        t->behind = digits_max - before;
    return lay_out(call, t,
                   isfinite(value) ? arena_printf(call->arena, "%.*f", t->behind, value)
                                   : arena_printf(call->arena, "%s", word),
                   out);
}

#define FORM(from, row_form, example_text)                                                         \
    {.name = "to_char",                                                                            \
     .argument_count = 2,                                                                          \
     .arguments = {from, TYPE_TEXT},                                                               \
     .result = TYPE_TEXT,                                                                          \
     .row = row_form,                                                                              \
     .doc = "a number by a template",                                                              \
     .example = example_text},

/* clang-format off */
static const struct function functions[] = {
    FORM(TYPE_INT4, integer_row, "to_char(485, 'L999')")
    FORM(TYPE_INT8, integer_row, "to_char(1234567::bigint, 'FM9,999,999')")
    FORM(TYPE_NUMERIC, numeric_row, "to_char(-12.454, '999D99S')")
    FORM(TYPE_FLOAT8, float_row, "to_char(0.1::float8, 'FM990.09')")
    FORM(TYPE_FLOAT4, float_row, "to_char(125.8::real, '999D9')")
};
/* clang-format on */

const struct function_group functions_format_number = {functions, array_count(functions)};
