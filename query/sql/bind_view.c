/* Views: a name in FROM becomes the view's query, parsed and bound where it stands, as a sub-select
 * that sees nothing around it. A view gives the columns it gave when it was made: where its text
 * has *, columns that its tables have got since are left out.
 *
 * A view can be short and stand on many, so levels and the text of all are limited. */
#include "query/sql/bind.h"
#include "query/sql/parse.h"
#include "storage/base/hash.h"

#define VIEW_DEPTH_MAX 16
#define VIEW_BYTES_MAX ((size_t)1 << 20)

uint64_t view_mark(const struct view_definition *view)
{
    uint64_t mark = hash64(view->text.data, view->text.size);
    for (size_t index = 0; index < view->column_count; index++)
        mark = hash64_seed(view->columns[index].name.data, view->columns[index].name.size, mark);
    return mark;
}

static void depend(struct binder *b, uint32_t id, struct slice name, uint64_t mark,
                   struct dependency_list *list)
{
    for (size_t index = 0; index < list->count; index++)
        if (list->ids[index] == id)
            return;
    size_t capacity = list->capacity;
    list->names = bind_grow(b->arena, list->names, list->count, &capacity, sizeof(*list->names));
    capacity = list->capacity;
    list->marks = bind_grow(b->arena, list->marks, list->count, &capacity, sizeof(*list->marks));
    list->ids = bind_grow(b->arena, list->ids, list->count, &list->capacity, sizeof(*list->ids));
    list->names[list->count] = name;
    list->marks[list->count] = mark;
    list->ids[list->count++] = id;
}

void bind_depend_on_table(struct binder *b, const struct schema *schema)
{
    struct view_dependencies *depends = b->depends;
    if (depends != NULL && b->view_depth == 0)
        depend(b, schema->table_id, schema->name, schema->version, &depends->tables);
}

enum err bind_check_right(struct binder *b, int32_t position, struct slice name, uint32_t id,
                          enum right right)
{
    return (asker_rights(b->context->asker, id) & (uint32_t)right) != 0
               ? OK
               : bind_error(b, position, "42501", "permission denied for table %.*s",
                            SLICE_ARGS(name));
}

/* --- in FROM --- */

/* Does the text still give just what it gave? */
static bool is_same(const struct view_definition *view, const struct plan *plan)
{
    if (plan->column_count != view->column_count)
        return false;
    for (size_t index = 0; index < view->column_count; index++)
        if (!slice_equal(plan->columns[index].name, view->columns[index].source) ||
            !type_equal(plan->columns[index].type, view->columns[index].type))
            return false;
    return true;
}

/* The column of the query that was this one of the view. */
static enum err find_column(struct binder *b, const struct view_definition *view,
                            const struct view_column *column, const struct plan *plan,
                            uint32_t *out)
{
    size_t found = 0;
    for (uint32_t place = 0; place < plan->column_count; place++) {
        if (!slice_equal(plan->columns[place].name, column->source))
            continue;
        *out = place;
        found++;
    }
    if (found > 1)
        return bind_error(b, 0, "42702", "column \"%.*s\" of view \"%.*s\" is ambiguous now",
                          SLICE_ARGS(column->name), SLICE_ARGS(view->name));
    if (found == 0 || !type_equal(plan->columns[*out].type, column->type))
        return bind_error(b, 0, "42703", "column \"%.*s\" of view \"%.*s\" is not what it was",
                          SLICE_ARGS(column->name), SLICE_ARGS(view->name));
    return OK;
}

/* A projection to the view's own columns. */
static enum err narrow(struct binder *b, const struct view_definition *view, struct plan **plan)
{
    struct plan *child = *plan;
    bool is_unchanged = is_same(view, child);
    struct plan *project;
    enum err result = bind_new_plan(b, PLAN_PROJECT, view->column_count, 1, &project);
    if (result != OK)
        return result;
    project->children[0] = child;
    project->project.exprs = arena_alloc_array(b->arena, view->column_count, sizeof(struct expr *));
    for (size_t index = 0; index < view->column_count && result == OK; index++) {
        uint32_t place = (uint32_t)index;
        if (!is_unchanged)
            result = find_column(b, view, &view->columns[index], child, &place);
        if (result != OK)
            return result;
        project->project.exprs[index] =
            build_column(&b->build, place, view->columns[index].type, 0);
        project->columns[index] =
            (struct plan_column){view->columns[index].name, view->columns[index].type};
    }
    *plan = project;
    return OK;
}

/* --- what has another name by now --- */

/* What a view's text calls by a name is what had it when the view was made. */
static bool find_id(const struct slice *names, const uint32_t *ids, size_t count, struct slice name,
                    uint32_t *id)
{
    for (size_t index = 0; index < count; index++)
        if (name.size > 0 && slice_equal(names[index], name)) {
            *id = ids[index];
            return true;
        }
    return false;
}

bool bind_view_table_id(const struct binder *b, struct slice name, uint32_t *id)
{
    const struct view_definition *view = b->inside;
    return view != NULL && find_id(view->table_names, view->table_ids, view->table_count, name, id);
}

static enum err expand(struct binder *b, const struct ast_from *from,
                       const struct view_definition *view, struct plan **out)
{
    struct ast_statement ast;
    if (b->view_depth + (b->depends != NULL) >= VIEW_DEPTH_MAX)
        return bind_error(b, from->position, "54001", "views are nested more than %d levels deep",
                          VIEW_DEPTH_MAX);
    b->view_bytes += view->text.size;
    if (b->view_bytes > VIEW_BYTES_MAX)
        return bind_error(b, from->position, "54000",
                          "the views of a statement have more than %zu KiB of text",
                          VIEW_BYTES_MAX >> 10);
    enum err result = sql_parse(view->text, b->arena, &ast, b->error);
    const struct view_definition *around = b->inside;
    b->view_depth++;
    b->inside = view;
    if (result == OK && ast.kind != AST_STATEMENT_SELECT)
        result = bind_unsupported(b, 0, "a view of anything but a query");
    if (result == OK)
        result = bind_select(b, NULL, NULL, ast.select, false, out);
    b->view_depth--;
    b->inside = around;
    if (result == OK)
        result = narrow(b, view, out);
    if (result != OK)
        b->error->text_position = from->position; /* not a place in the view's text */
    return result;
}

enum err bind_view(struct binder *b, struct scope *scope, const struct ast_from *from,
                   bool *is_view, struct plan **out)
{
    struct view_definition view;
    const struct sql_context *context = b->context;
    uint32_t id = 0;
    struct slice name = from->name;
    if (b->inside != NULL &&
        find_id(b->inside->view_names, b->inside->view_ids, b->inside->view_count, from->name, &id))
        name = SLICE(""); /* by id */
    *is_view = context->find_view != NULL &&
               context->find_view(context->view_context, name, id, b->arena, &view);
    uint32_t rights = *is_view ? asker_rights(context->asker, view.id | RIGHT_VIEW) : 0;
    if (*is_view && b->inside == NULL && rights == 0)
        *is_view = false; /* not seen: does not exist */
    if (!*is_view)
        return OK;
    if (b->inside == NULL && (rights & RIGHT_SELECT) == 0)
        return bind_check_right(b, from->position, from->name, view.id | RIGHT_VIEW, RIGHT_SELECT);
    b->statement->has_views = true;
    struct view_dependencies *depends = b->depends;
    if (depends != NULL && b->view_depth == 0)
        depend(b, view.id, view.name, view_mark(&view), &depends->views);
    enum err result = expand(b, from, &view, out);
    if (result != OK && b->view_depth == 0 && asker_is_restricted(context->asker) &&
        slice_starts_with(slice_from_cstr(b->error->sqlstate), SLICE("42")))
        return bind_error(b, from->position, b->error->sqlstate,
                          "view \"%.*s\" does not fit any more what it reads",
                          SLICE_ARGS(from->name)); /* it would name what is behind the view */
    return result != OK ? result
                        : bind_add_columns(b, scope, from, SLICE("public"), from->name, *out);
}

/* --- CREATE --- */

static enum err view_columns(struct binder *b, const struct ast_statement *ast,
                             const struct plan *plan, struct view_definition *view)
{
    int32_t position = ast->command->text_position;
    if (ast->name_count > plan->column_count)
        return bind_error(b, position, "42601",
                          "CREATE VIEW specifies more column names than columns");
    if (plan->column_count == 0)
        return bind_error(b, position, "42P16", "view must have at least one column");
    view->column_count = plan->column_count;
    view->columns = arena_alloc_array(b->arena, plan->column_count, sizeof(*view->columns));
    for (size_t index = 0; index < plan->column_count; index++) {
        struct slice name =
            index < ast->name_count ? ast->names[index].name : plan->columns[index].name;
        for (size_t other = 0; other < index; other++)
            if (slice_equal(view->columns[other].name, name))
                return bind_error(b, position, "42701", "column \"%.*s\" specified more than once",
                                  SLICE_ARGS(name));
        view->columns[index] = (struct view_column){.name = name,
                                                    .source = plan->columns[index].name,
                                                    .type = type_plain(plan->columns[index].type)};
    }
    return OK;
}

enum err bind_create_view(struct binder *b, struct ast_statement *ast)
{
    struct view_dependencies depends = {0};
    struct view_definition *view = &ast->command->view;
    struct plan *plan;
    b->depends = &depends;
    enum err result = bind_select(b, NULL, NULL, ast->select, false, &plan);
    b->depends = NULL;
    if (result == OK)
        result = view_columns(b, ast, plan, view);
    if (result == OK && view->is_materialized)
        result = bind_check_rollup(b, ast, &depends, plan);
    if (result != OK)
        return result;
    if (view->is_materialized)
        view->zone = slice_from_cstr(
            timezone_name(b->context->zone != NULL ? b->context->zone : timezone_utc));
    view->table_count = depends.tables.count;
    view->table_ids = depends.tables.ids;
    view->table_names = depends.tables.names;
    view->table_marks = depends.tables.marks;
    view->view_count = depends.views.count;
    view->view_ids = depends.views.ids;
    view->view_names = depends.views.names;
    view->view_marks = depends.views.marks;
    b->statement->plan = plan;
    return OK;
}
