/* Statements: which are ours, and the commands that ingest runs. What a statement names beyond that
 * is refused by its own name, so that nobody has to guess which half was done. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"

/* --- names --- */

static enum err check_schema(struct converter *c, struct slice schema, int32_t position)
{
    if (schema.size == 0 || slice_equal(schema, SLICE("public")))
        return OK;
    if (slice_equal(schema, SLICE("freshet")))
        return convert_error(c, position, "42501",
                             "tables of schema \"freshet\" cannot be changed");
    return convert_error(c, position, "3F000", "schema \"%.*s\" does not exist",
                         SLICE_ARGS(schema));
}

enum err convert_relation(struct converter *c, const struct json_value *relation,
                          struct slice *name, int32_t *position)
{
    *position = tree_position(c, relation);
    *name = arena_copy(c->arena, tree_text(relation, "relname"));
    if (name->size > IDENTIFIER_SIZE_MAX)
        return convert_error(c, *position, "42622", "the name \"%.*s\" is longer than %d bytes",
                             SLICE_ARGS(*name), IDENTIFIER_SIZE_MAX);
    return check_schema(c, tree_text(relation, "schemaname"), *position);
}

/* [schema, name] or [name], the last `extra` items aside. */
static enum err list_name(struct converter *c, const struct json_value *wrapped, size_t extra,
                          struct slice *name, struct slice *last)
{
    struct tree_node list = tree_unwrap(wrapped);
    struct slice *parts;
    size_t count = tree_strings(c, tree_get(list.fields, "items"), &parts);
    if (count < 1 + extra || count > 2 + extra)
        return convert_error(c, 0, "42601", "improper qualified name");
    *name = parts[count - 1 - extra];
    if (last != NULL)
        *last = parts[count - 1];
    return count == 2 + extra ? check_schema(c, parts[0], 0) : OK;
}

/* --- columns --- */

static bool ends_default(const struct lexer *lexer, enum lexer_token token, bool is_first,
                         bool after_is)
{
    static const char *const words[] = {"primary",    "unique",     "check",      "references",
                                        "constraint", "generated",  "deferrable", "initially",
                                        "storage",    "compression"};
    if (token == LEXER_SYMBOL)
        return strchr(",);", lexer->token.data[0]) != NULL;
    if (token != LEXER_WORD || is_first)
        return false;
    if (lexer_is_word(lexer, token, "null") || (lexer_is_word(lexer, token, "not") && !after_is))
        return true;
    for (size_t index = 0; index < array_count(words); index++)
        if (lexer_is_word(lexer, token, words[index]))
            return true;
    return false;
}

/* The expression behind the word DEFAULT, as written. `offset` is where that word stands. */
static struct slice default_text(struct converter *c, size_t offset)
{
    struct lexer lexer = {.text = c->text, .offset = offset};
    if (!lexer_is_word(&lexer, lexer_next(&lexer), "default"))
        return (struct slice){0};
    size_t begin = 0;
    size_t end = 0;
    size_t depth = 0;
    bool after_is = false;
    bool is_first = true;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        if (depth == 0 && ends_default(&lexer, token, is_first, after_is))
            break;
        char symbol = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        if (symbol == '(' || symbol == '[')
            depth++;
        else if ((symbol == ')' || symbol == ']') && depth > 0)
            depth--;
        after_is = lexer_is_word(&lexer, token, "is");
        begin = is_first ? lexer.token_offset : begin;
        end = lexer.offset;
        is_first = false;
    }
    return slice_of(c->text.data + begin, end - begin);
}

static enum err refuse_constraint(struct converter *c, const struct json_value *fields)
{
    static const struct {
        const char *type, *name;
    } kinds[] = {{"CONSTR_PRIMARY", "PRIMARY KEY"},
                 {"CONSTR_UNIQUE", "UNIQUE"},
                 {"CONSTR_CHECK", "CHECK"},
                 {"CONSTR_FOREIGN", "REFERENCES"},
                 {"CONSTR_IDENTITY", "GENERATED AS IDENTITY"},
                 {"CONSTR_GENERATED", "GENERATED"},
                 {"CONSTR_EXCLUSION", "EXCLUDE"}};
    for (size_t index = 0; index < array_count(kinds); index++)
        if (tree_text_is(fields, "contype", kinds[index].type))
            return convert_unsupported(c, tree_position(c, fields), "%s", kinds[index].name);
    return convert_unsupported(c, tree_position(c, fields), "this constraint");
}

static enum err convert_column_definition(struct converter *c, const struct json_value *fields,
                                          struct command_column *column, struct ast_node **value)
{
    struct slice label;
    column->text_position = tree_position(c, fields);
    column->name = arena_copy(c->arena, tree_text(fields, "colname"));
    c->is_stored = true;
    enum err result = convert_type(c, tree_get(fields, "typeName"), &column->type, &label);
    c->is_stored = false;
    if (result == OK && column->name.size > IDENTIFIER_SIZE_MAX)
        result = convert_error(c, column->text_position, "42622",
                               "the name \"%.*s\" is longer than %d bytes",
                               SLICE_ARGS(column->name), IDENTIFIER_SIZE_MAX);
    if (result == OK && !type_is_storable((enum type_id)column->type.id))
        result = convert_unsupported(c, column->text_position, "a column of type %s",
                                     type_name((enum type_id)column->type.id));
    if (result == OK && column->type.id == TYPE_NUMERIC &&
        (column->type.precision == 0 || column->type.precision > 18)) {
        result = convert_unsupported(c, column->text_position,
                                     "a numeric column without precision or above 18 digits");
        if (c->error != NULL)
            error_hint(c->error, "write numeric(18,%d), or double precision",
                       column->type.precision == 0 ? 3 : column->type.scale);
    }
    if (result == OK && tree_get(fields, "collClause") != NULL)
        result = convert_unsupported(c, column->text_position, "COLLATE of a column");
    const struct json_value *constraints = tree_get(fields, "constraints");
    for (const struct json_value *item = constraints == NULL ? NULL : constraints->child;
         item != NULL && result == OK; item = item->next) {
        struct tree_node node = tree_unwrap(item);
        if (tree_text_is(node.fields, "contype", "CONSTR_NOTNULL")) {
            column->is_not_null = true;
        } else if (tree_text_is(node.fields, "contype", "CONSTR_DEFAULT")) {
            size_t offset = tree_offset(c, node.fields);
            column->default_text = arena_copy(c->arena, default_text(c, offset));
            result = convert_expr(c, tree_get(node.fields, "raw_expr"), value);
        } else if (!tree_text_is(node.fields, "contype", "CONSTR_NULL")) {
            result = refuse_constraint(c, node.fields);
        }
    }
    return result;
}

/* Behind name and =, where an option starts at `offset`. */
static size_t value_offset(struct converter *c, size_t offset)
{
    struct lexer lexer = {.text = c->text, .offset = offset};
    (void)lexer_next(&lexer);
    size_t behind_name = lexer.offset;
    bool has_sign = lexer_next(&lexer) == LEXER_SYMBOL && lexer.token.data[0] == '=';
    return has_sign ? lexer.offset : behind_name;
}

enum err convert_option(struct converter *c, const struct json_value *fields,
                        struct command_option *option)
{
    option->text_position = tree_position(c, fields);
    option->name = arena_copy(c->arena, tree_text(fields, "defname"));
    if (tree_text(fields, "defnamespace").size > 0)
        return convert_unsupported(c, option->text_position, "an option with a namespace");
    struct tree_node value = tree_unwrap(tree_get(fields, "arg"));
    if (value.fields == NULL) {
        option->value = SLICE("true");
    } else if (tree_is(&value, "String")) {
        option->value = arena_copy(c->arena, tree_text(value.fields, "sval"));
    } else if (tree_is(&value, "Integer")) {
        option->value = tree_digits(c, value.fields, value_offset(c, tree_offset(c, fields)));
    } else if (tree_is(&value, "Float")) {
        option->value = arena_copy(c->arena, tree_text(value.fields, "fval"));
    } else if (tree_is(&value, "Boolean")) {
        option->value = tree_bool(value.fields, "boolval") ? SLICE("true") : SLICE("false");
    } else if (tree_is(&value, "TypeName")) {
        struct slice *names;
        size_t count = tree_strings(c, tree_get(value.fields, "names"), &names);
        option->value = count == 0 ? SLICE("") : names[count - 1];
    } else {
        return convert_error(c, option->text_position, "22023",
                             "option \"%.*s\" needs a plain value", SLICE_ARGS(option->name));
    }
    return OK;
}

/* --- statements --- */

static enum err refuse_create_extras(struct converter *c, const struct json_value *fields,
                                     const struct json_value *relation)
{
    static const struct {
        const char *key, *name;
    } extras[] = {{"inhRelations", "INHERITS and PARTITION OF"},
                  {"partspec", "PARTITION BY"},
                  {"ofTypename", "OF type"},
                  {"tablespacename", "TABLESPACE"},
                  {"tableSpaceName", "TABLESPACE"}, /* of CREATE TABLE AS */
                  {"accessMethod", "USING"}};
    int32_t position = tree_position(c, relation);
    for (size_t index = 0; index < array_count(extras); index++)
        if (tree_get(fields, extras[index].key) != NULL)
            return convert_unsupported(c, position, "CREATE TABLE … %s", extras[index].name);
    if (tree_text_is(relation, "relpersistence", "t"))
        return convert_unsupported(c, position, "CREATE TEMPORARY TABLE");
    if (tree_text_is(relation, "relpersistence", "u"))
        return convert_unsupported(c, position, "CREATE UNLOGGED TABLE");
    return OK;
}

static enum err convert_create_options(struct converter *c, const struct json_value *options,
                                       struct command *command)
{
    enum err result = OK;
    command->options = arena_alloc_zero(c->arena, tree_count(options) * sizeof(*command->options));
    for (const struct json_value *item = options == NULL ? NULL : options->child;
         item != NULL && result == OK; item = item->next)
        result =
            convert_option(c, tree_unwrap(item).fields, &command->options[command->option_count++]);
    return result;
}

static enum err convert_create(struct converter *c, const struct json_value *fields,
                               struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_CREATE_TABLE;
    command->if_exists = tree_bool(fields, "if_not_exists");
    enum err result = refuse_create_extras(c, fields, tree_get(fields, "relation"));
    if (result == OK)
        result = convert_relation(c, tree_get(fields, "relation"), &command->table,
                                  &command->text_position);
    const struct json_value *elements = tree_get(fields, "tableElts");
    command->columns = arena_alloc_zero(c->arena, tree_count(elements) * sizeof(*command->columns));
    out->defaults = arena_alloc_zero(c->arena, tree_count(elements) * sizeof(*out->defaults));
    for (const struct json_value *item = elements == NULL ? NULL : elements->child;
         item != NULL && result == OK; item = item->next) {
        struct tree_node node = tree_unwrap(item);
        size_t index = command->column_count;
        if (tree_is(&node, "Constraint"))
            return refuse_constraint(c, node.fields);
        if (!tree_is(&node, "ColumnDef"))
            return convert_unsupported(c, command->text_position, "CREATE TABLE … LIKE");
        result = convert_column_definition(c, node.fields, &command->columns[index],
                                           &out->defaults[index]);
        command->column_count++;
    }
    return result != OK ? result : convert_create_options(c, tree_get(fields, "options"), command);
}

static enum err convert_create_as(struct converter *c, const struct json_value *fields,
                                  struct ast_statement *out)
{
    struct command *command = out->command;
    const struct json_value *into = tree_get(fields, "into");
    struct tree_node query = tree_unwrap(tree_get(fields, "query"));
    struct slice *names;
    if (tree_text_is(fields, "objtype", "OBJECT_MATVIEW"))
        return convert_create_materialized(c, fields, out);
    command->kind = COMMAND_CREATE_TABLE;
    command->is_as = true;
    command->if_exists = tree_bool(fields, "if_not_exists");
    command->is_without_rows = tree_bool(into, "skipData");
    const struct json_value *relation = tree_get(into, "rel");
    enum err result = convert_relation(c, relation, &command->table, &command->text_position);
    if (result == OK)
        result = refuse_create_extras(c, into, relation);
    if (result == OK && !tree_is(&query, "SelectStmt"))
        result = convert_unsupported(c, command->text_position, "a table of anything but a query");
    if (result == OK)
        result = convert_create_options(c, tree_get(into, "options"), command);
    if (result != OK)
        return result;
    out->name_count = tree_strings(c, tree_get(into, "colNames"), &names);
    out->names = arena_alloc_zero(c->arena, (out->name_count + 1) * sizeof(*out->names));
    for (size_t index = 0; index < out->name_count; index++)
        out->names[index].name = names[index];
    return convert_select(c, query.fields, &out->select);
}

static enum err convert_alter(struct converter *c, const struct json_value *fields,
                              struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_ALTER_TABLE;
    command->if_exists = tree_bool(fields, "missing_ok");
    enum err result =
        convert_relation(c, tree_get(fields, "relation"), &command->table, &command->text_position);
    if (result == OK && !tree_text_is(fields, "objtype", "OBJECT_TABLE"))
        result = convert_unsupported(c, command->text_position, "ALTER of anything but a table");
    const struct json_value *actions = tree_get(fields, "cmds");
    command->actions = arena_alloc_zero(c->arena, tree_count(actions) * sizeof(*command->actions));
    out->defaults = arena_alloc_zero(c->arena, tree_count(actions) * sizeof(*out->defaults));
    for (const struct json_value *item = actions == NULL ? NULL : actions->child;
         item != NULL && result == OK; item = item->next) {
        struct tree_node node = tree_unwrap(item);
        size_t index = command->action_count++;
        struct alter_action *action = &command->actions[index];
        action->if_exists = tree_bool(node.fields, "missing_ok");
        if (tree_text_is(node.fields, "subtype", "AT_AddColumn")) {
            action->kind = ALTER_ADD_COLUMN;
            result = convert_column_definition(c, tree_unwrap(tree_get(node.fields, "def")).fields,
                                               &action->column, &out->defaults[index]);
        } else if (tree_text_is(node.fields, "subtype", "AT_DropColumn")) {
            action->kind = ALTER_DROP_COLUMN;
            action->column.name = arena_copy(c->arena, tree_text(node.fields, "name"));
        } else {
            result = convert_unsupported(c, command->text_position,
                                         "ALTER TABLE other than ADD COLUMN and DROP COLUMN");
        }
    }
    return result;
}

static enum err convert_rename(struct converter *c, const struct json_value *fields,
                               struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_RENAME;
    command->if_exists = tree_bool(fields, "missing_ok");
    bool is_column = tree_text_is(fields, "renameType", "OBJECT_COLUMN");
    const char *key = is_column ? "relationType" : "renameType";
    command->is_materialized = tree_text_is(fields, key, "OBJECT_MATVIEW");
    command->is_view = tree_text_is(fields, key, "OBJECT_VIEW") || command->is_materialized;
    command->is_index = tree_text_is(fields, key, "OBJECT_INDEX");
    if (!command->is_view && !command->is_index && !tree_text_is(fields, key, "OBJECT_TABLE"))
        return convert_unsupported(c, 0,
                                   "RENAME of anything but tables, columns, views and indexes");
    command->new_name = arena_copy(c->arena, tree_text(fields, "newname"));
    if (is_column)
        command->column = arena_copy(c->arena, tree_text(fields, "subname"));
    return convert_relation(c, tree_get(fields, "relation"), &command->table,
                            &command->text_position);
}

static enum err convert_drop(struct converter *c, const struct json_value *fields,
                             struct ast_statement *out)
{
    struct command *command = out->command;
    bool is_index = tree_text_is(fields, "removeType", "OBJECT_INDEX");
    command->is_materialized = tree_text_is(fields, "removeType", "OBJECT_MATVIEW");
    bool is_view = tree_text_is(fields, "removeType", "OBJECT_VIEW") || command->is_materialized;
    command->kind = is_view    ? COMMAND_DROP_VIEW
                    : is_index ? COMMAND_DROP_INDEX
                               : COMMAND_DROP_TABLE;
    command->if_exists = tree_bool(fields, "missing_ok");
    if (!is_index && !is_view && !tree_text_is(fields, "removeType", "OBJECT_TABLE"))
        return convert_unsupported(c, 0, "DROP of anything but tables, views and indexes");
    if (is_view && tree_text_is(fields, "behavior", "DROP_CASCADE"))
        return convert_unsupported(c, 0, "DROP %sVIEW … CASCADE",
                                   command->is_materialized ? "MATERIALIZED " : "");
    const struct json_value *objects = tree_get(fields, "objects");
    command->tables = arena_alloc_zero(c->arena, tree_count(objects) * sizeof(*command->tables));
    for (const struct json_value *item = objects == NULL ? NULL : objects->child; item != NULL;
         item = item->next) {
        enum err result = list_name(c, item, 0, &command->tables[command->table_count++], NULL);
        if (result != OK)
            return result;
    }
    command->table = command->tables[0];
    return OK;
}

static enum err convert_truncate(struct converter *c, const struct json_value *fields,
                                 struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_TRUNCATE;
    const struct json_value *relations = tree_get(fields, "relations");
    command->tables = arena_alloc_zero(c->arena, tree_count(relations) * sizeof(*command->tables));
    for (const struct json_value *item = relations == NULL ? NULL : relations->child; item != NULL;
         item = item->next) {
        int32_t position;
        enum err result = convert_relation(c, tree_unwrap(item).fields,
                                           &command->tables[command->table_count++], &position);
        if (result != OK)
            return result;
        if (command->table_count == 1)
            command->text_position = position;
    }
    command->table = command->tables[0];
    return OK;
}

static enum err convert_comment(struct converter *c, const struct json_value *fields,
                                struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_COMMENT;
    command->comment = arena_copy(c->arena, tree_text(fields, "comment"));
    if (tree_text_is(fields, "objtype", "OBJECT_TABLE"))
        return list_name(c, tree_get(fields, "object"), 0, &command->table, NULL);
    if (tree_text_is(fields, "objtype", "OBJECT_COLUMN"))
        return list_name(c, tree_get(fields, "object"), 1, &command->table,
                         &command->comment_column);
    return convert_unsupported(c, 0, "COMMENT ON anything but tables and columns");
}

static enum err convert_insert(struct converter *c, const struct json_value *fields,
                               struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_INSERT;
    const struct json_value *relation = tree_get(fields, "relation");
    enum err result = convert_relation(c, relation, &command->table, &command->text_position);
    out->alias = arena_copy(c->arena, tree_text(tree_get(relation, "alias"), "aliasname"));
    if (result == OK && tree_get(fields, "onConflictClause") != NULL)
        result = convert_unsupported(c, command->text_position, "ON CONFLICT");
    const struct json_value *returning = tree_get(fields, "returningList");
    if (result == OK && returning != NULL) {
        out->returning = arena_alloc_zero(c->arena, sizeof(*out->returning));
        result = convert_targets(c, returning, out->returning);
    }
    if (result == OK && !tree_text_is(fields, "override", "OVERRIDING_NOT_SET"))
        result = convert_unsupported(c, command->text_position, "OVERRIDING");
    const struct json_value *columns = tree_get(fields, "cols");
    out->names = arena_alloc_zero(c->arena, tree_count(columns) * sizeof(*out->names));
    for (const struct json_value *item = columns == NULL ? NULL : columns->child;
         item != NULL && result == OK; item = item->next) {
        struct tree_node node = tree_unwrap(item);
        struct ast_name *name = &out->names[out->name_count++];
        name->name = arena_copy(c->arena, tree_text(node.fields, "name"));
        name->position = tree_position(c, node.fields);
        if (tree_get(node.fields, "indirection") != NULL)
            result = convert_unsupported(c, name->position, "assignment to a part of a column");
    }
    const struct json_value *source = tree_get(fields, "selectStmt");
    if (result != OK || source == NULL)
        return result;
    result = convert_select(c, tree_unwrap(source).fields, &out->select);
    const struct json_value *with = tree_get(fields, "withClause");
    return result != OK || with == NULL ? result : convert_outer_with(c, with, out->select);
}

static enum err convert_explain(struct converter *c, const struct json_value *fields,
                                struct ast_statement *out)
{
    static const char *const ignored[] = {"verbose", "costs",  "settings", "buffers",
                                          "wal",     "timing", "summary"};
    out->kind = AST_STATEMENT_EXPLAIN;
    const struct json_value *options = tree_get(fields, "options");
    for (const struct json_value *item = options == NULL ? NULL : options->child; item != NULL;
         item = item->next) {
        struct command_option option;
        enum err result = convert_option(c, tree_unwrap(item).fields, &option);
        if (result != OK)
            return result;
        bool is_known = false;
        for (size_t index = 0; index < array_count(ignored); index++)
            is_known = is_known || slice_equal(option.name, slice_from_cstr(ignored[index]));
        if (slice_equal(option.name, SLICE("analyze")))
            out->is_analyze = !slice_equal_ignore_case(option.value, SLICE("false")) &&
                              !slice_equal_ignore_case(option.value, SLICE("off")) &&
                              !slice_equal(option.value, SLICE("0"));
        else if (slice_equal(option.name, SLICE("format")) &&
                 slice_equal_ignore_case(option.value, SLICE("text")))
            out->is_json = false;
        else if (slice_equal(option.name, SLICE("format")) &&
                 slice_equal_ignore_case(option.value, SLICE("json")))
            out->is_json = true;
        else if (slice_equal(option.name, SLICE("format")))
            return convert_unsupported(c, option.text_position, "EXPLAIN (FORMAT %.*s)",
                                       SLICE_ARGS(option.value));
        else if (!is_known)
            return convert_error(c, option.text_position, "42601",
                                 "unrecognized EXPLAIN option \"%.*s\"", SLICE_ARGS(option.name));
    }
    struct tree_node query = tree_unwrap(tree_get(fields, "query"));
    if (!tree_is(&query, "SelectStmt"))
        return convert_unsupported(c, 0, "EXPLAIN of anything but SELECT and VALUES");
    return convert_select(c, query.fields, &out->select);
}

/* The procedures that are to come are named; any other is one that does not exist. */
static enum err refuse_call(struct converter *c, const struct json_value *fields)
{
    static const char *const names[] = {"replay_dead_letters", "resolve_dead_letters", "backup",
                                        "replace_range"};
    const struct json_value *call = tree_get(fields, "funccall");
    struct slice *parts;
    size_t count = tree_strings(c, tree_get(call, "funcname"), &parts);
    if (count == 0)
        return convert_unsupported(c, 0, "CALL");
    struct slice name = parts[count - 1];
    if (count == 2 && slice_equal(parts[0], SLICE("freshet")))
        for (size_t index = 0; index < array_count(names); index++)
            if (slice_equal(name, slice_from_cstr(names[index])))
                return convert_unsupported(c, tree_position(c, call), "CALL freshet.%s",
                                           names[index]);
    return convert_error(c, tree_position(c, call), "42883", "procedure %.*s does not exist",
                         SLICE_ARGS(name));
}

static enum err refuse_statement(struct converter *c, struct tree_node node)
{
    static const struct {
        const char *type, *name;
    } names[] = {{"DeleteStmt", "DELETE"},
                 {"UpdateStmt", "UPDATE"},
                 {"MergeStmt", "MERGE"},
                 {"CreateSchemaStmt", "CREATE SCHEMA"},
                 {"CreateFunctionStmt", "CREATE FUNCTION"},
                 {"CreateTrigStmt", "CREATE TRIGGER"},
                 {"CreateSeqStmt", "CREATE SEQUENCE"},
                 {"CreatedbStmt", "CREATE DATABASE"},
                 {"CreateExtensionStmt", "CREATE EXTENSION"},
                 {"CreateEnumStmt", "CREATE TYPE"},
                 {"CreateDomainStmt", "CREATE DOMAIN"},
                 {"ListenStmt", "LISTEN"},
                 {"NotifyStmt", "NOTIFY"},
                 {"VacuumStmt", "VACUUM and ANALYZE"},
                 {"LockStmt", "LOCK"},
                 {"DoStmt", "DO"},
                 {"ReindexStmt", "REINDEX"},
                 {"ClusterStmt", "CLUSTER"},
                 {"RefreshMatViewStmt", "REFRESH MATERIALIZED VIEW"},
                 {"AlterRoleSetStmt", "ALTER ROLE … SET"},
                 {"AlterDefaultPrivilegesStmt", "ALTER DEFAULT PRIVILEGES"},
                 {"DropOwnedStmt", "DROP OWNED"},
                 {"ReassignOwnedStmt", "REASSIGN OWNED"},
                 {"AlterOwnerStmt", "ALTER … OWNER TO"},
                 {"CreatePolicyStmt", "CREATE POLICY"},
                 {"CreatePublicationStmt", "CREATE PUBLICATION"},
                 {"CompositeTypeStmt", "CREATE TYPE"}};
    if (tree_is(&node, "CallStmt"))
        return refuse_call(c, node.fields);
    for (size_t index = 0; index < array_count(names); index++) {
        if (!tree_is(&node, names[index].type))
            continue;
        return convert_unsupported(c, 0, "%s", names[index].name);
    }
    return convert_unsupported(c, 0, "this statement (%.*s)", SLICE_ARGS(node.type));
}

enum err convert_statement(struct converter *c, const struct json_value *wrapped,
                           struct ast_statement *out)
{
    static const struct {
        const char *type;
        enum err (*convert)(struct converter *c, const struct json_value *fields,
                            struct ast_statement *out);
    } commands[] = {{"CreateStmt", convert_create},
                    {"CreateTableAsStmt", convert_create_as},
                    {"AlterTableStmt", convert_alter},
                    {"RenameStmt", convert_rename},
                    {"IndexStmt", convert_create_index},
                    {"DropStmt", convert_drop},
                    {"TruncateStmt", convert_truncate},
                    {"CommentStmt", convert_comment},
                    {"InsertStmt", convert_insert},
                    {"ViewStmt", convert_create_view},
                    {"ExplainStmt", convert_explain},
                    {"CopyStmt", convert_copy},
                    {"CreateRoleStmt", convert_create_role},
                    {"AlterRoleStmt", convert_alter_role},
                    {"DropRoleStmt", convert_drop_role},
                    {"GrantStmt", convert_grant},
                    {"GrantRoleStmt", convert_grant_role},
                    {"CreateSubscriptionStmt", convert_create_subscription},
                    {"AlterSubscriptionStmt", convert_alter_subscription},
                    {"DropSubscriptionStmt", convert_drop_subscription}};
    struct tree_node node = tree_unwrap(wrapped);
    *out = (struct ast_statement){.kind = AST_STATEMENT_COMMAND};
    if (tree_is(&node, "SelectStmt")) {
        out->kind = AST_STATEMENT_SELECT;
        out->is_values = tree_get(node.fields, "valuesLists") != NULL;
        return convert_select(c, node.fields, &out->select);
    }
    if (tree_is(&node, "VariableShowStmt")) {
        out->kind = AST_STATEMENT_SHOW;
        out->show = arena_copy(c->arena, tree_text(node.fields, "name"));
        return OK;
    }
    out->command = arena_alloc_zero(c->arena, sizeof(*out->command));
    if (tree_is(&node, "CheckPointStmt")) {
        out->command->kind = COMMAND_CHECKPOINT;
        return OK;
    }
    for (size_t index = 0; index < array_count(commands); index++)
        if (tree_is(&node, commands[index].type))
            return commands[index].convert(c, node.fields, out);
    bool is_known = false;
    enum err result = convert_session(c, node, &is_known, out);
    return is_known ? result : refuse_statement(c, node);
}
