/* Whose turn it is: lines and levels against a naive list, and nobody waits for ever. */
#include "storage/base/turn.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        int64_t used_us;
        int level;
    } cases[] = {{0, 0},        {3999, 0},   {4000, 1},   {19999, 1},
                 {20000, 2},    {199999, 2}, {200000, 3}, {INT64_C(1) << 40, 3},
                 {INT64_MAX, 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(turn_query_line(cases[i].used_us), TURN_QUERY + cases[i].level);
    assert_int_equal(turn_share_us(TURN_DECODE), 0);
    for (int line = TURN_QUERY; line < TURN_QUERY_LONGEST; line++)
        assert_true(turn_share_us((enum turn_line)line) == INT64_MAX);
    assert_true(turn_share_us(TURN_UPKEEP) > 0);
    assert_true(turn_share_us(TURN_QUERY_LONGEST) > turn_share_us(TURN_UPKEEP));
}

/* --- against a naive list --- */

#define WAITERS 40

struct model {
    int order[TURN_LINE_COUNT][WAITERS]; /* by line, from first to last */
    int count[TURN_LINE_COUNT];
    uint64_t arrived[WAITERS];
    uint64_t arrivals;
    int64_t owed_us;
    bool is_for_age[WAITERS], is_overtaking[WAITERS];
};

static void model_insert(struct model *model, int line, int at, int who)
{
    for (int i = model->count[line]; i > at; i--)
        model->order[line][i] = model->order[line][i - 1];
    model->order[line][at] = who;
    model->count[line]++;
}

static void model_remove(struct model *model, int who)
{
    for (int line = 0; line < TURN_LINE_COUNT; line++)
        for (int i = 0; i < model->count[line]; i++)
            if (model->order[line][i] == who) {
                model->count[line]--;
                for (; i < model->count[line]; i++)
                    model->order[line][i] = model->order[line][i + 1];
                return;
            }
}

static void model_push(struct model *model, int line, int who)
{
    int at = 0;
    while (at < model->count[line] && model->arrived[model->order[line][at]] <= model->arrived[who])
        at++;
    model_insert(model, line, at, who);
}

static int model_pop(struct model *model)
{
    int first = -1, eldest = -1;
    if (model->count[TURN_DECODE] > 0) {
        first = eldest = model->order[TURN_DECODE][0];
    } else {
        for (int line = TURN_QUERY; line < TURN_LINE_COUNT; line++) {
            if (model->count[line] == 0)
                continue;
            int who = model->order[line][0];
            first = first < 0 ? who : first;
            if (eldest < 0 || model->arrived[who] < model->arrived[eldest])
                eldest = who;
        }
        if (first < 0) {
            model->owed_us = 0;
            return -1;
        }
    }
    bool is_due = first != eldest && model->owed_us >= TURN_OLDEST_US;
    int found = is_due ? eldest : first;
    model->is_for_age[found] = is_due;
    model->is_overtaking[found] = first != eldest && !is_due;
    model_remove(model, found);
    return found;
}

static void model_end(struct model *model, int who, int64_t used_us)
{
    if (model->is_for_age[who])
        model->owed_us -= used_us;
    if (model->is_overtaking[who])
        model->owed_us += used_us / (TURN_OLDEST_SHARE - 1);
    if (model->owed_us > 4 * TURN_OLDEST_US)
        model->owed_us = 4 * TURN_OLDEST_US;
}

static void step(struct random_stream *random, struct turn_lines *lines, struct turn *turns,
                 struct model *model)
{
    int who = (int)random_below(random, WAITERS);
    int line = (int)random_below(random, TURN_LINE_COUNT);
    switch (random_below(random, 8)) {
    case 0:
        if (turns[who].is_waiting) {
            turn_remove(lines, &turns[who]);
            model_remove(model, who);
        }
        return;
    case 1:
        if (!turns[who].is_waiting) {
            turn_push_first(lines, &turns[who], (enum turn_line)line);
            model_insert(model, line, 0, who);
            model->arrived[who] = 0;
        }
        return;
    case 2:
        if (line == TURN_QUERY)
            return;
        turn_move(lines, (enum turn_line)line, TURN_QUERY);
        for (int i = model->count[line]; i > 0; i--) {
            model->arrived[model->order[line][i - 1]] = 0;
            model_insert(model, TURN_QUERY, 0, model->order[line][i - 1]);
        }
        model->count[line] = 0;
        return;
    case 3:
    case 4: {
        struct turn *turn = turn_pop(lines);
        int found = model_pop(model);
        int64_t used_us = (int64_t)random_below(random, 4 * TURN_OLDEST_US);
        assert_int_equal(turn == NULL ? -1 : turn - turns, found);
        if (turn != NULL) {
            assert_int_equal(turn->is_for_age, model->is_for_age[found]);
            turn_end(lines, turn, used_us);
            model_end(model, found, used_us);
        }
        assert_int_equal(lines->owed_us, model->owed_us);
        return;
    }
    default:
        if (!turns[who].is_waiting) {
            if (turns[who].arrived == 0 || random_below(random, 2) == 0) {
                turn_arrive(lines, &turns[who]);
                model->arrived[who] = ++model->arrivals;
            }
            turn_push(lines, &turns[who], (enum turn_line)line);
            model_push(model, line, who);
        }
    }
}

static void test_random_programs(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct random_stream random;
        struct turn_lines lines = {0};
        struct turn turns[WAITERS] = {0};
        struct model model = {0};
        random_stream_init(&random, seed);
        printf("seed %llu\n", (unsigned long long)seed);
        for (int i = 0; i < 2000; i++) {
            step(&random, &lines, turns, &model);
            int total = 0;
            for (int line = 0; line < TURN_LINE_COUNT; line++) {
                total += model.count[line];
                assert_int_equal(turn_waiting(&lines, (enum turn_line)line), total);
            }
        }
    }
}

/* --- nobody starves --- */

static void come(struct turn_lines *lines, struct turn *turn, enum turn_line line)
{
    turn_arrive(lines, turn);
    turn_push(lines, turn, line);
}

/* Turns until one of the last line has its own while two of the first come again and again. */
static int turns_until_last(void)
{
    struct turn_lines lines = {0};
    struct turn turns[20] = {0};
    for (int i = 0; i < 10; i++)
        come(&lines, &turns[i], TURN_QUERY_LONGEST);
    come(&lines, &turns[10], TURN_UPKEEP);
    come(&lines, &turns[11], TURN_QUERY);
    come(&lines, &turns[12], TURN_QUERY);
    for (int count = 1; count < 1000; count++) {
        struct turn *turn = turn_pop(&lines);
        turn_end(&lines, turn, 1000);
        if (turn == &turns[10])
            return count;
        come(&lines, turn, turn < &turns[10] ? TURN_QUERY_LONGEST : TURN_QUERY);
    }
    return 1000;
}

static void test_nobody_starves(void **state)
{
    (void)state;
    assert_in_range(turns_until_last(), 1, TURN_OLDEST_SHARE * 13);
    fault_plant("turn.long_ones_starve");
    int count = turns_until_last();
    fault_clear();
    assert_int_equal(count, 1000);
}

/* --- a quarter of the time --- */

#define LONG_ONES 8

/* So many of a thousand parts of a long made-up time have long ones, whose turns last so long each,
 * beside short ones that always wait. */
static int long_share(int64_t long_us, int64_t short_us)
{
    struct turn_lines lines = {0};
    struct turn turns[LONG_ONES + 2] = {0};
    int64_t had_us = 0, all_us = 0;
    for (int i = 0; i < LONG_ONES + 2; i++)
        come(&lines, &turns[i], i < LONG_ONES ? TURN_QUERY_LONGEST : TURN_QUERY);
    while (all_us < 100 * 1000 * 1000) {
        struct turn *turn = turn_pop(&lines);
        bool is_long = turn < &turns[LONG_ONES];
        int64_t used_us = is_long ? long_us : short_us;
        turn_end(&lines, turn, used_us);
        all_us += used_us;
        had_us += is_long ? used_us : 0;
        come(&lines, turn, is_long ? TURN_QUERY_LONGEST : TURN_QUERY);
    }
    return (int)(1000 * had_us / all_us);
}

static void test_a_quarter_of_the_time(void **state)
{
    (void)state;
    static const int64_t cases[][2] = {{2000, 1000},     {2500, 300},   {2000, 2000},
                                       {100000, 1000},   {100000, 100}, {100000, 100000},
                                       {5000000, 10000}, {2000, 20000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_in_range(long_share(cases[i][0], cases[i][1]), 240, 290);
    /* A short one's long turn is not paid back in one go. */
    assert_in_range(long_share(2000, 200000), 25, 50);
    fault_plant("turn.counts_turns");
    int share = long_share(100000, 1000);
    fault_clear();
    assert_in_range(share, 900, 1000);
}

/* Two that are short come after each turn of 0.1 s of others: how many of a thousand turns of those
 * were had before theirs. */
static int long_steps_first(void)
{
    struct turn_lines lines = {0};
    struct turn turns[LONG_ONES + 2] = {0};
    int before = 0;
    for (int i = 0; i < LONG_ONES; i++)
        come(&lines, &turns[i], TURN_QUERY_LONGEST);
    for (int count = 0; count < 1000; count++) {
        for (int i = LONG_ONES; i < LONG_ONES + 2; i++)
            if (!turns[i].is_waiting)
                come(&lines, &turns[i], TURN_QUERY);
        struct turn *turn;
        while ((turn = turn_pop(&lines)) >= &turns[LONG_ONES])
            turn_end(&lines, turn, 500);
        before += turn_waiting(&lines, TURN_QUERY) > 0;
        turn_end(&lines, turn, 100000);
        turn_push(&lines, turn, TURN_QUERY_LONGEST);
    }
    return before;
}

static void test_long_steps_keep_no_short_one_waiting(void **state)
{
    (void)state;
    assert_in_range(long_steps_first(), 1, 20);
    fault_plant("turn.counts_turns");
    int before = long_steps_first();
    fault_clear();
    assert_in_range(before, 200, 1000);
}

/* --- who has begun is done first --- */

#define EQUALS 6
#define EQUAL_TURNS 5

/* Equals that take some turns each while short ones come again and again: how many are done by the
 * time that half of their turns have been had. */
static int done_at_half(void)
{
    struct turn_lines lines = {0};
    struct turn turns[EQUALS + 2] = {0};
    int had[EQUALS] = {0}, all = 0, done = 0;
    for (int i = 0; i < EQUALS + 2; i++)
        come(&lines, &turns[i], i < EQUALS ? TURN_QUERY + 1 : TURN_QUERY);
    while (all < EQUALS * EQUAL_TURNS / 2) {
        struct turn *turn = turn_pop(&lines);
        bool is_for_age = turn->is_for_age;
        turn_end(&lines, turn, 1000);
        if (turn >= &turns[EQUALS]) {
            come(&lines, turn, TURN_QUERY);
            continue;
        }
        assert_true(is_for_age); /* a short one waits */
        int who = (int)(turn - turns);
        all++;
        if (++had[who] < EQUAL_TURNS)
            turn_push(&lines, turn, TURN_QUERY + 1);
        else
            assert_int_equal(who, done++); /* in the order in which they came */
    }
    return done;
}

static void test_equals_are_done_one_after_the_other(void **state)
{
    (void)state;
    assert_int_equal(done_at_half(), EQUALS / 2);
    fault_plant("turn.behind_all"); /* they take turns */
    int done = done_at_half();
    fault_clear();
    assert_int_equal(done, 0);
}

/* Who waits decides whether a turn goes on, and a turn for age goes on for a while. */
static int count_over(enum turn_line waits, bool is_for_age, int64_t used_us)
{
    struct turn_lines lines = {0};
    struct turn one = {0}, self = {.is_for_age = is_for_age};
    int over = 0;
    come(&lines, &one, waits);
    for (int line = TURN_QUERY; line < TURN_LINE_COUNT; line++) {
        over += turn_is_over(&lines, &self, (enum turn_line)line, false, used_us);
        assert_true(turn_is_over(&lines, &self, (enum turn_line)line, true, used_us));
    }
    turn_remove(&lines, &one);
    for (int line = TURN_QUERY; line < TURN_LINE_COUNT; line++)
        assert_false(turn_is_over(&lines, &self, (enum turn_line)line, true, used_us));
    return over;
}

static void test_a_turn_goes_on(void **state)
{
    (void)state;
    assert_int_equal(count_over(TURN_DECODE, false, 0), TURN_LINE_COUNT - TURN_QUERY);
    assert_int_equal(count_over(TURN_DECODE, true, 0), TURN_LINE_COUNT - TURN_QUERY);
    for (int waits = TURN_QUERY; waits < TURN_LINE_COUNT; waits++) {
        int behind = TURN_UPKEEP - waits; /* lines behind the one that waits */
        assert_int_equal(count_over((enum turn_line)waits, false, 0), behind);
        assert_int_equal(count_over((enum turn_line)waits, true, TURN_OLDEST_US), behind);
        assert_int_equal(count_over((enum turn_line)waits, true, TURN_OLDEST_US - 1), 0);
    }
    fault_plant("turn.no_time_for_age");
    int over = count_over(TURN_QUERY, true, 0);
    fault_clear();
    assert_int_equal(over, TURN_UPKEEP - TURN_QUERY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_random_programs),
        cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_a_quarter_of_the_time),
        cmocka_unit_test(test_long_steps_keep_no_short_one_waiting),
        cmocka_unit_test(test_a_turn_goes_on),
        cmocka_unit_test(test_equals_are_done_one_after_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
