/* What of rows goes into no column: rejected rows, and fields that no column takes.
 *
 * Both may be as many as rows, a million in a body of three: reasons are mostly the one before's
 * and kept once, and the list of rejections is not the arena's, where growing leaves the shorter
 * ones behind. */
#include "ingest/rows/rows.h"

#include <assert.h>

#define RAW_EXAMPLE_MAX 100

void rows_unknown(struct rows *rows, size_t *id, struct slice path, struct slice example)
{
    if (rows->schema->options.unknown == UNKNOWN_REJECT && !rows->has_row_error) {
        rows->has_row_error = true;
        if (rows->error_count == 0)
            error_set(&rows->error, ERR_INPUT, "42703", "column \"%.*s\" does not exist",
                      SLICE_ARGS(path));
    }
    if (*id == SIZE_MAX) {
        if (rows->unknown_count == ROWS_UNKNOWN_MAX) {
            rows->unknown_other++;
            return;
        }
        if (rows->unknown_count == rows->unknown_capacity) {
            rows->unknown_capacity = rows->unknown_capacity == 0 ? 16 : rows->unknown_capacity * 2;
            struct rows_unknown *list =
                arena_alloc_array(rows->arena, rows->unknown_capacity, sizeof(*list));
            if (rows->unknown_count > 0)
                memcpy(list, rows->unknown, rows->unknown_count * sizeof(*list));
            rows->unknown = list;
        }
        *id = rows->unknown_count++;
        example.size = example.size < RAW_EXAMPLE_MAX ? example.size : RAW_EXAMPLE_MAX;
        while (utf8_validate(example) != example.size)
            example.size--; /* cut inside a character */
        rows->unknown[*id] = (struct rows_unknown){.path = path, .example = example};
    }
    rows->unknown[*id].count++;
}

void rows_rest(struct rows *rows, struct slice key_source, struct slice value_source)
{
    assert(rows->wants_rest);
    writer_u8(&rows->rest, rows->rest.size == 0 ? '{' : ',');
    writer_slice(&rows->rest, key_source);
    writer_u8(&rows->rest, ':');
    writer_slice(&rows->rest, value_source);
}

void rows_add_rejection(struct rows *rows, struct slice raw, struct slice column,
                        const char *sqlstate, struct slice reason)
{
    if (rows->rejection_count == rows->rejection_capacity) {
        rows->rejection_capacity =
            rows->rejection_capacity == 0 ? 16 : rows->rejection_capacity * 2;
        rows->rejections =
            memory_realloc(rows->rejections, rows->rejection_capacity * sizeof(*rows->rejections));
    }
    struct rows_rejection *rejection = &rows->rejections[rows->rejection_count++];
    *rejection = (struct rows_rejection){
        .row = rows->options.first_row + rows->row_number, .column = column, .raw = raw};
    memcpy(rejection->sqlstate, sqlstate, sizeof(rejection->sqlstate));
    /* A million rows of a body may be bad, and for one reason mostly. */
    bool is_known = rows->rejection_count > 1 && slice_equal(rejection[-1].reason, reason);
    rejection->reason = is_known ? rejection[-1].reason : arena_copy(rows->arena, reason);
    if (raw.size > rows->options.row_size_max) {
        rejection->raw.size = rows->options.row_size_max;
        rejection->is_raw_cut = true;
    }
}

void rows_reject(struct rows *rows, struct slice raw, const char *sqlstate, const char *reason)
{
    char code[6] = {0};
    memcpy(code, sqlstate, 5);
    rows_add_rejection(rows, raw, (struct slice){0}, code, slice_from_cstr(reason));
}
