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
 * quote still fits and the value is taken in the general way. Which shapes there are, and
 * when a stream is left to the complete parser, is learn.c's affair. */
#include "ingest/decode/template.h"

#include "ingest/rows/coerce.h"
#include "storage/base/fault.h"
#include "storage/base/json.h"

#include <assert.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define MINUTE_US INT64_C(60000000)
#define DIGITS_MAX 19        /* all such numbers fit 64 bits */
#define PLAIN_NUMBER_READ 17 /* two words and the point between them */
#define FETCH_SIZE_MAX 1024
#define UUIDS_AT_ONCE 64
#define CACHE_LINE_SIZE 64
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))

/* clang-format off */
static const uint64_t powers[DIGITS_MAX] = {
    UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000),
    UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
    UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000), UINT64_C(1000000000000000),
    UINT64_C(10000000000000000), UINT64_C(100000000000000000), UINT64_C(1000000000000000000)};
/* clang-format on */
static const double divisors[DIGITS_MAX] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                            1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                            1e14, 1e15, 1e16, 1e17, 1e18};

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

/* Where the body ends, and the last place that LITERAL_WIDE bytes can be read from. */
struct bounds {
    const char *end;
    uintptr_t wide;
};

static inline struct bounds bounds_of(const struct decoder *d)
{
    return (struct bounds){.end = d->end, .wide = (uintptr_t)d->end - LITERAL_WIDE};
}

/* --- literals --- */

static bool literal_fits_narrow(const struct shape_slot *slot, size_t size, const char *p,
                                const char *end)
{
    if (size == 1) /* a row's last brace */
        return p < end && *p == slot->literal[0];
    return (size_t)(end - p) >= size && memcmp(p, slot->literal, size) == 0;
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
static ALWAYS_INLINE uint64_t digits_value(uint64_t word, unsigned count)
{
    uint64_t t = (word ^ UINT64_C(0x3030303030303030)) << (64 - 8 * count);
    t = (t & UINT64_C(0x0F0F0F0F0F0F0F0F)) * 2561 >> 8;
    t = (t & UINT64_C(0x00FF00FF00FF00FF)) * 6553601 >> 16;
    return (t & UINT64_C(0x0000FFFF0000FFFF)) * UINT64_C(42949672960001) >> 32;
}

/* Digits at p onto *value, of which `before` have been read; NULL if there are too many. */
static ALWAYS_INLINE const char *read_digits(const char *p, const char *end, unsigned before,
                                             uint64_t *value)
{
    while (end - p >= 8) {
        uint64_t word = load_u64(p);
        unsigned count = count_digits(word);
        if (count == 0)
            return p;
        before += count;
        if (before > DIGITS_MAX)
            return NULL;
        *value = *value * powers[count] + digits_value(word, count);
        p += count;
        if (count < 8)
            return p;
    }
    const char *first = p;
    while (p < end && is_digit(*p)) {
        if (before + (unsigned)(p - first) == DIGITS_MAX)
            return NULL;
        *value = *value * 10 + (uint64_t)(*p++ - '0');
    }
    return p;
}

/* A number without its text, in registers. */
struct plain_number {
    uint64_t mantissa;
    int32_t places; /* behind the point */
    bool is_negative;
};

/* Digits in the lowest bytes of the word: eight bits for each. */
static ALWAYS_INLINE unsigned digit_bits(uint64_t word)
{
    uint64_t t = word ^ UINT64_C(0x3030303030303030);
    uint64_t other = (t | (t + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080);
    return other == 0 ? 64 : (unsigned)__builtin_ctzll(other) & ~7u;
}

/* A number of at most 19 digits without exponent; NULL for anything else. */
static NOINLINE const char *read_any_number(const char *p, const char *end,
                                            struct plain_number *number)
{
    number->is_negative = p < end && *p == '-';
    p += number->is_negative;
    const char *digits = p;
    number->mantissa = 0;
    number->places = 0;
    p = read_digits(p, end, 0, &number->mantissa);
    if (p == NULL || p == digits || (*digits == '0' && p - digits > 1))
        return NULL;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        p = read_digits(p, end, (unsigned)(p - digits - 1), &number->mantissa);
        if (p == NULL || p == fraction)
            return NULL;
        number->places = (int32_t)(p - fraction);
    }
    return p < end && (*p | 0x20) == 'e' ? NULL : p;
}

/* The same in place for most: no sign, less than eight digits before the point and behind it, and
 * something behind them that may be read. An exponent is left to who looks at what comes next: no
 * literal begins with one. */
static ALWAYS_INLINE const char *read_plain_number(const char *p, const char *end,
                                                   struct plain_number *number)
{
    if (__builtin_expect(end - p < PLAIN_NUMBER_READ, 0))
        return read_any_number(p, end, number);
    uint64_t word = load_u64(p);
    unsigned bits = digit_bits(word);
    bool is_led_by_zero = (uint8_t)word == '0' && bits > 8;
    if (__builtin_expect(bits - 8 > 48 || is_led_by_zero, 0) &&
        !(is_led_by_zero && fault_is("template.leading_zero")))
        return read_any_number(p, end, number);
    const char *after = p + bits / 8;
    number->mantissa = digits_value(word, bits / 8);
    number->places = 0;
    number->is_negative = false;
    if (*after == '.') {
        word = load_u64(after + 1);
        bits = digit_bits(word);
        if (__builtin_expect(bits - 8 > 48, 0))
            return read_any_number(p, end, number);
        number->places = (int32_t)(bits / 8);
        number->mantissa = number->mantissa * powers[bits / 8] + digits_value(word, bits / 8);
        after += 1 + bits / 8;
    }
    return after;
}

/* --- strings --- */

#if defined(__x86_64__)
/* A bit for each of 16 bytes that plain text does not have, or that is not ASCII. */
static inline uint32_t special_bytes(const char *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_or_si128(
        _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
        _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
    return (uint32_t)_mm_movemask_epi8(hit);
}

/* What the same is found by 32 bytes at a time: a byte below 0x80 is a quote or a backslash if it
 * is what its low half says. Kept in memory: made anew from bytes in other registers, as compilers
 * like to, they are three of the eleven instructions of a step. */
static const struct wide_constants {
    _Alignas(LITERAL_WIDE) char by_low_half[LITERAL_WIDE];
    _Alignas(LITERAL_WIDE) char blanks[LITERAL_WIDE];
} wide_constants = {.by_low_half = {1, 0, '"', 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\', 0, 0, 0,
                                    1, 0, '"', 0, 0, 0, 0, 0, 0, 0, 0, 0, '\\', 0, 0, 0},
                    .blanks = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
                               ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
                               ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '}};

/* The first such byte where less than 32 are left, or `end`. They are read with those before them:
 * a message ends there, and its last text is found no dearer than the others. */
static inline const char *last_special(const struct decoder *d, const char *p, const char *end)
{
    if (end - d->begin < 32)
        return d->scan(p, end);
    uint64_t hits = special_bytes(end - 32) | (uint64_t)special_bytes(end - 16) << 16;
    hits >>= 32 - (end - p);
    if (fault_is("template.last_quote_taken") && hits != 0)
        return p + 63 - __builtin_clzll(hits);
    return hits != 0 ? p + __builtin_ctzll(hits) : end;
}

/* The same where a text goes on to the last bytes of the body, which wide steps leave. */
static NOINLINE const char *far_end(const struct decoder *d, const char *p, const char *end)
{
    return end - p < LITERAL_WIDE ? last_special(d, p, end) : d->scan(p, end);
}
#endif

/* `2026-05-01T10:00:07.195651Z` whose first 16 bytes are those of the time before. */
static ALWAYS_INLINE bool time_from_minute(const struct template_state *t, const char *p,
                                           size_t size, int64_t *out)
{
    if (!t->has_minute || size < 20 || memcmp(p, t->minute, sizeof(t->minute)) != 0 ||
        p[16] != ':' || !is_digit(p[17]) || !is_digit(p[18]) || p[17] > '5' || p[size - 1] != 'Z')
        return false;
    int64_t second = (p[17] - '0') * 10 + (p[18] - '0'), fraction = 0;
    if (size == 27) {
        uint64_t word = load_u64(p + 19) >> 8; /* six digits, Z, nothing */
        if (p[19] != '.' || count_digits(word) != 6)
            return false;
        fraction = (int64_t)digits_value(word, 6);
    } else if (size == 24) {
        if (p[19] != '.' || !is_digit(p[20]) || !is_digit(p[21]) || !is_digit(p[22]))
            return false;
        fraction = ((p[20] - '0') * 100 + (p[21] - '0') * 10 + (p[22] - '0')) * 1000;
    } else if (size != 20) {
        return false;
    }
    *out = t->minute_us + second * 1000000 + fraction;
    return true;
}

static NOINLINE bool time_from_text(struct template_state *t, struct slice text, int64_t *out)
{
    if (time_from_minute(t, text.data, text.size, out))
        return true;
    if (!timestamptz_parse_rfc3339(text, out))
        return false;
    /* With at most six digits nothing is rounded over the minute; with Z there is no zone in it. */
    bool is_common = text.size == 20 || text.size == 24 || text.size == 27;
    int64_t in_minute = *out % MINUTE_US;
    t->has_minute =
        (is_common && text.data[text.size - 1] == 'Z') || fault_is("template.any_time_is_prefix");
    memcpy(t->minute, text.data, sizeof(t->minute));
    t->minute_us = *out - (in_minute < 0 ? in_minute + MINUTE_US : in_minute);
    return true;
}

/* --- values --- */

static NOINLINE bool put_any_number(struct rows *rows, uint32_t column, const char *begin,
                                    const char *end, struct plain_number number)
{
    struct decimal decimal = {.text = slice_of(begin, (size_t)(end - begin)),
                              .mantissa = number.mantissa,
                              .exponent = -number.places,
                              .is_negative = number.is_negative,
                              .is_exact = true};
    return rows_put_number(rows, column, &decimal);
}

/* p: behind the opening quote. Whatever is in it, by the complete parser's own function. */
static NOINLINE const char *take_any_string(struct decoder *d, uint32_t column, const char *p)
{
    struct slice text;
    const char *start = p;
    p = decoder_read_string(d, p, &text);
    if (p == NULL || (d->has_escape && !json_unescape(text, d->arena, &text)))
        return NULL;
    struct slice source = slice_of(start - 1, (size_t)(p - start) + 1);
    return rows_put_string(d->rows, column, text, source) ? p : NULL;
}

/* Any value, by the general functions of rows. */
static NOINLINE const char *take_any(struct decoder *d, uint32_t column, const char *p)
{
    const char *start = p;
    struct plain_number number;
    if (p == d->end)
        return NULL;
    switch (*p) {
    case '"':
        return take_any_string(d, column, p + 1);
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
        if (p != NULL && p < d->end && (*p | 0x20) == 'e')
            return NULL;
        return p != NULL && put_any_number(d->rows, column, start, p, number) ? p : NULL;
    }
}

/* Into the cell if the column's form is the plain one; false: the general function may know. */
static ALWAYS_INLINE bool put_number(struct rows_column *column, size_t row,
                                     struct plain_number number, enum shape_take take)
{
    column->validity[row] = 1;
    if (take == TAKE_INT) {
        int64_t value = (int64_t)(number.is_negative ? 0 - number.mantissa : number.mantissa);
        column->i[row] = value;
        return number.places == 0 && number.mantissa <= INT64_MAX && value >= column->min &&
               value <= column->max;
    }
    if (take == TAKE_FLOAT) {
        double value = (double)(int64_t)number.mantissa / divisors[number.places];
        column->f[row] = number.is_negative ? -value : value;
        return number.mantissa <= UINT64_C(1) << 53;
    }
    if (take == TAKE_NUMERIC) {
        struct type type = column->definition->type;
        int32_t up = type.scale - number.places;
        if (up < 0 || up >= DIGITS_MAX || type.precision >= DIGITS_MAX)
            return false;
        unsigned __int128 digits = (unsigned __int128)number.mantissa * powers[up];
        column->n[row].digits = number.is_negative ? -(__int128)digits : (__int128)digits;
        column->n[row].scale = type.scale;
        column->n[row].kind = NUMERIC_FINITE;
        return digits < powers[type.precision];
    }
    return false;
}

static const char *take_unknown(struct template_state *t, struct decoder *d, const char *p)
{
    const char *start = p;
    p = decoder_skip_value(d, p, 1);
    if (p != NULL)
        t->unknown[t->unknown_count++] = slice_of(start, (size_t)(p - start));
    return p;
}

static bool take_any_time(struct template_state *t, struct decoder *d, uint32_t column,
                          const char **at)
{
    const char *p = *at, *quote = d->scan(p, d->end);
    struct rows_column *times = &d->rows->columns[column];
    if (quote == d->end || *quote != '"' ||
        !time_from_text(t, slice_of(p, (size_t)(quote - p)), &times->i[d->rows->count]))
        return false;
    times->validity[d->rows->count] = 1;
    *at = quote + 1;
    return true;
}

/* A slot that is not plain: another literal, a value of another form, the end of the body near. p:
 * before the literal. NULL: not this shape. */
static NOINLINE const char *take_any_slot(struct template_state *t, struct decoder *d,
                                          const struct shape_slot *slot, const char *p)
{
    size_t size = slot->literal_size;
    if (!literal_fits_narrow(slot, size, p, d->end)) {
        size--;
        if (slot->take > TAKE_STRING || !literal_fits_narrow(slot, size, p, d->end))
            return NULL;
        return take_any(d, slot->column, p + size); /* no string this time: a null, mostly */
    }
    p += size;
    if (slot->take == TAKE_UNKNOWN)
        return take_unknown(t, d, p);
    if (slot->take == TAKE_TIME && take_any_time(t, d, slot->column, &p))
        return p;
    return slot->take <= TAKE_STRING ? take_any_string(d, slot->column, p)
                                     : take_any(d, slot->column, p);
}

/* The values of rows as they mostly are: *at behind the value, or false, and nothing is said. */

static ALWAYS_INLINE bool take_bool(struct rows_column *column, size_t row, const char **at,
                                    const char *end)
{
    const char *p = *at;
    if (__builtin_expect(end - p < 5, 0))
        return false;
    bool is_true = memcmp(p, "true", 4) == 0;
    if (!is_true && memcmp(p, "false", 5) != 0)
        return false;
    column->b[row] = is_true;
    column->validity[row] = 1;
    *at = p + (is_true ? 4 : 5);
    return true;
}

/* take: the slot's, as a constant. */
static ALWAYS_INLINE bool take_number(struct rows_column *column, size_t row, const char **at,
                                      const char *end, enum shape_take take)
{
    struct plain_number number;
    const char *p = read_plain_number(*at, end, &number);
    if (__builtin_expect(p == NULL || !put_number(column, row, number, take), 0))
        return false;
    *at = p;
    return true;
}

/* --- rows --- */

static void step_init(struct step *step, const struct shape_slot *slot, uint8_t take)
{
    *step = (struct step){.take = take, .slot = slot};
    if (slot->literal_size > LITERAL_WIDE) {
        step->take = STEP_LONG;
        return;
    }
    memcpy(step->literal, slot->literal, LITERAL_WIDE);
    step->mask = slot->mask;
    step->size = slot->literal_size;
}

static void template_ready(struct template_state *t, struct decoder *d)
{
    uint32_t count = t->shape->slot_count;
    if (count + 1 > t->step_capacity) {
        t->steps = arena_alloc_array(d->arena, count + 1, sizeof(*t->steps));
        t->step_capacity = count + 1;
    }
    t->required = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct shape_slot *slot = &t->shape->slots[i];
        step_init(&t->steps[i], slot, slot->take);
        if (slot->take == TAKE_UNKNOWN)
            continue;
        rows_touch(d->rows, slot->column);
        t->steps[i].column = &d->rows->columns[slot->column];
        t->required += t->steps[i].column->is_required;
    }
    step_init(&t->steps[count], &t->shape->tail, STEP_END);
    t->is_ready = true;
    t->lapses = d->rows->lapses;
}

static const char *read_tail(const struct shape_slot *tail, const char *p, const char *end)
{
    return literal_fits_narrow(tail, tail->literal_size, p, end) ? p + tail->literal_size : NULL;
}

/* What the complete parser has done by the time it sees the closing brace. */
static void template_finish(struct template_state *t, struct decoder *d)
{
    struct rows *rows = d->rows;
    const struct shape *shape = t->shape;
    uint32_t unknown = 0;
    rows->set_count = shape->column_count;
    rows->required_set = t->required;
    /* Marks are for what else may be put into the row: missing cells, the rest, the whole. */
    bool is_all = rows->touched_count == shape->column_count &&
                  (rows->required_count == t->required || fault_is("template.required_assumed"));
    if (!is_all || rows->wants_rest || rows->schema->options.whole_column >= 0) {
        for (uint32_t i = 0; i < shape->slot_count; i++) {
            const struct shape_slot *slot = &shape->slots[i];
            if (slot->take != TAKE_UNKNOWN)
                rows_mark(rows, slot->column, (enum mapping_rank)slot->rank);
        }
    } else {
        rows->required_set = rows->required_count;
    }
    for (uint32_t i = 0; unknown < t->unknown_count && i < shape->slot_count; i++) {
        const struct shape_slot *slot = &shape->slots[i];
        if (slot->take == TAKE_UNKNOWN && !fault_is("template.unknown_uncounted"))
            decoder_count_unknown(d, slice_of(slot->literal + slot->name_begin, slot->name_size),
                                  t->unknown[unknown++]);
    }
    if (fault_is("template.cell_missed"))
        rows->set_count--;
}

#define SLOTS(name) name##_base
#define SLOTS_TARGET
#include "ingest/decode/slots.h"
#undef SLOTS
#undef SLOTS_TARGET

#if defined(__x86_64__)
#define SLOTS(name) name##_avx2
#define SLOTS_TARGET __attribute__((target("avx2,bmi,bmi2")))
#define SLOTS_AVX2
#include "ingest/decode/slots.h"
#undef SLOTS_AVX2

bool template_is_wide(enum decode_isa isa)
{
    return (isa == DECODE_ISA_BEST || isa == DECODE_ISA_AVX2 || isa == DECODE_ISA_AVX512) &&
           __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2");
}

static inline const char *read_slots(struct template_state *t, struct decoder *d, const char *p)
{
    return t->is_wide ? read_slots_avx2(t, d, p) : read_slots_base(t, d, p);
}
#else
bool template_is_wide(enum decode_isa isa)
{
    (void)isa;
    return false;
}

static inline const char *read_slots(struct template_state *t, struct decoder *d, const char *p)
{
    return read_slots_base(t, d, p);
}
#endif

const char *template_read(struct template_state *t, struct decoder *d, const char *p)
{
    if (t->pause > 0) {
        t->pause--;
        return NULL;
    }
    if (t->shape == NULL)
        return NULL;
    if (!t->is_ready || t->lapses != d->rows->lapses)
        template_ready(t, d);
    t->unknown_count = 0;
    /* The next row, likely as long as the last one: the body came in on another core, and a row is
     * read faster than a line of it is asked for and comes. */
    const char *begin = p;
    if ((size_t)(d->end - p) > 2 * t->row_size) {
        size_t size = t->row_size < FETCH_SIZE_MAX ? t->row_size : FETCH_SIZE_MAX;
        const char *next = p + t->row_size, *fetched = next + size;
        for (; next < fetched; next += (ptrdiff_t)4 * CACHE_LINE_SIZE) {
            __builtin_prefetch(next);
            __builtin_prefetch(next + CACHE_LINE_SIZE);
            __builtin_prefetch(next + (ptrdiff_t)2 * CACHE_LINE_SIZE);
            __builtin_prefetch(next + (ptrdiff_t)3 * CACHE_LINE_SIZE);
        }
    }
    p = read_slots(t, d, p);
    if (p == NULL) {
        if (fault_is("template.marks_left"))
            rows_mark(d->rows, t->shape->slots[0].column, RANK_EXACT);
        t->strain += STRAIN_MISS;
        return NULL;
    }
    t->row_size = (size_t)(p - begin);
    t->strain -= t->strain > 0;
    template_finish(t, d);
    return p;
}
