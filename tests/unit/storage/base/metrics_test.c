/* The metrics page: text format, escaping, collectors. */
#include "storage/base/latency.h"
#include "storage/base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void collect(void *context, struct writer *out)
{
    struct writer labels;
    writer_init(&labels);
    metrics_label(&labels, "source", SLICE("a\"b\\c\nd"));
    metrics_label(&labels, "fate", SLICE("stored"));
    writer_u8(&labels, 0);
    metrics_print_family(out, "freshet_rows_total", "counter", "Rows by fate\\source.\nTwo lines.");
    metrics_print_sample(out, "freshet_rows_total", (const char *)labels.data, *(double *)context);
    writer_deinit(&labels);
}

static void test_page(void **state)
{
    (void)state;
    double rows = 12;
    metric_add(&metrics.log_bytes, 41);
    metric_add(&metrics.log_bytes, 1);
    metric_set(&metrics.http_connections, -3);
    latency_record(LATENCY_QUERY, 700);
    latency_record(LATENCY_QUERY, 30000000);
    latency_record(LATENCY_FRESH_KAFKA, -5);
    metrics_register(collect, &rows);
    struct writer out;
    writer_init(&out);
    metrics_print(&out);
    writer_u8(&out, 0);
    const char *page = (const char *)out.data;
    static const char *const wanted[] = {
        "# HELP freshet_log_bytes_total Bytes written to the log.\n# TYPE freshet_log_bytes_total "
        "counter\n"
        "freshet_log_bytes_total 42\n",
        "freshet_http_connections -3\n",
        "freshet_query_seconds_bucket{le=\"0.0005\"} 0\nfreshet_query_seconds_bucket{le=\"0.001\"} "
        "1\n",
        "freshet_query_seconds_bucket{le=\"10\"} 1\nfreshet_query_seconds_bucket{le=\"+Inf\"} 2\n"
        "freshet_query_seconds_sum 30.0007\nfreshet_query_seconds_count 2\n",
        "freshet_freshness_seconds_bucket{source=\"kafka\",le=\"+Inf\"} 1\n"
        "freshet_freshness_seconds_sum{source=\"kafka\"} 0\n"
        "freshet_freshness_seconds_count{source=\"kafka\"} 1\n",
        "# HELP freshet_rows_total Rows by fate\\\\source.\\nTwo lines.\n",
        "freshet_rows_total{source=\"a\\\"b\\\\c\\nd\",fate=\"stored\"} 12\n",
    };
    for (size_t index = 0; index < array_count(wanted); index++)
        assert_non_null(strstr(page, wanted[index]));
    metrics_unregister_all();
    writer_reset(&out);
    metrics_print(&out);
    writer_u8(&out, 0);
    assert_null(strstr((const char *)out.data, "freshet_rows_total"));
    writer_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
