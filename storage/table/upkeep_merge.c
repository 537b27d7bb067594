/* Merging and retention: what becomes of sealed segments.
 *
 * Small neighbours (under a quarter of a full segment) become one by the same writing, edit and
 * swap as sealing. A run is taken only if its largest is no more than half of it: so each time a
 * row is written anew its segment has at least doubled, and frequent CHECKPOINTs with few rows cost
 * a logarithm, not a square. A segment whose indexes are of an older definition is written anew
 * alone.
 *
 * Retention goes by the table's own event times: a segment all of whose rows are older than the
 * greatest sealed event time less the retention goes whole. The wall clock ages nothing, so a
 * stopped source or a restored copy keeps what it has; it only bounds what counts as greatest. */
#include "storage/table/private.h"

#include "storage/base/clock.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"

#include <assert.h>

/* What is merged has no more bytes in all: a page takes 4 GiB at most. */
#define MERGED_BYTES_MAX (UINT64_C(2) << 30)
#define MERGED_BYTES_MIN (UINT64_C(64) << 20)
#define MEMORY_SHARE 8 /* of the memory of rows, for what merging holds of each of them */

struct merge_limits {
    uint64_t rows, bytes; /* of all inputs */
};

/* As large as a segment that was sealed from memory, and no larger than memory is for. */
static struct merge_limits limits_of(const struct store *store)
{
    uint64_t memory = store->budget.limit, rows = memory / MEMORY_SHARE / SEAL_ROW_MEMORY;
    uint64_t bytes = memory / 4 < MERGED_BYTES_MIN ? MERGED_BYTES_MIN : memory / 4;
    return (struct merge_limits){.rows = rows < store->applier.seal_rows ? rows
                                                                         : store->applier.seal_rows,
                                 .bytes = bytes < MERGED_BYTES_MAX ? bytes : MERGED_BYTES_MAX};
}

static bool is_small(const struct merge_limits *limits, const struct segment_entry *entry)
{
    return entry->sealed != NULL && !sealed_is_unreadable(entry->sealed) &&
           sealed_info(entry->sealed)->row_count < limits->rows / 4 &&
           sealed_info(entry->sealed)->bytes < limits->bytes / 4;
}

/* Small neighbours from `begin` on that may become one; 0: none. */
static uint32_t run_at(const struct store *store, const struct segment_list *closed, uint32_t begin)
{
    const struct merge_limits limits = limits_of(store);
    uint64_t total = 0, largest = 0, bytes = 0;
    uint32_t end = begin;
    while (end < closed->count && is_small(&limits, &closed->entries[end])) {
        uint64_t rows = sealed_info(closed->entries[end].sealed)->row_count;
        bytes += sealed_info(closed->entries[end].sealed)->bytes;
        if (total + rows > limits.rows || bytes > limits.bytes)
            break;
        total += rows;
        largest = rows > largest ? rows : largest;
        end++;
    }
    bool is_worth = end - begin >= store->options.merge_segments_min && 2 * largest <= total;
    return is_worth ? end - begin : 0;
}

static bool is_outdated(const struct segment_entry *entry, const struct schema *schema)
{
    return entry->sealed != NULL && !sealed_is_unreadable(entry->sealed) &&
           sealed_info(entry->sealed)->index_version < schema->index_version;
}

static struct segment_list *choose_run(const struct store *store, const struct table_view *view)
{
    const struct segment_list *closed = view->closed;
    for (uint32_t i = 0; closed != NULL && i < closed->count; i++) {
        uint32_t count = run_at(store, closed, i);
        if (count == 0 && is_outdated(&closed->entries[i], view->schema))
            count = 1;
        if (count != 0)
            return segment_list_create(&closed->entries[i], count);
    }
    return NULL;
}

/* Segments that cannot be read are set aside, or nothing would be merged any more, of no table:
 * they stay as they are, and queries that need them say what is wrong. What a bad sector holds
 * cannot be read while the rest can: so it is the failed attempts that count in the end. */
static bool has_unreadable(const struct segment_list *inputs)
{
    bool has = false;
    for (uint32_t i = 0; i < inputs->count; i++)
        has |= sealed_rewrite_failed(inputs->entries[i].sealed);
    return has;
}

enum err upkeep_merge(struct store *store, bool *did, struct error *error)
{
    struct catalog *catalog = store_catalog(store);
    struct segment_list *inputs = NULL;
    const struct schema *schema = NULL;
    for (uint32_t i = 0; i < catalog->table_count && inputs == NULL; i++) {
        schema = catalog->tables[i].schema;
        inputs = choose_run(store, &catalog->tables[i]);
    }
    enum err err = OK;
    *did = inputs != NULL;
    if (inputs != NULL) {
        store->upkeep.work = UPKEEP_MERGING;
        int64_t begin_us = clock_monotonic_us();
        for (uint32_t i = 0; i < inputs->count; i++)
            sealed_rewrite_begin(inputs->entries[i].sealed);
        err = upkeep_write(store, schema, inputs, error);
        if (err == OK) {
            metric_add(&metrics.merges, 1);
            latency_record(LATENCY_MERGE, clock_monotonic_us() - begin_us);
        } else if (has_unreadable(inputs)) {
            err = OK; /* told and counted; the next run is another */
        }
        segment_list_unref(inputs);
    }
    catalog_unref(catalog);
    return err;
}

/* --- retention --- */

/* Of the sealed rows: those in memory may be of a group that fails yet. */
static int64_t greatest_time(const struct segment_list *closed)
{
    int64_t greatest_us = INT64_MIN;
    for (uint32_t i = 0; i < closed->count; i++) {
        const struct sealed *sealed = closed->entries[i].sealed;
        if (sealed != NULL && sealed_info(sealed)->max_time_us > greatest_us &&
            sealed_info(sealed)->min_time_us <= sealed_info(sealed)->max_time_us)
            greatest_us = sealed_info(sealed)->max_time_us;
    }
    return greatest_us;
}

static bool is_past(const struct segment_entry *entry, int64_t limit_us)
{
    if (entry->sealed == NULL)
        return false;
    const struct sealed_info *info = sealed_info(entry->sealed);
    return info->min_time_us <= info->max_time_us && info->max_time_us < limit_us;
}

/* The segments of a table that are past its retention, each a list of one; NULL: none. */
static struct segment_list *choose_past(const struct table_view *view)
{
    int64_t retention_us = view->schema->options.retention_us;
    if (retention_us <= 0 || view->closed == NULL || view->schema->time_column < 0)
        return NULL;
    /* As for watermarks: an event dated ahead of time does not make the others old. */
    int64_t greatest_us = greatest_time(view->closed), now_us = clock_wall_us();
    int64_t limit_us;
    greatest_us = greatest_us > now_us ? now_us : greatest_us;
    if (greatest_us == INT64_MIN || __builtin_sub_overflow(greatest_us, retention_us, &limit_us))
        return NULL;
    for (uint32_t i = 0; i < view->closed->count; i++) {
        if (is_past(&view->closed->entries[i], limit_us))
            return segment_list_create(&view->closed->entries[i], 1);
    }
    return NULL;
}

enum err upkeep_retain(struct store *store, bool *did, struct error *error)
{
    struct snapshot *snapshot = snapshot_open(store);
    struct segment_list *past = NULL;
    uint32_t table_id = 0;
    for (size_t i = 0; i < snapshot_table_count(snapshot) && past == NULL; i++) {
        const struct table_view *view = snapshot_table(snapshot, i);
        table_id = view->schema->table_id;
        past = choose_past(view);
    }
    enum err err = OK;
    *did = past != NULL;
    if (past != NULL) {
        store->upkeep.work = UPKEEP_RETENTION;
        err = upkeep_remove(store, past, NULL, error);
        if (err == OK) {
            metric_add(&metrics.retained_rows, (int64_t)past->row_count);
            (void)upkeep_swap(store, table_id, past, NULL, 0);
        }
        segment_list_unref(past);
    }
    snapshot_close(snapshot);
    return err;
}
