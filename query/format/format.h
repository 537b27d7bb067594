/* Result formats: batches in, bytes of the answer out. */
#ifndef FRESHET_QUERY_FORMAT_FORMAT_H
#define FRESHET_QUERY_FORMAT_FORMAT_H

#include "query/query.h"

struct format_end {
    uint64_t position;
    bool is_recovering;
    const struct completeness *completeness; /* NULL: none */
    double elapsed_ms;
    uint64_t rows_scanned, segments, segments_skipped, spilled_bytes;
};

/* One answer under construction. */
struct format_writer {
    enum result_format format;
    struct writer *out;
    const char *command;
    const struct plan_column *columns;
    size_t column_count;
    uint64_t row_count;
    const struct copy_options *copy; /* of the format copy */
    /* private, zero at first: JSON's last time and its text. Many rows have the time of the row
     * before, and printing one is half of what a short row costs. */
    struct {
        int64_t us;
        uint32_t size; /* 0: none */
        char text[44];
    } last_time;
};

/* A result: its head, rows in any pieces, its end. Bytes are appended to the writer's `out`, which
 * remembers what failed. */
void format_begin(struct format_writer *writer);
void format_rows(struct format_writer *writer, const struct batch *batch);
void format_end(struct format_writer *writer, const struct format_end *end);
/* COPY TO's rows: a header, a row, the end. text and csv in UTC unless `context` has a zone. */
struct copy_writer {
    const struct copy_options *options;
    const struct text_context *context;
    const struct plan_column *columns;
    size_t column_count;
    struct writer *out;
    struct writer field; /* private */
};
void copy_writer_init(struct copy_writer *writer);
void copy_writer_deinit(struct copy_writer *writer);
void copy_write_begin(struct copy_writer *writer);
void copy_write_row(struct copy_writer *writer, const struct batch *batch, size_t row);
void copy_write_end(struct copy_writer *writer);
/* The media type of such an answer over HTTP. */
const char *copy_content_type(const struct copy_options *options);
/* "json", "ndjson", "csv"; false if unknown. */
bool format_find(struct slice name, enum result_format *out);
/* A command's answer, JSON in every format: {"command":"INSERT","position":"12","rows":3}.
 * `position` 0 is left out, and so are the rows of commands other than INSERT. */
void format_command(const char *command, const struct command_answer *answer, struct writer *out);

/* private: the rows of the table in format.c */
struct format {
    const char *name;
    void (*begin)(struct format_writer *writer);
    void (*row)(struct format_writer *writer, const struct batch *batch, size_t row);
    void (*end)(struct format_writer *writer, const struct format_end *end);
};
extern const struct format format_json, format_ndjson, format_csv, format_copy;

#endif
