/* Runs of plain text inside JSON strings, found with whatever instructions there are. */
#ifndef FRESHET_INGEST_DECODE_SCAN_H
#define FRESHET_INGEST_DECODE_SCAN_H

#include "ingest/decode/decode.h"

/* The first byte in [p, end) that is a quote, a backslash, a control character or not ASCII; `end`
 * if none. */
typedef const char *(*scan_text_function)(const char *p, const char *end);

/* NULL if this processor cannot. */
scan_text_function scan_text_of(enum decode_isa isa);

#endif
