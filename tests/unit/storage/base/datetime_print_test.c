/* Times as text: SQL and JSON styles, zones, years BC, infinities.
 * Expected values are PostgreSQL 15's. */
#include "storage/base/datetime.h"
#include "storage/io/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/storage/cases.h"

static const struct {
    const char *zone, *input, *want;
} json_cases[] = {
    {"UTC", "2026-05-01 10:00:00.5+00", "\"2026-05-01T10:00:00.5+00:00\""},
    {"UTC", "0044-03-15 12:00+00 BC", "\"0044-03-15T12:00:00+00:00 BC\""},
    {"UTC", "infinity", "\"infinity\""},
    {"UTC", "12345-01-01 00:00+00", "\"12345-01-01T00:00:00+00:00\""},
    {"UTC", "1800-01-01 00:00+00", "\"1800-01-01T00:00:00+00:00\""},
    {"Europe/Berlin", "2026-05-01 10:00:00.5+00", "\"2026-05-01T12:00:00.5+02:00\""},
    {"Europe/Berlin", "0044-03-15 12:00+00 BC", "\"0044-03-15T12:53:28+00:53:28 BC\""},
    {"Europe/Berlin", "infinity", "\"infinity\""},
    {"Europe/Berlin", "12345-01-01 00:00+00", "\"12345-01-01T01:00:00+01:00\""},
    {"Europe/Berlin", "1800-01-01 00:00+00", "\"1800-01-01T00:53:28+00:53:28\""},
    {"Asia/Kolkata", "2026-05-01 10:00:00.5+00", "\"2026-05-01T15:30:00.5+05:30\""},
    {"Asia/Kolkata", "0044-03-15 12:00+00 BC", "\"0044-03-15T17:53:28+05:53:28 BC\""},
    {"Asia/Kolkata", "infinity", "\"infinity\""},
    {"Asia/Kolkata", "12345-01-01 00:00+00", "\"12345-01-01T05:30:00+05:30\""},
    {"Asia/Kolkata", "1800-01-01 00:00+00", "\"1800-01-01T05:53:28+05:53:28\""},
};

static const struct timezone *zone_of(const char *name)
{
    const struct timezone *zone;
    struct error error;
    assert_int_equal(timezone_find(slice_from_cstr(name), &zone, &error), OK);
    return zone;
}

static void test_json(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < array_count(json_cases); index++) {
        int64_t value;
        struct error error;
        assert_int_equal(timestamptz_parse(slice_from_cstr(json_cases[index].input), timezone_utc,
                                           0, &value, &error),
                         OK);
        writer_u8(&out, '"');
        timestamptz_print(value, zone_of(json_cases[index].zone), TIME_STYLE_JSON, &out);
        writer_u8(&out, '"');
        check(json_cases[index].zone, json_cases[index].input, OK, NULL, &out,
              json_cases[index].want);
    }
    timestamp_print(INT64_C(1777629600500000), TIME_STYLE_JSON, &out);
    check("timestamp", "json", OK, NULL, &out, "2026-05-01T10:00:00.5");
    timestamp_print(TIME_MINUS_INFINITY, TIME_STYLE_JSON, &out);
    check("timestamp", "json", OK, NULL, &out, "-infinity");
    date_print(DATE_INFINITY, &out);
    check("date", "infinity", OK, NULL, &out, "infinity");
    date_print(days_from_civil(-43, 3, 15), &out);
    check("date", "bc", OK, NULL, &out, "0044-03-15 BC");
    interval_print((struct interval){INT32_MIN, INT32_MIN, INT64_MIN}, &out);
    check("interval", "least", OK, NULL, &out,
          "-178956970 years -8 mons -2147483648 days -2562047788:00:54.775808");
    writer_deinit(&out);
    assert_int_equal(wrong_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
    };
    timezone_set_loader(io_load_timezone);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
