/* SHOW: settings as one row, ALL as a table, TABLES as a query over freshet.tables. */
#include "query/func/catalog.h"
#include "query/sql/bind.h"
#include "query/sql/parse.h"

static bool find_setting(struct binder *b, struct slice name, struct slice *value)
{
    bool is_known = false;
    if (b->context->setting != NULL)
        *value = b->context->setting(b->context->setting_context, name, &is_known);
    for (size_t index = 0; index < catalog_setting_count && !is_known; index++) {
        if (catalog_settings[index].fixed == NULL ||
            !slice_equal_ignore_case(name, slice_from_cstr(catalog_settings[index].name)))
            continue;
        *value = slice_from_cstr(catalog_settings[index].fixed);
        is_known = true;
    }
    *value = is_known ? arena_copy(b->arena, *value) : SLICE("");
    return is_known;
}

static struct expr *text_cell(struct binder *b, struct slice text)
{
    struct value value = {.type = type_of(TYPE_TEXT), .text = text};
    return build_constant(&b->build, &value, 0);
}

static enum err show_all(struct binder *b)
{
    static const char *const names[] = {"name", "setting", "description"};
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_VALUES, 3, 0, &plan);
    if (result != OK)
        return result;
    for (size_t index = 0; index < 3; index++)
        plan->columns[index] =
            (struct plan_column){slice_from_cstr(names[index]), type_of(TYPE_TEXT)};
    plan->values.cells =
        arena_alloc_array(b->arena, 3 * catalog_setting_count, sizeof(struct expr *));
    for (size_t index = 0; index < catalog_setting_count; index++) {
        struct slice value;
        if (!find_setting(b, slice_from_cstr(catalog_settings[index].name), &value))
            continue;
        struct expr **row = plan->values.cells + 3 * plan->values.row_count++;
        row[0] = text_cell(b, slice_from_cstr(catalog_settings[index].name));
        row[1] = text_cell(b, value);
        row[2] = text_cell(b, slice_from_cstr(catalog_settings[index].description));
    }
    b->statement->plan = plan;
    return OK;
}

/* Straight from the snapshot where no provider tells more. */
static enum err list_tables(struct binder *b)
{
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_VALUES, 1, 0, &plan);
    if (result != OK)
        return result;
    size_t count = b->context->snapshot == NULL ? 0 : snapshot_table_count(b->context->snapshot);
    plan->columns[0] = (struct plan_column){SLICE("table_name"), type_of(TYPE_TEXT)};
    plan->values.row_count = count;
    plan->values.cells = arena_alloc_array(b->arena, count, sizeof(struct expr *));
    for (size_t index = 0; index < count; index++) {
        const struct schema *schema =
            table_view_schema(snapshot_table(b->context->snapshot, index));
        plan->values.cells[index] = text_cell(b, arena_copy(b->arena, schema->name));
    }
    b->statement->plan = plan;
    return OK;
}

static enum err show_tables(struct binder *b)
{
    bool has_provider = false;
    for (size_t index = 0; index < b->context->provider_count; index++) {
        const struct table_provider *provider = b->context->providers[index];
        has_provider = has_provider || (strcmp(provider->schema_name, "freshet") == 0 &&
                                        strcmp(provider->name, "tables") == 0);
    }
    if (!has_provider)
        return list_tables(b);
    struct ast_statement ast;
    enum err result = sql_parse(
        SLICE("SELECT table_name, rows, bytes, time_column FROM freshet.tables ORDER BY 1"),
        b->arena, &ast, b->error);
    return result != OK ? result
                        : bind_select(b, NULL, NULL, ast.select, false, &b->statement->plan);
}

enum err bind_show(struct binder *b, struct slice name)
{
    b->statement->command_tag = "SHOW";
    if (slice_equal_ignore_case(name, SLICE("all")))
        return show_all(b);
    if (slice_equal_ignore_case(name, SLICE("tables")))
        return show_tables(b);
    struct slice value;
    if (!find_setting(b, name, &value)) {
        bind_error(b, 0, "42704", "unrecognized configuration parameter \"%.*s\"",
                   SLICE_ARGS(name));
        error_hint(b->error, "SHOW ALL lists settings; SHOW TABLES lists tables");
        return ERR_INPUT;
    }
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_VALUES, 1, 0, &plan);
    if (result != OK)
        return result;
    plan->columns[0] = (struct plan_column){name, type_of(TYPE_TEXT)};
    plan->values.row_count = 1;
    plan->values.cells = arena_alloc(b->arena, sizeof(struct expr *));
    plan->values.cells[0] = text_cell(b, value);
    b->statement->plan = plan;
    return OK;
}
