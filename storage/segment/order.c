/* Rows by time: a natural merge sort.
 *
 * Where few rows are late (below the greatest time before them) those are taken out, sorted alone,
 * and put in again from the end: with one in twenty, half of what sorting all takes.
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

#define LATE_SHARE 8 /* one row in so many may be late, for the short way */
#define RUN_MIN 32
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
static void sort_rows(struct timed *rows, uint32_t count, struct pauser *pauser)
{
    struct timed *aside = memory_alloc(((size_t)count + 1) * sizeof(*aside));
    uint32_t *ends = memory_alloc(((size_t)count + 1) * sizeof(*ends));
    uint32_t run_count = find_runs(rows, count, ends, pauser);
    (void)pauser_go_on(pauser);
    merge_runs(rows, aside, ends, run_count, pauser);
    (void)pauser_go_on(pauser);
    memory_free(ends);
    memory_free(aside);
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
                      uint32_t *order)
{
    uint32_t late_max = row_count / LATE_SHARE + 1, late_count;
    struct timed *late = memory_alloc(((size_t)late_max + 1) * sizeof(*late));
    bool is_few = part_late(times, row_count, pauser, late, late_max, &late_count, order);
    if (is_few) {
        sort_rows(late, late_count, pauser);
        put_in(times, row_count, pauser, late, late_count, order);
    }
    memory_free(late);
    return is_few;
}

bool time_order(const int64_t *times, const uint8_t *validity, uint32_t row_count,
                struct pauser *pauser, uint32_t *order)
{
    if (is_sorted(times, validity, row_count, pauser))
        return false;
    if (validity == NULL && order_few(times, row_count, pauser, order))
        return true;
    struct timed *rows = memory_alloc(row_count * sizeof(*rows));
    (void)pauser_go_on(pauser);
    uint32_t count = take_times(times, validity, row_count, pauser, rows, order);
    (void)pauser_go_on(pauser);
    sort_rows(rows, count, pauser);
    for (uint32_t i = 0; i < count; i++) {
        order[i] = rows[i].row;
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1)
            (void)pauser_go_on(pauser);
    }
    memory_free(rows);
    return true;
}
