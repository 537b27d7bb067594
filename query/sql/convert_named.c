/* f(a, name => b): arguments by name, of the few functions that are called so; what is left out
 * before the last one given stands there with its default. */
#include "query/sql/convert.h"

#define NAMES_MAX 7

static const struct form {
    const char *function;
    const char *names[NAMES_MAX];
    const char *defaults[NAMES_MAX]; /* as literals; NULL: it must be given */
} forms[] = {
    {"make_interval",
     {"years", "months", "weeks", "days", "hours", "mins", "secs"},
     {"0", "0", "0", "0", "0", "0", "0"}},
    {"make_date", {"year", "month", "day"}, {NULL}},
    {"make_timestamp", {"year", "month", "mday", "hour", "min", "sec"}, {NULL}},
    {"make_timestamptz", {"year", "month", "mday", "hour", "min", "sec", "timezone"}, {NULL}},
    {"jsonb_set", {"jsonb_in", "path", "replacement", "create_if_missing"}, {NULL}},
    {"jsonb_insert", {"jsonb_in", "path", "replacement", "insert_after"}, {NULL}},
    {"jsonb_path_exists", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "f"}},
    {"jsonb_path_match", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "f"}},
    {"jsonb_path_query", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "f"}},
    {"jsonb_path_query_array", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "f"}},
    {"jsonb_path_query_first", {"target", "path", "vars", "silent"}, {NULL, NULL, "{}", "f"}},
};

static const struct form *find_form(struct slice function)
{
    for (size_t index = 0; index < array_count(forms); index++)
        if (slice_equal(function, slice_from_cstr(forms[index].function)))
            return &forms[index];
    return NULL;
}

/* NAMES_MAX: no argument of that name. */
static size_t find_name(const struct form *form, struct slice name)
{
    size_t place = 0;
    while (place < NAMES_MAX &&
           (form->names[place] == NULL || !slice_equal(name, slice_from_cstr(form->names[place]))))
        place++;
    return place;
}

static enum err missing(struct converter *c, const struct ast_node *call)
{
    return convert_error(c, call->position, "42883",
                         "function %.*s with arguments of these names does not exist",
                         SLICE_ARGS(call->text));
}

static enum err fill(struct converter *c, const struct form *form, struct ast_node *call)
{
    for (uint32_t place = 0; place < call->count; place++) {
        if (call->arguments[place] != NULL)
            continue;
        if (form->defaults[place] == NULL)
            return missing(c, call);
        struct ast_node *literal = arena_alloc_zero(c->arena, sizeof(*literal));
        literal->kind = AST_STRING;
        literal->position = call->position;
        literal->text = slice_from_cstr(form->defaults[place]);
        call->arguments[place] = literal;
    }
    return OK;
}

bool convert_has_names(const struct json_value *arguments)
{
    for (const struct json_value *item = arguments == NULL ? NULL : arguments->child; item != NULL;
         item = item->next) {
        struct tree_node node = tree_unwrap(item);
        if (tree_is(&node, "NamedArgExpr"))
            return true;
    }
    return false;
}

enum err convert_named(struct converter *c, const struct json_value *arguments,
                       struct ast_node *call)
{
    const struct form *form = find_form(call->text);
    if (form == NULL)
        return convert_unsupported(c, call->position, "a named argument of this function");
    call->arguments = arena_alloc_zero(c->arena, NAMES_MAX * sizeof(*call->arguments));
    call->count = 0;
    uint32_t given = 0; /* by place, until the first by name */
    bool is_named = false;
    for (const struct json_value *item = arguments->child; item != NULL; item = item->next) {
        struct tree_node node = tree_unwrap(item);
        size_t place = given;
        if (tree_is(&node, "NamedArgExpr")) {
            place = find_name(form, tree_text(node.fields, "name"));
            is_named = true;
        } else if (is_named) {
            return convert_error(c, call->position, "42601",
                                 "positional argument cannot follow named argument");
        } else {
            given++;
        }
        if (place >= NAMES_MAX || form->names[place] == NULL || place < (is_named ? given : 0))
            return missing(c, call);
        if (call->arguments[place] != NULL)
            return convert_error(c, call->position, "42601",
                                 "argument name \"%s\" used more than once", form->names[place]);
        enum err err = convert_expr(c, is_named ? tree_get(node.fields, "arg") : item,
                                    &call->arguments[place]);
        if (err != OK)
            return err;
        call->count = place + 1 > call->count ? (uint32_t)place + 1 : call->count;
    }
    return fill(c, form, call);
}
