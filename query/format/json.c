/* The formats json and ndjson, the answers of commands, and problem+json.
 *
 *   json     {"command":…,"columns":[{"name","type"}],"rows":[[…]],"completeness":{…},"stats":{…}}
 *   ndjson   {"columns":[…]} ⏎ one array a row ⏎ … {"end":true,"rows":n,"completeness":{…}}
 *
 * Values are what PostgreSQL's to_json writes with TimeZone UTC, whatever the session's zone: one
 * instant reads the same for every caller. Positions are texts: they are 64 bits, a JavaScript
 * number is 53. */
#include "query/format/format.h"

#include "storage/base/json.h"
#include "storage/base/number.h"

static const struct text_context utc_context = {.zone = NULL};

/* --- parts --- */

static void write_columns(const struct format_writer *writer)
{
    struct writer *out = writer->out;
    struct writer type;
    writer_init(&type);
    writer_cstr(out, "\"columns\":[");
    for (size_t i = 0; i < writer->column_count; i++) {
        writer_cstr(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_write_string(out, writer->columns[i].name);
        writer_cstr(out, ",\"type\":");
        writer_reset(&type);
        type_print(writer->columns[i].type, &type);
        json_write_string(out, writer_as_slice(&type));
        writer_u8(out, '}');
    }
    writer_u8(out, ']');
    writer_deinit(&type);
}

static void write_time(struct writer *out, int64_t us)
{
    if (us == INT64_MIN) {
        writer_cstr(out, "null");
        return;
    }
    writer_u8(out, '"');
    timestamptz_print(us, timezone_utc, TIME_STYLE_JSON, out);
    writer_u8(out, '"');
}

static void write_source(struct writer *out, const struct completeness_source *source)
{
    writer_cstr(out, "{\"table\":");
    json_write_string(out, source->table);
    writer_cstr(out, ",\"source\":");
    json_write_string(out, source->source);
    writer_cstr(out, ",\"watermark\":");
    write_time(out, source->watermark_us);
    writer_cstr(out, ",\"lag_rows\":");
    if (source->lag_rows < 0)
        writer_cstr(out, "null");
    else
        int_print(source->lag_rows, out);
    writer_u8(out, '}');
}

static void write_completeness(struct writer *out, const struct format_end *end)
{
    static const struct completeness nothing = {.complete_through_us = INT64_MIN};
    const struct completeness *completeness =
        end->completeness != NULL ? end->completeness : &nothing;
    writer_cstr(out, "\"completeness\":{\"position\":\"");
    uint_print(end->position, out);
    writer_cstr(out, "\",\"complete_through\":");
    write_time(out, completeness->complete_through_us);
    writer_cstr(out, ",\"sources\":[");
    for (size_t i = 0; i < completeness->source_count; i++) {
        if (i != 0)
            writer_u8(out, ',');
        write_source(out, &completeness->sources[i]);
    }
    writer_cstr(out, "],\"sources_total\":");
    uint_print(completeness->sources_total, out);
    writer_cstr(out, ",\"late_rows\":");
    uint_print(completeness->late_rows, out);
    writer_cstr(out, ",\"dead_rows\":");
    uint_print(completeness->dead_rows, out);
    writer_cstr(out, ",\"recovering\":");
    writer_cstr(out, end->is_recovering ? "true}" : "false}");
}

/* As %.3f; every small answer has one, and printf takes its time. */
static void write_ms(struct writer *out, double ms)
{
    uint64_t us = ms > 0 ? (uint64_t)(ms * 1e3 + 0.5) : 0;
    const char digits[] = {'.', (char)('0' + us / 100 % 10), (char)('0' + us / 10 % 10),
                           (char)('0' + us % 10)};
    uint_print(us / 1000, out);
    writer_bytes(out, digits, sizeof(digits));
}

static void write_stats(struct writer *out, const struct format_end *end)
{
    writer_cstr(out, "\"stats\":{\"elapsed_ms\":");
    write_ms(out, end->elapsed_ms);
    writer_cstr(out, ",\"rows_scanned\":");
    uint_print(end->rows_scanned, out);
    writer_cstr(out, ",\"segments\":");
    uint_print(end->segments, out);
    writer_cstr(out, ",\"segments_skipped\":");
    uint_print(end->segments_skipped, out);
    writer_cstr(out, ",\"spilled_bytes\":");
    uint_print(end->spilled_bytes, out);
    writer_u8(out, '}');
}

static void write_timestamptz(struct format_writer *writer, const struct value *value)
{
    struct writer *out = writer->out;
    if (writer->last_time.size != 0 && writer->last_time.us == value->i) {
        writer_bytes(out, writer->last_time.text, writer->last_time.size);
        return;
    }
    size_t begin = out->size;
    value_print_json(value, &utc_context, out);
    size_t size = out->size - begin;
    writer->last_time.size = 0;
    if (out->failed || size > sizeof(writer->last_time.text))
        return;
    memcpy(writer->last_time.text, out->data + begin, size);
    writer->last_time.us = value->i;
    writer->last_time.size = (uint32_t)size;
}

static void write_cell(struct format_writer *writer, const struct column *column, size_t row)
{
    struct writer *out = writer->out;
    struct value value = column_value(column, row);
    if (value.is_null)
        writer_cstr(out, "null");
    else if (value.type.id == TYPE_INT2 || value.type.id == TYPE_INT4 || value.type.id == TYPE_INT8)
        int_print(value.i, out);
    else if (value.type.id == TYPE_TEXT || value.type.id == TYPE_VARCHAR)
        json_write_string(out, value.text);
    else if (value.type.id == TYPE_TIMESTAMPTZ)
        write_timestamptz(writer, &value);
    else
        value_print_json(&value, &utc_context, out);
}

static void write_row(struct format_writer *writer, const struct batch *batch, size_t row)
{
    struct writer *out = writer->out;
    writer_u8(out, '[');
    for (size_t i = 0; i < batch->column_count; i++) {
        if (i != 0)
            writer_u8(out, ',');
        write_cell(writer, &batch->columns[i], row);
    }
    writer_u8(out, ']');
}

/* --- json --- */

static void json_begin(struct format_writer *writer)
{
    writer_cstr(writer->out, "{\"command\":");
    json_write_string(writer->out, slice_from_cstr(writer->command));
    writer_u8(writer->out, ',');
    write_columns(writer);
    writer_cstr(writer->out, ",\"rows\":[");
}

static void json_row(struct format_writer *writer, const struct batch *batch, size_t row)
{
    if (writer->row_count != 0)
        writer_u8(writer->out, ',');
    write_row(writer, batch, row);
}

static void json_end(struct format_writer *writer, const struct format_end *end)
{
    writer_cstr(writer->out, "],");
    write_completeness(writer->out, end);
    writer_u8(writer->out, ',');
    write_stats(writer->out, end);
    writer_cstr(writer->out, "}\n");
}

const struct format format_json = {
    .name = "json", .begin = json_begin, .row = json_row, .end = json_end};

/* --- ndjson --- */

static void ndjson_begin(struct format_writer *writer)
{
    writer_u8(writer->out, '{');
    write_columns(writer);
    writer_cstr(writer->out, "}\n");
}

static void ndjson_row(struct format_writer *writer, const struct batch *batch, size_t row)
{
    write_row(writer, batch, row);
    writer_u8(writer->out, '\n');
}

static void ndjson_end(struct format_writer *writer, const struct format_end *end)
{
    writer_cstr(writer->out, "{\"end\":true,\"rows\":");
    uint_print(writer->row_count, writer->out);
    writer_u8(writer->out, ',');
    write_completeness(writer->out, end);
    writer_cstr(writer->out, "}\n");
}

const struct format format_ndjson = {
    .name = "ndjson", .begin = ndjson_begin, .row = ndjson_row, .end = ndjson_end};

/* --- commands and errors --- */

void format_command(const char *command, const struct command_answer *answer, struct writer *out)
{
    writer_cstr(out, "{\"command\":");
    json_write_string(out, slice_from_cstr(command));
    if (answer->position != 0)
        writer_printf(out, ",\"position\":\"%llu\"", (unsigned long long)answer->position);
    if (strcmp(command, "INSERT") == 0 || strcmp(command, "CREATE TABLE AS") == 0)
        writer_printf(out, ",\"rows\":%llu", (unsigned long long)answer->row_count);
    writer_cstr(out, "}\n");
}

static void write_text_or_null(struct writer *out, const char *name, const char *text)
{
    writer_printf(out, ",\"%s\":", name);
    if (text == NULL || text[0] == '\0')
        writer_cstr(out, "null");
    else
        json_write_string(out, slice_from_cstr(text));
}

void query_error_json(const struct error *error, int status, const char *query_id,
                      struct writer *out)
{
    if (status == 0)
        status = sqlstate_http_status(error->sqlstate);
    writer_cstr(out, "{\"type\":\"about:blank\",\"title\":");
    json_write_string(out, slice_from_cstr(http_status_title(status)));
    writer_printf(out, ",\"status\":%d", status);
    write_text_or_null(out, "detail", error->text);
    write_text_or_null(out, "sqlstate", error->sqlstate);
    if (error->text_position > 0)
        writer_printf(out, ",\"text_position\":%lld", (long long)error->text_position);
    else
        writer_cstr(out, ",\"text_position\":null");
    write_text_or_null(out, "hint", error->hint);
    write_text_or_null(out, "query_id", query_id);
    writer_cstr(out, ",\"errors\":[]}\n");
}
