/* Files into parts that are whole records: deterministic, so that a second run cuts at the same
 * places. */
#ifndef FRESHET_SERVER_CLI_SPLIT_H
#define FRESHET_SERVER_CLI_SPLIT_H

#include "storage/base/slice.h"

enum split_format { SPLIT_LINES, SPLIT_CSV, SPLIT_WHOLE };

/* By the name's ending (.csv, .ndjson, .jsonl, .json) and the first bytes. A .json of one object a
 * line is lines. */
enum split_format split_guess(struct slice name, struct slice start);
/* Bytes of the next part of `text`: whole records of at most size_max bytes together, or the first
 * record alone if that is larger. 0: more input is needed, or with is_last there is none. CSV
 * records end at a newline outside of quotes. */
size_t split_part(enum split_format format, struct slice text, bool is_last, size_t size_max);
/* Bytes of the CSV header with its line end; 0 if it is not whole yet. */
size_t split_header(struct slice text, bool is_last);

#endif
