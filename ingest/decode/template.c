/* Reading rows by their shape.
 *
 * The rows of a stream are mostly written by one piece of code: the same keys in the same order
 * with the same bytes between the values. What the complete parser finds out about each byte of
 * them is known beforehand. So after one row its shape is kept,
 *
 *   {"ts":"   time   ","user":   int   ,"page":"   text   "}
 *   ╰─ 0 ──╯        ╰── 1 ─────╯     ╰── 2 ─────╯       ╰ tail
 *
 * and the rows after it are read by comparing each literal at once and each value by the form that
 * its column wants: digits by words of eight, times with the minute before as a prefix, strings by
 * their closing quote. Values go straight into the columns.
 *
 * Nothing is decided here. Whatever is not plainly right (another literal, a number with an
 * exponent, a value that does not fit its column, a string that is no text) makes template_read
 * give up, and the complete parser reads the row from its begin. That works because a cell may be
 * set twice: numbers are written over, a text has the code it was given before. Marks and counts of
 * the row, which may not be made twice, are made when the last byte has been seen. A row read here
 * leaves exactly what the complete parser would have left; tests and the fuzz target compare both.
 *
 * A string's quote belongs to its literal; where a null stands instead, the literal without the
 * quote still fits and the value is taken in the general way. Columns below objects, names with
 * escapes and fields for more than one column have no shape.
 *
 * Streams whose rows differ pay little: misses add up, and when they outweigh the hits the complete
 * parser has the stream to itself for PAUSE_ROWS rows. Shapes are kept with the mapping, at most
 * SHAPES_MAX, so a body of one row is read by the shape of the body before. */
#include "ingest/decode/template.h"

#include "ingest/rows/coerce.h"
#include "storage/base/fault.h"
#include "storage/base/json.h"

#include <assert.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LITERAL_WIDE 32 /* bytes compared at once */
#define STRAIN_MISS 4
#define STRAIN_MAX 16
#define PAUSE_ROWS 64
#define PAUSE_ROWS_SHAPELESS 1024
#define MINUTE_US INT64_C(60000000)
#define DIGITS_MAX 19 /* all such numbers fit 64 bits */

struct template
{
    const struct shape *shape; /* of the row expected; NULL: none yet */
    bool is_ready;             /* its columns are touched */
    bool is_wide;
    uint32_t strain; /* misses, less hits */
    uint32_t pause;  /* rows left to the complete parser */
    char minute[16]; /* the last time's text up to its minute: 2026-05-01T10:00 */
    int64_t minute_us;
    bool has_minute;
    uint32_t unknown_count;
    struct slice *unknown; /* values of this row's TAKE_UNKNOWN slots, in order */
};

static const uint64_t powers[20] = {1u,
                                    10u,
                                    100u,
                                    1000u,
                                    10000u,
                                    100000u,
                                    1000000u,
                                    10000000u,
                                    100000000u,
                                    1000000000u,
                                    10000000000u,
                                    100000000000u,
                                    1000000000000u,
                                    10000000000000u,
                                    100000000000000u,
                                    1000000000000000u,
                                    10000000000000000u,
                                    100000000000000000u,
                                    1000000000000000000u,
                                    10000000000000000000u};

static inline bool is_digit(char c)
{
    return (uint8_t)(c - '0') < 10;
}

static inline uint64_t load_u64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* --- literals --- */

static bool literal_fits_narrow(const struct shape_slot *slot, size_t size, const char *p,
                                const char *end)
{
    return (size_t)(end - p) >= size && memcmp(p, slot->literal, size) == 0;
}

static inline bool literal_fits(const struct template *t, const struct shape_slot *slot,
                                const char *p, const char *end)
{
#if defined(__x86_64__)
    if (t->is_wide && end - p >= LITERAL_WIDE) {
        const __m128i *have = (const __m128i *)(const void *)p;
        const __m128i *want = (const __m128i *)(const void *)slot->literal;
        uint32_t low = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(have), _mm_loadu_si128(want)));
        uint32_t high = (uint32_t)_mm_movemask_epi8(
            _mm_cmpeq_epi8(_mm_loadu_si128(have + 1), _mm_loadu_si128(want + 1)));
        if ((~(low | high << 16) & slot->mask) != 0)
            return false;
        return slot->literal_size <= LITERAL_WIDE ||
               literal_fits_narrow(slot, slot->literal_size, p, end);
    }
#else
    (void)t;
#endif
    return literal_fits_narrow(slot, slot->literal_size, p, end);
}

/* --- numbers --- */

/* How many of the word's bytes are digits, from the lowest on. */
static inline unsigned count_digits(uint64_t word)
{
    uint64_t t = word ^ UINT64_C(0x3030303030303030);
    uint64_t other = (t | (t + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080);
    return other == 0 ? 8 : (unsigned)__builtin_ctzll(other) / 8;
}

/* The number that the lowest `count` of 1 to 8 digits are. */
static inline uint64_t digits_value(uint64_t word, unsigned count)
{
    uint64_t t = (word ^ UINT64_C(0x3030303030303030)) << (64 - 8 * count);
    t = (t & UINT64_C(0x0F0F0F0F0F0F0F0F)) * 2561 >> 8;
    t = (t & UINT64_C(0x00FF00FF00FF00FF)) * 6553601 >> 16;
    return (t & UINT64_C(0x0000FFFF0000FFFF)) * UINT64_C(42949672960001) >> 32;
}

/* Digits at p onto *value, of which `before` have been read; NULL if there are too many. */
static inline const char *read_digits(const char *p, const char *end, unsigned before,
                                      uint64_t *value)
{
    const char *first = p;
    if (end - p >= 8) {
        uint64_t word = load_u64(p);
        unsigned count = count_digits(word);
        if (count == 0)
            return p;
        if (count < 8) {
            *value = *value * powers[count] + digits_value(word, count);
            return before + count <= DIGITS_MAX ? p + count : NULL;
        }
    }
    while (p < end && is_digit(*p)) {
        if (before + (unsigned)(p - first) == DIGITS_MAX)
            return NULL;
        *value = *value * 10 + (uint64_t)(*p++ - '0');
    }
    return p;
}

/* A number of at most 19 digits without exponent; NULL for anything else. */
static inline const char *read_plain_number(const char *p, const char *end, struct decimal *number)
{
    const char *start = p;
    number->is_negative = p < end && *p == '-';
    p += number->is_negative;
    const char *digits = p;
    number->mantissa = 0;
    number->exponent = 0;
    p = read_digits(p, end, 0, &number->mantissa);
    if (p == NULL || p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = read_digits(p, end, (unsigned)(p - digits - 1), &number->mantissa);
        if (p == NULL || p == fraction)
            return NULL;
        number->exponent = -(int32_t)(p - fraction);
    }
    if (p < end && (*p | 0x20) == 'e')
        return NULL;
    number->is_exact = true;
    number->text = slice_of(start, (size_t)(p - start));
    return p;
}

/* --- strings --- */

/* p: behind the opening quote. A string without escapes, and in ASCII: what nearly all are; the
 * rest through the complete parser's own function. NULL where there is no text to be had. */
static inline const char *read_text(struct decoder *d, const char *p, struct slice *text)
{
    const char *start = p;
#if defined(__x86_64__)
    if (d->is_inline && d->end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                                _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
                                   _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        p = mask != 0 ? p + __builtin_ctz(mask) : d->scan(p + 16, d->end);
    } else {
        p = d->scan(p, d->end);
    }
#else
    p = d->scan(p, d->end);
#endif
    if (__builtin_expect(p < d->end && *p == '"', 1)) {
        *text = slice_of(start, (size_t)(p - start));
        return p + 1;
    }
    p = decoder_read_string(d, start, text);
    if (p != NULL && d->has_escape && !json_unescape(*text, d->arena, text))
        return NULL;
    return p;
}

/* `2026-05-01T10:00:07.195651Z` whose first 16 bytes are those of the time before. */
static inline bool time_from_minute(const struct template *t, struct slice text, int64_t *out)
{
    const char *p = text.data;
    if (!t->has_minute || text.size < 20 || memcmp(p, t->minute, sizeof(t->minute)) != 0 ||
        p[16] != ':' || !is_digit(p[17]) || !is_digit(p[18]) || p[17] > '5' ||
        p[text.size - 1] != 'Z')
        return false;
    int64_t second = (p[17] - '0') * 10 + (p[18] - '0'), fraction = 0;
    if (text.size == 27) {
        uint64_t word = load_u64(p + 19) >> 8; /* six digits, Z, nothing */
        if (p[19] != '.' || count_digits(word) != 6)
            return false;
        fraction = (int64_t)digits_value(word, 6);
    } else if (text.size == 24) {
        if (p[19] != '.' || !is_digit(p[20]) || !is_digit(p[21]) || !is_digit(p[22]))
            return false;
        fraction = ((p[20] - '0') * 100 + (p[21] - '0') * 10 + (p[22] - '0')) * 1000;
    } else if (text.size != 20) {
        return false;
    }
    *out = t->minute_us + second * 1000000 + fraction;
    return true;
}

static bool time_from_text(struct template *t, struct slice text, int64_t *out)
{
    if (time_from_minute(t, text, out))
        return true;
    if (!timestamptz_parse_rfc3339(text, out))
        return false;
    /* With at most six digits nothing is rounded over the minute; with Z there is no zone in it. */
    bool is_common = text.size == 20 || text.size == 24 || text.size == 27;
    int64_t in_minute = *out % MINUTE_US;
    t->has_minute = (is_common && text.data[text.size - 1] == 'Z') ||
                    fault_is("template.any_time_is_prefix");
    memcpy(t->minute, text.data, sizeof(t->minute));
    t->minute_us = *out - (in_minute < 0 ? in_minute + MINUTE_US : in_minute);
    return true;
}

/* --- values --- */

/* Any value, by the general functions of rows. */
static const char *take_any(struct decoder *d, uint32_t column, const char *p)
{
    const char *start = p;
    struct slice text;
    struct decimal number;
    if (p == d->end)
        return NULL;
    switch (*p) {
    case '"':
        p = read_text(d, p + 1, &text);
        return p != NULL &&
                       rows_put_string(d->rows, column, text, slice_of(start, (size_t)(p - start)))
                   ? p
                   : NULL;
    case '{':
    case '[':
        p = decoder_skip_value(d, p, 1);
        return p != NULL && rows_put_document(d->rows, column, slice_of(start, (size_t)(p - start)))
                   ? p
                   : NULL;
    case 't':
    case 'f':
    case 'n':
        p = decoder_skip_value(d, p, 1);
        if (p == NULL)
            return NULL;
        return (*start == 'n' ? rows_put_null(d->rows, column)
                              : rows_put_bool(d->rows, column, *start == 't'))
                   ? p
                   : NULL;
    default:
        p = read_plain_number(p, d->end, &number);
        return p != NULL && rows_put_number(d->rows, column, &number) ? p : NULL;
    }
}

static inline const char *take_string(struct template *t, struct decoder *d,
                                      const struct shape_slot *slot, const char *p)
{
    struct rows *rows = d->rows;
    struct rows_column *column = &rows->columns[slot->column];
    struct slice text;
    const char *start = p;
    p = read_text(d, p, &text);
    if (p == NULL)
        return NULL;
    switch (slot->take) {
    case TAKE_TEXT:
        if (text.size > ROW_STRING_SIZE_MAX)
            return NULL;
        rows_put_text(rows, column, text);
        return p;
    case TAKE_TIME:
        if (time_from_text(t, text, &column->i[rows->count])) {
            column->validity[rows->count] = 1;
            return p;
        }
        break;
    case TAKE_UUID: {
        uint8_t *bytes = arena_alloc(d->arena, UUID_SIZE);
        if (coerce_uuid(text, bytes)) {
            column->validity[rows->count] = 1;
            column->text[rows->count] = slice_of(bytes, UUID_SIZE);
            return p;
        }
        break;
    }
    default:
        break;
    }
    struct slice source = slice_of(start - 1, (size_t)(p - start) + 1);
    return rows_put_string(rows, slot->column, text, source) ? p : NULL;
}

/* Into the cell if the column's form is the plain one; else the general function. */
static inline bool put_number(struct rows *rows, const struct shape_slot *slot,
                              const struct decimal *number)
{
    struct rows_column *column = &rows->columns[slot->column];
    if (slot->take == TAKE_INT && number->exponent == 0 && number->mantissa <= INT64_MAX) {
        int64_t value =
            number->is_negative ? -(int64_t)number->mantissa : (int64_t)number->mantissa;
        column->i[rows->count] = value;
        column->validity[rows->count] = 1;
        return value >= column->min && value <= column->max;
    }
    if (slot->take == TAKE_FLOAT && number->mantissa <= UINT64_C(1) << 53) {
        double value = (double)number->mantissa / exact_power10(-number->exponent);
        column->f[rows->count] = number->is_negative ? -value : value;
        column->validity[rows->count] = 1;
        return true;
    }
    if (slot->take == TAKE_NUMERIC) {
        struct type type = column->definition->type;
        int32_t up = type.scale + number->exponent;
        if (up >= 0 && up < DIGITS_MAX && type.precision < DIGITS_MAX) {
            unsigned __int128 digits = (unsigned __int128)number->mantissa * powers[up];
            if (digits >= powers[type.precision])
                return false;
            column->n[rows->count] = numeric_from_int128(
                number->is_negative ? -(__int128)digits : (__int128)digits, type.scale);
            column->validity[rows->count] = 1;
            return true;
        }
    }
    return rows_put_number(rows, slot->column, number);
}

static inline const char *take_bool(struct decoder *d, const struct shape_slot *slot, const char *p)
{
    struct rows_column *column = &d->rows->columns[slot->column];
    bool value;
    if (d->end - p >= 4 && memcmp(p, "true", 4) == 0) {
        value = true;
        p += 4;
    } else if (d->end - p >= 5 && memcmp(p, "false", 5) == 0) {
        value = false;
        p += 5;
    } else {
        return take_any(d, slot->column, p);
    }
    column->b[d->rows->count] = value;
    column->validity[d->rows->count] = 1;
    return p;
}

static const char *take_unknown(struct template *t, struct decoder *d, const char *p)
{
    const char *start = p;
    p = decoder_skip_value(d, p, 1);
    if (p != NULL)
        t->unknown[t->unknown_count++] = slice_of(start, (size_t)(p - start));
    return p;
}

static inline const char *take_number(struct decoder *d, const struct shape_slot *slot,
                                      const char *p)
{
    struct decimal number;
    if (p < d->end && *p != '-' && !is_digit(*p))
        return take_any(d, slot->column, p);
    p = read_plain_number(p, d->end, &number);
    return p != NULL && put_number(d->rows, slot, &number) ? p : NULL;
}

/* --- rows --- */

static void template_ready(struct template *t, struct decoder *d)
{
    for (uint32_t i = 0; i < t->shape->slot_count; i++) {
        if (t->shape->slots[i].take != TAKE_UNKNOWN)
            rows_touch(d->rows, t->shape->slots[i].column);
    }
    t->is_ready = true;
}

/* What the complete parser has done by the time it sees the closing brace. */
static void template_finish(struct template *t, struct decoder *d)
{
    struct rows *rows = d->rows;
    const struct shape *shape = t->shape;
    uint32_t required = 0, unknown = 0;
    rows->set_count = shape->column_count;
    if (rows->touched_count == shape->column_count && !rows->wants_rest &&
        rows->schema->options.whole_column < 0) {
        rows->required_set = rows->required_count; /* all that there are */
    } else {
        for (uint32_t i = 0; i < shape->slot_count; i++) {
            const struct shape_slot *slot = &shape->slots[i];
            if (slot->take == TAKE_UNKNOWN)
                continue;
            rows_mark(rows, slot->column, (enum mapping_rank)slot->rank);
            required += rows->columns[slot->column].is_required;
        }
        rows->required_set = required;
    }
    for (uint32_t i = 0; i < shape->slot_count && unknown < t->unknown_count; i++) {
        const struct shape_slot *slot = &shape->slots[i];
        if (slot->take == TAKE_UNKNOWN && !fault_is("template.unknown_uncounted"))
            decoder_count_unknown(d, slice_of(slot->literal + slot->name_begin, slot->name_size),
                                  t->unknown[unknown++]);
    }
    if (fault_is("template.cell_missed"))
        rows->set_count--;
}

/* The cells of the row; NULL: not this shape. */
static const char *read_slots(struct template *t, struct decoder *d, const char *p)
{
    const struct shape *shape = t->shape;
    const struct shape_slot *slot = shape->slots, *end = slot + shape->slot_count;
    for (; slot < end; slot++) {
        if (__builtin_expect(!literal_fits(t, slot, p, d->end), 0)) {
            size_t size = slot->literal_size - 1u;
            if (slot->take > TAKE_STRING || !literal_fits_narrow(slot, size, p, d->end))
                return NULL;
            p = take_any(d, slot->column, p + size); /* no string this time: a null, mostly */
            if (p == NULL)
                return NULL;
            continue;
        }
        p += slot->literal_size;
        switch ((enum shape_take)slot->take) {
        case TAKE_TEXT:
        case TAKE_TIME:
        case TAKE_UUID:
        case TAKE_STRING:
            p = take_string(t, d, slot, p);
            break;
        case TAKE_INT:
        case TAKE_FLOAT:
        case TAKE_NUMERIC:
        case TAKE_NUMBER:
            p = take_number(d, slot, p);
            break;
        case TAKE_BOOL:
            p = take_bool(d, slot, p);
            break;
        case TAKE_ANY:
            p = take_any(d, slot->column, p);
            break;
        case TAKE_UNKNOWN:
            p = take_unknown(t, d, p);
            break;
        }
        if (p == NULL)
            return NULL;
    }
    return literal_fits(t, &shape->tail, p, d->end) ? p + shape->tail.literal_size : NULL;
}

const char *template_read(struct template *t, struct decoder *d, const char *p)
{
    if (t->pause > 0) {
        t->pause--;
        return NULL;
    }
    if (t->shape == NULL)
        return NULL;
    if (!t->is_ready)
        template_ready(t, d);
    t->unknown_count = 0;
    p = read_slots(t, d, p);
    if (p == NULL) {
        if (fault_is("template.marks_left"))
            rows_mark(d->rows, t->shape->slots[0].column, RANK_EXACT);
        t->strain += STRAIN_MISS;
        return NULL;
    }
    t->strain -= t->strain > 0;
    template_finish(t, d);
    return p;
}

/* --- learning --- */

static void template_use(struct template *t, const struct decoder *d, const struct shape *shape)
{
    if (shape != NULL && shape->slot_count > d->options->keys_max)
        shape = NULL;
    t->shape = shape;
    t->is_ready = false;
}

struct template *template_create(struct decoder *d)
{
    struct template *t = arena_alloc(d->arena, sizeof(*t));
    *t = (struct template){.is_wide = d->is_inline};
    t->unknown = arena_alloc_array(d->arena, SHAPE_SLOTS_MAX, sizeof(*t->unknown));
    template_use(t, d, mapping_shape(d->rows->options.mapping, 0));
    return t;
}

/* The column that takes a key; false if it is not as simple as one or none. */
static bool find_column(const struct decoder *d, struct slice name, struct shape_slot *slot)
{
    const struct mapping *mapping = d->rows->options.mapping;
    const struct mapping_child *child = mapping_find(mapping_root(mapping), name);
    const struct mapping_ref *refs = child == NULL ? NULL : child->refs, *other = NULL;
    if (child != NULL && child->node != NULL)
        return false;
    if (refs != NULL && refs->next != NULL)
        return false;
    if (refs == NULL || refs->rank != RANK_EXACT)
        other = mapping_find_ignore_case(mapping, name);
    if (refs != NULL && other != NULL)
        return false;
    if (refs == NULL)
        refs = other;
    slot->take = refs == NULL ? TAKE_UNKNOWN : TAKE_ANY;
    slot->column = refs == NULL ? 0 : refs->column;
    slot->rank = refs == NULL ? 0 : (uint8_t)refs->rank;
    return true;
}

/* How values that begin like this one go into a column. A null says nothing: then the column's own
 * form is the most likely. */
static enum shape_take take_of(char first, enum coerce coerce)
{
    enum shape_take of_string = coerce == COERCE_TEXT          ? TAKE_TEXT
                                : coerce == COERCE_TIMESTAMPTZ ? TAKE_TIME
                                : coerce == COERCE_UUID        ? TAKE_UUID
                                                               : TAKE_STRING;
    enum shape_take of_number = coerce == COERCE_INT       ? TAKE_INT
                                : coerce == COERCE_FLOAT8  ? TAKE_FLOAT
                                : coerce == COERCE_NUMERIC ? TAKE_NUMERIC
                                                           : TAKE_NUMBER;
    if (first == '"')
        return of_string;
    if (first == '-' || is_digit(first))
        return of_number;
    if (first == 't' || first == 'f')
        return coerce == COERCE_BOOL ? TAKE_BOOL : TAKE_ANY;
    if (first != 'n')
        return TAKE_ANY;
    return of_string != TAKE_STRING   ? of_string
           : of_number != TAKE_NUMBER ? of_number
           : coerce == COERCE_BOOL    ? TAKE_BOOL
                                      : TAKE_ANY;
}

static bool set_literal(struct shape_slot *slot, const char *begin, const char *end)
{
    size_t size = (size_t)(end - begin);
    bool has_quote = slot->take <= TAKE_STRING;
    /* LF ends a row of NDJSON, so what holds one is no shape for every framing. */
    if (size + has_quote > SHAPE_LITERAL_MAX ||
        (memchr(begin, '\n', size) != NULL && !fault_is("template.newline_in_literal")))
        return false;
    memcpy(slot->literal, begin, size);
    if (has_quote)
        slot->literal[size++] = '"';
    slot->literal_size = (uint16_t)size;
    slot->mask = size >= LITERAL_WIDE ? UINT32_MAX : (UINT32_C(1) << size) - 1;
    return true;
}

/* One member of an object that is known to be JSON: `p` at the key's quote, `begin` behind the
 * value before. Gives the place behind the value; NULL if it is none for a shape. */
static const char *learn_member(struct decoder *d, const char *begin, const char *p,
                                struct shape_slot *slot)
{
    struct slice name;
    const char *quote = p;
    p = decoder_read_string(d, p + 1, &name);
    if (p == NULL || d->has_escape || !find_column(d, name, slot))
        return NULL;
    p = decoder_skip_blanks(d, p);
    p = decoder_skip_blanks(d, p + 1); /* the colon */
    if (slot->take != TAKE_UNKNOWN)
        slot->take = (uint8_t)take_of(*p, (enum coerce)d->rows->columns[slot->column].coerce);
    slot->name_begin = (uint16_t)(quote + 1 - begin);
    slot->name_size = (uint16_t)name.size;
    return set_literal(slot, begin, p) ? decoder_skip_value(d, p, 1) : NULL;
}

/* The shape of a row into `shape`, which has room for SHAPE_SLOTS_MAX slots. */
static bool learn_shape(struct decoder *d, struct slice row, struct shape *shape)
{
    const char *begin = row.data, *p = decoder_skip_blanks(d, begin + 1);
    while (*p == '"') {
        if (shape->slot_count == SHAPE_SLOTS_MAX)
            return false;
        struct shape_slot *slot = &shape->slots[shape->slot_count++];
        begin = p = learn_member(d, begin, p, slot);
        if (p == NULL)
            return false;
        shape->column_count += slot->take != TAKE_UNKNOWN;
        for (struct shape_slot *other = shape->slots; other < slot; other++) {
            if (slot->take != TAKE_UNKNOWN && other->take != TAKE_UNKNOWN &&
                other->column == slot->column && !fault_is("template.two_of_a_column"))
                return false;
        }
        p = decoder_skip_blanks(d, p);
        if (*p == ',')
            p = decoder_skip_blanks(d, p + 1);
    }
    shape->tail.take = TAKE_ANY;
    return shape->slot_count > 0 && *p == '}' && set_literal(&shape->tail, begin, p + 1);
}

/* The known shape that is the same, or this one kept. */
static const struct shape *keep_shape(struct mapping *mapping, const struct shape *shape)
{
    size_t size = sizeof(*shape) + shape->slot_count * sizeof(shape->slots[0]);
    const struct shape *known;
    for (size_t i = 0; (known = mapping_shape(mapping, i)) != NULL; i++) {
        if (known->slot_count == shape->slot_count && memcmp(known, shape, size) == 0)
            return known;
    }
    struct shape *kept = memory_alloc(size);
    memcpy(kept, shape, size);
    if (mapping_add_shape(mapping, kept))
        return kept;
    memory_free(kept);
    return NULL;
}

void template_learn(struct template *t, struct decoder *d, struct slice row)
{
    if (t->pause > 0 || d->rows->error_count > 0 || d->rows->has_row_error)
        return;
    if (t->strain > STRAIN_MAX) {
        t->pause = PAUSE_ROWS;
        t->strain = STRAIN_MAX / 2;
        return;
    }
    size_t size = sizeof(struct shape) + SHAPE_SLOTS_MAX * sizeof(struct shape_slot);
    struct shape *shape = memory_alloc_zero(size);
    const struct shape *kept = NULL;
    if (learn_shape(d, row, shape))
        kept = keep_shape(d->rows->options.mapping, shape);
    memory_free(shape);
    if (kept == NULL)
        t->pause = PAUSE_ROWS_SHAPELESS;
    else
        template_use(t, d, kept);
}
