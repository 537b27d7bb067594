/* The state that rides on commit records: applied in position order, saved in checkpoints, replayed
 * at start.
 *
 *   request ── post.c, insert.c ── section + rows ── store ── durable ── ingest_apply ── visible
 *                                                                            │
 *                             keys, producers, ledger, dead letters, drift, watermarks
 *
 * Everything here changes in ingest_apply and nowhere else (but for what grew too old, which
 * ingest_tick lets go), so a restart ends in the same state. Readers (checks of retries, system
 * tables, completeness) take the lock for short. */
#include "ingest/internal.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"

#include <assert.h>

/* 1: without subscriptions and the origins of dead letters, 2: views, 3: their endpoints, 4: those
 * that are materialized. */
#define STATE_FORMAT 5
#define EXPIRE_EVERY_US (10 * MICROSECONDS_PER_SECOND)

const struct ingest_limits ingest_limits_default = {
    .body_max = (size_t)16 << 20,
    .row_max = (size_t)4 << 20,
    .rows_max = 1000000,
    .section_cells = 1 << 20,
    .json_depth_max = 64,
    .keys_max = 4096,
    .producers_max = 1000000,
    .keys_window = 1000000,
    .key_lifetime_us = 24 * MICROSECONDS_PER_HOUR,
    .dead_letter_bytes_max = (uint64_t)1 << 30,
    .dead_letter_age_us = 30 * MICROSECONDS_PER_DAY,
    .drift_paths_max = 1000,
    .copy_bytes_max = (size_t)256 << 20,
};

/* --- life --- */

struct ingest *ingest_create(const struct ingest_options *options)
{
    struct ingest *ingest = memory_alloc_zero(sizeof(*ingest));
    ingest->options = *options;
    if (options->secrets != NULL) {
        size_t size = strlen(options->secrets) + 1;
        ingest->options.secrets = memcpy(memory_alloc(size), options->secrets, size);
    }
    assert(options->limits.json_depth_max <= 64);
    assert(options->limits.keys_window > 0);
    mutex_init(&ingest->ddl);
    mutex_init(&ingest->lock);
    mutex_init(&ingest->spare_lock);
    dead_letters_init(&ingest->dead, options->limits.dead_letter_bytes_max,
                      options->limits.dead_letter_age_us);
    ingest_init_providers(ingest);
    return ingest;
}

static void table_state_destroy(struct table_state *table)
{
    sources_deinit(&table->sources);
    producers_deinit(&table->producers);
    keys_deinit(&table->keys);
    ledger_deinit(&table->ledger);
    drift_deinit(&table->drift);
    definition_unref(table->definition);
    memory_free((void *)(uintptr_t)table->name.data);
    memory_free(table);
}

void ingest_destroy(struct ingest *ingest)
{
    for (uint32_t i = 0; i < ingest->table_count; i++)
        table_state_destroy(ingest->tables[i]);
    memory_free(ingest->tables);
    index_deinit(&ingest->table_index);
    dead_letters_deinit(&ingest->dead);
    subscriptions_deinit(&ingest->subscriptions);
    views_deinit(&ingest->views);
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++)
        assert(ingest->flights[i] == NULL);
    mutex_deinit(&ingest->lock);
    mutex_deinit(&ingest->spare_lock);
    while (ingest->spare_count > 0)
        arena_deinit(&ingest->spare[--ingest->spare_count]);
    mutex_deinit(&ingest->ddl);
    memory_free((void *)(uintptr_t)ingest->options.secrets);
    memory_free(ingest);
}

void ingest_attach(struct ingest *ingest, struct store *store)
{
    assert(ingest->store == NULL);
    ingest->store = store;
}

/* --- tables --- */

struct table_state *ingest_find_table(struct ingest *ingest, uint32_t table_id)
{
    uint32_t place;
    struct index_cursor cursor = index_begin(&ingest->table_index, hash_mix(table_id));
    while (index_next(&ingest->table_index, &cursor, &place))
        if (ingest->tables[place]->id == table_id)
            return ingest->tables[place];
    return NULL;
}

static struct slice own_text(struct slice text)
{
    char *copy = memory_alloc(text.size);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return slice_of(copy, text.size);
}

struct table_state *ingest_get_table(struct ingest *ingest, uint32_t table_id, struct slice name)
{
    struct table_state *table = ingest_find_table(ingest, table_id);
    if (table != NULL)
        return table;
    if (ingest->table_count == ingest->table_capacity) {
        ingest->table_capacity = ingest->table_capacity == 0 ? 16 : ingest->table_capacity * 2;
        ingest->tables =
            memory_realloc(ingest->tables, ingest->table_capacity * sizeof(struct table_state *));
    }
    table = memory_alloc_zero(sizeof(*table));
    table->id = table_id;
    table->name = own_text(name);
    sources_init(&table->sources);
    index_add(&ingest->table_index, hash_mix(table_id), ingest->table_count);
    ingest->tables[ingest->table_count++] = table;
    return table;
}

/* The ledger outlives its table; the rest does not. Dead letters stay under the name. */
static void drop_table(struct table_state *table)
{
    producers_deinit(&table->producers);
    keys_deinit(&table->keys);
    drift_deinit(&table->drift);
    definition_unref(table->definition);
    table->definition = NULL;
    table->is_dropped = true;
}

enum err ingest_no_table(struct slice name, struct error *error)
{
    struct slice shown =
        name.size <= IDENTIFIER_SIZE_MAX ? name : slice_of(name.data, IDENTIFIER_SIZE_MAX);
    return error_set(error, ERR_NOT_FOUND, "42P01", "relation \"%.*s\" does not exist",
                     SLICE_ARGS(shown));
}

const struct schema *ingest_schema(struct ingest *ingest, struct slice name)
{
    struct snapshot *snapshot = snapshot_open(ingest->store);
    const struct table_view *view = snapshot_find(snapshot, name);
    const struct schema *schema = view == NULL ? NULL : schema_ref(table_view_schema(view));
    snapshot_close(snapshot);
    return schema;
}

const struct schema *ingest_schema_by_id(struct ingest *ingest, uint32_t table_id)
{
    struct snapshot *snapshot = snapshot_open(ingest->store);
    const struct table_view *view = snapshot_find_id(snapshot, table_id);
    const struct schema *schema = view == NULL ? NULL : schema_ref(table_view_schema(view));
    snapshot_close(snapshot);
    return schema;
}

enum err ingest_definition(struct ingest *ingest, const struct schema *schema,
                           struct definition **out, struct error *error)
{
    mutex_lock(&ingest->lock);
    struct table_state *table = ingest_get_table(ingest, schema->table_id, schema->name);
    struct definition *found = table->definition;
    if (found != NULL && found->schema->version == schema->version) {
        *out = definition_ref(found);
        mutex_unlock(&ingest->lock);
        return OK;
    }
    mutex_unlock(&ingest->lock);
    struct definition *made;
    enum err err = definition_create(schema, &ingest->options, &made, error);
    if (err != OK)
        return err;
    mutex_lock(&ingest->lock);
    table = ingest_get_table(ingest, schema->table_id, schema->name);
    if (!table->is_dropped &&
        (table->definition == NULL || table->definition->schema->version < schema->version)) {
        definition_unref(table->definition);
        table->definition = definition_ref(made);
    }
    mutex_unlock(&ingest->lock);
    *out = made;
    return OK;
}

/* --- records --- */

static void apply_request(struct ingest *ingest, const struct record_view *record,
                          struct section_request *request)
{
    struct table_state *table = ingest_get_table(ingest, request->table_id, request->table);
    if (table->is_dropped)
        return;
    const struct ingest_limits *limits = &ingest->options.limits;
    uint32_t place = sources_get(&table->sources, request->source, request->source_kind);
    ledger_apply(&table->ledger, &table->sources.list[place], place, record->at_us,
                 request->counts);
    ledger_expire(&table->ledger, record->at_us);
    if (request->producer.size > 0)
        producers_apply(&table->producers, request, record->position, record->at_us);
    keys_expire(&table->keys, record->at_us, limits->key_lifetime_us);
    if (request->has_key)
        keys_apply(&table->keys, request, record->position, record->at_us, limits->keys_window);
    table->dead_rows += request->counts[FATE_DEAD];
    struct section_drift drift;
    while (section_next_drift(request, &drift))
        drift_apply(&table->drift, place, &drift, record->at_us, limits->drift_paths_max);
    struct section_dead dead;
    while (section_next_dead(request, &dead))
        dead_letters_add(&ingest->dead, request, &dead, record->position, record->at_us);
}

/* A record while it is applied. Its rows are of its requests one after another: of the partitions
 * of a batch, of the statements of a transaction. What it says of a table's completeness counts as
 * a whole. */
struct applying {
    const struct record_view *record;
    size_t part, row_begin;      /* where the next request's rows start */
    struct table_state *settles; /* whose completeness moves when its rows are through */
};

static void apply_part(struct applying *applying, struct table_state *table, uint32_t place,
                       int64_t promised, size_t begin, size_t end)
{
    const struct record_rows *rows = &applying->record->rows[applying->part];
    if (applying->settles != NULL && applying->settles != table)
        sources_settle(&applying->settles->sources);
    applying->settles = table;
    sources_apply(&table->sources, place, applying->record->at_us,
                  rows->schema->options.lateness_us, promised, rows->times, begin, end);
}

/* A large body's rows are several parts: what is late among them goes by what was promised before
 * the first, whichever way they were cut. */
static void apply_rows(struct ingest *ingest, struct applying *applying,
                       const struct section_request *request)
{
    const struct record_view *record = applying->record;
    struct table_state *table = ingest_find_table(ingest, request->table_id);
    bool is_there = table != NULL && !table->is_dropped;
    uint64_t left = request->counts[FATE_STORED];
    uint32_t place = is_there ? sources_find(&table->sources, request->source) : NO_SOURCE;
    assert(!is_there || place != NO_SOURCE);
    int64_t promised = is_there ? sources_promise(&table->sources, place) : NO_TIME;
    while (left > 0 && applying->part < record->rows_count) {
        const struct record_rows *rows = &record->rows[applying->part];
        size_t begin = applying->row_begin, end = rows->row_count;
        end = end - begin > left ? begin + (size_t)left : end;
        if (is_there && fault_is("ingest.late_by_part"))
            promised = sources_promise(&table->sources, place);
        if (is_there && rows->table_id == request->table_id && rows->schema != NULL)
            apply_part(applying, table, place, promised, begin, end);
        left -= end - begin;
        applying->row_begin = end == rows->row_count ? 0 : end;
        applying->part += end == rows->row_count;
    }
}

static enum err apply_offsets(struct ingest *ingest, const struct record_view *record,
                              struct slice bytes, struct error *error)
{
    uint64_t moved;
    enum err err =
        subscriptions_apply_offsets(&ingest->subscriptions, bytes, record->at_us, &moved, error);
    if (err == OK && moved > 0)
        logger_write(LOG_ERROR, "a batch did not begin where its partition stood position=%llu",
                     (unsigned long long)record->position);
    return err;
}

static void apply_section(struct ingest *ingest, struct applying *applying,
                          const struct record_section *section)
{
    const struct record_view *record = applying->record;
    struct error error;
    if (section->kind == SECTION_REQUEST) {
        struct section_request request;
        if (section_read(section->bytes, &request, &error) == OK) {
            struct section_request lists = request;
            apply_request(ingest, record, &lists);
            apply_rows(ingest, applying, &request);
            return;
        }
    } else if (section->kind == SECTION_TICK) {
        int64_t source_idle_us;
        if (section_read_tick(section->bytes, &source_idle_us, &error) == OK) {
            for (uint32_t i = 0; i < ingest->table_count; i++)
                sources_tick(&ingest->tables[i]->sources, record->at_us, source_idle_us);
            return;
        }
    } else if (section->kind == SECTION_SUBSCRIPTION) {
        if (subscriptions_apply_change(&ingest->subscriptions, section->bytes, &error) == OK)
            return;
    } else if (section->kind == SECTION_VIEW) {
        if (views_apply_change(&ingest->views, section->bytes, &error) == OK) {
            atomic_fetch_add_explicit(&ingest->view_version, 1, memory_order_release);
            return;
        }
    } else if (section->kind == SECTION_OFFSETS) {
        if (apply_offsets(ingest, record, section->bytes, &error) == OK)
            return;
    } else {
        error_set(&error, ERR_CORRUPT, NULL, "a section of an unknown kind %u", section->kind);
    }
    /* The record passed its checksum, so this was written by another version: its rows count, its
     * state cannot. */
    logger_write(LOG_ERROR, "section not understood position=%llu error=\"%s\"",
                 (unsigned long long)record->position, error.text);
}

static void rename_table(struct table_state *table, struct slice name)
{
    if (table == NULL || slice_equal(table->name, name))
        return;
    memory_free((void *)(uintptr_t)table->name.data);
    table->name = own_text(name);
}

static void ingest_apply(void *context, const struct record_view *record)
{
    struct ingest *ingest = context;
    mutex_lock(&ingest->lock);
    struct applying applying = {.record = record};
    for (size_t i = 0; i < record->section_count; i++)
        apply_section(ingest, &applying, &record->sections[i]);
    if (applying.settles != NULL)
        sources_settle(&applying.settles->sources);
    if (record->change == CHANGE_ALTER)
        rename_table(ingest_find_table(ingest, record->change_table_id), record->change_name);
    if (record->change == CHANGE_DROP) {
        struct table_state *table = ingest_find_table(ingest, record->change_table_id);
        if (table != NULL)
            drop_table(table);
    }
    dead_letters_expire(&ingest->dead, record->at_us);
    ingest->applied_position = record->position;
    mutex_unlock(&ingest->lock);
}

/* --- checkpoints --- */

static void ingest_save(void *context, struct writer *out)
{
    struct ingest *ingest = context;
    mutex_lock(&ingest->lock);
    writer_u8(out, STATE_FORMAT);
    writer_u64(out, ingest->applied_position);
    dead_letters_write(&ingest->dead, out);
    writer_u32(out, ingest->table_count);
    for (uint32_t i = 0; i < ingest->table_count; i++) {
        const struct table_state *table = ingest->tables[i];
        writer_u32(out, table->id);
        writer_text(out, table->name);
        writer_u8(out, table->is_dropped ? 1 : 0);
        writer_u64(out, table->dead_rows);
        sources_write(&table->sources, out);
        ledger_write(&table->ledger, out);
        producers_write(&table->producers, out);
        keys_write(&table->keys, out);
        drift_write(&table->drift, out);
    }
    subscriptions_write(&ingest->subscriptions, out);
    views_write(&ingest->views, out);
    mutex_unlock(&ingest->lock);
}

static bool read_table(struct ingest *ingest, struct reader *in)
{
    uint32_t id = reader_u32(in);
    struct slice name = reader_text(in);
    if (in->failed || ingest_find_table(ingest, id) != NULL)
        return false;
    struct table_state *table = ingest_get_table(ingest, id, name);
    table->is_dropped = reader_u8(in) != 0;
    table->dead_rows = reader_u64(in);
    return sources_read(&table->sources, in) && ledger_read(&table->ledger, &table->sources, in) &&
           producers_read(&table->producers, in) && keys_read(&table->keys, in) &&
           drift_read(&table->drift, in);
}

static enum err ingest_load(void *context, struct reader *in, struct error *error)
{
    struct ingest *ingest = context;
    mutex_lock(&ingest->lock);
    uint8_t format = reader_u8(in);
    bool is_good = format >= 1 && format <= STATE_FORMAT;
    ingest->applied_position = reader_u64(in);
    is_good = is_good && dead_letters_read(&ingest->dead, in, format >= 2);
    uint32_t count = reader_u32(in);
    for (uint32_t i = 0; i < count && is_good; i++)
        is_good = read_table(ingest, in);
    if (is_good && format >= 2)
        is_good = subscriptions_read(&ingest->subscriptions, in);
    if (is_good && format >= 3)
        is_good = views_read(&ingest->views, (uint8_t)(format - 2), in);
    mutex_unlock(&ingest->lock);
    if (!is_good || in->failed)
        return error_set(error, ERR_CORRUPT, NULL,
                         "the ingest part of a checkpoint cannot be read");
    return OK;
}

struct store_extension ingest_extension(struct ingest *ingest)
{
    return (struct store_extension){
        .context = ingest,
        .apply = ingest_apply,
        .save = ingest_save,
        .load = ingest_load,
    };
}

/* --- upkeep --- */

static void expire_old(struct ingest *ingest, int64_t now_us)
{
    dead_letters_expire(&ingest->dead, now_us);
    for (uint32_t i = 0; i < ingest->table_count; i++) {
        ledger_expire(&ingest->tables[i]->ledger, now_us);
        keys_expire(&ingest->tables[i]->keys, now_us, ingest->options.limits.key_lifetime_us);
    }
    ingest->expired_at_us = now_us;
}

void ingest_tick(struct ingest *ingest)
{
    int64_t now_us = clock_wall_us();
    bool is_needed = false;
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->table_count && !is_needed; i++)
        is_needed =
            !ingest->tables[i]->is_dropped &&
            sources_would_tick(&ingest->tables[i]->sources, now_us, ingest->options.source_idle_us);
    subscriptions_sample_lag(&ingest->subscriptions, now_us);
    if (now_us >= ingest->expired_at_us + EXPIRE_EVERY_US || now_us < ingest->expired_at_us)
        expire_old(ingest, now_us);
    mutex_unlock(&ingest->lock);
    if (!is_needed)
        return;
    struct commit *commit = commit_create(ingest->store);
    struct writer section;
    writer_init(&section);
    section_write_tick(&section, ingest->options.source_idle_us);
    commit_add_section(commit, SECTION_TICK, writer_as_slice(&section));
    writer_deinit(&section);
    uint64_t position;
    struct error error;
    /* A tick that could not be written is tried again by the next call. */
    if (store_commit(ingest->store, commit, &position, &error) != OK)
        logger_write(LOG_DEBUG, "no tick error=\"%s\"", error.text);
}
