/* CSV (RFC 4180) with a header line: records of text cells, cast as PostgreSQL reads text.
 *
 *   - Fields end at a comma, records at LF or CRLF; a field in quotes may hold both, "" is one
 * quote.
 *   - An empty field without quotes is NULL; "" in quotes is the empty text.
 *   - Header names find columns as JSON keys do; a header none of whose names is a column is no
 * header: 400.
 *   - Records with more or fewer fields than the header are bad rows; a quote that never closes, or
 * text behind a closing quote, means that we no longer know where rows begin: 400.
 *
 * Blank lines are skipped. Cells are borrowed from the body, but for those with a doubled quote. */
#include "ingest/decode/csv.h"
#include "ingest/decode/decode.h"

#include "storage/base/json.h"

#include <assert.h>

static enum err framing_error(const struct csv *csv, const char *at, const char *text,
                              struct error *error)
{
    return error_set(error, ERR_INPUT, "22P04", "the body is not valid CSV: %s at byte %zu", text,
                     (size_t)(at - csv->begin) + 1);
}

/* The place of the quote that closes, from p on; NULL if there is none. */
static const char *find_close(const struct csv *csv, const char *p, bool *has_escape)
{
    for (; csv->escape == csv->quote; p += 2) {
        p = memchr(p, csv->quote, (size_t)(csv->end - p));
        if (p == NULL || p + 1 == csv->end || p[1] != csv->quote)
            return p;
        *has_escape = true;
    }
    for (; p < csv->end && *p != csv->quote; p++) {
        bool is_escaped =
            *p == csv->escape && p + 1 < csv->end && (p[1] == csv->quote || p[1] == csv->escape);
        *has_escape |= is_escaped;
        p += is_escaped;
    }
    return p < csv->end ? p : NULL;
}

/* What stands between quotes, without what escapes. */
static struct slice unescape(struct csv *csv, struct slice in)
{
    char *text = arena_alloc(csv->arena, in.size);
    size_t size = 0;
    for (size_t i = 0; i < in.size; i++) {
        bool is_escaped = in.data[i] == csv->escape && i + 1 < in.size &&
                          (in.data[i + 1] == csv->quote || in.data[i + 1] == csv->escape);
        i += is_escaped;
        text[size++] = in.data[i];
    }
    return slice_of(text, size);
}

/* p: behind the opening quote. Gives the place behind the closing one, NULL if there is none. */
static const char *read_quoted(struct csv *csv, const char *p, struct slice *out)
{
    bool has_escape = false;
    const char *close = find_close(csv, p, &has_escape);
    if (close == NULL)
        return NULL;
    *out = slice_of(p, (size_t)(close - p));
    if (has_escape)
        *out = unescape(csv, *out);
    return close + 1;
}

static bool ends_field(const struct csv *csv, const char *p)
{
    return p == csv->end || *p == csv->delimiter || *p == '\n';
}

static const char *read_plain(const struct csv *csv, const char *p, struct slice *out)
{
    const char *start = p;
    while (!ends_field(csv, p) && !(csv->is_mixed && *p == csv->quote))
        p++;
    *out = slice_of(start, (size_t)(p - start));
    if ((p == csv->end || *p == '\n') && out->size > 0 && p[-1] == '\r')
        out->size--;
    return p;
}

bool csv_is_record_end(const struct csv *csv, const char *p)
{
    return p == csv->end || *p == '\n' || (*p == '\r' && (p + 1 == csv->end || p[1] == '\n'));
}

/* A field of which parts are in quotes, from its beginning; NULL if a quote does not close. */
static const char *read_mixed(struct csv *csv, const char *p, struct slice *out)
{
    struct slice part;
    struct writer text;
    writer_init(&text);
    while (p != NULL && !ends_field(csv, p)) {
        if (*p != csv->quote) {
            p = read_plain(csv, p, &part);
            writer_slice(&text, part);
        } else if ((p = read_quoted(csv, p + 1, &part)) != NULL) {
            writer_slice(&text, part);
        }
    }
    *out = arena_copy(csv->arena, writer_as_slice(&text));
    writer_deinit(&text);
    return p;
}

static void add_field(struct csv *csv, struct slice text, bool is_quoted)
{
    if (csv->field_count == CSV_FIELDS_MAX) {
        csv->has_too_many = true;
        return;
    }
    csv->fields[csv->field_count++] = (struct csv_field){.text = text, .is_quoted = is_quoted};
}

/* One field from *at, which is put behind it. */
static enum err read_field(struct csv *csv, const char **at, struct slice *text, bool *is_quoted,
                           struct error *error)
{
    const char *p = *at;
    *is_quoted = p < csv->end && *p == csv->quote;
    const char *next = *is_quoted ? read_quoted(csv, p + 1, text) : read_plain(csv, p, text);
    bool is_done = next != NULL && (ends_field(csv, next) || csv_is_record_end(csv, next));
    if (!is_done && csv->is_mixed && next != NULL) {
        *is_quoted = true;
        next = read_mixed(csv, p, text);
        is_done = next != NULL;
    }
    if (next == NULL)
        return framing_error(csv, p, "a quote that does not close", error);
    if (!is_done)
        return framing_error(csv, next, "text behind a closing quote", error);
    *at = next;
    return OK;
}

enum err csv_read_record(struct csv *csv, const char *p, const char **next, struct slice *raw,
                         struct error *error)
{
    const char *start = p;
    csv->field_count = 0;
    csv->has_too_many = false;
    for (;;) {
        struct slice text;
        bool is_quoted;
        enum err err = read_field(csv, &p, &text, &is_quoted, error);
        if (err != OK)
            return err;
        add_field(csv, text, is_quoted);
        if (p == csv->end || *p != csv->delimiter)
            break;
        p++;
    }
    size_t size = (size_t)(p - start);
    if (p < csv->end && *p == '\r')
        p++;
    if (size > 0 && start[size - 1] == '\r' && !(csv->fields[csv->field_count - 1].is_quoted))
        size--;
    *raw = slice_of(start, size);
    *next = p < csv->end ? p + 1 : p;
    return OK;
}

static void heading_resolve(struct csv *csv, struct csv_heading *heading)
{
    struct mapping *mapping = csv->rows->options.mapping;
    const struct mapping_child *child = mapping_find(mapping_root(mapping), heading->name);
    bool has_exact = false;
    for (const struct mapping_ref *ref = child == NULL ? NULL : child->refs;
         ref != NULL && heading->ref_count < array_count(heading->refs); ref = ref->next) {
        has_exact |= ref->rank == RANK_EXACT;
        heading->refs[heading->ref_count++] = *ref;
    }
    const struct mapping_ref *other =
        has_exact ? NULL : mapping_find_ignore_case(mapping, heading->name);
    if (other != NULL && heading->ref_count < array_count(heading->refs))
        heading->refs[heading->ref_count++] = *other;
    heading->unknown_id = SIZE_MAX;
}

static enum err read_header(struct csv *csv, const char *p, const char **next, struct error *error)
{
    struct slice raw;
    enum err err = csv_read_record(csv, p, next, &raw, error);
    if (err != OK)
        return err;
    if (utf8_validate(raw) != raw.size)
        return error_set(error, ERR_INPUT, "22021", "the header line is not valid UTF-8");
    csv->heading_count = csv->field_count;
    csv->headings = arena_alloc_zero(csv->arena, csv->field_count * sizeof(*csv->headings));
    bool has_column = false;
    for (size_t i = 0; i < csv->heading_count; i++) {
        csv->headings[i].name = slice_trim(csv->fields[i].text);
        heading_resolve(csv, &csv->headings[i]);
        has_column |= csv->headings[i].ref_count > 0;
    }
    if (!has_column || csv->has_too_many)
        return error_set(error, ERR_INPUT, "22P04",
                         has_column
                             ? "the CSV header has too many fields"
                             : "the first line is not a header: none of its names is a column");
    return OK;
}

static bool is_null(const struct csv *csv, const struct csv_field *field)
{
    return !field->is_quoted && slice_equal(field->text, csv->null);
}

static void write_value(const struct csv *csv, const struct csv_field *field, struct writer *out)
{
    if (is_null(csv, field))
        writer_cstr(out, "null");
    else
        json_write_string(out, field->text);
}

/* The record as a JSON object of texts, for `whole`. */
static struct slice record_document(struct csv *csv)
{
    if (csv->rows->schema->options.whole_column < 0)
        return (struct slice){0};
    struct writer out;
    writer_init(&out);
    for (size_t i = 0; i < csv->field_count; i++) {
        writer_u8(&out, i == 0 ? '{' : ',');
        json_write_string(&out, csv->headings[i].name);
        writer_u8(&out, ':');
        write_value(csv, &csv->fields[i], &out);
    }
    writer_u8(&out, '}');
    struct slice document = arena_copy(csv->arena, writer_as_slice(&out));
    writer_deinit(&out);
    return document;
}

static void take_unknown(struct csv *csv, struct csv_heading *heading,
                         const struct csv_field *field)
{
    rows_unknown(csv->rows, &heading->unknown_id, heading->name, field->text);
    if (!csv->rows->wants_rest)
        return;
    struct writer name, value;
    writer_init(&name);
    writer_init(&value);
    json_write_string(&name, heading->name);
    write_value(csv, field, &value);
    rows_rest(csv->rows, writer_as_slice(&name), writer_as_slice(&value));
    writer_deinit(&name);
    writer_deinit(&value);
}

void csv_take_record(struct csv *csv, struct slice raw)
{
    if (csv->has_too_many || csv->field_count != csv->heading_count) {
        rows_reject(csv->rows, raw, "22P04",
                    csv->field_count < csv->heading_count ? csv->too_few : csv->too_many);
        return;
    }
    if (utf8_validate(raw) != raw.size) {
        rows_reject(csv->rows, raw, "22021", "invalid UTF-8");
        return;
    }
    if (memchr(raw.data, 0, raw.size) != NULL) {
        rows_reject(csv->rows, raw, "22021", "zero byte in text");
        return;
    }
    for (size_t i = 0; i < csv->field_count; i++) {
        struct csv_heading *heading = &csv->headings[i];
        const struct csv_field *field = &csv->fields[i];
        if (heading->ref_count == 0)
            take_unknown(csv, heading, field);
        for (size_t r = 0; r < heading->ref_count; r++) {
            if (is_null(csv, field))
                rows_null(csv->rows, &heading->refs[r]);
            else
                rows_text(csv->rows, &heading->refs[r], field->text);
        }
    }
    rows_end(csv->rows, raw, record_document(csv));
}

enum err decode_csv(struct rows *rows, struct slice body, const struct decode_options *options,
                    struct error *error)
{
    (void)options;
    struct csv csv = {.rows = rows,
                      .arena = rows->arena,
                      .begin = body.data,
                      .end = body.data + body.size,
                      .delimiter = ',',
                      .quote = '"',
                      .escape = '"',
                      .too_few = "fewer fields than the header",
                      .too_many = "more fields than the header"};
    csv.fields = arena_alloc_array(csv.arena, CSV_FIELDS_MAX, sizeof(*csv.fields));
    const char *p = slice_starts_with(body, SLICE("\xEF\xBB\xBF")) ? body.data + 3 : body.data;
    bool has_header = false;
    while (p < csv.end) {
        if (csv_is_record_end(&csv, p)) {
            p += *p == '\r' && p + 1 < csv.end ? 2 : 1;
            continue;
        }
        enum err err = OK;
        if (!has_header) {
            err = read_header(&csv, p, &p, error);
            has_header = true;
        } else {
            struct slice raw;
            err = csv_read_record(&csv, p, &p, &raw, error);
            if (err == OK)
                err = rows_begin(rows, error);
            if (err == OK)
                csv_take_record(&csv, raw);
        }
        if (err != OK)
            return err;
    }
    return OK;
}
