/* LATERAL lookups asked for a batch of left rows at once, against a model that looks at every right
 * row for every left row: with and without an equality, a bound of each kind, an order in each
 * direction by whole numbers and by doubles, a limit; NULLs on both sides; INNER and LEFT. */
#include "query/exec/exec.h"
#include "tests/unit/query/sql/prepare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED 20261123
#define ROUNDS 300
#define ROWS_MAX 120
#define NONE INT64_MIN /* NULL */

struct row {
    int64_t key, time;
};

struct model {
    uint64_t random;
    size_t left_count, right_count;
    struct row left[ROWS_MAX], right[ROWS_MAX];
    bool has_key, has_order, is_descending, is_nulls_first, is_left, is_float;
    unsigned bound; /* 0: none, then <, <=, >, >= */
    size_t limit;   /* SIZE_MAX: none */
    size_t picked[ROWS_MAX];
};

static const char *const operations[] = {"", "<", "<=", ">", ">="};

static uint64_t draw(struct model *m, uint64_t range)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m->random >> 33) % range;
}

static void make_rows(struct model *m, struct row *rows, size_t count, uint64_t keys)
{
    for (size_t row = 0; row < count; row++)
        rows[row] = (struct row){.key = draw(m, 9) == 0 ? NONE : (int64_t)draw(m, keys),
                                 .time = draw(m, 9) == 0 ? NONE : (int64_t)(draw(m, 40) + row / 4)};
}

static void make_round(struct model *m)
{
    uint64_t keys = 1 + draw(m, 20);
    m->left_count = 1 + draw(m, ROWS_MAX - 1);
    m->right_count = 1 + draw(m, ROWS_MAX - 1);
    m->bound = (unsigned)draw(m, 5);
    m->has_key = m->bound == 0 || draw(m, 4) != 0;
    m->has_order = m->bound != 0 || draw(m, 3) != 0;
    m->is_descending = draw(m, 2) == 1;
    m->is_nulls_first = draw(m, 2) == 1;
    m->is_left = draw(m, 2) == 1;
    m->is_float = draw(m, 3) == 0;
    m->limit = m->has_order ? draw(m, 4) : SIZE_MAX;
    make_rows(m, m->left, m->left_count, keys);
    make_rows(m, m->right, m->right_count, keys);
}

/* --- the model --- */

static bool meets(const struct model *m, const struct row *left, const struct row *right)
{
    if (m->has_key && (left->key == NONE || left->key != right->key))
        return false;
    if (m->bound == 0)
        return true;
    if (left->time == NONE || right->time == NONE)
        return false;
    int64_t a = right->time, b = left->time;
    return m->bound == 1 ? a < b : m->bound == 2 ? a <= b : m->bound == 3 ? a > b : a >= b;
}

static bool before(const struct model *m, size_t a, size_t b)
{
    int64_t x = m->right[a].time, y = m->right[b].time;
    if (x == y || !m->has_order)
        return a < b;
    if (x == NONE || y == NONE)
        return (x == NONE) == m->is_nulls_first;
    return (x < y) != m->is_descending;
}

static size_t pick(struct model *m, size_t left)
{
    size_t count = 0;
    for (size_t row = 0; row < m->right_count; row++) {
        if (!meets(m, &m->left[left], &m->right[row]))
            continue;
        size_t at = count++;
        for (; at > 0 && before(m, row, m->picked[at - 1]); at--)
            m->picked[at] = m->picked[at - 1];
        m->picked[at] = row;
    }
    return count < m->limit ? count : m->limit;
}

/* --- the query --- */

static void write_rows(struct writer *text, const struct row *rows, size_t count, const char *type)
{
    for (size_t row = 0; row < count; row++) {
        const int64_t cells[2] = {rows[row].key, rows[row].time};
        writer_printf(text, "%s(%zu", row > 0 ? ", " : "", row);
        for (size_t cell = 0; cell < 2; cell++) {
            const char *of = cell == 1 ? type : "bigint";
            if (cells[cell] == NONE)
                writer_printf(text, ", NULL::%s", of);
            else
                writer_printf(text, ", %lld::%s", (long long)cells[cell], of);
        }
        writer_cstr(text, ")");
    }
}

static void write_query(const struct model *m, struct writer *text)
{
    const char *type = m->is_float ? "float8" : "bigint";
    writer_cstr(text, "SELECT l.id::bigint, s.more FROM (VALUES ");
    write_rows(text, m->left, m->left_count, type);
    writer_printf(text, ") AS l (id, k, t) %s JOIN LATERAL (SELECT id::bigint + 1 AS more FROM ",
                  m->is_left ? "LEFT" : "INNER");
    writer_cstr(text, "(VALUES ");
    write_rows(text, m->right, m->right_count, type);
    writer_printf(text, ") AS r (id, k, t) WHERE true%s", m->has_key ? " AND r.k = l.k" : "");
    if (m->bound != 0)
        writer_printf(text, " AND r.t %s l.t", operations[m->bound]);
    if (m->has_order)
        writer_printf(text, " ORDER BY r.t%s NULLS %s, r.id LIMIT %zu",
                      m->is_descending ? " DESC" : "", m->is_nulls_first ? "FIRST" : "LAST",
                      m->limit);
    writer_cstr(text, ") AS s ON true");
}

/* --- a round --- */

struct pair {
    int64_t left, right;
};

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->left != y->left)
        return x->left < y->left ? -1 : 1;
    return (x->right > y->right) - (x->right < y->right);
}

static size_t want_pairs(struct model *m, struct pair *out)
{
    size_t count = 0;
    for (size_t left = 0; left < m->left_count; left++) {
        size_t rows = pick(m, left);
        for (size_t index = 0; index < rows; index++)
            out[count++] = (struct pair){(int64_t)left, (int64_t)m->picked[index] + 1};
        if (rows == 0 && m->is_left)
            out[count++] = (struct pair){(int64_t)left, NONE};
    }
    return count;
}

static size_t got_pairs(struct exec *exec, struct prepare_job *job, struct pair *out)
{
    struct exec_node *node = NULL;
    struct batch batch;
    size_t count = 0;
    assert_int_equal(exec_open(exec, job->statement->plan, &node, &job->error), OK);
    while (exec_next(node, &batch, &job->error) == OK && batch.row_count > 0)
        for (size_t row = 0; row < batch.row_count; row++) {
            const struct column *more = &batch.columns[1];
            const struct column *id = &batch.columns[0];
            out[count++] =
                (struct pair){id->i[column_index(id, row)],
                              column_is_null(more, row) ? NONE : more->i[column_index(more, row)]};
        }
    exec_close(node);
    return count;
}

static void run_round(struct catalogue *catalogue, struct model *m)
{
    static struct pair want[ROWS_MAX * ROWS_MAX], got[ROWS_MAX * ROWS_MAX];
    struct budget budget = {.limit = (size_t)1 << 30, .name = "test"};
    struct writer text;
    struct prepare_job job;
    struct exec exec;
    make_round(m);
    writer_init(&text);
    write_query(m, &text);
    prepare(catalogue, writer_as_slice(&text), &job);
    writer_u8(&text, 0);
    if (job.result != OK)
        fail_msg("%s: %s", job.error.text, text.data);
    exec_init(&exec, job.statement, NULL, &budget);
    size_t count = want_pairs(m, want), got_count = got_pairs(&exec, &job, got);
    exec_deinit(&exec);
    assert_int_equal(budget.used, 0);
    qsort(want, count, sizeof(*want), compare_pairs);
    qsort(got, got_count, sizeof(*got), compare_pairs);
    if (got_count != count || memcmp(got, want, count * sizeof(*want)) != 0)
        fail_msg("%zu pairs, wanted %zu, of %s", got_count, count, (const char *)text.data);
    statement_unref(job.statement);
    writer_deinit(&text);
}

static void test_random_lookups(void **state)
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
        cmocka_unit_test(test_random_lookups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
