/* The ledger: received = stored + duplicate + filtered + sampled_out + late_diverted + late_dropped
 * + dead, by table, source and minute.
 *
 * Entries are a ring in the order they began; each source knows its newest, so adding is O(1). The
 * minute is the record's (server time): if the clock is set back a source may have two entries for
 * one minute, and sums stay right. */
#include "ingest/state/ledger.h"

#include <assert.h>

#define RING_FIRST 8

void ledger_deinit(struct ledger *ledger)
{
    memory_free(ledger->ring);
    *ledger = (struct ledger){0};
}

static struct ledger_entry *entry_at(const struct ledger *ledger, uint32_t index)
{
    return &ledger->ring[(ledger->offset + index) & (ledger->capacity - 1)];
}

const struct ledger_entry *ledger_get(const struct ledger *ledger, uint32_t index)
{
    assert(index < ledger->count);
    return entry_at(ledger, index);
}

static struct ledger_entry *append(struct ledger *ledger)
{
    if (ledger->count == ledger->capacity) {
        uint32_t capacity = ledger->capacity == 0 ? RING_FIRST : ledger->capacity * 2;
        struct ledger_entry *ring = memory_alloc(capacity * sizeof(*ring));
        for (uint32_t i = 0; i < ledger->count; i++)
            ring[i] = *entry_at(ledger, i);
        memory_free(ledger->ring);
        ledger->ring = ring;
        ledger->offset = 0;
        ledger->capacity = capacity;
    }
    return entry_at(ledger, ledger->count++);
}

void ledger_apply(struct ledger *ledger, struct source *source, uint32_t place, int64_t at_us,
                  const uint64_t counts[FATE_COUNT])
{
    int64_t minute = at_us - at_us % MICROSECONDS_PER_MINUTE;
    struct ledger_entry *entry = NULL;
    if (source->ledger_last > ledger->first)
        entry = entry_at(ledger, (uint32_t)(source->ledger_last - 1 - ledger->first));
    if (entry == NULL || entry->minute_us != minute) {
        entry = append(ledger);
        *entry = (struct ledger_entry){.minute_us = minute, .source = place};
        source->ledger_last = ledger->first + ledger->count;
    }
    for (size_t i = 0; i < FATE_COUNT; i++) {
        entry->counts[i] += counts[i];
        source->counts[i] += counts[i];
    }
}

void ledger_expire(struct ledger *ledger, int64_t now_us)
{
    while (ledger->count > 0 && entry_at(ledger, 0)->minute_us + LEDGER_AGE_US <= now_us) {
        ledger->offset = (ledger->offset + 1) & (ledger->capacity - 1);
        ledger->first++;
        ledger->count--;
    }
}

void ledger_write(const struct ledger *ledger, struct writer *out)
{
    writer_u32(out, ledger->count);
    for (uint32_t i = 0; i < ledger->count; i++) {
        const struct ledger_entry *entry = ledger_get(ledger, i);
        writer_i64(out, entry->minute_us);
        writer_u32(out, entry->source);
        for (size_t f = 0; f < FATE_COUNT; f++)
            writer_varint(out, entry->counts[f]);
    }
}

bool ledger_read(struct ledger *ledger, struct sources *sources, struct reader *reader)
{
    uint32_t count = reader_u32(reader);
    for (uint32_t i = 0; i < count && !reader->failed; i++) {
        struct ledger_entry entry = {.minute_us = reader_i64(reader), .source = reader_u32(reader)};
        for (size_t f = 0; f < FATE_COUNT; f++)
            entry.counts[f] = reader_varint(reader);
        if (reader->failed || entry.source >= sources->count)
            return false;
        *append(ledger) = entry;
        sources->list[entry.source].ledger_last = ledger->first + ledger->count;
    }
    return !reader->failed;
}
