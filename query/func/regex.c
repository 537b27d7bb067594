/* ~ ~* !~ !~* and the regexp functions on PCRE2, whose types stop here.
 *
 * Options are chosen to be near PostgreSQL's: '.' matches a newline and '^', '$' are the ends of
 * the text. A compiled pattern stays with the call until another pattern comes, so a constant one
 * is compiled once per evaluator; the just-in-time compiler is used where it works. Matching is
 * bounded in steps, depth and memory: a pattern that explodes is 54000, not a hanging query. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "query/func/text.h"

#include <pcre2.h>

#define MATCH_STEPS_MAX 2000000
#define MATCH_DEPTH_MAX 100000
#define MATCH_HEAP_KIB 20480

struct regex {
    struct arena arena; /* the pattern's text */
    struct slice pattern;
    uint32_t options;
    pcre2_code *code;
    pcre2_match_data *matches;
    pcre2_match_context *context;
};

static void regex_free(void *state)
{
    struct regex *regex = state;
    pcre2_match_data_free(regex->matches);
    pcre2_match_context_free(regex->context);
    pcre2_code_free(regex->code);
    arena_deinit(&regex->arena);
    memory_free(regex);
}

static enum err regex_compile(struct call *call, struct slice pattern, uint32_t options,
                              struct regex **out)
{
    struct regex *regex = call->state;
    if (regex != NULL && regex->options == options && slice_equal(regex->pattern, pattern)) {
        *out = regex;
        return OK;
    }
    if (regex != NULL)
        regex_free(regex);
    call->state = NULL;
    int number;
    PCRE2_SIZE offset;
    pcre2_code *code = pcre2_compile(
        (PCRE2_SPTR)(pattern.size > 0 ? pattern.data : ""), pattern.size,
        options | PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY, &number,
        &offset, NULL);
    if (code == NULL) {
        char text[256] = "";
        pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof(text));
        return error_set(call->error, ERR_INPUT, "2201B", "invalid regular expression: %s", text);
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* only faster: it may fail */
    regex = memory_alloc_zero(sizeof(*regex));
    arena_init(&regex->arena);
    regex->pattern = arena_copy(&regex->arena, pattern);
    regex->options = options;
    regex->code = code;
    regex->matches = pcre2_match_data_create_from_pattern(code, NULL);
    regex->context = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(regex->context, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(regex->context, MATCH_DEPTH_MAX);
    pcre2_set_heap_limit(regex->context, MATCH_HEAP_KIB);
    call->state = regex;
    call->state_free = regex_free;
    *out = regex;
    return OK;
}

static enum err regex_match(struct call *call, struct regex *regex, struct slice text, size_t start,
                            bool *is_match)
{
    int result = pcre2_match(regex->code, (PCRE2_SPTR)(text.size > 0 ? text.data : ""), text.size,
                             start, 0, regex->matches, regex->context);
    *is_match = result >= 0;
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
        return OK;
    char reason[256] = "";
    pcre2_get_error_message(result, (PCRE2_UCHAR *)reason, sizeof(reason));
    return error_set(call->error, ERR_LIMIT, "54000", "regular expression failed: %s", reason);
}

/* Group `index` of the last match; data NULL if it took no part. */
static struct slice regex_group(const struct regex *regex, struct slice text, uint32_t index)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(regex->matches);
    if (index >= pcre2_get_ovector_count(regex->matches) || offsets[2 * index] == PCRE2_UNSET ||
        offsets[2 * index + 1] < offsets[2 * index])
        return (struct slice){NULL, 0};
    return slice_of(text.data + offsets[2 * index], offsets[2 * index + 1] - offsets[2 * index]);
}

static uint32_t group_count(const struct regex *regex)
{
    uint32_t count = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &count);
    return count;
}

/* --- operators --- */

enum { NEGATED = 1, CASELESS = 2 };

static enum err match_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    int operation = call->function->operation;
    struct regex *regex;
    bool is_match = false;
    uint32_t options = PCRE2_DOTALL | ((operation & CASELESS) != 0 ? PCRE2_CASELESS : 0);
    enum err err = regex_compile(call, a[1].text, options, &regex);
    if (err == OK)
        err = regex_match(call, regex, a[0].text, 0, &is_match);
    out->b = is_match != ((operation & NEGATED) != 0);
    return err;
}

/* --- functions --- */

static enum err read_flags(struct call *call, struct slice flags, uint32_t *options,
                           bool *is_global)
{
    *options = PCRE2_DOTALL;
    *is_global = false;
    for (size_t i = 0; i < flags.size; i++) {
        switch (flags.data[i]) {
        case 'g':
            *is_global = true;
            break;
        case 'i':
            *options |= PCRE2_CASELESS;
            break;
        case 'c':
            *options &= ~(uint32_t)PCRE2_CASELESS;
            break;
        case 'n':
        case 'm':
            *options = (*options | PCRE2_MULTILINE) & ~(uint32_t)PCRE2_DOTALL;
            break;
        case 's':
            *options = (*options | PCRE2_DOTALL) & ~(uint32_t)PCRE2_MULTILINE;
            break;
        case 'x':
            *options |= PCRE2_EXTENDED;
            break;
        default:
            return error_set(call->error, ERR_INPUT, "22023",
                             "invalid regular expression option: \"%c\"", flags.data[i]);
        }
    }
    return OK;
}

/* \1 … \9 are groups, \& the whole match, \\ a backslash. */
static void write_replacement(struct writer *out, const struct regex *regex, struct slice text,
                              struct slice replacement)
{
    for (size_t i = 0; i < replacement.size; i++) {
        char c = replacement.data[i];
        if (c != '\\' || i + 1 == replacement.size) {
            writer_u8(out, (uint8_t)c);
            continue;
        }
        char next = replacement.data[++i];
        if (next >= '1' && next <= '9') {
            writer_slice(out, regex_group(regex, text, (uint32_t)(next - '0')));
        } else if (next == '&') {
            writer_slice(out, regex_group(regex, text, 0));
        } else {
            if (next != '\\')
                writer_u8(out, '\\');
            writer_u8(out, (uint8_t)next);
        }
    }
}

static enum err replace_all(struct call *call, struct regex *regex, struct slice text,
                            struct slice replacement, bool is_global, struct writer *out)
{
    size_t start = 0, copied = 0;
    bool is_match;
    while (start <= text.size) {
        enum err err = regex_match(call, regex, text, start, &is_match);
        if (err != OK)
            return err;
        if (!is_match)
            break;
        struct slice whole = regex_group(regex, text, 0);
        size_t at = (size_t)(whole.data - text.data);
        writer_bytes(out, text.data + copied, at - copied);
        write_replacement(out, regex, text, replacement);
        copied = at + whole.size;
        if (!is_global)
            break;
        start = copied;
        if (whole.size == 0) { /* step over one character, so that an empty match moves on */
            if (start >= text.size)
                break;
            start += text_prefix_size(slice_of(text.data + start, text.size - start), 1);
        }
    }
    if (copied < text.size)
        writer_bytes(out, text.data + copied, text.size - copied);
    return out->failed ? error_set(call->error, ERR_INPUT, "54000", "requested length too large")
                       : OK;
}

static enum err replace_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    uint32_t options;
    bool is_global;
    struct regex *regex;
    enum err err = read_flags(call, count > 3 ? a[3].text : SLICE(""), &options, &is_global);
    if (err == OK)
        err = regex_compile(call, a[1].text, options, &regex);
    if (err != OK)
        return err;
    struct writer writer;
    writer_init(&writer);
    writer.limit = TEXT_RESULT_SIZE_MAX;
    err = replace_all(call, regex, a[0].text, a[2].text, is_global, &writer);
    if (err == OK)
        out->text = arena_copy(call->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return err;
}

/* substring(text FROM pattern): the first group, or all of it; NULL without a match. */
static enum err substring_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct regex *regex;
    bool is_match = false;
    enum err err = regex_compile(call, a[1].text, PCRE2_DOTALL, &regex);
    if (err == OK)
        err = regex_match(call, regex, a[0].text, 0, &is_match);
    if (err != OK)
        return err;
    if (is_match)
        out->text = regex_group(regex, a[0].text, group_count(regex) > 0 ? 1 : 0);
    out->is_null = !is_match || out->text.data == NULL;
    return OK;
}

static enum err like_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    uint32_t options;
    bool is_global, is_match = false;
    struct regex *regex;
    enum err err = read_flags(call, count > 2 ? a[2].text : SLICE(""), &options, &is_global);
    if (err == OK && is_global)
        err = error_set(call->error, ERR_INPUT, "22023",
                        "regexp_like() does not support the \"global\" option");
    if (err == OK)
        err = regex_compile(call, a[1].text, options, &regex);
    if (err == OK)
        err = regex_match(call, regex, a[0].text, 0, &is_match);
    out->b = is_match;
    return err;
}

/* regexp_match: the groups (or the whole match) as text[]. */
static enum err groups_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    uint32_t options;
    bool is_global, is_match = false;
    struct regex *regex;
    enum err err = read_flags(call, count > 2 ? a[2].text : SLICE(""), &options, &is_global);
    if (err == OK && is_global)
        err = error_set(call->error, ERR_INPUT, "22023",
                        "regexp_match() does not support the \"global\" option");
    if (err == OK)
        err = regex_compile(call, a[1].text, options, &regex);
    if (err == OK)
        err = regex_match(call, regex, a[0].text, 0, &is_match);
    out->is_null = !is_match;
    if (err != OK || !is_match)
        return err;
    uint32_t groups = group_count(regex), first = groups > 0 ? 1 : 0,
             taken = groups > 0 ? groups : 1;
    struct value *elements = arena_alloc_zero(call->arena, taken * sizeof(*elements));
    for (uint32_t i = 0; i < taken; i++) {
        struct slice group = regex_group(regex, a[0].text, first + i);
        elements[i] = (struct value){.type = type_of(TYPE_TEXT), .is_null = group.data == NULL};
        if (group.data != NULL)
            elements[i].text = group;
    }
    out->text = array_build(TYPE_TEXT_ARRAY, elements, taken, call->arena);
    return OK;
}

#define T TYPE_TEXT
#define MATCH(symbol, kind, doc_text)                                                              \
    TEXT_FUNCTION(symbol, 2, LIST(T, T), TYPE_BOOL, kind, match_row, doc_text,                     \
                  "'abc' " symbol " '^a'")

static const struct function functions[] = {
    MATCH("~", 0, "matches the regular expression") MATCH("!~", NEGATED,
                                                          "does not match the regular expression")
        MATCH("~*", CASELESS, "matches whatever the case") MATCH("!~*", NEGATED | CASELESS,
                                                                 "does not match whatever the case")
            TEXT_FUNCTION("regexp_replace", 3, LIST(T, T, T), T, 0, replace_row,
                          "the first match replaced", "regexp_replace('abc', 'b', 'x')")
                TEXT_FUNCTION("regexp_replace", 4, LIST(T, T, T, T), T, 0, replace_row,
                              "matches replaced, with flags",
                              "regexp_replace('abab', 'b', 'x', 'g')")
                    TEXT_FUNCTION("substring", 2, LIST(T, T), T, 0, substring_row,
                                  "the part that matches", "substring('abc' FROM 'b.')")
                        TEXT_FUNCTION("regexp_like", 2, LIST(T, T), TYPE_BOOL, 0, like_row,
                                      "matches the regular expression", "regexp_like('abc', '^a')")
                            TEXT_FUNCTION("regexp_like", 3, LIST(T, T, T), TYPE_BOOL, 0, like_row,
                                          "matches, with flags", "regexp_like('abc', '^A', 'i')")
                                TEXT_FUNCTION("regexp_match", 2, LIST(T, T), TYPE_TEXT_ARRAY, 0,
                                              groups_row, "the groups of the first match",
                                              "regexp_match('abc', '(.)b')")
                                    TEXT_FUNCTION("regexp_match", 3, LIST(T, T, T), TYPE_TEXT_ARRAY,
                                                  0, groups_row,
                                                  "the groups of the first match, with flags",
                                                  "regexp_match('abc', '(.)B', 'i')")};

const struct function_group functions_regex = {functions, array_count(functions)};
