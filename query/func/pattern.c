/* LIKE and ILIKE.
 *
 * A pattern without '_' and escapes is a list of pieces between its '%': the first is anchored at
 * the start, the last at the end, the others are searched for one after the other (memmem). Every
 * other pattern runs through a matcher that backtracks to the last '%' only, which is enough
 * because an earlier '%' could match no more than a later one already does. The vector form cuts a
 * constant pattern into pieces once a batch. ILIKE compares both sides in lower case. */
#include "query/func/text.h"
#include "storage/base/fault.h"

enum { LIKE = 0, NOT_LIKE = 1, ILIKE = 2, NOT_ILIKE = 3 };

static size_t step(struct slice text, size_t offset)
{
    return text_prefix_size(slice_of(text.data + offset, text.size - offset), 1);
}

static enum err bad_escape(struct error *error)
{
    return error_set(error, ERR_INPUT, "22025", "LIKE pattern must not end with escape character");
}

/* One element of the pattern at *at against the text at *offset. */
static enum err match_one(struct slice text, size_t *offset, struct slice pattern, size_t *at,
                          bool *is_match, struct error *error)
{
    size_t from = *at;
    *is_match = false;
    if (pattern.data[from] == '_') {
        if (*offset < text.size) {
            *offset += step(text, *offset);
            *at = from + 1;
            *is_match = true;
        }
        return OK;
    }
    if (pattern.data[from] == '\\' && ++from == pattern.size)
        return *offset < text.size ? bad_escape(error) : OK;
    if (*offset < text.size && text.data[*offset] == pattern.data[from]) {
        (*offset)++;
        *at = from + 1;
        *is_match = true;
    }
    return OK;
}

static enum err match_general(struct slice text, struct slice pattern, bool *is_match,
                              struct error *error)
{
    size_t offset = 0, at = 0, retry_offset = SIZE_MAX, retry_at = 0;
    *is_match = false;
    for (;;) {
        if (at < pattern.size && pattern.data[at] == '%') {
            retry_at = ++at;
            retry_offset = offset;
            continue;
        }
        bool is_step = false;
        if (at == pattern.size && offset == text.size) {
            *is_match = true;
            return OK;
        }
        if (at < pattern.size) {
            enum err err = match_one(text, &offset, pattern, &at, &is_step, error);
            if (err != OK)
                return err;
        }
        if (is_step)
            continue;
        if (retry_offset == SIZE_MAX || retry_offset >= text.size)
            return OK;
        retry_offset += step(text, retry_offset);
        offset = retry_offset;
        at = retry_at;
    }
}

static bool is_plain(struct slice pattern)
{
    return memchr(pattern.data, '_', pattern.size) == NULL &&
           memchr(pattern.data, '\\', pattern.size) == NULL;
}

/* A plain pattern: pieces between '%'. */
static bool match_plain(struct slice text, struct slice pattern)
{
    const char *end = pattern.data + pattern.size;
    const char *percent = memchr(pattern.data, '%', pattern.size);
    if (percent == NULL)
        return slice_equal(text, pattern);
    struct slice head = slice_of(pattern.data, (size_t)(percent - pattern.data));
    if (!slice_starts_with(text, head))
        return false;
    text = slice_of(text.data + head.size, text.size - head.size);
    for (const char *piece = percent + 1;; piece = percent + 1) {
        percent = memchr(piece, '%', (size_t)(end - piece));
        size_t size = (size_t)((percent == NULL ? end : percent) - piece);
        if (percent == NULL)
            return text.size >= size && memcmp(text.data + text.size - size, piece, size) == 0;
        size_t found = text_find(text, slice_of(piece, size));
        if (found == SIZE_MAX)
            return false;
        text = slice_of(text.data + found + size, text.size - found - size);
    }
}

static enum err like_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct slice text = a[0].text, pattern = a[1].text;
    int operation = call->function->operation;
    if (operation >= ILIKE) {
        text = text_change_case(text, CASE_LOWER, call->arena);
        pattern = text_change_case(pattern, CASE_LOWER, call->arena);
    }
    bool is_match;
    enum err err = OK;
    if (pattern.size > 0 && is_plain(pattern))
        is_match = match_plain(text, pattern);
    else
        err = match_general(text, pattern, &is_match, call->error);
    out->b = is_match != (operation == NOT_LIKE || operation == NOT_ILIKE);
    return err;
}

static enum err like_vector(struct call *call, const struct vector *v)
{
    const struct column *texts = &v->arguments[0], *patterns = &v->arguments[1];
    int operation = call->function->operation;
    bool is_negated = (operation == NOT_LIKE || operation == NOT_ILIKE) && !fault_is("kernel.like");
    uint8_t *out = v->out;
    bool is_constant = patterns->form == COLUMN_CONSTANT;
    struct slice pattern = is_constant && v->count > 0 ? patterns->text[0] : SLICE("");
    if (operation >= ILIKE)
        pattern = text_change_case(pattern, CASE_LOWER, call->arena);
    bool is_fast = is_constant && pattern.size > 0 && is_plain(pattern);
    for (size_t k = 0; k < v->count; k++) {
        size_t row = v->selection != NULL ? v->selection[k] : k;
        if (v->validity != NULL && v->validity[row] == 0)
            continue;
        struct value pair[2] = {
            {.type = texts->type, .text = texts->text[column_index(texts, row)]},
            {.type = patterns->type, .text = patterns->text[column_index(patterns, row)]}};
        if (is_fast) {
            struct slice text = pair[0].text;
            if (operation >= ILIKE)
                text = text_change_case(text, CASE_LOWER, call->arena);
            out[row] = match_plain(text, pattern) != is_negated;
            continue;
        }
        struct value result = {.type = call->type};
        enum err err = like_row(call, pair, 2, &result);
        if (err != OK)
            return err;
        out[row] = result.b;
    }
    return OK;
}

/* LIKE … ESCAPE: the pattern with '\' in place of the escape character, as like_escape() gives it.
 */
static enum err escape_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    struct slice pattern = a[0].text, escape = a[1].text;
    if (utf8_count(escape) > 1) {
        error_set(call->error, ERR_INPUT, "22025", "invalid escape string");
        error_hint(call->error, "Escape string must be empty or one character.");
        return ERR_INPUT;
    }
    char *buffer = arena_alloc(call->arena, pattern.size * 2 + 1);
    size_t size = 0;
    bool is_escaped = false;
    for (size_t offset = 0; offset < pattern.size;) {
        size_t width = step(pattern, offset);
        struct slice character = slice_of(pattern.data + offset, width);
        offset += width;
        if (escape.size > 0 && slice_equal(character, escape) && !is_escaped) {
            buffer[size++] = '\\';
            is_escaped = true;
            continue;
        }
        if (character.data[0] == '\\' &&
            (escape.size == 0 || (!is_escaped && escape.data[0] != '\\')))
            buffer[size++] = '\\';
        is_escaped = false;
        memcpy(buffer + size, character.data, width);
        size += width;
    }
    out->text = slice_of(buffer, size);
    return OK;
}

#define MATCH(symbol, kind, doc_text)                                                              \
    {.name = symbol,                                                                               \
     .argument_count = 2,                                                                          \
     .arguments = {TYPE_TEXT, TYPE_TEXT},                                                          \
     .result = TYPE_BOOL,                                                                          \
     .operation = kind,                                                                            \
     .row = like_row,                                                                              \
     .vector = like_vector,                                                                        \
     .doc = doc_text,                                                                              \
     .example = "'abc' " symbol " 'a%'"},

static const struct function functions[] = {
    MATCH("~~", LIKE, "LIKE") MATCH("!~~", NOT_LIKE, "NOT LIKE") MATCH("~~*", ILIKE, "ILIKE")
        MATCH("!~~*", NOT_ILIKE, "NOT ILIKE") TEXT_FUNCTION(
            "like_escape", 2, LIST(TYPE_TEXT, TYPE_TEXT), TYPE_TEXT, 0, escape_row,
            "a LIKE pattern with another escape character", "'a%' LIKE 'a#%' ESCAPE '#'")};

const struct function_group functions_pattern = {functions, array_count(functions)};
