/* Latency series: what is recent, what is not any more, and what stays. */
#include "storage/base/latency.h"

#include "storage/base/metrics.h"
#include "storage/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct latency_figures read_at(enum latency id, int64_t now_us)
{
    struct latency_figures figures;
    latency_read(id, now_us, &figures);
    return figures;
}

static void test_windows(void **state)
{
    (void)state;
    const int64_t w = LATENCY_WINDOW_US;
    assert_int_equal(read_at(LATENCY_SEAL, 0).count, 0);
    assert_int_equal(read_at(LATENCY_SEAL, 0).p99_us, 0);
    latency_record_at(LATENCY_SEAL, 50, 5);
    latency_record_at(LATENCY_SEAL, -7, 5); /* a clock that went back */
    latency_record_at(LATENCY_SEAL, 20000, w - 1);
    struct latency_figures figures = read_at(LATENCY_SEAL, w - 1);
    assert_string_equal(figures.stage, "seal");
    assert_string_equal(figures.source, "");
    assert_int_equal(figures.count, 3);
    assert_int_equal(figures.p50_us, 50);
    assert_in_range(figures.p99_us, 20000, 20320);
    assert_int_equal(figures.max_us, 20000);
    latency_record_at(LATENCY_SEAL, 60, w); /* the next window: both count */
    assert_int_equal(read_at(LATENCY_SEAL, 2 * w - 1).count, 4);
    assert_int_equal(read_at(LATENCY_SEAL, 2 * w).count, 1); /* the first is gone, unread */
    latency_record_at(LATENCY_SEAL, 61, 2 * w);              /* … and emptied */
    assert_int_equal(read_at(LATENCY_SEAL, 2 * w).count, 2);
    assert_int_equal(read_at(LATENCY_SEAL, 2 * w).max_us, 61);
    assert_int_equal(read_at(LATENCY_SEAL, 90 * w).count, 0);
    assert_int_equal(read_at(LATENCY_MERGE, 2 * w).count, 0);
    struct writer page;
    writer_init(&page);
    latency_print(&page);
    writer_u8(&page, 0);
    assert_non_null(strstr((const char *)page.data, "\nfreshet_seal_seconds_count 5\n"));
    writer_deinit(&page);
}

/* A family is announced once, its series differ by their labels. */
static void test_families(void **state)
{
    (void)state;
    struct writer page;
    writer_init(&page);
    latency_print(&page);
    writer_u8(&page, 0);
    const char *text = (const char *)page.data, *help = "# HELP freshet_freshness_seconds ";
    const char *first = strstr(text, help);
    assert_non_null(first);
    assert_null(strstr(first + 1, help));
    static const char *const sources[] = {"http", "kafka", "sql", "copy"};
    for (size_t i = 0; i < array_count(sources); i++) {
        char line[80];
        snprintf(line, sizeof(line), "freshet_freshness_seconds_count{source=\"%s\"} ", sources[i]);
        assert_non_null(strstr(first, line));
    }
    writer_deinit(&page);
}

static void record_many(void *context)
{
    (void)context;
    for (int64_t i = 0; i < 20000; i++)
        latency_record_at(LATENCY_ACK, i % 100, i * (LATENCY_WINDOW_US / 5000));
}

/* Threads cross from window to window together: nothing is lost of the whole. */
static void test_many_threads(void **state)
{
    (void)state;
    struct thread *threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = thread_start(&(struct thread_options){.name = "record", .run = record_many});
    for (int i = 0; i < 4; i++)
        thread_join(threads[i]);
    struct writer page;
    writer_init(&page);
    latency_print(&page);
    writer_u8(&page, 0);
    assert_non_null(
        strstr((const char *)page.data, "\nfreshet_ack_seconds_count{source=\"http\"} 80000\n"));
    writer_deinit(&page);
    /* a thread that is behind records into the window that others have begun */
    assert_in_range(read_at(LATENCY_ACK, 4 * LATENCY_WINDOW_US - 1).count, 1, 80000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
