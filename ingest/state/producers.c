/* Producers: (name) -> last sequence, hash of its body, its answer.
 *
 * A producer numbers its requests 1, 2, 3 … (from any first number) and repeats one until it has an
 * answer; with the last number kept here, on the same record as the rows, a repetition is known for
 * ever at about 120 bytes a producer. They are never removed, so a place in the list is an identity
 * and the list only grows. */
#include "ingest/state/producers.h"

#include <assert.h>

void producers_deinit(struct producers *producers)
{
    for (uint32_t i = 0; i < producers->count; i++) {
        memory_free(producers->list[i].name);
        kept_answer_deinit(&producers->list[i].answer);
    }
    memory_free(producers->list);
    index_deinit(&producers->index);
    *producers = (struct producers){0};
}

static struct producer *find(const struct producers *producers, struct slice name, uint64_t hash)
{
    uint32_t place;
    struct index_cursor cursor = index_begin(&producers->index, hash);
    while (index_next(&producers->index, &cursor, &place)) {
        struct producer *producer = &producers->list[place];
        if (slice_equal(slice_of(producer->name, producer->name_size), name))
            return producer;
    }
    return NULL;
}

const struct producer *producers_find(const struct producers *producers, struct slice name)
{
    return find(producers, name, hash64(name.data, name.size));
}

static struct producer *add(struct producers *producers, struct slice name, uint64_t hash)
{
    if (producers->count == producers->capacity) {
        producers->capacity = producers->capacity == 0 ? 4 : producers->capacity * 2;
        producers->list =
            memory_realloc(producers->list, producers->capacity * sizeof(*producers->list));
    }
    struct producer *producer = &producers->list[producers->count];
    *producer =
        (struct producer){.name = memory_alloc(name.size), .name_size = (uint32_t)name.size};
    memcpy(producer->name, name.data, name.size);
    index_add(&producers->index, hash, producers->count++);
    return producer;
}

void producers_apply(struct producers *producers, const struct section_request *request,
                     uint64_t position, int64_t at_us)
{
    assert(request->producer.size > 0);
    uint64_t hash = hash64(request->producer.data, request->producer.size);
    struct producer *producer = find(producers, request->producer, hash);
    if (producer == NULL)
        producer = add(producers, request->producer, hash);
    kept_answer_deinit(&producer->answer);
    kept_answer_init(&producer->answer, request, position, at_us);
    producer->sequence = request->sequence;
    producer->body = request->body;
}

void producers_write(const struct producers *producers, struct writer *out)
{
    writer_u32(out, producers->count);
    for (uint32_t i = 0; i < producers->count; i++) {
        const struct producer *producer = &producers->list[i];
        writer_text(out, slice_of(producer->name, producer->name_size));
        writer_u64(out, producer->sequence);
        writer_u64(out, producer->body.low);
        writer_u64(out, producer->body.high);
        kept_answer_write(&producer->answer, out);
    }
}

bool producers_read(struct producers *producers, struct reader *reader)
{
    uint32_t count = reader_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct slice name = reader_text(reader);
        if (reader->failed || name.size == 0)
            return false;
        struct producer *producer = add(producers, name, hash64(name.data, name.size));
        producer->sequence = reader_u64(reader);
        producer->body.low = reader_u64(reader);
        producer->body.high = reader_u64(reader);
        if (!kept_answer_read(reader, &producer->answer))
            return false;
    }
    return !reader->failed;
}
