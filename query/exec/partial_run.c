/* GROUP portion by portion.
 *
 *   view ── segment ── segment ── mutable rows      two blocks a portion, or one where a bound of
 *                                                   time cuts the other, or a chunk
 *             └ portion ─▶ partial ─┐
 *             └ portion ─▶ partial ─┴▶ combined in order ─▶ first tier ─▶ groups
 *             └ portion, too many groups: it and all rows after it are grouped one by one
 *             └ portion that a rollup has the groups of (rollup_run.c): those are combined
 *
 * Kept is what was made of portions that no rows come to any more: sealed ones, and chunks in
 * memory that are full. The newest chunk is taken in pieces, of which all but the last are full: so
 * a window's refresh reads what came last and where the window begins.
 *
 * What is a portion follows from the view and the query alone, so that an answer is the same to the
 * last bit whoever computes its portions, and whether some were kept from an earlier query. Once
 * the groups of all take a share of the query's memory the rest goes row by row too: only rows can
 * be put aside (group_spill.c). */
#include "query/exec/rollup.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/worker.h"

/* Of a mutable one: what is kept saves the more the sooner a portion is full. */
#define CHUNKS_ROWS_MIN 30000
/* Of one that is not full yet pieces are kept: of so many rows, or of chunks of fewer. */
#define PIECE_ROWS ((uint64_t)8 << 10)
#define PIECE_BITS 8 /* what a chunk has of them fits */
/* Rows to be read that more threads are started for. */
#define SHARED_ROWS_MIN ((uint64_t)200 << 10)
/* Of the query's memory: what the groups of all may take, while portions are combined. */
#define MEMORY_SHARE 8

/* Of the cache's limit: what portions of many groups take a row, twice over. */
#define MANY_BYTES_PER_ROW 32
/* What a query makes for others too is not held against it, for so much CPU time where it has so
 * many rows to read at most. Right after a segment was sealed whoever makes its portions would fall
 * behind all that come, and with it those that wait for them. */
#define ALLOWED_ROWS ((uint64_t)5 << 18)
#define ALLOWED_US 10000
/* How long a query waits for another one's portion, and looks whether it is to end. */
#define CLAIM_WAIT_US 100000
#define CLAIM_PIECE_US 20000

struct portions {
    size_t count;
    struct portion *list;
    size_t morsel_count;
    struct partial_cache *cache; /* NULL: nothing is kept or found */
    struct partial_plan *plan;
    struct partial_key key;
    bool is_known;   /* the key says all that results depend on: other threads may make them too */
    bool is_many;    /* few rows a group: what was made is put together for the next query */
    bool is_allowed; /* what it makes is little, and may be for others */
    bool is_direct;  /* rows of portions that are not kept are added to the groups at once */
    struct partial **found;    /* by portion: what the cache had */
    size_t run_begin, run_end; /* found[run_begin] is of all of these */
    struct rollup_use *rollup; /* NULL: none answers the query */
    struct partial **parts;    /* by portion: what it has */
    struct partial **held;     /* kept ones that groups' texts are of, until the query ends */
    size_t held_count;
    size_t held_charged;       /* for those of them that the cache did not have before */
    struct partial_crew *crew; /* NULL: one thread */
};

static bool can_skip(const struct exec_node *scan, const struct portion *portion)
{
    bool can = true;
    for (size_t morsel = portion->begin; can && morsel < portion->end; morsel++)
        can = exec_scan_can_skip(scan, morsel);
    return can;
}

/* Small chunks, as a mutable segment begins with, are put together. Where a portion ends depends on
 * rows before that alone, so it stays there while rows come. */
static bool begins_portion(const struct portion *portion, struct morsel_home home)
{
    if (home.is_sealed)
        return home.index % PORTION_MORSELS == 0;
    return home.index == 0 || portion->rows >= CHUNKS_ROWS_MIN;
}

static void add_piece(struct portions *portions, const struct table_view *view,
                      struct portion *piece)
{
    piece->home = table_view_morsel_home(view, piece->begin);
    piece->home.segment = table_view_open_segment(view);
    piece->groups_max = partial_many_groups_max(false, piece->rows);
    portions->list[portions->count++] = *piece;
    *piece = (struct portion){0};
}

/* Rows of one chunk. */
static void add_rows_of_chunk(struct portions *portions, const struct table_view *view,
                              size_t morsel, uint64_t row_count, bool is_full)
{
    for (uint64_t begin = 0; begin < row_count; begin += PIECE_ROWS) {
        uint64_t left = row_count - begin, rows = left < PIECE_ROWS ? left : PIECE_ROWS;
        struct portion piece = {.begin = morsel,
                                .end = morsel + 1,
                                .rows = rows,
                                .row_begin = begin,
                                .row_end = begin + rows,
                                .is_piece = true};
        piece.is_closed = is_full || rows == PIECE_ROWS || fault_is("partial.open_piece");
        add_piece(portions, view, &piece);
    }
}

/* A portion that rows still come to, so that most of it is kept. Which rows make a piece follows
 * from those before it: chunks of few rows are put together until they are enough, a larger one is
 * cut. */
static void list_pieces(struct portions *portions, const struct table_view *view,
                        const struct portion *portion)
{
    struct portion piece = {0};
    for (size_t morsel = portion->begin; morsel < portion->end; morsel++) {
        struct morsel_range range = table_view_morsel(view, morsel);
        uint64_t rows = range.end - range.begin;
        bool is_full = table_view_morsel_home(view, morsel).segment != 0;
        bool is_cut = rows > PIECE_ROWS;
        if (piece.rows != 0 && (is_cut || piece.rows >= PIECE_ROWS))
            add_piece(portions, view, &piece);
        if (is_cut) {
            add_rows_of_chunk(portions, view, morsel, rows, is_full);
            continue;
        }
        if (piece.rows == 0)
            piece = (struct portion){.begin = morsel, .is_closed = true, .is_piece = true};
        piece.end = morsel + 1;
        piece.rows += rows;
        piece.is_closed = piece.is_closed && is_full;
    }
    if (piece.rows != 0)
        add_piece(portions, view, &piece);
}

/* Do all rows of a morsel meet the bounds of time? Of a sealed one, where it matters, that is asked
 * of its own times: an answer must not depend on which footers have been read before. */
static enum err is_within(const struct portions *portions, const struct table_view *view,
                          size_t morsel, bool *is, struct error *error)
{
    int64_t min_us, max_us;
    enum err err = OK;
    for (int time = 0; time < 2; time++) {
        *is = table_view_morsel_times(view, morsel, &min_us, &max_us) &&
              partial_key_is_met(&portions->key, min_us, max_us);
        if (*is || err != OK || time == 1)
            break;
        err = table_view_know_times(view, morsel, error);
    }
    return err;
}

/* A portion of two blocks, one of which lies within the bounds: that one is kept. */
static enum err cut_portion(struct portions *portions, const struct exec_node *scan,
                            const struct portion *portion, bool *is_cut, struct error *error)
{
    const struct table_view *view = exec_scan_view(scan);
    bool are_within[PORTION_MORSELS];
    enum err err = OK;
    *is_cut = false;
    if (!portions->is_known || portions->key.bound_count == 0 || portions->rollup != NULL ||
        portions->is_many || !portion->home.is_sealed ||
        portion->end - portion->begin != PORTION_MORSELS)
        return OK;
    for (size_t i = 0; err == OK && i < PORTION_MORSELS; i++)
        err = is_within(portions, view, portion->begin + i, &are_within[i], error);
    if (err != OK || are_within[0] == are_within[1])
        return err;
    *is_cut = true;
    for (size_t morsel = portion->begin; morsel < portion->end; morsel++) {
        struct morsel_range range = table_view_morsel(view, morsel);
        struct portion half = *portion; /* as many groups are fine */
        half.begin = morsel;
        half.end = morsel + 1;
        half.rows = range.end - range.begin;
        half.home = table_view_morsel_home(view, morsel);
        half.is_half = true;
        if (!can_skip(scan, &half))
            portions->list[portions->count++] = half;
    }
    return OK;
}

/* How many there may be. */
static size_t count_max(const struct table_view *view, size_t morsel_count)
{
    struct morsel_range last = table_view_morsel(view, morsel_count - 1);
    return morsel_count + (size_t)((last.end - last.begin + CHUNKS_ROWS_MIN) / PIECE_ROWS + 1);
}

/* All that may hold rows of the scan. */
static enum err list_portions(struct exec_node *node, struct portions *portions,
                              struct error *error)
{
    const struct exec_node *scan = partial_scan(node);
    const struct table_view *view = exec_scan_view(scan);
    size_t morsel_count = portions->morsel_count;
    portions->list = arena_alloc_array(&node->exec->arena, count_max(view, morsel_count),
                                       sizeof(*portions->list));
    for (size_t morsel = 0; morsel < morsel_count;) {
        struct morsel_home home = table_view_morsel_home(view, morsel);
        struct portion portion = {.begin = morsel, .home = home, .is_closed = true};
        do {
            struct morsel_range range = table_view_morsel(view, morsel);
            portion.rows += range.end - range.begin;
            portion.is_closed = portion.is_closed && home.segment != 0;
            morsel++;
            if (morsel < morsel_count)
                home = table_view_morsel_home(view, morsel);
        } while (morsel < morsel_count && !begins_portion(&portion, home));
        portion.end = morsel;
        portion.groups_max = partial_many_groups_max(portions->is_many, portion.rows);
        bool is_cut;
        if (can_skip(scan, &portion))
            continue;
        enum err err = cut_portion(portions, scan, &portion, &is_cut, error);
        if (err != OK)
            return err;
        if (!portion.is_closed && !portions->is_many)
            list_pieces(portions, view, &portion);
        else if (!is_cut)
            portions->list[portions->count++] = portion;
    }
    return OK;
}

static void open_key(struct exec_node *node, struct portions *portions)
{
    struct partial_cache *cache = node->exec->partials;
    portions->is_known = partial_key_make(node, &portions->key);
    if (portions->is_known && cache != NULL) {
        portions->cache = cache;
        portions->plan = partial_plan_hold(cache, writer_as_slice(&portions->key.bytes));
    }
    if (portions->cache != NULL)
        portions->is_many = partial_many_is_on(node, cache, portions->plan);
    writer_deinit(&portions->key.bytes);
}

enum err portions_open(struct exec_node *node, struct error *error)
{
    struct group *group = node->state;
    if (node->exec->is_fork || !partial_is_for(node->plan))
        return OK;
    const struct table_view *view = exec_scan_view(partial_scan(node));
    if (table_view_rows(view) < PORTIONS_ROWS_MIN)
        return OK;
    group->portions = arena_alloc_zero(&node->exec->arena, sizeof(*group->portions));
    group->portions->morsel_count = table_view_morsel_count(view);
    open_key(node, group->portions);
    group->portions->rollup = rollup_match(node->exec, node->plan);
    if (group->portions->rollup != NULL) {
        rollup_use_open(group->portions->rollup);
        group->portions->is_many = false; /* the rollup is what is put together */
    }
    return list_portions(node, group->portions, error);
}

void portions_close(struct exec_node *node, struct portions *portions)
{
    if (portions == NULL)
        return;
    partial_crew_end(portions->crew);
    for (size_t i = 0; portions->found != NULL && i < portions->count; i++) {
        partial_unref(portions->found[i]);
        partial_unref(portions->parts[i]);
    }
    for (size_t i = 0; i < portions->held_count; i++)
        partial_unref(portions->held[i]);
    budget_release(node->exec->budget, portions->held_charged);
    rollup_use_close(portions->rollup);
    if (portions->plan != NULL)
        partial_plan_drop(portions->cache, portions->plan);
}

/* May what is made of the portion be kept: closed, and all of it within the bounds of time? */
static bool is_kept(const struct exec_node *node, const struct portion *portion)
{
    const struct portions *portions = ((const struct group *)node->state)->portions;
    const struct table_view *view = exec_scan_view(partial_scan(node));
    if (portions->cache == NULL || !portion->is_closed)
        return false;
    bool is = true;
    for (size_t morsel = portion->begin;
         is && portions->key.bound_count != 0 && morsel < portion->end; morsel++) {
        int64_t min_us, max_us;
        is = table_view_morsel_times(view, morsel, &min_us, &max_us) &&
             partial_key_is_met(&portions->key, min_us, max_us);
    }
    return is;
}

static struct partial_place place_of(const struct portions *portions, const struct portion *portion)
{
    uint64_t segment = portion->home.segment;
    if (fault_is("partial.stale_after_truncate"))
        segment = (uint64_t)(portion - portions->list);
    if (portion->is_piece)
        return (struct partial_place){.segment = segment,
                                      .index = portion->home.index << PIECE_BITS |
                                               (uint32_t)(portion->row_begin / PIECE_ROWS),
                                      .kind = PARTIAL_PIECE};
    bool is_half = portion->is_half && !fault_is("partial.half_as_whole");
    enum partial_kind sealed = is_half ? PARTIAL_HALF : PARTIAL_SEALED;
    return (struct partial_place){.segment = segment,
                                  .index = portion->home.index,
                                  .kind = portion->home.is_sealed ? sealed : PARTIAL_MUTABLE};
}

/* Whether there is room for one more portion's groups, and rows could still be put aside. */
static bool has_room(const struct exec_node *node)
{
    const struct group *group = node->state;
    return !group->can_spill ||
           partial_tier_size(group, &group->tiers[0]) <= node->exec->budget->limit / MEMORY_SHARE;
}

/* The first portions in a row that may be kept: what was put together of them. */
static void find_run(struct exec_node *node, struct portions *portions)
{
    size_t begin = 0, count = 0;
    while (begin < portions->count && !is_kept(node, &portions->list[begin]))
        begin++;
    struct partial_place *places =
        arena_alloc_array(&node->exec->arena, portions->count + 1, sizeof(*places));
    for (; begin + count < portions->count && is_kept(node, &portions->list[begin + count]);
         count++)
        places[count] = place_of(portions, &portions->list[begin + count]);
    struct partial *run = partial_many_find(portions->cache, portions->plan, places, count);
    portions->run_begin = portions->run_end = begin;
    if (run == NULL)
        return;
    portions->run_end = begin + run->place_count;
    portions->found[begin] = run;
}

/* What is not in a run must be kept portion by portion until it is. Where the cache has no room for
 * that each query would make all of it, and for nothing. */
static bool fits_cache(const struct portions *portions)
{
    struct partial_cache_status status;
    uint64_t rows = 0;
    for (size_t i = 0; i < portions->count; i++)
        rows += i >= portions->run_begin && i < portions->run_end ? 0 : portions->list[i].rows;
    partial_cache_status(portions->cache, &status);
    return rows <= status.limit / MANY_BYTES_PER_ROW;
}

static void leave_many(struct portions *portions)
{
    if (portions->run_end > portions->run_begin) {
        partial_unref(portions->found[portions->run_begin]);
        portions->found[portions->run_begin] = NULL;
    }
    portions->run_begin = portions->run_end = 0;
    portions->is_many = false;
    for (size_t i = 0; i < portions->count; i++)
        portions->list[i].groups_max = partial_many_groups_max(false, portions->list[i].rows);
}

/* What the rollup has of a portion, and that it had it. */
static struct partial *find_part(struct exec_node *node, const struct portion *portion)
{
    const struct portions *portions = ((struct group *)node->state)->portions;
    struct plan_actual *actual = &node->exec->actual[node->plan->id];
    if (portions->rollup == NULL)
        return NULL;
    struct partial *part =
        rollup_find(portions->rollup, exec_scan_view(partial_scan(node)), portion);
    actual->rollup = rollup_shown_name(node->exec, portions->rollup->rollup);
    if (part == NULL)
        return NULL;
    actual->rollup_portions++;
    actual->rollup_rows += portion->rows;
    actual->rollup_segments += portion->home.segment != actual->rollup_last;
    actual->rollup_last = portion->home.segment;
    return part;
}

/* Looks for all of them first: how much is to be read says how many threads that is worth. */
static uint64_t find_portions(struct exec_node *node)
{
    struct portions *portions = ((struct group *)node->state)->portions;
    struct plan_actual *actual = &node->exec->actual[node->plan->id];
    uint64_t rows = 0;
    portions->found =
        arena_alloc_zero(&node->exec->arena, (portions->count + 1) * sizeof(struct partial *));
    portions->parts =
        arena_alloc_zero(&node->exec->arena, (portions->count + 1) * sizeof(struct partial *));
    portions->held =
        arena_alloc_zero(&node->exec->arena, (portions->count + 1) * sizeof(struct partial *));
    if (portions->is_many) {
        find_run(node, portions);
        if (!fits_cache(portions))
            leave_many(portions);
    }
    for (size_t i = 0; i < portions->count; i++) {
        const struct portion *portion = &portions->list[i];
        portions->parts[i] = find_part(node, portion);
        if (portions->parts[i] != NULL)
            continue;
        bool is_of_run = i >= portions->run_begin && i < portions->run_end;
        if (!is_of_run && is_kept(node, portion))
            portions->found[i] =
                partial_cache_find(portions->cache, portions->plan, place_of(portions, portion));
        actual->partials_found += is_of_run || portions->found[i] != NULL;
        rows += is_of_run || portions->found[i] != NULL ? 0 : portion->rows;
    }
    return rows;
}

/* What is behind the run becomes part of it, once that pays. */
static enum err grow_run(struct exec_node *node, struct portions *portions, struct error *error)
{
    size_t begin = portions->run_begin, first = portions->run_end, count = 0;
    struct partial *run = first > begin ? portions->found[begin] : NULL, *grown = NULL;
    while (first + count < portions->count && portions->found[first + count] != NULL)
        count++;
    struct partial_place *places =
        arena_alloc_array(&node->exec->arena, count + 1, sizeof(*places));
    for (size_t i = 0; i < count; i++)
        places[i] = place_of(portions, &portions->list[first + i]);
    enum err err = partial_many_merge(node, portions->cache, portions->plan, run,
                                      &portions->found[first], places, count, &grown, error);
    if (err != OK || grown == NULL)
        return err;
    partial_unref(run);
    for (size_t i = first; i < first + count; i++) {
        partial_unref(portions->found[i]);
        portions->found[i] = NULL;
    }
    portions->run_end = first + count;
    portions->found[begin] = grown;
    return OK;
}

static void start_crew(struct exec_node *node)
{
    struct portions *portions = ((struct group *)node->state)->portions;
    portions->crew = partial_crew_create(node, portions->list, portions->count);
    for (size_t i = 0; portions->crew != NULL && i < portions->count; i++)
        if (portions->found[i] != NULL || portions->parts[i] != NULL ||
            (i >= portions->run_begin && i < portions->run_end))
            partial_crew_found(portions->crew, i);
}

/* Of queries that come at the same time and ask the same, as after a segment was sealed, one makes
 * a portion. The others give their permits away meanwhile, but make it themselves if that takes
 * long.
 */
static enum err claim(struct exec_node *node, const struct portion *portion, bool *is_mine,
                      struct partial **out, struct error *error)
{
    struct portions *portions = ((struct group *)node->state)->portions;
    int64_t end_us = clock_monotonic_us() + CLAIM_WAIT_US;
    enum err err = OK;
    for (;;) {
        enum partial_claim got =
            partial_cache_claim(portions->cache, portions->plan, place_of(portions, portion), out);
        *is_mine = got == PARTIAL_MINE;
        if (got != PARTIAL_BUSY || !worker_is_job() || clock_monotonic_us() >= end_us)
            return OK;
        worker_block_begin();
        partial_cache_wait(portions->cache, CLAIM_PIECE_US);
        worker_block_end();
        err = exec_check(node->exec, error);
        if (err != OK)
            return err;
    }
}

/* From the cache, or made of the rows; *out NULL: its groups are too many. */
static enum err find_or_compute(struct exec_node *node, size_t index, struct partial **out,
                                struct error *error)
{
    struct portions *portions = ((struct group *)node->state)->portions;
    const struct portion *portion = &portions->list[index];
    *out = portions->found[index];
    portions->found[index] = NULL;
    if (*out != NULL)
        return OK;
    bool is_to_keep = is_kept(node, portion), is_mine = false;
    enum err err = is_to_keep ? claim(node, portion, &is_mine, out, error) : OK;
    if (is_mine && portions->is_allowed)
        worker_allow(ALLOWED_US);
    if (err != OK || *out != NULL)
        return err;
    err = portions->crew != NULL ? partial_crew_get(portions->crew, node, index, out, error)
                                 : partial_compute(node, portion, out, error);
    if (err == OK && *out != NULL) {
        node->exec->actual[node->plan->id].partials_made++;
        if (is_to_keep)
            partial_cache_add(portions->cache, portions->plan, place_of(portions, portion), *out);
    }
    if (is_mine)
        partial_cache_give_up(portions->cache, portions->plan, place_of(portions, portion));
    return err;
}

/* Is it for this query alone? Then a partial result in between would be for nothing, where the
 * answer is the same without: of few rows, and by this thread. */
static bool is_direct(const struct exec_node *node, size_t index)
{
    const struct portions *portions = ((const struct group *)node->state)->portions;
    return portions->is_direct && portions->crew == NULL && portions->found[index] == NULL &&
           !is_kept(node, &portions->list[index]);
}

/* Whether groups' texts stay where they are in this one. What the cache had was there at the same
 * time, so all of it together is within the cache's limit. What was made since may be in nobody's
 * hands but ours: of a large table the cache keeps the last of it, or none. */
static bool may_hold(struct exec_node *node, const struct partial *partial, bool was_found)
{
    struct portions *portions = ((struct group *)node->state)->portions;
    struct budget *budget = node->exec->budget;
    if (was_found)
        return true;
    if (portions->held_charged + partial->size > budget->limit / MEMORY_SHARE ||
        budget_charge(budget, partial->size, NULL) != OK)
        return false;
    portions->held_charged += partial->size;
    return true;
}

static enum err add_portion(struct exec_node *node, size_t index, bool *is_done,
                            struct error *error)
{
    struct portions *portions = ((struct group *)node->state)->portions;
    struct partial *partial = NULL, *part = portions->parts[index];
    *is_done = true;
    if (part != NULL)
        return rollup_combine(node, portions->rollup, part, error);
    if (is_direct(node, index))
        return partial_add_rows(node, &portions->list[index], error);
    bool was_found = portions->found[index] != NULL;
    enum err err = find_or_compute(node, index, &partial, error);
    *is_done = err == OK && partial != NULL;
    bool is_held =
        *is_done && is_kept(node, &portions->list[index]) && may_hold(node, partial, was_found);
    if (*is_done)
        err = partial_combine(node, partial, is_held, error);
    if (is_held)
        portions->held[portions->held_count++] = partial;
    else
        partial_unref(partial);
    return err;
}

/* The rest begins within a chunk: what is left of it, the last one there is, row by row. */
static enum err add_last_rows(struct exec_node *node, size_t *next, struct error *error)
{
    const struct portions *portions = ((const struct group *)node->state)->portions;
    enum err err = OK;
    for (; err == OK && *next < portions->count; ++*next)
        err = partial_add_rows(node, &portions->list[*next], error);
    return err;
}

enum err portions_read(struct exec_node *node, size_t *rest, struct error *error)
{
    struct group *group = node->state;
    struct portions *portions = group->portions;
    size_t next = 0;
    bool is_done = true;
    enum err err = OK;
    uint64_t rows = find_portions(node);
    portions->is_allowed = rows <= ALLOWED_ROWS;
    portions->is_direct = node->plan->group.key_count != 0 && portions->rollup == NULL &&
                          rows < SHARED_ROWS_MIN && partial_is_exact(node->plan);
    if (portions->is_many)
        err = grow_run(node, portions, error);
    /* Groups of which rows are put aside already are not added to in any other way. */
    while (err == OK && next < portions->count && group->tiers[0].parts == NULL && has_room(node)) {
        size_t at = next;
        if (portions->cache != NULL && fault_is("partial.combine_order"))
            at = portions->count - 1 - next;
        bool is_read = portions->found[at] == NULL && portions->parts[at] == NULL;
        err = is_read ? OK : exec_check(node->exec, error);
        if (err == OK)
            err = add_portion(node, at, &is_done, error);
        if (err == OK && !is_done && portions->cache != NULL && portions->rollup == NULL &&
            !portions->list[at].is_piece)
            partial_many_given_up(node, portions->cache, portions->plan, &portions->list[at],
                                  portions->is_many);
        if (err != OK || !is_done)
            break;
        bool is_run = at == portions->run_begin && portions->run_end > at;
        next = is_run && !fault_is("partial.run_twice") ? portions->run_end : next + 1;
        /* The first one read said that it pays. */
        if (is_read && portions->is_known && rows >= SHARED_ROWS_MIN) {
            rows = 0;
            start_crew(node);
        }
    }
    partial_crew_end(portions->crew);
    portions->crew = NULL;
    if (err == OK && next < portions->count && portions->list[next].row_begin != 0)
        err = add_last_rows(node, &next, error);
    *rest = next < portions->count ? portions->list[next].begin : portions->morsel_count;
    partial_range(node, *rest, portions->morsel_count);
    return err;
}
