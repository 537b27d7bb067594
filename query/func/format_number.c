/* to_char of numbers, and to_number.
 *
 * The template says how many digits stand before and behind the point; the number is rounded to
 * that, printed, and laid out from left to right: blanks or zeros where it has no digit, the sign
 * just before the first one (or where S, MI, PL, SG or PR put it). A number with more digits than
 * the template has places is a row of #. The decimal point is '.', the group separator ',': there
 * is no locale. */
#include "query/func/text.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum part_kind {
    PART_TEXT,
    PART_NOTHING,
    PART_NINE,
    PART_ZERO,
    PART_POINT,
    PART_COMMA,
    PART_SIGN,
    PART_MINUS,
    PART_PLUS,
    PART_PLUS_MINUS,
    PART_BRACKET,
    PART_CURRENCY,
    PART_ORDINAL,
    PART_ROMAN,
    PART_SHIFT,
    PART_EXPONENT,
    PART_FILL,
    PART_BLANK
};

#define PARTS_MAX 1024

struct part {
    enum part_kind kind;
    bool is_lower;
    struct slice text;
};

enum sign_place { SIGN_NONE, SIGN_BEFORE, SIGN_BEHIND };

struct template
{
    struct part parts[PARTS_MAX];
    size_t part_count;
    int before, behind, shift; /* digits before and behind the point, and behind V */
    int zero_start, zero_end;  /* places from which and up to which zeros are written; 0: none */
    int sign_at;               /* digits before S */
    enum sign_place sign_place;
    bool has_zero, has_point, has_sign, has_minus, has_plus, has_bracket, has_roman, has_exponent,
        has_shift, is_filled;
};

static enum err invalid(struct call *call, const char *what)
{
    return error_set(call->error, ERR_INPUT, "42601", "%s", what);
}

/* --- templates --- */

static const struct {
    const char *name;
    enum part_kind kind;
} names[] = {
    {"EEEE", PART_EXPONENT}, {"FM", PART_FILL},  {"MI", PART_MINUS},      {"PL", PART_PLUS},
    {"PR", PART_BRACKET},    {"RN", PART_ROMAN}, {"SG", PART_PLUS_MINUS}, {"TH", PART_ORDINAL},
    {"B", PART_BLANK},       {"D", PART_POINT},  {"G", PART_COMMA},       {"L", PART_CURRENCY},
    {"C", PART_NOTHING},
    {"S", PART_SIGN},        {"V", PART_SHIFT},  {"9", PART_NINE},        {"0", PART_ZERO},
    {".", PART_POINT},       {",", PART_COMMA},
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

static void note_digit(struct template *t, enum part_kind kind)
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
static enum err note_part(struct call *call, struct template *t, enum part_kind kind)
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
            t->has_shift || t->is_filled)
            return invalid(call, "\"EEEE\" is incompatible with other formats");
        t->has_exponent = true;
        break;
    case PART_ROMAN:
        t->has_roman = true;
        break;
    case PART_FILL:
        t->is_filled = true;
        break;
    default:
        break;
    }
    return OK;
}

static enum err template_read(struct call *call, struct slice text, struct template *t)
{
    *t = (struct template){.part_count = 0};
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
    struct template *t;
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
    const struct template *t = l->t;
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
    const struct template *t = l->t;
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
    } else if (*l->next != 0) {
        writer_u8(&l->out, (uint8_t)*l->next);
        l->is_in_number = true;
    }
    if (*l->next != 0)
        l->next++;
}

static void write_place(struct layout *l, enum part_kind kind)
{
    const struct template *t = l->t;
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

static void write_ordinal(struct layout *l, bool is_lower)
{
    static const char *const endings[2][4] = {{"TH", "ST", "ND", "RD"}, {"th", "st", "nd", "rd"}};
    size_t size = strlen(l->digits);
    if (l->t->has_roman || l->digits[0] == '#' || l->sign == '-' || l->t->has_point || size == 0)
        return;
    int digit = l->digits[size - 1] - '0';
    if (digit > 3 || (size > 1 && l->digits[size - 2] == '1'))
        digit = 0;
    writer_cstr(&l->out, endings[is_lower][digit]);
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

static void write_part(struct layout *l, const struct part *part)
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
        write_ordinal(l, part->is_lower);
        break;
    case PART_ROMAN:
        write_roman(l, part->is_lower);
        break;
    case PART_TEXT:
        writer_slice(&l->out, part->text);
        break;
    default:
        break;
    }
}

static void layout_begin(struct layout *l)
{
    struct template *t = l->t;
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

/* `digits` as printed, rounded to the template's places, perhaps with a sign. */
static enum err lay_out(struct call *call, struct template *t, char *digits, struct value *out)
{
    struct layout l = {.t = t, .sign = digits[0] == '-' ? '-' : '+'};
    if (digits[0] == '-')
        digits++;
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
    for (size_t i = 0; i < t->part_count; i++)
        write_part(&l, &t->parts[i]);
    out->text = arena_copy(call->arena, writer_as_slice(&l.out));
    writer_deinit(&l.out);
    return OK;
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
static enum err write_exponent(struct call *call, const struct template *t, struct numeric n,
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
        enum err err = numeric_round(n, t->behind - exponent, &rounded, call->error);
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

static enum err numeric_char(struct call *call, struct numeric n, struct template *t,
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
    enum err err = OK;
    if (t->has_shift && n.kind == NUMERIC_FINITE) {
        struct numeric power = {.digits = numeric_power10(t->shift > 37 ? 37 : t->shift)};
        err = numeric_multiply(n, power, &n, call->error);
    }
    t->before += t->shift;
    if (err == OK)
        err = numeric_round(n, t->behind, &n, call->error);
    return err != OK ? err : lay_out(call, t, print_numeric(call, n), out);
}

static enum err numeric_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct template *t = arena_alloc(call->arena, sizeof(*t));
    out->text = SLICE("");
    enum err err = a[1].text.size == 0 ? OK : template_read(call, a[1].text, t);
    if (err != OK || a[1].text.size == 0)
        return err;
    return numeric_char(call, a[0].type.id == TYPE_NUMERIC ? a[0].n : numeric_from_int(a[0].i), t,
                        out);
}

/* Doubles have 15 digits (real: 6): what is behind them is not shown. */
static enum err float_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct template *t = arena_alloc(call->arena, sizeof(*t));
    int digits_max = a[0].type.id == TYPE_FLOAT4 ? 6 : 15;
    double value = a[0].f;
    out->text = SLICE("");
    enum err err = a[1].text.size == 0 ? OK : template_read(call, a[1].text, t);
    if (err != OK || a[1].text.size == 0)
        return err;
    if (t->has_exponent && isfinite(value)) {
        char *text = arena_printf(call->arena, "%+.*e", t->behind, value);
        text[0] = text[0] == '+' ? ' ' : text[0];
        out->text = slice_from_cstr(text);
        return OK;
    }
    if (t->has_exponent)
        return write_exponent(call, t, (struct numeric){.kind = NUMERIC_NAN}, out);
    if (t->has_roman) {
        const char *text = roman(call, fabs(value) < 1e9 ? (int64_t)rint(value) : 0);
        return lay_out(call, t, arena_printf(call->arena, "%s", text), out);
    }
    if (t->has_shift) {
        value *= pow(10, t->shift);
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

/* --- to_number --- */

struct input {
    struct slice text;
    size_t at;
    struct writer digits;
    bool is_negative, has_point;
};

static char input_char(const struct input *in)
{
    return in->at < in->text.size ? in->text.data[in->at] : 0;
}

static void take_sign(struct input *in)
{
    while (input_char(in) == ' ')
        in->at++;
    char c = input_char(in);
    if (c != '-' && c != '+' && c != '<')
        return;
    in->is_negative = in->is_negative || c != '+';
    in->at++;
}

static void take_digit(struct input *in)
{
    if (in->digits.size == 0)
        take_sign(in);
    char c = input_char(in);
    if (c == '.' && !in->has_point) { /* fewer digits than places before the point */
        return;
    }
    if (c >= '0' && c <= '9')
        writer_u8(&in->digits, (uint8_t)c);
    if (c != 0) /* what is no digit is passed over */
        in->at += text_prefix_size(slice_of(in->text.data + in->at, in->text.size - in->at), 1);
}

static void take_part(struct input *in, const struct part *part)
{
    char c = input_char(in);
    switch (part->kind) {
    case PART_NINE:
    case PART_ZERO:
        take_digit(in);
        break;
    case PART_POINT:
        if (in->digits.size == 0)
            take_sign(in);
        if (input_char(in) == '.' && !in->has_point) {
            in->has_point = true;
            writer_u8(&in->digits, '.');
            in->at++;
        }
        break;
    case PART_COMMA:
        in->at += c == ',' || (c == ' ' && in->digits.size == 0);
        break;
    case PART_SIGN:
    case PART_MINUS:
    case PART_PLUS:
    case PART_PLUS_MINUS:
        take_sign(in);
        break;
    case PART_CURRENCY:
    case PART_TEXT:
        if (c != 0 && (c < '0' || c > '9') && strchr("+-.,", c) == NULL)
            in->at += text_prefix_size(slice_of(in->text.data + in->at, in->text.size - in->at), 1);
        break;
    case PART_ORDINAL:
        in->at += 2;
        break;
    default:
        break;
    }
}

static enum err to_number_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct template *t = arena_alloc(call->arena, sizeof(*t));
    struct input in = {.text = a[0].text};
    out->is_null = a[1].text.size == 0;
    enum err err = out->is_null ? OK : template_read(call, a[1].text, t);
    if (err != OK || out->is_null)
        return err;
    if (t->has_roman || t->has_exponent)
        return error_set(call->error, ERR_UNSUPPORTED, "0A000", "\"%s\" not supported for input",
                         t->has_roman ? "RN" : "EEEE");
    in.has_point = !t->has_point; /* without one in the template, a point is any other letter */
    writer_init(&in.digits);
    for (size_t i = 0; i < t->part_count; i++)
        take_part(&in, &t->parts[i]);
    if (input_char(&in) == '-' && t->has_sign)
        in.is_negative = true;
    err = numeric_parse(writer_as_slice(&in.digits), &out->n, call->error);
    writer_deinit(&in.digits);
    if (err == OK && in.is_negative)
        out->n = numeric_negate(out->n);
    if (err == OK && t->has_shift)
        err = numeric_divide(out->n, (struct numeric){.digits = numeric_power10(t->shift)}, &out->n,
                             call->error);
    return err;
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
    FORM(TYPE_INT4, numeric_row, "to_char(485, 'L999')")
    FORM(TYPE_INT8, numeric_row, "to_char(1234567::bigint, 'FM9,999,999')")
    FORM(TYPE_NUMERIC, numeric_row, "to_char(-12.454, '999D99S')")
    FORM(TYPE_FLOAT8, float_row, "to_char(0.1::float8, 'FM990.09')")
    FORM(TYPE_FLOAT4, float_row, "to_char(125.8::real, '999D9')")
    {.name = "to_number",
     .argument_count = 2,
     .arguments = {TYPE_TEXT, TYPE_TEXT},
     .result = TYPE_NUMERIC,
     .row = to_number_row,
     .doc = "a number from text by a template",
     .example = "to_number('12,454.8-', '99G999D9S')"},
};
/* clang-format on */

const struct function_group functions_format_number = {functions, array_count(functions)};
