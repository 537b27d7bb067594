/* Finds the rows of a batch that come before the first that raises.
 *
 *   rows     0 ──────────── r ─────── 2047         row r divides by zero
 *   given    0 … r - 1                              … and the next call raises
 *
 * PostgreSQL evaluates row by row and stops where LIMIT, EXISTS or a cursor has enough, so what a
 * later row would raise is never met. Batches are evaluated whole, which costs nothing more until
 * one fails. Then its first rows are evaluated again, as many as can be: 1, 3, 7 … and by halves
 * between what passed and what failed, at most 22 times. A filter or projection gives these rows,
 * and raises when it is asked for more; a join does so below itself (raise_next() of its child), so
 * that the rows it has in hand are finished in its own way.
 *
 * Operators that need all rows meet the error at their next call, so nothing changes for them. */
#include "query/exec/raise.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

struct attempt {
    struct evaluator **evaluators;
    size_t evaluator_count;
    const struct batch *batch;
    /* Of a filter. */
    uint32_t *selection;
    size_t *selected;
    /* Of others: a column for each evaluator. */
    struct column *out;
};

static enum err evaluate_rows(const struct attempt *attempt, size_t row_count, struct error *error)
{
    struct batch batch = *attempt->batch;
    batch.row_count = row_count;
    if (attempt->selection == NULL)
        return exec_evaluate(attempt->evaluators, attempt->evaluator_count, &batch, attempt->out,
                             error);
    return evaluator_filter(attempt->evaluators[0], &batch, NULL, 0, attempt->selection,
                            attempt->selected, error);
}

/* Not of the machine or who asks: memory, time, cancel. */
static bool is_of_row(enum err err, const struct error *error)
{
    return error->code == err &&
           (err == ERR_INPUT || err == ERR_UNSUPPORTED || strncmp(error->sqlstate, "54", 2) == 0);
}

/* All of *row_count rows failed with *error. Evaluates as many of the first ones as can be. */
static enum err rows_before(const struct attempt *attempt, enum err err, size_t *row_count,
                            struct error *error)
{
    size_t passes = 0, fails = *row_count, last = *row_count;
    while (is_of_row(err, error) && fails - passes > 1) {
        struct error own = {.code = OK};
        size_t rising = passes * 2 + 1, middle = passes + (fails - passes) / 2;
        last = rising < middle ? rising : middle;
        enum err result = evaluate_rows(attempt, last, &own);
        if (result == OK) {
            passes = last;
        } else {
            fails = last;
            err = result;
            *error = own;
        }
    }
    if (!is_of_row(err, error))
        return err;
    *row_count = passes;
    if (passes == 0 && attempt->selection != NULL)
        *attempt->selected = 0;
    if (passes == 0 || passes == last)
        return OK;
    struct error own;
    err = evaluate_rows(attempt, passes, &own);
    if (err != OK) /* random() in it: another row raises each time */
        *error = own;
    return err;
}

enum err raise_filter(struct evaluator *predicate, struct batch *batch, uint32_t *selection,
                      size_t *count, struct error *error)
{
    enum err err = evaluator_filter(predicate, batch, NULL, 0, selection, count, error);
    if (err == OK)
        return OK;
    struct attempt attempt = {.evaluators = &predicate,
                              .evaluator_count = 1,
                              .batch = batch,
                              .selection = selection,
                              .selected = count};
    return rows_before(&attempt, err, &batch->row_count, error);
}

enum err raise_evaluate(struct evaluator **evaluators, size_t count, struct batch *batch,
                        struct column *out, struct error *error)
{
    enum err err = exec_evaluate(evaluators, count, batch, out, error);
    if (err == OK)
        return OK;
    struct attempt attempt = {
        .evaluators = evaluators, .evaluator_count = count, .batch = batch, .out = out};
    return rows_before(&attempt, err, &batch->row_count, error);
}

void raise_next(struct exec_node *node, const struct error *error)
{
    assert(error->code != OK);
    if (fault_is("raise.forgotten"))
        return;
    struct error *raised = arena_alloc(&node->exec->arena, sizeof(*raised));
    *raised = *error;
    node->raised = raised;
}
