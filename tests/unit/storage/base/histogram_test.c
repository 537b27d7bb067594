/* Histograms: buckets are contiguous, quantiles are within 1.6 % of a sorted list. */
#include "storage/base/histogram.c"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

static void test_buckets_are_contiguous(void **state)
{
    (void)state;
    for (size_t bucket = 0; bucket + 1 < HISTOGRAM_BUCKET_COUNT; bucket++) {
        assert_int_equal(bucket_of(bucket_last(bucket)), bucket);
        assert_int_equal(bucket_of(bucket_last(bucket) + 1), bucket + 1);
    }
    assert_int_equal(bucket_of(UINT64_MAX), HISTOGRAM_BUCKET_COUNT - 1);
    assert_true(bucket_last(HISTOGRAM_BUCKET_COUNT - 1) == UINT64_MAX);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_quantiles_against_sorted(void **state)
{
    (void)state;
    static struct histogram histogram, half;
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    struct random_stream stream;
    random_stream_init(&stream, 11);
    histogram_reset(&histogram);
    for (size_t index = 0; index < COUNT; index++) {
        values[index] = random_next(&stream) >> random_below(&stream, 60);
        histogram_record(index % 2 != 0 ? &histogram : &half, values[index]);
    }
    histogram_merge(&histogram, &half);
    qsort(values, COUNT, sizeof(values[0]), compare);
    static const double qs[] = {0, 0.001, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t index = 0; index < sizeof(qs) / sizeof(qs[0]); index++) {
        size_t rank = (size_t)(qs[index] * COUNT);
        uint64_t want = values[rank > 0 ? rank - 1 : 0];
        uint64_t got = histogram_quantile(&histogram, qs[index]);
        assert_true(got >= want && (double)got <= (double)want * (1 + 1 / 63.0) + 1);
    }
    assert_int_equal(histogram_count(&histogram), COUNT);
    assert_true(histogram_max(&histogram) == values[COUNT - 1]);
    assert_int_equal(histogram_count_at_most(&histogram, UINT64_MAX), COUNT);
    histogram_reset(&histogram);
    assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
    assert_true(histogram_mean(&histogram) == 0);
    histogram_record_many(&histogram, 10, 3);
    assert_true(histogram_mean(&histogram) == 10);
    assert_int_equal(histogram_count_at_most(&histogram, 9), 0);
    assert_int_equal(histogram_count_at_most(&histogram, 10), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_are_contiguous),
        cmocka_unit_test(test_quantiles_against_sorted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
