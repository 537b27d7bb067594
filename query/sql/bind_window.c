/* tumble(t, time, size [, zone]), hop(t, time, slide, size [, zone]) and session(t, time, gap,
 * key…) in FROM: t's columns, then window_start and window_end. A tumbling window is one a row, so
 * it is a projection; hopping windows are an operator of their own. A session is a partition that
 * ends where nothing came for the gap: sort, WINDOW with that gap, projection. It ends the gap
 * after its last row; a row at that very time begins the next. */
#include "query/sql/bind.h"

#include "query/func/over.h"

#include <assert.h>

/* The table argument as an item of FROM; its columns go into the scope. */
static enum err bind_source(struct binder *b, struct scope *scope, const struct ast_from *from,
                            struct plan **out)
{
    const struct ast_node *node = from->arguments[0];
    struct ast_from source = {.position = node->position};
    if (node->kind == AST_COLUMN && node->field_count <= 2) {
        source.kind = FROM_TABLE;
        source.name = node->fields[node->field_count - 1];
        source.schema = node->field_count == 2 ? node->fields[0] : SLICE("");
    } else if (node->kind == AST_SUBQUERY) {
        source.kind = FROM_SELECT;
        source.select = node->select;
        source.alias = from->name;
    } else {
        return bind_error(b, node->position, "42601",
                          "the first argument of %.*s is a table or a sub-select in "
                          "parentheses",
                          SLICE_ARGS(from->name));
    }
    return bind_from_item(b, scope, &source, out);
}

static enum err bind_time(struct binder *b, struct scope *scope, const struct ast_from *from,
                          uint32_t *column)
{
    const struct ast_node *node = from->arguments[1];
    if (node->kind != AST_COLUMN)
        return bind_error(b, node->position, "42601",
                          "the second argument of %.*s is the name of a time column",
                          SLICE_ARGS(from->name));
    enum err result = scope_resolve(b, scope, node, column);
    if (result != OK)
        return result;
    enum type_id type = (enum type_id)scope->columns[*column].type.id;
    if (type != TYPE_TIMESTAMPTZ && type != TYPE_TIMESTAMP)
        return bind_error(b, node->position, "42804",
                          "the time of %.*s must be a timestamp, not %s", SLICE_ARGS(from->name),
                          type_name(type));
    return OK;
}

static enum err bind_constant(struct binder *b, const struct ast_node *node, enum type_id type,
                              const char *what, struct expr **out)
{
    struct scope empty = {.clause = "FROM"};
    enum err result = bind_expr(b, &empty, node, out);
    if (result == OK)
        result = build_cast(&b->build, *out, type_of(type), CAST_IMPLICIT, node->position, out);
    if (result == OK)
        build_want_constant(&b->build, out);
    if (result == OK && ((*out)->kind != EXPR_CONSTANT || (*out)->constant.is_null))
        result =
            bind_error(b, node->position, "22023", "the %s of a window must be a constant", what);
    return result;
}

static bool is_positive(struct interval span)
{
    return span.months >= 0 && span.days >= 0 && span.microseconds >= 0 &&
           (span.months > 0 || span.days > 0 || span.microseconds > 0);
}

static enum err bind_span(struct binder *b, const struct ast_node *node, const char *what,
                          struct expr **expr, struct interval *out)
{
    enum err result = bind_constant(b, node, TYPE_INTERVAL, what, expr);
    if (result != OK)
        return result;
    *out = (*expr)->constant.interval;
    if (!is_positive(*out))
        return bind_error(b, node->position, "22023",
                          "the %s of a window must be greater than zero", what);
    if (out->months > 0 && (out->days > 0 || out->microseconds > 0))
        return bind_error(b, node->position, "22023",
                          "the %s of a window is either months or days and time", what);
    return OK;
}

static __int128 span_time(struct interval span)
{
    return (__int128)span.days * MICROSECONDS_PER_DAY + span.microseconds;
}

static bool is_multiple(struct interval size, struct interval slide)
{
    if ((size.months > 0) != (slide.months > 0))
        return false;
    return size.months > 0 ? size.months % slide.months == 0
                           : span_time(size) % span_time(slide) == 0;
}

/* The zone's name as an expression, and the zone. */
static enum err bind_zone(struct binder *b, const struct ast_from *from, size_t index,
                          struct expr **expr, const struct timezone **zone)
{
    *zone = b->context->zone == NULL ? timezone_utc : b->context->zone;
    if (index >= from->argument_count) {
        struct value name = {.type = type_of(TYPE_TEXT),
                             .text = slice_from_cstr(timezone_name(*zone))};
        *expr = build_constant(&b->build, &name, 0);
        return OK;
    }
    const struct ast_node *node = from->arguments[index];
    enum err result = bind_constant(b, node, TYPE_TEXT, "zone", expr);
    if (result != OK)
        return result;
    result = timezone_find((*expr)->constant.text, zone, b->error);
    if (result != OK)
        b->error->text_position = node->position;
    return result;
}

/* Rows without a time are in no window. */
static enum err filter_time(struct binder *b, struct plan **plan, uint32_t column, int32_t position)
{
    if ((*plan)->kind == PLAN_SCAN && (*plan)->scan.schema->columns[column].is_not_null)
        return OK;
    struct expr *test = build_column(&b->build, column, (*plan)->columns[column].type, position);
    enum err result = build_node(&b->build, EXPR_IS_NULL, true, &test, 1, position, &test);
    return result != OK ? result : bind_filter(b, *plan, test, plan);
}

static void add_window_columns(struct plan *plan, const struct plan *child)
{
    memcpy(plan->columns, child->columns, child->column_count * sizeof(*plan->columns));
    plan->columns[child->column_count] =
        (struct plan_column){SLICE("window_start"), type_of(TYPE_TIMESTAMPTZ)};
    plan->columns[child->column_count + 1] =
        (struct plan_column){SLICE("window_end"), type_of(TYPE_TIMESTAMPTZ)};
}

static enum err bind_tumble(struct binder *b, const struct ast_from *from, struct plan *child,
                            uint32_t column, struct plan **out)
{
    struct expr *arguments[3];
    struct interval size;
    const struct timezone *zone;
    struct plan *plan;
    arguments[0] =
        build_column(&b->build, column, child->columns[column].type, from->arguments[1]->position);
    enum err result = build_cast(&b->build, arguments[0], type_of(TYPE_TIMESTAMPTZ), CAST_IMPLICIT,
                                 from->position, &arguments[0]);
    if (result == OK)
        result = bind_span(b, from->arguments[2], "size", &arguments[1], &size);
    if (result == OK)
        result = bind_zone(b, from, 3, &arguments[2], &zone);
    if (result == OK)
        result = filter_time(b, &child, column, from->position);
    if (result == OK)
        result = bind_new_plan(b, PLAN_PROJECT, child->column_count + 2, 1, &plan);
    if (result != OK)
        return result;
    add_window_columns(plan, child);
    plan->children[0] = child;
    plan->project.exprs = arena_alloc_array(b->arena, plan->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < child->column_count; index++)
        plan->project.exprs[index] = build_column(&b->build, index, child->columns[index].type, 0);
    struct expr **window = plan->project.exprs + child->column_count;
    result = build_call(&b->build, SLICE("tumble_start"), arguments, 3, from->position, &window[0]);
    if (result == OK)
        result =
            build_call(&b->build, SLICE("tumble_end"), arguments, 3, from->position, &window[1]);
    *out = plan;
    return result;
}

static enum err bind_hop(struct binder *b, const struct ast_from *from, struct plan *child,
                         uint32_t column, struct plan **out)
{
    struct expr *unused;
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_HOP, child->column_count + 2, 1, &plan);
    if (result != OK)
        return result;
    add_window_columns(plan, child);
    plan->children[0] = child;
    plan->hop.time_column = column;
    result = bind_span(b, from->arguments[2], "slide", &unused, &plan->hop.slide);
    if (result == OK)
        result = bind_span(b, from->arguments[3], "size", &unused, &plan->hop.size);
    if (result == OK)
        result = bind_zone(b, from, 4, &unused, &plan->hop.zone);
    if (result == OK && !is_multiple(plan->hop.size, plan->hop.slide))
        result = bind_error(b, from->arguments[3]->position, "22023",
                            "the size of hop must be a multiple of its slide");
    *out = plan;
    return result;
}

/* --- session() --- */

struct session {
    const struct ast_from *from;
    uint32_t time;
    struct interval gap;
    struct expr *gap_expr;
    size_t key_count;
    struct sort_key *keys; /* the keys of the call, the time */
};

/* Keys that are no columns become columns behind the table's. */
static enum err bind_session_keys(struct binder *b, struct scope *scope, struct session *s,
                                  struct plan **plan)
{
    struct plan *child = *plan;
    size_t count = s->from->argument_count - 3, extra = 0;
    struct expr **exprs = arena_alloc_array(b->arena, count + 1, sizeof(*exprs));
    s->key_count = count + 1;
    s->keys = arena_alloc_zero(b->arena, s->key_count * sizeof(*s->keys));
    scope->clause = "session";
    for (size_t index = 0; index < count; index++) {
        struct expr *key;
        enum err result = bind_expr(b, scope, s->from->arguments[index + 3], &key);
        if (result != OK)
            return result;
        key = build_finish(&b->build, key);
        if (key->type.id == TYPE_JSON)
            return bind_error(b, key->text_position, "42883",
                              "could not identify an ordering operator for type json");
        if (key->kind != EXPR_COLUMN) {
            exprs[extra] = key;
            key = build_column(&b->build, (uint32_t)(child->column_count + extra++), key->type,
                               key->text_position);
        }
        s->keys[index].expr = key;
    }
    s->keys[count].expr = build_column(&b->build, s->time, child->columns[s->time].type, 0);
    if (extra == 0)
        return OK;
    enum err result = bind_widen(b, child, extra, plan);
    for (size_t index = 0; index < extra && result == OK; index++) {
        (*plan)->project.exprs[child->column_count + index] = exprs[index];
        (*plan)->columns[child->column_count + index] =
            (struct plan_column){SLICE("?column?"), exprs[index]->type};
    }
    return result;
}

/* A WINDOW whose partitions are the sessions, with the first and the last time of each. */
static enum err put_sessions(struct binder *b, const struct session *s, struct plan **plan)
{
    struct plan *child = *plan;
    struct plan *window;
    struct type type = child->columns[s->time].type;
    enum err result = bind_new_plan(b, PLAN_WINDOW, child->column_count + 2, 1, &window);
    if (result != OK)
        return result;
    memcpy(window->columns, child->columns, child->column_count * sizeof(*child->columns));
    window->children[0] = child;
    window->window.partition_count = s->key_count - 1;
    window->window.key_count = s->key_count;
    window->window.keys = s->keys;
    window->window.gap = s->gap;
    window->window.call_count = 2;
    window->window.calls = arena_alloc_zero(b->arena, 2 * sizeof(struct window_call));
    for (size_t index = 0; index < 2; index++) {
        struct window_call *call = &window->window.calls[index];
        call->function = over_find(index == 0 ? SLICE("first_value") : SLICE("last_value"));
        call->frame = (struct window_frame){.end = BOUND_UNBOUNDED_FOLLOWING};
        call->aggregate.type = type;
        call->aggregate.argument_count = 1;
        call->aggregate.arguments = arena_alloc_array(b->arena, 1, sizeof(struct expr *));
        call->aggregate.arguments[0] = build_column(&b->build, s->time, type, 0);
        window->columns[child->column_count + index] =
            (struct plan_column){slice_from_cstr(call->function->name), type};
    }
    *plan = window;
    return OK;
}

/* The table's own columns, the first time, the last one and the gap. */
static enum err project_sessions(struct binder *b, const struct session *s,
                                 const struct plan *table, struct plan **plan)
{
    struct plan *child = *plan;
    struct plan *project;
    size_t count = table->column_count;
    struct type type = child->columns[s->time].type;
    uint32_t first = (uint32_t)child->column_count - 2;
    enum err result = bind_new_plan(b, PLAN_PROJECT, count + 2, 1, &project);
    if (result != OK)
        return result;
    add_window_columns(project, table);
    project->children[0] = child;
    project->project.exprs = arena_alloc_array(b->arena, count + 2, sizeof(struct expr *));
    for (uint32_t index = 0; index < count; index++)
        project->project.exprs[index] =
            build_column(&b->build, index, table->columns[index].type, 0);
    struct expr **window = project->project.exprs + count;
    window[0] = build_column(&b->build, first, type, 0);
    result = build_operator(&b->build, SLICE("+"), build_column(&b->build, first + 1, type, 0),
                            s->gap_expr, s->from->position, &window[1]);
    for (size_t index = 0; index < 2 && result == OK; index++)
        result = build_cast(&b->build, window[index], type_of(TYPE_TIMESTAMPTZ), CAST_IMPLICIT,
                            s->from->position, &window[index]);
    *plan = project;
    return result;
}

static enum err bind_session(struct binder *b, struct scope *scope, const struct ast_from *from,
                             struct plan *child, uint32_t column, struct plan **out)
{
    struct session s = {.from = from, .time = column};
    const struct plan *table = child;
    enum err result = bind_span(b, from->arguments[2], "gap", &s.gap_expr, &s.gap);
    if (result == OK)
        result = filter_time(b, &child, column, from->position);
    if (result == OK)
        result = bind_session_keys(b, scope, &s, &child);
    if (result == OK)
        result = bind_sort(b, s.keys, s.key_count, &child);
    if (result == OK)
        result = put_sessions(b, &s, &child);
    if (result == OK)
        result = project_sessions(b, &s, table, &child);
    *out = child;
    return result;
}

bool bind_is_window(const struct ast_from *from)
{
    static const char *const names[] = {"tumble", "hop", "session"};
    for (size_t index = 0; index < array_count(names); index++)
        if (from->functions[0]->kind == AST_CALL &&
            slice_equal(from->name, slice_from_cstr(names[index])))
            return true;
    return false;
}

enum err bind_window(struct binder *b, struct scope *scope, const struct ast_from *from,
                     struct plan **out)
{
    bool is_tumble = slice_equal(from->name, SLICE("tumble"));
    if (from->has_ordinality || from->function_count != 1)
        return bind_unsupported(b, from->position, "a window in ROWS FROM or WITH ORDINALITY");
    bool is_session = slice_equal(from->name, SLICE("session"));
    size_t least = is_tumble || is_session ? 3 : 4;
    if (from->argument_count < least || (!is_session && from->argument_count > least + 1))
        return bind_error(b, from->position, "42883", "%s",
                          is_session  ? "session takes (table, time column, gap [, key …])"
                          : is_tumble ? "tumble takes (table, time column, size [, zone])"
                                      : "hop takes (table, time column, slide, size [, zone])");
    struct plan *child;
    uint32_t column;
    enum err result = bind_source(b, scope, from, &child);
    if (result == OK)
        result = bind_time(b, scope, from, &column);
    if (result != OK)
        return result;
    return is_session  ? bind_session(b, scope, from, child, column, out)
           : is_tumble ? bind_tumble(b, from, child, column, out)
                       : bind_hop(b, from, child, column, out);
}
