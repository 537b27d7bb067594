/* The event: what the load generator sends, one JSON line of at most 1,023 bytes and a newline.
 *
 * 21 fields with the shapes of a real click stream: values of 4,096 words, Zipf-skewed users and
 * pages, random identifiers, a log-normal latency; `zstd -1` of a file of them stays under 4x
 * (bench/README.md says how to check). */
#ifndef FRESHET_BENCH_LOADGEN_EVENT_H
#define FRESHET_BENCH_LOADGEN_EVENT_H

#include "storage/base/random.h"
#include "storage/base/slice.h"

#define EVENT_LINE_MAX 1024 /* newline included */

struct event_generator; /* one thread's; the word lists are shared and depend on nothing but the
                           code */

struct event_generator *event_generator_create(uint64_t seed, size_t line_size);
void event_generator_destroy(struct event_generator *generator);
struct random_stream *event_generator_random(struct event_generator *generator);
/* Writes one line with that event time into `out` (EVENT_LINE_MAX bytes of room); its size. */
size_t event_write(struct event_generator *generator, int64_t ts_us, char *out);
/* The same broken in one of several ways, so that the server must refuse exactly this row. */
size_t event_write_malformed(struct event_generator *generator, int64_t ts_us, char *out);
/* The CREATE TABLE that fits. */
const char *event_table_columns(void);

#endif
