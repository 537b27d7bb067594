/* The column decoder for JSON (RFC 8259, strict): one pass over the bytes, cells straight into
 * columns, no tree.
 *
 *   body ── object ── key ── known? ── value ── rows_number, rows_string …
 *                      │        └─ no: passed over, counted, kept for `rest`
 *                      └─ the key that followed this one last time is tried first: one comparison
 *
 * Events of one source repeat their keys in their order, so each key remembers its successor and
 * finding a column is a memcmp; whatever breaks the order costs one hash look-up and is learned.
 * What a key means (columns, an object level below that columns reach into, or nothing) is worked
 * out once per distinct key and body.
 *
 * Strings are searched 16 bytes at a time inline and by the widest instructions behind that
 * (scan.c); only bytes above ASCII are checked for UTF-8, only strings with a backslash are copied.
 * Numbers are read into mantissa and exponent while their grammar is checked.
 *
 * A decoder stands in one of two framings (documents.c). In lines, LF ends the row whatever else is
 * open, so it is no blank inside an object. Depth, keys per object, and digits per number are
 * bounded; recursion goes only as deep as `depth_max` <= 64. */
#include "ingest/decode/parser.h"

#include "ingest/decode/template.h"
#include "storage/base/hash.h"
#include "storage/base/json.h"

#include <assert.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define NUMBER_SIZE_MAX 400
#define KEYS_REMEMBERED_MAX 4096
#define LEVEL_SLOTS_FIRST 64
#define REFS_MAX 8

/* What one key at one object level means. */
struct key {
    struct slice name; /* as between the quotes, without escapes */
    uint64_t hash;
    struct key *next;               /* the key that came after it last time */
    const struct mapping_ref *refs; /* columns that take the value */
    struct mapping_ref ref_own[REFS_MAX];
    size_t ref_count;
    struct level *level; /* columns reach into the object below */
    struct slice path;   /* for counting what is unknown */
    size_t unknown_id;
};

/* An object level that columns reach into. */
struct level {
    const struct mapping_node *node;
    struct slice path; /* "user." */
    struct key first;  /* its `next` is the first key of an object */
    struct key **slots;
    size_t slot_mask, count;
    struct key overflow; /* of the root: stands for a key that is not remembered */
};

/* --- errors --- */

const char *decoder_fail_with(struct decoder *d, const char *at, const char *sqlstate,
                              const char *text)
{
    d->error_at = at;
    d->error_sqlstate = sqlstate;
    d->error_text = text;
    return NULL;
}

const char *decoder_fail(struct decoder *d, const char *at, const char *text)
{
    return decoder_fail_with(d, at, "22P02", text);
}

/* --- tokens: each takes the place of its first byte and gives the place behind it, NULL after an
 * error --- */

static inline const char *find_special(const struct decoder *d, const char *p)
{
#if defined(__x86_64__)
    if (d->is_inline && d->end - p >= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                                _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'))),
                                   _mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
        int mask = _mm_movemask_epi8(hit);
        if (mask != 0)
            return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    return d->scan(p, d->end);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* Behind the escape that starts at p. */
static const char *read_escape(struct decoder *d, const char *p)
{
    if (d->end - p < 2)
        return decoder_fail(d, p, "unterminated string");
    if (p[1] != 'u')
        return memchr("\"\\/bfnrt", p[1], 8) != NULL
                   ? p + 2
                   : decoder_fail(d, p, "invalid escape in string");
    if (d->end - p < 6 || !is_hex(p[2]) || !is_hex(p[3]) || !is_hex(p[4]) || !is_hex(p[5]))
        return decoder_fail(d, p, "invalid \\u escape in string");
    return p + 6;
}

/* p: behind the opening quote. *text: what is between the quotes. */
static inline const char *read_string(struct decoder *d, const char *p, struct slice *text)
{
    const char *start = p;
    bool is_ascii = true;
    d->has_escape = false;
    for (;;) {
        p = find_special(d, p);
        if (p == d->end)
            return decoder_fail(d, start - 1, "unterminated string");
        if (*p == '"')
            break;
        if (*p == '\\') {
            d->has_escape = true;
            p = read_escape(d, p);
            if (p == NULL)
                return NULL;
        } else if ((uint8_t)*p < 0x20) {
            return decoder_fail(d, p, "control character in string");
        } else {
            is_ascii = false;
            while (p < d->end && (uint8_t)*p >= 0x80)
                p++;
        }
    }
    *text = slice_of(start, (size_t)(p - start));
    if (!is_ascii && utf8_validate(*text) != text->size)
        return decoder_fail_with(d, start, "22021", "invalid UTF-8 in string");
    return p + 1;
}

const char *decoder_read_string(struct decoder *d, const char *p, struct slice *text)
{
    return read_string(d, p, text);
}

static inline bool is_digit(char c)
{
    return (uint8_t)(c - '0') < 10;
}

static const char *read_fraction(struct decoder *d, const char *p, struct decimal *number,
                                 int *significant)
{
    const char *first = ++p;
    for (; p < d->end && is_digit(*p); p++) {
        *significant += number->mantissa != 0 || *p != '0';
        number->mantissa = number->mantissa * 10 + (uint64_t)(*p - '0');
    }
    number->exponent = -(int32_t)(p - first < INT32_MAX / 2 ? p - first : INT32_MAX / 2);
    return p == first ? decoder_fail(d, p, "invalid number") : p;
}

static const char *read_exponent(struct decoder *d, const char *p, struct decimal *number)
{
    p++;
    bool is_negative = p < d->end && *p == '-';
    if (p < d->end && (*p == '-' || *p == '+'))
        p++;
    const char *first = p;
    int32_t exponent = 0;
    for (; p < d->end && is_digit(*p); p++)
        exponent = exponent < 100000 ? exponent * 10 + (*p - '0') : exponent;
    number->exponent += is_negative ? -exponent : exponent;
    return p == first ? decoder_fail(d, p, "invalid number") : p;
}

static inline const char *read_number(struct decoder *d, const char *p, struct decimal *number)
{
    const char *start = p;
    *number = (struct decimal){.is_negative = *p == '-'};
    p += number->is_negative;
    const char *digits = p;
    while (p < d->end && is_digit(*p))
        number->mantissa = number->mantissa * 10 + (uint64_t)(*p++ - '0');
    if (p == digits || (*digits == '0' && p - digits > 1))
        return decoder_fail(d, start, "invalid number");
    int significant = *digits == '0' ? 0 : (int)(p - digits < 1000 ? p - digits : 1000);
    if (p < d->end && *p == '.' && (p = read_fraction(d, p, number, &significant)) == NULL)
        return NULL;
    if (p < d->end && (*p | 0x20) == 'e' && (p = read_exponent(d, p, number)) == NULL)
        return NULL;
    if (p - start > NUMBER_SIZE_MAX)
        return decoder_fail_with(d, start, "22003", "number of more than 400 characters");
    number->text = slice_of(start, (size_t)(p - start));
    number->is_exact = significant <= 19;
    return p;
}

static inline const char *read_word(struct decoder *d, const char *p, const char *word, size_t size)
{
    if ((size_t)(d->end - p) < size || memcmp(p, word, size) != 0)
        return decoder_fail(d, p, "invalid JSON value");
    return p + size;
}

static const char *skip_object(struct decoder *d, const char *p, uint32_t depth)
{
    struct slice text;
    uint32_t count = 0;
    p = decoder_skip_blanks(d, p + 1);
    if (p < d->end && *p == '}')
        return p + 1;
    for (;;) {
        if (p == d->end || *p != '"')
            return decoder_fail(d, p, "expected a string as key");
        if (++count > d->options->keys_max)
            return decoder_fail_with(d, p, "54000", "too many keys in one object");
        p = read_string(d, p + 1, &text);
        if (p == NULL)
            return NULL;
        p = decoder_skip_blanks(d, p);
        if (p == d->end || *p != ':')
            return decoder_fail(d, p, "expected a colon");
        p = decoder_skip_value(d, decoder_skip_blanks(d, p + 1), depth);
        if (p == NULL)
            return NULL;
        p = decoder_skip_blanks(d, p);
        if (p < d->end && *p == '}')
            return p + 1;
        if (p == d->end || *p != ',')
            return decoder_fail(d, p, "expected a comma or the end of the object");
        p = decoder_skip_blanks(d, p + 1);
    }
}

static const char *skip_array(struct decoder *d, const char *p, uint32_t depth)
{
    p = decoder_skip_blanks(d, p + 1);
    if (p < d->end && *p == ']')
        return p + 1;
    for (;;) {
        p = decoder_skip_value(d, p, depth);
        if (p == NULL)
            return NULL;
        p = decoder_skip_blanks(d, p);
        if (p < d->end && *p == ']')
            return p + 1;
        if (p == d->end || *p != ',')
            return decoder_fail(d, p, "expected a comma or the end of the array");
        p = decoder_skip_blanks(d, p + 1);
    }
}

/* Passes over any value, checking all of it. depth: of objects and arrays around it. */
const char *decoder_skip_value(struct decoder *d, const char *p, uint32_t depth)
{
    struct slice text;
    struct decimal number;
    if (p == d->end)
        return decoder_fail(d, p, "unexpected end of input");
    switch (*p) {
    case '"':
        return read_string(d, p + 1, &text);
    case '{':
    case '[':
        if (depth >= d->options->depth_max)
            return decoder_fail_with(d, p, "54001", "nested too deep");
        return *p == '{' ? skip_object(d, p, depth + 1) : skip_array(d, p, depth + 1);
    case 't':
        return read_word(d, p, "true", 4);
    case 'f':
        return read_word(d, p, "false", 5);
    case 'n':
        return read_word(d, p, "null", 4);
    default:
        if (*p != '-' && !is_digit(*p))
            return decoder_fail(d, p, "invalid JSON value");
        return read_number(d, p, &number);
    }
}

/* --- keys --- */

static struct level *level_create(struct decoder *d, const struct mapping_node *node,
                                  struct slice path)
{
    struct level *level = arena_alloc_zero(d->arena, sizeof(*level));
    level->node = node;
    level->path = path;
    level->slot_mask = LEVEL_SLOTS_FIRST - 1;
    level->slots = arena_alloc_zero(d->arena, LEVEL_SLOTS_FIRST * sizeof(struct key *));
    return level;
}

static void level_grow(struct decoder *d, struct level *level)
{
    size_t mask = level->slot_mask * 2 + 1;
    struct key **slots = arena_alloc_zero(d->arena, (mask + 1) * sizeof(*slots));
    for (size_t i = 0; i <= level->slot_mask; i++) {
        struct key *key = level->slots[i];
        if (key == NULL)
            continue;
        size_t at = key->hash & mask;
        while (slots[at] != NULL)
            at = (at + 1) & mask;
        slots[at] = key;
    }
    level->slots = slots;
    level->slot_mask = mask;
}

/* The refs lie inside the key, so they are linked anew when it moves. */
static void key_link_refs(struct key *key)
{
    for (size_t i = 0; i < key->ref_count; i++)
        key->ref_own[i].next = i + 1 < key->ref_count ? &key->ref_own[i + 1] : NULL;
    key->refs = key->ref_count > 0 ? &key->ref_own[0] : NULL;
}

/* What the key means: columns by all ranks, and the level below. */
static void key_resolve(struct decoder *d, struct level *level, struct key *key)
{
    const struct mapping_child *child = mapping_find(level->node, key->name);
    size_t count = 0;
    bool has_exact = false;
    for (const struct mapping_ref *ref = child == NULL ? NULL : child->refs;
         ref != NULL && count < REFS_MAX; ref = ref->next) {
        has_exact |= ref->rank == RANK_EXACT;
        key->ref_own[count++] = *ref;
    }
    const struct mapping_ref *other = NULL;
    if (level == d->root && !has_exact)
        other = mapping_find_ignore_case(d->rows->options.mapping, key->name);
    if (other != NULL && count < REFS_MAX)
        key->ref_own[count++] = *other;
    key->ref_count = count;
    key_link_refs(key);
    key->unknown_id = SIZE_MAX;
    if (key->refs == NULL) {
        char *path = arena_alloc(d->arena, level->path.size + key->name.size);
        if (level->path.size > 0)
            memcpy(path, level->path.data, level->path.size);
        if (key->name.size > 0)
            memcpy(path + level->path.size, key->name.data, key->name.size);
        key->path = slice_of(path, level->path.size + key->name.size);
    }
    if (child != NULL && child->node != NULL) {
        char *path = arena_alloc(d->arena, level->path.size + key->name.size + 1);
        if (level->path.size > 0)
            memcpy(path, level->path.data, level->path.size);
        memcpy(path + level->path.size, key->name.data, key->name.size);
        path[level->path.size + key->name.size] = '.';
        key->level =
            level_create(d, child->node, slice_of(path, level->path.size + key->name.size + 1));
    }
}

static struct key *key_find(struct decoder *d, struct level *level, struct slice name)
{
    uint64_t hash = hash64(name.data, name.size);
    size_t at = hash & level->slot_mask;
    for (; level->slots[at] != NULL; at = (at + 1) & level->slot_mask)
        if (level->slots[at]->hash == hash && slice_equal(level->slots[at]->name, name))
            return level->slots[at];
    struct key *key = &d->root->overflow;
    *key = (struct key){.name = name, .hash = hash};
    key_resolve(d, level, key);
    if (level->count >= KEYS_REMEMBERED_MAX && key->refs == NULL && key->level == NULL)
        return key; /* names without end: no memory for each */
    struct key *kept = arena_alloc(d->arena, sizeof(*kept));
    *kept = *key;
    key = kept;
    key_link_refs(key);
    level->slots[at] = key;
    if (++level->count * 2 > level->slot_mask)
        level_grow(d, level);
    return key;
}

/* p: at the opening quote of a key. The key that followed `last` before is tried first. */
static inline const char *read_key(struct decoder *d, struct level *level, const char *p,
                                   struct key *last, struct key **out)
{
    struct key *guess = last->next;
    if (guess != NULL && (size_t)(d->end - p) > guess->name.size + 1 &&
        p[guess->name.size + 1] == '"' && memcmp(p + 1, guess->name.data, guess->name.size) == 0) {
        *out = guess;
        return p + guess->name.size + 2;
    }
    struct slice name;
    p = read_string(d, p + 1, &name);
    if (p == NULL)
        return NULL;
    bool has_escape = d->has_escape;
    struct slice plain;
    if (has_escape && json_unescape(name, d->arena, &plain))
        name = plain; /* one that no text can hold (a zero byte, half a surrogate pair) stays as
                         written: unknown */
    *out = key_find(d, level, name);
    /* Guesses compare raw bytes: a name that needs escapes may not be one. */
    if (!has_escape && *out != &d->root->overflow && last != &d->root->overflow)
        last->next = *out;
    return p;
}

/* --- values --- */

static void count_unknown(struct decoder *d, struct key *key, struct slice source)
{
    rows_unknown(d->rows, &key->unknown_id, key->path, source);
    if (d->rows->wants_rest) {
        struct writer name;
        writer_init(&name);
        json_write_string(&name, key->path);
        rows_rest(d->rows, writer_as_slice(&name), source);
        writer_deinit(&name);
    }
}

void decoder_count_unknown(struct decoder *d, struct slice name, struct slice source)
{
    count_unknown(d, key_find(d, d->root, name), source);
}

/* A field that no column takes. */
static const char *read_unknown(struct decoder *d, struct key *key, const char *p, uint32_t depth)
{
    const char *start = p;
    p = decoder_skip_value(d, p, depth);
    if (p == NULL)
        return NULL;
    count_unknown(d, key, slice_of(start, (size_t)(p - start)));
    return p;
}

static const char *take_string(struct decoder *d, const struct mapping_ref *ref, const char *p)
{
    struct slice raw, text;
    const char *start = p;
    p = read_string(d, p + 1, &raw);
    if (p == NULL)
        return NULL;
    text = raw;
    if (__builtin_expect(d->has_escape, 0) && !json_unescape(raw, d->arena, &text)) {
        /* Grammatical, but no text can hold it: this row is bad, the body is not. */
        for (; ref != NULL; ref = ref->next)
            rows_bad(d->rows, ref, "22P05", "unsupported Unicode escape sequence");
        return p;
    }
    struct slice source = slice_of(start, (size_t)(p - start));
    for (; ref != NULL; ref = ref->next)
        rows_string(d->rows, ref, text, source);
    return p;
}

static const char *take_number(struct decoder *d, const struct mapping_ref *ref, const char *p)
{
    struct decimal number;
    p = read_number(d, p, &number);
    if (p == NULL)
        return NULL;
    for (; ref != NULL; ref = ref->next)
        rows_number(d->rows, ref, &number);
    return p;
}

static const char *read_object(struct decoder *d, struct level *level, const char *p,
                               uint32_t depth);

static const char *take_document(struct decoder *d, const struct key *key, const char *p,
                                 uint32_t depth)
{
    const char *start = p;
    if (depth >= d->options->depth_max)
        return decoder_fail_with(d, p, "54001", "nested too deep");
    if (*p == '{' && key->level != NULL)
        p = read_object(d, key->level, p, depth + 1);
    else
        p = decoder_skip_value(d, p, depth);
    if (p == NULL)
        return NULL;
    for (const struct mapping_ref *ref = key->refs; ref != NULL; ref = ref->next)
        rows_document(d->rows, ref, slice_of(start, (size_t)(p - start)));
    return p;
}

static inline const char *read_value(struct decoder *d, struct key *key, const char *p,
                                     uint32_t depth)
{
    const struct mapping_ref *ref = key->refs;
    if (p == d->end)
        return decoder_fail(d, p, "unexpected end of input");
    if (ref == NULL && (key->level == NULL || *p != '{'))
        return read_unknown(d, key, p, depth);
    switch (*p) {
    case '"':
        return take_string(d, ref, p);
    case '{':
    case '[':
        return take_document(d, key, p, depth);
    case 't':
    case 'f': {
        bool value = *p == 't';
        p = value ? read_word(d, p, "true", 4) : read_word(d, p, "false", 5);
        for (; p != NULL && ref != NULL; ref = ref->next)
            rows_bool(d->rows, ref, value);
        return p;
    }
    case 'n':
        p = read_word(d, p, "null", 4);
        for (; p != NULL && ref != NULL; ref = ref->next)
            rows_null(d->rows, ref);
        return p;
    default:
        if (*p != '-' && !is_digit(*p))
            return decoder_fail(d, p, "invalid JSON value");
        return take_number(d, ref, p);
    }
}

/* p: at the brace. depth: with this object. */
static const char *read_object(struct decoder *d, struct level *level, const char *p,
                               uint32_t depth)
{
    assert(*p == '{');
    struct key *key = &level->first;
    uint32_t count = 0;
    p = decoder_skip_blanks(d, p + 1);
    if (p < d->end && *p == '}')
        return p + 1;
    for (;;) {
        if (p == d->end || *p != '"')
            return decoder_fail(d, p, "expected a string as key");
        if (++count > d->options->keys_max)
            return decoder_fail_with(d, p, "54000", "too many keys in one object");
        p = read_key(d, level, p, key, &key);
        if (p == NULL)
            return NULL;
        if (p == d->end || *p != ':') {
            p = decoder_skip_blanks(d, p);
            if (p == d->end || *p != ':')
                return decoder_fail(d, p, "expected a colon");
        }
        p = read_value(d, key, decoder_skip_blanks(d, p + 1), depth);
        if (p == NULL)
            return NULL;
        p = decoder_skip_blanks(d, p);
        if (p < d->end && *p == ',') {
            p = decoder_skip_blanks(d, p + 1);
            continue;
        }
        if (p < d->end && *p == '}')
            return p + 1;
        return decoder_fail(d, p, "expected a comma or the end of the object");
    }
}

/* The shape of the rows before is tried first; the complete parser has the last word. */
const char *decoder_read_object(struct decoder *d, const char *start)
{
    const char *p = d->template == NULL ? NULL : template_read(d->template, d, start);
    if (p != NULL)
        return p;
    p = read_object(d, d->root, start, 1);
    if (p != NULL && d->template != NULL)
        template_learn(d->template, d, slice_of(start, (size_t)(p - start)));
    return p;
}

/* --- for framings: documents.c, messages.c --- */

void decoder_init(struct decoder *d, struct rows *rows, struct slice body,
                  const struct decode_options *options, bool is_lines)
{
    *d = (struct decoder){
        .rows = rows, .arena = rows->arena, .options = options, .is_lines = is_lines};
    assert(options->depth_max <= 64);
    d->begin = body.data;
    d->end = body.size == 0 ? d->begin : body.data + body.size;
    d->scan = scan_text_of(options->isa);
    assert(d->scan != NULL);
    d->is_inline = options->isa != DECODE_ISA_PLAIN;
    d->root = level_create(d, mapping_root(rows->options.mapping), (struct slice){0});
    d->template = options->is_complete ? NULL : template_create(d);
}

const char *decoder_skip_bom(struct slice body)
{
    return slice_starts_with(body, SLICE("\xEF\xBB\xBF")) ? body.data + 3 : body.data;
}

void decoder_reject(struct decoder *d, struct slice raw, const char *origin)
{
    char text[160];
    struct writer message;
    writer_init(&message);
    writer_printf(&message, "%s at byte %zu", d->error_text, (size_t)(d->error_at - origin) + 1);
    size_t size = message.size < sizeof(text) - 1 ? message.size : sizeof(text) - 1;
    memcpy(text, message.data, size);
    text[size] = 0;
    writer_deinit(&message);
    rows_reject(d->rows, raw, d->error_sqlstate, text);
}
