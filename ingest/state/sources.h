/* The sources of a table: their counts, event times and watermarks, and through when the table is
 * complete. Guarded by the owner's lock; changed by records only. */
#ifndef FRESHET_INGEST_STATE_SOURCES_H
#define FRESHET_INGEST_STATE_SOURCES_H

#include "ingest/section.h"
#include "ingest/state/index.h"
#include "storage/column/column.h"

#define NO_SOURCE UINT32_MAX
#define NO_TIME INT64_MIN

struct source {
    char *name; /* owned */
    uint32_t name_size;
    uint8_t kind;          /* enum source_kind */
    bool is_idle;          /* a tick said so; its next record takes it back */
    uint32_t heap_place;   /* NO_SOURCE: not in the heap (idle, or no event time yet) */
    uint32_t older, newer; /* list by last_row_at */
    int64_t max_time_us, watermark_us, last_row_at_us; /* NO_TIME: none yet */
    uint64_t late_rows;
    uint64_t counts[FATE_COUNT]; /* since the table was created */
    uint64_t ledger_last;        /* number of its newest ledger entry + 1; 0: none */
};
struct sources {
    struct source *list;
    uint32_t count, capacity;
    struct index index;
    uint32_t *heap; /* places of live sources, the lowest watermark first */
    uint32_t heap_count;
    uint32_t oldest, newest;
    int64_t complete_through_us; /* never goes back */
    uint64_t late_rows;
};

void sources_init(struct sources *sources);
void sources_deinit(struct sources *sources);
/* NO_SOURCE if there is none. */
uint32_t sources_find(const struct sources *sources, struct slice name);
uint32_t sources_get(struct sources *sources, struct slice name, enum source_kind kind);
static inline struct slice source_name(const struct source *source)
{
    return slice_of(source->name, source->name_size);
}

/* Rows of this source at or before it are late: to be asked for before the first rows of a request
 * are applied, as a request's rows may come in several parts. NO_TIME: none are. */
int64_t sources_promise(const struct sources *sources, uint32_t place);
/* A record of this source is durable: its rows [begin, end) of the record, at server time `at_us`
 * with these event times (NULL: the table has none). Counts the late ones against what was promised
 * before it, then moves its watermark. Returns the late. */
uint64_t sources_apply(struct sources *sources, uint32_t place, int64_t at_us, int64_t lateness_us,
                       int64_t promised, const struct column *times, size_t begin, size_t end);
/* Behind the last source of a record: completeness moves. */
void sources_settle(struct sources *sources);
/* Would declaring sources idle that sent nothing for `idle_us` let the table move on? */
bool sources_would_tick(const struct sources *sources, int64_t now_us, int64_t idle_us);
void sources_tick(struct sources *sources, int64_t at_us, int64_t idle_us);
/* Is a source idle for people who ask, tick or not? */
static inline bool source_is_idle(const struct source *source, int64_t now_us, int64_t idle_us)
{
    return source->is_idle || source->last_row_at_us == NO_TIME ||
           source->last_row_at_us < now_us - idle_us;
}
void sources_write(const struct sources *sources, struct writer *out);
bool sources_read(struct sources *sources, struct reader *reader);

#endif
