/* What ingest puts into a commit record beside the rows (FORMAT.md), and the answer that is made
 * from it. */
#ifndef FRESHET_INGEST_SECTION_H
#define FRESHET_INGEST_SECTION_H

#include "storage/base/bytes.h"
#include "storage/base/hash.h"

enum section_kind {
    SECTION_REQUEST = 1,
    SECTION_TICK = 2,
    SECTION_SUBSCRIPTION = 3, /* state/subscriptions.h */
    SECTION_OFFSETS = 4,      /* state/subscriptions.h */
    SECTION_VIEW = 5          /* state/views.h */
};

enum source_kind {
    SOURCE_HTTP = 0,
    SOURCE_SQL = 1,
    SOURCE_KAFKA = 2,
    SOURCE_COPY = 3,
    SOURCE_KIND_COUNT
};

/* The fates of rows, in the ledger's order. */
enum fate {
    FATE_RECEIVED,
    FATE_STORED,
    FATE_DUPLICATE,
    FATE_FILTERED,
    FATE_SAMPLED_OUT,
    FATE_LATE_DIVERTED,
    FATE_LATE_DROPPED,
    FATE_DEAD,
    FATE_COUNT
};
extern const char *const fate_names[FATE_COUNT];

enum drift_kind {
    DRIFT_UNKNOWN_FIELD = 1,
    DRIFT_TYPE_MISMATCH,
    DRIFT_NULL,
    DRIFT_OTHER,
    DRIFT_TOTAL,
    DRIFT_KIND_COUNT
};
extern const char *const drift_names[DRIFT_KIND_COUNT];

struct section_dead {
    uint64_t row;
    struct slice column;
    char sqlstate[6];
    struct slice reason, raw;
    struct slice origin; /* JSON: where a message stood; empty: not a message */
};
struct section_drift {
    enum drift_kind kind;
    struct slice path, example;
    uint64_t count;
};

/* A request as its section says it. Lists are read from the bytes with section_next_*. */
struct section_request {
    uint32_t table_id;
    struct slice table;
    struct slice source;
    enum source_kind source_kind;
    uint64_t counts[FATE_COUNT];
    struct slice producer; /* empty: none */
    uint64_t sequence;
    bool has_key;
    bool has_origins;         /* its dead letters say where they came from */
    struct hash128 key, body; /* body: of producer or key */
    uint64_t dead_count, drift_count;
    /* private: where the lists begin */
    struct reader dead, drift;
};

/* A section in the order of FORMAT.md: its head, dead letters, drift. */
void section_begin(struct writer *out, const struct section_request *request);
/* dead_count times */
void section_add_dead(struct writer *out, const struct section_request *request,
                      const struct section_dead *dead);
void section_begin_drift(struct writer *out, uint64_t count);
void section_add_drift(struct writer *out, const struct section_drift *drift);

/* Checks all of it before anything is given: after OK the lists below cannot fail. Texts are
 * borrowed from the bytes. ERR_CORRUPT. */
MUST_CHECK enum err section_read(struct slice bytes, struct section_request *out,
                                 struct error *error);
/* False: that was the last. */
bool section_next_dead(struct section_request *request, struct section_dead *out);
bool section_next_drift(struct section_request *request, struct section_drift *out);

#define ANSWER_REJECTED_MAX 100
#define ANSWER_UNKNOWN_MAX 16
/* The part of an answer that is kept for a retry: ,"rejected":[…],"unknown":{…} or nothing if both
 * are empty. */
void section_write_detail(const struct section_request *request, struct writer *out);
/* {"position":"…",…} */
void answer_write(struct writer *out, uint64_t position, uint64_t rows, uint64_t duplicates,
                  uint64_t rejected, struct slice detail);

/* Sources that are idle since so long: no rows. ERR_CORRUPT. */
void section_write_tick(struct writer *out, int64_t source_idle_us);
MUST_CHECK enum err section_read_tick(struct slice bytes, int64_t *source_idle_us,
                                      struct error *error);

#endif
