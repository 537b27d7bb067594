/* Which pieces of work the reactor does itself, which it hands on, and when it stops doing any. */
#include "server/http/later.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#define ITEMS 32

static int64_t now_us;
static int64_t step_us;  /* of the clock, for each piece that is done here */
static int64_t sleep_us; /* the same for real */
static struct later_item items[ITEMS];
static char trace[4 * ITEMS + 1]; /* "h" and a letter for one done here, "o" for another's */
static struct later later;

static int64_t fake_now(void *context)
{
    (void)context;
    return now_us;
}

static const struct clock_source fake = {.wall_us = fake_now, .monotonic_us = fake_now};

static void work(struct later_item *item, bool is_here)
{
    size_t size = strlen(trace);
    trace[size] = is_here ? 'h' : 'o';
    trace[size + 1] = (char)('a' + (item - items));
    memset(item, 0xEE, sizeof(*item)); /* it is gone, as it would be */
    if (!is_here)
        return;
    now_us += step_us;
    if (sleep_us > 0)
        clock_sleep_us(sleep_us);
}

static void begin(int64_t step)
{
    clock_install(&fake);
    later_init(&later);
    now_us = 1000;
    step_us = step;
}

/* Pushes so many of that size and runs them; what was done with which. How many were refused at
 * once stands at the end. */
static const char *run(int count, size_t size)
{
    char refused = '0';
    memset(trace, 0, sizeof(trace));
    for (int i = 0; i < count; i++) {
        items[i] = (struct later_item){.size = size, .work = work};
        refused = (char)(refused + !later_push(&later, &items[i]));
    }
    later_run(&later);
    trace[strlen(trace)] = refused;
    return trace;
}

static void test_order_and_bounds(void **state)
{
    (void)state;
    begin(10);
    assert_string_equal(run(0, 1), "0");
    assert_string_equal(run(1, 1), "ha0");
    assert_string_equal(run(3, 1), "hahbhc0");
    assert_string_equal(run(1, 10 * LATER_BYTES_MAX), "ha0");    /* the first is never too much */
    assert_string_equal(run(3, LATER_BYTES_MAX / 2), "ochahb0"); /* others get theirs first */
    assert_string_equal(run(3, LATER_BYTES_MAX), "obocha0");
    assert_string_equal(run(LATER_COUNT_MAX + 2, 1), "oeofhahbhchd0");
    clock_install(NULL);
}

static void test_budget(void **state)
{
    (void)state;
    begin(LATER_BUDGET_US / 2);
    assert_string_equal(run(4, 1), "hahbocod0");
    step_us = LATER_BUDGET_US;
    assert_string_equal(run(3, 1), "haoboc0");
    fault_plant("later.no_end");
    assert_string_equal(run(3, 1), "hahbhc0");
    fault_clear();
    clock_install(NULL);
}

/* One that takes long is doubted, the next that does is the last for a while. */
static void test_pause(void **state)
{
    (void)state;
    begin(LATER_SLOW_US);
    assert_string_equal(run(2, 1), "haob0");
    assert_string_equal(run(2, 1), "haob0");
    assert_int_equal(later.pause_end_us, now_us + LATER_PAUSE * LATER_SLOW_US);
    assert_string_equal(run(2, 1), "2");
    now_us = later.pause_end_us - 1;
    assert_string_equal(run(2, 1), "2");
    now_us++;
    assert_string_equal(run(1, 1), "ha0"); /* and so once more */
    assert_string_equal(run(1, 1), "1");
    now_us = later.doubt_end_us + later.pause_end_us;
    assert_string_equal(run(1, 1), "ha0"); /* long ago: it must be seen twice */
    fault_plant("later.no_pause");
    assert_string_equal(run(1, 1), "ha0");
    assert_string_equal(run(1, 1), "ha0");
    fault_clear();
    clock_install(NULL);
}

/* By the real clocks: no pause for what only waited. */
static void test_waiting_is_no_reason(void **state)
{
    (void)state;
    begin(0);
    clock_install(NULL);
    sleep_us = LATER_SLOW_US;
    for (int i = 0; i < 4; i++)
        assert_string_equal(run(1, 1), "ha0");
    assert_true(later.doubt_end_us > 0);
    sleep_us = 0;
}

static struct later_item second = {.size = 1, .work = work};

static void push_another(struct later_item *item, bool is_here)
{
    work(item, is_here);
    assert_true(later_push(&later, &second));
}

/* What is pushed while the others are worked on has the next turn. */
static void test_push_within(void **state)
{
    (void)state;
    begin(1);
    memset(trace, 0, sizeof(trace));
    items[0] = (struct later_item){.size = 1, .work = push_another};
    assert_true(later_push(&later, &items[0]));
    later_run(&later);
    assert_string_equal(trace, "ha");
    assert_ptr_equal(later.first, &second);
    clock_install(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_bounds),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_waiting_is_no_reason),
        cmocka_unit_test(test_push_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
