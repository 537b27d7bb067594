/* Calls with OVER against a naive model: random rows with equal and NULL keys, random partitions,
 * frames of every mode, bound and exclusion, functions by every strategy of window_aggregate.c. The
 * model asks of each pair of rows whether the one is in the other's frame, by the words of the
 * standard; it knows no pointers, trees or sliding sums. */
#include "query/exec/exec.h"
#include "tests/unit/query/sql/prepare.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED 20261121
#define ROUNDS 250
#define ROWS_MAX 300
#define NONE INT64_MIN /* NULL */
#define RESULTS 9

struct row {
    int64_t id, partition, key, value;
};

struct model {
    uint64_t random;
    size_t count;
    struct row rows[ROWS_MAX]; /* in the window's order */
    enum frame_mode mode;
    enum frame_bound start, end;
    int64_t start_offset, end_offset;
    enum frame_exclusion exclusion;
    bool is_descending;
};

static uint64_t draw(struct model *m, uint64_t range)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m->random >> 33) % range;
}

/* --- the model --- */

static bool before(const struct model *m, const struct row *a, const struct row *b)
{
    if (a->partition != b->partition)
        return a->partition < b->partition;
    if (a->key != b->key) { /* NULLs are last ascending, first descending */
        if (a->key == NONE || b->key == NONE)
            return (b->key == NONE) != m->is_descending;
        return (a->key < b->key) != m->is_descending;
    }
    return a->id < b->id;
}

static bool is_peer(const struct model *m, size_t a, size_t b)
{
    return m->rows[a].partition == m->rows[b].partition && m->rows[a].key == m->rows[b].key;
}

/* How many groups of peers lie from a to b. */
static int64_t groups_between(const struct model *m, size_t a, size_t b)
{
    int64_t groups = 0;
    size_t low = a < b ? a : b, high = a < b ? b : a;
    for (size_t row = low + 1; row <= high; row++)
        groups += !is_peer(m, row - 1, row);
    return a < b ? groups : -groups;
}

/* Is row `other` not before (is_start), or not after, the bound of row `row`'s frame? */
static bool is_inside(const struct model *m, size_t row, size_t other, bool is_start)
{
    enum frame_bound bound = is_start ? m->start : m->end;
    int64_t offset = is_start ? m->start_offset : m->end_offset;
    int64_t away; /* of other from row, in the bound's own measure */
    if (bound == BOUND_UNBOUNDED_PRECEDING || bound == BOUND_UNBOUNDED_FOLLOWING)
        return true;
    if (bound == BOUND_PRECEDING)
        offset = -offset;
    if (bound == BOUND_CURRENT)
        offset = 0;
    const struct row *a = &m->rows[row], *b = &m->rows[other];
    if (m->mode == FRAME_ROWS)
        away = (int64_t)other - (int64_t)row;
    else if (m->mode == FRAME_GROUPS || bound == BOUND_CURRENT)
        away = groups_between(m, row, other);
    else if (a->key == NONE || b->key == NONE)
        return is_peer(m, row, other) || (is_start ? other > row : other < row);
    else
        away = m->is_descending ? a->key - b->key : b->key - a->key;
    return is_start ? away >= offset : away <= offset;
}

static bool in_frame(const struct model *m, size_t row, size_t other)
{
    if (m->rows[row].partition != m->rows[other].partition || !is_inside(m, row, other, true) ||
        !is_inside(m, row, other, false))
        return false;
    switch (m->exclusion) {
    case EXCLUDE_CURRENT:
        return row != other;
    case EXCLUDE_GROUP:
        return !is_peer(m, row, other);
    case EXCLUDE_TIES:
        return row == other || !is_peer(m, row, other);
    default:
        return true;
    }
}

/* count(*), count(*) FILTER (WHERE v > 5), sum(v), min(v), sum(v::float8), first, last, 2nd value,
 * avg(v::float8) FILTER (WHERE v > 5) */
static void want_row(const struct model *m, size_t row, double *out)
{
    double sum = 0, big_sum = 0, least = NAN;
    size_t values = 0, big = 0, seen = 0, count = 0;
    double first = NAN, last = NAN, second = NAN;
    for (size_t other = 0; other < m->count; other++) {
        if (!in_frame(m, row, other))
            continue;
        int64_t value = m->rows[other].value;
        double given = value == NONE ? NAN : (double)value;
        count++;
        seen++;
        first = seen == 1 ? given : first;
        second = seen == 2 ? given : second;
        last = given;
        if (value == NONE)
            continue;
        values++;
        sum += given;
        least = isnan(least) || given < least ? given : least;
        big += value > 5;
        big_sum += value > 5 ? given : 0;
    }
    double want[RESULTS] = {(double)count,
                            (double)big,
                            values > 0 ? sum : NAN,
                            least,
                            values > 0 ? sum : NAN,
                            first,
                            last,
                            second,
                            big > 0 ? big_sum / (double)big : NAN};
    memcpy(out, want, sizeof(want));
}

/* --- the query --- */

static void write_value(struct writer *text, int64_t value)
{
    if (value == NONE)
        writer_cstr(text, "NULL::bigint");
    else
        writer_printf(text, "%lld::bigint", (long long)value);
}

static void write_bound(struct writer *text, enum frame_bound bound, int64_t offset)
{
    static const char *const words[] = {"UNBOUNDED PRECEDING", "PRECEDING", "CURRENT ROW",
                                        "FOLLOWING", "UNBOUNDED FOLLOWING"};
    if (bound == BOUND_PRECEDING || bound == BOUND_FOLLOWING)
        writer_printf(text, "%lld ", (long long)offset);
    writer_cstr(text, words[bound]);
}

static void write_query(struct model *m, struct writer *text)
{
    static const char *const modes[] = {"RANGE", "ROWS", "GROUPS"};
    static const char *const exclusions[] = {"NO OTHERS", "CURRENT ROW", "GROUP", "TIES"};
    writer_cstr(text,
                "SELECT count(*) OVER w, count(*) FILTER (WHERE v > 5) OVER w, sum(v::integer) "
                "OVER w, min(v) OVER w, sum(v::float8) OVER w, first_value(v) OVER w, "
                "last_value(v) OVER w, nth_value(v, 2) OVER w, avg(v::float8) FILTER (WHERE v > 5) "
                "OVER w FROM (SELECT * FROM (VALUES ");
    for (size_t row = 0; row < m->count; row++) {
        writer_printf(text, "%s(%lld, %lld::bigint, ", row > 0 ? ", " : "",
                      (long long)m->rows[row].id, (long long)m->rows[row].partition);
        write_value(text, m->rows[row].key);
        writer_cstr(text, ", ");
        write_value(text, m->rows[row].value);
        writer_cstr(text, ")");
    }
    writer_printf(text,
                  ") AS r (id, p, k, v) ORDER BY id) AS r WINDOW w AS (PARTITION BY p ORDER BY k%s "
                  "%s BETWEEN ",
                  m->is_descending ? " DESC" : "", modes[m->mode]);
    write_bound(text, m->start, m->start_offset);
    writer_cstr(text, " AND ");
    write_bound(text, m->end, m->end_offset);
    writer_printf(text, " EXCLUDE %s)", exclusions[m->exclusion]);
}

static void sort_rows(struct model *m)
{
    for (size_t i = 1; i < m->count; i++)
        for (size_t j = i; j > 0 && before(m, &m->rows[j], &m->rows[j - 1]); j--) {
            struct row swapped = m->rows[j];
            m->rows[j] = m->rows[j - 1];
            m->rows[j - 1] = swapped;
        }
}

static void make_round(struct model *m)
{
    m->count = draw(m, 4) == 0 ? draw(m, 4) : draw(m, ROWS_MAX);
    uint64_t partitions = 1 + draw(m, 4) * draw(m, 40), keys = 1 + draw(m, 60);
    for (size_t row = 0; row < m->count; row++)
        m->rows[row] = (struct row){
            .id = (int64_t)row,
            .partition = (int64_t)draw(m, partitions),
            .key = draw(m, 9) == 0 ? NONE : (int64_t)draw(m, keys),
            .value = draw(m, 5) == 0 ? NONE : (int64_t)draw(m, 20),
        };
    m->is_descending = draw(m, 2) == 1;
    m->mode = (enum frame_mode)draw(m, 3);
    m->exclusion = (enum frame_exclusion)draw(m, 4);
    m->start = (enum frame_bound)draw(m, BOUND_UNBOUNDED_FOLLOWING);
    do { /* PostgreSQL refuses an end that cannot come after the start */
        m->end = (enum frame_bound)(1 + draw(m, BOUND_UNBOUNDED_FOLLOWING));
    } while (m->end < m->start);
    m->start_offset = (int64_t)draw(m, draw(m, 2) == 1 ? 4 : 60);
    m->end_offset = (int64_t)draw(m, draw(m, 2) == 1 ? 4 : 60);
    sort_rows(m);
}

static double cell(const struct column *column, size_t row)
{
    if (column_is_null(column, row))
        return NAN;
    return type_physical((enum type_id)column->type.id) == PHYSICAL_FLOAT
               ? column->f[column_index(column, row)]
               : (double)column->i[column_index(column, row)];
}

static void compare(const struct model *m, const struct batch *batch, size_t first,
                    const char *text)
{
    for (size_t row = 0; row < batch->row_count; row++) {
        double want[RESULTS];
        want_row(m, first + row, want);
        for (size_t index = 0; index < RESULTS; index++) {
            double got = cell(&batch->columns[index], row);
            bool is_same = isnan(got) || isnan(want[index])
                               ? isnan(got) && isnan(want[index])
                               : fabs(got - want[index]) <= 1e-9 * (1 + fabs(got));
            if (!is_same)
                fail_msg("row %zu result %zu: %g, wanted %g, of %s", first + row, index, got,
                         want[index], text);
        }
    }
}

static void run_round(struct catalogue *catalogue, struct model *m)
{
    struct writer text;
    struct prepare_job job;
    struct budget budget = {.limit = (size_t)1 << 30, .name = "test"};
    struct exec exec;
    struct exec_node *node = NULL;
    struct batch batch;
    size_t seen = 0;
    make_round(m);
    if (m->count == 0)
        return;
    writer_init(&text);
    write_query(m, &text);
    prepare(catalogue, writer_as_slice(&text), &job);
    writer_u8(&text, 0);
    if (job.result != OK)
        fail_msg("%s: %s", job.error.text, text.data);
    exec_init(&exec, job.statement, NULL, &budget);
    assert_int_equal(exec_open(&exec, job.statement->plan, &node, &job.error), OK);
    while (exec_next(node, &batch, &job.error) == OK && batch.row_count > 0) {
        compare(m, &batch, seen, (const char *)text.data);
        seen += batch.row_count;
    }
    assert_int_equal(seen, m->count);
    exec_close(node);
    exec_deinit(&exec);
    assert_int_equal(budget.used, 0);
    statement_unref(job.statement);
    writer_deinit(&text);
}

static void test_random_frames(void **state)
{
    (void)state;
    struct catalogue catalogue;
    catalogue_open(&catalogue);
    struct model *m = calloc(1, sizeof(*m));
    m->random = SEED;
    print_message("seed %d\n", SEED);
    for (int round = 0; round < ROUNDS; round++)
        run_round(&catalogue, m);
    free(m);
    catalogue_close(&catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
