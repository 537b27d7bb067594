/* Statements about a session: SET and RESET, transactions, prepared statements, cursors.
 *
 * What they hold of other statements (PREPARE's, DECLARE's query, EXECUTE's arguments) stays text,
 * found behind the word that leads it: it is parsed when the session runs it. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"
#include "storage/base/number.h"

#define CURSOR_WITH_HOLD 0x20 /* CURSOR_OPT_HOLD of PostgreSQL */

/* --- SET --- */

/* SET TRANSACTION and SET SESSION CHARACTERISTICS: the modes, of which read only counts. */
static enum err convert_modes(struct converter *c, const struct json_value *list,
                              bool *is_read_only, bool *is_read_write)
{
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        struct tree_node option = tree_unwrap(item);
        struct slice name = tree_text(option.fields, "defname");
        if (!slice_equal(name, SLICE("transaction_read_only")))
            continue; /* isolation levels and DEFERRABLE: there is one level, that of a snapshot */
        int64_t value = 0;
        if (!tree_integer(c, tree_get(option.fields, "arg"), &value))
            return convert_unsupported(c, 0, "this mode of a transaction");
        *is_read_only = value != 0;
        *is_read_write = value == 0;
    }
    return OK;
}

static enum err convert_set_modes(struct converter *c, const struct json_value *fields,
                                  struct command *command)
{
    bool is_read_only = false, is_read_write = false;
    enum err result = convert_modes(c, tree_get(fields, "args"), &is_read_only, &is_read_write);
    command->is_reset = false;
    command->is_characteristics = true;
    command->is_local = slice_equal(command->setting, SLICE("TRANSACTION"));
    command->setting =
        command->is_local ? SLICE("transaction_read_only") : SLICE("default_transaction_read_only");
    command->value = is_read_only ? SLICE("on") : is_read_write ? SLICE("off") : SLICE("");
    return result;
}

static enum err convert_set(struct converter *c, const struct json_value *fields,
                            struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_SET;
    command->setting = arena_copy(c->arena, tree_text(fields, "name"));
    command->is_local = tree_bool(fields, "is_local");
    if (slice_equal(command->setting, SLICE("role")))
        return convert_unsupported(c, 0, "SET ROLE");
    if (slice_equal(command->setting, SLICE("session_authorization")))
        return convert_unsupported(c, 0, "SET SESSION AUTHORIZATION");
    struct slice kind = tree_text(fields, "kind");
    command->is_reset = !slice_equal(kind, SLICE("VAR_SET_VALUE"));
    if (slice_equal(kind, SLICE("VAR_RESET_ALL")))
        command->setting = SLICE("all");
    else if (slice_equal(kind, SLICE("VAR_SET_MULTI")))
        return convert_set_modes(c, fields, command);
    else if (slice_equal(kind, SLICE("VAR_SET_CURRENT")))
        return convert_unsupported(c, 0, "this form of SET");
    struct writer value;
    writer_init(&value);
    const struct json_value *arguments = tree_get(fields, "args");
    enum err result = OK;
    for (const struct json_value *item = arguments == NULL ? NULL : arguments->child;
         item != NULL && result == OK; item = item->next) {
        struct ast_node *node;
        result = convert_expr(c, item, &node);
        if (result == OK && node->kind != AST_STRING && node->kind != AST_NUMBER)
            result = convert_unsupported(c, node->position, "this value of a setting");
        if (result == OK) {
            writer_cstr(&value, value.size > 0 ? ", " : "");
            writer_slice(&value, node->text);
        }
    }
    command->value = arena_copy(c->arena, writer_as_slice(&value));
    writer_deinit(&value);
    return result;
}

/* --- what is kept as text --- */

/* The text behind the first word `word` outside of parentheses; empty if there is none. */
static struct slice text_behind(struct converter *c, const char *word)
{
    struct lexer lexer = {.text = c->text};
    int depth = 0;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        char symbol = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        depth += symbol == '(' ? 1 : symbol == ')' ? -1 : 0;
        if (depth == 0 && lexer_is_word(&lexer, token, word))
            return arena_copy(c->arena,
                              slice_of(c->text.data + lexer.offset, c->text.size - lexer.offset));
    }
    return SLICE("");
}

/* What stands between the first parenthesis and the one that closes it. */
static struct slice text_inside(struct converter *c)
{
    struct lexer lexer = {.text = c->text};
    size_t begin = 0, depth = 0;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        char symbol = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        if (symbol == '(' && depth++ == 0)
            begin = lexer.offset;
        else if (symbol == ')' && depth > 0 && --depth == 0)
            return arena_copy(c->arena, slice_of(c->text.data + begin, lexer.token_offset - begin));
    }
    return SLICE("");
}

/* --- each statement --- */

static struct session_command *begin(struct converter *c, const struct json_value *fields,
                                     const char *name, enum session_action action,
                                     struct ast_statement *out)
{
    struct session_command *session = &out->command->session;
    out->command->kind = COMMAND_SESSION;
    session->action = action;
    if (name != NULL)
        session->name = arena_copy(c->arena, tree_text(fields, name));
    return session;
}

static enum err convert_transaction(struct converter *c, const struct json_value *fields,
                                    struct ast_statement *out)
{
    static const struct {
        const char *kind;
        enum session_action action;
    } kinds[] = {
        {"TRANS_STMT_BEGIN", SESSION_BEGIN},
        {"TRANS_STMT_START", SESSION_BEGIN},
        {"TRANS_STMT_COMMIT", SESSION_COMMIT},
        {"TRANS_STMT_ROLLBACK", SESSION_ROLLBACK},
        {"TRANS_STMT_SAVEPOINT", SESSION_SAVEPOINT},
        {"TRANS_STMT_RELEASE", SESSION_RELEASE},
        {"TRANS_STMT_ROLLBACK_TO", SESSION_ROLLBACK_TO},
    };
    for (size_t i = 0; i < array_count(kinds); i++) {
        if (!tree_text_is(fields, "kind", kinds[i].kind))
            continue;
        struct session_command *session = begin(c, fields, "savepoint_name", kinds[i].action, out);
        session->is_chain = tree_bool(fields, "chain");
        session->is_start = tree_text_is(fields, "kind", "TRANS_STMT_START");
        return convert_modes(c, tree_get(fields, "options"), &session->is_read_only,
                             &session->is_read_write);
    }
    return convert_unsupported(c, 0, "a prepared transaction");
}

static enum err convert_prepare(struct converter *c, const struct json_value *fields,
                                struct ast_statement *out)
{
    struct session_command *session = begin(c, fields, "name", SESSION_PREPARE, out);
    const struct json_value *types = tree_get(fields, "argtypes");
    session->text = text_behind(c, "as");
    session->types = arena_alloc_array(c->arena, tree_count(types), sizeof(*session->types));
    for (const struct json_value *item = types == NULL ? NULL : types->child; item != NULL;
         item = item->next) {
        struct slice label;
        enum err result = convert_type(c, tree_unwrap(item).fields,
                                       &session->types[session->type_count++], &label);
        if (result != OK)
            return result;
    }
    return OK;
}

static enum err convert_execute(struct converter *c, const struct json_value *fields,
                                struct ast_statement *out)
{
    struct session_command *session = begin(c, fields, "name", SESSION_EXECUTE, out);
    if (tree_count(tree_get(fields, "params")) > 0)
        session->text = text_inside(c);
    return OK;
}

static enum err convert_deallocate(struct converter *c, const struct json_value *fields,
                                   struct ast_statement *out)
{
    begin(c, fields, "name", SESSION_DEALLOCATE, out);
    return OK;
}

static enum err convert_discard(struct converter *c, const struct json_value *fields,
                                struct ast_statement *out)
{
    struct session_command *session = begin(c, fields, NULL, SESSION_DISCARD, out);
    session->is_chain = !tree_text_is(fields, "target", "DISCARD_ALL"); /* PLANS, TEMP … */
    return OK;
}

/* There is nothing that one listens to, so it has ended. */
static enum err convert_unlisten(struct converter *c, const struct json_value *fields,
                                 struct ast_statement *out)
{
    struct session_command *session = begin(c, fields, NULL, SESSION_DISCARD, out);
    session->is_chain = true;
    session->name = SLICE("UNLISTEN");
    return OK;
}

static enum err convert_declare(struct converter *c, const struct json_value *fields,
                                struct ast_statement *out)
{
    struct session_command *session = begin(c, fields, "portalname", SESSION_DECLARE, out);
    int64_t options = 0;
    if (int_parse(tree_text(fields, "options"), 0, INT32_MAX, "integer", &options, NULL) != OK)
        options = 0;
    session->is_hold = (options & CURSOR_WITH_HOLD) != 0;
    session->text = text_behind(c, "for");
    return OK;
}

static enum err convert_fetch(struct converter *c, const struct json_value *fields,
                              struct ast_statement *out)
{
    bool is_move = tree_bool(fields, "ismove");
    struct session_command *session =
        begin(c, fields, "portalname", is_move ? SESSION_MOVE : SESSION_FETCH, out);
    if (!tree_text_is(fields, "direction", "FETCH_FORWARD"))
        return convert_unsupported(c, 0, "a cursor that goes anywhere but forward");
    if (int_parse(tree_text(fields, "howMany"), INT64_MIN, INT64_MAX, "bigint", &session->count,
                  NULL) != OK)
        session->count = 0;
    if (session->count < 0)
        return convert_unsupported(c, 0, "a cursor that goes anywhere but forward");
    return OK;
}

static enum err convert_close(struct converter *c, const struct json_value *fields,
                              struct ast_statement *out)
{
    begin(c, fields, "portalname", SESSION_CLOSE, out);
    return OK;
}

enum err convert_session(struct converter *c, struct tree_node node, bool *is_known,
                         struct ast_statement *out)
{
    static const struct {
        const char *type;
        enum err (*convert)(struct converter *c, const struct json_value *fields,
                            struct ast_statement *out);
    } forms[] = {{"TransactionStmt", convert_transaction},
                 {"VariableSetStmt", convert_set},
                 {"PrepareStmt", convert_prepare},
                 {"ExecuteStmt", convert_execute},
                 {"DeallocateStmt", convert_deallocate},
                 {"DiscardStmt", convert_discard},
                 {"UnlistenStmt", convert_unlisten},
                 {"DeclareCursorStmt", convert_declare},
                 {"FetchStmt", convert_fetch},
                 {"ClosePortalStmt", convert_close}};
    for (size_t i = 0; i < array_count(forms); i++) {
        *is_known = tree_is(&node, forms[i].type);
        if (*is_known)
            return forms[i].convert(c, node.fields, out);
    }
    return OK;
}
