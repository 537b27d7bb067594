/* Quoting of names and constants as SQL wants them, and format(), which does that within a text. */
#include "query/func/text.h"

#include <limits.h>
#include <string.h>

/* --- quoting --- */

static enum err write_literal(struct writer *out, struct slice text, struct call *call)
{
    struct labour labour = {.call = call, .writer = out};
    enum err err = OK;
    bool has_backslash = text.size > 0 && memchr(text.data, '\\', text.size) != NULL;
    writer_cstr(out, has_backslash ? "E'" : "'");
    for (size_t i = 0; err == OK && i < text.size && !out->failed; i++) {
        if (text.data[i] == '\'' || text.data[i] == '\\')
            writer_u8(out, (uint8_t)text.data[i]);
        writer_u8(out, (uint8_t)text.data[i]);
        err = labour_step(&labour, 1);
    }
    writer_u8(out, '\'');
    labour_end(&labour);
    return err;
}

/* Words that are not names without quotes. */
/* clang-format off */
static const char *const reserved_words[] = {
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric",
    "authorization", "between", "bigint", "binary", "bit", "boolean", "both", "case", "cast",
    "char", "character", "check", "coalesce", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "current_catalog", "current_date", "current_role",
    "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal",
    "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists",
    "extract", "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant",
    "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout",
    "int", "integer", "intersect", "interval", "into", "is", "isnull", "join", "lateral",
    "leading", "least", "left", "like", "limit", "localtime", "localtimestamp", "national",
    "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif", "numeric",
    "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing",
    "position", "precision", "primary", "real", "references", "returning", "right", "row",
    "select", "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric",
    "table", "tablesample", "then", "time", "timestamp", "to", "trailing", "treat", "trim",
    "true", "union", "unique", "user", "using", "values", "varchar", "variadic", "verbose",
    "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement",
};
/* clang-format on */

static bool is_reserved(struct slice text)
{
    for (size_t i = 0; i < array_count(reserved_words); i++)
        if (slice_equal(text, slice_from_cstr(reserved_words[i])))
            return true;
    return false;
}

void text_write_identifier(struct writer *out, struct slice text)
{
    bool is_plain = text.size > 0 && !(text.data[0] >= '0' && text.data[0] <= '9');
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        is_plain = is_plain && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    }
    if (is_plain && !is_reserved(text)) {
        writer_slice(out, text);
        return;
    }
    writer_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            writer_u8(out, '"');
        writer_u8(out, (uint8_t)text.data[i]);
    }
    writer_u8(out, '"');
}

enum { IDENTIFIER, LITERAL, NULLABLE };

static enum err quote_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    int operation = call->function->operation;
    if (a[0].is_null) {
        out->is_null = operation != NULLABLE;
        out->text = SLICE("NULL");
        return OK;
    }
    struct slice text = value_to_text(&a[0], call->context, call->arena);
    if (a[0].type.id == TYPE_BOOL)
        text = a[0].b ? SLICE("true") : SLICE("false");
    struct writer writer;
    enum err err = OK;
    text_begin(&writer);
    if (operation == IDENTIFIER)
        text_write_identifier(&writer, text);
    else
        err = write_literal(&writer, text, call);
    return text_end(call, &writer, err, out);
}

/* --- format --- */

struct format {
    struct call *call;
    struct slice text;
    size_t at;
    const struct value *arguments;
    size_t count, next; /* next: the argument that comes */
};

static bool format_number(struct format *f, int64_t *out)
{
    size_t first = f->at;
    for (*out = 0; f->at < f->text.size && f->text.data[f->at] >= '0' && f->text.data[f->at] <= '9';
         f->at++)
        if (*out < INT_MAX)
            *out = *out * 10 + (f->text.data[f->at] - '0');
    return f->at > first;
}

static enum err format_take(struct format *f, int64_t number, const struct value **out)
{
    size_t index = number > 0 ? (size_t)number : f->next;
    f->next = index + 1;
    if (index > f->count)
        return error_set(f->call->error, ERR_INPUT, "22023", "too few arguments for format()");
    *out = &f->arguments[index];
    return OK;
}

/* n$ or nothing. */
static enum err format_place(struct format *f, int64_t *number)
{
    size_t first = f->at;
    *number = 0;
    if (!format_number(f, number) || f->at >= f->text.size || f->text.data[f->at] != '$') {
        f->at = first;
        *number = 0;
        return OK;
    }
    f->at++;
    return *number > 0
               ? OK
               : error_set(f->call->error, ERR_INPUT, "22023",
                           "format specifies argument 0, but arguments are numbered from 1");
}

/* *width: how many characters at least, below 0: to the left. */
static enum err format_width(struct format *f, int64_t *width)
{
    bool is_left = false;
    *width = 0;
    while (f->at < f->text.size && f->text.data[f->at] == '-') {
        is_left = true;
        f->at++;
    }
    if (f->at < f->text.size && f->text.data[f->at] == '*') {
        const struct value *argument = NULL;
        int64_t number;
        f->at++;
        enum err err = format_place(f, &number);
        if (err == OK)
            err = format_take(f, number, &argument);
        if (err != OK)
            return err;
        bool is_int = argument->type.id >= TYPE_INT2 && argument->type.id <= TYPE_INT8;
        if (!is_int)
            return error_set(f->call->error, ERR_INPUT, "22023",
                             "the width of format() must be an integer");
        *width = argument->is_null ? 0 : argument->i;
    } else {
        format_number(f, width);
    }
    if (*width > (int64_t)TEXT_RESULT_SIZE_MAX || *width < -(int64_t)TEXT_RESULT_SIZE_MAX)
        return text_too_large(f->call);
    if (is_left && *width > 0)
        *width = -*width;
    return OK;
}

static enum err format_one(struct format *f, struct writer *out)
{
    const struct value *argument = NULL;
    int64_t number, width;
    enum err err = format_place(f, &number);
    if (err == OK)
        err = format_width(f, &width);
    if (err != OK)
        return err;
    char kind = f->at < f->text.size ? f->text.data[f->at++] : 0;
    if (kind != 's' && kind != 'I' && kind != 'L')
        return error_set(f->call->error, ERR_INPUT, "22023",
                         kind == 0 ? "unterminated format() type specifier"
                                   : "unrecognized format() type specifier \"%c\"",
                         kind);
    err = format_take(f, number, &argument);
    if (err != OK)
        return err;
    if (argument->is_null && kind == 'I')
        return error_set(f->call->error, ERR_INPUT, "22004",
                         "null values cannot be formatted as an SQL identifier");
    struct writer one;
    writer_init(&one);
    struct slice text = {0};
    if (!argument->is_null && argument->type.id == TYPE_BOOL)
        text = argument->b ? SLICE("t") : SLICE("f");
    else if (!argument->is_null)
        text = value_to_text(argument, f->call->context, f->call->arena);
    if (kind == 'I')
        text_write_identifier(&one, text);
    else if (kind == 'L' && argument->is_null)
        writer_cstr(&one, "NULL");
    else if (kind == 'L')
        err = write_literal(&one, text, f->call);
    else
        writer_slice(&one, text);
    int64_t blanks = (width < 0 ? -width : width) - (int64_t)utf8_count(writer_as_slice(&one));
    for (int64_t i = 0; width > 0 && i < blanks && !out->failed; i++)
        writer_u8(out, ' ');
    writer_slice(out, writer_as_slice(&one));
    for (int64_t i = 0; width < 0 && i < blanks && !out->failed; i++)
        writer_u8(out, ' ');
    writer_deinit(&one);
    if (err == OK && text.size > LABOUR_PER_LOOK)
        err = call_look(f->call);
    return err;
}

static enum err format_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct format f = {
        .call = call, .text = a[0].text, .arguments = a, .count = count - 1, .next = 1};
    out->is_null = a[0].is_null;
    if (out->is_null)
        return OK;
    struct writer writer;
    enum err err = OK;
    text_begin(&writer);
    while (f.at < f.text.size && err == OK) {
        char c = f.text.data[f.at++];
        if (c != '%') {
            writer_u8(&writer, (uint8_t)c);
        } else if (f.at < f.text.size && f.text.data[f.at] == '%') {
            writer_u8(&writer, '%');
            f.at++;
        } else {
            err = format_one(&f, &writer);
        }
    }
    return text_end(call, &writer, err, out);
}

#define T TYPE_TEXT
#define ANY(name_text, count, first, variadic, to, kind, row_form, doc_text, example_text)         \
    {.name = name_text,                                                                            \
     .argument_count = count,                                                                      \
     .arguments = {first},                                                                         \
     .is_variadic = variadic,                                                                      \
     .is_null_tolerant = true,                                                                     \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .volatility = STABLE,                                                                         \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},

/* clang-format off */
static const struct function functions[] = {
    ANY("format", 1, T, true, T, 0, format_row, "text with arguments put in: %s, %I, %L",
        "format('%s and %I', 1, 'a b')")
    ANY("format", 1, T, false, T, 0, format_row, "text with arguments put in", "format('100%%')")
    ANY("quote_ident", 1, T, false, T, IDENTIFIER, quote_row, "as a name in SQL",
        "quote_ident('a b')")
    ANY("quote_literal", 1, TYPE_ANY, false, T, LITERAL, quote_row, "as a text constant in SQL",
        "quote_literal('it''s')")
    ANY("quote_nullable", 1, TYPE_ANY, false, T, NULLABLE, quote_row,
        "as a text constant in SQL, or NULL", "quote_nullable(NULL)")
};
/* clang-format on */

const struct function_group functions_quote = {functions, array_count(functions)};
