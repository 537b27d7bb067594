/* Fuzz target: bytes as SQL text, prepared over a fixed catalogue. It gives a plan that can be
 * explained, or an error with an SQLSTATE and a position inside the text. On a stack of its own, as
 * in a worker. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/query/sql/catalogue.h"

#include "storage/base/logger.h"

#include <pthread.h>

/* Sanitizers multiply the size of frames. */
#define STACK_SIZE ((size_t)512 << 20)

static struct catalogue catalogue;

static void check(struct slice text)
{
    struct error error = {0};
    struct statement *statement;
    enum err result = sql_prepare(text, &catalogue.context, &statement, &error);
    if (result != OK) {
        assert(error.sqlstate[0] != 0 && error.text[0] != 0);
        assert(error.text_position >= 0 && (size_t)error.text_position <= text.size + 1);
        return;
    }
    if (statement->plan != NULL) {
        struct writer lines;
        writer_init(&lines);
        plan_explain(statement, NULL, &lines);
        assert(lines.size > 0);
        writer_deinit(&lines);
    }
    statement_unref(statement);
}

static void *run(void *context)
{
    const struct slice *text = context;
    check(*text);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    pthread_attr_t attributes;
    pthread_t thread;
    if (catalogue.store == NULL) {
        logger_set_level((enum log_level)(LOG_ERROR + 1));
        catalogue_open(&catalogue);
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int failed = pthread_create(&thread, &attributes, run, &text);
    assert(failed == 0);
    failed = pthread_join(thread, NULL);
    assert(failed == 0);
    pthread_attr_destroy(&attributes);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const char *const seeds[] = {
        "select country, count(*) from clicks where ts > now() - interval '1 h' group by 1 order "
        "by 2 limit 9",
        "select window_start, avg(n) from tumble(clicks, ts, interval '1 minute', 'UTC') w group "
        "by 1 having 1 < 2",
        "select * from hop((select * from clicks), ts, interval '1 minute', interval '5 minutes') "
        "h where n = 3",
        "select c.*, u.name from clicks c left join users u on c.user_id = u.id and u.country = "
        "'x' where n in (1, 2)",
        "with x(a) as (select n from clicks), y as (values (1, 'a')) select * from x, y where a "
        "between 1 and column1",
        "select 1 union all select 2.5 union all select null order by 1 nulls first offset 1",
        "select (select max(n) from clicks), exists (select 1), 3 in (select n from clicks), "
        "n=any('{1}') from clicks",
        "select case n when 1 then 'a' else country end, coalesce(n, 2), greatest(n, 3), -n::text "
        "from clicks",
        "select count(distinct n) filter (where n > 1), percentile_cont(0.5) within group (order "
        "by n) from clicks",
        "create table t (a int default 1 + (2), b numeric(10,-2), c text[]) with (time = 'b', "
        "\"x\" = -5)",
        "insert into clicks (ts, n) values ('2026-01-01', default), (now(), $$5$$)",
        "alter table clicks add column b int default 'x', drop column n",
        "comment on column a.b is 'c'; select 1",
        "set local timezone = 'Europe/Berlin'",
        "explain (analyze, format text) select * from freshet.tables where rows > E'\\x31'",
        "select /* /* */ ( */ U&'\\0041', \"a\"\"b\", $1, 1e5, .5 -- (\n from users",
        "((((((((((((((((((((((((((((((((select 1))))))))))))))))))))))))))))))))",
        "select not not not - - - ((1)) = all (array[1, 2]) is not distinct from null",
        "show all",
    };
    return index < array_count(seeds) ? slice_from_cstr(seeds[index]) : (struct slice){0};
}
