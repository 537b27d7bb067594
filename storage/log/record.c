/* Commit records, to bytes and back.
 *
 *   | header 16 | part | part | … |        part: | kind u32 | argument u32 | size u64 | body,
 * padded to 8 |
 *
 * A record is written part by part while a batch is built, on the caller's thread, and read twice
 * at most: by the log thread when it appends the rows, and at replay. Reading allocates one small
 * array per kind of part and points into the payload for the rest. */
#include "storage/log/record.h"

#include <assert.h>

#define RECORD_MAGIC UINT32_C(0x31524346) /* "FCR1" */
#define HEADER_SIZE 16
#define HEADER_TIME_OFFSET 8

enum part_kind { PART_ROWS = 1, PART_SECTION = 2, PART_CHANGE = 3 };

/* --- writing --- */

void record_begin(struct writer *out)
{
    assert(out->size == 0);
    writer_u32(out, RECORD_MAGIC);
    writer_u32(out, 0);
    writer_i64(out, 0);
}

static size_t part_begin(struct writer *out, enum part_kind kind, uint32_t argument)
{
    assert(out->failed || out->size % 8 == 0);
    writer_u32(out, kind);
    writer_u32(out, argument);
    writer_u64(out, 0);
    return out->size;
}

static void part_end(struct writer *out, size_t begin)
{
    if (out->failed)
        return;
    uint64_t size = out->size - begin;
    memcpy(out->data + begin - 8, &size, sizeof(size));
    static const char zeros[8];
    writer_bytes(out, zeros, (8 - out->size % 8) % 8);
}

void record_add_rows(struct writer *out, const struct schema *schema, const uint32_t *column_ids,
                     const struct batch *batch)
{
    if (batch->row_count == 0)
        return;
    size_t begin = part_begin(out, PART_ROWS, 0);
    if (!out->failed)
        stored_write(schema, column_ids, batch, out);
    part_end(out, begin);
}

void record_add_section(struct writer *out, uint32_t kind, struct slice bytes)
{
    size_t begin = part_begin(out, PART_SECTION, kind);
    writer_slice(out, bytes);
    part_end(out, begin);
}

void record_add_change(struct writer *out, enum change_kind kind, uint32_t table_id,
                       const struct schema *schema)
{
    assert(kind != CHANGE_NONE);
    assert((schema != NULL) == (kind == CHANGE_CREATE || kind == CHANGE_ALTER));
    size_t begin = part_begin(out, PART_CHANGE, kind);
    writer_u32(out, table_id);
    if (schema != NULL)
        schema_write(schema, out);
    part_end(out, begin);
}

void record_append(struct writer *out, struct slice other)
{
    assert(other.size >= HEADER_SIZE && other.size % 8 == 0);
    assert(out->failed || out->size % 8 == 0);
    writer_slice(out, slice_of(other.data + HEADER_SIZE, other.size - HEADER_SIZE));
}

void record_set_time(struct writer *out, int64_t at_us)
{
    if (!out->failed)
        memcpy(out->data + HEADER_TIME_OFFSET, &at_us, sizeof(at_us));
}

/* --- reading --- */

/* Parts of each kind, and whether their frames are whole. */
struct survey {
    uint32_t rows, sections, changes;
};

static bool read_part(struct reader *reader, uint32_t *kind, uint32_t *argument, struct slice *body)
{
    *kind = reader_u32(reader);
    *argument = reader_u32(reader);
    uint64_t size = reader_u64(reader);
    if (reader->failed || size > reader_left(reader))
        return false;
    *body = reader_bytes(reader, (size_t)size);
    reader_bytes(reader, (8 - size % 8) % 8);
    return !reader->failed;
}

static bool survey_parts(struct reader reader, struct survey *survey)
{
    *survey = (struct survey){0};
    while (reader_left(&reader) != 0) {
        uint32_t kind, argument;
        struct slice body;
        if (!read_part(&reader, &kind, &argument, &body))
            return false;
        survey->rows += kind == PART_ROWS;
        survey->sections += kind == PART_SECTION;
        survey->changes += kind == PART_CHANGE;
        if (kind < PART_ROWS || kind > PART_CHANGE)
            return false;
    }
    return survey->changes <= 1;
}

static bool read_change(struct record *record, uint32_t argument, struct slice body)
{
    if (argument < CHANGE_CREATE || argument > CHANGE_TRUNCATE)
        return false;
    struct reader reader = reader_of(body);
    record->change = (enum change_kind)argument;
    record->change_table_id = reader_u32(&reader);
    record->change_schema = reader_bytes(&reader, reader_left(&reader));
    bool has_schema = record->change == CHANGE_CREATE || record->change == CHANGE_ALTER;
    return !reader.failed && has_schema == (record->change_schema.size != 0);
}

static bool read_parts(struct reader *reader, const struct survey *survey, struct arena *arena,
                       struct record *record)
{
    struct stored_rows *rows = arena_alloc_array(arena, survey->rows, sizeof(*rows));
    struct record_section *sections = arena_alloc_array(arena, survey->sections, sizeof(*sections));
    record->rows = rows;
    record->sections = sections;
    while (reader_left(reader) != 0) {
        uint32_t kind, argument;
        struct slice body;
        if (!read_part(reader, &kind, &argument, &body))
            return false;
        if (kind == PART_ROWS) {
            struct reader part = reader_of(body);
            if (stored_read(&part, arena, &rows[record->rows_count++]) != OK ||
                reader_left(&part) != 0)
                return false;
        } else if (kind == PART_SECTION) {
            sections[record->section_count++] =
                (struct record_section){.kind = argument, .bytes = body};
        } else if (!read_change(record, argument, body)) {
            return false;
        }
    }
    return true;
}

enum err record_decode(struct slice payload, struct arena *arena, struct record *out,
                       struct error *error)
{
    if ((uintptr_t)payload.data % 8 != 0)
        payload = arena_copy(arena, payload);
    *out = (struct record){0};
    struct reader reader = reader_of(payload);
    uint32_t magic = reader_u32(&reader);
    reader_u32(&reader);
    out->at_us = reader_i64(&reader);
    struct survey survey;
    if (!reader.failed && magic == RECORD_MAGIC && survey_parts(reader, &survey) &&
        read_parts(&reader, &survey, arena, out))
        return OK;
    return error_set(error, ERR_CORRUPT, NULL, "a commit record cannot be read");
}
