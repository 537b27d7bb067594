/* Statements that act in ingest: query binds them, this file carries them over.
 *
 * Each kind is one function of ingest; nothing is decided here but which. ALTER TABLE with several
 * actions would need several records, and a failure between them would leave half a change, so it
 * takes one action a statement. */
#include "server/api/api.h"

#include "server/app.h"

#include <assert.h>

static void to_ingest_column(const struct command_column *from, struct ingest_column *to)
{
    *to = (struct ingest_column){
        .name = from->name,
        .type = from->type,
        .is_not_null = from->is_not_null,
        .default_text = from->default_text,
        .default_expr = from->default_expr,
    };
}

static const struct ingest_option *to_ingest_options(const struct command *command,
                                                     struct arena *arena)
{
    struct ingest_option *options =
        arena_alloc_array(arena, command->option_count, sizeof(*options));
    for (size_t i = 0; i < command->option_count; i++) {
        const struct command_option *from = &command->options[i];
        options[i] = (struct ingest_option){
            .name = from->name, .value = from->value, .text_position = from->text_position};
    }
    return options;
}

static enum err refuse_low_disk(struct app *app, struct error *error)
{
    if (!atomic_load_explicit(&app->is_disk_low, memory_order_relaxed))
        return OK;
    return error_set(error, ERR_SPACE, NULL,
                     "the disk is nearly full: rows are taken again when there is room");
}

static enum err create_table(struct app *app, const struct command *command,
                             const struct batch *batches, size_t batch_count,
                             struct command_answer *out, struct error *error)
{
    if (batch_count > 0 && refuse_low_disk(app, error) != OK) {
        return ERR_SPACE;
    }
    struct arena arena;
    arena_init(&arena);
    struct ingest_column *columns =
        arena_alloc_array(&arena, command->column_count, sizeof(*columns));
    for (size_t i = 0; i < command->column_count; i++) {
        to_ingest_column(&command->columns[i], &columns[i]);
    }
    struct ingest_table table = {
        .name = command->table,
        .if_not_exists = command->if_exists,
        .column_count = command->column_count,
        .columns = columns,
        .option_count = command->option_count,
        .options = to_ingest_options(command, &arena),
        .batch_count = batch_count,
        .batches = batches,
    };
    enum err result = ingest_create_table(app->ingest, &table, &out->position, error);
    for (size_t i = 0; i < batch_count && out->position != 0; i++) {
        out->row_count += batches[i].row_count;
    }
    arena_deinit(&arena);
    return result;
}

static enum err alter_table(struct app *app, const struct command *command, uint64_t *position,
                            struct error *error)
{
    if (command->action_count != 1) {
        return error_set(error, ERR_UNSUPPORTED, NULL,
                         "ALTER TABLE with several actions: write one statement each");
    }
    const struct alter_action *action = &command->actions[0];
    if (action->kind == ALTER_DROP_COLUMN) {
        return ingest_drop_column(app->ingest, command->table, action->column.name,
                                  action->if_exists, position, error);
    }
    struct ingest_column column;
    to_ingest_column(&action->column, &column);
    return ingest_add_column(app->ingest, command->table, &column, action->if_exists, position,
                             error);
}

static enum err create_index(struct app *app, const struct command *command, uint64_t *position,
                             struct error *error)
{
    struct ingest_index index = {
        .name = command->index,
        .table = command->table,
        .column = command->index_column,
        .if_not_exists = command->if_exists,
        .table_position = command->text_position,
        .column_position = command->index_column_position,
    };
    return ingest_create_index(app->ingest, &index, position, error);
}

static enum err run_subscription(struct app *app, const struct command *command, uint64_t *position,
                                 struct error *error)
{
    static const enum ingest_alteration alterations[] = {
        [SUBSCRIPTION_ENABLE] = INGEST_ENABLE,
        [SUBSCRIPTION_DISABLE] = INGEST_DISABLE,
        [SUBSCRIPTION_SET] = INGEST_SET,
        [SUBSCRIPTION_CONNECTION] = INGEST_CONNECTION,
    };
    if (command->kind == COMMAND_DROP_SUBSCRIPTION) {
        return ingest_drop_subscription(app->ingest, command->subscription, command->if_exists,
                                        position, error);
    }
    struct arena arena;
    arena_init(&arena);
    struct ingest_subscription subscription = {
        .name = command->subscription,
        .connection = command->connection,
        .topic = command->topic,
        .option_count = command->option_count,
        .options = to_ingest_options(command, &arena),
    };
    enum err result =
        command->kind == COMMAND_CREATE_SUBSCRIPTION
            ? ingest_create_subscription(app->ingest, &subscription, position, error)
            : ingest_alter_subscription(app->ingest, alterations[command->alter_subscription],
                                        &subscription, position, error);
    arena_deinit(&arena);
    return result;
}

enum err api_command(void *context, const struct command *command, const struct batch *batches,
                     size_t batch_count, struct command_answer *out, struct error *error)
{
    struct app *app = context;
    *out = (struct command_answer){.held = out->held, .asker = out->asker};
    if (app_state(app) != APP_READY) {
        return error_set(error, ERR_BUSY, "57P03",
                         app_state(app) == APP_STOPPING
                             ? "the server is stopping"
                             : "the server is starting: the log is being replayed");
    }
    switch (command->kind) {
    case COMMAND_CREATE_TABLE:
        return create_table(app, command, batches, batch_count, out, error);
    case COMMAND_ALTER_TABLE:
        return alter_table(app, command, &out->position, error);
    case COMMAND_DROP_TABLE:
        return ingest_drop_tables(app->ingest, command->tables, command->table_count,
                                  command->if_exists, &out->position, error);
    case COMMAND_RENAME:
        return ingest_rename(app->ingest,
                             &(struct ingest_rename){.name = command->table,
                                                     .column = command->column,
                                                     .new_name = command->new_name,
                                                     .is_view = command->is_view,
                                                     .is_index = command->is_index,
                                                     .if_exists = command->if_exists},
                             &out->position, error);
    case COMMAND_CREATE_INDEX:
        return create_index(app, command, &out->position, error);
    case COMMAND_DROP_INDEX:
        return ingest_drop_indexes(app->ingest, command->tables, command->table_count,
                                   command->if_exists, &out->position, error);
    case COMMAND_TRUNCATE:
        return ingest_truncate(app->ingest, command->tables, command->table_count, out->asker,
                               &out->position, error);
    case COMMAND_COMMENT:
        return ingest_comment(app->ingest, command->table, command->comment_column,
                              command->comment, &out->position, error);
    case COMMAND_COPY:
        error_set(error, ERR_UNSUPPORTED, NULL, "COPY … FROM STDIN over HTTP is not supported");
        error_hint(error, "POST the rows to /v1/ingest/%.*s, or COPY by the PostgreSQL protocol.",
                   SLICE_ARGS(command->table));
        return ERR_UNSUPPORTED;
    case COMMAND_CHECKPOINT:
        return store_checkpoint(app->store, error);
    case COMMAND_CREATE_SUBSCRIPTION:
    case COMMAND_ALTER_SUBSCRIPTION:
    case COMMAND_DROP_SUBSCRIPTION:
        return run_subscription(app, command, &out->position, error);
    case COMMAND_CREATE_ROLE:
    case COMMAND_ALTER_ROLE:
    case COMMAND_DROP_ROLE:
    case COMMAND_GRANT_ROLE:
    case COMMAND_GRANT:
        return api_role_command(app, command, error);
    case COMMAND_CREATE_VIEW:
        return ingest_create_view(app->ingest, &command->view,
                                  command->is_replace  ? VIEW_OR_REPLACE
                                  : command->if_exists ? VIEW_IF_NOT_EXISTS
                                                       : VIEW_NEW,
                                  &out->position, error);
    case COMMAND_DROP_VIEW:
        return ingest_drop_views(app->ingest, command->tables, command->table_count,
                                 command->is_materialized, command->if_exists, &out->position,
                                 error);
    case COMMAND_SET:
    case COMMAND_SESSION:
        return OK; /* the query engine's own */
    case COMMAND_INSERT:
        if (refuse_low_disk(app, error) != OK) {
            return ERR_SPACE;
        }
        if (out->held != NULL)
            return ingest_insert_into(app->ingest, out->held, command->schema, command->column_ids,
                                      batches, batch_count, &out->row_count, error);
        return ingest_insert(app->ingest, command->schema, command->column_ids, batches,
                             batch_count, &out->position, &out->row_count, error);
    }
    assert(false);
    return ERR_UNSUPPORTED;
}

void api_completeness(void *context, const uint32_t *table_ids, size_t count, struct arena *arena,
                      struct completeness *out)
{
    struct app *app = context;
    ingest_completeness(app->ingest, table_ids, count, arena, out);
}

bool api_find_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                   struct view_definition *out)
{
    struct app *app = context;
    return name.size == 0 ? ingest_get_view(app->ingest, id, arena, out)
                          : ingest_find_view(app->ingest, name, arena, out);
}

size_t api_list_views(void *context, struct arena *arena, struct view_definition **out)
{
    struct app *app = context;
    return ingest_list_views(app->ingest, arena, out);
}

uint64_t api_view_version(void *context)
{
    struct app *app = context;
    return ingest_view_version(app->ingest);
}
