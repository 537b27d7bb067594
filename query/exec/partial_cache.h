/* Partial results that later queries may find: by what they depend on and the portion of a segment
 * that they are of, to which no rows come any more. Any thread. */
#ifndef FRESHET_QUERY_EXEC_PARTIAL_CACHE_H
#define FRESHET_QUERY_EXEC_PARTIAL_CACHE_H

#include "storage/base/arena.h"

struct partial;      /* query/exec/partial.h */
struct partial_plan; /* bytes of a partial_key, known by address while it is held */
struct partial_cache;

/* HALF: one block of two. PIECE: of a portion that is not full yet. RUN: many portions put
 * together, by a hash and their number. MARK: what was found out. */
enum partial_kind {
    PARTIAL_SEALED,
    PARTIAL_HALF,
    PARTIAL_MUTABLE,
    PARTIAL_PIECE,
    PARTIAL_RUN,
    PARTIAL_MARK
};

struct partial_place {
    uint64_t segment; /* never used twice among the sealed or among the mutable ones */
    uint32_t index;   /* of its first block or chunk; of a piece, its place there too */
    enum partial_kind kind;
};

static inline bool partial_place_equal(const struct partial_place *a, const struct partial_place *b)
{
    return a->segment == b->segment && a->index == b->index && a->kind == b->kind;
}

/* The limit holds for results and the bytes of their plans; the table that finds them, 8 bytes for
 * each, is beside it. */
struct partial_cache *partial_cache_create(size_t limit);
void partial_cache_destroy(struct partial_cache *cache); /* no query is under way */
/* One reference. */
struct partial_plan *partial_plan_hold(struct partial_cache *cache, struct slice bytes);
void partial_plan_drop(struct partial_cache *cache, struct partial_plan *plan);
/* One reference to it, or NULL. */
struct partial *partial_cache_find(struct partial_cache *cache, const struct partial_plan *plan,
                                   struct partial_place place);
/* Keeps it, if it is not large: what was used longest ago goes for it. False: it is too large. */
bool partial_cache_add(struct partial_cache *cache, struct partial_plan *plan,
                       struct partial_place place, struct partial *partial);

/* Nobody will ask for it any more. */
void partial_cache_remove(struct partial_cache *cache, const struct partial_plan *plan,
                          struct partial_place place);

/* Who makes what is not there: of several queries that ask the same one does, the others wait for
 * it, though no longer than they like to. MINE: partial_cache_give_up() follows, after
 * partial_cache_add() or without. FOUND: *out, one reference. */
enum partial_claim { PARTIAL_FOUND, PARTIAL_MINE, PARTIAL_BUSY };
enum partial_claim partial_cache_claim(struct partial_cache *cache, const struct partial_plan *plan,
                                       struct partial_place place, struct partial **out);
void partial_cache_give_up(struct partial_cache *cache, const struct partial_plan *plan,
                           struct partial_place place);
/* Until somebody gives up a claim, or for so long. */
void partial_cache_wait(struct partial_cache *cache, int64_t us);

struct partial_cache_status {
    size_t used, limit;
    uint64_t count, hits, misses, evictions;
};
void partial_cache_status(struct partial_cache *cache, struct partial_cache_status *out);

#endif
