/* What subscriptions remember of their partitions' lag. Their records are under test in
 * ingest/kafka/intake. */
#include "ingest/state/subscriptions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MINUTE INT64_C(60000000)

static struct subscription_partition partition;
static struct subscription subscription = {.partitions = &partition, .partition_count = 1};
static struct subscription *list[] = {&subscription};
static struct subscriptions subscriptions = {.list = list, .count = 1};

static void begin(void)
{
    partition = (struct subscription_partition){
        .next_offset = 0, .reached_offset = NO_OFFSET, .end_offset = NO_OFFSET};
    for (int i = 0; i <= LAG_MINUTES; i++)
        partition.lag_samples[i] = NO_OFFSET;
}

static void sample(int64_t minute, int64_t lag)
{
    partition.end_offset = partition.next_offset + lag;
    subscriptions_sample_lag(&subscriptions, minute * MINUTE + 7);
}

/* INT64_MIN: not known. */
static int64_t change(void)
{
    int64_t out;
    return subscription_lag_change(&partition, &out) ? out : INT64_MIN;
}

static void test_lag_change(void **state)
{
    (void)state;
    begin();
    assert_int_equal(change(), INT64_MIN);
    subscriptions_sample_lag(&subscriptions, 99 * MINUTE); /* the end is not known yet */
    for (int64_t minute = 100; minute < 110; minute++) {
        sample(minute, 1000 + minute);
        assert_int_equal(change(), INT64_MIN); /* not ten minutes yet */
    }
    sample(110, 2000);
    assert_int_equal(change(), 2000 - 1100);
    partition.end_offset += 5; /* now, not as of the last minute */
    assert_int_equal(change(), 2005 - 1100);
    sample(110, 0); /* once a minute */
    assert_int_equal(change(), 0 - 1100);
    sample(111, 3000);
    assert_int_equal(change(), 3000 - 1101);
    sample(114, 10); /* 112 and 113 were slept through */
    assert_int_equal(change(), 10 - 1104);
    sample(122, 20);
    assert_int_equal(change(), INT64_MIN);
    sample(124, 30);
    assert_int_equal(change(), 20);
    sample(400, 40); /* all of it is too old */
    assert_int_equal(change(), INT64_MIN);
    sample(410, 50);
    assert_int_equal(change(), 10);
    sample(300, 60); /* a clock that went back begins anew */
    assert_int_equal(change(), INT64_MIN);
    sample(310, 61);
    assert_int_equal(change(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lag_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
