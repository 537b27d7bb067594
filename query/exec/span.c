/* Rows grouped by several threads where portions are not made: for many groups, for what DISTINCT
 * has to have seen, for lists of values.
 *
 *   morsels    0 ────────────────────────────── n
 *              └ query's thread ─▶ ├ helper ─▶ ┤        each into a tier of its own
 *                       first tier ◀── added ──┘        once the query's thread has come there
 *
 * A span is a run of morsels that one thread reads in order. A helper (crew.c) that has nothing to
 * do takes the second half of the largest span there is, or what another helper left when it went.
 * When the query's thread has read its own span it waits for the one behind it (which ends at the
 * morsel it is at), adds that one's groups to its own and goes on with what is left of it, of which
 * helpers take the half again.
 *
 * Spans are added in order of their rows, groups in order of first sight, and only aggregates take
 * part whose states are the same in whatever pieces rows are added up (span_merge.c). So the groups
 * and all of their values are those of one thread, in its order, wherever spans were cut.
 *
 * Groups that many threads meet are paid for by each of them, so helpers come once it is seen that
 * there are few to the rows. What helpers do is never needed: where one fails or memory gets short
 * its span is forgotten and read by the query's thread, which meets the error itself, or has the
 * memory. Rows are put aside only after all helpers have left. */
#include "query/exec/span.h"

#include "query/exec/partial.h"
#include "query/exec/tally.h"
#include "storage/base/fault.h"

#include <assert.h>

/* Rows that more threads are worth it for. */
#define SPANS_ROWS_MIN ((uint64_t)200 << 10)
/* Morsels left of a span of which a helper takes the half: its groups have to be added after. */
#define UNREAD_MIN 8
/* What is to be added of a helper's span, a row of it, at most: it costs some rows each. */
#define ROWS_PER_GROUP 16
#define GROUPS_FREE 1024

struct span {
    struct span *next; /* of the rows behind this one's */
    size_t begin, at;  /* morsels: the first, the one that is read now or next */
    size_t end;        /* where its thread stops */
    size_t limit;      /* where the next span begins; up to there nobody has what is behind `end` */
    enum { SPAN_READ, SPAN_DONE, SPAN_FAILED } state;
    bool is_cut;            /* what it does not read is for the query's thread */
    struct exec_node *node; /* who reads it */
    struct group_tier *tier;
    struct partial_counted counted; /* of its rows, which count once they are added */
};

struct spans {
    struct exec_node *node;
    struct crew *crew;
    size_t morsel_count;
    size_t *morsels;                /* that may hold rows, in order */
    struct span *first;             /* of the query's thread */
    struct span_results *results;   /* NULL: rows are read, or there is nothing to share */
    uint64_t rows;                  /* of all morsels */
    size_t own_count;               /* morsels that the query's thread has read */
    uint64_t weight, weight_before; /* what it has to add, by then and one morsel earlier */
    bool is_alone;                  /* no more spans are begun */
    bool is_left;                   /* there is nobody else any more */
    size_t unchecked;               /* rows since the last look at the clock */
};

/* Lists the morsels from `first` on that may hold rows. */
static void list_morsels(struct spans *spans, size_t first)
{
    const struct exec_node *scan = partial_scan(spans->node);
    const struct table_view *view = exec_scan_view(scan);
    size_t end = table_view_morsel_count(view);
    spans->morsels =
        arena_alloc_array(&spans->node->exec->arena, end - first + 1, sizeof(*spans->morsels));
    for (size_t morsel = first; morsel < end; morsel++) {
        struct morsel_range range = table_view_morsel(view, morsel);
        if (exec_scan_can_skip(scan, morsel))
            continue;
        spans->rows += range.end - range.begin;
        spans->morsels[spans->morsel_count++] = morsel;
    }
}

/* --- helpers; with the crew locked --- */

/* Morsels that a helper could take. */
static size_t unread(const struct spans *spans, const struct span *span)
{
    if (span == spans->first || span->state == SPAN_READ) {
        size_t left = span->end > span->at ? span->end - span->at - 1 : 0;
        return left < UNREAD_MIN ? 0 : left / 2;
    }
    return span->state == SPAN_DONE && !span->is_cut ? span->limit - span->at : 0;
}

/* What a tier's groups are to whoever adds them to others; bits of integers seen are nothing. */
static uint64_t weight_of(const struct group *group, const struct group_tier *tier)
{
    uint64_t weight = tier->keys.count;
    for (size_t a = 0; a < group->call_count; a++) {
        const struct distinct *distinct = &tier->own[a].distinct;
        if (!group->calls[a].call->is_distinct || distinct->has_direct)
            continue;
        weight += distinct->values.count + distinct->pair_count;
        weight += distinct->is_deferred ? UINT32_MAX : 0; /* texts that are told apart at the end */
    }
    return weight;
}

/* Is it worth it to group so many morsels apart? They have about as many groups as the query's
 * thread has met in as many; of 50,000 pages it has met most early, of a million users it has not.
 */
static bool pays(const struct spans *spans, size_t count)
{
    if (spans->own_count == 0 || count == 0)
        return false;
    uint64_t ahead = count > spans->own_count ? count - spans->own_count : 0;
    uint64_t more = spans->weight > spans->weight_before ? spans->weight - spans->weight_before : 0;
    uint64_t groups = spans->weight + more * ahead;
    return groups <= GROUPS_FREE ||
           groups <= spans->rows / spans->morsel_count * count / ROWS_PER_GROUP;
}

static struct span *find_largest(const struct spans *spans)
{
    struct span *largest = NULL;
    for (struct span *span = spans->first; !spans->is_alone && span != NULL; span = span->next)
        if (unread(spans, span) > (largest == NULL ? 0 : unread(spans, largest)))
            largest = span;
    return largest != NULL && pays(spans, unread(spans, largest)) ? largest : NULL;
}

/* The tier for a helper's next span; NULL: it has had as many as there are. */
static struct group_tier *begin_tier(struct exec_node *node)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    struct error ignored;
    if (tier->is_portion && group->tier_count == SPILL_DEPTH_MAX)
        return NULL;
    if (tier->is_portion) {
        tier = &group->tiers[group->tier_count++];
        *tier = (struct group_tier){0};
        tally_reset(group);
        group_tier_open(node, tier);
        if (node->plan->group.key_count == 0 && group_grow_only(node, tier, &ignored) != OK) {
            group_drop_tier(node);
            return NULL;
        }
    }
    tier->is_portion = true;
    group->digest_tier = tier;
    return tier;
}

static struct span *begin_span(struct spans *spans, struct exec_node *node)
{
    struct span *from = find_largest(spans), *span;
    struct group_tier *tier = from == NULL ? NULL : begin_tier(node);
    if (tier == NULL)
        return NULL;
    span = memory_alloc_zero(sizeof(*span));
    span->end = span->limit = from->limit;
    span->begin = span->at = from->limit - unread(spans, from);
    span->state = SPAN_READ;
    span->node = node;
    span->tier = tier;
    span->next = from->next;
    from->next = span;
    from->limit = span->begin;
    from->end = from->end < from->limit ? from->end : from->limit;
    return span;
}

static struct span *own_span(const struct spans *spans, const struct exec_node *node)
{
    struct span *span = spans->first->next;
    while (span != NULL && (span->node != node || span->state != SPAN_READ))
        span = span->next;
    return span;
}

/* The rows of a morsel into the last tier. Not locked. *is_whole false: they are not all there. */
static enum err read_morsel(struct exec_node *node, size_t morsel, bool *is_whole,
                            struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[group->tier_count - 1];
    *is_whole = false;
    partial_range(node, morsel, morsel + 1);
    for (;;) {
        struct batch in;
        if (atomic_load_explicit(group->is_unwanted, memory_order_relaxed) ||
            fault_is("span.no_memory") ||
            span_is_short(node, group_need(group, tier, VECTOR_ROWS_MAX)))
            return OK;
        enum err err = exec_next(node->children[0], &in, error);
        if (err == OK && in.row_count == 0) {
            err = tally_flush(node, tier, error);
            *is_whole = err == OK;
            return err;
        }
        node->exec->actual[node->plan->id].rows_in += in.row_count;
        if (err == OK)
            err = group_add_batch(node, &in, error);
        if (err != OK)
            return err;
    }
}

/* A helper's next morsel. */
static bool read_next(void *context, struct exec_node *node)
{
    struct spans *spans = context;
    struct span *span = own_span(spans, node);
    struct error ignored; /* the query's thread meets it */
    bool is_whole;
    if (spans->results != NULL)
        return span_results_next(spans->results, spans->crew, node);
    if (span == NULL)
        span = begin_span(spans, node);
    if (span == NULL)
        return false;
    size_t morsel = spans->morsels[span->at];
    struct partial_counted since = partial_counted(node);
    crew_unlock(spans->crew);
    enum err err = read_morsel(node, morsel, &is_whole, &ignored);
    partial_count_take(node, &since, &span->counted);
    crew_lock(spans->crew);
    span->at++;
    if (err != OK || !is_whole) {
        span->state = SPAN_FAILED;
        spans->is_alone = true;
    } else if (span->at >= span->end) {
        span->state = SPAN_DONE;
    }
    crew_tell(spans->crew);
    return !spans->is_alone;
}

static void leave(void *context, struct exec_node *node)
{
    struct span *span = own_span(context, node);
    if (span != NULL)
        span->state = SPAN_DONE;
}

/* --- the query's thread --- */

/* There is one thread from here on; nobody has the crew locked. */
static void go_alone(struct spans *spans)
{
    crew_close(spans->crew);
    while (spans->first->next != NULL) {
        struct span *span = spans->first->next;
        spans->first->next = span->next;
        group_tier_free(span->node, span->tier);
        memory_free(span);
    }
    spans->first->end = spans->first->limit = spans->morsel_count;
    spans->is_alone = spans->is_left = true;
}

static enum err add_batch(struct spans *spans, const struct batch *in, struct error *error)
{
    struct exec_node *node = spans->node;
    struct group *group = node->state;
    if (!spans->is_left &&
        (fault_is("span.leave") ||
         span_is_short(node, group_need(group, &group->tiers[0], in->row_count))))
        go_alone(spans);
    node->exec->actual[node->plan->id].rows_in += in->row_count;
    spans->unchecked += in->row_count;
    enum err err = group_add_batch(node, in, error);
    if (err == OK && spans->unchecked >= EXEC_CHECK_ROWS) {
        spans->unchecked = 0;
        err = exec_check(node->exec, error);
    }
    return err;
}

static enum err read_own_morsel(struct spans *spans, size_t morsel, struct error *error)
{
    partial_range(spans->node, morsel, morsel + 1);
    for (;;) {
        struct batch in;
        enum err err = exec_next(spans->node->children[0], &in, error);
        if (err == OK && in.row_count != 0)
            err = add_batch(spans, &in, error);
        if (err != OK || in.row_count == 0)
            return err;
    }
}

/* Its own span, to the end. */
static enum err read_own(struct spans *spans, struct error *error)
{
    const struct group *group = spans->node->state;
    struct span *first = spans->first;
    enum err err = OK;
    crew_lock(spans->crew);
    while (err == OK && first->at < first->end) {
        if (find_largest(spans) != NULL)
            crew_call(spans->crew);
        crew_unlock(spans->crew);
        err = read_own_morsel(spans, spans->morsels[first->at], error);
        crew_lock(spans->crew);
        first->at++;
        spans->own_count++;
        spans->weight_before = spans->weight;
        spans->weight = weight_of(group, &group->tiers[0]);
    }
    crew_unlock(spans->crew);
    return err;
}

/* What a span has, that nobody reads any more; *is_done false: it is to be read again. */
static enum err take(struct spans *spans, struct span *span, bool *is_done, struct error *error)
{
    struct exec_node *node = spans->node;
    enum err err = OK;
    *is_done = false;
    if (span->state == SPAN_DONE)
        err = span_merge(node, span->node, span->tier, is_done, error);
    if (!*is_done)
        group_tier_free(span->node, span->tier);
    else
        partial_count_add(node, &span->counted);
    return err;
}

/* The span behind its own becomes part of it. */
static enum err take_next(struct spans *spans, struct error *error)
{
    struct span *first = spans->first, *span = first->next;
    enum err err = OK;
    bool is_done;
    crew_lock(spans->crew);
    if (span->state == SPAN_READ && span->end > span->at + UNREAD_MIN) {
        span->end = span->at + 1;
        span->is_cut = true;
    }
    while (err == OK && span->state == SPAN_READ)
        err = crew_wait(spans->crew, spans->node->exec, error);
    span->is_cut = true;
    crew_unlock(spans->crew);
    if (err == OK)
        err = take(spans, span, &is_done, error);
    if (err != OK)
        return err;
    crew_lock(spans->crew);
    first->at = is_done && !fault_is("span.rows_twice") ? span->at : span->begin;
    first->end = first->limit = span->limit;
    first->next = span->next;
    spans->weight = spans->weight_before =
        weight_of(spans->node->state, &((struct group *)spans->node->state)->tiers[0]);
    crew_unlock(spans->crew);
    memory_free(span);
    return OK;
}

/* Groups' results, where they take long. */
static enum err finish(struct spans *spans, struct error *error)
{
    struct exec_node *node = spans->node;
    struct span_results *results = spans->is_left ? NULL : span_results_open(node);
    enum err err = OK;
    if (results == NULL)
        return OK;
    crew_lock(spans->crew);
    spans->results = results;
    while (err == OK && !span_results_are_there(results)) {
        crew_call(spans->crew);
        if (!span_results_next(results, spans->crew, node)) {
            err = crew_wait(spans->crew, node->exec, error);
            continue;
        }
        crew_unlock(spans->crew);
        err = exec_check(node->exec, error);
        crew_lock(spans->crew);
    }
    crew_unlock(spans->crew);
    return err;
}

const struct value *spans_find_result(const struct spans *spans, size_t call, size_t number)
{
    return spans == NULL ? NULL : span_results_find(spans->results, call, number);
}

enum err spans_read(struct exec_node *node, size_t first, bool *is_done, struct error *error)
{
    struct group *group = node->state;
    enum err err = OK;
    *is_done = false;
    if (node->exec->is_fork || node->exec->workers == NULL || group->tiers[0].parts != NULL ||
        !span_is_for(node->plan))
        return OK;
    struct spans *spans = arena_alloc_zero(&node->exec->arena, sizeof(*spans));
    spans->node = node;
    list_morsels(spans, first);
    if (spans->rows < SPANS_ROWS_MIN)
        return OK;
    spans->crew =
        crew_create(node, (struct crew_work){.run = read_next, .leave = leave, .context = spans});
    if (spans->crew == NULL)
        return OK;
    group->spans = spans;
    *is_done = true;
    spans->first = memory_alloc_zero(sizeof(*spans->first));
    spans->first->end = spans->first->limit = spans->morsel_count;
    spans->own_count = group->sampled;
    if (spans->own_count != 0) {
        spans->weight = weight_of(group, &group->tiers[0]);
        spans->weight_before = spans->weight - spans->weight / spans->own_count;
    }
    err = read_own(spans, error);
    while (err == OK && spans->first->next != NULL) {
        err = take_next(spans, error);
        if (err == OK)
            err = read_own(spans, error);
    }
    if (err == OK)
        err = finish(spans, error);
    crew_close(spans->crew);
    return err;
}

void spans_close(struct spans *spans)
{
    if (spans == NULL)
        return;
    crew_close(spans->crew);
    while (spans->first != NULL) {
        struct span *span = spans->first;
        spans->first = span->next;
        memory_free(span);
    }
    crew_end(spans->crew);
    span_results_close(spans->results);
}
