/* CREATE, ALTER and DROP SUBSCRIPTION: PostgreSQL's grammar, read as a topic that flows into a
 * table.
 *
 *   CREATE SUBSCRIPTION name CONNECTION 'kafka://…' PUBLICATION topic WITH (table = 'clicks', …)
 *
 * What the options mean and which there are is ingest's to say; here they are carried over with
 * their places. The tree has no places for the statement's own words, so they are found again in
 * the text when one of them is refused. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"

/* The 1-based character of the statement's word number `index`; 0 if it has fewer. */
static int32_t word_position(const struct converter *c, size_t index)
{
    struct lexer lexer = {.text = c->text};
    for (size_t i = 0; i <= index; i++)
        if (lexer_next(&lexer) == LEXER_END)
            return 0;
    return (int32_t)sql_position(c->text, lexer.token_offset);
}

static enum err subscription_name(struct converter *c, const struct json_value *fields, size_t word,
                                  struct command *command)
{
    command->text_position = word_position(c, word);
    command->subscription = arena_copy(c->arena, tree_text(fields, "subname"));
    if (command->subscription.size > IDENTIFIER_SIZE_MAX)
        return convert_error(c, command->text_position, "42622",
                             "the name \"%.*s\" is longer than %d bytes",
                             SLICE_ARGS(command->subscription), IDENTIFIER_SIZE_MAX);
    return OK;
}

static enum err subscription_options(struct converter *c, const struct json_value *fields,
                                     struct command *command)
{
    const struct json_value *options = tree_get(fields, "options");
    enum err result = OK;
    command->options = arena_alloc_zero(c->arena, tree_count(options) * sizeof(*command->options));
    for (const struct json_value *item = options == NULL ? NULL : options->child;
         item != NULL && result == OK; item = item->next)
        result =
            convert_option(c, tree_unwrap(item).fields, &command->options[command->option_count++]);
    return result;
}

enum err convert_create_subscription(struct converter *c, const struct json_value *fields,
                                     struct ast_statement *out)
{
    struct command *command = out->command;
    struct slice *topics;
    command->kind = COMMAND_CREATE_SUBSCRIPTION;
    enum err result = subscription_name(c, fields, 2, command);
    if (result != OK)
        return result;
    command->connection = arena_copy(c->arena, tree_text(fields, "conninfo"));
    size_t count = tree_strings(c, tree_get(fields, "publication"), &topics);
    if (count != 1)
        return convert_unsupported(c, command->text_position,
                                   "a subscription to several topics: write one for each");
    command->topic = topics[0];
    return subscription_options(c, fields, command);
}

enum err convert_alter_subscription(struct converter *c, const struct json_value *fields,
                                    struct ast_statement *out)
{
    static const struct {
        const char *kind, *name;
    } refused[] = {{"ALTER_SUBSCRIPTION_SET_PUBLICATION", "ALTER SUBSCRIPTION … SET PUBLICATION"},
                   {"ALTER_SUBSCRIPTION_ADD_PUBLICATION", "ALTER SUBSCRIPTION … ADD PUBLICATION"},
                   {"ALTER_SUBSCRIPTION_DROP_PUBLICATION", "ALTER SUBSCRIPTION … DROP PUBLICATION"},
                   {"ALTER_SUBSCRIPTION_REFRESH", "ALTER SUBSCRIPTION … REFRESH PUBLICATION"},
                   {"ALTER_SUBSCRIPTION_SKIP", "ALTER SUBSCRIPTION … SKIP"}};
    struct command *command = out->command;
    command->kind = COMMAND_ALTER_SUBSCRIPTION;
    enum err result = subscription_name(c, fields, 2, command);
    if (result != OK)
        return result;
    for (size_t index = 0; index < array_count(refused); index++)
        if (tree_text_is(fields, "kind", refused[index].kind))
            return convert_unsupported(c, word_position(c, 3), "%s", refused[index].name);
    if (tree_text_is(fields, "kind", "ALTER_SUBSCRIPTION_CONNECTION")) {
        command->alter_subscription = SUBSCRIPTION_CONNECTION;
        command->connection = arena_copy(c->arena, tree_text(fields, "conninfo"));
        return OK;
    }
    result = subscription_options(c, fields, command);
    if (result != OK)
        return result;
    if (tree_text_is(fields, "kind", "ALTER_SUBSCRIPTION_OPTIONS"))
        command->alter_subscription = SUBSCRIPTION_SET;
    else if (tree_text_is(fields, "kind", "ALTER_SUBSCRIPTION_ENABLED"))
        command->alter_subscription =
            command->option_count > 0 && slice_equal(command->options[0].value, SLICE("false"))
                ? SUBSCRIPTION_DISABLE
                : SUBSCRIPTION_ENABLE;
    else
        return convert_unsupported(c, word_position(c, 3), "this form of ALTER SUBSCRIPTION");
    return OK;
}

enum err convert_drop_subscription(struct converter *c, const struct json_value *fields,
                                   struct ast_statement *out)
{
    struct command *command = out->command;
    command->kind = COMMAND_DROP_SUBSCRIPTION;
    command->if_exists = tree_bool(fields, "missing_ok");
    return subscription_name(c, fields, command->if_exists ? 4 : 2, command);
}
