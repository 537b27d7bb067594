/* COPY's binary format.
 *
 *   signature (11 bytes) · int32 flags · int32 size and bytes of an extension
 *   rows:  int16 count of fields, then each: int32 size (-1: NULL) and the value's binary form
 *   end:   int16 -1
 *
 * A value that is not its column's, and a row with another number of fields, is a bad row, kept
 * with its bytes; a size that is none leaves no way to the next row, and ends the COPY. */
#include "ingest/decode/decode.h"

#include "storage/base/bytes.h"
#include "storage/column/binary_form.h"

#include <stdio.h>

#define FLAG_OIDS UINT32_C(0x10000)
#define FLAGS_CRITICAL UINT32_C(0xFFFF0000)

static enum err bad_bytes(const char *text, struct error *error)
{
    return error_set(error, ERR_INPUT, "22P04", "%s", text);
}

static enum err read_header(struct reader *reader, struct error *error)
{
    struct slice signature = reader_bytes(reader, COPY_SIGNATURE_SIZE);
    uint32_t flags = reader_be32(reader);
    uint32_t extension = reader_be32(reader);
    if (signature.data == NULL || memcmp(signature.data, COPY_SIGNATURE, COPY_SIGNATURE_SIZE) != 0)
        return bad_bytes("COPY file signature not recognized", error);
    reader_bytes(reader, extension);
    if (reader->failed)
        return bad_bytes("invalid COPY file header (missing length)", error);
    if ((flags & FLAG_OIDS) != 0)
        return bad_bytes("invalid COPY file header (WITH OIDS)", error);
    if ((flags & FLAGS_CRITICAL) != 0)
        return bad_bytes("unrecognized critical flags in COPY file header", error);
    return OK;
}

/* ASCII without NUL, eight bytes at a time: text that needs no closer look. */
static bool is_plain_text(struct slice bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t word, odd = 0;
    size_t at = 0;
    for (; at + sizeof(word) <= bytes.size; at += sizeof(word)) {
        memcpy(&word, bytes.data + at, sizeof(word));
        odd |= (word | (word - ones)) & highs;
    }
    for (; at < bytes.size; at++) {
        uint8_t byte = (uint8_t)bytes.data[at];
        odd |= byte == 0 || byte > 127;
    }
    return odd == 0;
}

static void take_value(struct rows *rows, uint32_t index, struct slice bytes)
{
    struct mapping_ref ref = {.column = index, .rank = RANK_EXACT};
    struct type type = rows->schema->columns[index].type;
    struct value value;
    struct error error;
    if (type.id == TYPE_TEXT && is_plain_text(bytes)) {
        rows_text(rows, &ref, bytes);
        return;
    }
    enum err err = type_receive(type, bytes, rows->arena, &value, &error);
    if (err == OK)
        rows_value(rows, &ref, &value);
    else
        rows_bad(rows, &ref, error.sqlstate, error.text);
}

/* The fields behind a row's count. */
static enum err take_row(struct rows *rows, struct reader *reader, uint16_t count,
                         const struct copy_decode *copy, struct error *error)
{
    size_t begin = reader->offset - sizeof(count);
    for (uint16_t field = 0; field < count; field++) {
        /* By hand: twenty calls a row are a tenth of its cost. */
        uint32_t size;
        if (reader_left(reader) < sizeof(size))
            return bad_bytes("unexpected EOF in COPY data", error);
        memcpy(&size, reader->data + reader->offset, sizeof(size));
        reader->offset += sizeof(size);
        size = __builtin_bswap32(size);
        bool is_null = size == UINT32_MAX;
        if (!is_null && size > INT32_MAX)
            return bad_bytes("invalid field size", error);
        if (!is_null && reader_left(reader) < size)
            return bad_bytes("unexpected EOF in COPY data", error);
        struct slice bytes = slice_of(reader->data + reader->offset, is_null ? 0 : size);
        reader->offset += bytes.size;
        if (field >= copy->column_count)
            continue;
        struct mapping_ref ref = {.column = copy->columns[field], .rank = RANK_EXACT};
        if (is_null)
            rows_null(rows, &ref);
        else
            take_value(rows, ref.column, bytes);
    }
    struct slice raw = slice_of(reader->data + begin, reader->offset - begin);
    if (count != copy->column_count) {
        char reason[80];
        snprintf(reason, sizeof(reason), "row field count is %u, expected %zu", count,
                 copy->column_count);
        rows_reject(rows, raw, "22P04", reason);
        return OK;
    }
    rows_end(rows, raw, (struct slice){0});
    return OK;
}

enum err decode_copy_binary(struct rows *rows, struct slice body, struct copy_decode *copy,
                            struct error *error)
{
    struct reader reader = reader_of(body);
    enum err err = copy->is_first ? read_header(&reader, error) : OK;
    while (err == OK && reader_left(&reader) > 0) {
        uint16_t count = reader_be16(&reader);
        if (reader.failed)
            return bad_bytes("unexpected EOF in COPY data", error);
        if (count == UINT16_MAX) {
            copy->is_ended = true;
            return reader_left(&reader) == 0
                       ? OK
                       : bad_bytes("received copy data after EOF marker", error);
        }
        if (count > INT16_MAX)
            return bad_bytes("invalid count of fields", error);
        err = rows_begin(rows, error);
        if (err == OK)
            err = take_row(rows, &reader, count, copy, error);
    }
    return err;
}
