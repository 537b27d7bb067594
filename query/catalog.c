/* pg_catalog and information_schema as table providers: the relations of query/func/catalog_*.c,
 * with rows from the query's own snapshot. One scan function serves them all; a relation without a
 * filler has no rows, because there is nothing of its kind (constraints, triggers). */
#include "query/catalog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- declarations --- */

struct letter {
    char letter;
    enum type_id type;
    uint16_t oid;
    enum type_alias alias;
};

static const struct letter letters[] = {
    {'o', TYPE_INT8, 26, ALIAS_OID},
    {'n', TYPE_TEXT, 19, ALIAS_NAME},
    {'c', TYPE_TEXT, 18, ALIAS_CHAR},
    {'t', TYPE_TEXT, 25, ALIAS_NONE},
    {'b', TYPE_BOOL, 16, ALIAS_NONE},
    {'i', TYPE_INT4, 23, ALIAS_NONE},
    {'s', TYPE_INT2, 21, ALIAS_NONE},
    {'l', TYPE_INT8, 20, ALIAS_NONE},
    {'x', TYPE_INT8, 28, ALIAS_XID},
    {'f', TYPE_FLOAT4, 700, ALIAS_NONE},
    {'d', TYPE_FLOAT8, 701, ALIAS_NONE},
    {'z', TYPE_TIMESTAMPTZ, 1184, ALIAS_NONE},
    {'v', TYPE_INTERVAL, 1186, ALIAS_NONE},
    {'p', TYPE_TEXT, 24, ALIAS_NONE}, /* a name here, a number in binary there */
    {'T', TYPE_TEXT_ARRAY, 1009, ALIAS_NONE},
    {'I', TYPE_INT8_ARRAY, 22, ALIAS_INT2VECTOR},
    {'O', TYPE_INT8_ARRAY, 30, ALIAS_OIDVECTOR},
};

static const struct letter *letter_find(char letter)
{
    for (size_t index = 0; index < array_count(letters); index++)
        if (letters[index].letter == letter)
            return &letters[index];
    abort();
}

static struct type letter_type(char letter)
{
    const struct letter *found = letter_find(letter);
    struct type type = type_of(found->type);
    type.alias = (uint8_t)found->alias;
    return type;
}

/* The next declared column: its parts lie in `text`. */
struct declared {
    struct slice name;
    char letter;
    bool is_not_null, has_default;
    struct slice text; /* the default's */
};

static bool declared_next(const char **at, struct declared *out)
{
    const char *start = *at;
    if (*start == 0)
        return false;
    size_t size = strcspn(start, " ");
    size_t name_size = strcspn(start, ":");
    *at = start + size + (start[size] == ' ');
    *out = (struct declared){.name = slice_of(start, name_size), .letter = start[name_size + 1]};
    char mark = name_size + 2 < size ? start[name_size + 2] : 0;
    out->has_default = mark == '=';
    out->is_not_null = mark == '*' || mark == '=';
    if (out->has_default)
        out->text = slice_of(start + name_size + 3, size - name_size - 3);
    return true;
}

/* A declaration ends at a space, so that is written ~. */
static struct slice declared_text(struct slice text, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.size + 1);
    for (size_t index = 0; index < text.size; index++)
        copy[index] = text.data[index] == '~' ? ' ' : text.data[index];
    return slice_of(copy, text.size);
}

static struct value default_value(const struct declared *column, struct arena *arena)
{
    struct value value = {.type = type_of(letter_find(column->letter)->type),
                          .is_null = !column->is_not_null};
    switch (type_physical(value.type.id)) {
    case PHYSICAL_BOOL:
        value.b = column->has_default && column->text.data[0] == 't';
        break;
    case PHYSICAL_INT:
        value.i = column->has_default ? strtoll(column->text.data, NULL, 10) : 0;
        break;
    case PHYSICAL_FLOAT:
        value.f = column->has_default ? (double)strtoll(column->text.data, NULL, 10) : 0;
        break;
    case PHYSICAL_TEXT:
        value.text = declared_text(column->text, arena);
        if (type_is_array((enum type_id)value.type.id))
            value.text = array_build(value.type.id, NULL, 0, arena);
        break;
    default:
        value.is_null = true;
        break;
    }
    return value;
}

static size_t declared_count(const char *columns)
{
    struct declared column;
    size_t count = 0;
    while (declared_next(&columns, &column))
        count++;
    return count;
}

static void (*find_filler(const struct catalog_relation *relation))(struct catalog_rows *)
{
    bool is_information = strcmp(relation->schema, "information_schema") == 0;
    const struct catalog_filler *fillers =
        is_information ? catalog_information_fillers : catalog_fillers;
    size_t count = is_information ? catalog_information_filler_count : catalog_filler_count;
    for (size_t index = 0; index < count; index++)
        if (strcmp(fillers[index].name, relation->name) == 0)
            return fillers[index].fill;
    for (size_t index = 0; index < catalog_role_filler_count; index++)
        if (strcmp(catalog_role_fillers[index].name, relation->name) == 0)
            return catalog_role_fillers[index].fill;
    return NULL;
}

/* --- rows --- */

void catalog_row_begin(struct catalog_rows *rows)
{
    const struct table_provider *provider = rows->relation->provider;
    size_t count = provider->column_count + provider->hidden_count;
    memcpy(rows->cells, rows->relation->defaults, count * sizeof(*rows->cells));
}

void catalog_row_end(struct catalog_rows *rows)
{
    const struct table_provider *provider = rows->relation->provider;
    for (size_t index = 0; index < provider->column_count + provider->hidden_count; index++) {
        if (rows->cells[index].is_null)
            column_builder_add_null(&rows->scan->builders[index]);
        else
            column_builder_add(&rows->scan->builders[index], &rows->cells[index]);
    }
}

static struct value *cell(struct catalog_rows *rows, const char *name)
{
    const struct table_provider *provider = rows->relation->provider;
    size_t index = 0;
    while (index < provider->column_count && strcmp(provider->columns[index].name, name) != 0)
        index++;
    assert(index < provider->column_count);
    rows->cells[index].is_null = false;
    return &rows->cells[index];
}

void catalog_set_int(struct catalog_rows *rows, const char *name, int64_t value)
{
    struct value *out = cell(rows, name);
    uint8_t alias = rows->relation->provider->columns[out - rows->cells].type.alias;
    if (type_physical(out->type.id) == PHYSICAL_FLOAT)
        out->f = (double)value;
    else if (alias == ALIAS_OID || alias == ALIAS_XID)
        out->i = (uint32_t)value; /* what it is in binary */
    else
        out->i = value;
}

void catalog_set_bool(struct catalog_rows *rows, const char *name, bool value)
{
    cell(rows, name)->b = value;
}

void catalog_set_text(struct catalog_rows *rows, const char *name, struct slice text)
{
    cell(rows, name)->text = text;
}

void catalog_set_cstr(struct catalog_rows *rows, const char *name, const char *text)
{
    cell(rows, name)->text = slice_from_cstr(text);
}

/* --- what there is --- */

static void visit_provider(struct catalog_rows *rows, const struct table_provider *provider,
                           int64_t freshet_oid,
                           void (*visit)(struct catalog_rows *rows,
                                         const struct catalog_item *item))
{
    const struct catalog_relation *relation = catalog_relation_by_name(
        slice_from_cstr(provider->schema_name), slice_from_cstr(provider->name));
    struct catalog_item item = {
        .oid = relation == NULL ? freshet_oid : relation->oid,
        .schema_oid = relation == NULL                              ? OID_FRESHET
                      : strcmp(relation->schema, "pg_catalog") == 0 ? OID_PG_CATALOG
                                                                    : OID_INFORMATION_SCHEMA,
        .schema_name = provider->schema_name,
        .name = slice_from_cstr(provider->name),
        .provider = provider,
        .relation = relation,
        .column_count = provider->column_count,
        .kind = relation == NULL ? 'v' : relation->kind,
    };
    visit(rows, &item);
}

static void visit_indexes(struct catalog_rows *rows, const struct schema *schema,
                          void (*visit)(struct catalog_rows *rows, const struct catalog_item *item))
{
    for (uint32_t column = 0; column < schema->column_count; column++) {
        if (schema->columns[column].index != INDEX_ON)
            continue;
        struct catalog_item item = {
            .oid = index_oid(schema->table_id, column),
            .schema_oid = OID_PUBLIC,
            .schema_name = "public",
            .name = schema->columns[column].index_name,
            .indexed = schema,
            .indexed_column = column,
            .column_count = 1,
            .kind = 'i',
        };
        visit(rows, &item);
    }
}

static void visit_views(struct catalog_rows *rows,
                        void (*visit)(struct catalog_rows *rows, const struct catalog_item *item))
{
    const struct query_engine_options *options = &rows->relation->engine->options;
    struct view_definition *views = NULL;
    size_t count = options->list_views == NULL
                       ? 0
                       : options->list_views(options->context, rows->scan->arena, &views);
    for (size_t index = 0; index < count; index++) {
        if (!view_trim(rows->scan->asker, &views[index]))
            continue;
        struct catalog_item item = {
            .oid = view_oid(views[index].id),
            .schema_oid = OID_PUBLIC,
            .schema_name = "public",
            .name = views[index].name,
            .definition = &views[index],
            .column_count = views[index].column_count,
            .kind = views[index].is_materialized ? 'm' : 'v',
        };
        visit(rows, &item);
    }
}

void catalog_each(struct catalog_rows *rows,
                  void (*visit)(struct catalog_rows *rows, const struct catalog_item *item))
{
    const struct query_engine *engine = rows->relation->engine;
    int64_t freshet_oid = OID_FRESHET_FIRST;
    for (size_t index = 0; index < engine->provider_count; index++) {
        const struct table_provider *provider = engine->providers[index];
        visit_provider(rows, provider, freshet_oid, visit);
        freshet_oid += strcmp(provider->schema_name, "freshet") == 0;
    }
    const struct snapshot *snapshot = rows->scan->snapshot;
    for (size_t index = 0; index < snapshot_table_count(snapshot); index++) {
        const struct table_view *view = snapshot_table(snapshot, index);
        const struct schema *schema = table_view_schema(view);
        struct catalog_item item = {
            .oid = table_oid(schema->table_id),
            .schema_oid = OID_PUBLIC,
            .schema_name = "public",
            .name = schema->name,
            .view = view,
            .column_count = schema->column_count,
            .kind = 'r',
        };
        visit(rows, &item);
        visit_indexes(rows, schema, visit);
    }
    visit_views(rows, visit);
}

struct catalog_column catalog_column_get(const struct catalog_item *item, size_t index)
{
    if (item->definition != NULL) {
        const struct view_column *column = &item->definition->columns[index];
        return (struct catalog_column){.name = column->name,
                                       .type = column->type,
                                       .type_oid = catalog_type_oid((enum type_id)column->type.id)};
    }
    if (item->indexed != NULL) {
        const struct column_definition *column = &item->indexed->columns[item->indexed_column];
        return (struct catalog_column){.name = column->name,
                                       .type = column->type,
                                       .type_oid = catalog_type_oid((enum type_id)column->type.id)};
    }
    if (item->view != NULL) {
        const struct column_definition *column = &table_view_schema(item->view)->columns[index];
        return (struct catalog_column){column->name,
                                       column->type,
                                       catalog_type_oid((enum type_id)column->type.id),
                                       column->is_not_null,
                                       column->default_text,
                                       column->comment};
    }
    const struct provider_column *own = &item->provider->columns[index];
    struct catalog_column column = {.name = slice_from_cstr(own->name),
                                    .type = own->type,
                                    .type_oid = catalog_type_oid((enum type_id)own->type.id)};
    const char *at = item->relation == NULL ? "" : item->relation->columns;
    struct declared declared;
    for (size_t place = 0; declared_next(&at, &declared); place++) {
        if (place != index)
            continue;
        column.type_oid = letter_find(declared.letter)->oid;
        column.is_not_null = declared.is_not_null && item->kind == 'r';
    }
    return column;
}

/* --- registering --- */

static enum err catalog_scan(void *context, struct provider_scan *scan, struct error *error)
{
    (void)error;
    const struct catalog_provider *relation = context;
    const struct table_provider *provider = relation->provider;
    struct catalog_rows rows = {
        .relation = relation,
        .scan = scan,
        .cells = arena_alloc_array(scan->arena, provider->column_count + provider->hidden_count,
                                   sizeof(*rows.cells)),
    };
    if (relation->fill != NULL)
        relation->fill(&rows);
    return OK;
}

static void register_relation(struct query_engine *engine, const struct catalog_relation *declared)
{
    struct arena *arena = &engine->catalog_arena;
    size_t count = declared_count(declared->columns);
    bool is_table = declared->kind == 'r'; /* those have system columns, of which this is one */
    struct provider_column *columns = arena_alloc_array(arena, count + 1, sizeof(*columns));
    struct value *defaults = arena_alloc_array(arena, count + 1, sizeof(*defaults));
    columns[count] = (struct provider_column){"tableoid", letter_type('o')};
    defaults[count] = (struct value){.type = type_of(TYPE_INT8), .i = declared->oid};
    const char *at = declared->columns;
    struct declared column;
    for (size_t index = 0; declared_next(&at, &column); index++) {
        columns[index] = (struct provider_column){
            arena_printf(arena, "%.*s", SLICE_ARGS(column.name)), letter_type(column.letter)};
        defaults[index] = default_value(&column, arena);
    }
    struct catalog_provider *context = arena_alloc(arena, sizeof(*context));
    struct table_provider *provider = arena_alloc(arena, sizeof(*provider));
    *context = (struct catalog_provider){engine, provider, defaults, find_filler(declared)};
    *provider = (struct table_provider){
        .schema_name = declared->schema,
        .name = declared->name,
        .column_count = count,
        .columns = columns,
        .hidden_count = is_table,
        .context = context,
        .scan = catalog_scan,
        .sight = SIGHT_CHOSEN,
    };
    query_engine_register(engine, provider);
}

void catalog_register(struct query_engine *engine)
{
    for (size_t index = 0; index < catalog_relation_count(); index++)
        register_relation(engine, catalog_relation(index));
}
