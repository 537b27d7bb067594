/* Fuzz target: bytes as stored states of sketches (with their check sum made good) and as patterns
 * of sequence_match. What is read can be finished and written, and reads back. */
#include "query/func/aggregate.h"
#include "query/func/sequence.h"
#include "storage/base/hash.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct slice with_sum(const uint8_t *data, size_t size, struct arena *arena)
{
    char *bytes = arena_alloc(arena, size + 4);
    if (size > 0)
        memcpy(bytes, data, size);
    uint32_t sum = crc32c(0, bytes, size);
    memcpy(bytes + size, &sum, 4);
    return slice_of(bytes, size + 4);
}

/* False if the bytes are refused. */
static bool merge(const char *name, struct slice bytes, struct arena *arena, struct value *out)
{
    const struct aggregate *aggregate = aggregate_next(slice_from_cstr(name), NULL);
    struct aggregate_memory memory = {.arena = arena};
    struct column column = {.type = type_of(TYPE_BYTEA), .text = &bytes};
    struct aggregate_call call = {.aggregate = aggregate,
                                  .type = type_of((enum type_id)aggregate->result)};
    call.direct[0] = (struct value){.type = type_of(TYPE_FLOAT8), .f = 0.5};
    char *state = arena_alloc(arena, aggregate->state_size);
    aggregate->init(state);
    if (aggregate->update(state, 0, NULL, NULL, 1, &column, &memory, NULL) != OK)
        return false;
    enum err err = aggregate->finish(state, &call, &memory, out, NULL);
    assert(err == OK);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"approx_count_distinct", "approx_percentile"};
    struct arena arena;
    struct sequence sequence;
    arena_init(&arena);
    struct slice bytes = with_sum(data, size, &arena);
    for (size_t i = 0; i < array_count(names); i++) {
        struct value value, again;
        if (!merge(arena_printf(&arena, "%s_merge_state", names[i]), bytes, &arena, &value))
            continue;
        assert(!value.is_null);
        const char *plain = arena_printf(&arena, "%s_merge", names[i]);
        bool is_read = merge(plain, bytes, &arena, &value);
        assert(is_read);
        is_read = merge(arena_printf(&arena, "%s_merge_state", names[i]), bytes, &arena, &again) &&
                  merge(plain, again.text, &arena, &again);
        assert(is_read);
        assert(memcmp(&value.i, &again.i, sizeof(value.i)) == 0);
    }
    struct event events[64];
    for (size_t i = 0; i < array_count(events); i++)
        events[i] = (struct event){(int64_t)i * 300000, i < size ? data[i] : 1};
    if (sequence_parse(slice_of(data, size), 8, &sequence, NULL) == OK) {
        int64_t *times = arena_alloc(&arena, sizeof(int64_t) * 64 * sequence.step_count);
        size_t found = sequence_count(&sequence, events, 64, times, SIZE_MAX);
        assert(found <= 64);
    }
    arena_deinit(&arena);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const struct {
        const char *data;
        size_t size;
    } seeds[] = {
        {"H\1\0\16\2\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 24},
        {"P\1\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\360\77\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0",
         72},
        {"(?1).*(?t<=30)(?2)(?t>1).(?3)", 29},
    };
    static char dense[4 + 16384] = "H\1\1\16\3\2\1";
    if (index == array_count(seeds))
        return slice_of(dense, sizeof(dense));
    return index < array_count(seeds) ? slice_of(seeds[index].data, seeds[index].size)
                                      : (struct slice){0};
}
