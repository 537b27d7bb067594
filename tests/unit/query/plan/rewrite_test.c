/* Plans after the passes, as EXPLAIN prints them. */
#include "tests/unit/query/sql/group.h"

struct plan_case {
    const char *text, *want;
};

/* Conditions of scans are looked at in exec/condition_test.c. */
static void cut_conditions(char *text)
{
    for (char *at; (at = strstr(text, " skips by: ")) != NULL;)
        memmove(at, strchr(at, '\n'), strlen(strchr(at, '\n')) + 1);
}

static void run(const struct plan_case *cases, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        char *got = prepare_text(&catalogue, cases[index].text, true);
        cut_conditions(got);
        if (strcmp(got, cases[index].want) != 0)
            fail_msg("%s:\n%s--- wanted:\n%s", cases[index].text, got, cases[index].want);
        free(got);
    }
}

static void test_plans(void **state)
{
    static const struct plan_case cases[] = {
        {"select name from users u where exists (select 1 from clicks c where c.user_id = u.id and "
         "c.n > 1) and not exists (select 1 from clicks c where c.user_id = u.id and c.country <> "
         "u.country)",
         "Project name\n"
         "  ->  Anti hash join on id = user_id filter: (country <> country)\n"
         "        ->  Semi hash join on id = user_id\n"
         "              ->  Scan on users u (id, name, country)\n"
         "              ->  Scan on clicks c (user_id, n) filter: (n > 1)\n"
         "        ->  Scan on clicks c (user_id, country)\n"},
        {"select name from users u where id not in (select user_id from clicks c where c.country = "
         "u.country)",
         "Project name\n"
         "  ->  Anti hash join on country = country filter: ((id = user_id) IS NOT FALSE)\n"
         "        ->  Scan on users u (id, name, country)\n"
         "        ->  Scan on clicks c (user_id, country)\n"},
        {"select name from users u where (id, country) in (select user_id, country from clicks)",
         "Project name\n"
         "  ->  Semi hash join on id = user_id AND country = country\n"
         "        ->  Scan on users u (id, name, country)\n"
         "        ->  Scan on clicks (user_id, country)\n"},
        {"select name, (select max(n) from clicks c where c.user_id = u.id) from users u",
         "Project name, (subquery 1 of id)\n"
         "  ->  Scan on users u (id, name)\n"
         "Subquery 1\n"
         "  ->  Project max\n"
         "        ->  Group: max(n)\n"
         "              ->  Lookup by user_id = $1\n"
         "                    ->  Scan on clicks c (user_id, n)\n"},
        {"select name, s.n from users u left join lateral (select n from clicks c where c.user_id "
         "= "
         "u.id and ts < now() order by ts desc limit 1) s on true",
         "Project name, n\n"
         "  ->  Left apply with $1 = id\n"
         "        ->  Scan on users u (id, name)\n"
         "        ->  Project n\n"
         "              ->  Limit 1\n"
         "                    ->  Project n\n"
         "                          ->  Lookup by user_id = $1 in order of ts DESC\n"
         "                                ->  Scan on clicks c (ts, user_id, n) filter: (ts < "
         "now()) to: now()\n"},
        {"select u.name, s.name from users u, lateral (select * from users v where v.country = "
         "u.country and v.id <= u.id and v.id > u.id - 10 order by v.id desc limit 1) s",
         "Project name, name\n"
         "  ->  Cross apply with $1 = country, $2 = id\n"
         "        ->  Scan on users u (id, name, country)\n"
         "        ->  Limit 1\n"
         "              ->  Project name\n"
         "                    ->  Lookup by country = $1, id <= $2, id > ($2 - 10) in order of id "
         "DESC\n"
         "                          ->  Scan on users v (id, name, country)\n"},
        {"select coalesce(a.name, b.name) from users a full join users b using (id) right join "
         "clicks c on c.user_id = b.id and c.n > 1",
         "Project COALESCE(name, name)\n"
         "  ->  Right hash join on id = user_id filter: (n > 1)\n"
         "        ->  Project name, id, name\n"
         "              ->  Full hash join on id = id\n"
         "                    ->  Scan on users a (id, name)\n"
         "                    ->  Scan on users b (id, name)\n"
         "        ->  Scan on clicks c (user_id, n)\n"},
        {"select count(*) from clicks where n in (select id from users) and user_id < any (select "
         "id from users)",
         "Project count\n"
         "  ->  Group: count(*)\n"
         "        ->  Semi loop join filter: (user_id < id)\n"
         "              ->  Scan on clicks (user_id, n) filter: ((n)::bigint IN (subquery 1))\n"
         "              ->  Scan on users (id)\n"
         "Subquery 1\n"
         "  ->  Project id\n"
         "        ->  Scan on users (id)\n"},
        {"select country, count(*) from clicks where ts > now() - interval '1 hour' group by 1 "
         "order by 2 "
         "desc limit 10",
         "Sort by count DESC limit 10\n"
         "  ->  Project country, count\n"
         "        ->  Group by country: count(*)\n"
         "              ->  Scan on clicks (ts, country) filter: (ts > (now() - "
         "'01:00:00'::interval)) "
         "from: (now() - '01:00:00'::interval)\n"},
        {"select window_start, country, count(*) from tumble(clicks, ts, interval '1 minute') "
         "where ts >= "
         "'2026-01-01' and ts < '2026-01-02' group by 1, 2",
         "Project window_start, country, count\n"
         "  ->  Group by tumble_start(ts, '00:01:00'::interval, 'UTC'::text), country: count(*)\n"
         "        ->  Scan on clicks (ts, country) filter: ((ts >= '2026-01-01 "
         "00:00:00+00'::timestamp "
         "with time zone) AND (ts < '2026-01-02 00:00:00+00'::timestamp with time zone)) from: "
         "'2026-01-01 00:00:00+00'::timestamp with time zone to: '2026-01-02 "
         "00:00:00+00'::timestamp with "
         "time zone\n"},
        {"select window_start, count(*) from hop(clicks, ts, interval '1 minute', interval '5 "
         "minutes') "
         "where country = 'DE' and window_start > now() group by 1",
         "Project window_start, count\n"
         "  ->  Group by window_start: count(*)\n"
         "        ->  Filter: (window_start > now())\n"
         "              ->  Hop over ts size 00:05:00 slide 00:01:00\n"
         "                    ->  Scan on clicks (ts, country) filter: (country = 'DE'::text)\n"},
        {"select c.country, sum(amount) from clicks c left join users u on c.user_id = u.id and "
         "u.country "
         "= 'x' and c.n > 1 where c.n > 3 and u.name is null group by 1 having sum(amount) > 10 "
         "and "
         "c.country <> 'y'",
         "Project country, sum\n"
         "  ->  Filter: (sum > 10)\n"
         "        ->  Group by country: sum(amount)\n"
         "              ->  Filter: (name IS NULL)\n"
         "                    ->  Left hash join on user_id = id filter: (n > 1)\n"
         "                          ->  Scan on clicks c (user_id, country, amount, n) filter: ((n "
         "> 3) "
         "AND (country <> 'y'::text))\n"
         "                          ->  Scan on users u (id, name, country) filter: (country = "
         "'x'::text)\n"},
        {"select u.name, c.n from users u, clicks c where u.country = c.country and u.id > c.n and "
         "1 = "
         "c.user_id",
         "Project name, n\n"
         "  ->  Inner hash join on country = country filter: (id > n)\n"
         "        ->  Scan on users u (id, name, country)\n"
         "        ->  Scan on clicks c (user_id, country, n) filter: (1 = user_id)\n"},
        {"select u.name from users u cross join clicks c", "Project name\n"
                                                           "  ->  Cross loop join\n"
                                                           "        ->  Scan on users u (name)\n"
                                                           "        ->  Scan on clicks c ()\n"},
        {"select x.a from (select n + 1 as a, country from clicks) x where x.a > 5 and x.country = "
         "'z'",
         "Project (n + 1)\n"
         "  ->  Scan on clicks (country, n) filter: (((n + 1) > 5) AND (country = 'z'::text))\n"},
        {"select a from (select n as a from clicks union all select 1) x where a > 5",
         "Project a\n"
         "  ->  Append\n"
         "        ->  Project n\n"
         "              ->  Scan on clicks (n) filter: (n > 5)\n"
         "        ->  Project 1\n"
         "              ->  Filter: (1 > 5)\n"
         "                    ->  Values: 1 row\n"},
        {"select n from (select n, ts from clicks order by ts limit 5) x where n > 1",
         "Project n\n"
         "  ->  Filter: (n > 1)\n"
         "        ->  Sort by ts limit 5\n"
         "              ->  Project n, ts\n"
         "                    ->  Scan on clicks (ts, n)\n"},
        {"select n from (select n, ts from clicks order by ts) x where n > 1",
         "Project n\n"
         "  ->  Sort by ts\n"
         "        ->  Project n, ts\n"
         "              ->  Scan on clicks (ts, n) filter: (n > 1)\n"},
        {"select distinct country from clicks order by 1 nulls first",
         "Sort by country NULLS FIRST\n"
         "  ->  Distinct by country\n"
         "        ->  Scan on clicks (country)\n"},
        {"select n from clicks order by country desc offset 3",
         "Project n\n"
         "  ->  Sort by ?column? DESC offset 3\n"
         "        ->  Project n, country\n"
         "              ->  Scan on clicks (country, n)\n"},
        {"select count(*) from clicks where ts between '2026-01-01' and '2026-01-02' and ts > "
         "now() and "
         "'2026-01-03' > ts",
         "Project count\n"
         "  ->  Group: count(*)\n"
         "        ->  Scan on clicks (ts) filter: ((ts >= '2026-01-01 00:00:00+00'::timestamp with "
         "time "
         "zone) AND (ts <= '2026-01-02 00:00:00+00'::timestamp with time zone) AND (ts > now()) "
         "AND "
         "('2026-01-03 00:00:00+00'::timestamp with time zone > ts)) from: GREATEST('2026-01-01 "
         "00:00:00+00'::timestamp with time zone, now()) to: '2026-01-02 00:00:00+00'::timestamp "
         "with "
         "time zone\n"},
        {"select count(*) from users where id = (select max(user_id) from clicks) and exists "
         "(select 1 "
         "from clicks) and id in (select n from clicks)",
         "Project count\n"
         "  ->  Group: count(*)\n"
         "        ->  Filter: EXISTS (subquery 2)\n"
         "              ->  Scan on users (id) filter: ((id = (subquery 1)) AND (id IN (subquery "
         "3)))\n"
         "Subquery 1\n"
         "  ->  Project max\n"
         "        ->  Group: max(user_id)\n"
         "              ->  Scan on clicks (user_id)\n"
         "Subquery 2\n"
         "  ->  Limit 1\n"
         "        ->  Project 1\n"
         "              ->  Scan on clicks ()\n"
         "Subquery 3\n"
         "  ->  Project (n)::bigint\n"
         "        ->  Scan on clicks (n)\n"},
        {"select distinct on (country) country, n from clicks order by country, ts desc",
         "Project country, n\n"
         "  ->  First by country\n"
         "        ->  Sort by country, ?column? DESC, the first 1 of each 1\n"
         "              ->  Project country, n, ts\n"
         "                    ->  Scan on clicks (ts, country, n)\n"},
        {"select n from (select n, row_number() over (partition by country order by n) as place "
         "from clicks) x where place < 4 and n > 1",
         "Project n\n"
         "  ->  Filter: ((row_number < 4) AND (n > 1))\n"
         "        ->  Window partition by country order by n: row_number()\n"
         "              ->  Sort by country, n, the first 3 of each 1\n"
         "                    ->  Scan on clicks (country, n)\n"},
        {"select n from (select n, rank() over (partition by country, user_id order by n) as place "
         "from clicks) x where 2 >= place",
         "Project n\n"
         "  ->  Filter: (2 >= rank)\n"
         "        ->  Window partition by country, user_id order by n: rank()\n"
         "              ->  Sort by country, user_id, n, the first 2 of each 2\n"
         "                    ->  Scan on clicks (user_id, country, n)\n"},
        {"select n from (select n, row_number() over w as place, sum(n) over w as s from clicks "
         "window w as (partition by country order by n)) x where place = 1 and s > 3",
         "Project n\n"
         "  ->  Filter: ((row_number = 1) AND (sum > 3))\n"
         "        ->  Window partition by country order by n: row_number(), sum(n)\n"
         "              ->  Sort by country, n\n"
         "                    ->  Scan on clicks (country, n)\n"},
        {"select n from (select n, rank() over (partition by country) as place from clicks) x "
         "where place = 1",
         "Project n\n"
         "  ->  Filter: (rank = 1)\n"
         "        ->  Window partition by country: rank()\n"
         "              ->  Sort by country\n"
         "                    ->  Scan on clicks (country, n)\n"},
        {"select n from (select n, row_number() over (partition by country order by n) as place "
         "from clicks) x where place >= 2",
         "Project n\n"
         "  ->  Filter: (row_number >= 2)\n"
         "        ->  Window partition by country order by n: row_number()\n"
         "              ->  Sort by country, n\n"
         "                    ->  Scan on clicks (country, n)\n"},
        {"select rows from freshet.tables where bytes > 1",
         "Project rows\n"
         "  ->  Scan on freshet.tables (rows, bytes) filter: (bytes > 1)\n"},
        {"select b from (values (1, 2), (3, 4)) v(a, b)", "Project column2\n"
                                                          "  ->  Values: 2 rows\n"},
        {"with x as (select country, count(*) as c from clicks group by country) select c from x "
         "where c "
         "> 5 and country <> 'DE' order by c + 1",
         "Project c\n"
         "  ->  Sort by ?column?\n"
         "        ->  Project count, (count + 1)\n"
         "              ->  Filter: (count > 5)\n"
         "                    ->  Group by country: count(*)\n"
         "                          ->  Scan on clicks (country) filter: (country <> "
         "'DE'::text)\n"},
        {"select sum(a), max(a) from (select n * 2 as a from clicks) x",
         "Project sum, max\n"
         "  ->  Group: sum(a), max(a)\n"
         "        ->  Project (n * 2)\n"
         "              ->  Scan on clicks (n)\n"},
        {"select n from clicks where true", "Project n\n"
                                            "  ->  Scan on clicks (n)\n"},
        {"select count(*) from tumble(clicks, ts, interval '1 day') where window_start >= now() "
         "and "
         "window_start < '2026-02-01'",
         "Project count\n"
         "  ->  Group: count(*)\n"
         "        ->  Scan on clicks (ts) filter: ((tumble_start(ts, '1 day'::interval, "
         "'UTC'::text) >= "
         "now()) AND (tumble_start(ts, '1 day'::interval, 'UTC'::text) < '2026-02-01 "
         "00:00:00+00'::timestamp with time zone)) from: now()\n"},
        {"select sum(n) from clicks where date_trunc('day', ts) = '2026-02-01' and now() > "
         "date_trunc('day', ts)",
         "Project sum\n"
         "  ->  Group: sum(n)\n"
         "        ->  Scan on clicks (ts, n) filter: ((date_trunc('day'::text, ts) = '2026-02-01 "
         "00:00:00+00'::timestamp with time zone) AND (now() > date_trunc('day'::text, ts))) from: "
         "'2026-02-01 00:00:00+00'::timestamp with time zone\n"},
    };
    (void)state;
    run(cases, array_count(cases));
}

static void test_actual(void **state)
{
    struct prepare_job job;
    struct writer lines;
    (void)state;
    prepare(&catalogue, SLICE("explain analyze select n from users u, clicks"), &job);
    assert_int_equal(job.result, OK);
    assert_true(job.statement->is_analyze);
    struct plan_actual actual[4];
    assert_int_equal(job.statement->plan_count, 4);
    for (uint32_t index = 0; index < 4; index++)
        actual[index] =
            (struct plan_actual){.rows = index, .rows_in = index * 2, .time_ns = 1500000};
    writer_init(&lines);
    plan_explain(job.statement, actual, &lines);
    assert_true(
        slice_equal(writer_as_slice(&lines),
                    SLICE("Project n  (rows=0 time=1.500 ms)\n"
                          "  ->  Cross loop join  (rows=1 of 2 time=1.500 ms)\n"
                          "        ->  Scan on users u ()  (rows=2 of 4 time=1.500 ms)\n"
                          "        ->  Scan on clicks (n)  (rows=3 of 6 time=1.500 ms)\n")));
    writer_deinit(&lines);
    struct statement *again = statement_ref(job.statement);
    statement_unref(job.statement);
    statement_unref(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_plans), cmocka_unit_test(test_actual)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
