/* Multi-level feedback: a job that has used little goes before one that has used much, since most
 * are short and nobody can tell beforehand which.
 *
 *   DECODE ▶ query < 4 ms ▶ < 20 ms ▶ < 200 ms ▶ longer ▶ UPKEEP        first come, first served in
 * each
 *
 * Come means: to the pool, not to the line. A query that gave its permit away for a shorter one, or
 * has fallen a line, stands before those that came after it. So of ten that take 10 ms each one is
 * done after the other; by turns all ten would be done at the end. Only behind 200 ms turns are
 * taken, by 100 ms of CPU time each, after which a query counts as just come.
 *
 * By lines alone the long ones would starve under a steady stream of short ones. So a quarter of
 * the time belongs to whoever of the lines behind DECODE came first: he is owed a third of the time
 * of each turn that overtakes him, and once that is 2 ms the next turn is his, for 2 ms at least.
 * Time is counted and not turns, since one may last 0.1 s where a query cannot be parted: then the
 * short ones have 0.3 s before the next such. No more is owed than 8 ms at once, so that a short
 * one does not wait long for what another has had. One that takes c ms gets on from the moment that
 * nobody older is there, and is done after about 4c at the most. DECODE is outside of that:
 * acknowledgements do not wait, and its work is bounded by what the clients send. UPKEEP comes anew
 * after each turn of 2 ms.
 *
 * The first line is that short because a hundred long queries that begin at once are all short at
 * first. It is no shorter because panels of about its length starve one another: those that have
 * just passed it stand behind all that come, so all of them are begun before one is done. */
#include "storage/base/turn.h"

#include "storage/base/fault.h"

#include <assert.h>

#define LONGEST_SHARE_US (100 * 1000)
#define OWED_MAX_US (4 * TURN_OLDEST_US) /* short ones wait for no more at once */

/* Less than this was used so far. */
static const int64_t levels[] = {4 * 1000, 20 * 1000, 200 * 1000, INT64_MAX};

_Static_assert(sizeof(levels) / sizeof(levels[0]) == TURN_QUERY_LONGEST - TURN_QUERY + 1,
               "one line a level");

enum turn_line turn_query_line(int64_t used_us)
{
    int level = 0;
    if (fault_is("turn.one_level"))
        return TURN_QUERY_LONGEST;
    while (used_us >= levels[level] && TURN_QUERY + level < TURN_QUERY_LONGEST)
        level++;
    return (enum turn_line)(TURN_QUERY + level);
}

int64_t turn_share_us(enum turn_line line)
{
    switch (line) {
    case TURN_DECODE:
        return 0;
    case TURN_QUERY_LONGEST:
        return LONGEST_SHARE_US;
    case TURN_UPKEEP:
        return TURN_OLDEST_US;
    default:
        return INT64_MAX;
    }
}

static void count(struct turn_lines *lines, enum turn_line line, int change)
{
    atomic_fetch_add_explicit(&lines->waiting[line], change, memory_order_relaxed);
}

void turn_arrive(struct turn_lines *lines, struct turn *turn)
{
    assert(!turn->is_waiting);
    turn->arrived = ++lines->arrivals;
}

/* Behind `previous`, which is of that line; NULL: first. */
static void insert(struct turn_lines *lines, struct turn *turn, enum turn_line line,
                   struct turn *previous)
{
    turn->line = line;
    turn->is_waiting = true;
    turn->is_for_age = turn->is_overtaking = false;
    turn->previous = previous;
    turn->next = previous == NULL ? lines->first[line] : previous->next;
    if (previous == NULL)
        lines->first[line] = turn;
    else
        previous->next = turn;
    if (turn->next == NULL)
        lines->last[line] = turn;
    else
        turn->next->previous = turn;
    count(lines, line, 1);
}

void turn_push(struct turn_lines *lines, struct turn *turn, enum turn_line line)
{
    assert(!turn->is_waiting);
    struct turn *previous = lines->last[line], *first = lines->first[line];
    bool is_always_last = fault_is("turn.behind_all");
    if (first != NULL && first->arrived > turn->arrived && !is_always_last)
        previous = NULL; /* as of one that has just given way */
    while (previous != NULL && previous->arrived > turn->arrived && !is_always_last)
        previous = previous->previous;
    insert(lines, turn, line, previous);
}

void turn_push_first(struct turn_lines *lines, struct turn *turn, enum turn_line line)
{
    assert(!turn->is_waiting);
    turn->arrived = 0;
    insert(lines, turn, line, NULL);
}

void turn_remove(struct turn_lines *lines, struct turn *turn)
{
    assert(turn->is_waiting);
    if (turn->previous != NULL)
        turn->previous->next = turn->next;
    else
        lines->first[turn->line] = turn->next;
    if (turn->next != NULL)
        turn->next->previous = turn->previous;
    else
        lines->last[turn->line] = turn->previous;
    turn->next = turn->previous = NULL;
    turn->is_waiting = false;
    count(lines, turn->line, -1);
}

void turn_move(struct turn_lines *lines, enum turn_line from, enum turn_line to)
{
    assert(from != to);
    while (lines->last[from] != NULL) {
        struct turn *turn = lines->last[from];
        turn_remove(lines, turn);
        turn_push_first(lines, turn, to);
    }
}

bool turn_is_over(const struct turn_lines *lines, const struct turn *turn, enum turn_line line,
                  bool is_anew, int64_t used_us)
{
    if (is_anew)
        return turn_waiting(lines, TURN_UPKEEP) > 0;
    bool is_kept =
        turn->is_for_age && used_us < TURN_OLDEST_US && !fault_is("turn.no_time_for_age");
    return turn_waiting(lines, is_kept ? TURN_DECODE : line - 1) > 0;
}

void turn_end(struct turn_lines *lines, struct turn *turn, int64_t used_us)
{
    if (fault_is("turn.counts_turns"))
        used_us = TURN_OLDEST_US;
    if (turn->is_for_age)
        lines->owed_us -= used_us;
    else if (turn->is_overtaking)
        lines->owed_us += used_us / (TURN_OLDEST_SHARE - 1);
    if (lines->owed_us > OWED_MAX_US)
        lines->owed_us = OWED_MAX_US;
    turn->is_for_age = turn->is_overtaking = false;
}

static struct turn *oldest(const struct turn_lines *lines)
{
    struct turn *found = NULL;
    for (int line = TURN_QUERY; line < TURN_LINE_COUNT; line++) {
        struct turn *turn = lines->first[line];
        if (turn != NULL && (found == NULL || turn->arrived < found->arrived))
            found = turn;
    }
    return found;
}

/* Of those behind DECODE. */
static struct turn *choose(struct turn_lines *lines)
{
    struct turn *eldest = oldest(lines), *turn = NULL;
    for (int line = TURN_QUERY; turn == NULL && line < TURN_LINE_COUNT; line++)
        turn = lines->first[line];
    if (turn == NULL) {
        lines->owed_us = 0;
        return NULL;
    }
    bool is_due = lines->owed_us >= TURN_OLDEST_US && !fault_is("turn.long_ones_starve");
    bool differs = eldest->line != turn->line;
    turn->is_overtaking = differs && !is_due;
    eldest->is_for_age = differs && is_due;
    lines->turns++;
    lines->turns_for_age += eldest->is_for_age;
    return is_due ? eldest : turn;
}

struct turn *turn_pop(struct turn_lines *lines)
{
    struct turn *turn = lines->first[TURN_DECODE];
    if (turn == NULL)
        turn = choose(lines);
    if (turn != NULL)
        turn_remove(lines, turn);
    return turn;
}
