/* Portions of many groups.
 *
 *   query 1: a portion has too many groups, rows go one by one ─▶ mark
 *   query 2: portions are made and kept all the same
 *   query 3: portion ─┐
 *            portion ─┼▶ put together, kept as a run ─┐
 *            portion ─┘                               │
 *   query 4: ─────────────────────────────────────────┴▶ run, portions behind it ─▶ first tier
 *
 * A panel of the 50,000 pages has 20,000 of them in a portion: to make that and to number its texts
 * once more costs what it saves, once. For a panel that comes again it saves most of the rows'
 * cost, and where the portions of a window are put together it is the pages that are added up, not
 * the portions. So the second query that asks the same keeps them; a mark says that there was a
 * first. Another mark says that even so there were too few rows a group.
 *
 * Only aggregates that are exact take part: whether portions are made here depends on earlier
 * queries, and a sum of doubles must not. Groups come in order of first sight in either way.
 *
 * What portions take is bounded: where more rows are to be made than the cache has room for, they
 * are grouped one by one, as without all this (partial_run.c).
 *
 * A run is found by a hash of its portions' places and told by the places themselves. When a window
 * leaves its first portion behind, the run is made anew of portions, which stay for that. */
#include "query/exec/partial.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <string.h>

/* Of a portion: more groups than this share of its rows and so many do not pay. */
#define ROWS_PER_GROUP 64
#define GROUPS_FREE 256
#define ROWS_PER_GROUP_MANY 4
#define GROUPS_FREE_MANY 4096
/* One of fewer rows says nothing of the others. */
#define TELLING_ROWS_MIN 30000
/* So many portions behind a run become part of it. */
#define MERGE_MIN 3
/* A run that ends so far back is not looked for. */
#define LOOK_BACK 64

enum mark { MARK_MANY, MARK_TOO_MANY, MARK_NO_RUN };

/* --- marks --- */

static struct partial_place mark_place(enum mark mark)
{
    return (struct partial_place){.index = mark, .kind = PARTIAL_MARK};
}

static bool has_mark(struct partial_cache *cache, const struct partial_plan *plan, enum mark mark)
{
    struct partial *found = partial_cache_find(cache, plan, mark_place(mark));
    partial_unref(found);
    return found != NULL;
}

static void leave_mark(struct partial_cache *cache, struct partial_plan *plan, enum mark mark)
{
    struct partial *partial = partial_create();
    partial_cache_add(cache, plan, mark_place(mark), partial);
    partial_unref(partial);
}

static bool can_be_many(const struct exec_node *group)
{
    return group->plan->group.key_count != 0 &&
           (partial_is_exact(group->plan) || fault_is("partial.many_doubles"));
}

bool partial_many_is_on(const struct exec_node *group, struct partial_cache *cache,
                        const struct partial_plan *plan)
{
    return can_be_many(group) && has_mark(cache, plan, MARK_MANY) &&
           !has_mark(cache, plan, MARK_TOO_MANY);
}

uint64_t partial_many_groups_max(bool is_on, uint64_t rows)
{
    return is_on ? rows / ROWS_PER_GROUP_MANY + GROUPS_FREE_MANY
                 : rows / ROWS_PER_GROUP + GROUPS_FREE;
}

void partial_many_given_up(const struct exec_node *group, struct partial_cache *cache,
                           struct partial_plan *plan, const struct portion *portion, bool is_on)
{
    if (can_be_many(group) && (!is_on || portion->rows >= TELLING_ROWS_MIN))
        leave_mark(cache, plan, is_on ? MARK_TOO_MANY : MARK_MANY);
}

/* --- runs --- */

static uint64_t add_place(uint64_t hash, const struct partial_place *place)
{
    uint64_t segment = fault_is("partial.run_of_any") ? 0 : place->segment;
    return hash_mix(
        hash ^ hash_mix(segment ^ ((uint64_t)place->index << 34) ^ ((uint64_t)place->kind << 32)));
}

static bool is_of(const struct partial *run, const struct partial_place *places)
{
    for (size_t i = 0; i < run->place_count && !fault_is("partial.run_of_any"); i++)
        if (!partial_place_equal(&run->places[i], &places[i]))
            return false;
    return true;
}

static struct partial_place run_place(uint64_t hash, size_t count)
{
    return (struct partial_place){.segment = hash, .index = (uint32_t)count, .kind = PARTIAL_RUN};
}

struct partial *partial_many_find(struct partial_cache *cache, const struct partial_plan *plan,
                                  const struct partial_place *places, size_t count)
{
    uint64_t hashes[LOOK_BACK], hash = 0;
    struct partial *run = NULL;
    for (size_t i = 0; i < count; i++)
        hashes[i % LOOK_BACK] = hash = add_place(hash, &places[i]);
    size_t least = count > LOOK_BACK ? count - LOOK_BACK : 0;
    least = least < 2 ? 2 : least;
    for (size_t end = count; run == NULL && end > least; end--) {
        run = partial_cache_find(cache, plan, run_place(hashes[(end - 1) % LOOK_BACK], end));
        if (run != NULL && !is_of(run, places)) {
            partial_unref(run);
            run = NULL;
        }
    }
    return run;
}

/* By the hash of the run before (NULL: none), and how many there are with these behind it. */
static struct partial_place place_behind(const struct partial *before,
                                         const struct partial_place *behind, size_t behind_count)
{
    size_t before_count = before != NULL ? before->place_count : 0;
    uint64_t hash = 0;
    for (size_t i = 0; i < before_count; i++)
        hash = add_place(hash, &before->places[i]);
    for (size_t i = 0; i < behind_count; i++)
        hash = add_place(hash, &behind[i]);
    return run_place(hash, before_count + behind_count);
}

static void set_places(struct partial *run, const struct partial *before,
                       const struct partial_place *behind, size_t behind_count)
{
    size_t before_count = before != NULL ? before->place_count : 0;
    size_t count = before_count + behind_count;
    size_t before_total = run->arena.total;
    struct partial_place *places = arena_alloc_array(&run->arena, count, sizeof(*places));
    if (before_count != 0)
        memcpy(places, before->places, before_count * sizeof(*places));
    memcpy(places + before_count, behind, behind_count * sizeof(*places));
    run->places = places;
    run->place_count = count;
    run->size += run->arena.total - before_total;
}

/* In place of what it has grown out of. */
static void keep(struct partial_cache *cache, struct partial_plan *plan, struct partial *run,
                 struct partial_place place, const struct partial *before)
{
    if (!partial_cache_add(cache, plan, place, run))
        leave_mark(cache, plan, MARK_NO_RUN);
    else if (before != NULL)
        partial_cache_remove(cache, plan, place_behind(before, NULL, 0));
}

static enum err merge(struct exec_node *group, struct partial *run, struct partial *const *behind,
                      size_t behind_count, struct partial **out, struct error *error)
{
    size_t count = 0;
    struct partial **list =
        arena_alloc_array(&group->exec->arena, behind_count + 1, sizeof(struct partial *));
    if (run != NULL)
        list[count++] = run;
    memcpy(list + count, behind, behind_count * sizeof(struct partial *));
    count += behind_count;
    enum err err = partial_merge(group, list, count, out, error);
    return err == ERR_LIMIT ? OK : err; /* no room for both; portion by portion there may be */
}

/* Of several queries that would put the same together one does; the others add up portions. */
enum err partial_many_merge(struct exec_node *group, struct partial_cache *cache,
                            struct partial_plan *plan, struct partial *run,
                            struct partial *const *behind, const struct partial_place *places,
                            size_t behind_count, struct partial **out, struct error *error)
{
    struct partial_place place = place_behind(run, places, behind_count);
    struct partial *found = NULL;
    *out = NULL;
    if (behind_count < MERGE_MIN || has_mark(cache, plan, MARK_NO_RUN))
        return OK;
    enum partial_claim claim = partial_cache_claim(cache, plan, place, &found);
    partial_unref(found); /* the next query finds it */
    if (claim != PARTIAL_MINE)
        return OK;
    enum err err = merge(group, run, behind, behind_count, out, error);
    if (err == OK && *out != NULL) {
        set_places(*out, run, places, behind_count);
        keep(cache, plan, *out, place, run);
    }
    partial_cache_give_up(cache, plan, place);
    return err;
}
