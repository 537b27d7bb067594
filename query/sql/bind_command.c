/* Commands: names are left to ingest, which serializes changes; here types and expressions are made
 * sure of, so that a bad DEFAULT fails at CREATE TABLE and INSERT's rows come out as the columns
 * want them. */
#include "query/sql/bind.h"
#include "query/sql/parse.h"

/* Assignment to a column. 42804 says which column, as PostgreSQL does. */
static enum err assign(struct binder *b, struct expr *in, struct slice column, struct type type,
                       const char *what, struct expr **out)
{
    const char *from = type_name((enum type_id)in->type.id);
    enum err result = build_cast(&b->build, in, type, CAST_ASSIGNMENT, in->text_position, out);
    if (result == OK ||
        (strcmp(b->error->sqlstate, "42804") != 0 && strcmp(b->error->sqlstate, "42846") != 0))
        return result;
    int64_t position = b->error->text_position;
    error_set(b->error, ERR_INPUT, "42804", "column \"%.*s\" is of type %s but %s is of type %s",
              SLICE_ARGS(column), type_name((enum type_id)type.id), what, from);
    b->error->text_position = position;
    error_hint(b->error, "You will need to rewrite or cast the expression.");
    return ERR_INPUT;
}

static enum err bind_default(struct binder *b, const struct ast_node *node, struct slice column,
                             struct type type, struct expr **out)
{
    struct scope empty = {.clause = "DEFAULT expressions"};
    size_t subplans = b->statement == NULL ? 0 : b->statement->subplan_count;
    enum err result = bind_expr(b, &empty, node, out);
    if (result == OK && b->statement != NULL && b->statement->subplan_count > subplans)
        result = bind_unsupported(b, node->position, "a subquery in DEFAULT");
    return result != OK ? result : assign(b, *out, column, type, "default expression", out);
}

/* A column of the table for each of the query, of its type. */
static enum err define_column(struct binder *b, const struct ast_statement *ast,
                              const struct plan *plan, size_t index)
{
    struct command_column *column = &ast->command->columns[index];
    int32_t position = ast->command->text_position;
    column->name = index < ast->name_count ? ast->names[index].name : plan->columns[index].name;
    column->type = type_plain(plan->columns[index].type);
    if (type_is_array((enum type_id)column->type.id))
        column->type.precision = column->type.scale = 0; /* stored arrays are of any digits */
    column->text_position = position;
    bool is_open_numeric = column->type.id == TYPE_NUMERIC && column->type.precision == 0;
    if (type_is_storable((enum type_id)column->type.id) && !is_open_numeric)
        return OK;
    bind_unsupported(b, position,
                     arena_printf(b->arena, "column \"%.*s\" of type %s in a table",
                                  SLICE_ARGS(column->name), type_name(column->type.id)));
    error_hint(b->error, is_open_numeric ? "Cast it to numeric(precision, scale) or to double "
                                           "precision."
                                         : "Cast it to another type.");
    return ERR_UNSUPPORTED;
}

static enum err bind_create_as(struct binder *b, struct ast_statement *ast)
{
    struct command *command = ast->command;
    struct plan *plan;
    enum err result = bind_select(b, NULL, NULL, ast->select, false, &plan);
    if (result != OK)
        return result;
    if (ast->name_count > plan->column_count)
        return bind_error(b, command->text_position, "42601",
                          "too many column names were specified");
    command->columns =
        arena_alloc_zero(b->arena, (plan->column_count + 1) * sizeof(*command->columns));
    for (; command->column_count < plan->column_count && result == OK; command->column_count++)
        result = define_column(b, ast, plan, command->column_count);
    ast->defaults = arena_alloc_zero(b->arena, (plan->column_count + 1) * sizeof(*ast->defaults));
    b->statement->plan = plan;
    b->statement->command_tag = "CREATE TABLE AS";
    return result;
}

static enum err bind_create(struct binder *b, struct ast_statement *ast)
{
    struct command *command = ast->command;
    if (command->is_as) {
        enum err result = bind_create_as(b, ast);
        if (result != OK)
            return result;
    }
    for (size_t index = 0; index < command->column_count; index++) {
        struct command_column *column = &command->columns[index];
        for (size_t other = 0; other < index; other++)
            if (slice_equal(command->columns[other].name, column->name))
                return bind_error(b, column->text_position, "42701",
                                  "column \"%.*s\" specified more than once",
                                  SLICE_ARGS(column->name));
        if (ast->defaults[index] == NULL)
            continue;
        enum err result = bind_default(b, ast->defaults[index], column->name, column->type,
                                       &column->default_expr);
        if (result != OK)
            return result;
    }
    if (command->column_count > SCHEMA_COLUMNS_MAX)
        return bind_error(b, command->text_position, "54011", "tables can have at most %d columns",
                          SCHEMA_COLUMNS_MAX);
    return OK;
}

static enum err bind_alter(struct binder *b, struct ast_statement *ast)
{
    for (size_t index = 0; index < ast->command->action_count; index++) {
        struct command_column *column = &ast->command->actions[index].column;
        if (ast->defaults[index] == NULL)
            continue;
        enum err result = bind_default(b, ast->defaults[index], column->name, column->type,
                                       &column->default_expr);
        if (result != OK)
            return result;
    }
    return OK;
}

/* --- INSERT --- */

/* Where a source's expression stands, 0 where * gave it. */
static int32_t source_position(const struct ast_select *select, size_t index)
{
    if (select->kind == SELECT_VALUES)
        return select->cells[index]->position;
    bool has_star = false;
    for (size_t target = 0; target < select->target_count && target <= index; target++)
        has_star = has_star || select->targets[target].node->kind == AST_STAR;
    bool is_known = select->kind == SELECT_PLAIN && index < select->target_count && !has_star;
    return is_known ? select->targets[index].node->position : 0;
}

/* The target columns as indexes into the schema, for a source of `given` columns. */
static enum err insert_columns(struct binder *b, const struct ast_statement *ast, size_t given,
                               const struct schema *schema, uint32_t *columns, size_t *count)
{
    for (size_t index = 0; index < ast->name_count; index++) {
        int32_t column = schema_find(schema, ast->names[index].name);
        if (column < 0)
            return bind_error(b, ast->names[index].position, "42703",
                              "column \"%.*s\" of relation \"%.*s\" does not exist",
                              SLICE_ARGS(ast->names[index].name), SLICE_ARGS(schema->name));
        for (size_t other = 0; other < index; other++)
            if (columns[other] == (uint32_t)column)
                return bind_error(b, ast->names[index].position, "42701",
                                  "column \"%.*s\" specified more than once",
                                  SLICE_ARGS(ast->names[index].name));
        columns[index] = (uint32_t)column;
    }
    *count = ast->name_count;
    if (ast->name_count == 0)
        for (*count = 0; *count < given && *count < schema->column_count; ++*count)
            columns[*count] = (uint32_t)*count;
    if (given > *count)
        return bind_error(b, source_position(ast->select, *count), "42601",
                          "INSERT has more expressions than target columns");
    if (given < *count)
        return bind_error(b, ast->names[given].position, "42601",
                          "INSERT has more target columns than expressions");
    return OK;
}

static enum err insert_cell(struct binder *b, const struct ast_node *node,
                            const struct schema *schema, uint32_t column, struct expr **out)
{
    const struct column_definition *definition = &schema->columns[column];
    struct scope empty = {.clause = "VALUES"};
    if (node->kind == AST_DEFAULT && definition->default_text.size > 0)
        return sql_bind_default(schema, column, b->arena, out, b->error);
    if (node->kind == AST_DEFAULT) {
        *out = build_null(&b->build, node->position);
        return build_cast(&b->build, *out, definition->type, CAST_ASSIGNMENT, node->position, out);
    }
    enum err result = bind_expr(b, &empty, node, out);
    return result != OK ? result
                        : assign(b, *out, definition->name, definition->type, "expression", out);
}

/* A list of VALUES: each cell is assigned on its own, and may be DEFAULT. */
static enum err insert_values(struct binder *b, const struct ast_statement *ast,
                              const struct schema *schema, const uint32_t *columns, size_t count,
                              struct plan **out)
{
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_VALUES, count, 0, &plan);
    if (result != OK)
        return result;
    size_t rows = ast->select == NULL ? 1 : ast->select->row_count;
    plan->values.row_count = rows;
    plan->values.cells = arena_alloc_array(b->arena, rows * count, sizeof(struct expr *));
    for (size_t cell = 0; cell < rows * count && result == OK; cell++)
        result = insert_cell(b, ast->select->cells[cell], schema, columns[cell % count],
                             &plan->values.cells[cell]);
    *out = plan;
    return result;
}

/* Any other query: its columns are assigned. Where its own targets are the top of the plan the
 * casts go there, so that a literal takes the column's type, not text. */
static enum err insert_query(struct binder *b, const struct schema *schema, const uint32_t *columns,
                             struct plan **plan)
{
    enum err result = OK;
    if ((*plan)->kind != PLAN_PROJECT)
        result = bind_widen(b, *plan, 0, plan);
    for (size_t index = 0; index < (*plan)->column_count && result == OK; index++) {
        const struct column_definition *column = &schema->columns[columns[index]];
        struct expr **expr = &(*plan)->project.exprs[index];
        result = assign(b, *expr, column->name, column->type, "expression", expr);
    }
    return result;
}

static bool is_plain_values(const struct ast_select *select)
{
    return select == NULL ||
           (select->kind == SELECT_VALUES && select->cte_count == 0 && select->order_count == 0 &&
            select->limit == NULL && select->offset == NULL);
}

/* The table that rows are for. */
static enum err find_target(struct binder *b, const struct command *command, const char *into_view,
                            const struct schema **out)
{
    const struct table_view *view =
        b->context->snapshot == NULL ? NULL : snapshot_find(b->context->snapshot, command->table);
    struct view_definition found;
    if (view == NULL && b->context->find_view != NULL &&
        b->context->find_view(b->context->view_context, command->table, 0, b->arena, &found) &&
        asker_rights(b->context->asker, found.id | RIGHT_VIEW) != 0)
        return bind_unsupported(b, command->text_position, into_view);
    if (view == NULL)
        return bind_error(b, command->text_position, "42P01", "relation \"%.*s\" does not exist",
                          SLICE_ARGS(command->table));
    *out = table_view_schema(view);
    bind_add_table(b, *out, false);
    return bind_check_right(b, command->text_position, command->table, (*out)->table_id,
                            RIGHT_INSERT);
}

/* COPY … FROM: the columns named, or all. */
static enum err bind_copy(struct binder *b, struct ast_statement *ast)
{
    struct command *command = ast->command;
    const struct schema *schema;
    enum err result = find_target(b, command, "COPY into a view", &schema);
    if (result != OK)
        return result;
    size_t count = ast->name_count == 0 ? schema->column_count : ast->name_count;
    uint32_t *columns = arena_alloc_array(b->arena, count, sizeof(*columns));
    result = insert_columns(b, ast, count, schema, columns, &count);
    for (size_t index = 0; index < count && result == OK; index++)
        columns[index] = schema->columns[columns[index]].id;
    command->schema = schema;
    command->column_ids = columns;
    command->column_id_count = count;
    return result;
}

static enum err bind_insert(struct binder *b, struct ast_statement *ast)
{
    struct command *command = ast->command;
    const struct schema *schema;
    enum err result = find_target(b, command, "INSERT into a view", &schema);
    if (result != OK)
        return result;
    size_t capacity =
        ast->name_count > schema->column_count ? ast->name_count : schema->column_count;
    uint32_t *columns = arena_alloc_array(b->arena, capacity, sizeof(*columns));
    size_t given = ast->select == NULL ? 0 : ast->select->column_count;
    size_t count = 0;
    bool is_values = is_plain_values(ast->select);
    struct plan *plan = NULL;
    if (!is_values)
        result = bind_select(b, NULL, NULL, ast->select, true, &plan);
    if (result == OK)
        result =
            insert_columns(b, ast, is_values ? given : plan->column_count, schema, columns, &count);
    if (result == OK && is_values)
        result = insert_values(b, ast, schema, columns, count, &plan);
    else if (result == OK)
        result = insert_query(b, schema, columns, &plan);
    if (result != OK)
        return result;
    command->schema = schema;
    command->column_id_count = count;
    command->column_ids = arena_alloc_array(b->arena, count, sizeof(uint32_t));
    for (size_t index = 0; index < count; index++) {
        command->column_ids[index] = schema->columns[columns[index]].id;
        plan->columns[index] = (struct plan_column){schema->columns[columns[index]].name,
                                                    schema->columns[columns[index]].type};
    }
    if (ast->returning != NULL)
        result = bind_check_right(b, command->text_position, command->table, schema->table_id,
                                  RIGHT_SELECT);
    if (ast->returning != NULL && result == OK)
        result = bind_returning(b, ast, schema, columns, count, &plan);
    b->statement->plan = plan;
    return result;
}

/* Over HTTP each request stands alone. */
static enum err refuse_session(struct binder *b, const struct session_command *session)
{
    static const char *const names[] = {
        [SESSION_BEGIN] = "a transaction statement (BEGIN, COMMIT …)",
        [SESSION_COMMIT] = "a transaction statement (BEGIN, COMMIT …)",
        [SESSION_ROLLBACK] = "a transaction statement (BEGIN, COMMIT …)",
        [SESSION_SAVEPOINT] = "a transaction statement (BEGIN, COMMIT …)",
        [SESSION_RELEASE] = "a transaction statement (BEGIN, COMMIT …)",
        [SESSION_ROLLBACK_TO] = "a transaction statement (BEGIN, COMMIT …)",
        [SESSION_PREPARE] = "PREPARE",
        [SESSION_EXECUTE] = "EXECUTE",
        [SESSION_DEALLOCATE] = "DEALLOCATE",
        [SESSION_DISCARD] = "DISCARD",
        [SESSION_DECLARE] = "DECLARE CURSOR",
        [SESSION_FETCH] = "FETCH",
        [SESSION_MOVE] = "MOVE",
        [SESSION_CLOSE] = "CLOSE",
    };
    enum err result = bind_unsupported(b, 0, names[session->action]);
    if (session->action == SESSION_PREPARE || session->action == SESSION_EXECUTE)
        error_hint(b->error, "There is no session to keep it: write $1 in the query and send its "
                             "values as params; the plan is kept.");
    return result;
}

static const char *session_tag(const struct session_command *session)
{
    static const char *const tags[] = {
        [SESSION_BEGIN] = "BEGIN",
        [SESSION_COMMIT] = "COMMIT",
        [SESSION_ROLLBACK] = "ROLLBACK",
        [SESSION_SAVEPOINT] = "SAVEPOINT",
        [SESSION_RELEASE] = "RELEASE",
        [SESSION_ROLLBACK_TO] = "ROLLBACK",
        [SESSION_PREPARE] = "PREPARE",
        [SESSION_EXECUTE] = "EXECUTE",
        [SESSION_DEALLOCATE] = "DEALLOCATE",
        [SESSION_DISCARD] = "DISCARD ALL",
        [SESSION_DECLARE] = "DECLARE CURSOR",
        [SESSION_FETCH] = "FETCH",
        [SESSION_MOVE] = "MOVE",
        [SESSION_CLOSE] = "CLOSE CURSOR",
    };
    if (session->name.size == 0 && session->action == SESSION_DEALLOCATE)
        return "DEALLOCATE ALL";
    if (session->name.size == 0 && session->action == SESSION_CLOSE)
        return "CLOSE CURSOR ALL";
    return session->is_start ? "START TRANSACTION" : tags[session->action];
}

enum err bind_command(struct binder *b, struct ast_statement *ast)
{
    static const char *const tags[] = {[COMMAND_CREATE_TABLE] = "CREATE TABLE",
                                       [COMMAND_DROP_TABLE] = "DROP TABLE",
                                       [COMMAND_ALTER_TABLE] = "ALTER TABLE",
                                       [COMMAND_RENAME] = "ALTER TABLE",
                                       [COMMAND_CREATE_INDEX] = "CREATE INDEX",
                                       [COMMAND_DROP_INDEX] = "DROP INDEX",
                                       [COMMAND_TRUNCATE] = "TRUNCATE TABLE",
                                       [COMMAND_INSERT] = "INSERT",
                                       [COMMAND_COPY] = "COPY",
                                       [COMMAND_CREATE_ROLE] = "CREATE ROLE",
                                       [COMMAND_ALTER_ROLE] = "ALTER ROLE",
                                       [COMMAND_DROP_ROLE] = "DROP ROLE",
                                       [COMMAND_GRANT_ROLE] = "GRANT ROLE",
                                       [COMMAND_GRANT] = "GRANT",
                                       [COMMAND_COMMENT] = "COMMENT",
                                       [COMMAND_SET] = "SET",
                                       [COMMAND_SESSION] = NULL,
                                       [COMMAND_CHECKPOINT] = "CHECKPOINT",
                                       [COMMAND_CREATE_SUBSCRIPTION] = "CREATE SUBSCRIPTION",
                                       [COMMAND_ALTER_SUBSCRIPTION] = "ALTER SUBSCRIPTION",
                                       [COMMAND_DROP_SUBSCRIPTION] = "DROP SUBSCRIPTION",
                                       [COMMAND_CREATE_VIEW] = "CREATE VIEW",
                                       [COMMAND_DROP_VIEW] = "DROP VIEW"};
    b->statement->command = ast->command;
    b->statement->command_tag = tags[ast->command->kind];
    if (ast->command->role.is_revoke)
        b->statement->command_tag = ast->command->kind == COMMAND_GRANT ? "REVOKE" : "REVOKE ROLE";
    if (ast->command->is_view)
        b->statement->command_tag =
            ast->command->is_materialized ? "ALTER MATERIALIZED VIEW" : "ALTER VIEW";
    else if (ast->command->is_materialized)
        b->statement->command_tag = ast->command->kind == COMMAND_DROP_VIEW
                                        ? "DROP MATERIALIZED VIEW"
                                        : "CREATE MATERIALIZED VIEW";
    if (ast->command->is_index)
        b->statement->command_tag = "ALTER INDEX";
    if (ast->command->kind == COMMAND_SET && ast->command->is_reset)
        b->statement->command_tag = "RESET";
    if (ast->command->kind == COMMAND_SESSION)
        b->statement->command_tag = session_tag(&ast->command->session);
    switch (ast->command->kind) {
    case COMMAND_CREATE_TABLE:
        return bind_create(b, ast);
    case COMMAND_ALTER_TABLE:
        return bind_alter(b, ast);
    case COMMAND_INSERT:
        return bind_insert(b, ast);
    case COMMAND_COPY:
        return bind_copy(b, ast);
    case COMMAND_CREATE_VIEW:
        return bind_create_view(b, ast);
    case COMMAND_SESSION:
        return b->context->has_session ? OK : refuse_session(b, &ast->command->session);
    case COMMAND_SET:
        return b->context->has_session || !ast->command->is_characteristics
                   ? OK
                   : bind_unsupported(b, 0, "this form of SET");
    default:
        return OK;
    }
}

enum err sql_bind_default(const struct schema *schema, uint32_t column, struct arena *arena,
                          struct expr **out, struct error *error)
{
    const struct column_definition *definition = &schema->columns[column];
    struct error local;
    struct sql_context context = {.zone = timezone_utc};
    struct binder b = {
        .arena = arena, .context = &context, .error = error == NULL ? &local : error, .copies = 1};
    b.build = (struct builder){.arena = arena, .zone = context.zone, .error = b.error};
    struct ast_statement ast;
    char *text = arena_printf(arena, "SELECT %.*s", SLICE_ARGS(definition->default_text));
    enum err result = sql_parse(slice_from_cstr(text), arena, &ast, b.error);
    if (result == OK && (ast.kind != AST_STATEMENT_SELECT || ast.select->kind != SELECT_PLAIN ||
                         ast.select->target_count != 1 || ast.select->from_count > 0))
        result = bind_error(&b, 0, "42601", "this DEFAULT is not an expression");
    struct statement statement = {0};
    b.statement = &statement;
    if (result == OK)
        result =
            bind_default(&b, ast.select->targets[0].node, definition->name, definition->type, out);
    for (size_t index = 0; index < statement.table_count; index++)
        schema_unref(statement.tables[index].schema);
    if (result != OK)
        b.error->text_position = 0;
    return result;
}
