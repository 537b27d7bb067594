/* Functions on text: lengths, case, parts, padding, searching. Positions and lengths count
 * characters, not bytes; every text is valid UTF-8, so a character starts wherever a byte is not
 * 10xxxxxx. Results borrow from the argument where they are a part of it, else lie in the batch's
 * arena. */
#include "query/func/text.h"

#include "storage/base/fault.h"

#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <wctype.h>

enum { SIDE_LEFT = 1, SIDE_RIGHT = 2, SIDE_BOTH = 3 };

static bool is_start(char byte)
{
    return ((unsigned char)byte & 0xC0) != 0x80;
}

size_t text_prefix_size(struct slice text, size_t count)
{
    size_t offset = 0;
    for (; offset < text.size; offset++) {
        if (is_start(text.data[offset]) && count-- == 0)
            break;
    }
    return offset;
}

size_t text_find(struct slice text, struct slice part)
{
    if (part.size == 0)
        return 0;
    if (part.size > text.size)
        return SIZE_MAX;
    const char *found = memmem(text.data, text.size, part.data, part.size);
    return found == NULL ? SIZE_MAX : (size_t)(found - text.data);
}

enum err text_too_large(struct call *call)
{
    return error_set(call->error, ERR_INPUT, "54000", "requested length too large");
}

void text_begin(struct writer *writer)
{
    writer_init(writer);
    writer->limit = TEXT_RESULT_SIZE_MAX;
}

enum err text_end(struct call *call, struct writer *writer, enum err err, struct value *out)
{
    if (err == OK && writer->failed)
        err = text_too_large(call);
    if (err == OK)
        out->text = arena_copy(call->arena, writer_as_slice(writer));
    writer_deinit(writer);
    return err;
}

enum err text_reserve(struct call *call, size_t size, char **out)
{
    if (size > TEXT_RESULT_SIZE_MAX)
        return text_too_large(call);
    return call_array(call, size + 1, 1, (void **)out);
}

/* --- case --- */

static bool is_ascii(struct slice text)
{
    unsigned char seen = 0;
    for (size_t i = 0; i < text.size; i++)
        seen |= (unsigned char)text.data[i];
    return seen < 0x80;
}

static bool is_ascii_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char ascii_case(char c, bool is_upper)
{
    if (is_upper)
        return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static struct slice wide_case(struct slice text, enum text_case to, struct arena *arena)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (locale == (locale_t)0)
        return text;
    char *out = arena_alloc(
        arena, text.size * 2 + 4); /* no mapping of one character grows beyond twice its bytes */
    size_t size = 0;
    bool in_word = false;
    for (size_t offset = 0, step; offset < text.size; offset += step) {
        struct slice rest = slice_of(text.data + offset, text.size - offset);
        wint_t character = (wint_t)utf8_decode(rest, &step);
        bool is_upper = to == CASE_UPPER || (to == CASE_INITIAL && !in_word);
        in_word = iswalnum_l(character, locale) != 0;
        wint_t changed = is_upper ? towupper_l(character, locale) : towlower_l(character, locale);
        size += utf8_encode((uint32_t)changed, out + size);
    }
    freelocale(locale);
    return slice_of(out, size);
}

struct slice text_change_case(struct slice text, enum text_case to, struct arena *arena)
{
    if (!is_ascii(text))
        return wide_case(text, to, arena);
    char *out = arena_alloc(arena, text.size + 1);
    bool in_word = false;
    for (size_t i = 0; i < text.size; i++) {
        out[i] = ascii_case(text.data[i], to == CASE_UPPER || (to == CASE_INITIAL && !in_word));
        in_word = is_ascii_word((unsigned char)text.data[i]);
    }
    return slice_of(out, text.size);
}

#define CASE_PIECE ((size_t)1 << 20)

static enum err case_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct slice text = a[0].text;
    if (text.size <= CASE_PIECE) {
        out->text = text_change_case(text, call->function->operation, call->arena);
        return OK;
    }
    /* In pieces, with a look between them. A piece ends behind a space, so that initcap sees words
     * whole, and a word without end is one piece. */
    char *buffer;
    size_t room = is_ascii(text) ? text.size : 2 * text.size;
    enum err err = call_array(call, room + 4, 1, (void **)&buffer);
    size_t size = 0;
    for (size_t at = 0, end; err == OK && at < text.size; at = end) {
        bool by_word = call->function->operation == CASE_INITIAL;
        end = at + CASE_PIECE < text.size ? at + CASE_PIECE : text.size;
        while (end < text.size && (by_word ? text.data[end - 1] != ' ' : !is_start(text.data[end])))
            end++;
        struct arena piece;
        arena_init(&piece);
        struct slice changed =
            text_change_case(slice_of(text.data + at, end - at), call->function->operation, &piece);
        memcpy(buffer + size, changed.data, changed.size);
        size += changed.size;
        arena_deinit(&piece);
        err = call_look(call);
    }
    if (err == OK)
        out->text = slice_of(buffer, size);
    return err;
}

/* --- lengths --- */

static enum err length_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)call, (void)count;
    out->i = (int64_t)(fault_is("kernel.length") ? a[0].text.size : utf8_count(a[0].text));
    return OK;
}

static enum err octets_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    out->i =
        (int64_t)a[0].text.size * (call->function->operation == 0 ? 1 : call->function->operation);
    return OK;
}

/* --- trim --- */

/* Is the character at text[offset …] one of `set`? */
static bool is_in_set(struct slice character, struct slice set)
{
    for (size_t offset = 0; offset < set.size;) {
        size_t size = text_prefix_size(slice_of(set.data + offset, set.size - offset), 1);
        if (slice_equal(slice_of(set.data + offset, size), character))
            return true;
        offset += size;
    }
    return false;
}

static struct slice trim(struct slice text, struct slice set, int sides)
{
    while ((sides & SIDE_LEFT) != 0 && text.size > 0) {
        size_t size = text_prefix_size(text, 1);
        if (!is_in_set(slice_of(text.data, size), set))
            break;
        text = slice_of(text.data + size, text.size - size);
    }
    while ((sides & SIDE_RIGHT) != 0 && text.size > 0) {
        size_t start = text.size - 1;
        while (start > 0 && !is_start(text.data[start]))
            start--;
        if (!is_in_set(slice_of(text.data + start, text.size - start), set))
            break;
        text.size = start;
    }
    return text;
}

static enum err trim_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    out->text = trim(a[0].text, count > 1 ? a[1].text : SLICE(" "), call->function->operation);
    return OK;
}

/* --- parts --- */

/* Characters [first, first + length) with first 1-based and possibly before the text. */
static struct slice part(struct slice text, int64_t first, int64_t end)
{
    if (first < 1)
        first = 1;
    if (end <= first)
        return slice_of(text.data, 0);
    size_t start = text_prefix_size(text, (size_t)(first - 1));
    struct slice rest = slice_of(text.data + start, text.size - start);
    return slice_of(rest.data, text_prefix_size(rest, (size_t)(end - first)));
}

static enum err substring_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    int64_t end = INT64_MAX;
    if (count > 2) {
        if (a[2].i < 0)
            return error_set(call->error, ERR_INPUT, "22011",
                             "negative substring length not allowed");
        end = a[1].i + a[2].i;
    }
    out->text = part(a[0].text, a[1].i, end);
    return OK;
}

static enum err left_right_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    int64_t length = (int64_t)utf8_count(a[0].text), n = a[1].i;
    int64_t taken = n < 0 ? length + n : n < length ? n : length;
    if (taken < 0)
        taken = 0;
    if (call->function->operation == SIDE_LEFT)
        out->text = part(a[0].text, 1, taken + 1);
    else
        out->text = part(a[0].text, length - taken + 1, length + 1);
    return OK;
}

static enum err position_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)call, (void)count;
    size_t offset = text_find(a[0].text, a[1].text);
    out->i = offset == SIZE_MAX ? 0 : (int64_t)utf8_count(slice_of(a[0].text.data, offset)) + 1;
    return OK;
}

static enum err starts_with_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    (void)call, (void)count;
    out->b = slice_starts_with(a[0].text, a[1].text);
    return OK;
}

/* The n-th field, from the end for negative n; empty if there is none. */
static enum err split_part_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    struct slice text = a[0].text, separator = a[1].text;
    int64_t wanted = a[2].i, fields = 1;
    out->text = slice_of(text.data, 0);
    if (wanted == 0)
        return error_set(call->error, ERR_INPUT, "22023", "field position must not be zero");
    if (separator.size == 0 || text.size == 0) {
        if (wanted == 1 || wanted == -1)
            out->text = text;
        return OK;
    }
    struct labour labour = {.call = call};
    size_t found;
    if (wanted < 0) {
        for (struct slice rest = text; (found = text_find(rest, separator)) != SIZE_MAX; fields++) {
            rest = slice_of(rest.data + found + separator.size, rest.size - found - separator.size);
            enum err err = labour_step(&labour, found + 16);
            if (err != OK)
                return err;
        }
        wanted += fields + 1;
        if (wanted < 1)
            return OK;
    }
    struct slice rest = text;
    for (; (found = text_find(rest, separator)) != SIZE_MAX; wanted--) {
        if (wanted == 1) {
            out->text = slice_of(rest.data, found);
            return OK;
        }
        rest = slice_of(rest.data + found + separator.size, rest.size - found - separator.size);
        enum err err = labour_step(&labour, found + 16);
        if (err != OK)
            return err;
    }
    if (wanted == 1)
        out->text = rest;
    return OK;
}

/* --- made anew --- */

static enum err replace_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct slice rest = a[0].text, from = a[1].text, to = a[2].text;
    out->text = rest;
    if (from.size == 0 || text_find(rest, from) == SIZE_MAX)
        return OK;
    struct writer writer;
    text_begin(&writer);
    struct labour labour = {.call = call, .writer = &writer};
    enum err err = OK;
    for (size_t found; err == OK && (found = text_find(rest, from)) != SIZE_MAX;) {
        writer_bytes(&writer, rest.data, found);
        writer_slice(&writer, to);
        rest = slice_of(rest.data + found + from.size, rest.size - found - from.size);
        if (writer.failed)
            break;
        err = labour_step(&labour, found + from.size + to.size + 16);
    }
    writer_slice(&writer, rest);
    labour_end(&labour);
    return text_end(call, &writer, err, out);
}

static enum err reverse_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct slice text = a[0].text;
    struct labour labour = {.call = call};
    size_t end = text.size;
    char *buffer;
    enum err err = text_reserve(call, text.size, &buffer);
    if (err != OK)
        return err;
    for (size_t offset = 0; offset < text.size;) {
        size_t size = text_prefix_size(slice_of(text.data + offset, text.size - offset), 1);
        end -= size;
        memcpy(buffer + end, text.data + offset, size);
        offset += size;
        err = labour_step(&labour, 4);
        if (err != OK)
            return err;
    }
    out->text = slice_of(buffer, text.size);
    return OK;
}

#define FILL_PIECE ((size_t)64 << 10)

/* The part again and again, `size` bytes in all; what is there already is copied on. */
static enum err fill_with(struct call *call, char *buffer, size_t size, struct slice part)
{
    struct labour labour = {.call = call};
    size_t done = part.size < size ? part.size : size;
    enum err err = OK;
    if (done > 0)
        memcpy(buffer, part.data, done);
    while (err == OK && done < size) {
        /* Whole parts, so that each copy goes on where the one before ended. */
        size_t step = done < FILL_PIECE + part.size ? done : FILL_PIECE / part.size * part.size;
        if (step == 0)
            step = part.size;
        step = step < size - done ? step : size - done;
        memcpy(buffer + done, buffer, step);
        done += step;
        err = labour_step(&labour, step);
    }
    return err;
}

static enum err repeat_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    size_t times = a[1].i > 0 ? (size_t)a[1].i : 0, size = a[0].text.size;
    if (size > 0 && times > TEXT_RESULT_SIZE_MAX / size)
        return text_too_large(call);
    char *buffer;
    enum err err = text_reserve(call, size * times, &buffer);
    if (err != OK)
        return err;
    err = fill_with(call, buffer, size * times, a[0].text);
    out->text = slice_of(buffer, size * times);
    return err;
}

static enum err pad_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct slice text = a[0].text, fill = count > 2 ? a[2].text : SLICE(" ");
    int64_t wanted = a[1].i < 0 ? 0 : a[1].i, length = (int64_t)utf8_count(text);
    if (length >= wanted || fill.size == 0) {
        out->text = slice_of(text.data, text_prefix_size(text, (size_t)wanted));
        return OK;
    }
    size_t missing = (size_t)(wanted - length), fill_length = utf8_count(fill);
    size_t tail = text_prefix_size(fill, missing % fill_length),
           fill_size = missing / fill_length * fill.size + tail;
    char *buffer;
    enum err err = text_reserve(call, text.size + fill_size, &buffer);
    if (err != OK)
        return err;
    bool is_left = call->function->operation == SIDE_LEFT;
    char *filled = is_left ? buffer : buffer + text.size;
    err = fill_with(call, filled, fill_size, fill);
    if (err != OK)
        return err;
    if (text.size > 0)
        memcpy(is_left ? buffer + fill_size : buffer, text.data, text.size);
    out->text = slice_of(buffer, text.size + fill_size);
    return OK;
}

#define COMPARED_PER_LOOK ((size_t)1 << 20)

/* Each character of `from` becomes the one at its place in `to`, or nothing. */
static enum err translate_row(struct call *call, const struct value *a, size_t count,
                              struct value *out)
{
    (void)count;
    struct slice text = a[0].text, from = a[1].text, to = a[2].text;
    char *buffer;
    enum err err = text_reserve(call, text.size * 4, &buffer);
    if (err != OK)
        return err;
    size_t size = 0, compared = 0;
    for (size_t offset = 0; offset < text.size;) {
        size_t step = text_prefix_size(slice_of(text.data + offset, text.size - offset), 1),
               index = 0, at = 0;
        if (compared >= COMPARED_PER_LOOK) {
            compared = 0;
            err = call_look(call);
            if (err != OK)
                return err;
        }
        struct slice character = slice_of(text.data + offset, step), changed = character;
        for (; at < from.size; index++) {
            size_t width = text_prefix_size(slice_of(from.data + at, from.size - at), 1);
            if (slice_equal(slice_of(from.data + at, width), character))
                break;
            at += width;
        }
        compared += index + 1;
        if (at < from.size)
            changed = part(to, (int64_t)index + 1, (int64_t)index + 2);
        if (changed.size > 0)
            memcpy(buffer + size, changed.data, changed.size);
        size += changed.size;
        offset += step;
    }
    out->text = slice_of(buffer, size);
    return OK;
}

static enum err overlay_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    struct slice text = a[0].text, with = a[1].text;
    int64_t first = a[2].i, length = count > 3 ? a[3].i : (int64_t)utf8_count(with);
    if (first <= 0)
        return error_set(call->error, ERR_INPUT, "22011", "negative substring length not allowed");
    if (first + length > INT_MAX || first + length < INT_MIN)
        return error_out_of_range(call->error, "integer");
    struct slice head = part(text, 1, first), tail = part(text, first + length, INT64_MAX);
    char *buffer;
    enum err err = text_reserve(call, head.size + with.size + tail.size, &buffer);
    if (err != OK)
        return err;
    memcpy(buffer, head.data, head.size);
    memcpy(buffer + head.size, with.data, with.size);
    memcpy(buffer + head.size + with.size, tail.data, tail.size);
    out->text = slice_of(buffer, head.size + with.size + tail.size);
    return OK;
}

#define T TYPE_TEXT
#define I TYPE_INT4
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    F("length", 1, LIST(T), I, 0, length_row, "characters", "length('abc')")
    F("char_length", 1, LIST(T), I, 0, length_row, "characters", "char_length('abc')")
    F("character_length", 1, LIST(T), I, 0, length_row, "characters", "character_length('abc')")
    F("length", 1, LIST(TYPE_BYTEA), I, 0, octets_row, "bytes", "length('\\x0a'::bytea)")
    F("octet_length", 1, LIST(T), I, 0, octets_row, "bytes", "octet_length('abc')")
    F("octet_length", 1, LIST(TYPE_BYTEA), I, 0, octets_row, "bytes",
      "octet_length('\\x0a'::bytea)")
    F("bit_length", 1, LIST(T), I, 8, octets_row, "bits", "bit_length('abc')")
    F("bit_length", 1, LIST(TYPE_BYTEA), I, 8, octets_row, "bits", "bit_length('\\x0a'::bytea)")
    F("lower", 1, LIST(T), T, CASE_LOWER, case_row, "in lower case", "lower('ABC')")
    F("upper", 1, LIST(T), T, CASE_UPPER, case_row, "in upper case", "upper('abc')")
    F("initcap", 1, LIST(T), T, CASE_INITIAL, case_row, "each word's first letter in upper case",
      "initcap('a bc')")
    F("btrim", 1, LIST(T), T, SIDE_BOTH, trim_row, "without spaces at both ends", "btrim(' a ')")
    F("btrim", 2, LIST(T, T), T, SIDE_BOTH, trim_row, "without these characters at both ends",
      "btrim('xax', 'x')")
    F("ltrim", 1, LIST(T), T, SIDE_LEFT, trim_row, "without spaces at the start", "ltrim(' a ')")
    F("ltrim", 2, LIST(T, T), T, SIDE_LEFT, trim_row, "without these characters at the start",
      "ltrim('xax', 'x')")
    F("rtrim", 1, LIST(T), T, SIDE_RIGHT, trim_row, "without spaces at the end", "rtrim(' a ')")
    F("rtrim", 2, LIST(T, T), T, SIDE_RIGHT, trim_row, "without these characters at the end",
      "rtrim('xax', 'x')")
    F("substr", 2, LIST(T, I), T, 0, substring_row, "from that character on", "substr('abc', 2)")
    F("substr", 3, LIST(T, I, I), T, 0, substring_row, "so many characters from there",
      "substr('abc', 2, 1)")
    F("substring", 2, LIST(T, I), T, 0, substring_row, "from that character on",
      "substring('abc' FROM 2)")
    F("substring", 3, LIST(T, I, I), T, 0, substring_row, "so many characters from there",
      "substring('abc' FROM 2 FOR 1)")
    F("left", 2, LIST(T, I), T, SIDE_LEFT, left_right_row, "the first characters", "left('abc', 2)")
    F("right", 2, LIST(T, I), T, SIDE_RIGHT, left_right_row, "the last characters",
      "right('abc', 2)")
    F("position", 2, LIST(T, T), I, 0, position_row, "where a part starts, 0 if nowhere",
      "position('b' IN 'abc')")
    F("strpos", 2, LIST(T, T), I, 0, position_row, "where a part starts, 0 if nowhere",
      "strpos('abc', 'b')")
    F("starts_with", 2, LIST(T, T), TYPE_BOOL, 0, starts_with_row, "does it start so",
      "starts_with('abc', 'ab')")
    F("^@", 2, LIST(T, T), TYPE_BOOL, 0, starts_with_row, "does it start so", "'abc' ^@ 'ab'")
    F("split_part", 3, LIST(T, T, I), T, 0, split_part_row, "the n-th field",
      "split_part('a,b', ',', 2)")
    F("replace", 3, LIST(T, T, T), T, 0, replace_row, "with every occurrence replaced",
      "replace('abc', 'b', 'x')")
    F("reverse", 1, LIST(T), T, 0, reverse_row, "backwards", "reverse('abc')")
    F("repeat", 2, LIST(T, I), T, 0, repeat_row, "so many times", "repeat('ab', 3)")
    F("lpad", 2, LIST(T, I), T, SIDE_LEFT, pad_row, "filled with spaces at the start",
      "lpad('a', 3)")
    F("lpad", 3, LIST(T, I, T), T, SIDE_LEFT, pad_row, "filled at the start", "lpad('a', 3, 'x')")
    F("rpad", 2, LIST( T, I), T, SIDE_RIGHT, pad_row, "filled with spaces at the end",
      "rpad('a', 3)")
    F("rpad", 3, LIST( T, I, T), T, SIDE_RIGHT, pad_row, "filled at the end", "rpad('a', 3, 'x')")
    F("translate", 3, LIST(T, T, T), T, 0, translate_row, "characters exchanged",
      "translate('abc', 'ab', 'xy')")
    F("overlay", 3, LIST( T, T, I), T, 0, overlay_row, "a part replaced by place",
      "overlay('abc' PLACING 'x' FROM 2)")
    F("overlay", 4, LIST( T, T, I, I), T, 0, overlay_row, "a part replaced by place",
      "overlay('abc' PLACING 'x' FROM 2 FOR 1)")
};
/* clang-format on */

const struct function_group functions_text = {functions, array_count(functions)};
