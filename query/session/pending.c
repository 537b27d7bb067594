/* What a transaction has written: rows that wait for its COMMIT, and one record of them then.
 *
 *   INSERT ─▶ rowset of its table and columns ─┐
 *   COPY ──▶ commit of its own ────────────────┴─COMMIT─▶ one commit ─▶ one record, all or nothing
 *
 * INSERTs of one target are gathered, so that ten thousand of a row each cost no more than one of
 * ten thousand rows. What is held is charged to the transaction's budget and let go with it. */
#include "query/session/inside.h"

#include <assert.h>

void pending_init(struct pending *pending, struct query_session *session)
{
    *pending = (struct pending){
        .budget = {.parent = session->options.engine->options.memory,
                   .limit = session->settings.query_memory,
                   .name = "transaction"},
    };
}

static void drop_rows(struct pending_rows **link)
{
    struct pending_rows *rows = *link;
    *link = rows->next;
    rowset_deinit(&rows->rows);
    statement_unref(rows->statement);
    memory_free(rows);
}

static void drop_copy(struct pending_copy **link)
{
    struct pending_copy *copy = *link;
    *link = copy->next;
    if (copy->commit != NULL)
        commit_destroy(copy->commit);
    schema_unref(copy->schema);
    memory_free(copy);
}

void pending_deinit(struct pending *pending)
{
    while (pending->rows != NULL)
        drop_rows(&pending->rows);
    while (pending->copies != NULL)
        drop_copy(&pending->copies);
    size_t used = atomic_load_explicit(&pending->budget.used, memory_order_relaxed);
    if (used != 0)
        budget_release(&pending->budget, used);
}

bool pending_is_empty(const struct pending *pending)
{
    return pending->rows == NULL && pending->copies == NULL;
}

static const struct schema *schema_of(const struct pending_rows *rows)
{
    return rows->statement->command->schema;
}

bool pending_has_table(const struct pending *pending, uint32_t table_id)
{
    bool has = false;
    for (const struct pending_rows *rows = pending->rows; rows != NULL; rows = rows->next)
        has |= schema_of(rows)->table_id == table_id;
    for (const struct pending_copy *copy = pending->copies; copy != NULL; copy = copy->next)
        has |= copy->schema->table_id == table_id;
    return has;
}

void pending_forget(struct pending *pending,
                    bool (*is_gone)(const void *context, uint32_t table_id), const void *context)
{
    for (struct pending_rows **link = &pending->rows; *link != NULL;) {
        if (is_gone(context, schema_of(*link)->table_id))
            drop_rows(link);
        else
            link = &(*link)->next;
    }
    for (struct pending_copy **link = &pending->copies; *link != NULL;) {
        if (is_gone(context, (*link)->schema->table_id))
            drop_copy(link);
        else
            link = &(*link)->next;
    }
}

/* --- adding --- */

static enum err null_refused(const struct schema *schema, const struct column_definition *column,
                             struct error *error)
{
    return error_set(
        error, ERR_INPUT, "23502",
        "null value in column \"%.*s\" of relation \"%.*s\" violates not-null constraint",
        SLICE_ARGS(column->name), SLICE_ARGS(schema->name));
}

static bool is_given(const struct command *command, uint32_t column_id)
{
    bool is_given = false;
    for (size_t i = 0; i < command->column_id_count; i++)
        is_given |= command->column_ids[i] == column_id;
    return is_given;
}

/* Of the columns that are not named; those with a DEFAULT are looked at by COMMIT. */
static enum err check_absent(const struct command *command, struct error *error)
{
    const struct schema *schema = command->schema;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct column_definition *column = &schema->columns[i];
        if (column->is_not_null && column->default_text.size == 0 && !is_given(command, column->id))
            return null_refused(schema, column, error);
    }
    return OK;
}

/* The statement that brings a NULL is told so, not the COMMIT. */
static enum err check_given(const struct command *command, const struct batch *batch,
                            struct error *error)
{
    const struct schema *schema = command->schema;
    for (size_t i = 0; i < command->column_id_count && i < batch->column_count; i++) {
        int32_t place = schema_find_id(schema, command->column_ids[i]);
        if (place < 0 || !schema->columns[place].is_not_null)
            continue;
        for (size_t row = 0; row < batch->row_count; row++)
            if (column_is_null(&batch->columns[i], row))
                return null_refused(schema, &schema->columns[place], error);
    }
    return OK;
}

static bool is_same_target(const struct command *a, const struct command *b)
{
    return a->schema->table_id == b->schema->table_id && a->schema->version == b->schema->version &&
           a->column_id_count == b->column_id_count &&
           memcmp(a->column_ids, b->column_ids, a->column_id_count * sizeof(*a->column_ids)) == 0;
}

static struct pending_rows *find_rows(struct pending *pending, struct statement *statement,
                                      size_t width)
{
    struct pending_rows **link = &pending->rows;
    while (*link != NULL && !is_same_target((*link)->statement->command, statement->command))
        link = &(*link)->next;
    if (*link == NULL) {
        *link = memory_alloc_zero(sizeof(**link));
        (*link)->statement = statement_ref(statement);
        rowset_init(&(*link)->rows, statement->plan->columns, width, &pending->budget);
    }
    return *link;
}

enum err pending_insert(struct pending *pending, struct run *run, uint64_t *row_count,
                        struct error *error)
{
    const struct plan *plan = run->statement->plan;
    size_t width = plan->column_count - run->statement->command->returning_count;
    struct pending_rows *target = find_rows(pending, run->statement, width);
    size_t before = target->rows.row_count;
    struct batch batch;
    enum err err = run_open(run, error);
    while (err == OK && (err = run_next(run, &batch, error)) == OK && batch.row_count != 0) {
        struct batch stored = batch, returned = batch;
        stored.column_count = width;
        returned.column_count -= width;
        returned.columns += width;
        err = check_given(run->statement->command, &stored, error);
        if (err == OK && target->rows.row_count == 0)
            err = check_absent(run->statement->command, error);
        if (err == OK)
            err = rowset_append(&target->rows, &stored, NULL, batch.row_count, error);
        if (err == OK && returned.column_count > 0 && run->returning != NULL)
            err = run->returning->rows(run->returning->context, &returned, error);
    }
    *row_count = target->rows.row_count - before;
    return err; /* an error fails the transaction: what has been appended goes with it */
}

void pending_take(struct pending *pending, const struct schema *schema, struct commit *commit)
{
    struct pending_copy *copy = memory_alloc_zero(sizeof(*copy));
    copy->schema = schema_ref(schema);
    copy->commit = commit;
    struct pending_copy **link = &pending->copies;
    while (*link != NULL)
        link = &(*link)->next;
    *link = copy;
}

/* --- storing --- */

static enum err store_all(struct pending *pending, struct query_engine *engine, struct error *error)
{
    enum err err = OK;
    struct commit *commit = commit_create(engine->options.store);
    struct command_answer answer = {.held = commit};
    for (struct pending_rows *rows = pending->rows; rows != NULL && err == OK; rows = rows->next)
        if (rows->rows.row_count > 0)
            err = run_hand_over_rows(engine, rows->statement, &rows->rows, &answer, error);
    if (err != OK) {
        commit_destroy(commit);
        return err;
    }
    for (struct pending_copy *copy = pending->copies; copy != NULL; copy = copy->next) {
        commit_append(commit, copy->commit);
        copy->commit = NULL;
    }
    worker_block_begin();
    err = store_commit(engine->options.store, commit, NULL, error);
    worker_block_end();
    return err;
}

enum err pending_store(struct pending *pending, struct query_engine *engine, struct error *error)
{
    struct pending_rows *only = pending->rows;
    struct command_answer answer = {0};
    if (pending->copies != NULL || (only != NULL && only->next != NULL))
        return store_all(pending, engine, error);
    if (only == NULL || only->rows.row_count == 0)
        return OK;
    return run_hand_over_rows(engine, only->statement, &only->rows, &answer, error);
}
