/* Scans of system tables: a provider gives its rows at once, which are few against the budget that
 * they are charged to. A filter is held against them a vector at a time; who may not see all tables
 * gets the rows of those that they may. */
#include "query/exec/operator.h"

#include <string.h>

struct provider_state {
    struct exec_memory memory;
    struct evaluator *filter;
    struct column *columns; /* of the output, all rows */
    size_t row_count, row;
};

/* Which column names the table that a row tells of; -1: none does. */
static int table_name_column(const struct table_provider *provider)
{
    for (size_t i = 0; i < provider->column_count; i++)
        if (strcmp(provider->columns[i].name, "table_name") == 0)
            return (int)i;
    return -1;
}

static bool is_row_seen(const struct exec *exec, struct slice table, uint32_t rights)
{
    const struct table_view *view = snapshot_find(exec->eval.snapshot, table);
    return view != NULL &&
           (asker_rights(exec->asker, table_view_schema(view)->table_id) & rights) != 0;
}

/* As enum provider_sight says. */
static void limit_to_seen(struct exec_node *node, struct column_builder *builders)
{
    struct provider_state *state = node->state;
    const struct table_provider *provider = node->plan->provider.provider;
    if (!asker_is_restricted(node->exec->asker) || provider->sight == SIGHT_CHOSEN)
        return;
    uint32_t rights = provider->sight == SIGHT_READABLE ? RIGHT_SELECT : RIGHT_ALL;
    int place = table_name_column(provider);
    if (place < 0) {
        state->row_count = 0;
        return;
    }
    struct column names = column_builder_finish(&builders[place]);
    uint32_t *kept = arena_alloc_array(&state->memory.arena, state->row_count, sizeof(*kept));
    size_t count = 0;
    for (size_t row = 0; row < state->row_count; row++)
        if (is_row_seen(node->exec, column_value(&names, row).text, rights))
            kept[count++] = (uint32_t)row;
    for (size_t i = 0; i < node->plan->column_count; i++)
        state->columns[i] = column_gather(&state->columns[i], kept, count, &state->memory.arena);
    state->row_count = count;
}

static enum err provider_open(struct exec_node *node, struct error *error)
{
    struct provider_state *state = node->state;
    const struct table_provider *provider = node->plan->provider.provider;
    exec_memory_init(&state->memory, node->exec->budget);
    struct arena *arena = &state->memory.arena;
    size_t count = provider->column_count + provider->hidden_count;
    struct column_builder *builders = arena_alloc_array(arena, count, sizeof(*builders));
    for (size_t i = 0; i < count; i++)
        column_builder_init(&builders[i], provider->columns[i].type, arena);
    struct provider_scan scan = {
        .context = &node->exec->eval,
        .snapshot = (struct snapshot *)node->exec->eval.snapshot,
        .asker = node->exec->asker,
        .arena = arena,
        .builders = builders,
        .budget = node->exec->budget,
    };
    enum err err = provider->scan(provider->context, &scan, error);
    if (err != OK)
        return err;
    state->row_count = provider->column_count == 0 ? 0 : builders[0].count;
    state->columns = arena_alloc_array(arena, node->plan->column_count, sizeof(*state->columns));
    for (size_t i = 0; i < node->plan->column_count; i++)
        state->columns[i] = column_builder_finish(&builders[node->plan->provider.columns[i]]);
    limit_to_seen(node, builders);
    err = exec_memory_settle(&state->memory, error);
    if (err != OK)
        return err;
    if (node->plan->provider.filter != NULL)
        state->filter = evaluator_create(node->plan->provider.filter, &node->exec->eval);
    atomic_fetch_add_explicit(&node->exec->statistics.rows_scanned, state->row_count,
                              memory_order_relaxed);
    return exec_check(node->exec, error);
}

/* Rows [first, first + count) of flat columns. */
static struct column column_part(const struct column *column, size_t first)
{
    struct column part = *column;
    part.values =
        (const char *)column->values + first * physical_size(type_physical(column->type.id));
    if (column->validity != NULL)
        part.validity = column->validity + first;
    return part;
}

static enum err provider_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct provider_state *state = node->state;
    while (state->row < state->row_count) {
        arena_reset(&node->scratch);
        size_t count = state->row_count - state->row;
        if (count > VECTOR_ROWS_MAX)
            count = VECTOR_ROWS_MAX;
        struct batch batch = {.row_count = count, .column_count = node->plan->column_count};
        batch.columns =
            arena_alloc_array(&node->scratch, batch.column_count, sizeof(*batch.columns));
        for (size_t i = 0; i < batch.column_count; i++)
            batch.columns[i] = column_part(&state->columns[i], state->row);
        state->row += count;
        node->exec->actual[node->plan->id].rows_in += count;
        if (state->filter != NULL) {
            enum err err = exec_keep(node, state->filter, &batch, error);
            if (err != OK)
                return err;
        }
        if (batch.row_count != 0) {
            *out = batch;
            return OK;
        }
    }
    return OK;
}

static void provider_close(struct exec_node *node)
{
    struct provider_state *state = node->state;
    if (state->filter != NULL)
        evaluator_destroy(state->filter);
    if (state->memory.budget != NULL)
        exec_memory_deinit(&state->memory);
}

const struct exec_operator exec_provider_operator = {
    .name = "provider",
    .state_size = sizeof(struct provider_state),
    .open = provider_open,
    .next = provider_next,
    .close = provider_close,
};
