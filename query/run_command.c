/* A statement of kind STATEMENT_COMMAND, carried out: by the callback of who owns the engine, which
 * knows tables and roles; INSERT and CREATE TABLE AS bring rows.
 *
 * All rows are there before the first is handed over, so a statement may read the table that it
 * writes to, and what fails half-way writes nothing. */
#include "query/run.h"

#include "query/audit.h"
#include "query/exec/rowset.h"

#include <assert.h>

#define INSERT_PIECE_ROWS ((size_t)65536)

static enum err hand_over(struct query_engine *engine, const struct statement *statement,
                          const struct batch *batches, size_t batch_count,
                          struct command_answer *out, struct error *error)
{
    const struct query_engine_options *options = &engine->options;
    if (options->command == NULL)
        return error_set(error, ERR_UNSUPPORTED, "0A000", "%s is not supported here",
                         statement->command_tag);
    worker_block_begin();
    enum err err =
        options->command(options->context, statement->command, batches, batch_count, out, error);
    worker_block_end();
    return err;
}

/* In pieces as long as a morsel of the store. */
enum err run_hand_over_rows(struct query_engine *engine, const struct statement *statement,
                            const struct rowset *rows, struct command_answer *out,
                            struct error *error)
{
    struct arena arena;
    size_t width = statement->plan->column_count - statement->command->returning_count;
    size_t count = (rows->row_count + INSERT_PIECE_ROWS - 1) / INSERT_PIECE_ROWS;
    arena_init(&arena);
    struct batch *batches = arena_alloc_array(&arena, count, sizeof(*batches));
    struct column *columns = arena_alloc_array(&arena, count * width, sizeof(*columns));
    for (size_t piece = 0; piece < count; piece++) {
        size_t first = piece * INSERT_PIECE_ROWS, left = rows->row_count - first;
        batches[piece] =
            (struct batch){.row_count = left < INSERT_PIECE_ROWS ? left : INSERT_PIECE_ROWS,
                           .column_count = width,
                           .columns = columns + piece * width};
        for (size_t i = 0; i < width; i++)
            batches[piece].columns[i] = rowset_column(rows, i, first);
    }
    enum err err = hand_over(engine, statement, batches, count, out, error);
    arena_deinit(&arena);
    return err;
}

/* The last columns of rows that are about to be stored. */
static enum err give_returning(struct run *run, const struct rowset *rows, struct error *error)
{
    size_t count = run->statement->command->returning_count;
    size_t begin = rows->column_count - count;
    struct column *columns = arena_alloc_array(&run->arena, count, sizeof(*columns));
    enum err err = OK;
    if (run->returning == NULL || count == 0)
        return OK;
    for (size_t first = 0; first < rows->row_count && err == OK; first += VECTOR_ROWS_MAX) {
        size_t left = rows->row_count - first;
        struct batch batch = {.row_count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX,
                              .column_count = count,
                              .columns = columns};
        for (size_t i = 0; i < count; i++)
            columns[i] = rowset_column(rows, begin + i, first);
        err = run->returning->rows(run->returning->context, &batch, error);
    }
    return err;
}

static enum err run_insert(struct run *run, struct command_answer *out, struct error *error)
{
    const struct plan *plan = run->statement->plan;
    struct rowset rows;
    struct batch batch;
    enum err err = run_open(run, error);
    rowset_init(&rows, plan->columns, plan->column_count, &run->entry.budget);
    while (err == OK && (err = run_next(run, &batch, error)) == OK && batch.row_count != 0)
        err = rowset_append(&rows, &batch, NULL, batch.row_count, error);
    if (err == OK)
        err = give_returning(run, &rows, error);
    if (err == OK)
        err = run_hand_over_rows(run->engine, run->statement, &rows, out, error);
    rowset_deinit(&rows);
    return err;
}

/* A table that is there already needs no rows; the one who writes it looks again. */
static enum err run_create_as(struct run *run, struct command_answer *out, struct error *error)
{
    const struct command *command = run->statement->command;
    bool is_there = snapshot_find(run->snapshot, command->table) != NULL;
    if (is_there && !command->if_exists)
        return error_set(error, ERR_EXISTS, "42P07", "relation \"%.*s\" already exists",
                         SLICE_ARGS(command->table));
    return is_there || command->is_without_rows
               ? hand_over(run->engine, run->statement, NULL, 0, out, error)
               : run_insert(run, out, error);
}

enum err run_command(struct run *run, struct command_answer *out, struct error *error)
{
    const struct command *command = run->statement->command;
    *out = (struct command_answer){.asker = run->request->asker};
    assert(run->statement->kind == STATEMENT_COMMAND);
    if (command->kind == COMMAND_INSERT)
        return run_insert(run, out, error);
    enum err err = command->is_as ? run_create_as(run, out, error)
                                  : hand_over(run->engine, run->statement, NULL, 0, out, error);
    run_log_command(run, err, error);
    return err;
}
