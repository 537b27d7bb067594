/* Rows of a shape that is known: literals compared, values parsed in place. */
#ifndef FRESHET_INGEST_DECODE_TEMPLATE_H
#define FRESHET_INGEST_DECODE_TEMPLATE_H

#include "ingest/decode/parser.h"

#define LITERAL_WIDE 32 /* bytes of a literal compared at once */
#define STRAIN_MISS 4   /* hits that weigh as much as one miss */

/* A slot of the shape as rows go through it: one line of the cache. Behind the last one stands the
 * row's end. */
struct step {
    char literal[LITERAL_WIDE]; /* nothing if it is longer than that */
    uint32_t mask, size;        /* of the literal */
    uint8_t take;               /* enum shape_take, STEP_LONG, STEP_END */
    struct rows_column *column;
    const struct shape_slot *slot;
};
#define STEP_LONG (TAKE_UNKNOWN + 1) /* of a literal that is not here */
#define STEP_END (TAKE_UNKNOWN + 2)

/* What one decoder knows of the stream it reads; in its arena. */
struct template_state {
    const struct shape *shape; /* of the row expected; NULL: none yet */
    bool is_ready;             /* its columns are touched, as of `lapses` of the rows */
    bool is_wide;              /* by AVX2 */
    uint64_t lapses;
    uint32_t required; /* of the shape's columns */
    uint32_t strain;   /* misses, less hits */
    uint32_t pause;    /* rows left to the complete parser */
    char minute[16];   /* the last time's text up to its minute: 2026-05-01T10:00 */
    int64_t minute_us;
    bool has_minute;
    size_t row_size; /* of the last row read: what the next one is fetched by */
    uint8_t *uuids;  /* room for `uuid_count` of them */
    size_t uuid_count;
    struct step *steps; /* as of is_ready */
    uint32_t step_capacity;
    uint32_t unknown_count;
    struct slice *unknown; /* values of this row's TAKE_UNKNOWN slots, in order */
};

struct template_state *template_create(struct decoder *d);
/* Is there a form with wider registers, and may it be used? */
bool template_is_wide(enum decode_isa isa);
/* The object at p if it has the shape that is expected and every value fits its column: its cells
 * are set, and the place behind it is given. NULL if anything is out of the ordinary: then nothing
 * has happened that the complete parser, which must read the row now, would not do again. */
const char *template_read(struct template_state *template, struct decoder *d, const char *p);
/* `row`: an object that the complete parser has read, whose cells are set. */
void template_learn(struct template_state *template, struct decoder *d, struct slice row);

#endif
