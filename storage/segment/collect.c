/* One column of a view, all rows at once.
 *
 * A cursor gives vectors; their values go behind each other, or each run of rows to its place in
 * the file (order.c finds runs). Texts are first taken as codes: the
 * codes of a vector's dictionary are mapped once per dictionary entry, flat texts are hashed one by
 * one. As soon as there are too many different texts (more than a dictionary holds, or so many
 * against the rows that it would not pay) the column goes on as slices. Texts that the cursor lends
 * only until its next call (sealed ones without dictionary) are copied. */
#include "storage/segment/collect.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/column/stored.h"
#include "storage/segment/cursor.h"

#include <assert.h>
#include <stdlib.h>

#define PAUSE_ROWS 16384
#define PAUSE_BYTES ((uint64_t)256 << 10)    /* of texts */
#define ENTRY_BYTES_MAX ((uint64_t)64 << 20) /* of a dictionary */
#define TRIAL_ROWS 8192                      /* before a dictionary is judged */
#define UNMAPPED UINT32_MAX

/* Different texts, found by hash. */
struct texts {
    struct slice *entries;
    uint32_t count, capacity;
    uint32_t hashed; /* so many of them, the first, are in `slots` */
    uint64_t bytes;
    uint32_t *slots; /* entry + 1; 0: empty */
    uint32_t *tags;
    uint32_t slot_mask;
};

/* What a code of one source dictionary is; most columns have one dictionary per input segment. The
 * size stands beside the entry because texts of a large dictionary are all over memory. */
struct code_map {
    uint64_t dictionary_id;
    uint32_t count;
    struct mapped {
        uint32_t entry; /* of `texts`; UNMAPPED: not met */
        uint32_t size;
    } * codes;
};

struct collector {
    struct collected *out;
    const struct collect_options *options;
    struct type type;
    struct pauser *pauser;
    uint32_t at; /* rows done */
    bool is_text, is_dictionary, is_lent;
    bool is_single; /* all texts are of one dictionary, which has none twice */
    struct texts texts;
    struct code_map map;              /* of the last dictionary seen */
    struct slice *rows;               /* texts as slices, once the dictionary was given up */
    const struct row_run *runs, *run; /* all; the one that `at` is in */
};

/* What of a vector goes to one place. */
struct part {
    const struct column *column;
    uint32_t begin, count; /* of the vector */
    uint32_t to;           /* the first row's place */
};

/* --- different texts --- */

static void texts_grow(struct texts *texts)
{
    uint32_t slot_count = texts->slot_mask == 0 ? 1024 : (texts->slot_mask + 1) * 2;
    uint32_t *slots = memory_alloc_zero(slot_count * sizeof(*slots));
    uint32_t *tags = memory_alloc(slot_count * sizeof(*tags));
    for (uint32_t i = 0; texts->slot_mask != 0 && i <= texts->slot_mask; i++) {
        if (texts->slots[i] == 0)
            continue;
        uint32_t slot = texts->tags[i] & (slot_count - 1);
        while (slots[slot] != 0)
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = texts->slots[i];
        tags[slot] = texts->tags[i];
    }
    memory_free(texts->slots);
    memory_free(texts->tags);
    texts->slots = slots;
    texts->tags = tags;
    texts->slot_mask = slot_count - 1;
}

/* Where the text is, or the empty slot where it is to be. */
static uint32_t texts_slot(const struct texts *texts, struct slice text, uint32_t tag)
{
    uint32_t slot = tag & texts->slot_mask;
    while (texts->slots[slot] != 0) {
        uint32_t entry = texts->slots[slot] - 1;
        if (texts->tags[slot] == tag && slice_equal(texts->entries[entry], text))
            break;
        slot = (slot + 1) & texts->slot_mask;
    }
    return slot;
}

/* Without a look whether it is there. */
static uint32_t texts_add(struct texts *texts, struct slice text)
{
    if (texts->count == texts->capacity) {
        texts->capacity = texts->capacity == 0 ? 256 : texts->capacity * 2;
        texts->entries = memory_realloc(texts->entries, texts->capacity * sizeof(*texts->entries));
    }
    texts->entries[texts->count] = text;
    texts->bytes += text.size;
    return texts->count++;
}

/* What was added without a look. */
static void texts_hash_rest(struct texts *texts)
{
    for (; texts->hashed < texts->count; texts->hashed++) {
        struct slice text = texts->entries[texts->hashed];
        if (texts->hashed * 2 >= texts->slot_mask)
            texts_grow(texts);
        uint32_t tag = (uint32_t)hash64(text.data, text.size);
        uint32_t slot = texts_slot(texts, text, tag);
        assert(texts->slots[slot] == 0);
        texts->slots[slot] = texts->hashed + 1;
        texts->tags[slot] = tag;
    }
}

/* The entry of a text, added if it is new; `arena`: the text is copied there then. */
static uint32_t texts_find(struct texts *texts, struct slice text, struct arena *arena)
{
    if (texts->hashed < texts->count && !fault_is("collect.not_looked_for"))
        texts_hash_rest(texts);
    if (texts->count * 2 >= texts->slot_mask)
        texts_grow(texts);
    uint32_t tag = (uint32_t)hash64(text.data, text.size);
    uint32_t slot = texts_slot(texts, text, tag);
    if (texts->slots[slot] != 0)
        return texts->slots[slot] - 1;
    uint32_t entry = texts_add(texts, arena != NULL ? arena_copy(arena, text) : text);
    texts->slots[slot] = entry + 1;
    texts->tags[slot] = tag;
    texts->hashed = texts->count;
    return entry;
}

/* Few enough against the rows that codes and a dictionary are smaller than the texts. */
static bool is_paying(const struct collector *collector)
{
    uint32_t count = collector->texts.count;
    if (count > SEALED_ENTRIES_MAX || collector->texts.bytes > ENTRY_BYTES_MAX)
        return false;
    return collector->at < TRIAL_ROWS || count <= collector->at / 2;
}

/* From codes to slices, for good. */
static void give_up_dictionary(struct collector *collector)
{
    struct collected *out = collector->out;
    collector->is_dictionary = false;
    if (collector->options->can_gather) {
        out->is_left = true;
        return;
    }
    collector->rows = room_take(out->room, out->row_count * sizeof(*collector->rows));
    for (const struct row_run *run = collector->runs; run->begin < collector->at; run++) {
        uint32_t left = collector->at - run->begin;
        uint32_t end = run->to + (run->count < left ? run->count : left);
        for (uint32_t i = run->to; i < end; i++) {
            bool is_null = out->validity != NULL && out->validity[i] == 0;
            collector->rows[i] = is_null ? SLICE("") : collector->texts.entries[out->codes[i]];
        }
        if (left <= run->count)
            break;
    }
}

/* --- one vector --- */

static bool is_null_at(const struct part *part, uint32_t i)
{
    return column_is_null(part->column, part->begin + i);
}

static size_t index_at(const struct part *part, uint32_t i)
{
    return column_index(part->column, part->begin + i);
}

static struct slice text_at(const struct part *part, uint32_t i)
{
    return column_text(part->column, part->begin + i);
}

/* A byte for each row once there is one NULL. */
static void take_validity(struct collector *collector, const struct part *part)
{
    struct collected *out = collector->out;
    if (part->column->validity == NULL)
        return;
    if (out->validity == NULL) {
        out->validity = room_take(out->room, out->row_count);
        memset(out->validity, 1, out->row_count);
    }
    for (uint32_t i = 0; i < part->count; i++) {
        bool is_null = is_null_at(part, i);
        out->validity[part->to + i] = !is_null;
        out->null_count += is_null;
    }
}

static void take_integers(struct collector *collector, const struct part *part)
{
    const struct column *column = part->column;
    int64_t *to = collector->out->i + part->to;
    enum physical physical = type_physical(collector->type.id);
    if (column->form == COLUMN_FLAT && physical == PHYSICAL_INT) {
        memcpy(to, column->i + part->begin, part->count * sizeof(*to));
        return;
    }
    for (uint32_t i = 0; i < part->count; i++) {
        size_t at = index_at(part, i);
        if (is_null_at(part, i)) {
            to[i] = 0;
        } else if (physical == PHYSICAL_NUMERIC && column->n[at].kind == NUMERIC_FINITE &&
                   column->n[at].scale == collector->type.scale) { /* as it nearly always is */
            to[i] = (int64_t)column->n[at].digits;
        } else if (physical == PHYSICAL_INT) {
            to[i] = column->i[at];
        } else if (physical == PHYSICAL_BOOL) {
            to[i] = column->b[at];
        } else {
            struct value value = {.type = collector->type, .n = column->n[at]};
            stored_narrow_value(&value, collector->type, &to[i]);
        }
    }
}

static void take_floats(struct collector *collector, const struct part *part)
{
    double *to = collector->out->f + part->to;
    if (part->column->form == COLUMN_FLAT && part->column->validity == NULL) {
        memcpy(to, part->column->f + part->begin, part->count * sizeof(*to));
        return;
    }
    for (uint32_t i = 0; i < part->count; i++)
        to[i] = is_null_at(part, i) ? 0 : part->column->f[index_at(part, i)];
}

static void take_wide(struct collector *collector, const struct part *part)
{
    uint8_t *to = collector->out->wide + (size_t)part->to * 16;
    for (uint32_t i = 0; i < part->count; i++) {
        if (is_null_at(part, i)) {
            memset(to + i * 16, 0, 16);
            continue;
        }
        struct slice uuid = text_at(part, i);
        assert(uuid.size == 16);
        memcpy(to + i * 16, uuid.data, 16);
    }
}

/* The map of a vector's dictionary, grown to what it has by now. */
static struct code_map *map_of(struct collector *collector, const struct column *column)
{
    struct code_map *map = &collector->map;
    bool is_same = column->dictionary_id != 0 && map->dictionary_id == column->dictionary_id;
    uint32_t known = is_same ? map->count : 0;
    if (!is_same && (map->dictionary_id != 0 || column->dictionary_id == 0))
        collector->is_single = false;
    if (!is_same || column->dictionary_count > map->count) {
        map->codes =
            memory_realloc(map->codes, (column->dictionary_count + 1) * sizeof(*map->codes));
        for (uint32_t i = known; i < column->dictionary_count; i++)
            map->codes[i].entry = UNMAPPED;
        map->count = column->dictionary_count;
    }
    map->dictionary_id = column->dictionary_id;
    return map;
}

/* A code that is met for the first time. */
__attribute__((noinline)) static struct mapped take_entry(struct collector *collector,
                                                          struct slice text)
{
    uint32_t entry = collector->is_single ? texts_add(&collector->texts, text)
                                          : texts_find(&collector->texts, text, NULL);
    return (struct mapped){.entry = entry, .size = (uint32_t)text.size};
}

/* The loop stands twice: without NULLs it is a third of the work. */
__attribute__((always_inline)) static inline uint64_t
take_codes(struct collector *collector, const struct part *part, const uint8_t *validity)
{
    const struct column *column = part->column;
    const uint32_t *from = column->codes + part->begin;
    struct mapped *codes = map_of(collector, column)->codes;
    uint32_t *to = collector->out->codes + part->to;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < part->count; i++) {
        if (validity != NULL && validity[i] == 0) {
            to[i] = 0;
            continue;
        }
        struct mapped code = codes[from[i]];
        if (__builtin_expect(code.entry == UNMAPPED, 0))
            code = codes[from[i]] = take_entry(collector, column->dictionary[from[i]]);
        to[i] = code.entry;
        bytes += code.size;
    }
    return bytes;
}

static void take_coded(struct collector *collector, const struct part *part)
{
    const uint8_t *validity = part->column->validity;
    uint64_t bytes;
    if (validity == NULL)
        bytes = take_codes(collector, part, NULL);
    else
        bytes = take_codes(collector, part, validity + part->begin);
    collector->out->text_bytes += bytes;
}

static void take_flat_codes(struct collector *collector, const struct part *part)
{
    struct collected *out = collector->out;
    struct arena *arena = collector->is_lent ? &out->arena : NULL;
    collector->is_single = false;
    for (uint32_t i = 0; i < part->count; i++) {
        uint32_t code = 0;
        if (!is_null_at(part, i)) {
            struct slice text = text_at(part, i);
            code = texts_find(&collector->texts, text, arena);
            out->text_bytes += text.size;
        }
        out->codes[part->to + i] = code;
    }
}

static void take_slices(struct collector *collector, const struct part *part)
{
    struct collected *out = collector->out;
    bool is_copied = collector->is_lent && part->column->form == COLUMN_FLAT;
    for (uint32_t i = 0; i < part->count; i++) {
        struct slice text = is_null_at(part, i) ? SLICE("") : text_at(part, i);
        collector->rows[part->to + i] = is_copied ? arena_copy(&out->arena, text) : text;
        out->text_bytes += text.size;
    }
}

static void take_texts(struct collector *collector, const struct part *part)
{
    if (!collector->is_dictionary)
        take_slices(collector, part);
    else if (part->column->form == COLUMN_DICTIONARY)
        take_coded(collector, part);
    else
        take_flat_codes(collector, part);
}

static void take_part(struct collector *collector, const struct part *part)
{
    take_validity(collector, part);
    if (collector->is_text)
        take_texts(collector, part);
    else if (collector->out->class == BLOCK_INTEGER)
        take_integers(collector, part);
    else if (collector->out->class == BLOCK_FLOAT)
        take_floats(collector, part);
    else
        take_wide(collector, part);
}

/* The place of a vector's rows from `begin` on, as far as they go to one; they count as done. */
static struct part next_part(struct collector *collector, uint32_t begin, uint32_t count)
{
    const struct row_run *run = collector->run;
    uint32_t done = collector->at - run->begin, left = run->count - done;
    const struct part part = {
        .begin = begin, .count = count - begin < left ? count - begin : left, .to = run->to + done};
    collector->at += part.count;
    collector->run += part.count == left;
    return part;
}

static void take_vector(struct collector *collector, const struct column *column, uint32_t count)
{
    for (uint32_t begin = 0; begin < count;) {
        struct part part = next_part(collector, begin, count);
        part.column = column;
        take_part(collector, &part);
        begin += part.count;
    }
    if (collector->is_dictionary && !is_paying(collector))
        give_up_dictionary(collector);
}

static size_t value_size(const struct collector *collector)
{
    if (collector->is_text)
        return sizeof(uint32_t); /* codes; slices come when they are needed */
    return collector->out->class == BLOCK_WIDE ? 16 : 8;
}

/* --- values as chunks of mutable segments have them --- */

/* NULL: not this way. Numbers of blocks are those of chunks, but wider; so they need not be what
 * queries read in between. */
static const struct chunk_column *stored_of(const struct collector *collector,
                                            const struct cursor *cursor)
{
    if (cursor->chunk == NULL || collector->is_text)
        return NULL;
    const struct chunk_column *source = cursor->columns[0].source;
    if (source == NULL || source->form != CHUNK_FIXED ||
        source->width != type_stored_width(collector->type.id))
        return NULL;
    uint32_t first_null = atomic_load_explicit(&source->first_null, memory_order_acquire);
    bool has_null = first_null < cursor->end && !fault_is("collect.null_overlooked");
    return has_null ? NULL : source;
}

static void take_stored(struct collector *collector, const char *values, uint32_t count)
{
    enum type_id id = collector->type.id;
    size_t width = type_stored_width(id), size = value_size(collector);
    for (uint32_t begin = 0; begin < count;) {
        const struct part part = next_part(collector, begin, count);
        const char *from = values + begin * width;
        char *to = (char *)collector->out->values + part.to * size;
        for (uint32_t i = 0; id == TYPE_BOOL && i < part.count; i++)
            ((int64_t *)(void *)to)[i] = from[i] != 0;
        if (width == size)
            memcpy(to, from, part.count * size);
        else if (id != TYPE_BOOL)
            stored_widen(collector->type, from, part.count, to);
        begin += part.count;
    }
}

static enum err collect_stored(struct collector *collector, const struct chunk_column *source,
                               uint32_t row_count, struct error *error)
{
    const char *values = source->values;
    for (uint32_t row = 0; row < row_count; row += PAUSE_ROWS) {
        uint32_t left = row_count - row;
        take_stored(collector, values + (size_t)row * source->width,
                    left < PAUSE_ROWS ? left : PAUSE_ROWS);
        if (!pauser_go_on(collector->pauser))
            return error_set(error, ERR_CANCELLED, NULL, "sealing was given up");
    }
    return OK;
}

/* --- the end of it --- */

/* Entries by bytes; codes stay as they are, and are renamed when they are written. */
static void sort_entries(struct collector *collector)
{
    struct collected *out = collector->out;
    struct texts *texts = &collector->texts;
    uint32_t *order = memory_alloc(((size_t)texts->count + 1) * sizeof(*order));
    entries_order(texts->entries, texts->count, collector->pauser, order);
    out->entries = room_take(out->room, texts->count * sizeof(*out->entries));
    out->ranks = room_take(out->room, texts->count * sizeof(*out->ranks));
    for (uint32_t i = 0; i < texts->count; i++) {
        out->entries[i] = texts->entries[order[i]];
        out->ranks[order[i]] = i;
    }
    out->entry_count = texts->count;
    out->class = BLOCK_INTEGER;
    memory_free(order);
}

static void finish(struct collector *collector)
{
    struct collected *out = collector->out;
    if (!collector->is_text)
        return;
    bool has_texts = collector->texts.count != 0;
    if (collector->is_dictionary && has_texts && collector->texts.count <= out->row_count / 2 + 1)
        sort_entries(collector);
    else if (collector->is_dictionary)
        give_up_dictionary(collector);
    if (out->entry_count == 0)
        out->text = collector->rows;
    if (out->is_left) {
        out->validity = NULL;
        out->null_count = 0;
        out->text_bytes = 0;
    }
}

static void collector_deinit(struct collector *collector)
{
    memory_free(collector->texts.entries);
    memory_free(collector->texts.slots);
    memory_free(collector->texts.tags);
    memory_free(collector->map.codes);
}

void collected_deinit(struct collected *collected)
{
    if (collected->cursor != NULL)
        cursor_close(collected->cursor);
    arena_deinit(&collected->arena);
    room_give_back(collected->room, collected->mark);
    collected->cursor = NULL;
}

/* --- the pass --- */

static enum err collect_morsel(struct collector *collector, size_t morsel, struct error *error)
{
    bool has;
    uint32_t since_pause = PAUSE_ROWS; /* finding the morsel's first page may have taken a while */
    uint64_t bytes_at_pause = collector->out->text_bytes;
    enum err err = cursor_seek(collector->out->cursor, morsel, &has, error);
    const struct cursor *cursor = collector->out->cursor;
    const struct chunk_column *stored =
        err == OK && has ? stored_of(collector, collector->out->cursor) : NULL;
    if (stored != NULL)
        return collect_stored(collector, stored, (uint32_t)cursor->end, error);
    while (err == OK && has && !collector->out->is_left) {
        struct batch batch;
        err = cursor_next(collector->out->cursor, &batch, &has, error);
        if (err != OK || !has)
            break;
        assert(batch.row_count <= collector->out->row_count - collector->at);
        take_vector(collector, &batch.columns[0], (uint32_t)batch.row_count);
        since_pause += (uint32_t)batch.row_count;
        if (since_pause >= PAUSE_ROWS ||
            collector->out->text_bytes - bytes_at_pause >= PAUSE_BYTES) {
            since_pause = 0;
            bytes_at_pause = collector->out->text_bytes;
            if (!pauser_go_on(collector->pauser))
                return error_set(error, ERR_CANCELLED, NULL, "sealing was given up");
        }
    }
    return err;
}

enum err collect_column(const struct collect_options *options, struct collected *out,
                        struct error *error)
{
    const struct table_view *view = options->view;
    uint32_t row_count = (uint32_t)table_view_rows(view);
    const struct row_run all = {.count = row_count};
    *out = (struct collected){
        .row_count = row_count, .room = options->room, .mark = room_mark(options->room)};
    arena_init(&out->arena);
    struct type type = view->schema->columns[options->column].type;
    out->class = block_class_of(type.id);
    bool is_text = out->class == BLOCK_TEXT;
    struct collector collector = {.out = out,
                                  .options = options,
                                  .type = type,
                                  .pauser = options->pauser,
                                  .is_text = is_text,
                                  .is_dictionary = is_text,
                                  .is_single = true};
    collector.runs = collector.run = options->runs != NULL ? options->runs : &all;
    out->values = room_take(out->room, row_count * value_size(&collector));
    out->cursor = cursor_open(view, &options->column, 1, NULL);
    out->cursor->pauser = options->pauser;
    enum err err = OK;
    size_t morsel_count = table_view_morsel_count(view);
    for (size_t morsel = 0; err == OK && !out->is_left && morsel < morsel_count; morsel++) {
        struct morsel_place place = view_morsel_place(view, morsel);
        collector.is_lent = place.entry != NULL && place.entry->sealed != NULL;
        err = collect_morsel(&collector, morsel, error);
    }
    if (err == OK && !out->is_left && collector.at != row_count)
        err = error_set(error, ERR_CORRUPT, NULL, "a segment has %u rows where %u were to be",
                        collector.at, row_count);
    if (err == OK)
        finish(&collector);
    collector_deinit(&collector);
    if (err != OK)
        collected_deinit(out);
    return err;
}
