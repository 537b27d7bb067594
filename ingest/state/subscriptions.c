/* What is known of subscriptions, and the bytes of it.
 *
 *   CREATE, ALTER, DROP ── change section ──┐
 *                                           ├─▶ record ─▶ apply ─▶ definition, next offset
 *   batch of messages ── offsets section ───┘
 *
 * The next offset of a partition moves in the record that holds the rows before it, so there is no
 * moment at which a crash could part them. Replay applies the same sections and ends at the same
 * positions. Offsets are taken as the record says them even where they are not what it expected:
 * the rows are in the same record and cannot be taken back, and the difference is reported. */
#include "ingest/state/subscriptions.h"

#include <assert.h>
#include <string.h>

#define SECTION_FORMAT 1
#define FLAG_ENABLED 1
#define FLAG_RESET 2
#define FLAG_INITIALISED 1
#define TEXT_COUNT 9
#define MINUTE_US INT64_C(60000000)

/* --- finding --- */

static void subscription_destroy(struct subscription *subscription)
{
    memory_free(subscription->texts);
    memory_free(subscription->partitions);
    memory_free(subscription);
}

void subscriptions_deinit(struct subscriptions *subscriptions)
{
    for (uint32_t i = 0; i < subscriptions->count; i++)
        subscription_destroy(subscriptions->list[i]);
    memory_free(subscriptions->list);
    *subscriptions = (struct subscriptions){0};
}

struct subscription *subscriptions_find(const struct subscriptions *subscriptions,
                                        struct slice name)
{
    for (uint32_t i = 0; i < subscriptions->count; i++)
        if (slice_equal(subscriptions->list[i]->definition.name, name))
            return subscriptions->list[i];
    return NULL;
}

struct subscription *subscriptions_get(const struct subscriptions *subscriptions, uint32_t id)
{
    for (uint32_t i = 0; i < subscriptions->count; i++)
        if (subscriptions->list[i]->id == id)
            return subscriptions->list[i];
    return NULL;
}

/* Place of the first partition that is not below `partition`. */
static uint32_t lower_bound(const struct subscription *subscription, int32_t partition)
{
    uint32_t begin = 0, end = subscription->partition_count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (subscription->partitions[middle].partition < partition)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

struct subscription_partition *subscription_find(const struct subscription *subscription,
                                                 int32_t partition)
{
    uint32_t at = lower_bound(subscription, partition);
    if (at == subscription->partition_count || subscription->partitions[at].partition != partition)
        return NULL;
    return &subscription->partitions[at];
}

/* NULL past the limit. */
static struct subscription_partition *partition_get(struct subscription *subscription,
                                                    int32_t partition)
{
    uint32_t at = lower_bound(subscription, partition);
    if (at < subscription->partition_count && subscription->partitions[at].partition == partition)
        return &subscription->partitions[at];
    if (subscription->partition_count == SUBSCRIPTION_PARTITIONS_MAX)
        return NULL;
    if (subscription->partition_count == subscription->partition_capacity) {
        uint32_t capacity =
            subscription->partition_capacity == 0 ? 8 : subscription->partition_capacity * 2;
        subscription->partitions =
            memory_realloc(subscription->partitions, capacity * sizeof(*subscription->partitions));
        subscription->partition_capacity = capacity;
    }
    struct subscription_partition *found = &subscription->partitions[at];
    memmove(found + 1, found, (subscription->partition_count - at) * sizeof(*found));
    subscription->partition_count++;
    *found = (struct subscription_partition){
        .partition = partition,
        .next_offset = NO_OFFSET,
        .submitted_offset = NO_OFFSET,
        .reached_offset = NO_OFFSET,
        .end_offset = NO_OFFSET,
        .message_at_us = INT64_MIN,
        .moved_at_us = INT64_MIN,
    };
    for (size_t i = 0; i < array_count(found->lag_samples); i++)
        found->lag_samples[i] = NO_OFFSET;
    return found;
}

int64_t subscription_lag(const struct subscription_partition *partition)
{
    if (partition->end_offset == NO_OFFSET || partition->next_offset == NO_OFFSET)
        return NO_OFFSET;
    int64_t at = partition->next_offset > partition->reached_offset ? partition->next_offset
                                                                    : partition->reached_offset;
    return partition->end_offset > at ? partition->end_offset - at : 0;
}

/* A ring: the sample behind the newest is the oldest. Minutes that were slept through are unknown.
 */
static void sample_lag(struct subscription_partition *partition, int64_t minute)
{
    if (minute == partition->lag_minute)
        return;
    int64_t gap = minute - partition->lag_minute;
    bool is_new = partition->lag_minute == 0 || gap < 0 || gap > LAG_MINUTES;
    for (int64_t i = is_new ? minute - LAG_MINUTES : partition->lag_minute + 1; i < minute; i++)
        partition->lag_samples[i % (LAG_MINUTES + 1)] = NO_OFFSET;
    partition->lag_samples[minute % (LAG_MINUTES + 1)] = subscription_lag(partition);
    partition->lag_minute = minute;
}

void subscriptions_sample_lag(struct subscriptions *subscriptions, int64_t now_us)
{
    for (uint32_t i = 0; i < subscriptions->count; i++)
        for (uint32_t p = 0; p < subscriptions->list[i]->partition_count; p++)
            sample_lag(&subscriptions->list[i]->partitions[p], now_us / MINUTE_US);
}

bool subscription_lag_change(const struct subscription_partition *partition, int64_t *out)
{
    int64_t lag = subscription_lag(partition);
    int64_t before = partition->lag_minute == 0
                         ? NO_OFFSET
                         : partition->lag_samples[(partition->lag_minute + 1) % (LAG_MINUTES + 1)];
    *out = lag - before;
    return lag != NO_OFFSET && before != NO_OFFSET;
}

/* --- definitions --- */

static void list_texts(struct subscription_definition *definition, struct slice *list[TEXT_COUNT])
{
    struct slice *const texts[] = {
        &definition->name,  &definition->table,  &definition->connection,
        &definition->topic, &definition->format, &definition->group,
        &definition->start, &definition->map,    &definition->partitions};
    static_assert(array_count(texts) == TEXT_COUNT, "every text is written");
    memcpy(list, texts, sizeof(texts));
}

static void write_definition(struct writer *out, const struct subscription_definition *definition)
{
    struct subscription_definition copy = *definition;
    struct slice *texts[TEXT_COUNT];
    list_texts(&copy, texts);
    writer_u32(out, definition->table_id);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        writer_text(out, *texts[i]);
}

static void read_definition(struct reader *reader, struct subscription_definition *out)
{
    struct slice *texts[TEXT_COUNT];
    list_texts(out, texts);
    out->table_id = reader_u32(reader);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        *texts[i] = reader_text(reader);
}

void subscription_definition_copy(const struct subscription_definition *from, struct arena *arena,
                                  struct subscription_definition *out)
{
    struct slice *texts[TEXT_COUNT];
    *out = *from;
    list_texts(out, texts);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        *texts[i] = arena_copy(arena, *texts[i]);
}

/* Copies the texts into one allocation of the subscription's. */
static void take_definition(struct subscription *subscription,
                            const struct subscription_definition *definition)
{
    struct subscription_definition copy = *definition;
    struct slice *texts[TEXT_COUNT];
    size_t size = 0;
    list_texts(&copy, texts);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        size += texts[i]->size;
    char *memory = memory_alloc(size + 1);
    char *at = memory;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        if (texts[i]->size > 0)
            memcpy(at, texts[i]->data, texts[i]->size);
        *texts[i] = slice_of(at, texts[i]->size);
        at += texts[i]->size;
    }
    memory_free(subscription->texts);
    subscription->texts = memory;
    subscription->definition = copy;
}

static struct subscription *subscription_add(struct subscriptions *subscriptions, uint32_t id)
{
    if (subscriptions->count == subscriptions->capacity) {
        subscriptions->capacity = subscriptions->capacity == 0 ? 4 : subscriptions->capacity * 2;
        subscriptions->list = memory_realloc(subscriptions->list, subscriptions->capacity *
                                                                      sizeof(*subscriptions->list));
    }
    struct subscription *subscription = memory_alloc_zero(sizeof(*subscription));
    subscription->id = id;
    subscriptions->list[subscriptions->count++] = subscription;
    if (id >= subscriptions->next_id)
        subscriptions->next_id = id + 1;
    return subscription;
}

static void subscription_remove(struct subscriptions *subscriptions, uint32_t id)
{
    for (uint32_t i = 0; i < subscriptions->count; i++) {
        if (subscriptions->list[i]->id != id)
            continue;
        subscription_destroy(subscriptions->list[i]);
        subscriptions->count--;
        memmove(&subscriptions->list[i], &subscriptions->list[i + 1],
                (subscriptions->count - i) * sizeof(*subscriptions->list));
        return;
    }
}

/* --- changes --- */

static void write_positions(struct writer *out, const struct subscription_position *positions,
                            size_t count)
{
    writer_varint(out, count);
    for (size_t i = 0; i < count; i++) {
        writer_varint(out, (uint64_t)positions[i].partition);
        writer_i64(out, positions[i].expected);
        writer_i64(out, positions[i].next);
    }
}

static bool read_position(struct reader *reader, struct subscription_position *out)
{
    uint64_t partition = reader_varint(reader);
    out->partition = (int32_t)partition;
    out->expected = reader_i64(reader);
    out->next = reader_i64(reader);
    return !reader->failed && partition <= INT32_MAX && out->next >= 0;
}

void subscription_write_change(struct writer *out, const struct subscription_change *change)
{
    writer_u8(out, SECTION_FORMAT);
    writer_u8(out, (uint8_t)change->kind);
    writer_u32(out, change->id);
    if (change->kind == SUBSCRIPTION_DROP)
        return;
    writer_u8(out, (uint8_t)((change->definition.is_enabled ? FLAG_ENABLED : 0) |
                             (change->is_reset ? FLAG_RESET : 0)));
    write_definition(out, &change->definition);
    write_positions(out, change->positions, change->position_count);
}

static enum err bad_section(struct error *error)
{
    return error_set(error, ERR_CORRUPT, NULL,
                     "a subscription's section of a commit record cannot be read");
}

static enum err apply_put(struct subscriptions *subscriptions, uint32_t id, struct reader *reader,
                          struct error *error)
{
    struct subscription_definition definition = {0};
    uint8_t flags = reader_u8(reader);
    definition.is_enabled = (flags & FLAG_ENABLED) != 0;
    read_definition(reader, &definition);
    struct reader positions = *reader;
    struct subscription_position position;
    uint64_t count = reader_varint(reader);
    bool is_good = !reader->failed && flags <= (FLAG_ENABLED | FLAG_RESET);
    for (uint64_t i = 0; i < count && is_good; i++)
        is_good = read_position(reader, &position);
    if (!is_good || reader_left(reader) != 0)
        return bad_section(error);
    struct subscription *subscription = subscriptions_get(subscriptions, id);
    if (subscription == NULL)
        subscription = subscription_add(subscriptions, id);
    take_definition(subscription, &definition);
    if ((flags & FLAG_RESET) != 0) {
        subscription->partition_count = 0;
        subscription->is_initialised = false;
    }
    (void)reader_varint(&positions);
    while (count-- > 0 && read_position(&positions, &position)) {
        struct subscription_partition *partition = partition_get(subscription, position.partition);
        if (partition == NULL)
            return bad_section(error);
        partition->next_offset = partition->submitted_offset = position.next;
        partition->reached_offset = NO_OFFSET;
    }
    return OK;
}

enum err subscriptions_apply_change(struct subscriptions *subscriptions, struct slice bytes,
                                    struct error *error)
{
    struct reader reader = reader_of(bytes);
    uint8_t format = reader_u8(&reader);
    uint8_t kind = reader_u8(&reader);
    uint32_t id = reader_u32(&reader);
    if (reader.failed || format != SECTION_FORMAT)
        return bad_section(error);
    if (kind == SUBSCRIPTION_PUT)
        return apply_put(subscriptions, id, &reader, error);
    if (kind != SUBSCRIPTION_DROP || reader_left(&reader) != 0)
        return bad_section(error);
    subscription_remove(subscriptions, id);
    return OK;
}

/* --- offsets --- */

void subscription_write_offsets(struct writer *out, const struct subscription_offsets *offsets)
{
    writer_u8(out, SECTION_FORMAT);
    writer_u32(out, offsets->id);
    writer_u8(out, offsets->is_initialised ? FLAG_INITIALISED : 0);
    write_positions(out, offsets->positions, offsets->count);
}

enum err subscriptions_apply_offsets(struct subscriptions *subscriptions, struct slice bytes,
                                     int64_t at_us, uint64_t *moved, struct error *error)
{
    struct reader reader = reader_of(bytes);
    *moved = 0;
    uint8_t format = reader_u8(&reader);
    uint32_t id = reader_u32(&reader);
    uint8_t flags = reader_u8(&reader);
    uint64_t count = reader_varint(&reader);
    if (reader.failed || format != SECTION_FORMAT || flags > FLAG_INITIALISED)
        return bad_section(error);
    struct subscription *subscription = subscriptions_get(subscriptions, id);
    if (subscription == NULL)
        return OK; /* dropped while the batch was on its way */
    for (uint64_t i = 0; i < count; i++) {
        struct subscription_position position;
        struct subscription_partition *partition = NULL;
        if (read_position(&reader, &position))
            partition = partition_get(subscription, position.partition);
        if (partition == NULL)
            return bad_section(error);
        *moved += position.expected != NO_OFFSET && partition->next_offset != position.expected;
        partition->next_offset = position.next;
        if (partition->submitted_offset < position.next)
            partition->submitted_offset = position.next;
        partition->moved_at_us = at_us;
    }
    subscription->is_initialised |= flags == FLAG_INITIALISED;
    return reader_left(&reader) == 0 ? OK : bad_section(error);
}

/* --- checkpoints --- */

void subscriptions_write(const struct subscriptions *subscriptions, struct writer *out)
{
    writer_u32(out, subscriptions->next_id);
    writer_u32(out, subscriptions->count);
    for (uint32_t i = 0; i < subscriptions->count; i++) {
        const struct subscription *subscription = subscriptions->list[i];
        writer_u32(out, subscription->id);
        writer_u8(out, subscription->definition.is_enabled ? 1 : 0);
        writer_u8(out, subscription->is_initialised ? 1 : 0);
        write_definition(out, &subscription->definition);
        writer_u32(out, subscription->partition_count);
        for (uint32_t p = 0; p < subscription->partition_count; p++) {
            writer_u32(out, (uint32_t)subscription->partitions[p].partition);
            writer_i64(out, subscription->partitions[p].next_offset);
        }
    }
}

static bool read_subscription(struct subscriptions *subscriptions, struct reader *reader)
{
    struct subscription_definition definition = {0};
    uint32_t id = reader_u32(reader);
    definition.is_enabled = reader_u8(reader) != 0;
    bool is_initialised = reader_u8(reader) != 0;
    read_definition(reader, &definition);
    uint32_t count = reader_u32(reader);
    if (reader->failed || subscriptions_get(subscriptions, id) != NULL ||
        count > SUBSCRIPTION_PARTITIONS_MAX)
        return false;
    struct subscription *subscription = subscription_add(subscriptions, id);
    take_definition(subscription, &definition);
    subscription->is_initialised = is_initialised;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = reader_u32(reader);
        int64_t offset = reader_i64(reader);
        if (reader->failed || number > INT32_MAX || offset < 0)
            return false;
        struct subscription_partition *partition = partition_get(subscription, (int32_t)number);
        partition->next_offset = partition->submitted_offset = offset;
    }
    return true;
}

bool subscriptions_read(struct subscriptions *subscriptions, struct reader *reader)
{
    uint32_t next_id = reader_u32(reader);
    uint32_t count = reader_u32(reader);
    for (uint32_t i = 0; i < count; i++)
        if (reader->failed || !read_subscription(subscriptions, reader))
            return false;
    if (next_id > subscriptions->next_id)
        subscriptions->next_id = next_id;
    return !reader->failed;
}
