/* Whose turn it is: the lines in which jobs wait for a permit, and the rule by which one is chosen.
 *
 * No locks and no clock in here: the worker pool calls all of it under its mutex. */
#ifndef FRESHET_STORAGE_BASE_TURN_H
#define FRESHET_STORAGE_BASE_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From first to last. A query stands in the line of the CPU time it has used so far. In each line
 * those stand first who have come first. */
enum turn_line {
    TURN_DECODE,
    TURN_QUERY, /* the first of TURN_QUERY_LEVELS */
    TURN_QUERY_LONGEST = TURN_QUERY + 3,
    TURN_UPKEEP,
    TURN_LINE_COUNT
};

/* One part of so many of the CPU time goes to who has come first, whatever its line, in turns of so
 * long while who has used less waits. */
#define TURN_OLDEST_SHARE 4
#define TURN_OLDEST_US 2000

/* One that waits; part of whoever does. */
struct turn {
    struct turn *next, *previous;
    enum turn_line line;
    bool is_waiting;
    bool is_for_age;    /* its turn came before somebody's of an earlier line */
    bool is_overtaking; /* … before somebody's who came earlier */
    uint64_t arrived;   /* grows with each arrival; 0: before all others */
};

struct turn_lines {
    struct turn *first[TURN_LINE_COUNT], *last[TURN_LINE_COUNT];
    uint64_t arrivals, turns, turns_for_age; /* turns of DECODE are not counted */
    int64_t owed_us;                         /* to who came first; below 0: had ahead of time */
    _Atomic int waiting[TURN_LINE_COUNT];    /* how many; a relaxed hint without the lock */
};

/* The line of a query that has used so much CPU time. */
enum turn_line turn_query_line(int64_t used_us);
/* After so much CPU time one of that line comes anew; of DECODE each time. */
int64_t turn_share_us(enum turn_line line);

/* It comes now: in any line it stands behind who is there, and before who comes later. */
void turn_arrive(struct turn_lines *lines, struct turn *turn);
/* Where its arrival says. Those who came later are walked past. */
void turn_push(struct turn_lines *lines, struct turn *turn, enum turn_line line);
/* Before all others of the line, as one that came before them. */
void turn_push_first(struct turn_lines *lines, struct turn *turn, enum turn_line line);
void turn_remove(struct turn_lines *lines, struct turn *turn);
/* All of `from` go before all of `to`, in their order. */
void turn_move(struct turn_lines *lines, enum turn_line from, enum turn_line to);
/* Does somebody go before one of that line whose turn it is, after so much CPU time in this turn?
 * is_anew: it has just come anew. */
bool turn_is_over(const struct turn_lines *lines, const struct turn *turn, enum turn_line line,
                  bool is_anew, int64_t used_us);
/* Its turn is over, after so much CPU time. Needed where is_for_age or is_overtaking are set. */
void turn_end(struct turn_lines *lines, struct turn *turn, int64_t used_us);
/* Who is next, taken out of its line; NULL: nobody waits. */
struct turn *turn_pop(struct turn_lines *lines);

/* How many wait in the lines up to and with `line`. */
static inline int turn_waiting(const struct turn_lines *lines, enum turn_line line)
{
    int count = 0;
    for (int i = 0; i <= (int)line; i++)
        count += atomic_load_explicit(&lines->waiting[i], memory_order_relaxed);
    return count;
}

#endif
