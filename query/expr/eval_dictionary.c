/* A subtree of one dictionary column, computed once per dictionary entry in use.
 *
 *   slot 0      the result for a NULL row
 *   slot c + 1  the result for code c
 *
 * Rows of a batch name the slots they need; those not known yet are computed together, over a
 * column made of their texts, by the same nodes; the rest is a gather. Only entries that a selected
 * row uses are computed, so nothing raises that would not have raised row by row. Results stay as
 * long as batches come with the same dictionary_id (it may have grown); an id of 0 lasts one batch.
 * LIKE over 50,000 rows of 200 countries then costs 200 matches and 50,000 loads. */
#include "query/expr/node.h"

#include <string.h>

struct dictionary_cache {
    uint64_t id;
    size_t capacity; /* slots */
    uint8_t *known, *valid;
    bool has_null; /* some known result is NULL */
    void *values;
    struct arena arena; /* payloads of text results */
    struct budget *budget;
    size_t charged; /* of the arena, to the budget */
};

#define CHARGE_STEP ((size_t)1 << 20)

/* The entries of a large dictionary live as long as the query looks at its segment: they are the
 * query's memory. */
static enum err charge_payloads(struct dictionary_cache *cache, struct budget *budget,
                                struct error *error)
{
    size_t total = cache->arena.total;
    if (budget == NULL || total < cache->charged + CHARGE_STEP)
        return OK;
    enum err err = budget_charge(budget, total - cache->charged, error);
    if (err != OK)
        return err;
    cache->budget = budget;
    cache->charged = total;
    return OK;
}

static void release_payloads(struct dictionary_cache *cache)
{
    if (cache->charged > cache->arena.total) {
        budget_release(cache->budget, cache->charged - cache->arena.total);
        cache->charged = cache->arena.total;
    }
}

bool dictionary_pays(const struct column *in, size_t count)
{
    return in->dictionary_id != 0 || in->dictionary_count <= count * 2;
}

void dictionary_cache_destroy(struct dictionary_cache *cache)
{
    if (cache == NULL)
        return;
    memory_free(cache->known);
    memory_free(cache->valid);
    memory_free(cache->values);
    arena_deinit(&cache->arena);
    release_payloads(cache);
    memory_free(cache);
}

static struct dictionary_cache *cache_prepare(struct node *node, const struct column *in,
                                              size_t size)
{
    if (node->cache == NULL) {
        node->cache = memory_alloc_zero(sizeof(*node->cache));
        arena_init(&node->cache->arena);
    }
    struct dictionary_cache *cache = node->cache;
    if (in->dictionary_id == 0 || in->dictionary_id != cache->id) {
        if (cache->capacity > 0)
            memset(cache->known, 0, cache->capacity);
        arena_reset(&cache->arena);
        release_payloads(cache);
        cache->id = in->dictionary_id;
        cache->has_null = false;
    }
    size_t needed = (size_t)in->dictionary_count + 1;
    if (needed > cache->capacity) {
        size_t capacity = needed + needed / 2 + 16;
        cache->known = memory_realloc(cache->known, capacity);
        cache->valid = memory_realloc(cache->valid, capacity);
        cache->values = memory_realloc(cache->values, capacity * size);
        memset(cache->known + cache->capacity, 0, capacity - cache->capacity);
        cache->capacity = capacity;
    }
    return cache;
}

static size_t slot_of(const struct column *in, size_t row)
{
    return column_is_null(in, row) ? 0 : (size_t)in->codes[row] + 1;
}

/* The pending slots' texts as a FLAT column. */
static struct column entries_column(struct frame *frame, const struct column *in,
                                    const uint32_t *pending, size_t count)
{
    struct slice *texts = arena_alloc_zero(&frame->evaluator->batch, (count + 1) * sizeof(*texts));
    struct column column = {.type = in->type, .form = COLUMN_FLAT, .text = texts};
    for (size_t i = 0; i < count; i++) {
        if (pending[i] != 0) {
            texts[i] = in->dictionary[pending[i] - 1];
            continue;
        }
        uint8_t *validity = arena_alloc(&frame->evaluator->batch, count);
        memset(validity, 1, count);
        validity[i] = 0;
        column.validity = validity;
    }
    return column;
}

static void cache_store(struct dictionary_cache *cache, const struct column *result,
                        const uint32_t *pending, size_t count, size_t size)
{
    bool is_text = type_physical(result->type.id) == PHYSICAL_TEXT;
    for (size_t i = 0; i < count; i++) {
        char *target = (char *)cache->values + (size_t)pending[i] * size;
        cache->valid[pending[i]] = !column_is_null(result, i);
        memset(target, 0, size);
        if (!cache->valid[pending[i]]) {
            cache->has_null = true;
            continue;
        }
        if (is_text)
            *(struct slice *)target = arena_copy(&cache->arena, column_text(result, i));
        else
            memcpy(target, (const char *)result->values + column_index(result, i) * size, size);
    }
}

static enum err compute_pending(struct frame *frame, struct node *node, const struct column *in,
                                const uint32_t *pending, size_t count, size_t size)
{
    struct column entries = entries_column(frame, in, pending, count);
    struct frame inner = *frame;
    inner.replaced = &entries;
    inner.row_count = count;
    struct column result;
    enum err err = node_run(&inner, node, (struct rows){NULL, count}, &result);
    if (err == OK) {
        cache_store(node->cache, &result, pending, count, size);
        err = charge_payloads(node->cache, frame->evaluator->context->budget, frame->error);
    }
    for (size_t i = 0; err != OK && i < count; i++)
        node->cache->known[pending[i]] = 0;
    return err;
}

static void gather(struct frame *frame, const struct dictionary_cache *cache,
                   const struct column *in, struct rows rows, size_t size, struct column *out)
{
    char *values = (char *)out->values;
    /* A whole batch of booleans. */
    if (size == 1 && rows.selection == NULL && in->validity == NULL && !cache->has_null) {
        const char *known = (const char *)cache->values + 1;
        for (size_t row = 0; row < rows.count; row++)
            values[row] = known[in->codes[row]];
        return;
    }
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k), slot = slot_of(in, row);
        if (!cache->valid[slot])
            result_set_null(frame, out, row);
        if (size == 1)
            values[row] = ((const char *)cache->values)[slot];
        else
            memcpy(values + row * size, (const char *)cache->values + slot * size, size);
    }
}

enum err dictionary_run(struct frame *frame, struct node *node, struct rows rows,
                        const struct column *in, struct column *out)
{
    size_t size = physical_size(type_physical(node->expr->type.id));
    struct dictionary_cache *cache = cache_prepare(node, in, size);
    uint32_t *pending =
        arena_alloc_array(&frame->evaluator->batch, rows.count + 1, sizeof(*pending));
    size_t pending_count = 0, unknown = 0;
    if (rows.selection == NULL &&
        in->validity == NULL) { /* after the first batches all is known: one look */
        for (size_t row = 0; row < rows.count; row++)
            unknown += cache->known[in->codes[row] + 1] == 0;
    } else {
        unknown = 1;
    }
    for (size_t k = 0; unknown > 0 && k < rows.count; k++) {
        size_t slot = slot_of(in, rows_at(rows, k));
        pending[pending_count] = (uint32_t)slot;
        pending_count += cache->known[slot] == 0;
        cache->known[slot] = 1;
    }
    if (pending_count > 0) {
        enum err err = compute_pending(frame, node, in, pending, pending_count, size);
        if (err != OK)
            return err;
    }
    *out = result_create(frame, node->expr->type);
    gather(frame, cache, in, rows, size, out);
    return OK;
}
