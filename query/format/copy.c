/* The rows of COPY … TO STDOUT, as PostgreSQL writes them.
 *
 *   text    fields apart by a delimiter, lines by LF; backslash before what could be read as
 *           something else; NULL is \N
 *   csv     quoted where a field holds the delimiter, a quote or a line's end, or could be read as
 *           NULL; NULL is nothing
 *   binary  a signature, two words of 0; a row is its count of fields, then each with its length;
 *           a count of -1 ends it
 *
 * Over HTTP all of it is one body; the PostgreSQL protocol sends a message a row. */
#include "query/format/format.h"

#include "storage/column/binary_form.h"

void copy_writer_init(struct copy_writer *writer)
{
    writer_init(&writer->field);
}

void copy_writer_deinit(struct copy_writer *writer)
{
    writer_deinit(&writer->field);
}

/* --- text --- */

static void write_text(const struct copy_writer *writer, struct slice text)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['\v'] = 'v'};
    struct writer *out = writer->out;
    size_t begin = 0;
    for (size_t index = 0; index < text.size; index++) {
        unsigned char c = (unsigned char)text.data[index];
        char escaped = c < sizeof(letters) ? letters[c] : 0;
        if (c == '\\' || c == (unsigned char)writer->options->delimiter)
            escaped = (char)(escaped != 0 ? escaped : c);
        if (escaped == 0)
            continue;
        writer_bytes(out, text.data + begin, index - begin);
        writer_u8(out, '\\');
        writer_u8(out, (uint8_t)escaped);
        begin = index + 1;
    }
    writer_bytes(out, text.data + begin, text.size - begin);
}

/* --- csv --- */

static void write_csv(const struct copy_writer *writer, struct slice text)
{
    const struct copy_options *options = writer->options;
    struct writer *out = writer->out;
    bool is_plain = !slice_equal(text, options->null) &&
                    (writer->column_count > 1 || !slice_equal(text, SLICE("\\.")));
    for (size_t index = 0; is_plain && index < text.size; index++) {
        char c = text.data[index];
        is_plain = c != options->delimiter && c != options->quote && c != '\n' && c != '\r';
    }
    if (is_plain) {
        writer_slice(out, text);
        return;
    }
    writer_u8(out, (uint8_t)options->quote);
    for (size_t index = 0; index < text.size; index++) {
        char c = text.data[index];
        if (c == options->quote || c == options->escape)
            writer_u8(out, (uint8_t)options->escape);
        writer_u8(out, (uint8_t)c);
    }
    writer_u8(out, (uint8_t)options->quote);
}

/* --- all --- */

static void write_field(struct copy_writer *writer, size_t index, struct slice text)
{
    if (index > 0)
        writer_u8(writer->out, (uint8_t)writer->options->delimiter);
    if (writer->options->format == COPY_CSV)
        write_csv(writer, text);
    else
        write_text(writer, text);
}

void copy_write_begin(struct copy_writer *writer)
{
    if (writer->options->format == COPY_BINARY) {
        writer_bytes(writer->out, COPY_SIGNATURE, COPY_SIGNATURE_SIZE);
        writer_be32(writer->out, 0); /* flags */
        writer_be32(writer->out, 0); /* bytes of the header's extension */
        return;
    }
    if (writer->options->header == COPY_HEADER_NONE)
        return;
    for (size_t index = 0; index < writer->column_count; index++)
        write_field(writer, index, writer->columns[index].name);
    writer_u8(writer->out, '\n');
}

static bool is_text(enum type_id id)
{
    return id == TYPE_TEXT || id == TYPE_VARCHAR || id == TYPE_JSON || id == TYPE_JSONB;
}

void copy_write_row(struct copy_writer *writer, const struct batch *batch, size_t row)
{
    struct writer *out = writer->out;
    if (writer->options->format == COPY_BINARY) {
        writer_be16(out, (uint16_t)batch->column_count);
        for (size_t index = 0; index < batch->column_count; index++)
            column_send(&batch->columns[index], row, out);
        return;
    }
    for (size_t index = 0; index < batch->column_count; index++) {
        struct value value = column_value(&batch->columns[index], row);
        if (value.is_null) {
            if (index > 0)
                writer_u8(out, (uint8_t)writer->options->delimiter);
            writer_slice(out, writer->options->null);
        } else if (is_text((enum type_id)value.type.id)) {
            write_field(writer, index, value.text);
        } else {
            writer_reset(&writer->field);
            value_print(&value, writer->context, &writer->field);
            write_field(writer, index, writer_as_slice(&writer->field));
        }
    }
    writer_u8(out, '\n');
}

void copy_write_end(struct copy_writer *writer)
{
    if (writer->options->format == COPY_BINARY)
        writer_be16(writer->out, UINT16_MAX);
}

const char *copy_content_type(const struct copy_options *options)
{
    switch (options->format) {
    case COPY_TEXT:
        return "text/tab-separated-values; charset=utf-8";
    case COPY_CSV:
        return options->header == COPY_HEADER_NONE ? "text/csv; charset=utf-8; header=absent"
                                                   : "text/csv; charset=utf-8; header=present";
    case COPY_BINARY:
        break;
    }
    return "application/octet-stream";
}

/* --- as a result format --- */

static struct copy_writer writer_of(const struct format_writer *writer)
{
    return (struct copy_writer){.options = writer->copy,
                                .columns = writer->columns,
                                .column_count = writer->column_count,
                                .out = writer->out};
}

static void copy_begin(struct format_writer *writer)
{
    struct copy_writer copy = writer_of(writer);
    copy_write_begin(&copy);
}

static void copy_row(struct format_writer *writer, const struct batch *batch, size_t row)
{
    struct copy_writer copy = writer_of(writer);
    copy_writer_init(&copy);
    copy_write_row(&copy, batch, row);
    copy_writer_deinit(&copy);
}

static void copy_end(struct format_writer *writer, const struct format_end *end)
{
    (void)end;
    struct copy_writer copy = writer_of(writer);
    copy_write_end(&copy);
}

const struct format format_copy = {
    .name = "copy", .begin = copy_begin, .row = copy_row, .end = copy_end};
