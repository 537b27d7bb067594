/* The mutable segment.
 *
 *   segment ── pages[ ] ── chunk 0   256 rows   ts [int64 …]  country [u16 codes …]  message
 * [slices …] ├─── chunk 1   512 rows                     │                     │ └─── chunk 2  1024
 * rows                dictionary              heap blocks
 *
 * Rows go into chunks of fixed capacity: the first as small as CHUNK_BYTES_FIRST, each full one
 * followed by one twice as large, up to 64 Ki rows. A chunk has its own list of columns (by id),
 * and per column its own form, chosen when the chunk begins and never changed: a new definition or
 * a dictionary that gives up ends the chunk early and the next one starts under the new choice.
 * Chunk pointers lie in pages that are never moved.
 *
 * Appending a batch has two steps. Prepare: per text column, map the batch's local dictionary to
 * the segment's codes (one hash per distinct text), or copy its texts to the heap; here a
 * dictionary may give up, before any row is written. Write: copy ranges of the batch into chunk
 * after chunk. A dictionary gives up when its 65,536 codes are taken, or when from 4,096 rows on so
 * few texts repeat that they will be; the column then stays plain until the segment is replaced.
 *
 * Readers hold a published (rows, chunks). They never look at a chunk or a row past it, so the
 * writer shares no memory location with them but the atomics of struct chunk, which are ordered so
 * that a stale or a newer value is both right: see first_null there. Left out on purpose: shards,
 * and giving the bytes of rolled back rows back (they go with the segment; a rollback means a
 * failed disk). */
#include "storage/segment/mutable.h"

#include "storage/base/fault.h"

#include <assert.h>

#define PAGE_CHUNKS 512
#define PAGES_MAX 512
#define TRIAL_ROWS 4096                       /* before a dictionary is judged */
#define FEW_ROWS (DICTIONARY_ENTRIES_MAX / 2) /* so many draws are few against its codes */
#define CAPACITY_MIN 4
#define MAP_ROWS 256
#define TEXT_STEP ((size_t)32 << 10)

struct column_state { /* of a column id, for the segment's life */
    uint32_t column_id;
    struct dictionary *dictionary; /* NULL: never had one */
    bool is_plain;
    uint64_t rows_seen;
};

struct segment {
    _Atomic uint32_t references;
    struct pool *pool;
    uint64_t id;
    struct heap heap;    /* texts of plain columns */
    struct heap entries; /* of dictionaries: close together, since look-ups go all over them */
    struct chunk **pages[PAGES_MAX];
    _Atomic size_t bytes; /* relaxed: a figure for people and limits */
    /* writer only */
    uint64_t rows;
    uint32_t chunk_count;
    uint32_t chunk_used;    /* rows in the newest chunk */
    bool is_open;           /* the newest chunk takes rows */
    uint32_t capacity_next; /* 0: not known yet */
    size_t chunk_bytes;
    bool is_bound;
    uint32_t bound_version; /* schema version the newest chunk and `bound` belong to */
    uint32_t bound_count;
    uint32_t *bound; /* per schema column: index into states */
    uint32_t state_count, state_capacity;
    struct column_state *states;
    struct arena scratch; /* of one append */
};

/* How one column of the batch goes in. */
struct job {
    const struct column_definition *definition;
    struct column_state *state;         /* text that may have a dictionary, else NULL */
    const struct stored_column *source; /* NULL: the column's `missing` value, in `missing` */
    struct stored_column missing;
    uint8_t missing_value[16];
    uint32_t missing_size;
    const uint16_t *entry_codes; /* codes form, dictionary source: per entry */
    const uint16_t *row_codes;   /* codes form, flat source: per row */
    const struct slice *entries; /* plain form, dictionary source: per entry, in the heap */
    const char *text_next;       /* plain form, flat source: bytes of the next row */
};

/* --- life --- */

struct segment *segment_create(struct pool *pool)
{
    struct segment *segment = memory_alloc_zero(sizeof(*segment));
    atomic_init(&segment->references, 1);
    segment->pool = pool;
    segment->id = pool_next_id(pool);
    heap_init(&segment->heap, pool);
    heap_init(&segment->entries, pool);
    arena_init(&segment->scratch);
    return segment;
}

uint64_t segment_id(const struct segment *segment)
{
    return segment->id;
}

static struct chunk *chunk_at(const struct segment *segment, uint32_t index)
{
    return segment->pages[index / PAGE_CHUNKS][index % PAGE_CHUNKS];
}

static void chunk_destroy(struct segment *segment, struct chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->column_count; i++) {
        struct chunk_column *column = &chunk->columns[i];
        segment->chunk_bytes -= column->validity_taken;
        uint8_t *validity = atomic_load_explicit(&column->validity, memory_order_relaxed);
        if (validity != NULL)
            pool_give(segment->pool, validity, column->validity_taken);
    }
    segment->chunk_bytes -= chunk->block_taken;
    if (chunk->block != NULL)
        pool_give(segment->pool, chunk->block, chunk->block_taken);
    memory_free(chunk);
}

static void segment_destroy(struct segment *segment)
{
    for (uint32_t i = 0; i < segment->chunk_count; i++)
        chunk_destroy(segment, chunk_at(segment, i));
    for (uint32_t i = 0; i < PAGES_MAX && segment->pages[i] != NULL; i++)
        memory_free(segment->pages[i]);
    for (uint32_t i = 0; i < segment->state_count; i++) {
        if (segment->states[i].dictionary != NULL)
            dictionary_destroy(segment->states[i].dictionary);
    }
    heap_deinit(&segment->entries);
    heap_deinit(&segment->heap);
    arena_deinit(&segment->scratch);
    memory_free(segment->states);
    memory_free(segment->bound);
    memory_free(segment);
}

struct segment *segment_ref(struct segment *segment)
{
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

void segment_unref(struct segment *segment)
{
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        segment_destroy(segment);
}

/* --- binding a definition --- */

static bool wants_dictionary(struct type type)
{
    return type.id == TYPE_TEXT || type.id == TYPE_VARCHAR;
}

static uint32_t state_of(struct segment *segment, uint32_t column_id)
{
    for (uint32_t i = 0; i < segment->state_count; i++) {
        if (segment->states[i].column_id == column_id)
            return i;
    }
    if (segment->state_count == segment->state_capacity) {
        segment->state_capacity = segment->state_capacity == 0 ? 16 : segment->state_capacity * 2;
        segment->states =
            memory_realloc(segment->states, segment->state_capacity * sizeof(*segment->states));
    }
    segment->states[segment->state_count] = (struct column_state){.column_id = column_id};
    return segment->state_count++;
}

static void bind(struct segment *segment, const struct schema *schema)
{
    if (segment->is_bound && segment->bound_version == schema->version)
        return;
    segment->is_open = false;
    segment->is_bound = true;
    segment->bound_version = schema->version;
    segment->bound_count = schema->column_count;
    segment->bound = memory_realloc(segment->bound, schema->column_count * sizeof(*segment->bound));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        segment->bound[i] = state_of(segment, schema->columns[i].id);
        struct column_state *state = &segment->states[segment->bound[i]];
        if (wants_dictionary(schema->columns[i].type) && state->dictionary == NULL)
            state->dictionary = dictionary_create(&segment->entries);
    }
}

/* --- chunks --- */

static enum chunk_form form_of(const struct segment *segment, const struct schema *schema,
                               uint32_t index)
{
    const struct column_state *state = &segment->states[segment->bound[index]];
    if (type_stored_width(schema->columns[index].type.id) != 0)
        return CHUNK_FIXED;
    return state->dictionary != NULL && !state->is_plain ? CHUNK_CODES : CHUNK_TEXT;
}

static uint32_t width_of(enum chunk_form form, struct type type)
{
    switch (form) {
    case CHUNK_CODES:
        return sizeof(uint16_t);
    case CHUNK_TEXT:
        return sizeof(struct slice);
    default:
        return (uint32_t)type_stored_width(type.id);
    }
}

static uint32_t capacity_first(size_t row_width)
{
    uint32_t capacity = CAPACITY_MIN;
    while (capacity < CHUNK_ROWS_MAX && 2 * capacity * row_width <= CHUNK_BYTES_FIRST)
        capacity *= 2;
    return capacity;
}

/* Memory of the values: one block. */
static void chunk_alloc(struct segment *segment, struct chunk *chunk)
{
    size_t total = 0;
    for (uint32_t i = 0; i < chunk->column_count; i++)
        total += ((size_t)chunk->columns[i].width * chunk->capacity + 15) & ~(size_t)15;
    chunk->block = pool_take(segment->pool, total, &chunk->block_taken);
    segment->chunk_bytes += chunk->block_taken;
    char *next = chunk->block;
    for (uint32_t i = 0; i < chunk->column_count; i++) {
        chunk->columns[i].values = next;
        next += ((size_t)chunk->columns[i].width * chunk->capacity + 15) & ~(size_t)15;
    }
}

static void chunk_begin(struct segment *segment, const struct schema *schema)
{
    struct chunk *chunk =
        memory_alloc_zero(sizeof(*chunk) + schema->column_count * sizeof(chunk->columns[0]));
    chunk->first_row = segment->rows;
    chunk->column_count = schema->column_count;
    chunk->time_column_id = schema->time_column >= 0 ? schema->columns[schema->time_column].id : 0;
    atomic_init(&chunk->min_time_us, INT64_MAX);
    atomic_init(&chunk->max_time_us, INT64_MIN);
    size_t row_width = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct chunk_column *column = &chunk->columns[i];
        column->column_id = schema->columns[i].id;
        column->type = schema->columns[i].type;
        column->form = form_of(segment, schema, i);
        column->width = width_of(column->form, column->type);
        if (column->form == CHUNK_CODES)
            column->dictionary = segment->states[segment->bound[i]].dictionary;
        atomic_init(&column->first_null, UINT32_MAX);
        row_width += column->width;
    }
    if (segment->capacity_next == 0)
        segment->capacity_next = capacity_first(row_width);
    chunk->capacity = segment->capacity_next;
    chunk_alloc(segment, chunk);

    uint32_t page = segment->chunk_count / PAGE_CHUNKS;
    assert(page < PAGES_MAX);
    if (segment->pages[page] == NULL)
        segment->pages[page] = memory_alloc_zero(PAGE_CHUNKS * sizeof(struct chunk *));
    segment->pages[page][segment->chunk_count % PAGE_CHUNKS] = chunk;
    segment->chunk_count++;
    segment->chunk_used = 0;
    segment->is_open = true;
}

/* --- preparing a batch --- */

/* `missing` as a constant source. */
static void prepare_missing(struct job *job)
{
    const struct value *missing = &job->definition->missing;
    struct stored_column *source = &job->missing;
    *source = (struct stored_column){.column_id = job->definition->id,
                                     .type = job->definition->type,
                                     .encoding = STORED_CONSTANT,
                                     .validity = STORED_NULL};
    job->source = source;
    if (missing->is_null)
        return;
    source->validity = STORED_VALID;
    if (type_stored_width(source->type.id) == 0) {
        source->encoding = STORED_DICTIONARY;
        source->entry_count = 1;
        job->missing_size = (uint32_t)missing->text.size;
        source->sizes = &job->missing_size;
        source->bytes = missing->text;
        return;
    }
    stored_narrow_value(missing, source->type, job->missing_value);
    source->values = job->missing_value;
}

/* The batch's column of this id, looked for from where the last one was found. */
static const struct stored_column *source_of(const struct stored_rows *rows,
                                             const struct column_definition *definition,
                                             uint32_t *hint)
{
    for (uint32_t n = 0; n < rows->column_count; n++) {
        uint32_t i = *hint + n < rows->column_count ? *hint + n : *hint + n - rows->column_count;
        const struct stored_column *column = &rows->columns[i];
        if (column->column_id != definition->id)
            continue;
        *hint = i + 1 < rows->column_count ? i + 1 : 0;
        /* Same stored form, or the bytes are not what the definition says. */
        bool is_same =
            type_stored_width(column->type.id) == type_stored_width(definition->type.id) &&
            type_physical(column->type.id) == type_physical(definition->type.id);
        return is_same ? column : NULL;
    }
    return NULL;
}

/* Whether `rows` texts, of which `distinct` differ, come from more than a dictionary has codes for.
 * Of K equally likely texts, n draws repeat about n * n / 2K times, so few repeats mean a large K,
 * long before the codes run out. That holds for few draws; with more a quarter repeats, or soon the
 * codes are used up anyway. */
static bool is_not_paying(uint64_t rows, uint64_t distinct)
{
    if (rows > FEW_ROWS)
        return distinct > rows / 4 * 3;
    return rows >= TRIAL_ROWS && (rows - distinct) * 2 * DICTIONARY_ENTRIES_MAX < rows * rows;
}

static bool has_given_up(const struct column_state *state)
{
    uint32_t distinct = dictionary_size(state->dictionary);
    /* Entries of rows that were rolled back count too: never more of them than rows. */
    return is_not_paying(state->rows_seen,
                         distinct < state->rows_seen ? distinct : state->rows_seen);
}

/* Codes of the entries of a dictionary source. False: give up. */
static bool map_entries(struct segment *segment, struct job *job, uint32_t row_count)
{
    const struct stored_column *source = job->source;
    struct dictionary *dictionary = job->state->dictionary;
    job->state->rows_seen += row_count;
    if (is_not_paying(row_count, source->entry_count < row_count ? source->entry_count : row_count))
        return false;
    uint16_t *codes = arena_alloc_array(&segment->scratch, source->entry_count, sizeof(*codes));
    struct slice *entries =
        arena_alloc_array(&segment->scratch, source->entry_count, sizeof(*entries));
    const char *bytes = source->bytes.data;
    for (uint32_t i = 0; i < source->entry_count; i++) {
        entries[i] = slice_of(bytes, source->sizes[i]);
        bytes += source->sizes[i];
    }
    if (!dictionary_codes(dictionary, entries, source->entry_count, bytes, codes))
        return false;
    job->entry_codes = codes;
    return !has_given_up(job->state);
}

/* Codes of the rows of a flat source. False: give up. */
static bool map_rows(struct segment *segment, struct job *job, uint32_t row_count)
{
    const struct stored_column *source = job->source;
    struct dictionary *dictionary = job->state->dictionary;
    uint16_t *codes = arena_alloc_array(&segment->scratch, row_count, sizeof(*codes));
    const char *bytes = source->bytes.data, *last = bytes + source->bytes.size;
    for (uint32_t first = 0; first < row_count; first += MAP_ROWS) {
        struct slice texts[MAP_ROWS];
        uint16_t found[MAP_ROWS];
        uint32_t end = row_count - first < MAP_ROWS ? row_count : first + MAP_ROWS, count = 0;
        for (uint32_t i = first; i < end; i++) {
            texts[count] = slice_of(bytes, source->sizes[i]);
            bytes += source->sizes[i];
            count += stored_is_null(source, i) ? 0 : 1;
        }
        if (!dictionary_codes(dictionary, texts, count, last, found))
            return false;
        count = 0;
        for (uint32_t i = first; i < end; i++)
            codes[i] = stored_is_null(source, i) ? 0 : found[count++];
        job->state->rows_seen += count;
        if (end % TRIAL_ROWS == 0 && has_given_up(job->state))
            return false;
    }
    job->row_codes = codes;
    return !has_given_up(job->state);
}

/* Texts of a dictionary source, copied to the heap once each. */
static void copy_entries(struct segment *segment, struct job *job)
{
    const struct stored_column *source = job->source;
    struct slice *entries =
        arena_alloc_array(&segment->scratch, source->entry_count, sizeof(*entries));
    char *bytes = heap_take(&segment->heap, source->bytes.size);
    if (source->bytes.size != 0)
        memcpy(bytes, source->bytes.data, source->bytes.size);
    for (uint32_t i = 0; i < source->entry_count; i++) {
        entries[i] = slice_of(bytes, source->sizes[i]);
        bytes += source->sizes[i];
    }
    job->entries = entries;
}

static void prepare_text(struct segment *segment, struct job *job, uint32_t row_count)
{
    const struct stored_column *source = job->source;
    if (source->validity == STORED_NULL)
        return;
    if (job->state != NULL) {
        bool is_mapped = source->encoding == STORED_DICTIONARY
                             ? map_entries(segment, job, row_count)
                             : map_rows(segment, job, row_count);
        if (is_mapped)
            return;
        /* Gives up: the column is plain from the next chunk on, and that begins with this batch. */
        job->state->is_plain = true;
        segment->is_open = false;
    }
    if (source->encoding == STORED_DICTIONARY)
        copy_entries(segment, job);
    else
        job->text_next = source->bytes.data;
}

static struct job *prepare(struct segment *segment, const struct schema *schema,
                           const struct stored_rows *rows)
{
    struct job *jobs = arena_alloc_zero(&segment->scratch, schema->column_count * sizeof(*jobs));
    uint32_t hint = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct job *job = &jobs[i];
        job->definition = &schema->columns[i];
        job->source = source_of(rows, job->definition, &hint);
        if (job->source == NULL)
            prepare_missing(job);
        if (type_stored_width(job->definition->type.id) != 0)
            continue;
        struct column_state *state = &segment->states[segment->bound[i]];
        job->state = state->dictionary != NULL && !state->is_plain ? state : NULL;
        prepare_text(segment, job, rows->row_count);
    }
    return jobs;
}

/* --- writing ranges --- */

/* `count` rows of the batch from `row` on, into the chunk from `at` on. */
struct range {
    uint32_t row, at, count;
};

static void write_fixed(const struct stored_column *source, struct chunk_column *column,
                        struct range range)
{
    size_t width = column->width;
    char *out = (char *)column->values + range.at * width;
    if (source->validity == STORED_NULL) {
        memset(out, 0, range.count * width);
    } else if (source->encoding == STORED_CONSTANT) {
        for (uint32_t i = 0; i < range.count; i++)
            memcpy(out + i * width, source->values, width);
    } else {
        memcpy(out, (const char *)source->values + range.row * width, range.count * width);
    }
    if (column->type.id == TYPE_BOOL) { /* readers borrow the bytes: 0 and 1 only */
        for (uint32_t i = 0; i < range.count; i++)
            out[i] = out[i] != 0;
    }
}

static void write_codes(const struct job *job, struct chunk_column *column, struct range range)
{
    const struct stored_column *source = job->source;
    uint16_t *out = (uint16_t *)column->values + range.at;
    if (source->validity == STORED_NULL) {
        memset(out, 0, range.count * sizeof(*out));
    } else if (job->row_codes != NULL) {
        memcpy(out, job->row_codes + range.row, range.count * sizeof(*out));
    } else if (source->code_width == 1) {
        const uint8_t *codes = (const uint8_t *)source->codes + range.row;
        for (uint32_t i = 0; i < range.count; i++)
            out[i] = job->entry_codes[codes[i]];
    } else if (source->code_width == 2) {
        const uint16_t *codes = (const uint16_t *)source->codes + range.row;
        for (uint32_t i = 0; i < range.count; i++)
            out[i] = job->entry_codes[codes[i]];
    } else {
        for (uint32_t i = 0; i < range.count; i++)
            out[i] = job->entry_codes[stored_code(source, range.row + i)];
    }
}

/* Flat texts: as many rows at a time as lie in one piece of the heap, and no more than the near
 * cache holds: fresh memory comes with zeros that are there still when the texts go over them. */
static void write_flat_text(struct segment *segment, struct job *job, struct slice *out,
                            struct range range)
{
    const uint32_t *sizes = job->source->sizes + range.row;
    uint32_t i = 0;
    while (i < range.count) {
        /* What fits into the rest of the block, or if nothing does, some of what is left. */
        size_t fit = 0;
        uint32_t end = i;
        while (end < range.count && fit < TEXT_STEP && fit + sizes[end] <= segment->heap.left)
            fit += sizes[end++];
        if (end == i) {
            for (; end < range.count && fit < TEXT_STEP; end++)
                fit += sizes[end];
        }
        char *bytes = heap_take(&segment->heap, fit);
        if (fit != 0)
            memcpy(bytes, job->text_next, fit);
        job->text_next += fit;
        for (; i < end; i++) {
            out[i] = slice_of(bytes, sizes[i]);
            bytes += sizes[i];
        }
    }
}

static void write_text(struct segment *segment, struct job *job, struct chunk_column *column,
                       struct range range)
{
    struct slice *out = (struct slice *)column->values + range.at;
    if (job->source->validity == STORED_NULL) {
        memset(out, 0, range.count * sizeof(*out));
    } else if (job->entries != NULL) {
        for (uint32_t i = 0; i < range.count; i++)
            out[i] = job->entries[stored_code(job->source, range.row + i)];
    } else {
        write_flat_text(segment, job, out, range);
    }
}

/* The first NULL of the range, or its count. */
static uint32_t find_null(const struct stored_column *source, struct range range)
{
    if (source->validity == STORED_VALID)
        return range.count;
    uint32_t i = 0;
    while (i < range.count && !stored_is_null(source, range.row + i))
        i++;
    return i;
}

static void write_validity(struct segment *segment, const struct chunk *chunk,
                           const struct stored_column *source, struct chunk_column *column,
                           struct range range)
{
    uint32_t first_null = atomic_load_explicit(&column->first_null, memory_order_relaxed);
    uint8_t *validity = atomic_load_explicit(&column->validity, memory_order_relaxed);
    bool is_first = first_null == UINT32_MAX;
    if (is_first) {
        uint32_t null = find_null(source, range);
        if (null == range.count)
            return;
        if (validity == NULL) {
            validity = pool_take(segment->pool, chunk->capacity, &column->validity_taken);
            segment->chunk_bytes += column->validity_taken;
            atomic_store_explicit(&column->validity, validity, memory_order_release);
        }
        first_null = range.at + null;
        memset(validity, 1, range.at);
    }
    uint8_t *out = validity + range.at;
    if (source->validity == STORED_BITMAP)
        stored_expand_bitmap(source->bitmap, range.row, range.count, out);
    else
        memset(out, source->validity == STORED_NULL ? 0 : 1, range.count);
    if (is_first)
        atomic_store_explicit(&column->first_null, first_null, memory_order_release);
}

static void note_times(struct chunk *chunk, const struct chunk_column *column, struct range range)
{
    const int64_t *times = (const int64_t *)column->values + range.at;
    uint32_t first_null = atomic_load_explicit(&column->first_null, memory_order_relaxed);
    const uint8_t *validity = NULL;
    if (first_null < range.at + range.count)
        validity = atomic_load_explicit(&column->validity, memory_order_relaxed) + range.at;
    int64_t min = atomic_load_explicit(&chunk->min_time_us, memory_order_relaxed);
    int64_t max = atomic_load_explicit(&chunk->max_time_us, memory_order_relaxed);
    for (uint32_t i = 0; i < range.count; i++) {
        if (validity != NULL && validity[i] == 0)
            continue;
        min = times[i] < min ? times[i] : min;
        max = times[i] > max ? times[i] : max;
    }
    atomic_store_explicit(&chunk->min_time_us, min, memory_order_relaxed);
    atomic_store_explicit(&chunk->max_time_us, max, memory_order_relaxed);
}

static void write_range(struct segment *segment, struct job *jobs, struct range range)
{
    struct chunk *chunk = chunk_at(segment, segment->chunk_count - 1);
    for (uint32_t i = 0; i < chunk->column_count; i++) {
        struct chunk_column *column = &chunk->columns[i];
        if (column->form == CHUNK_FIXED)
            write_fixed(jobs[i].source, column, range);
        else if (column->form == CHUNK_CODES)
            write_codes(&jobs[i], column, range);
        else
            write_text(segment, &jobs[i], column, range);
        write_validity(segment, chunk, jobs[i].source, column, range);
        if (column->column_id == chunk->time_column_id)
            note_times(chunk, column, range);
    }
}

static void note_bytes(struct segment *segment)
{
    size_t bytes = segment->heap.total + segment->entries.total + segment->chunk_bytes;
    for (uint32_t i = 0; i < segment->state_count; i++) {
        if (segment->states[i].dictionary != NULL)
            bytes += dictionary_bytes(segment->states[i].dictionary);
    }
    atomic_store_explicit(&segment->bytes, bytes, memory_order_relaxed);
}

/* --- the writer's calls --- */

void segment_append(struct segment *segment, const struct schema *schema,
                    const struct stored_rows *rows)
{
    bind(segment, schema);
    arena_reset(&segment->scratch);
    struct job *jobs = prepare(segment, schema, rows);
    for (uint32_t row = 0; row < rows->row_count;) {
        bool is_full = segment->is_open &&
                       segment->chunk_used == chunk_at(segment, segment->chunk_count - 1)->capacity;
        if (is_full && segment->capacity_next < CHUNK_ROWS_MAX)
            segment->capacity_next *= 2;
        if (is_full || !segment->is_open)
            chunk_begin(segment, schema);
        const struct chunk *chunk = chunk_at(segment, segment->chunk_count - 1);
        uint32_t room = chunk->capacity - segment->chunk_used;
        uint32_t left = rows->row_count - row;
        struct range range = {
            .row = row, .at = segment->chunk_used, .count = left < room ? left : room};
        write_range(segment, jobs, range);
        segment->chunk_used += range.count;
        segment->rows += range.count;
        row += range.count;
    }
    note_bytes(segment);
}

uint64_t segment_rows(const struct segment *segment)
{
    return segment->rows;
}

uint32_t segment_chunk_count(const struct segment *segment)
{
    return segment->chunk_count;
}

void segment_rollback(struct segment *segment, uint64_t rows, uint32_t chunk_count)
{
    assert(rows <= segment->rows);
    assert(chunk_count <= segment->chunk_count);
    if (rows == segment->rows && chunk_count == segment->chunk_count)
        return;
    bool is_kept = fault_is("store.no_rollback");
    while (segment->chunk_count > chunk_count && !is_kept)
        chunk_destroy(segment, chunk_at(segment, --segment->chunk_count));
    segment->rows = is_kept ? segment->rows : rows;
    /* The next append begins a chunk under whatever definition then holds: what a half-written one
     * had taken of validity and times needs no undoing that way. */
    segment->is_open = false;
    segment->is_bound = false;
    note_bytes(segment);
}

/* --- readers --- */

const struct chunk *segment_chunk(const struct segment *segment, uint32_t index)
{
    return chunk_at(segment, index);
}

size_t segment_bytes(const struct segment *segment)
{
    return atomic_load_explicit(&segment->bytes, memory_order_relaxed);
}
