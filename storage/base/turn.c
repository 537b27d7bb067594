/* Multi-level feedback: a job that has used little goes before one that has used much, since most
 * are short and nobody can tell beforehand which.
 *
 *   DECODE ▶ query < 2 ms ▶ < 20 ms ▶ < 200 ms ▶ longer ▶ UPKEEP        first come, first served in
 * each
 *
 * By lines alone the long ones would starve under a steady stream of short ones. So every fourth
 * turn belongs to whoever of the lines behind DECODE has waited longest: a long query, or upkeep,
 * gets on in any crowd, and a short one waits for one morsel of a long one at most in four turns.
 * DECODE is outside of that: acknowledgements do not wait, and its work is bounded by what the
 * clients send.
 *
 * The slices grow with the level: what is long anyway changes places seldom. The first is that
 * short because a hundred long queries that begin at once are all short at first. */
#include "storage/base/turn.h"

#include "storage/base/fault.h"

#include <assert.h>

static const struct {
    int64_t used_us;  /* less than this was used so far */
    int64_t slice_us; /* among equals */
} levels[] = {
    {2 * 1000, 2 * 1000},
    {20 * 1000, 5 * 1000},
    {200 * 1000, 20 * 1000},
    {INT64_MAX, 100 * 1000},
};

_Static_assert(sizeof(levels) / sizeof(levels[0]) == TURN_QUERY_LONGEST - TURN_QUERY + 1,
               "one line a level");

enum turn_line turn_query_line(int64_t used_us)
{
    int level = 0;
    if (fault_is("turn.one_level"))
        return TURN_QUERY;
    while (used_us >= levels[level].used_us && TURN_QUERY + level < TURN_QUERY_LONGEST)
        level++;
    return (enum turn_line)(TURN_QUERY + level);
}

int64_t turn_slice_us(enum turn_line line)
{
    if (line < TURN_QUERY || line > TURN_QUERY_LONGEST)
        return 0;
    return levels[line - TURN_QUERY].slice_us;
}

static void count(struct turn_lines *lines, enum turn_line line, int change)
{
    atomic_fetch_add_explicit(&lines->waiting[line], change, memory_order_relaxed);
}

void turn_push(struct turn_lines *lines, struct turn *turn, enum turn_line line)
{
    assert(!turn->is_waiting);
    *turn = (struct turn){.previous = lines->last[line],
                          .line = line,
                          .is_waiting = true,
                          .arrived = ++lines->arrivals};
    if (turn->previous != NULL)
        turn->previous->next = turn;
    else
        lines->first[line] = turn;
    lines->last[line] = turn;
    count(lines, line, 1);
}

void turn_push_first(struct turn_lines *lines, struct turn *turn, enum turn_line line)
{
    assert(!turn->is_waiting);
    *turn = (struct turn){.next = lines->first[line], .line = line, .is_waiting = true};
    if (turn->next != NULL)
        turn->next->previous = turn;
    else
        lines->last[line] = turn;
    lines->first[line] = turn;
    count(lines, line, 1);
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
        uint64_t arrived = turn->arrived;
        turn_remove(lines, turn);
        turn_push_first(lines, turn, to);
        turn->arrived = arrived;
    }
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

struct turn *turn_pop(struct turn_lines *lines)
{
    struct turn *turn = lines->first[TURN_DECODE];
    if (turn == NULL) {
        bool is_for_oldest =
            ++lines->turns % TURN_OLDEST_EVERY == 0 && !fault_is("turn.long_ones_starve");
        for (int line = TURN_QUERY; turn == NULL && line < TURN_LINE_COUNT; line++)
            turn = lines->first[line];
        if (is_for_oldest)
            turn = oldest(lines);
    }
    if (turn != NULL)
        turn_remove(lines, turn);
    return turn;
}
