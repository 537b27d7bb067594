/* The regexp_ functions, substring by patterns, SIMILAR TO.
 *
 * Functions of several matches share one walk: after an empty match it goes on one character
 * further, so it ends after at most as many steps as there are characters, and looks at the clock
 * on its way. Positions are characters from 1, as in PostgreSQL. */
#include "query/func/regex.h"

#include <string.h>

/* A walk over the matches in a text. */
struct walk {
    struct call *call;
    struct regex *regex;
    struct slice text;
    size_t next; /* where the search goes on; past the end: nowhere */
    size_t steps;
};

static enum err walk_next(struct walk *walk, bool *is_match)
{
    *is_match = false;
    if (walk->next > walk->text.size)
        return OK;
    enum err err = walk->steps++ % 256 == 255 ? call_look(walk->call) : OK;
    if (err == OK)
        err = regex_match(walk->call, walk->regex, walk->text, walk->next, is_match);
    if (err != OK || !*is_match)
        return err;
    struct slice whole = regex_group(walk->regex, walk->text, 0);
    walk->next = (size_t)(whole.data - walk->text.data) + whole.size;
    if (whole.size == 0) { /* step over one character, so that an empty match moves on */
        struct slice left = slice_of(walk->text.data + walk->next, walk->text.size - walk->next);
        size_t size = text_prefix_size(left, 1);
        walk->next += size > 0 ? size : 1;
    }
    return OK;
}

static enum err refuse_global(struct call *call, bool is_global)
{
    return !is_global
               ? OK
               : error_set(call->error, ERR_INPUT, "22023",
                           "%s() does not support the \"global\" option", call->function->name);
}

/* A parameter that must be at least `least`. */
static enum err check_parameter(struct call *call, const char *name, int64_t value, int64_t least)
{
    return value >= least
               ? OK
               : error_set(call->error, ERR_INPUT, "22023",
                           "invalid value for parameter \"%s\": %lld", name, (long long)value);
}

/* Compiles a[1] with flags and sets the walk to character `start` of a[0]. */
static enum err walk_begin(struct walk *walk, struct call *call, const struct value *a,
                           int64_t start, struct slice flags, bool *is_global)
{
    uint32_t options;
    *walk = (struct walk){.call = call, .text = a[0].text};
    enum err err = check_parameter(call, "start", start, 1);
    if (err == OK)
        err = regex_options(call, flags, &options, is_global);
    if (err == OK)
        err = regex_compile(call, a[1].text, options, &walk->regex);
    if (err != OK || start == 1)
        return err;
    walk->next = text_prefix_size(walk->text, (size_t)start - 1);
    if (walk->next == walk->text.size && (int64_t)utf8_count(walk->text) + 1 < start)
        walk->next = walk->text.size + 1;
    return OK;
}

/* --- regexp_replace --- */

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

/* `wanted`: the match of that number, 0: all. What is before `start` stays. */
static enum err replace_matches(struct walk *walk, struct slice replacement, int64_t wanted,
                                struct writer *out)
{
    struct slice text = walk->text;
    size_t copied = 0;
    bool is_match = true;
    enum err err = OK;
    struct labour labour = {.call = walk->call, .writer = out};
    for (int64_t number = 1; is_match && (wanted == 0 || number <= wanted); number++) {
        err = walk_next(walk, &is_match);
        if (err == OK)
            err = labour_step(&labour, 64 + replacement.size);
        if (err != OK || out->failed)
            break;
        if (!is_match || (wanted != 0 && number != wanted))
            continue;
        struct slice whole = regex_group(walk->regex, text, 0);
        size_t at = (size_t)(whole.data - text.data);
        writer_bytes(out, text.data + copied, at - copied);
        write_replacement(out, walk->regex, text, replacement);
        copied = at + whole.size;
    }
    labour_end(&labour);
    if (err != OK)
        return err;
    if (copied < text.size)
        writer_bytes(out, text.data + copied, text.size - copied);
    return OK;
}

static enum err replace(struct call *call, const struct value *a, int64_t start, int64_t wanted,
                        struct slice flags, struct value *out)
{
    struct walk walk;
    bool is_global;
    enum err err = walk_begin(&walk, call, a, start, flags, &is_global);
    if (err == OK)
        err = check_parameter(call, "n", wanted, -1);
    if (err != OK)
        return err;
    if (wanted < 0)
        wanted = is_global ? 0 : 1;
    struct writer writer;
    text_begin(&writer);
    err = replace_matches(&walk, a[2].text, wanted, &writer);
    return text_end(call, &writer, err, out);
}

static bool is_digit(struct slice flags)
{
    return flags.size > 0 && flags.data[0] >= '0' && flags.data[0] <= '9';
}

static enum err replace_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    if (count > 3 && is_digit(a[3].text)) /* meant as start, which a literal does not become */
        return error_set(call->error, ERR_INPUT, "22023",
                         "invalid regular expression option: \"%c\"", a[3].text.data[0]);
    return replace(call, a, 1, -1, count > 3 ? a[3].text : SLICE(""), out);
}

static enum err replace_nth_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    if (count > 4) {
        enum err err = check_parameter(call, "n", a[4].i, 0);
        if (err != OK)
            return err;
    }
    return replace(call, a, a[3].i, count > 4 ? a[4].i : 1, count > 5 ? a[5].text : SLICE(""), out);
}

/* --- regexp_count, _instr, _substr --- */

static enum err count_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct walk walk;
    bool is_global, is_match = true;
    enum err err = walk_begin(&walk, call, a, count > 2 ? a[2].i : 1,
                              count > 3 ? a[3].text : SLICE(""), &is_global);
    if (err == OK)
        err = refuse_global(call, is_global);
    for (out->i = 0; err == OK && is_match; out->i += is_match)
        err = walk_next(&walk, &is_match);
    return err;
}

/* Group `group` of match `wanted` (from 1); data NULL if there is none. */
static enum err find_group(struct walk *walk, int64_t wanted, int64_t group, struct slice *out)
{
    bool is_match = true;
    *out = (struct slice){NULL, 0};
    enum err err = OK;
    for (int64_t number = 1; err == OK && is_match && number <= wanted; number++)
        err = walk_next(walk, &is_match);
    if (err == OK && is_match && group <= (int64_t)regex_group_count(walk->regex))
        *out = regex_group(walk->regex, walk->text, (uint32_t)group);
    return err;
}

static enum err instr_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct walk walk;
    struct slice found;
    bool is_global;
    int64_t wanted = count > 3 ? a[3].i : 1, end = count > 4 ? a[4].i : 0,
            group = count > 6 ? a[6].i : 0;
    enum err err = walk_begin(&walk, call, a, count > 2 ? a[2].i : 1,
                              count > 5 ? a[5].text : SLICE(""), &is_global);
    if (err == OK)
        err = check_parameter(call, "n", wanted, 1);
    if (err == OK)
        err = check_parameter(call, "endoption", end > 1 ? -end : end, 0);
    if (err == OK)
        err = check_parameter(call, "subexpr", group, 0);
    if (err == OK)
        err = refuse_global(call, is_global);
    if (err == OK)
        err = find_group(&walk, wanted, group, &found);
    out->i = 0;
    if (err != OK || found.data == NULL)
        return err;
    const char *place = found.data + (end != 0 ? found.size : 0);
    out->i = (int64_t)utf8_count(slice_of(a[0].text.data, (size_t)(place - a[0].text.data))) + 1;
    return OK;
}

static enum err substr_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct walk walk;
    bool is_global;
    int64_t wanted = count > 3 ? a[3].i : 1, group = count > 5 ? a[5].i : 0;
    enum err err = walk_begin(&walk, call, a, count > 2 ? a[2].i : 1,
                              count > 4 ? a[4].text : SLICE(""), &is_global);
    if (err == OK)
        err = check_parameter(call, "n", wanted, 1);
    if (err == OK)
        err = check_parameter(call, "subexpr", group, 0);
    if (err == OK)
        err = refuse_global(call, is_global);
    if (err == OK)
        err = find_group(&walk, wanted, group, &out->text);
    out->is_null = err == OK && out->text.data == NULL;
    return err;
}

/* --- regexp_split_to_array --- */

struct pieces {
    struct value *items;
    size_t count, capacity;
};

static enum err pieces_add(struct pieces *pieces, struct slice text, struct call *call)
{
    if (pieces->count == pieces->capacity) {
        struct value *items;
        size_t capacity = pieces->capacity == 0 ? 16 : 2 * pieces->capacity;
        enum err err = call_array(call, capacity, sizeof(*items), (void **)&items);
        if (err != OK)
            return err;
        pieces->capacity = capacity;
        if (pieces->count > 0)
            memcpy(items, pieces->items, pieces->count * sizeof(*items));
        pieces->items = items;
    }
    pieces->items[pieces->count++] = (struct value){.type = type_of(TYPE_TEXT), .text = text};
    return OK;
}

/* Empty matches at the start, the end and right after a match do not split. */
static enum err split_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct walk walk;
    struct pieces pieces = {0};
    struct slice text = a[0].text;
    bool is_global, is_match = true;
    size_t before = 0, copied = 0;
    enum err err = walk_begin(&walk, call, a, 1, count > 2 ? a[2].text : SLICE(""), &is_global);
    if (err == OK)
        err = refuse_global(call, is_global);
    while (err == OK && is_match) {
        err = walk_next(&walk, &is_match);
        if (err != OK || !is_match)
            break;
        struct slice whole = regex_group(walk.regex, text, 0);
        size_t at = (size_t)(whole.data - text.data), end = at + whole.size;
        if (at < text.size && end > before) {
            err = pieces_add(&pieces, slice_of(text.data + copied, at - copied), call);
            copied = end;
        }
        before = end;
    }
    if (err == OK)
        err = pieces_add(&pieces, slice_of(text.data + copied, text.size - copied), call);
    if (err != OK)
        return err;
    out->text = array_build(TYPE_TEXT_ARRAY, pieces.items, pieces.count, call->arena);
    return OK;
}

/* --- substring, regexp_like, regexp_match --- */

/* substring(text FROM pattern): the first group, or all of it; NULL without a match. */
static enum err substring_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct regex *regex;
    bool is_match = false;
    enum err err = regex_compile(call, a[1].text, regex_options_none(), &regex);
    if (err == OK)
        err = regex_match(call, regex, a[0].text, 0, &is_match);
    if (err != OK)
        return err;
    if (is_match)
        out->text = regex_group(regex, a[0].text, regex_group_count(regex) > 0 ? 1 : 0);
    out->is_null = !is_match || out->text.data == NULL;
    return OK;
}

/* Matches a[1] in a[0] once, with the flags of a[2] if it is there. */
static enum err match_once(struct call *call, const struct value *a, size_t count,
                           struct regex **regex, bool *is_match)
{
    uint32_t options;
    bool is_global = false;
    enum err err = regex_options(call, count > 2 ? a[2].text : SLICE(""), &options, &is_global);
    if (err == OK)
        err = refuse_global(call, is_global);
    if (err == OK)
        err = regex_compile(call, a[1].text, options, regex);
    return err == OK ? regex_match(call, *regex, a[0].text, 0, is_match) : err;
}

static enum err like_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct regex *regex;
    bool is_match = false;
    enum err err = match_once(call, a, count, &regex, &is_match);
    out->b = is_match;
    return err;
}

/* Groups of a match, or the match where the pattern has none. */
static uint32_t group_width(const struct regex *regex)
{
    uint32_t groups = regex_group_count(regex);
    return groups > 0 ? groups : 1;
}

static struct slice group_at(const struct regex *regex, struct slice text, uint32_t index)
{
    return regex_group(regex, text, index + (regex_group_count(regex) > 0 ? 1 : 0));
}

/* What regexp_matches makes its rows of: how many groups there are, then those of each match. */
static enum err matches_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    struct walk walk;
    struct pieces pieces = {0};
    bool is_global = false, is_match = true;
    enum err err = walk_begin(&walk, call, a, 1, count > 2 ? a[2].text : SLICE(""), &is_global);
    uint32_t width = err == OK ? group_width(walk.regex) : 0;
    if (err == OK)
        err = pieces_add(&pieces, slice_from_cstr(arena_printf(call->arena, "%u", width)), call);
    while (err == OK && is_match) {
        err = walk_next(&walk, &is_match);
        for (uint32_t i = 0; err == OK && is_match && i < width; i++) {
            struct slice group = group_at(walk.regex, a[0].text, i);
            err = pieces_add(&pieces, group, call);
            if (err == OK)
                pieces.items[pieces.count - 1].is_null = group.data == NULL;
        }
        is_match = is_match && is_global;
    }
    if (err == OK)
        out->text = array_build(TYPE_TEXT_ARRAY, pieces.items, pieces.count, call->arena);
    return err;
}

/* regexp_match: the groups (or the whole match) as text[]. */
static enum err groups_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct regex *regex;
    bool is_match = false;
    enum err err = match_once(call, a, count, &regex, &is_match);
    out->is_null = !is_match;
    if (err != OK || !is_match)
        return err;
    uint32_t taken = group_width(regex);
    struct value *elements = arena_alloc_zero(call->arena, taken * sizeof(*elements));
    for (uint32_t i = 0; i < taken; i++) {
        struct slice group = group_at(regex, a[0].text, i);
        elements[i] = (struct value){.type = type_of(TYPE_TEXT), .is_null = group.data == NULL};
        if (group.data != NULL)
            elements[i].text = group;
    }
    out->text = array_build(TYPE_TEXT_ARRAY, elements, taken, call->arena);
    return OK;
}

/* --- SIMILAR TO --- */

/* The one character that escapes, 0 for none. */
static enum err read_escape(struct call *call, struct slice escape, struct slice *out)
{
    *out = escape;
    if (escape.size == 0 || text_prefix_size(escape, 1) == escape.size)
        return OK;
    return error_set(call->error, ERR_INPUT, "22025", "invalid escape string");
}

/* An SQL pattern as a regular expression. Escape and a double quote part it in three for
 * substring(): before, the result, behind. */
static enum err write_similar(struct call *call, struct slice pattern, struct slice escape,
                              struct writer *out)
{
    bool is_escaped = false, is_in_class = false;
    size_t separators = 0;
    writer_cstr(out, "^(?:");
    while (pattern.size > 0) {
        size_t size = text_prefix_size(pattern, 1);
        struct slice one = slice_of(pattern.data, size);
        char c = one.data[0];
        pattern = slice_of(pattern.data + size, pattern.size - size);
        if (is_escaped) {
            if (c == '"' && !is_in_class) {
                if (separators == 2)
                    return error_set(call->error, ERR_INPUT, "2200C",
                                     "SQL regular expression may not contain more than two "
                                     "escape-double-quote separators");
                writer_cstr(out, separators++ == 0 ? "){1,1}?(" : "){1,1}(?:");
            } else {
                writer_u8(out, '\\');
                writer_slice(out, one);
            }
            is_escaped = false;
        } else if (escape.size > 0 && slice_equal(one, escape)) {
            is_escaped = true;
        } else if (is_in_class) {
            if (c == '\\')
                writer_u8(out, '\\');
            writer_slice(out, one);
            is_in_class = c != ']';
        } else if (c == '%' || c == '_') {
            writer_cstr(out, c == '%' ? ".*" : ".");
        } else if (c == '(') {
            writer_cstr(out, "(?:");
        } else {
            if (c == '\\' || c == '.' || c == '^' || c == '$')
                writer_u8(out, '\\');
            writer_slice(out, one);
            is_in_class = c == '[';
        }
    }
    writer_cstr(out, ")$");
    return OK;
}

static enum err similar(struct call *call, struct slice pattern, struct slice escape,
                        struct slice *out)
{
    struct writer writer;
    enum err err = read_escape(call, escape, &escape);
    writer_init(&writer);
    if (err == OK)
        err = write_similar(call, pattern, escape, &writer);
    *out = arena_copy(call->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return err;
}

static enum err similar_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    return similar(call, a[0].text, count > 1 ? a[1].text : SLICE("\\"), &out->text);
}

/* substring(text SIMILAR pattern ESCAPE escape) */
static enum err substring_similar_row(struct call *call, const struct value *a, size_t count,
                                      struct value *out)
{
    struct value parts[2] = {a[0], a[1]};
    enum err err = similar(call, a[1].text, a[2].text, &parts[1].text);
    return err != OK ? err : substring_row(call, parts, count, out);
}

#define T TYPE_TEXT
#define I TYPE_INT4
#define TA TYPE_TEXT_ARRAY
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("regexp_replace", 3, LIST(T, T, T), T, 0, replace_row, "the first match replaced",
      "regexp_replace('abc', 'b', 'x')")
    F("regexp_replace", 4, LIST(T, T, T, T), T, 0, replace_row, "matches replaced, with flags",
      "regexp_replace('abab', 'b', 'x', 'g')")
    F("regexp_replace", 4, LIST(T, T, T, I), T, 0, replace_nth_row,
      "the first match from a place on replaced", "regexp_replace('abab', 'b', 'x', 3)")
    F("regexp_replace", 5, LIST(T, T, T, I, I), T, 0, replace_nth_row,
      "the n-th match replaced, 0: all", "regexp_replace('abab', 'b', 'x', 1, 2)")
    F("regexp_replace", 6, LIST(T, T, T, I, I, T), T, 0, replace_nth_row,
      "the n-th match replaced, with flags", "regexp_replace('abab', 'B', 'x', 1, 0, 'i')")
    F("substring", 2, LIST(T, T), T, 0, substring_row, "the part that matches",
      "substring('abc' FROM 'b.')")
    F("substring", 3, LIST(T, T, T), T, 0, substring_similar_row,
      "the part between two separators of an SQL pattern",
      "substring('abcdef' SIMILAR '%#\"cd#\"%' ESCAPE '#')")
    F("similar_to_escape", 1, LIST(T), T, 0, similar_row,
      "an SQL pattern as a regular expression (SIMILAR TO)", "'abc' SIMILAR TO '(a|x)_c'")
    F("similar_to_escape", 2, LIST(T, T), T, 0, similar_row,
      "an SQL pattern as a regular expression", "'a_c' SIMILAR TO 'a#_c' ESCAPE '#'")
    F("regexp_like", 2, LIST(T, T), TYPE_BOOL, 0, like_row, "matches the regular expression",
      "regexp_like('abc', '^a')")
    F("regexp_like", 3, LIST(T, T, T), TYPE_BOOL, 0, like_row, "matches, with flags",
      "regexp_like('abc', '^A', 'i')")
    F("regexp_match", 2, LIST(T, T), TA, 0, groups_row, "the groups of the first match",
      "regexp_match('abc', '(.)b')")
    F("regexp_match", 3, LIST(T, T, T), TA, 0, groups_row,
      "the groups of the first match, with flags", "regexp_match('abc', '(.)B', 'i')")
    F("_regexp_matches", 2, LIST(T, T), TA, 0, matches_row,
      "how many groups a pattern has, and those of the first match",
      "_regexp_matches('abc', '(.)b')")
    F("_regexp_matches", 3, LIST(T, T, T), TA, 0, matches_row,
      "how many groups a pattern has, and those of the matches",
      "_regexp_matches('abab', '(.)b', 'g')")
    F("regexp_count", 2, LIST(T, T), I, 0, count_row, "how many matches",
      "regexp_count('abab', 'b')")
    F("regexp_count", 3, LIST(T, T, I), I, 0, count_row, "how many matches from a place on",
      "regexp_count('abab', 'b', 3)")
    F("regexp_count", 4, LIST(T, T, I, T), I, 0, count_row, "how many matches, with flags",
      "regexp_count('abab', 'B', 1, 'i')")
    F("regexp_instr", 2, LIST(T, T), I, 0, instr_row, "where the first match starts, 0 if nowhere",
      "regexp_instr('abab', 'b')")
    F("regexp_instr", 3, LIST(T, T, I), I, 0, instr_row, "where the first match from there starts",
      "regexp_instr('abab', 'b', 3)")
    F("regexp_instr", 4, LIST(T, T, I, I), I, 0, instr_row, "where the n-th match starts",
      "regexp_instr('abab', 'b', 1, 2)")
    F("regexp_instr", 5, LIST(T, T, I, I, I), I, 0, instr_row, "1: what comes behind the match",
      "regexp_instr('abab', 'b', 1, 1, 1)")
    F("regexp_instr", 6, LIST(T, T, I, I, I, T), I, 0, instr_row, "where it starts, with flags",
      "regexp_instr('abab', 'B', 1, 1, 0, 'i')")
    F("regexp_instr", 7, LIST(T, T, I, I, I, T, I), I, 0, instr_row, "where a group starts",
      "regexp_instr('abab', 'a(b)', 1, 1, 0, '', 1)")
    F("regexp_substr", 2, LIST(T, T), T, 0, substr_row, "the first match",
      "regexp_substr('abab', 'b.')")
    F("regexp_substr", 3, LIST(T, T, I), T, 0, substr_row, "the first match from a place on",
      "regexp_substr('abab', '[ab]', 3)")
    F("regexp_substr", 4, LIST(T, T, I, I), T, 0, substr_row, "the n-th match",
      "regexp_substr('abab', '[ab]', 1, 2)")
    F("regexp_substr", 5, LIST(T, T, I, I, T), T, 0, substr_row, "the n-th match, with flags",
      "regexp_substr('abab', 'B', 1, 1, 'i')")
    F("regexp_substr", 6, LIST(T, T, I, I, T, I), T, 0, substr_row, "a group of the n-th match",
      "regexp_substr('abab', 'a(b)', 1, 1, '', 1)")
    F("regexp_split_to_array", 2, LIST(T, T), TA, 0, split_row, "cut at the matches",
      "regexp_split_to_array('a1b22c', '[0-9]+')")
    F("regexp_split_to_array", 3, LIST(T, T, T), TA, 0, split_row,
      "cut at the matches, with flags", "regexp_split_to_array('aXbxc', 'x', 'i')")
};
/* clang-format on */

const struct function_group functions_regex_functions = {functions, array_count(functions)};
