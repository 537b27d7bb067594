/* to_number.
 *
 * Text is read byte by byte along the template, and a number comes of whatever digits are met: each
 * 9 or 0 passes over one byte (and a blank before it), of whatever kind, and keeps it where it is a
 * digit; so does a point, which like them may find a digit in its place. */
#include "query/func/format_number.h"

#include <string.h>

struct input {
    const struct number_template *t;
    struct slice text;
    size_t at;
    int before, behind; /* digits taken */
    bool has_point;     /* one is taken */
    char sign;          /* 0: none yet */
    struct writer digits;
};

static bool is_over(const struct input *in)
{
    return in->at >= in->text.size;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The byte there is a sign: taken. */
static bool take_sign(struct input *in, size_t at)
{
    char c = at < in->text.size ? in->text.data[at] : 0;
    if (c == '-' || (c == '<' && in->t->has_bracket))
        in->sign = '-';
    else if (c == '+')
        in->sign = '+';
    else
        return false;
    return true;
}

/* A character by its first byte; a byte from the middle of one, where a 9 has left off, is one. */
static void skip_character(struct input *in)
{
    struct slice rest = slice_of(in->text.data + in->at, in->text.size - in->at);
    in->at += ((uint8_t)rest.data[0] & 0xC0) == 0x80 ? 1 : text_prefix_size(rest, 1);
}

/* Up to `count` characters that cannot be of a number. */
static void skip_text(struct input *in, size_t count)
{
    for (; count > 0 && !is_over(in) && strchr("0123456789.,+-", in->text.data[in->at]) == NULL;
         count--)
        skip_character(in);
}

/* Behind the last digit: at once where S asks for it, where a digit was wanted if MI, PL or SG do.
 */
static void take_sign_behind(struct input *in, bool is_taken)
{
    const struct number_template *t = in->t;
    if (in->sign != 0 || in->before + in->behind == 0)
        return;
    if (t->has_sign && is_taken)
        in->at += in->at + 1 < in->text.size && take_sign(in, in->at + 1);
    else if (!t->has_sign && !is_taken && (t->has_plus || t->has_minus) &&
             in->text.data[in->at] != '<')
        take_sign(in, in->at);
}

static void take_digit(struct input *in, enum part_kind kind)
{
    const struct number_template *t = in->t;
    in->at += in->text.data[in->at] == ' ';
    if (is_over(in))
        return;
    if (in->sign == 0 && in->before + in->behind == 0 && kind != PART_POINT)
        in->at += take_sign(in, in->at);
    if (is_over(in))
        return;
    char c = in->text.data[in->at];
    bool is_taken = true;
    if (is_digit(c)) {
        if (in->has_point && in->behind == t->behind)
            return;
        *(in->has_point ? &in->behind : &in->before) += 1;
        writer_u8(&in->digits, (uint8_t)c);
    } else if (c == '.' && t->has_point && !in->has_point) {
        in->has_point = true;
        writer_u8(&in->digits, '.');
    } else {
        is_taken = false;
    }
    take_sign_behind(in, is_taken);
}

static void take_part(struct input *in, enum part_kind kind)
{
    char c = in->text.data[in->at];
    switch (kind) {
    case PART_NINE:
    case PART_ZERO:
    case PART_POINT:
        take_digit(in, kind);
        in->at++;
        break;
    case PART_COMMA:
        in->at += c == ',' && !in->t->is_filled;
        break;
    case PART_MINUS:
    case PART_PLUS:
    case PART_PLUS_MINUS:
        if ((c == '-' && kind != PART_PLUS) || (c == '+' && kind != PART_MINUS)) {
            in->sign = c;
            in->at++;
        } else {
            skip_text(in, 1);
        }
        break;
    case PART_CURRENCY:
        skip_text(in, 1);
        break;
    case PART_ORDINAL:
        skip_text(in, in->t->has_point ? 0 : 2);
        break;
    case PART_TEXT:
        skip_character(in);
        break;
    default:
        break;
    }
}

/* The digits as a number of at most the template's places before the point; V divides by a power of
 * ten that has 16 places. */
static enum err number_of(struct call *call, const struct input *in, struct numeric *out)
{
    struct slice digits = writer_as_slice(&in->digits);
    char *text = arena_printf(call->arena, "%c%.*s", in->sign == 0 ? ' ' : in->sign,
                              (int)digits.size, digits.data);
    enum err err = numeric_parse(slice_from_cstr(text), out, call->error);
    if (err != OK)
        return err;
    if (number_is_too_long(*out, in->t->before + in->t->shift))
        return error_set(call->error, ERR_INPUT, "22003", "numeric field overflow");
    if (!in->t->has_shift)
        return OK;
    int shift = in->t->shift;
    struct numeric power = {.digits = shift > 16 ? 0 : numeric_power10(16 - shift), .scale = 16};
    return numeric_multiply(*out, power, out, call->error);
}

static enum err to_number_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct number_template *t = arena_alloc(call->arena, sizeof(*t));
    struct input in = {.t = t, .text = a[0].text};
    out->is_null = a[1].text.size == 0;
    enum err err = out->is_null ? OK : number_template_read(call, a[1].text, t);
    if (err != OK || out->is_null)
        return err;
    if (t->has_roman || t->has_exponent)
        return error_set(call->error, ERR_UNSUPPORTED, "0A000", "\"%s\" not supported for input",
                         t->has_roman ? "RN" : "EEEE");
    writer_init(&in.digits);
    for (size_t i = 0; i < t->part_count && !is_over(&in); i++)
        take_part(&in, t->parts[i].kind);
    err = number_of(call, &in, &out->n);
    writer_deinit(&in.digits);
    return err;
}

static const struct function functions[] = {
    {.name = "to_number",
     .argument_count = 2,
     .arguments = {TYPE_TEXT, TYPE_TEXT},
     .result = TYPE_NUMERIC,
     .row = to_number_row,
     .doc = "a number from text by a template",
     .example = "to_number('12,454.8-', '99G999D9S')"},
};

const struct function_group functions_format_number_parse = {functions, array_count(functions)};
