/* COPY's options: what a statement says of the bytes that go in or come out. */
#ifndef FRESHET_QUERY_COPY_H
#define FRESHET_QUERY_COPY_H

#include "storage/base/slice.h"

enum copy_format { COPY_TEXT, COPY_CSV, COPY_BINARY };
enum copy_header { COPY_HEADER_NONE, COPY_HEADER_LINE, COPY_HEADER_MATCH };

struct copy_options {
    enum copy_format format;
    enum copy_header header;
    char delimiter, quote, escape; /* quote and escape: csv's */
    struct slice null;             /* how NULL is written */
};

/* What begins and ends COPY's binary format. */
#define COPY_SIGNATURE "PGCOPY\n\377\r\n"
#define COPY_SIGNATURE_SIZE 11 /* with the zero byte */

#endif
