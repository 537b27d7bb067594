/* FROM: tables, system tables, WITH names, sub-selects, joins. Joins are made as written, with the
 * whole ON condition; query/plan/rewrite.c moves conditions down and finds the hash keys. */
#include "query/sql/bind.h"

/* --- nodes --- */

enum err bind_new_plan(struct binder *b, enum plan_kind kind, size_t column_count,
                       size_t child_count, struct plan **out)
{
    if (++b->node_count > PLAN_NODES_MAX)
        return error_set(b->error, ERR_LIMIT, "54001",
                         "the statement's plan has more than %d steps", PLAN_NODES_MAX);
    if (b->arena->total > PLAN_SIZE_MAX)
        return error_set(b->error, ERR_LIMIT, "54001",
                         "the statement's plan takes more than %zu MiB", PLAN_SIZE_MAX >> 20);
    enum err err = build_look(&b->build);
    if (err != OK)
        return err;
    struct plan *plan = *out = arena_alloc_zero(b->arena, sizeof(*plan));
    plan->kind = kind;
    plan->column_count = column_count;
    plan->columns = arena_alloc_zero(b->arena, column_count * sizeof(*plan->columns));
    plan->child_count = child_count;
    plan->children = arena_alloc_zero(b->arena, child_count * sizeof(struct plan *));
    return OK;
}

enum err bind_filter(struct binder *b, struct plan *child, struct expr *predicate,
                     struct plan **out)
{
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_FILTER, child->column_count, 1, &plan);
    if (result != OK)
        return result;
    memcpy(plan->columns, child->columns, child->column_count * sizeof(*plan->columns));
    plan->children[0] = child;
    plan->filter.predicate = predicate;
    *out = plan;
    return OK;
}

enum err bind_sort(struct binder *b, const struct sort_key *keys, size_t key_count,
                   struct plan **plan)
{
    struct plan *sort;
    struct plan *child = *plan;
    enum err result = bind_new_plan(b, PLAN_SORT, child->column_count, 1, &sort);
    if (result != OK)
        return result;
    memcpy(sort->columns, child->columns, child->column_count * sizeof(*child->columns));
    sort->children[0] = child;
    sort->sort.key_count = key_count;
    sort->sort.keys = arena_alloc_array(b->arena, key_count + 1, sizeof(*keys));
    if (key_count > 0)
        memcpy(sort->sort.keys, keys, key_count * sizeof(*keys));
    *plan = sort;
    return OK;
}

void bind_add_table(struct binder *b, const struct schema *schema, bool is_read)
{
    struct statement *statement = b->statement;
    for (size_t index = 0; index < statement->table_count; index++)
        if (statement->tables[index].schema == schema) {
            statement->tables[index].is_read |= is_read;
            return;
        }
    statement->tables = bind_grow(b->arena, statement->tables, statement->table_count,
                                  &b->table_capacity, sizeof(*statement->tables));
    statement->tables[statement->table_count++] =
        (struct plan_table){.schema = schema_ref(schema), .is_read = is_read};
}

/* --- tables --- */

/* The relation's columns under its alias, renamed as t(a, b) says; the last of them are hidden. */
static enum err add_columns(struct binder *b, struct scope *scope, const struct ast_from *from,
                            struct slice schema, struct slice name, struct plan *plan,
                            size_t hidden_count)
{
    if (from->alias.size > 0) {
        schema = SLICE("");
        name = from->alias;
    }
    size_t visible_count = plan->column_count - hidden_count;
    if (from->column_alias_count > visible_count)
        return bind_error(b, from->position, "42P10",
                          "table \"%.*s\" has %zu columns available but %zu columns "
                          "specified",
                          SLICE_ARGS(name), visible_count, from->column_alias_count);
    enum err result = scope_add_relation(b, scope, schema, name, from->position);
    for (size_t index = 0; index < plan->column_count && result == OK; index++) {
        struct scope_column column = {.schema = schema,
                                      .table = name,
                                      .name = plan->columns[index].name,
                                      .type = plan->columns[index].type,
                                      .is_hidden = index >= visible_count};
        if (index < from->column_alias_count)
            column.name = from->column_aliases[index];
        scope_add_column(b, scope, &column);
    }
    return result;
}

enum err bind_add_columns(struct binder *b, struct scope *scope, const struct ast_from *from,
                          struct slice schema, struct slice name, struct plan *plan)
{
    return add_columns(b, scope, from, schema, name, plan, 0);
}

static enum err bind_user_table(struct binder *b, struct scope *scope, const struct ast_from *from,
                                const struct table_view *view, struct plan **out)
{
    const struct schema *schema = table_view_schema(view);
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_SCAN, schema->column_count, 0, &plan);
    if (result != OK)
        return result;
    bind_add_table(b, schema, true);
    bind_depend_on_table(b, schema);
    plan->scan.schema = schema;
    bool is_renamed = from->alias.size == 0 && !slice_equal(from->name, schema->name);
    plan->scan.alias = is_renamed ? from->name : from->alias;
    plan->scan.columns = arena_alloc_array(b->arena, schema->column_count, sizeof(uint32_t));
    for (uint32_t index = 0; index < schema->column_count; index++) {
        plan->scan.columns[index] = index;
        plan->columns[index] =
            (struct plan_column){schema->columns[index].name, schema->columns[index].type};
    }
    *out = plan;
    return bind_add_columns(b, scope, from, SLICE("public"), from->name, plan);
}

static const struct table_provider *find_provider(const struct binder *b, struct slice schema,
                                                  struct slice name)
{
    for (size_t index = 0; index < b->context->provider_count; index++) {
        const struct table_provider *provider = b->context->providers[index];
        if (slice_equal(slice_from_cstr(provider->schema_name), schema) &&
            slice_equal(slice_from_cstr(provider->name), name))
            return provider;
    }
    return NULL;
}

static enum err bind_provider(struct binder *b, struct scope *scope, const struct ast_from *from,
                              const struct table_provider *provider, struct plan **out)
{
    struct plan *plan;
    size_t count = provider->column_count + provider->hidden_count;
    enum err result = bind_new_plan(b, PLAN_PROVIDER, count, 0, &plan);
    if (result != OK)
        return result;
    plan->provider.provider = provider;
    plan->provider.columns = arena_alloc_array(b->arena, count, sizeof(uint32_t));
    for (uint32_t index = 0; index < count; index++) {
        plan->provider.columns[index] = index;
        plan->columns[index] = (struct plan_column){slice_from_cstr(provider->columns[index].name),
                                                    provider->columns[index].type};
    }
    *out = plan;
    return add_columns(b, scope, from, slice_from_cstr(provider->schema_name),
                       slice_from_cstr(provider->name), plan, provider->hidden_count);
}

static enum err bind_cte(struct binder *b, struct scope *scope, const struct ast_from *from,
                         const struct cte_scope *entry, struct plan **out)
{
    const struct ast_cte *cte = entry->cte;
    const struct scope *around = entry->around;
    size_t uses = around == NULL ? 0 : around->correlation->uses;
    if (entry->recursion != NULL) {
        enum err result = bind_working(b, scope, from, entry, out);
        return result != OK ? result : bind_add_columns(b, scope, from, SLICE(""), cte->name, *out);
    }
    enum err result = cte->is_recursive
                          ? bind_recursive(b, entry, out)
                          : bind_select(b, around, entry->outer, cte->select, false, out);
    if (result != OK)
        return result;
    if (around != NULL && around != scope->outer && around->correlation->uses != uses)
        return bind_unsupported(b, from->position,
                                "a WITH query that names columns from around its query, used in a "
                                "subquery of that,");
    if (cte->column_alias_count > (*out)->column_count)
        return bind_error(b, from->position, "42P10",
                          "WITH query \"%.*s\" has %zu columns available but %zu columns "
                          "specified",
                          SLICE_ARGS(cte->name), (*out)->column_count, cte->column_alias_count);
    for (size_t index = 0; index < cte->column_alias_count; index++)
        (*out)->columns[index].name = cte->column_aliases[index];
    return bind_add_columns(b, scope, from, SLICE(""), cte->name, *out);
}

static enum err unknown_table(struct binder *b, const struct ast_from *from)
{
    struct slice schema = from->schema;
    if (slice_equal(schema, SLICE("freshet")) &&
        (slice_equal(from->name, SLICE("latency")) || slice_equal(from->name, SLICE("metrics")))) {
        error_set(b->error, ERR_UNSUPPORTED, "0A000", "freshet.%.*s is not there yet",
                  SLICE_ARGS(from->name));
        b->error->text_position = from->position;
        error_hint(b->error, "GET /metrics has the figures");
        return ERR_UNSUPPORTED;
    }
    if (schema.size > 0)
        bind_error(b, from->position, "42P01", "relation \"%.*s.%.*s\" does not exist",
                   SLICE_ARGS(schema), SLICE_ARGS(from->name));
    else
        bind_error(b, from->position, "42P01", "relation \"%.*s\" does not exist",
                   SLICE_ARGS(from->name));
    if (schema.size == 0 && find_provider(b, SLICE("freshet"), from->name) != NULL)
        error_hint(b->error, "it stands in schema freshet: write freshet.%.*s",
                   SLICE_ARGS(from->name));
    return ERR_INPUT;
}

static enum err bind_table(struct binder *b, struct scope *scope, const struct ast_from *from,
                           struct plan **out)
{
    if (from->schema.size == 0)
        for (const struct cte_scope *entry = scope->ctes; entry != NULL; entry = entry->outer)
            if (slice_equal(entry->cte->name, from->name))
                return bind_cte(b, scope, from, entry, out);
    const struct table_provider *catalogue =
        from->schema.size == 0 ? find_provider(b, SLICE("pg_catalog"), from->name) : NULL;
    if (catalogue != NULL)
        return bind_provider(b, scope, from, catalogue, out);
    if (from->schema.size == 0 || slice_equal(from->schema, SLICE("public"))) {
        uint32_t id;
        const struct table_view *view = NULL;
        const struct snapshot *snapshot = b->inside != NULL && b->context->whole != NULL
                                              ? b->context->whole
                                              : b->context->snapshot;
        if (snapshot != NULL && bind_view_table_id(b, from->name, &id))
            view = snapshot_find_id(snapshot, id);
        else if (snapshot != NULL)
            view = snapshot_find(snapshot, from->name);
        if (view != NULL && b->inside == NULL) {
            enum err denied = bind_check_right(b, from->position, from->name,
                                               table_view_schema(view)->table_id, RIGHT_SELECT);
            if (denied != OK)
                return denied;
        }
        if (view != NULL)
            return bind_user_table(b, scope, from, view, out);
        bool is_view;
        enum err result = bind_view(b, scope, from, &is_view, out);
        return is_view ? result : unknown_table(b, from);
    }
    const struct table_provider *provider = find_provider(b, from->schema, from->name);
    return provider == NULL ? unknown_table(b, from) : bind_provider(b, scope, from, provider, out);
}

static enum err bind_from_select(struct binder *b, struct scope *scope, const struct ast_from *from,
                                 struct plan **out)
{
    const struct scope *outer =
        from->is_lateral && scope->lateral != NULL ? scope->lateral : scope->outer;
    enum err result = bind_select(b, outer, scope->ctes, from->select, false, out);
    return result != OK ? result : bind_add_columns(b, scope, from, SLICE(""), from->alias, *out);
}

/* TABLESAMPLE: a row stays by chance. */
static enum err bind_sample(struct binder *b, const struct ast_from *from, struct plan **plan)
{
    struct scope empty = {.clause = "TABLESAMPLE"};
    struct expr *parts[2];
    struct expr *test;
    int32_t position = from->sample->position;
    enum err result = bind_expr(b, &empty, from->sample, &parts[1]);
    if (result == OK)
        result = build_cast(&b->build, parts[1], type_of(TYPE_FLOAT8), CAST_ASSIGNMENT, position,
                            &parts[1]);
    if (result != OK)
        return result;
    build_want_constant(&b->build, &parts[1]);
    if (parts[1]->kind != EXPR_CONSTANT)
        return bind_unsupported(b, position, "a percentage that is no constant");
    struct value *percent = &parts[1]->constant;
    if (percent->is_null)
        return bind_error(b, position, "2202H", "TABLESAMPLE parameter cannot be null");
    if (!(percent->f >= 0 && percent->f <= 100))
        return bind_error(b, position, "2202H", "sample percentage must be between 0 and 100");
    struct value share = {.type = type_of(TYPE_FLOAT8), .f = percent->f / 100};
    parts[1] = build_constant(&b->build, &share, position);
    result = build_call(&b->build, SLICE("random"), NULL, 0, position, &parts[0]);
    if (result == OK)
        result = build_operator(&b->build, SLICE("<"), parts[0], parts[1], position, &test);
    return result != OK ? result : bind_filter(b, *plan, test, plan);
}

enum err bind_from_item(struct binder *b, struct scope *scope, const struct ast_from *from,
                        struct plan **out)
{
    enum err result;
    switch (from->kind) {
    case FROM_TABLE:
        if (from->sample == NULL)
            return bind_table(b, scope, from, out);
        result = bind_table(b, scope, from, out);
        return result != OK ? result : bind_sample(b, from, out);
    case FROM_SELECT:
        return bind_from_select(b, scope, from, out);
    case FROM_JOIN:
        return bind_join(b, scope, from, out);
    case FROM_FUNCTION:
        if (!bind_is_window(from))
            return bind_series(b, scope, from, out);
        break;
    }
    struct plan *plan;
    struct scope inner = {.outer = scope->outer, .ctes = scope->ctes};
    result = bind_window(b, &inner, from, &plan);
    if (result != OK)
        return result;
    *out = plan;
    struct ast_from named = *from;
    struct slice name = inner.relation_count > 0 ? inner.relations[0].name : from->name;
    named.alias = from->alias.size > 0 ? from->alias : name.size > 0 ? name : from->name;
    return bind_add_columns(b, scope, &named, SLICE(""), named.alias, plan);
}

enum err bind_from_list(struct binder *b, struct scope *scope, struct ast_from *const *items,
                        size_t count, struct plan **out)
{
    if (count == 0) {
        enum err result = bind_new_plan(b, PLAN_VALUES, 0, 0, out);
        if (result == OK)
            (*out)->values.row_count = 1;
        return result;
    }
    enum err result = bind_from_item(b, scope, items[0], out);
    for (size_t index = 1; index < count && result == OK; index++) {
        result = bind_right_item(b, scope, items[index], JOIN_CROSS, *out, out);
    }
    return result;
}
