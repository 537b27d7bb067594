/* Transactions: one snapshot for all reads, one record for all rows.
 *
 *   I ──BEGIN──▶ T ──COMMIT──▶ I        rows that INSERT gave become one record here
 *                │ └─any error─▶ E ──ROLLBACK, COMMIT──▶ I
 *                └──ROLLBACK──▶ I       they are forgotten
 *
 * The snapshot is taken at the first read and held. Rows are held in memory, charged, until COMMIT:
 * they are of one table and of one list of columns, for a record is; another table is refused, and
 * so is reading the table, which would have to show them. A change of definitions takes effect at
 * once and stays. Savepoints are there for drivers that set one around each statement: they undo
 * settings and the failed state, and are refused once rows are held. */
#include "query/session/inside.h"

#include <stdio.h>

static struct transaction *transaction_create(struct query_session *session)
{
    struct transaction *transaction = memory_alloc_zero(sizeof(*transaction));
    transaction->before = transaction->kept = session->settings;
    return transaction;
}

static void drop_savepoint(struct transaction *transaction)
{
    struct savepoint *savepoint = transaction->savepoints;
    transaction->savepoints = savepoint->next;
    transaction->savepoint_count--;
    memory_free(savepoint);
}

static void drop_rows(struct pending_rows *pending)
{
    if (pending->statement == NULL)
        return;
    rowset_deinit(&pending->rows);
    size_t used = atomic_load_explicit(&pending->budget.used, memory_order_relaxed);
    if (used != 0)
        budget_release(&pending->budget, used);
    statement_unref(pending->statement);
    pending->statement = NULL;
}

/* Settings are the caller's business. */
void transaction_end(struct query_session *session)
{
    struct transaction *transaction = session->transaction;
    if (transaction == NULL)
        return;
    session->transaction = NULL;
    while (transaction->savepoints != NULL)
        drop_savepoint(transaction);
    drop_rows(&transaction->pending);
    if (transaction->snapshot != NULL)
        snapshot_close(transaction->snapshot);
    memory_free(transaction);
}

/* --- rows --- */

static bool is_same_target(const struct command *a, const struct command *b)
{
    return a->schema->table_id == b->schema->table_id && a->column_id_count == b->column_id_count &&
           memcmp(a->column_ids, b->column_ids, a->column_id_count * sizeof(*a->column_ids)) == 0;
}

enum err transaction_keep_rows(struct query_session *session, struct run *run, uint64_t *row_count,
                               struct error *error)
{
    struct pending_rows *pending = &session->transaction->pending;
    const struct plan *plan = run->statement->plan;
    size_t width = plan->column_count - run->statement->command->returning_count;
    struct batch batch;
    if (session->transaction->savepoints != NULL)
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "INSERT between SAVEPOINT and RELEASE is not supported");
    if (pending->statement != NULL &&
        !is_same_target(pending->statement->command, run->statement->command))
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "a transaction that inserts into more than one table, or by more than one "
                         "list of columns, is not supported");
    if (pending->statement == NULL) {
        pending->statement = statement_ref(run->statement);
        pending->budget = (struct budget){.parent = session->options.engine->options.memory,
                                          .limit = session->settings.query_memory,
                                          .name = "transaction"};
        rowset_init(&pending->rows, plan->columns, width, &pending->budget);
    }
    size_t before = pending->rows.row_count;
    enum err err = run_open(run, error);
    while (err == OK && (err = run_next(run, &batch, error)) == OK && batch.row_count != 0) {
        struct batch stored = batch, returned = batch;
        stored.column_count = width;
        returned.column_count -= width;
        returned.columns += width;
        err = rowset_append(&pending->rows, &stored, NULL, batch.row_count, error);
        if (err == OK && returned.column_count > 0 && run->returning != NULL)
            err = run->returning->rows(run->returning->context, &returned, error);
    }
    *row_count = pending->rows.row_count - before;
    return err; /* an error fails the transaction: what has been appended goes with it */
}

enum err transaction_check_reads(const struct query_session *session,
                                 const struct statement *statement, struct error *error)
{
    const struct transaction *transaction = session->transaction;
    if (transaction == NULL || transaction->pending.statement == NULL)
        return OK;
    uint32_t written = transaction->pending.statement->command->schema->table_id;
    for (size_t i = 0; i < statement->table_count; i++)
        if (statement->tables[i].is_read && statement->tables[i].schema->table_id == written)
            return error_set(error, ERR_UNSUPPORTED, "0A000",
                             "reading a table in the transaction that has written it is not "
                             "supported");
    return OK;
}

/* --- the statements --- */

static enum err begin(struct query_session *session, const struct session_command *command,
                      struct error *error)
{
    (void)error;
    if (session->transaction != NULL) {
        session_notice(session, "WARNING", "25001", "there is already a transaction in progress");
        return OK;
    }
    session->settings.is_read_only = session->settings.is_read_only_default;
    session->transaction = transaction_create(session);
    if (command->is_read_only || command->is_read_write)
        session->settings.is_read_only = command->is_read_only;
    return OK;
}

/* Whatever comes of it, the transaction is over. */
static void finish(struct query_session *session, const struct settings *settings, bool is_chain)
{
    bool is_read_only = session->settings.is_read_only;
    session->settings = *settings;
    session->settings.is_read_only = session->settings.is_read_only_default;
    session_close_portals(session, true);
    transaction_end(session);
    if (!is_chain)
        return;
    session->transaction = transaction_create(session);
    session->settings.is_read_only = is_read_only;
}

static enum err rollback(struct query_session *session, const struct session_command *command,
                         struct error *error)
{
    (void)error;
    if (session->transaction == NULL) {
        session_notice(session, "WARNING", "25P01", "there is no transaction in progress");
        return OK;
    }
    struct settings before = session->transaction->before;
    finish(session, &before, command->is_chain);
    return OK;
}

static enum err commit(struct query_session *session, const struct session_command *command,
                       struct portal_outcome *out, struct error *error)
{
    struct transaction *transaction = session->transaction;
    struct command_answer answer = {0};
    enum err err = OK;
    if (transaction == NULL) {
        session_notice(session, "WARNING", "25P01", "there is no transaction in progress");
        return OK;
    }
    if (transaction->has_failed) {
        snprintf(out->tag, sizeof(out->tag), "ROLLBACK");
        return rollback(session, command, error);
    }
    struct pending_rows *pending = &transaction->pending;
    if (pending->statement != NULL && pending->rows.row_count > 0)
        err = run_hand_over_rows(session->options.engine, pending->statement, &pending->rows,
                                 &answer, error);
    struct settings kept = err == OK ? transaction->kept : transaction->before;
    finish(session, &kept, command->is_chain);
    return err;
}

static enum err outside(const char *what, struct error *error)
{
    return error_set(error, ERR_INPUT, "25P01", "%s can only be used in transaction blocks", what);
}

static enum err add_savepoint(struct query_session *session, const struct session_command *command,
                              struct error *error)
{
    struct transaction *transaction = session->transaction;
    if (transaction == NULL)
        return outside("SAVEPOINT", error);
    if (transaction->pending.statement != NULL)
        return error_set(error, ERR_UNSUPPORTED, "0A000",
                         "SAVEPOINT in a transaction that has written is not supported");
    if (transaction->savepoint_count >= SAVEPOINTS_MAX)
        return error_set(error, ERR_LIMIT, "54000", "a transaction has at most %d savepoints",
                         SAVEPOINTS_MAX);
    struct savepoint *savepoint = memory_alloc_zero(sizeof(*savepoint));
    size_t size =
        command->name.size < SETTING_NAME_MAX - 1 ? command->name.size : SETTING_NAME_MAX - 1;
    memcpy(savepoint->name, command->name.data, size);
    savepoint->settings = session->settings;
    savepoint->kept = transaction->kept;
    savepoint->next = transaction->savepoints;
    transaction->savepoints = savepoint;
    transaction->savepoint_count++;
    return OK;
}

static enum err find_savepoint(const struct transaction *transaction, struct slice name,
                               struct savepoint **out, struct error *error)
{
    struct savepoint *savepoint = transaction->savepoints;
    while (savepoint != NULL && !slice_equal(slice_from_cstr(savepoint->name), name))
        savepoint = savepoint->next;
    *out = savepoint;
    if (savepoint != NULL)
        return OK;
    return error_set(error, ERR_NOT_FOUND, "3B001", "savepoint \"%.*s\" does not exist",
                     SLICE_ARGS(name));
}

static enum err release(struct query_session *session, const struct session_command *command,
                        struct error *error)
{
    struct transaction *transaction = session->transaction;
    struct savepoint *savepoint;
    if (transaction == NULL)
        return outside("RELEASE SAVEPOINT", error);
    enum err err = find_savepoint(transaction, command->name, &savepoint, error);
    if (err != OK)
        return err;
    while (transaction->savepoints != savepoint)
        drop_savepoint(transaction);
    drop_savepoint(transaction);
    return OK;
}

static enum err rollback_to(struct query_session *session, const struct session_command *command,
                            struct error *error)
{
    struct transaction *transaction = session->transaction;
    struct savepoint *savepoint;
    if (transaction == NULL)
        return outside("ROLLBACK TO SAVEPOINT", error);
    enum err err = find_savepoint(transaction, command->name, &savepoint, error);
    if (err != OK)
        return err;
    while (transaction->savepoints != savepoint)
        drop_savepoint(transaction);
    session->settings = savepoint->settings;
    transaction->kept = savepoint->kept;
    transaction->has_failed = false;
    return OK;
}

enum err transaction_run(struct query_session *session, const struct session_command *command,
                         struct portal_outcome *out, struct error *error)
{
    switch (command->action) {
    case SESSION_BEGIN:
        return begin(session, command, error);
    case SESSION_COMMIT:
        return commit(session, command, out, error);
    case SESSION_ROLLBACK:
        return rollback(session, command, error);
    case SESSION_SAVEPOINT:
        return add_savepoint(session, command, error);
    case SESSION_RELEASE:
        return release(session, command, error);
    default:
        return rollback_to(session, command, error);
    }
}
