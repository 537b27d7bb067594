/* COPY's CSV format: the records of csv.c with the characters the statement says, of which each
 * field is a column by its place. A header line is passed over, or compared (HEADER MATCH). A line
 * with nothing but \. is the end, as psql's \copy sends it. */
#include "ingest/decode/csv.h"
#include "ingest/decode/decode.h"

static void name_columns(struct csv *csv, const struct copy_decode *copy)
{
    csv->heading_count = copy->column_count;
    csv->headings = arena_alloc_zero(csv->arena, copy->column_count * sizeof(*csv->headings));
    for (size_t index = 0; index < copy->column_count; index++) {
        struct csv_heading *heading = &csv->headings[index];
        heading->name = csv->rows->schema->columns[copy->columns[index]].name;
        heading->refs[0] = (struct mapping_ref){.column = copy->columns[index], .rank = RANK_EXACT};
        heading->ref_count = 1;
        heading->unknown_id = SIZE_MAX;
    }
}

static enum err check_header(const struct csv *csv, struct error *error)
{
    for (size_t index = 0; index < csv->heading_count; index++) {
        struct slice got = index < csv->field_count ? csv->fields[index].text : SLICE("");
        if (!slice_equal(got, csv->headings[index].name) || csv->has_too_many)
            return error_set(error, ERR_INPUT, "22P04",
                             "column name mismatch in header line field %zu: got \"%.*s\", "
                             "expected \"%.*s\"",
                             index + 1, SLICE_ARGS(slice_cut(got, 100)),
                             SLICE_ARGS(csv->headings[index].name));
    }
    if (csv->field_count != csv->heading_count)
        return error_set(error, ERR_INPUT, "22P04",
                         "wrong number of fields in header line: got %zu, expected %zu",
                         csv->field_count, csv->heading_count);
    return OK;
}

static bool is_end(const struct csv *csv, const char *p)
{
    return csv->end - p >= 2 && p[0] == '\\' && p[1] == '.' && csv_is_record_end(csv, p + 2);
}

enum err decode_copy_csv(struct rows *rows, struct slice body, struct copy_decode *copy,
                         struct error *error)
{
    struct csv csv = {.rows = rows,
                      .arena = rows->arena,
                      .begin = body.data,
                      .end = body.data + body.size,
                      .delimiter = copy->options->delimiter,
                      .quote = copy->options->quote,
                      .escape = copy->options->escape,
                      .null = copy->options->null,
                      .is_mixed = true,
                      .too_few = "missing data for the last columns",
                      .too_many = "extra data after last expected column"};
    bool is_header = copy->is_first && copy->options->header != COPY_HEADER_NONE;
    const char *p = body.data;
    if (copy->is_first && slice_starts_with(body, SLICE("\xEF\xBB\xBF")))
        p += 3;
    csv.fields = arena_alloc_array(csv.arena, CSV_FIELDS_MAX, sizeof(*csv.fields));
    name_columns(&csv, copy);
    enum err err = OK;
    while (p < csv.end && err == OK) {
        struct slice raw;
        copy->is_ended = is_end(&csv, p);
        if (copy->is_ended)
            break;
        err = csv_read_record(&csv, p, &p, &raw, error);
        if (err != OK)
            break;
        if (is_header) {
            if (copy->options->header == COPY_HEADER_MATCH)
                err = check_header(&csv, error);
            is_header = false;
            continue;
        }
        err = rows_begin(rows, error);
        if (err == OK)
            csv_take_record(&csv, raw);
    }
    return err;
}
