/* The rollups there are: bound from the views that are one, kept up with the segments, told of.
 *
 *   view_version moves ─▶ set: the views that are rollups, bound anew where they or their table
 * changed upkeep ─▶ job: for each sealed segment not covered: its file is read, or its groups are
 * made and written; what is of segments or views that are gone is removed query ─▶ set as of now
 * (exec->rollups)
 *
 * Nothing that a query is answered by follows from when this happens: a segment that is not covered
 * is read, a set that is behind holds rollups of other definitions, which match nothing. A job goes
 * on for so long and is begun anew, so that no snapshot is held for long. */
#include "query/rollups.h"

#include "query/engine.h"
#include "query/sql/sql.h"
#include "storage/base/clock.h"
#include "storage/base/metrics.h"
#include "storage/base/worker.h"

#include <assert.h>
#include <stdlib.h>

#define LOOK_EVERY_US 500000
#define JOB_LIMIT_US 500000
#define MEMORY_DEFAULT ((size_t)64 << 20)

struct rollups {
    struct query_engine *engine;
    struct rollup_shelf shelf;
    struct mutex mutex; /* of the set */
    struct rollup_set *set;
    bool is_stale;            /* a table of it changed */
    _Atomic bool has_any;     /* relaxed, as of … */
    _Atomic uint64_t version; /* … this one, plus one; 0: none yet */
    _Atomic bool is_active;   /* a job is queued or runs */
    _Atomic bool is_stopping;
    _Atomic bool is_unswept; /* relaxed: there may be files of what is gone */
    int64_t next_look_us;    /* of upkeep's thread */
    _Atomic uint64_t built, build_us;
    struct table_provider provider;
};

static uint64_t current_version(const struct query_engine *engine)
{
    const struct query_engine_options *options = &engine->options;
    return options->view_version == NULL ? 0 : options->view_version(options->context);
}

/* --- the set --- */

static struct slice select_all(struct slice view, struct arena *arena)
{
    struct writer text;
    writer_init(&text);
    writer_cstr(&text, "SELECT * FROM \"");
    for (size_t i = 0; i < view.size; i++) {
        if (view.data[i] == '"')
            writer_u8(&text, '"');
        writer_u8(&text, (uint8_t)view.data[i]);
    }
    writer_u8(&text, '"');
    struct slice out = arena_copy(arena, writer_as_slice(&text));
    writer_deinit(&text);
    return out;
}

/* NULL: its text does not fit its table any more. */
static struct rollup *bind(struct rollups *rollups, const struct view_definition *view,
                           struct snapshot *snapshot, struct arena *arena)
{
    struct query_engine *engine = rollups->engine;
    const struct timezone *zone;
    struct statement *statement;
    struct error error;
    if (timezone_find(view->zone, &zone, &error) != OK)
        return NULL;
    struct sql_context context = {.snapshot = snapshot,
                                  .providers = engine->providers,
                                  .provider_count = engine->provider_count,
                                  .zone = zone,
                                  .find_view = engine->options.find_view,
                                  .view_context = engine->options.context};
    return sql_prepare(select_all(view->name, arena), &context, &statement, &error) == OK
               ? rollup_create(&rollups->shelf, view, zone, statement)
               : NULL;
}

/* The one that there was, if it is the same still. */
static struct rollup *find_old(const struct rollup_set *old, const struct view_definition *view,
                               const struct snapshot *snapshot)
{
    for (size_t i = 0; old != NULL && i < old->count; i++) {
        struct rollup *rollup = old->list[i];
        if (rollup->view_id != view->id || !slice_equal(rollup->name, view->name) ||
            !plan_is_current(rollup->statement, snapshot))
            continue;
        atomic_fetch_add_explicit(&rollup->references, 1, memory_order_relaxed);
        return rollup;
    }
    return NULL;
}

/* With the mutex held. */
static void refresh(struct rollups *rollups, uint64_t version)
{
    const struct query_engine_options *options = &rollups->engine->options;
    struct view_definition *views = NULL;
    struct arena arena;
    arena_init(&arena);
    size_t count =
        options->list_views == NULL ? 0 : options->list_views(options->context, &arena, &views);
    struct snapshot *snapshot = snapshot_open(options->store);
    struct rollup_set *set = memory_alloc_zero(sizeof(*set));
    atomic_init(&set->references, 1);
    set->view_version = version;
    set->list = memory_alloc_zero((count + 1) * sizeof(struct rollup *));
    for (size_t i = 0; i < count; i++) {
        if (!views[i].is_materialized)
            continue;
        struct rollup *rollup = find_old(rollups->set, &views[i], snapshot);
        if (rollup == NULL)
            rollup = bind(rollups, &views[i], snapshot, &arena);
        if (rollup != NULL)
            set->list[set->count++] = rollup;
    }
    snapshot_close(snapshot);
    arena_deinit(&arena);
    rollup_set_unref(rollups->set);
    rollups->set = set;
    rollups->is_stale = false;
    atomic_store_explicit(&rollups->is_unswept, true, memory_order_relaxed);
    atomic_store_explicit(&rollups->has_any, set->count > 0, memory_order_relaxed);
    atomic_store_explicit(&rollups->version, version + 1, memory_order_release);
}

struct rollup_set *rollups_current(struct rollups *rollups, bool can_bind)
{
    const struct query_engine_options *options = &rollups->engine->options;
    uint64_t version = current_version(rollups->engine);
    if (options->view_version == NULL || options->list_views == NULL)
        return NULL;
    if (atomic_load_explicit(&rollups->version, memory_order_acquire) == version + 1 &&
        !atomic_load_explicit(&rollups->has_any, memory_order_relaxed))
        return NULL;
    mutex_lock(&rollups->mutex);
    bool is_current =
        rollups->set != NULL && rollups->set->view_version == version && !rollups->is_stale;
    if (!is_current && can_bind)
        refresh(rollups, version);
    bool has_any = rollups->set != NULL && rollups->set->count > 0;
    struct rollup_set *set = has_any ? rollup_set_ref(rollups->set) : NULL;
    mutex_unlock(&rollups->mutex);
    return set;
}

/* --- kept up --- */

struct keeper {
    struct rollups *rollups;
    struct snapshot *snapshot;
    int64_t until_us;
    struct rollup_set *set;
    uint64_t **segments; /* by rollup: sealed segments of its table, rising */
    size_t *segment_counts;
    bool is_full; /* time is up */
};

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

static size_t list_segments(const struct table_view *view, uint64_t *out)
{
    size_t count = 0;
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        struct morsel_home home = table_view_morsel_home(view, morsel);
        if (home.is_sealed && (count == 0 || out[count - 1] != home.segment))
            out[count++] = home.segment;
    }
    qsort(out, count, sizeof(*out), compare_numbers);
    return count;
}

static bool is_read(struct rollups *rollups, struct rollup *rollup, uint64_t segment)
{
    char name[ROLLUP_NAME_SIZE];
    struct arena arena;
    struct slice bytes;
    struct error ignored; /* it is made anew */
    struct rollup_cover cover;
    arena_init(&arena);
    rollup_file_name(rollup->view_id, segment, name);
    bool is = store_side_read(rollups->shelf.store, name, &arena, &bytes, &ignored) == OK &&
              rollup_read(rollup, segment, bytes, &cover, &ignored) == OK;
    if (is)
        rollup_add_cover(rollup, &cover);
    arena_deinit(&arena);
    return is;
}

static void write_file(struct rollups *rollups, struct rollup *rollup, struct rollup_cover *cover)
{
    char name[ROLLUP_NAME_SIZE];
    struct writer bytes;
    struct error error;
    rollup_file_name(rollup->view_id, cover->segment, name);
    writer_init(&bytes);
    rollup_write(rollup, cover, &bytes);
    enum err err = bytes.failed ? error_set(&error, ERR_LIMIT, NULL, "it is too large")
                                : store_side_write(rollups->shelf.store, name,
                                                   writer_as_slice(&bytes), &error);
    if (err == OK)
        cover->file_size = bytes.size;
    else
        logger_write(LOG_WARN, "a rollup's file cannot be written name=%s reason=\"%s\"", name,
                     error.text);
    writer_deinit(&bytes);
}

static void build(struct keeper *keeper, struct rollup *rollup, uint64_t segment)
{
    struct rollups *rollups = keeper->rollups;
    const struct query_engine_options *options = &rollups->engine->options;
    struct budget budget = {
        .parent = options->memory, .limit = options->query_memory_limit, .name = "rollup"};
    struct exec exec;
    struct error error;
    struct rollup_cover cover;
    int64_t begin_us = clock_monotonic_us();
    exec_init(&exec, rollup->statement, keeper->snapshot, &budget);
    exec.eval.zone = rollup->zone;
    exec.is_cancelled = &rollups->is_stopping;
    exec.eval.is_cancelled = &rollups->is_stopping;
    enum err err = rollup_build(&exec, rollup, segment, &cover, &error);
    exec_deinit(&exec);
    size_t used = atomic_load_explicit(&budget.used, memory_order_relaxed);
    if (used != 0)
        budget_release(&budget, used);
    if (err == ERR_CANCELLED)
        return;
    if (err != OK) {
        logger_write(LOG_WARN, "a rollup cannot be made of a segment reason=\"%s\"", error.text);
        cover = (struct rollup_cover){.segment = segment, .is_failed = true};
    } else {
        write_file(rollups, rollup, &cover);
    }
    rollup_add_cover(rollup, &cover);
    atomic_fetch_add_explicit(&rollups->built, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&rollups->build_us, (uint64_t)(clock_monotonic_us() - begin_us),
                              memory_order_relaxed);
}

static void keep_one(struct keeper *keeper, size_t index)
{
    struct rollups *rollups = keeper->rollups;
    struct rollup *rollup = keeper->set->list[index];
    const struct table_view *view =
        snapshot_find_id(keeper->snapshot, rollup->form.schema->table_id);
    if (view == NULL || !plan_is_current(rollup->statement, keeper->snapshot)) {
        mutex_lock(&rollups->mutex);
        rollups->is_stale = true;
        mutex_unlock(&rollups->mutex);
        return;
    }
    keeper->segments[index] = memory_alloc((table_view_morsel_count(view) + 1) * sizeof(uint64_t));
    size_t count = keeper->segment_counts[index] = list_segments(view, keeper->segments[index]);
    if (rollup_drop_others(rollup, keeper->segments[index], count))
        atomic_store_explicit(&rollups->is_unswept, true, memory_order_relaxed);
    for (size_t i = 0; i < count; i++) {
        uint64_t segment = keeper->segments[index][i];
        if (atomic_load_explicit(&rollups->is_stopping, memory_order_relaxed))
            return;
        if (rollup_covers(rollup, segment))
            continue;
        if (clock_monotonic_us() > keeper->until_us) {
            keeper->is_full = true;
            return;
        }
        if (!is_read(rollups, rollup, segment))
            build(keeper, rollup, segment);
    }
}

struct leftover {
    struct keeper *keeper;
    size_t count;
    char (*names)[ROLLUP_NAME_SIZE];
    size_t capacity;
};

static bool is_wanted(const struct keeper *keeper, uint32_t view_id, uint64_t segment)
{
    for (size_t i = 0; i < keeper->set->count; i++) {
        if (keeper->set->list[i]->view_id != view_id)
            continue;
        return keeper->segments[i] == NULL || /* not looked at */
               bsearch(&segment, keeper->segments[i], keeper->segment_counts[i], sizeof(segment),
                       compare_numbers) != NULL;
    }
    return false;
}

static void look_at_name(void *context, const char *name)
{
    struct leftover *leftover = context;
    uint32_t view_id;
    uint64_t segment;
    bool is_ours = rollup_parse_name(name, &view_id, &segment);
    bool is_temporary = strncmp(name, "rollup-", 7) == 0 && !is_ours; /* left by a crash */
    if (strlen(name) >= ROLLUP_NAME_SIZE || (!is_ours && !is_temporary) ||
        (is_ours && is_wanted(leftover->keeper, view_id, segment)))
        return;
    if (leftover->count == leftover->capacity) {
        leftover->capacity = leftover->capacity * 2 + 16;
        leftover->names =
            memory_realloc(leftover->names, leftover->capacity * sizeof(*leftover->names));
    }
    memcpy(leftover->names[leftover->count++], name, strlen(name) + 1);
}

/* Files of segments and views that are gone. Only this job writes any. */
static void remove_leftovers(struct keeper *keeper)
{
    struct leftover leftover = {.keeper = keeper};
    struct store *store = keeper->rollups->shelf.store;
    struct error ignored; /* it is listed again */
    if (!atomic_exchange_explicit(&keeper->rollups->is_unswept, false, memory_order_relaxed))
        return;
    if (store_side_list(store, look_at_name, &leftover, &ignored) == OK)
        for (size_t i = 0; i < leftover.count; i++)
            store_side_remove(store, leftover.names[i]);
    memory_free(leftover.names);
}

/* False: there is more to be done. */
static bool keep(struct rollups *rollups)
{
    const struct query_engine_options *options = &rollups->engine->options;
    struct keeper keeper = {.rollups = rollups, .until_us = clock_monotonic_us() + JOB_LIMIT_US};
    keeper.set = rollups_current(rollups, true);
    struct rollup_set none = {0};
    if (keeper.set == NULL && !atomic_load_explicit(&rollups->is_unswept, memory_order_relaxed))
        return true;
    keeper.snapshot = snapshot_open(options->store);
    struct rollup_set *set = keeper.set;
    keeper.set = set == NULL ? &none : set;
    keeper.segments = memory_alloc_zero((keeper.set->count + 1) * sizeof(uint64_t *));
    keeper.segment_counts = memory_alloc_zero((keeper.set->count + 1) * sizeof(size_t));
    for (size_t i = 0; i < keeper.set->count && !keeper.is_full; i++)
        keep_one(&keeper, i);
    if (!keeper.is_full)
        remove_leftovers(&keeper);
    for (size_t i = 0; i < keeper.set->count; i++)
        memory_free(keeper.segments[i]);
    memory_free(keeper.segments);
    memory_free(keeper.segment_counts);
    snapshot_close(keeper.snapshot);
    rollup_set_unref(set);
    return !keeper.is_full;
}

static void keep_job(void *context)
{
    struct rollups *rollups = context;
    if (!atomic_load_explicit(&rollups->is_stopping, memory_order_relaxed))
        (void)keep(rollups);
    atomic_store_explicit(&rollups->is_active, false, memory_order_release);
}

/* --- from outside --- */

void rollups_upkeep(struct rollups *rollups)
{
    struct worker_pool *workers = rollups->engine->options.workers;
    int64_t now_us = clock_monotonic_us();
    if (now_us < rollups->next_look_us || workers == NULL)
        return;
    rollups->next_look_us = now_us + LOOK_EVERY_US;
    uint64_t version = current_version(rollups->engine);
    bool is_idle = atomic_load_explicit(&rollups->version, memory_order_acquire) == version + 1 &&
                   !atomic_load_explicit(&rollups->has_any, memory_order_relaxed) &&
                   !atomic_load_explicit(&rollups->is_unswept, memory_order_relaxed);
    if (is_idle || atomic_exchange_explicit(&rollups->is_active, true, memory_order_acq_rel))
        return;
    if (worker_submit(workers, WORKER_UPKEEP, keep_job, rollups) != OK)
        atomic_store_explicit(&rollups->is_active, false, memory_order_release);
}

void rollups_finish(struct rollups *rollups)
{
    while (!keep(rollups))
        continue;
}

void rollups_stop(struct rollups *rollups)
{
    atomic_store_explicit(&rollups->is_stopping, true, memory_order_relaxed);
}

/* --- told of --- */

static const struct provider_column columns[] = {
    {"view_name", {.id = TYPE_TEXT}},    {"table_name", {.id = TYPE_TEXT}},
    {"segments", {.id = TYPE_INT8}},     {"segments_covered", {.id = TYPE_INT8}},
    {"rows_covered", {.id = TYPE_INT8}}, {"groups", {.id = TYPE_INT8}},
    {"bytes", {.id = TYPE_INT8}},        {"memory_bytes", {.id = TYPE_INT8}},
};

struct rollup_figures {
    uint64_t covered, rows, groups, bytes, memory;
};

static struct rollup_figures figures_of(struct rollup *rollup)
{
    struct rollup_figures out = {0};
    mutex_lock(&rollup->shelf->mutex);
    for (size_t i = 0; i < rollup->cover_count; i++) {
        const struct rollup_cover *cover = &rollup->covers[i];
        out.covered += !cover->is_failed;
        out.rows += cover->rows;
        out.groups += cover->groups;
        out.bytes += cover->file_size;
        out.memory += cover->parts != NULL ? cover->size : 0;
    }
    mutex_unlock(&rollup->shelf->mutex);
    return out;
}

static void add_rollup(struct rollup *rollup, struct provider_scan *scan)
{
    const struct table_view *view = snapshot_find_id(scan->snapshot, rollup->form.schema->table_id);
    struct rollup_figures figures = figures_of(rollup);
    size_t segments = 0;
    if (view == NULL || asker_rights(scan->asker, rollup->view_id | RIGHT_VIEW) == 0)
        return;
    for (size_t i = 0; i < table_view_segment_count(view); i++) {
        struct segment_statistics segment;
        table_view_segment(view, i, &segment);
        segments += segment.is_sealed;
    }
    provider_text(scan, 0, arena_copy(scan->arena, rollup->name));
    provider_text(scan, 1, arena_copy(scan->arena, table_view_schema(view)->name));
    provider_int(scan, 2, (int64_t)segments);
    provider_int(scan, 3, (int64_t)figures.covered);
    provider_int(scan, 4, (int64_t)figures.rows);
    provider_int(scan, 5, (int64_t)figures.groups);
    provider_int(scan, 6, (int64_t)figures.bytes);
    provider_int(scan, 7, (int64_t)figures.memory);
}

static enum err scan_rollups(void *context, struct provider_scan *scan, struct error *error)
{
    (void)error;
    struct rollup_set *set = rollups_current(context, true);
    for (size_t i = 0; set != NULL && i < set->count; i++)
        add_rollup(set->list[i], scan);
    rollup_set_unref(set);
    return OK;
}

void rollups_metrics(struct rollups *rollups, struct writer *out)
{
    struct rollup_figures all = {0};
    mutex_lock(&rollups->mutex);
    for (size_t i = 0; rollups->set != NULL && i < rollups->set->count; i++) {
        struct rollup_figures one = figures_of(rollups->set->list[i]);
        all.covered += one.covered;
        all.bytes += one.bytes;
        all.memory += one.memory;
    }
    mutex_unlock(&rollups->mutex);
    metrics_print_figure(out, "freshet_rollup_segments", "gauge", "Segments that rollups cover.",
                         (double)all.covered);
    metrics_print_figure(out, "freshet_rollup_bytes", "gauge", "Bytes of rollups' files.",
                         (double)all.bytes);
    metrics_print_figure(out, "freshet_rollup_memory_bytes", "gauge", "Bytes of rollups in memory.",
                         (double)all.memory);
    metrics_print_figure(out, "freshet_rollup_built_total", "counter",
                         "Segments that rollups were made of.",
                         (double)atomic_load_explicit(&rollups->built, memory_order_relaxed));
    metrics_print_figure(out, "freshet_rollup_build_seconds_total", "counter",
                         "Time that took, waiting for others included.",
                         (double)atomic_load_explicit(&rollups->build_us, memory_order_relaxed) /
                             1e6);
}

struct rollups *rollups_create(struct query_engine *engine)
{
    struct rollups *rollups = memory_alloc_zero(sizeof(*rollups));
    size_t limit = engine->options.partial_memory;
    rollups->engine = engine;
    rollup_shelf_init(&rollups->shelf, engine->options.store, limit > 0 ? limit : MEMORY_DEFAULT);
    mutex_init(&rollups->mutex);
    rollups->provider = (struct table_provider){.schema_name = "freshet",
                                                .name = "rollups",
                                                .column_count = array_count(columns),
                                                .columns = columns,
                                                .context = rollups,
                                                .scan = scan_rollups,
                                                .sight = SIGHT_CHOSEN};
    query_engine_register(engine, &rollups->provider);
    return rollups;
}

void rollups_destroy(struct rollups *rollups)
{
    assert(!atomic_load(&rollups->is_active));
    rollup_set_unref(rollups->set);
    rollup_shelf_deinit(&rollups->shelf);
    mutex_deinit(&rollups->mutex);
    memory_free(rollups);
}
