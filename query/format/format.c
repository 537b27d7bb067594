/* The table of formats. A new one is a file beside json.c and csv.c and a row here. */
#include "query/format/format.h"

static const struct format *const formats[] = {
    [RESULT_JSON] = &format_json,
    [RESULT_NDJSON] = &format_ndjson,
    [RESULT_CSV] = &format_csv,
    [RESULT_COPY] = &format_copy,
};

void format_begin(struct format_writer *writer)
{
    formats[writer->format]->begin(writer);
}

void format_rows(struct format_writer *writer, const struct batch *batch)
{
    const struct format *format = formats[writer->format];
    for (size_t row = 0; row < batch->row_count && !writer->out->failed; row++) {
        format->row(writer, batch, row);
        writer->row_count++;
    }
}

void format_end(struct format_writer *writer, const struct format_end *end)
{
    formats[writer->format]->end(writer, end);
}

bool format_find(struct slice name, enum result_format *out)
{
    for (size_t i = 0; i < array_count(formats); i++) {
        if (i != RESULT_COPY && slice_equal(name, slice_from_cstr(formats[i]->name))) {
            *out = (enum result_format)i;
            return true;
        }
    }
    return false;
}
