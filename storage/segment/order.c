/* Rows by time: a natural merge sort.
 *
 * Where rows come by long pieces (bodies of one source that came in by turns) runs are merged all
 * at once, a piece at a time as far as it goes, and nobody needs an order of single rows
 * (time_runs).
 *
 * Where few rows are late (below the greatest time before them) those are taken out, sorted alone,
 * and put in again from the end: with one in twenty, half of what sorting all takes.
 *
 * Where more are late, since bodies of several senders overtake each other, rows are put into
 * buckets of equal spans of time, eight rows each on average, and those into order by insertion:
 * half of what comes next. Times that lie too unevenly for that are left to it.
 *
 * Else rows come nearly in order: a source's events follow each other, several sources interleave
 * within the time of a batch. So runs that are in order already are found first and merged
 * pairwise, where they are: only what overlaps of two neighbours moves, which is next to nothing
 * where rows are late by less than a run, and all of them, log2(runs) times, where they are in no
 * order at all. Runs shorter than RUN_MIN are made longer by insertion, which is what rows that are
 * out of order by a few places want. Keys are moved together with their rows: a comparison touches
 * no other memory. Stable. */
#include "storage/base/fault.h"
#include "storage/segment/collect.h"

#include <assert.h>
#include <stdlib.h>

#define RUN_ROWS 64  /* a piece has so many on average, or rows are not put in order by pieces */
#define LATE_SHARE 8 /* one row in so many may be late, for the short way */
#define RUN_MIN 32
#define BUCKET_ROWS 8      /* on average, at least */
#define BUCKET_ROWS_MAX 64 /* in one of them, or rows are sorted otherwise */
#define BUCKETS_MIN 32
#define PAUSE_ROWS 65536
#define RUN_PAUSE_ROWS 16384 /* sorted by insertion, at worst */

struct timed {
    int64_t time;
    uint32_t row;
};

bool pauser_go_on(struct pauser *pauser)
{
    if (!pauser->is_cancelled && pauser->pause != NULL && !pauser->pause(pauser->context))
        pauser->is_cancelled = true;
    return !pauser->is_cancelled;
}

static bool is_sorted(const int64_t *times, const uint8_t *validity, uint32_t row_count,
                      struct pauser *pauser)
{
    if (validity != NULL)
        return false; /* rare enough: event times are NOT NULL as a rule */
    for (uint32_t i = 1; i < row_count; i++) {
        if (times[i - 1] > times[i])
            return false;
        if (i % PAUSE_ROWS == 0)
            (void)pauser_go_on(pauser);
    }
    return true;
}

/* Sorts [begin, end) of which [begin, sorted) is in order. */
static void insert_rest(struct timed *rows, uint32_t begin, uint32_t sorted, uint32_t end)
{
    for (uint32_t i = sorted; i < end; i++) {
        struct timed row = rows[i];
        uint32_t at = i;
        for (; at > begin && rows[at - 1].time > row.time; at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

/* Ends of runs in order, each at least RUN_MIN long but the last. */
static uint32_t find_runs(struct timed *rows, uint32_t row_count, uint32_t *ends,
                          struct pauser *pauser)
{
    uint32_t count = 0, paused = 0;
    for (uint32_t begin = 0; begin < row_count;) {
        uint32_t end = begin + 1;
        while (end < row_count && rows[end - 1].time <= rows[end].time)
            end++;
        if (end - begin < RUN_MIN && end < row_count) {
            uint32_t wanted = row_count - begin < RUN_MIN ? row_count : begin + RUN_MIN;
            insert_rest(rows, begin, end, wanted);
            end = wanted;
        }
        ends[count++] = end;
        if (end - paused >= RUN_PAUSE_ROWS) {
            paused = end;
            (void)pauser_go_on(pauser);
        }
        begin = end;
    }
    return count;
}

/* The first of [begin, end) whose time is above `time`, or with `is_equal_in` not below it. */
static uint32_t find_above(const struct timed *rows, uint32_t begin, uint32_t end, int64_t time,
                           bool is_equal_in)
{
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (rows[middle].time < time || (rows[middle].time == time && !is_equal_in))
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* Two neighbouring runs become one: what overlaps of the left one steps aside. Which is first is
 * chosen without a branch: nobody could guess it. */
static void merge(struct timed *rows, uint32_t begin, uint32_t middle, uint32_t end,
                  struct timed *aside, struct pauser *pauser)
{
    if (rows[middle - 1].time <= rows[middle].time)
        return;
    begin = find_above(rows, begin, middle, rows[middle].time, false);
    end = find_above(rows, middle, end, rows[middle - 1].time, true);
    uint32_t left_count = middle - begin, left = 0, right = middle, at = begin;
    memcpy(aside, &rows[begin], left_count * sizeof(*rows));
    /* A sort that was given up ends here too, with the rows somehow. */
    while (left < left_count && right < end && !pauser->is_cancelled) {
        /* So many that neither side can run out. */
        uint32_t count = left_count - left < end - right ? left_count - left : end - right;
        count = count < PAUSE_ROWS ? count : PAUSE_ROWS;
        for (uint32_t i = 0; i < count; i++) {
            bool is_right = rows[right].time < aside[left].time;
            const struct timed *first = is_right ? &rows[right] : &aside[left];
            rows[at + i] = *first;
            right += is_right;
            left += !is_right;
        }
        at += count;
        if (count == PAUSE_ROWS)
            (void)pauser_go_on(pauser);
    }
    memcpy(&rows[at], &aside[left], (left_count - left) * sizeof(*rows));
}

/* Merges neighbours until one run is left. */
static void merge_runs(struct timed *rows, struct timed *aside, uint32_t *ends, uint32_t run_count,
                       struct pauser *pauser)
{
    while (run_count > 1) {
        uint32_t kept = 0, begin = 0, since_pause = 0;
        for (uint32_t run = 0; run < run_count; run += 2) {
            uint32_t end = ends[run];
            if (run + 1 < run_count) {
                end = ends[run + 1];
                merge(rows, begin, ends[run], end, aside, pauser);
            }
            since_pause += end - begin;
            if (since_pause >= PAUSE_ROWS) {
                since_pause = 0;
                if (!pauser_go_on(pauser))
                    return;
            }
            ends[kept++] = end;
            begin = end;
        }
        run_count = kept;
    }
}

/* Rows with a time to `rows`, the others to the end of `order`. */
static uint32_t take_times(const int64_t *times, const uint8_t *validity, uint32_t row_count,
                           struct pauser *pauser, struct timed *rows, uint32_t *order)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        rows[count] = (struct timed){.time = times[i], .row = i};
        count += validity == NULL || validity[i] != 0;
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
    for (uint32_t i = 0, at = count; i < row_count && at < row_count; i++) {
        if (validity[i] == 0)
            order[at++] = i;
    }
    return count;
}

/* Sorts rows that have a time, of which none is equal to another in both. */
static void sort_rows(struct timed *rows, uint32_t count, struct pauser *pauser, struct room *room)
{
    size_t mark = room_mark(room);
    struct timed *aside = room_take(room, ((size_t)count + 1) * sizeof(*aside));
    uint32_t *ends = room_take(room, ((size_t)count + 1) * sizeof(*ends));
    uint32_t run_count = find_runs(rows, count, ends, pauser);
    (void)pauser_go_on(pauser);
    merge_runs(rows, aside, ends, run_count, pauser);
    (void)pauser_go_on(pauser);
    room_give_back(room, mark);
}

/* --- few that are late --- */

/* Rows that are late to `late`, the others to the front of `order`. False: there are more than
 * late_max of them. */
static bool part_late(const int64_t *times, uint32_t row_count, struct pauser *pauser,
                      struct timed *late, uint32_t late_max, uint32_t *late_count, uint32_t *order)
{
    uint32_t count = 0, kept = 0;
    int64_t greatest = times[0];
    for (uint32_t begin = 0; begin < row_count;) {
        uint32_t end = row_count - begin < PAUSE_ROWS ? row_count : begin + PAUSE_ROWS;
        for (uint32_t i = begin; i < end && count < late_max; i++) { /* one more is written */
            bool is_late = times[i] < greatest;
            late[count] = (struct timed){.time = times[i], .row = i};
            order[kept] = i;
            count += is_late;
            kept += !is_late;
            greatest = is_late ? greatest : times[i];
        }
        (void)pauser_go_on(pauser);
        begin = end;
    }
    *late_count = count;
    return count < late_max;
}

/* From the end on, where there is room: what stands in front of all that is late stays. */
static void put_in(const int64_t *times, uint32_t row_count, struct pauser *pauser,
                   const struct timed *late, uint32_t late_count, uint32_t *order)
{
    uint32_t kept = row_count - late_count;
    for (uint32_t at = row_count; late_count > 0; at--) {
        struct timed last = late[late_count - 1];
        uint32_t row = kept == 0 ? 0 : order[kept - 1];
        /* Of one time, the row that is late came last: it would not be late else. */
        bool is_behind =
            times[row] > last.time || (times[row] == last.time && fault_is("order.late_first"));
        if (kept > 0 && is_behind) {
            order[at - 1] = row;
            kept--;
        } else {
            order[at - 1] = last.row;
            late_count--;
        }
        if (at % PAUSE_ROWS == 0)
            (void)pauser_go_on(pauser);
    }
}

/* False: they are not few. */
static bool order_few(const int64_t *times, uint32_t row_count, struct pauser *pauser,
                      struct room *room, uint32_t *order)
{
    uint32_t late_max = row_count / LATE_SHARE + 1, late_count;
    size_t mark = room_mark(room);
    struct timed *late = room_take(room, ((size_t)late_max + 1) * sizeof(*late));
    bool is_few = part_late(times, row_count, pauser, late, late_max, &late_count, order);
    if (is_few) {
        sort_rows(late, late_count, pauser, room);
        put_in(times, row_count, pauser, late, late_count, order);
    }
    room_give_back(room, mark);
    return is_few;
}

/* --- buckets of time --- */

struct buckets {
    uint64_t base; /* the least time */
    uint32_t shift, count;
    uint32_t *ends; /* of each: where its next row goes */
};

static uint32_t bucket_of(const struct buckets *buckets, int64_t time)
{
    return (uint32_t)(((uint64_t)time - buckets->base) >> buckets->shift);
}

/* Counts rows, and makes places of that. False: there are too many in one. */
static bool count_rows(struct buckets *buckets, const int64_t *times, uint32_t row_count,
                       struct pauser *pauser)
{
    const struct buckets b = *buckets;
    uint32_t most = 0, sum = 0;
    memset(b.ends, 0, b.count * sizeof(*b.ends));
    for (uint32_t i = 0; i < row_count; i++) {
        b.ends[bucket_of(&b, times[i])]++;
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
    for (uint32_t i = 0; i < b.count; i++) {
        uint32_t count = b.ends[i];
        most = count > most ? count : most;
        b.ends[i] = sum; /* where its first row goes; then behind the last one there */
        sum += count;
    }
    return most <= BUCKET_ROWS_MAX;
}

/* Buckets follow each other, so no row goes further down than to the begin of its own. */
static void insert_all(struct timed *rows, uint32_t row_count, struct pauser *pauser,
                       uint32_t *order)
{
    bool is_wrong = fault_is("order.last_first");
    for (uint32_t i = 0; i < row_count; i++) {
        struct timed row = rows[i];
        uint32_t at = i;
        for (; at > 0 &&
               (rows[at - 1].time > row.time || (is_wrong && rows[at - 1].time == row.time));
             at--)
            rows[at] = rows[at - 1];
        rows[at] = row;
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
    for (uint32_t i = 0; i < row_count; i++) {
        order[i] = rows[i].row;
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
}

/* Buckets for these times; false: there are too few rows for it. */
static bool span_buckets(struct buckets *buckets, const int64_t *times, uint32_t row_count,
                         struct pauser *pauser)
{
    int64_t min = times[0], max = times[0];
    uint64_t count_max = row_count / BUCKET_ROWS;
    if (count_max < BUCKETS_MIN)
        return false;
    for (uint32_t i = 1; i < row_count; i++) {
        min = times[i] < min ? times[i] : min;
        max = times[i] > max ? times[i] : max;
        if (i % PAUSE_ROWS == 0)
            (void)pauser_go_on(pauser);
    }
    uint64_t range = (uint64_t)max - (uint64_t)min;
    *buckets = (struct buckets){.base = (uint64_t)min};
    while (range >> buckets->shift >= count_max)
        buckets->shift++;
    buckets->count = (uint32_t)(range >> buckets->shift) + 1;
    return true;
}

static void place_rows(const struct buckets *buckets, const int64_t *times, uint32_t row_count,
                       struct pauser *pauser, struct timed *rows)
{
    const struct buckets b = *buckets;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t *end = &b.ends[bucket_of(&b, times[i])];
        rows[(*end)++] = (struct timed){.time = times[i], .row = i};
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
}

/* False: times lie too unevenly, or they are few. */
static bool order_buckets(const int64_t *times, uint32_t row_count, struct pauser *pauser,
                          struct room *room, uint32_t *order)
{
    struct buckets buckets;
    if (!span_buckets(&buckets, times, row_count, pauser))
        return false;
    size_t mark = room_mark(room);
    buckets.ends = room_take(room, buckets.count * sizeof(*buckets.ends));
    bool is_even = count_rows(&buckets, times, row_count, pauser);
    if (is_even) {
        struct timed *rows = room_take(room, row_count * sizeof(*rows));
        (void)pauser_go_on(pauser);
        place_rows(&buckets, times, row_count, pauser, rows);
        (void)pauser_go_on(pauser);
        insert_all(rows, row_count, pauser, order);
    }
    room_give_back(room, mark);
    return is_even;
}

/* --- runs --- */

struct runs {
    const int64_t *times;
    struct {
        uint32_t at, end; /* what of it has no place yet */
    } * heap;             /* the one whose next row is first by time, then by row, on top */
    uint32_t count;
};

/* Runs in order as they stand, at most `max` of them; false: there are more. */
static bool find_all_runs(struct runs *runs, uint32_t row_count, uint32_t max,
                          struct pauser *pauser)
{
    const int64_t *times = runs->times;
    uint32_t paused = 0;
    for (uint32_t begin = 0, end; begin < row_count; begin = end) {
        if (runs->count == max)
            return false;
        for (end = begin + 1; end < row_count && times[end - 1] <= times[end];)
            end++;
        runs->heap[runs->count].at = begin;
        runs->heap[runs->count++].end = end;
        if (end - paused >= PAUSE_ROWS) {
            paused = end;
            (void)pauser_go_on(pauser);
        }
    }
    return true;
}

/* Whether a row goes before another one; of one time, as they stand. */
static bool goes_before(const struct runs *runs, uint32_t row, uint32_t other)
{
    int64_t time = runs->times[row], other_time = runs->times[other];
    if (time == other_time && fault_is("order.runs_of_one_time"))
        return row > other;
    return time < other_time || (time == other_time && row < other);
}

/* The heap's order below a place of it. */
static void sift_down(struct runs *runs, uint32_t place)
{
    for (uint32_t child; (child = 2 * place + 1) < runs->count; place = child) {
        if (child + 1 < runs->count &&
            goes_before(runs, runs->heap[child + 1].at, runs->heap[child].at))
            child++;
        if (!goes_before(runs, runs->heap[child].at, runs->heap[place].at))
            return;
        uint32_t at = runs->heap[place].at, end = runs->heap[place].end;
        runs->heap[place] = runs->heap[child];
        runs->heap[child].at = at;
        runs->heap[child].end = end;
    }
}

/* How far the run on top goes before the first row of another: looked for in steps that double. */
static uint32_t end_of_top(const struct runs *runs)
{
    uint32_t begin = runs->heap[0].at + 1, end = runs->heap[0].end;
    if (runs->count == 1)
        return end;
    uint32_t other = runs->heap[1].at;
    if (runs->count > 2 && goes_before(runs, runs->heap[2].at, other))
        other = runs->heap[2].at;
    for (uint32_t step = 1; begin < end && goes_before(runs, begin, other); step *= 2) {
        if (end - begin <= step || !goes_before(runs, begin + step, other)) {
            uint32_t high = end - begin <= step ? end : begin + step;
            while (begin < high) {
                uint32_t middle = begin + (high - begin) / 2;
                if (goes_before(runs, middle, other))
                    begin = middle + 1;
                else
                    high = middle;
            }
            return begin;
        }
        begin += step;
    }
    return begin;
}

static int compare_begin(const void *a, const void *b)
{
    const struct row_run *left = a, *right = b;
    return (left->begin > right->begin) - (left->begin < right->begin);
}

/* Pieces of runs one behind the other by time, at most `max`; how many, 0: there are more. */
static uint32_t place_runs(struct runs *runs, uint32_t max, struct row_run *out)
{
    uint32_t count = 0, to = 0;
    for (uint32_t place = runs->count / 2; place-- > 0;)
        sift_down(runs, place);
    while (runs->count > 0) {
        uint32_t begin = runs->heap[0].at, end = end_of_top(runs);
        if (count == max)
            return 0;
        out[count++] = (struct row_run){.begin = begin, .to = to, .count = end - begin};
        to += end - begin;
        runs->heap[0].at = end;
        if (end == runs->heap[0].end)
            runs->heap[0] = runs->heap[--runs->count];
        sift_down(runs, 0);
    }
    return count;
}

bool time_runs(const int64_t *times, const uint8_t *validity, uint32_t row_count,
               struct pauser *pauser, struct room *room, struct arena *arena, struct row_run **runs)
{
    size_t mark = room_mark(room);
    uint32_t max = row_count / RUN_ROWS + 1, count = 0;
    if (validity != NULL)
        return false; /* as in is_sorted() */
    struct row_run *pieces = room_take(room, max * sizeof(*pieces));
    struct runs found = {.times = times, .heap = room_take(room, max * sizeof(*found.heap))};
    if (find_all_runs(&found, row_count, max, pauser) && found.count > 1)
        count = place_runs(&found, max, pieces);
    if (count != 0) {
        qsort(pieces, count, sizeof(*pieces), compare_begin);
        *runs = arena_alloc_array(arena, count, sizeof(**runs));
        memcpy(*runs, pieces, count * sizeof(**runs));
    }
    room_give_back(room, mark);
    return count != 0;
}

bool time_order(const int64_t *times, const uint8_t *validity, uint32_t row_count,
                struct pauser *pauser, struct room *room, uint32_t *order)
{
    if (is_sorted(times, validity, row_count, pauser))
        return false;
    if (validity == NULL && (order_few(times, row_count, pauser, room, order) ||
                             order_buckets(times, row_count, pauser, room, order)))
        return true;
    size_t mark = room_mark(room);
    struct timed *rows = room_take(room, row_count * sizeof(*rows));
    (void)pauser_go_on(pauser);
    uint32_t count = take_times(times, validity, row_count, pauser, rows, order);
    (void)pauser_go_on(pauser);
    sort_rows(rows, count, pauser, room);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = rows[i].row;
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
    room_give_back(room, mark);
    return true;
}
