/* The format csv: RFC 4180 with a header line. NULL is empty, the empty text is "". Values are in
 * PostgreSQL's text form, times in UTC. A field is quoted when it holds a quote, a comma, CR or LF.
 */
#include "query/format/format.h"

static void write_field(struct writer *out, struct slice text)
{
    bool is_plain = text.size != 0;
    for (size_t i = 0; is_plain && i < text.size; i++)
        is_plain = text.data[i] != '"' && text.data[i] != ',' && text.data[i] != '\r' &&
                   text.data[i] != '\n';
    if (is_plain) {
        writer_slice(out, text);
        return;
    }
    writer_u8(out, '"');
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            writer_u8(out, '"');
        writer_u8(out, (uint8_t)text.data[i]);
    }
    writer_u8(out, '"');
}

static void csv_begin(struct format_writer *writer)
{
    for (size_t i = 0; i < writer->column_count; i++) {
        if (i != 0)
            writer_u8(writer->out, ',');
        write_field(writer->out, writer->columns[i].name);
    }
    writer_cstr(writer->out, "\r\n");
}

static void csv_row(struct format_writer *writer, const struct batch *batch, size_t row)
{
    static const struct text_context utc_context = {.zone = NULL};
    struct writer text;
    writer_init(&text);
    for (size_t i = 0; i < batch->column_count; i++) {
        if (i != 0)
            writer_u8(writer->out, ',');
        struct value value = column_value(&batch->columns[i], row);
        if (value.is_null)
            continue;
        if (value.type.id == TYPE_TEXT || value.type.id == TYPE_VARCHAR) {
            write_field(writer->out, value.text);
            continue;
        }
        writer_reset(&text);
        value_print(&value, &utc_context, &text);
        write_field(writer->out, writer_as_slice(&text));
    }
    writer_deinit(&text);
    writer_cstr(writer->out, "\r\n");
}

static void csv_end(struct format_writer *writer, const struct format_end *end)
{
    (void)writer;
    (void)end;
}

const struct format format_csv = {
    .name = "csv", .begin = csv_begin, .row = csv_row, .end = csv_end};
