/* Sections: bytes of FORMAT.md, "Sections". One function writes what one function reads; the answer
 * of a request is made from the section and nothing else, so that a retry after a restart gets the
 * same bytes. */
#include "ingest/section.h"

#include "storage/base/json.h"
#include "storage/base/number.h"

#include <assert.h>

#define SECTION_FORMAT 1
#define HAS_PRODUCER 1
#define HAS_KEY 2
#define HAS_ORIGINS 4

const char *const fate_names[FATE_COUNT] = {"received",     "stored",      "duplicate",
                                            "filtered",     "sampled_out", "late_diverted",
                                            "late_dropped", "dead"};
const char *const drift_names[DRIFT_KIND_COUNT] = {"",     "unknown field", "type mismatch",
                                                   "null", "other",         "total"};

static void write_hash(struct writer *out, struct hash128 hash)
{
    writer_u64(out, hash.low);
    writer_u64(out, hash.high);
}

static struct hash128 read_hash(struct reader *reader)
{
    struct hash128 hash;
    hash.low = reader_u64(reader);
    hash.high = reader_u64(reader);
    return hash;
}

void section_begin(struct writer *out, const struct section_request *request)
{
    writer_u8(out, SECTION_FORMAT);
    writer_varint(out, request->table_id);
    writer_text(out, request->table);
    writer_text(out, request->source);
    writer_u8(out, (uint8_t)request->source_kind);
    for (size_t i = 0; i < FATE_COUNT; i++)
        writer_varint(out, request->counts[i]);
    writer_u8(out, (uint8_t)((request->producer.size > 0 ? HAS_PRODUCER : 0) |
                             (request->has_key ? HAS_KEY : 0) |
                             (request->has_origins ? HAS_ORIGINS : 0)));
    if (request->producer.size > 0) {
        writer_text(out, request->producer);
        writer_u64(out, request->sequence);
    }
    if (request->has_key)
        write_hash(out, request->key);
    if (request->producer.size > 0 || request->has_key)
        write_hash(out, request->body);
    writer_varint(out, request->dead_count);
}

void section_add_dead(struct writer *out, const struct section_request *request,
                      const struct section_dead *dead)
{
    writer_varint(out, dead->row);
    writer_text(out, dead->column);
    writer_bytes(out, dead->sqlstate, 5);
    writer_text(out, dead->reason);
    writer_text(out, dead->raw);
    if (request->has_origins)
        writer_text(out, dead->origin);
}

void section_begin_drift(struct writer *out, uint64_t count)
{
    writer_varint(out, count);
}

void section_add_drift(struct writer *out, const struct section_drift *drift)
{
    assert(drift->kind > 0 && drift->kind < DRIFT_KIND_COUNT);
    writer_u8(out, (uint8_t)drift->kind);
    writer_text(out, drift->path);
    writer_varint(out, drift->count);
    writer_text(out, drift->example);
}

static bool read_dead(struct reader *reader, bool has_origin, struct section_dead *out)
{
    *out = (struct section_dead){.row = reader_varint(reader)};
    out->column = reader_text(reader);
    struct slice sqlstate = reader_bytes(reader, 5);
    if (sqlstate.data != NULL)
        memcpy(out->sqlstate, sqlstate.data, 5);
    out->reason = reader_text(reader);
    out->raw = reader_text(reader);
    if (has_origin)
        out->origin = reader_text(reader);
    return !reader->failed;
}

static bool read_drift(struct reader *reader, struct section_drift *out)
{
    uint8_t kind = reader_u8(reader);
    *out = (struct section_drift){.kind = (enum drift_kind)kind, .path = reader_text(reader)};
    out->count = reader_varint(reader);
    out->example = reader_text(reader);
    return !reader->failed && kind > 0 && kind < DRIFT_KIND_COUNT;
}

static bool read_head(struct reader *reader, struct section_request *out)
{
    uint8_t format = reader_u8(reader);
    uint64_t table_id = reader_varint(reader);
    out->table_id = (uint32_t)table_id;
    out->table = reader_text(reader);
    out->source = reader_text(reader);
    uint8_t source_kind = reader_u8(reader);
    out->source_kind = (enum source_kind)source_kind;
    for (size_t i = 0; i < FATE_COUNT; i++)
        out->counts[i] = reader_varint(reader);
    uint8_t flags = reader_u8(reader);
    if ((flags & HAS_PRODUCER) != 0) {
        out->producer = reader_text(reader);
        out->sequence = reader_u64(reader);
        if (out->producer.size == 0)
            return false;
    }
    out->has_key = (flags & HAS_KEY) != 0;
    if (out->has_key)
        out->key = read_hash(reader);
    out->has_origins = (flags & HAS_ORIGINS) != 0;
    if ((flags & (HAS_PRODUCER | HAS_KEY)) != 0)
        out->body = read_hash(reader);
    return !reader->failed && format == SECTION_FORMAT && table_id <= UINT32_MAX &&
           source_kind < SOURCE_KIND_COUNT && flags <= (HAS_PRODUCER | HAS_KEY | HAS_ORIGINS);
}

enum err section_read(struct slice bytes, struct section_request *out, struct error *error)
{
    struct reader reader = reader_of(bytes);
    *out = (struct section_request){0};
    bool is_good = read_head(&reader, out);
    out->dead_count = reader_varint(&reader);
    out->dead = reader;
    struct section_dead dead;
    for (uint64_t i = 0; is_good && i < out->dead_count; i++)
        is_good = read_dead(&reader, out->has_origins, &dead);
    out->drift_count = reader_varint(&reader);
    out->drift = reader;
    struct section_drift drift;
    for (uint64_t i = 0; is_good && i < out->drift_count; i++)
        is_good = read_drift(&reader, &drift);
    if (!is_good || reader.failed || reader_left(&reader) != 0)
        return error_set(error, ERR_CORRUPT, NULL,
                         "an ingest section of a commit record cannot be read");
    return OK;
}

bool section_next_dead(struct section_request *request, struct section_dead *out)
{
    if (request->dead_count == 0)
        return false;
    request->dead_count--;
    return read_dead(&request->dead, request->has_origins, out);
}

bool section_next_drift(struct section_request *request, struct section_drift *out)
{
    if (request->drift_count == 0)
        return false;
    request->drift_count--;
    return read_drift(&request->drift, out);
}

/* --- answers --- */

static void write_rejected(struct section_request request, struct writer *out)
{
    struct section_dead dead;
    writer_cstr(out, ",\"rejected\":[");
    for (size_t i = 0; i < ANSWER_REJECTED_MAX && section_next_dead(&request, &dead); i++) {
        writer_printf(out, "%s{\"row\":%llu,\"column\":", i == 0 ? "" : ",",
                      (unsigned long long)dead.row);
        if (dead.column.size > 0)
            json_write_string(out, dead.column);
        else
            writer_cstr(out, "null");
        writer_cstr(out, ",\"error\":");
        json_write_string(out, dead.reason);
        writer_printf(out, ",\"sqlstate\":\"%s\"}", dead.sqlstate);
    }
    writer_u8(out, ']');
}

static void write_unknown(struct section_request request, struct writer *out)
{
    struct section_drift drift;
    size_t count = 0;
    writer_cstr(out, ",\"unknown\":{");
    while (count < ANSWER_UNKNOWN_MAX && section_next_drift(&request, &drift)) {
        if (drift.kind != DRIFT_UNKNOWN_FIELD)
            continue;
        if (count++ > 0)
            writer_u8(out, ',');
        json_write_string(out, drift.path);
        writer_printf(out, ":%llu", (unsigned long long)drift.count);
    }
    writer_u8(out, '}');
}

static bool has_unknown(struct section_request request)
{
    struct section_drift drift;
    while (section_next_drift(&request, &drift))
        if (drift.kind == DRIFT_UNKNOWN_FIELD)
            return true;
    return false;
}

void section_write_detail(const struct section_request *request, struct writer *out)
{
    if (request->dead_count == 0 && !has_unknown(*request))
        return;
    write_rejected(*request, out);
    write_unknown(*request, out);
}

void answer_write(struct writer *out, uint64_t position, uint64_t rows, uint64_t duplicates,
                  uint64_t rejected, struct slice detail)
{
    writer_cstr(out, "{\"position\":\"");
    uint_print(position, out);
    writer_cstr(out, "\",\"rows\":");
    uint_print(rows, out);
    writer_cstr(out, ",\"duplicates\":");
    uint_print(duplicates, out);
    writer_cstr(out, ",\"rejected_rows\":");
    uint_print(rejected, out);
    writer_slice(out, detail.size > 0 ? detail : SLICE(",\"rejected\":[],\"unknown\":{}"));
    writer_u8(out, '}');
}

/* --- ticks --- */

void section_write_tick(struct writer *out, int64_t source_idle_us)
{
    writer_u8(out, SECTION_FORMAT);
    writer_i64(out, source_idle_us);
}

enum err section_read_tick(struct slice bytes, int64_t *source_idle_us, struct error *error)
{
    struct reader reader = reader_of(bytes);
    uint8_t format = reader_u8(&reader);
    *source_idle_us = reader_i64(&reader);
    if (reader.failed || format != SECTION_FORMAT || reader_left(&reader) != 0)
        return error_set(error, ERR_CORRUPT, NULL,
                         "a tick section of a commit record cannot be read");
    return OK;
}
