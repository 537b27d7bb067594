/* Dead letters: a ring in the order of their records, bounded by bytes and age.
 *
 * They come on the record of their batch, so they are as durable as the rows beside them, and ids
 * are given when records are applied: counted from 1 in the order of the log, the same after every
 * restart. What goes because of the bounds is counted. */
#include "ingest/state/dead_letters.h"

#include <assert.h>

#define RING_FIRST 64

void dead_letters_init(struct dead_letters *letters, uint64_t bytes_max, int64_t age_max_us)
{
    *letters =
        (struct dead_letters){.next_id = 1, .bytes_max = bytes_max, .age_max_us = age_max_us};
}

const struct dead_letter *dead_letters_get(const struct dead_letters *letters, size_t index)
{
    assert(index < letters->count);
    return letters->ring[(letters->first + index) & (letters->capacity - 1)];
}

static void drop_first(struct dead_letters *letters)
{
    struct dead_letter *letter = letters->ring[letters->first];
    letters->first = (letters->first + 1) & (letters->capacity - 1);
    letters->count--;
    assert(letters->bytes >= letter->size);
    letters->bytes -= letter->size;
    memory_free(letter);
}

void dead_letters_deinit(struct dead_letters *letters)
{
    while (letters->count > 0)
        drop_first(letters);
    memory_free(letters->ring);
    letters->ring = NULL;
    letters->capacity = 0;
}

static void ring_push(struct dead_letters *letters, struct dead_letter *letter)
{
    if (letters->count == letters->capacity) {
        size_t capacity = letters->capacity == 0 ? RING_FIRST : letters->capacity * 2;
        struct dead_letter **ring = memory_alloc(capacity * sizeof(*ring));
        for (size_t i = 0; i < letters->count; i++)
            ring[i] = letters->ring[(letters->first + i) & (letters->capacity - 1)];
        memory_free(letters->ring);
        letters->ring = ring;
        letters->first = 0;
        letters->capacity = capacity;
    }
    letters->ring[(letters->first + letters->count++) & (letters->capacity - 1)] = letter;
    letters->bytes += letter->size;
}

static struct slice put(char **at, struct slice text)
{
    struct slice out = slice_of(*at, text.size);
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return out;
}

/* A copy in one allocation. */
static struct dead_letter *letter_copy(const struct dead_letter *from)
{
    size_t size = sizeof(*from) + from->table.size + from->source.size + from->column.size +
                  from->reason.size + from->raw.size + from->origin.size;
    struct dead_letter *letter = memory_alloc(size);
    *letter = *from;
    letter->size = size;
    char *at = (char *)(letter + 1);
    letter->table = put(&at, from->table);
    letter->source = put(&at, from->source);
    letter->column = put(&at, from->column);
    letter->reason = put(&at, from->reason);
    letter->raw = put(&at, from->raw);
    letter->origin = put(&at, from->origin);
    return letter;
}

void dead_letters_add(struct dead_letters *letters, const struct section_request *request,
                      const struct section_dead *dead, uint64_t position, int64_t at_us)
{
    struct dead_letter letter = {
        .id = letters->next_id++,
        .position = position,
        .row = dead->row,
        .at_us = at_us,
        .table_id = request->table_id,
        .table = request->table,
        .source = request->source,
        .column = dead->column,
        .reason = dead->reason,
        .raw = dead->raw,
        .origin = dead->origin,
    };
    memcpy(letter.sqlstate, dead->sqlstate, sizeof(letter.sqlstate));
    ring_push(letters, letter_copy(&letter));
    while (letters->bytes > letters->bytes_max && letters->count > 1) {
        drop_first(letters);
        letters->dropped++;
    }
}

void dead_letters_expire(struct dead_letters *letters, int64_t now_us)
{
    while (letters->count > 0 &&
           dead_letters_get(letters, 0)->at_us + letters->age_max_us <= now_us) {
        drop_first(letters);
        letters->dropped++;
    }
}

void dead_letters_write(const struct dead_letters *letters, struct writer *out)
{
    writer_u64(out, letters->next_id);
    writer_u64(out, letters->dropped);
    writer_u64(out, letters->count);
    for (size_t i = 0; i < letters->count; i++) {
        const struct dead_letter *letter = dead_letters_get(letters, i);
        writer_u64(out, letter->id);
        writer_u64(out, letter->position);
        writer_u64(out, letter->row);
        writer_i64(out, letter->at_us);
        writer_u32(out, letter->table_id);
        writer_bytes(out, letter->sqlstate, 5);
        writer_text(out, letter->table);
        writer_text(out, letter->source);
        writer_text(out, letter->column);
        writer_text(out, letter->reason);
        writer_text(out, letter->raw);
        writer_text(out, letter->origin);
    }
}

bool dead_letters_read(struct dead_letters *letters, struct reader *reader, bool has_origins)
{
    letters->next_id = reader_u64(reader);
    letters->dropped = reader_u64(reader);
    uint64_t count = reader_u64(reader);
    for (uint64_t i = 0; i < count && !reader->failed; i++) {
        struct dead_letter letter = {.id = reader_u64(reader)};
        letter.position = reader_u64(reader);
        letter.row = reader_u64(reader);
        letter.at_us = reader_i64(reader);
        letter.table_id = reader_u32(reader);
        struct slice sqlstate = reader_bytes(reader, 5);
        if (sqlstate.data != NULL)
            memcpy(letter.sqlstate, sqlstate.data, 5);
        letter.table = reader_text(reader);
        letter.source = reader_text(reader);
        letter.column = reader_text(reader);
        letter.reason = reader_text(reader);
        letter.raw = reader_text(reader);
        if (has_origins)
            letter.origin = reader_text(reader);
        if (!reader->failed)
            ring_push(letters, letter_copy(&letter));
    }
    return !reader->failed;
}
