/* Which shapes a stream has.
 *
 * After the complete parser has read a row whose cells all fit, the row is walked once more:
 * between the values lie the literals, and of each key it is known which column takes it. A shape
 * that the mapping has already is used again; a new one is kept there, at most SHAPES_MAX, so that
 * a body of one row is read by the shape of the body before.
 *
 * Columns below objects, names with escapes and fields for more than one column have no shape, and
 * neither has a row with LF inside, which ends a row in one framing and is a blank in the others.
 *
 * Streams whose rows differ pay little: misses add up, and when they outweigh the hits the complete
 * parser has the stream to itself for a while. */
#include "ingest/decode/template.h"

#include "ingest/rows/coerce.h"
#include "storage/base/fault.h"

#include <assert.h>

#define STRAIN_MAX 16
#define PAUSE_ROWS 64
#define PAUSE_ROWS_SHAPELESS 1024

static inline bool is_digit(char c)
{
    return (uint8_t)(c - '0') < 10;
}

static void template_use(struct template_state *t, const struct decoder *d,
                         const struct shape *shape)
{
    if (shape != NULL && shape->slot_count > d->options->keys_max)
        shape = NULL;
    t->shape = shape;
    t->is_ready = false;
}

struct template_state *template_create(struct decoder *d)
{
    struct template_state *t = arena_alloc(d->arena, sizeof(*t));
    *t = (struct template_state){.is_wide = template_is_wide(d->options->isa)};
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

void template_learn(struct template_state *t, struct decoder *d, struct slice row)
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
