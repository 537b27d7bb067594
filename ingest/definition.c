/* Definitions: made once per table and version, then shared by every batch of it.
 *
 * DEFAULT expressions are bound by a function that the server gives (ingest may not see SQL) and
 * evaluated once per batch, where `now()` is the batch's time; volatile ones (random(),
 * gen_random_uuid()) once per row. */
#include "ingest/definition.h"

#include "query/expr/eval.h"

#include <assert.h>

enum err definition_create(const struct schema *schema, const struct ingest_options *options,
                           struct definition **out, struct error *error)
{
    struct definition *definition = memory_alloc_zero(sizeof(*definition));
    atomic_init(&definition->references, 1);
    arena_init(&definition->arena);
    definition->schema = schema_ref(schema);
    definition->defaults =
        arena_alloc_zero(&definition->arena, schema->column_count * sizeof(*definition->defaults));
    enum err err = mapping_create(schema, &definition->mapping, error);
    for (uint32_t i = 0; i < schema->column_count && err == OK; i++) {
        if (schema->columns[i].default_text.size == 0 || options->bind_default == NULL)
            continue;
        err = options->bind_default(schema, i, &definition->arena, &definition->defaults[i], error);
    }
    if (err != OK) {
        definition_unref(definition);
        return err;
    }
    *out = definition;
    return OK;
}

struct definition *definition_ref(struct definition *definition)
{
    atomic_fetch_add_explicit(&definition->references, 1, memory_order_relaxed);
    return definition;
}

void definition_unref(struct definition *definition)
{
    if (definition == NULL)
        return;
    /* acq_rel: whoever frees has seen every other owner's last use. */
    if (atomic_fetch_sub_explicit(&definition->references, 1, memory_order_acq_rel) != 1)
        return;
    mapping_unref(definition->mapping);
    schema_unref(definition->schema);
    arena_deinit(&definition->arena);
    memory_free(definition);
}

static enum err default_get(void *context, uint32_t column, struct arena *arena, struct value *out,
                            bool *is_volatile, struct error *error)
{
    const struct definition_defaults *defaults = context;
    const struct expr *expr = defaults->definition->defaults[column];
    struct type type = defaults->definition->schema->columns[column].type;
    *out = (struct value){.type = type, .is_null = true};
    *is_volatile = false;
    if (expr == NULL)
        return OK;
    *is_volatile = expr_is_volatile(expr);
    struct eval_context eval = {.zone = timezone_utc, .now_us = defaults->now_us};
    return expr_evaluate_constant(expr, &eval, arena, out, error);
}

void definition_defaults_init(struct definition_defaults *defaults, struct definition *definition,
                              int64_t now_us)
{
    *defaults = (struct definition_defaults){.definition = definition, .now_us = now_us};
    defaults->interface = (struct rows_defaults){.context = defaults, .get = default_get};
}
