/* Intervals: every form of input, printed back.
 * Expected values are PostgreSQL 15's. */
#include "storage/base/datetime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/storage/cases.h"

static const struct {
    const char *input, *want;
} parse_cases[] = {
    {"1 day", "1 day"},
    {"1 day 2 hours", "1 day 02:00:00"},
    {"30 s", "00:00:30"},
    {"1 minute", "00:01:00"},
    {"30", "00:00:30"},
    {"1.5", "00:00:01.5"},
    {"P1DT2H", "1 day 02:00:00"},
    {"P1Y2M3W4DT5H6M7.8S", "1 year 2 mons 25 days 05:06:07.8"},
    {"PT36H", "36:00:00"},
    {"P1.5D", "1 day 12:00:00"},
    {"PT0.5S", "00:00:00.5"},
    {"P", "!22007"},
    {"PT", "00:00:00"},
    {"01:02:03", "01:02:03"},
    {"01:02", "01:02:00"},
    {"1:2:3.5", "01:02:03.5"},
    {"04:05.5", "00:04:05.5"},
    {"1-2", "1 year 2 mons"},
    {"-1-2", "-1 years -2 mons"},
    {"1-12", "!22015"},
    {"3 04:05:06", "3 days 04:05:06"},
    {"3 days -04:05:06", "3 days -04:05:06"},
    {"-3 days 04:05:06", "-3 days +04:05:06"},
    {"1 year 2 mons 3 days 04:05:06.5", "1 year 2 mons 3 days 04:05:06.5"},
    {"1 year -2 mons", "10 mons"},
    {"-1 year 2 mons", "-10 mons"},
    {"1 mon -1 day", "1 mon -1 days"},
    {"-1 mon 1 day", "-1 mons +1 day"},
    {"1 day ago", "-1 days"},
    {"@ 1 day 2 hours ago", "-1 days -02:00:00"},
    {"1.5 days", "1 day 12:00:00"},
    {"1.5 months", "1 mon 15 days"},
    {"1.5 years", "1 year 6 mons"},
    {"1.5 weeks", "10 days 12:00:00"},
    {"1.25 hours", "01:15:00"},
    {"0.5 min", "00:00:30"},
    {"1.5 ms", "00:00:00.0015"},
    {"1.5 us", "00:00:00.000001"},
    {"100 ms", "00:00:00.1"},
    {"1 week", "7 days"},
    {"2 decades", "20 years"},
    {"1 century", "100 years"},
    {"1 millennium", "1000 years"},
    {"1 qtr", "!22007"},
    {"1 quarter", "!22007"},
    {"1 day 2 days", "!22007"},
    {"day", "!22007"},
    {"1", "00:00:01"},
    {"", "!22007"},
    {"abc", "!22007"},
    {"1 x", "!22007"},
    {"1 day 2", "1 day 00:00:02"},
    {"1 month 1.5", "1 mon 00:00:01.5"},
    {"1day2hours", "!22007"},
    {"1d 2h 3m 4s", "1 day 02:03:04"},
    {"1 h", "01:00:00"},
    {"1y", "1 year"},
    {"-1:30", "-01:30:00"},
    {"+02:30", "02:30:00"},
    {"1 +02:30", "1 day 02:30:00"},
    {"1 2:30", "1 day 02:30:00"},
    {"25:61", "!22015"},
    {"25:59:61", "!22015"},
    {"100:00:00", "100:00:00"},
    {"1e3 s", "!22007"},
    {"0", "00:00:00"},
    {"0 days", "00:00:00"},
    {"-0:00:01", "-00:00:01"},
    {"1 us", "00:00:00.000001"},
    {"999999 us", "00:00:00.999999"},
    {"1000000 us", "00:00:01"},
    {"1 mons", "1 mon"},
    {"13 months", "1 year 1 mon"},
    {"-13 months", "-1 years -1 mons"},
    {"-25 hours", "-25:00:00"},
    {"2147483647 days", "2147483647 days"},
    {"2147483648 days", "!22015"},
    {"2147483647 months", "178956970 years 7 mons"},
    {"178956971 years", "!22008"},
    {"9223372036854 seconds", "2562047788:00:54"},
    {"99999999999999999999 s", "!22015"},
    {"1 day, 2 hours", "1 day 02:00:00"},
    {"1 hour 30", "01:00:30"},
    {"12 hrs", "12:00:00"},
    {"3 secs", "00:00:03"},
    {"5 mins", "00:05:00"},
    {"7 usecs", "00:00:00.000007"},
    {"7 msecs", "00:00:00.007"},
    {"1.123456789 s", "00:00:01.123457"},
    {"0.0000005 s", "00:00:00"},
    {"1.0000005 s", "00:00:01"},
    {"-1.5 days", "-1 days -12:00:00"},
    {"-1.5 months", "-1 mons -15 days"},
    {"-0.5 s", "-00:00:00.5"},
    {"P-1D", "-1 days"},
    {"P1D2H", "!22007"},
    {"P1H", "!22007"},
    {"p1d", "!22007"},
    {"PT1.5H", "01:30:00"},
    {"1 month ago", "-1 mons"},
    {"1 day 04:05:06 ago", "-1 days -04:05:06"},
    {"1 12:59:10", "1 day 12:59:10"},
    {"4 years 5 months 10 days", "4 years 5 mons 10 days"},
    {"1-2 3 4:05:06", "1 year 2 mons 3 days 04:05:06"},
    {"1 week 2 days", "9 days"},
    {"0.1 months", "3 days"},
    {"0.7 years", "8 mons"},
    {"1.05 years", "1 year 1 mon"},
    {"-1.05 years", "-1 years -1 mons"},
    {"3:04:05:06", "!22007"},
    {".5 s", "00:00:00.5"},
    {"5 -s", "!22007"},
    {"1 century 1 decade 1 year", "111 years"},
    {"0.03 months", "21:36:00"},
    {"1 sec 500 ms", "00:00:01.5"},
};

static void test_parse_and_print(void **state)
{
    (void)state;
    struct writer out;
    writer_init(&out);
    for (size_t index = 0; index < array_count(parse_cases); index++) {
        struct interval value;
        struct error error;
        enum err err = interval_parse(slice_from_cstr(parse_cases[index].input), &value, &error);
        if (err == OK)
            interval_print(value, &out);
        check("interval", parse_cases[index].input, err, &error, &out, parse_cases[index].want);
    }
    writer_deinit(&out);
    assert_int_equal(wrong_count, 0);
}

static void test_span(void **state)
{
    (void)state;
    struct interval month = {.months = 1}, days = {.days = 30},
                    less = {.microseconds = 30 * MICROSECONDS_PER_DAY - 1};
    assert_true(interval_span(month) == interval_span(days));
    assert_true(interval_span(less) < interval_span(days));
    struct interval least = {INT32_MIN, INT32_MIN, INT64_MIN};
    assert_true(interval_span(least) < interval_span(less));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_print),
        cmocka_unit_test(test_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
