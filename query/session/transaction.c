/* Transactions: one snapshot for all reads, one record for all rows.
 *
 *   I ──BEGIN──▶ T ──COMMIT──▶ I        rows that INSERT gave become one record here
 *                │ └─any error─▶ E ──ROLLBACK, COMMIT──▶ I
 *                └──ROLLBACK──▶ I       they are forgotten
 *
 * The snapshot is taken at the first read and held. Rows are held in memory, charged, until COMMIT
 * (pending.c), whatever tables they are of; reading such a table is refused, for it would have to
 * show them. A change of definitions takes effect at once and stays, TRUNCATE and DROP of rows that
 * are held too. Savepoints are there for drivers that set one around each statement: they undo
 * settings and the failed state, and are refused once rows are held, as rows are after one. */
#include "query/session/inside.h"

#include <assert.h>
#include <stdio.h>

static struct transaction *transaction_create(struct query_session *session)
{
    struct transaction *transaction = memory_alloc_zero(sizeof(*transaction));
    transaction->before = transaction->kept = session->settings;
    pending_init(&transaction->pending, session);
    return transaction;
}

static void drop_savepoint(struct transaction *transaction)
{
    struct savepoint *savepoint = transaction->savepoints;
    transaction->savepoints = savepoint->next;
    transaction->savepoint_count--;
    memory_free(savepoint);
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
    pending_deinit(&transaction->pending);
    if (transaction->snapshot != NULL)
        snapshot_close(transaction->snapshot);
    memory_free(transaction);
}

/* --- rows --- */

static enum err refuse_savepoint(const struct transaction *transaction, const char *what,
                                 struct error *error)
{
    if (transaction->savepoints == NULL)
        return OK;
    return error_set(error, ERR_UNSUPPORTED, "0A000",
                     "%s between SAVEPOINT and RELEASE is not supported", what);
}

enum err transaction_keep_rows(struct query_session *session, struct run *run, uint64_t *row_count,
                               struct error *error)
{
    struct transaction *transaction = session->transaction;
    enum err err = refuse_savepoint(transaction, "INSERT", error);
    return err != OK ? err : pending_insert(&transaction->pending, run, row_count, error);
}

enum err session_hold(struct query_session *session, struct budget **out, struct error *error)
{
    struct transaction *transaction = session->transaction;
    *out = transaction == NULL ? NULL : &transaction->pending.budget;
    return transaction == NULL ? OK : refuse_savepoint(transaction, "COPY", error);
}

void session_take(struct query_session *session, const struct schema *schema, struct commit *commit)
{
    assert(session->transaction != NULL);
    pending_take(&session->transaction->pending, schema, commit);
}

enum err transaction_check_reads(const struct query_session *session,
                                 const struct statement *statement, struct error *error)
{
    const struct transaction *transaction = session->transaction;
    if (transaction == NULL || pending_is_empty(&transaction->pending))
        return OK;
    for (size_t i = 0; i < statement->table_count; i++)
        if (statement->tables[i].is_read &&
            pending_has_table(&transaction->pending, statement->tables[i].schema->table_id))
            return error_set(error, ERR_UNSUPPORTED, "0A000",
                             "reading a table in the transaction that has written it is not "
                             "supported");
    return OK;
}

struct change {
    const struct command *command;
    const struct snapshot *snapshot; /* behind it */
};

static bool is_gone(const void *context, uint32_t table_id)
{
    const struct change *change = context;
    const struct table_view *view = snapshot_find_id(change->snapshot, table_id);
    bool is = view == NULL;
    for (size_t i = 0; !is && i < change->command->table_count; i++)
        is = change->command->kind == COMMAND_TRUNCATE &&
             slice_equal(table_view_schema(view)->name, change->command->tables[i]);
    return is;
}

void transaction_forget(struct query_session *session, const struct command *command)
{
    bool is_due = command->kind == COMMAND_TRUNCATE || command->kind == COMMAND_DROP_TABLE;
    if (session->transaction == NULL || !is_due)
        return;
    struct snapshot *snapshot = snapshot_open(session->options.engine->options.store);
    const struct change change = {.command = command, .snapshot = snapshot};
    pending_forget(&session->transaction->pending, is_gone, &change);
    snapshot_close(snapshot);
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
    enum err err;
    if (transaction == NULL) {
        session_notice(session, "WARNING", "25P01", "there is no transaction in progress");
        return OK;
    }
    if (transaction->has_failed) {
        snprintf(out->tag, sizeof(out->tag), "ROLLBACK");
        return rollback(session, command, error);
    }
    err = pending_store(&transaction->pending, session->options.engine, error);
    struct settings kept = err == OK ? transaction->kept : transaction->before;
    finish(session, &kept, command->is_chain && err == OK);
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
    if (!pending_is_empty(&transaction->pending))
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
