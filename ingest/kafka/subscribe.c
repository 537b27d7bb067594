/* CREATE, ALTER and DROP SUBSCRIPTION: each one record. A change takes the consumer away first and
 * starts it again behind the record, so that no consumer ever reads by an old definition and a
 * position can be moved without anything in its way. */
#include "ingest/internal.h"
#include "ingest/kafka/client.h"
#include "ingest/kafka/connection.h"
#include "ingest/kafka/runner.h"
#include "ingest/kafka/settings.h"

#include <assert.h>

#define TOPIC_SIZE_MAX 249 /* the broker's */

/* --- checks --- */

static enum err check_topic(struct slice topic, struct error *error)
{
    bool is_good = topic.size > 0 && topic.size <= TOPIC_SIZE_MAX;
    for (size_t i = 0; i < topic.size && is_good; i++) {
        char c = topic.data[i];
        is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
    }
    if (is_good)
        return OK;
    topic = slice_cut(topic, 100);
    return error_set(error, ERR_INPUT, "22023", "\"%.*s\" is no topic's name", SLICE_ARGS(topic));
}

/* The map must name columns of the table. */
static enum err check_map(const struct schema *schema, struct slice map, struct error *error)
{
    if (map.size == 0)
        return OK;
    struct schema *copy = schema_copy(schema);
    struct mapping *mapping = NULL;
    copy->options.map = arena_copy(&copy->arena, map);
    enum err err = mapping_create(copy, &mapping, error);
    if (err == OK)
        mapping_unref(mapping);
    schema_unref(copy);
    return err;
}

static enum err check_table(struct ingest *ingest, struct subscription_definition *definition,
                            struct error *error)
{
    if (definition->table.size == 0) {
        error_set(error, ERR_INPUT, "22023", "a subscription needs the option \"table\"");
        error_hint(error, "write WITH (table = '…')");
        return ERR_INPUT;
    }
    const struct schema *schema = ingest_schema(ingest, definition->table);
    if (schema == NULL)
        return ingest_no_table(definition->table, error);
    definition->table_id = schema->table_id;
    enum err err = check_map(schema, definition->map, error);
    schema_unref(schema);
    return err;
}

static enum err check_connection(struct ingest *ingest,
                                 const struct subscription_definition *definition,
                                 struct error *error)
{
    struct arena arena;
    struct connection *connection = memory_alloc(sizeof(*connection));
    arena_init(&arena);
    enum err err = connection_parse(definition->connection, &arena, connection, error);
    arena_deinit(&arena);
    memory_free(connection);
    return err == OK ? client_check(definition, ingest->options.secrets, error) : err;
}

static enum err check_definition(struct ingest *ingest, struct subscription_definition *definition,
                                 struct error *error)
{
    enum err err = check_topic(definition->topic, error);
    if (err == OK)
        err = check_table(ingest, definition, error);
    if (err == OK)
        err = check_connection(ingest, definition, error);
    return err;
}

/* --- records --- */

/* `has_start`: the option was given, and its positions are taken from now on. */
static enum err commit_put(struct ingest *ingest, uint32_t id,
                           const struct subscription_definition *definition, bool has_start,
                           uint64_t *position, struct error *error)
{
    struct subscription_change change = {
        .kind = SUBSCRIPTION_PUT, .id = id, .definition = *definition};
    struct arena arena;
    arena_init(&arena);
    enum err err = OK;
    if (has_start) {
        struct subscription_start start = {.kind = START_POSITIONS};
        err = settings_parse_start(definition->start, &arena, &start, error);
        change.is_reset = start.kind != START_POSITIONS;
        change.positions = start.positions;
        change.position_count = start.count;
    }
    if (err == OK) {
        struct writer section;
        writer_init(&section);
        subscription_write_change(&section, &change);
        struct commit *commit = commit_create(ingest->store);
        commit_add_section(commit, SECTION_SUBSCRIPTION, writer_as_slice(&section));
        writer_deinit(&section);
        err = store_commit(ingest->store, commit, position, error);
    }
    arena_deinit(&arena);
    return err;
}

static enum err commit_drop(struct ingest *ingest, uint32_t id, uint64_t *position,
                            struct error *error)
{
    struct subscription_change change = {.kind = SUBSCRIPTION_DROP, .id = id};
    struct writer section;
    writer_init(&section);
    subscription_write_change(&section, &change);
    struct commit *commit = commit_create(ingest->store);
    commit_add_section(commit, SECTION_SUBSCRIPTION, writer_as_slice(&section));
    writer_deinit(&section);
    return store_commit(ingest->store, commit, position, error);
}

/* --- CREATE --- */

static enum err check_new(struct ingest *ingest, struct slice name, uint32_t *id,
                          struct error *error)
{
    mutex_lock(&ingest->lock);
    bool is_there = subscriptions_find(&ingest->subscriptions, name) != NULL;
    bool is_full = ingest->subscriptions.count >= SUBSCRIPTIONS_MAX;
    *id = ingest->subscriptions.next_id;
    mutex_unlock(&ingest->lock);
    if (is_there)
        return error_set(error, ERR_EXISTS, "42710", "subscription \"%.*s\" already exists",
                         SLICE_ARGS(name));
    if (is_full)
        return error_set(error, ERR_LIMIT, "54000",
                         "there are %d subscriptions, the most there may be", SUBSCRIPTIONS_MAX);
    return OK;
}

static enum err create_locked(struct ingest *ingest, const struct ingest_subscription *from,
                              struct arena *arena, uint64_t *position, struct error *error)
{
    uint32_t id;
    bool has_start;
    struct subscription_definition definition = {
        .name = from->name,
        .connection = from->connection,
        .topic = from->topic,
        .format = SLICE("json"),
        .start = SLICE("earliest"),
        .is_enabled = true,
    };
    definition.group = slice_from_cstr(arena_printf(arena, "freshet-%.*s", SLICE_ARGS(from->name)));
    enum err err = check_new(ingest, from->name, &id, error);
    if (err == OK)
        err = settings_apply(&definition, from->options, from->option_count, false, &has_start,
                             error);
    if (err == OK)
        err = check_definition(ingest, &definition, error);
    if (err == OK)
        err = commit_put(ingest, id, &definition, true, position, error);
    if (err == OK)
        runner_start(ingest, id);
    return err;
}

enum err ingest_create_subscription(struct ingest *ingest,
                                    const struct ingest_subscription *subscription,
                                    uint64_t *position, struct error *error)
{
    struct arena arena;
    *position = 0;
    arena_init(&arena);
    mutex_lock(&ingest->ddl);
    enum err err = create_locked(ingest, subscription, &arena, position, error);
    mutex_unlock(&ingest->ddl);
    arena_deinit(&arena);
    return err;
}

/* --- ALTER, DROP --- */

/* A copy of the definition as it stands. */
static enum err copy_definition(struct ingest *ingest, struct slice name, struct arena *arena,
                                uint32_t *id, struct subscription_definition *out,
                                struct error *error)
{
    enum err err = OK;
    mutex_lock(&ingest->lock);
    const struct subscription *found = subscriptions_find(&ingest->subscriptions, name);
    if (found == NULL) {
        struct slice shown = slice_cut(name, IDENTIFIER_SIZE_MAX);
        err = error_set(error, ERR_NOT_FOUND, "42704", "subscription \"%.*s\" does not exist",
                        SLICE_ARGS(shown));
    } else {
        *id = found->id;
        subscription_definition_copy(&found->definition, arena, out);
    }
    mutex_unlock(&ingest->lock);
    return err;
}

static enum err alter_locked(struct ingest *ingest, enum ingest_alteration alteration,
                             const struct ingest_subscription *from, struct arena *arena,
                             uint64_t *position, struct error *error)
{
    uint32_t id;
    bool has_start = false;
    struct subscription_definition definition;
    enum err err = copy_definition(ingest, from->name, arena, &id, &definition, error);
    if (err != OK)
        return err;
    switch (alteration) {
    case INGEST_ENABLE:
    case INGEST_DISABLE:
        definition.is_enabled = alteration == INGEST_ENABLE;
        break;
    case INGEST_SET:
        err =
            settings_apply(&definition, from->options, from->option_count, true, &has_start, error);
        break;
    case INGEST_CONNECTION:
        definition.connection = from->connection;
        break;
    }
    if (err == OK && alteration != INGEST_DISABLE)
        err = check_definition(ingest, &definition, error);
    if (err != OK)
        return err;
    runner_stop(ingest, id);
    err = commit_put(ingest, id, &definition, has_start, position, error);
    runner_start(ingest, id); /* as it stands, changed or not */
    return err;
}

enum err ingest_alter_subscription(struct ingest *ingest, enum ingest_alteration alteration,
                                   const struct ingest_subscription *subscription,
                                   uint64_t *position, struct error *error)
{
    struct arena arena;
    *position = 0;
    arena_init(&arena);
    mutex_lock(&ingest->ddl);
    enum err err = alter_locked(ingest, alteration, subscription, &arena, position, error);
    mutex_unlock(&ingest->ddl);
    arena_deinit(&arena);
    return err;
}

enum err ingest_drop_subscription(struct ingest *ingest, struct slice name, bool if_exists,
                                  uint64_t *position, struct error *error)
{
    uint32_t id;
    struct arena arena;
    struct subscription_definition definition;
    *position = 0;
    arena_init(&arena);
    mutex_lock(&ingest->ddl);
    enum err err = copy_definition(ingest, name, &arena, &id, &definition, error);
    bool is_there = err == OK;
    if (is_there) {
        runner_stop(ingest, id);
        err = commit_drop(ingest, id, position, error);
    }
    if (is_there && err != OK)
        runner_start(ingest, id);
    mutex_unlock(&ingest->ddl);
    arena_deinit(&arena);
    return !is_there && if_exists ? OK : err;
}
