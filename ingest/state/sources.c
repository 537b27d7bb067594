/* Watermarks: a state machine over records, so that replay ends where the running server was.
 *
 *                      sources_apply (its record)
 *              ┌──────────────────────────────────────┐
 *              v                                      │
 *   (new) ── live ── sources_tick (silent too long) ── idle
 *
 *   max_time         greatest event time of the source
 *   watermark        max(before, min(max_time, record's time) - lateness)
 *   complete_through max(before, least watermark of the live sources); unchanged while none is live
 *   late             a row at or before max(its source's watermark, complete_through) as they were
 * before its record
 *
 * So whatever complete_through promised, a row that breaks the promise is counted. Idleness is
 * declared by tick records and never inferred from a clock while records are applied: the same
 * records give the same state whatever the setting is at replay. Live sources stand in a heap by
 * watermark and all in a list by their last record, so a record costs O(log n) and a tick looks
 * only at those that fell silent: a table may have a million producers. */
#include "ingest/state/sources.h"

#include "storage/base/hash.h"

#include <assert.h>

void sources_init(struct sources *sources)
{
    *sources =
        (struct sources){.oldest = NO_SOURCE, .newest = NO_SOURCE, .complete_through_us = NO_TIME};
}

void sources_deinit(struct sources *sources)
{
    for (uint32_t i = 0; i < sources->count; i++)
        memory_free(sources->list[i].name);
    memory_free(sources->list);
    memory_free(sources->heap);
    index_deinit(&sources->index);
    sources_init(sources);
}

uint32_t sources_find(const struct sources *sources, struct slice name)
{
    uint32_t place;
    struct index_cursor cursor = index_begin(&sources->index, hash64(name.data, name.size));
    while (index_next(&sources->index, &cursor, &place))
        if (slice_equal(source_name(&sources->list[place]), name))
            return place;
    return NO_SOURCE;
}

uint32_t sources_get(struct sources *sources, struct slice name, enum source_kind kind)
{
    uint32_t place = sources_find(sources, name);
    if (place != NO_SOURCE)
        return place;
    if (sources->count == sources->capacity) {
        sources->capacity = sources->capacity == 0 ? 4 : sources->capacity * 2;
        sources->list = memory_realloc(sources->list, sources->capacity * sizeof(*sources->list));
        sources->heap = memory_realloc(sources->heap, sources->capacity * sizeof(*sources->heap));
    }
    place = sources->count++;
    struct source *source = &sources->list[place];
    *source = (struct source){
        .name = memory_alloc(name.size),
        .name_size = (uint32_t)name.size,
        .kind = (uint8_t)kind,
        .heap_place = NO_SOURCE,
        .older = NO_SOURCE,
        .newer = NO_SOURCE,
        .max_time_us = NO_TIME,
        .watermark_us = NO_TIME,
        .last_row_at_us = NO_TIME,
    };
    if (name.size > 0)
        memcpy(source->name, name.data, name.size);
    index_add(&sources->index, hash64(name.data, name.size), place);
    return place;
}

/* --- the heap of live sources --- */

static int64_t heap_key(const struct sources *sources, uint32_t at)
{
    return sources->list[sources->heap[at]].watermark_us;
}

static void heap_put(struct sources *sources, uint32_t at, uint32_t place)
{
    sources->heap[at] = place;
    sources->list[place].heap_place = at;
}

static void heap_sift(struct sources *sources, uint32_t at)
{
    uint32_t place = sources->heap[at];
    int64_t key = sources->list[place].watermark_us;
    while (at > 0 && heap_key(sources, (at - 1) / 2) > key) {
        heap_put(sources, at, sources->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= sources->heap_count)
            break;
        if (child + 1 < sources->heap_count &&
            heap_key(sources, child + 1) < heap_key(sources, child))
            child++;
        if (heap_key(sources, child) >= key)
            break;
        heap_put(sources, at, sources->heap[child]);
        at = child;
    }
    heap_put(sources, at, place);
}

static void heap_update(struct sources *sources, uint32_t place)
{
    struct source *source = &sources->list[place];
    if (source->heap_place == NO_SOURCE)
        heap_put(sources, sources->heap_count++, place);
    heap_sift(sources, source->heap_place);
}

static void heap_remove(struct sources *sources, uint32_t place)
{
    uint32_t at = sources->list[place].heap_place;
    if (at == NO_SOURCE)
        return;
    sources->list[place].heap_place = NO_SOURCE;
    uint32_t last = sources->heap[--sources->heap_count];
    if (last == place)
        return;
    heap_put(sources, at, last);
    heap_sift(sources, at);
}

/* --- the list by last record --- */

static void list_remove(struct sources *sources, uint32_t place)
{
    struct source *source = &sources->list[place];
    if (source->older != NO_SOURCE)
        sources->list[source->older].newer = source->newer;
    else if (sources->oldest == place)
        sources->oldest = source->newer;
    if (source->newer != NO_SOURCE)
        sources->list[source->newer].older = source->older;
    else if (sources->newest == place)
        sources->newest = source->older;
    source->older = source->newer = NO_SOURCE;
}

static void list_append(struct sources *sources, uint32_t place)
{
    struct source *source = &sources->list[place];
    source->older = sources->newest;
    source->newer = NO_SOURCE;
    if (sources->newest != NO_SOURCE)
        sources->list[sources->newest].newer = place;
    else
        sources->oldest = place;
    sources->newest = place;
}

/* --- records --- */

void sources_settle(struct sources *sources)
{
    if (sources->heap_count == 0)
        return;
    int64_t least = heap_key(sources, 0);
    if (least > sources->complete_through_us)
        sources->complete_through_us = least;
}

/* Greatest time and how many are at or before `promised`. */
static uint64_t scan_times(const struct column *times, size_t begin, size_t end, int64_t promised,
                           int64_t *max)
{
    uint64_t late = 0;
    for (size_t i = begin; i < end; i++) {
        if (column_is_null(times, i))
            continue;
        int64_t time = times->i[column_index(times, i)];
        *max = time > *max ? time : *max;
        late += promised != NO_TIME && time <= promised;
    }
    return late;
}

int64_t sources_promise(const struct sources *sources, uint32_t place)
{
    assert(place < sources->count);
    int64_t watermark = sources->list[place].watermark_us;
    return watermark > sources->complete_through_us ? watermark : sources->complete_through_us;
}

uint64_t sources_apply(struct sources *sources, uint32_t place, int64_t at_us, int64_t lateness_us,
                       int64_t promised, const struct column *times, size_t begin, size_t end)
{
    assert(place < sources->count);
    struct source *source = &sources->list[place];
    uint64_t late = 0;
    if (times != NULL)
        late = scan_times(times, begin, end, promised, &source->max_time_us);
    source->late_rows += late;
    sources->late_rows += late;
    list_remove(sources, place);
    list_append(sources, place);
    if (at_us > source->last_row_at_us)
        source->last_row_at_us = at_us;
    source->is_idle = false;
    if (source->max_time_us != NO_TIME) {
        int64_t seen = source->max_time_us < at_us ? source->max_time_us : at_us;
        int64_t watermark;
        if (!__builtin_sub_overflow(seen, lateness_us, &watermark) &&
            watermark > source->watermark_us)
            source->watermark_us = watermark;
        if (source->watermark_us != NO_TIME)
            heap_update(sources, place);
    }
    return late;
}

bool sources_would_tick(const struct sources *sources, int64_t now_us, int64_t idle_us)
{
    if (sources->heap_count == 0)
        return false;
    int64_t limit = now_us - idle_us;
    if (sources->list[sources->heap[0]].last_row_at_us >= limit)
        return false; /* the one that holds the table back is live */
    if (sources->list[sources->newest].last_row_at_us < limit)
        return false; /* all are silent: nothing moves */
    int64_t least = NO_TIME;
    for (uint32_t i = 0; i < sources->heap_count; i++) {
        const struct source *source = &sources->list[sources->heap[i]];
        if (source->last_row_at_us >= limit && (least == NO_TIME || source->watermark_us < least))
            least = source->watermark_us;
    }
    return least > sources->complete_through_us;
}

void sources_tick(struct sources *sources, int64_t at_us, int64_t idle_us)
{
    int64_t limit = at_us - idle_us;
    for (uint32_t place = sources->oldest; place != NO_SOURCE; place = sources->list[place].newer) {
        struct source *source = &sources->list[place];
        if (source->last_row_at_us >= limit)
            break;
        source->is_idle = true;
        heap_remove(sources, place);
    }
    sources_settle(sources);
}

/* --- bytes --- */

void sources_write(const struct sources *sources, struct writer *out)
{
    writer_i64(out, sources->complete_through_us);
    writer_u64(out, sources->late_rows);
    writer_u32(out, sources->count);
    for (uint32_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->list[i];
        writer_text(out, source_name(source));
        writer_u8(out, source->kind);
        writer_u8(out, source->is_idle ? 1 : 0);
        writer_i64(out, source->max_time_us);
        writer_i64(out, source->watermark_us);
        writer_i64(out, source->last_row_at_us);
        writer_u64(out, source->late_rows);
        for (size_t f = 0; f < FATE_COUNT; f++)
            writer_varint(out, source->counts[f]);
    }
    /* The list's order, oldest first. */
    uint32_t listed = 0;
    for (uint32_t place = sources->oldest; place != NO_SOURCE; place = sources->list[place].newer)
        listed++;
    writer_u32(out, listed);
    for (uint32_t place = sources->oldest; place != NO_SOURCE; place = sources->list[place].newer)
        writer_u32(out, place);
}

static bool read_source(struct sources *sources, struct reader *reader)
{
    struct slice name = reader_text(reader);
    uint8_t kind = reader_u8(reader);
    if (reader->failed || kind >= SOURCE_KIND_COUNT || sources_find(sources, name) != NO_SOURCE)
        return false;
    uint32_t place = sources_get(sources, name, (enum source_kind)kind); /* may move the list */
    struct source *source = &sources->list[place];
    source->is_idle = reader_u8(reader) != 0;
    source->max_time_us = reader_i64(reader);
    source->watermark_us = reader_i64(reader);
    source->last_row_at_us = reader_i64(reader);
    source->late_rows = reader_u64(reader);
    for (size_t f = 0; f < FATE_COUNT; f++)
        source->counts[f] = reader_varint(reader);
    return !reader->failed;
}

bool sources_read(struct sources *sources, struct reader *reader)
{
    sources->complete_through_us = reader_i64(reader);
    sources->late_rows = reader_u64(reader);
    uint32_t count = reader_u32(reader);
    for (uint32_t i = 0; i < count; i++)
        if (!read_source(sources, reader))
            return false;
    uint32_t listed = reader_u32(reader);
    for (uint32_t i = 0; i < listed; i++) {
        uint32_t place = reader_u32(reader);
        if (reader->failed || place >= sources->count || sources->list[place].older != NO_SOURCE ||
            sources->newest == place)
            return false;
        list_append(sources, place);
        struct source *source = &sources->list[place];
        if (!source->is_idle && source->watermark_us != NO_TIME)
            heap_update(sources, place);
    }
    return !reader->failed;
}
