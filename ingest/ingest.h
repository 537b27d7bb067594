/* The front door of ingest: bytes from a source become rows of a table, exactly once, with every
 * row's fate counted.
 *
 * One record per request holds the rows, the source's sequence or key, the ledger counts, the dead
 * letters and the watermark movement, so all of it is there after a crash or none of it. */
#ifndef FRESHET_INGEST_INGEST_H
#define FRESHET_INGEST_INGEST_H

#include "query/expr/expr.h"
#include "query/copy.h"
#include "query/provider.h"
#include "query/completeness.h"
#include "query/view.h"
#include "storage/store.h"

struct ingest;

struct ingest_limits {
    size_t body_max; /* inflated, 16 MiB */
    size_t row_max;  /* 4 MiB */
    size_t rows_max; /* of a batch, 1 M */
    /* Of a body decoded at a time, 1 M: 9 to 33 MB of memory, and the record, which is narrower. */
    size_t section_cells;
    uint32_t json_depth_max;        /* 64 */
    uint32_t keys_max;              /* per object, 4,096 */
    uint64_t producers_max;         /* per table, 1,000,000 */
    uint64_t keys_window;           /* idempotency keys per table, 1,000,000 */
    int64_t key_lifetime_us;        /* 24 h */
    uint64_t dead_letter_bytes_max; /* 1 GiB */
    int64_t dead_letter_age_us;     /* 30 d */
    uint32_t drift_paths_max;       /* per table, 1,000 */
    size_t copy_bytes_max;          /* held by all COPYs under way, 256 MiB */
};
extern const struct ingest_limits ingest_limits_default;

struct ingest_options {
    struct ingest_limits limits;
    int64_t source_idle_us; /* 60 s */
    /* The folder that files named by a connection must lie in; NULL: none may be named.
     * Copied. */
    const char *secrets;
    /* Binds a DEFAULT (query/sql's sql_bind_default): ingest may not see sql itself. */
    enum err (*bind_default)(const struct schema *schema, uint32_t column, struct arena *arena,
                             struct expr **out, struct error *error);
};

/* First create, then store_open with ingest_extension(), then ingest_attach(). */
struct ingest *ingest_create(const struct ingest_options *options);
struct store_extension ingest_extension(struct ingest *ingest);
void ingest_attach(struct ingest *ingest, struct store *store);
void ingest_destroy(struct ingest *ingest); /* after store_close */
/* Every 100 ms or so, from upkeep: idle sources (a tick record when that moves a table's
 * watermark), expiry of keys and dead letters. Any thread, not the log thread. */
void ingest_tick(struct ingest *ingest);

enum ingest_format { INGEST_SNIFF, INGEST_NDJSON, INGEST_JSON, INGEST_CSV, INGEST_COPY };
enum ingest_encoding { INGEST_PLAIN, INGEST_GZIP, INGEST_ZSTD };

/* Rows of a COPY: all of it, or those of one record. */
struct ingest_copy_part {
    const struct copy_options *options;
    const uint32_t *column_ids;
    size_t column_count;
    uint64_t first_row; /* rows of the COPY before these */
    bool is_first;      /* with what stands before the first row */
    bool is_strict;     /* a bad row refuses all of them */
    /* filled: */
    bool is_ended;       /* the bytes say that they end */
    uint64_t row_count;  /* of all kinds */
    struct error reason; /* of the first bad row; code OK: there is none */
};

struct ingest_request {
    struct slice table;
    uint32_t table_id; /* this table whatever it is called by now; 0: whichever has the name */
    struct slice body; /* as received; must live until ingest_post returns */
    enum ingest_format format;
    enum ingest_encoding encoding;
    bool is_create;        /* create=true */
    struct slice producer; /* empty: none */
    bool has_sequence;
    uint64_t sequence;
    struct slice idempotency_key;     /* empty: none */
    const _Atomic bool *is_cancelled; /* may be NULL; looked at before the commit only */
    struct ingest_copy_part *copy;    /* of INGEST_COPY */
    struct commit *held; /* takes what would be stored; NULL: it is stored. Without producer and key
                          */
};

enum ingest_outcome { INGEST_STORED, INGEST_REPEATED /* the first answer again */, INGEST_REFUSED };
struct ingest_answer {
    enum ingest_outcome outcome;
    int http_status;            /* 200, 400, 404, 409, 413, 415, 422, 429, 503, 507 */
    struct error error;         /* unless 200 */
    uint64_t expected_sequence; /* 409 sequence gap; else 0 */
    int64_t retry_after_s;      /* 429, 503, 507; else 0 */
    int64_t key_expires_us;     /* Idempotency-Expires; 0: none */
    uint64_t position;
    uint64_t rows, duplicates, rejected; /* of a 200 */
    struct slice body;                   /* the JSON of a 200, valid during the callback */
};

/* Decodes on the calling thread (a worker job), commits, and calls `done` exactly once, from this
 * or the log thread. */
void ingest_post(struct ingest *ingest, const struct ingest_request *request,
                 void (*done)(void *context, const struct ingest_answer *answer), void *context);
/* The same on a thread that must not wait, nor be kept by many rows or cells. False where it would
 * be (create, a definition that changes in this moment, a checkpoint or another that has the state
 * of ingest, more rows than the table's columns let through): nothing is stored, `done` is not
 * called, and ingest_post on another thread is what is left. */
MUST_CHECK bool ingest_post_at_once(struct ingest *ingest, const struct ingest_request *request,
                                    void (*done)(void *context, const struct ingest_answer *answer),
                                    void *context);

/* --- COPY … FROM: bytes in any pieces --- */

struct ingest_copy;
struct ingest_copy_options {
    struct slice table; /* this and the lists are copied */
    uint32_t table_id;  /* of ingest_request */
    const uint32_t *column_ids;
    size_t column_count;
    const struct copy_options *format;
    struct slice producer; /* empty: none; with a sequence: all of it is one record, or an error */
    bool has_sequence;
    uint64_t sequence;
    bool is_strict; /* a bad row ends the COPY; else it is a dead letter */
    /* A transaction's: nothing is stored, ingest_copy_take() gives all of it. Charged to the
     * budget, whoever made that releases it. NULL: each part is stored. */
    struct budget *held;
    const _Atomic bool *is_cancelled; /* may be NULL; outlives it */
};
struct ingest_copy_answer {
    uint64_t position; /* of the last record */
    uint64_t rows, rejected, duplicates;
    bool is_repeated;    /* the answer of the first time */
    struct error reason; /* of the first bad row; code OK: there is none */
};
/* Never fails: what is wrong is found when there are rows. Called in worker jobs, each call, by
 * one caller at a time. */
struct ingest_copy *ingest_copy_begin(struct ingest *ingest,
                                      const struct ingest_copy_options *options);
/* Takes all of the bytes, and commits those before them when they are as many as a body may be
 * (limits.body_max): durable and visible when it returns. Waits, COPY_WAIT_US at most, where memory
 * is full (then 53200). After an error every call gives it again; its hint says how many rows are
 * stored by then. */
MUST_CHECK enum err ingest_copy_feed(struct ingest_copy *copy, struct slice bytes,
                                     struct error *error);
/* The rest; all is durable and visible. */
MUST_CHECK enum err ingest_copy_end(struct ingest_copy *copy, struct ingest_copy_answer *out,
                                    struct error *error);
/* Of a COPY that is held, once, after its end. */
struct commit *ingest_copy_take(struct ingest_copy *copy);
/* Due in any case; without ingest_copy_end() what is not yet committed is forgotten. */
void ingest_copy_destroy(struct ingest_copy *copy);
/* Rows that are stored so far. */
uint64_t ingest_copy_stored(const struct ingest_copy *copy);

/* INSERT: rows already typed; source `sql`. Evaluates DEFAULTs of columns not named, checks NOT
 * NULL (23502: refuses all), waits for the commit. */
MUST_CHECK enum err ingest_insert(struct ingest *ingest, const struct schema *schema,
                                  const uint32_t *column_ids, const struct batch *batches,
                                  size_t batch_count, uint64_t *position, uint64_t *row_count,
                                  struct error *error);

/* The same without the commit: the rows and what is noted of them are added to one that is under
 * construction. After an error nothing of `commit` may be stored. */
MUST_CHECK enum err ingest_insert_into(struct ingest *ingest, struct commit *commit,
                                       const struct schema *schema, const uint32_t *column_ids,
                                       const struct batch *batches, size_t batch_count,
                                       uint64_t *row_count, struct error *error);

/* --- DDL: serialized among themselves, each one record, durable when they return --- */
struct ingest_column {
    struct slice name;
    struct type type;
    bool is_not_null;
    struct slice default_text;
    struct expr *default_expr; /* for `missing` of ALTER ADD; may be NULL */
};
struct ingest_option {
    struct slice name, value;
    int32_t text_position;
};
struct ingest_table {
    struct slice name;
    bool if_not_exists;
    size_t column_count;
    const struct ingest_column *columns;
    size_t option_count;
    const struct ingest_option *options;
    /* CREATE TABLE AS: rows of all the columns, in the record that makes the table. */
    size_t batch_count;
    const struct batch *batches;
};
/* *position 0: it was there. */
MUST_CHECK enum err ingest_create_table(struct ingest *ingest, const struct ingest_table *table,
                                        uint64_t *position, struct error *error);
MUST_CHECK enum err ingest_drop_tables(struct ingest *ingest, const struct slice *names,
                                       size_t count, bool if_exists, uint64_t *position,
                                       struct error *error);
/* `asker` may be NULL; 42P01, 42501: of a table that they may not empty. Under the lock that
 * renames take, so of the very tables that are emptied. */
MUST_CHECK enum err ingest_truncate(struct ingest *ingest, const struct slice *names, size_t count,
                                    const struct asker *asker, uint64_t *position,
                                    struct error *error);
MUST_CHECK enum err ingest_add_column(struct ingest *ingest, struct slice table,
                                      const struct ingest_column *column, bool if_not_exists,
                                      uint64_t *position, struct error *error);
MUST_CHECK enum err ingest_drop_column(struct ingest *ingest, struct slice table,
                                       struct slice column, bool if_exists, uint64_t *position,
                                       struct error *error);
struct ingest_rename {
    struct slice name;   /* of a table, view or index */
    struct slice column; /* empty: the relation itself */
    struct slice new_name;
    bool is_view;  /* ALTER VIEW: no table */
    bool is_index; /* ALTER INDEX */
    bool if_exists;
};
/* 42P07, 42701; 2BP01: something else names it that cannot follow. */
MUST_CHECK enum err ingest_rename(struct ingest *ingest, const struct ingest_rename *rename,
                                  uint64_t *position, struct error *error);
struct ingest_index {
    struct slice name; /* empty: <table>_<column>_idx, or with a number behind it */
    struct slice table, column;
    bool if_not_exists;
    int32_t table_position, column_position;
};
MUST_CHECK enum err ingest_create_index(struct ingest *ingest, const struct ingest_index *index,
                                        uint64_t *position, struct error *error);
/* 42704 if there is none of that name. */
MUST_CHECK enum err ingest_drop_indexes(struct ingest *ingest, const struct slice *names,
                                        size_t count, bool if_exists, uint64_t *position,
                                        struct error *error);
/* column empty: the table. comment empty: removed. */
MUST_CHECK enum err ingest_comment(struct ingest *ingest, struct slice table, struct slice column,
                                   struct slice comment, uint64_t *position, struct error *error);

/* --- views: DDL too --- */
enum view_making { VIEW_NEW, VIEW_OR_REPLACE, VIEW_IF_NOT_EXISTS };
/* The id of `view` is given here; everything else was bound by query. 42P07, 42P16, 42P17. */
MUST_CHECK enum err ingest_create_view(struct ingest *ingest, const struct view_definition *view,
                                       enum view_making making, uint64_t *position,
                                       struct error *error);
/* All or none, all of one kind; those that others read only together with these (2BP01). */
MUST_CHECK enum err ingest_drop_views(struct ingest *ingest, const struct slice *names,
                                      size_t count, bool is_materialized, bool if_exists,
                                      uint64_t *position, struct error *error);
/* A copy in the arena; false: no such view. */
bool ingest_find_view(struct ingest *ingest, struct slice name, struct arena *arena,
                      struct view_definition *out);
/* The same by its id. */
bool ingest_get_view(struct ingest *ingest, uint32_t id, struct arena *arena,
                     struct view_definition *out);
/* Copies of all in the arena: how many. */
size_t ingest_list_views(struct ingest *ingest, struct arena *arena, struct view_definition **out);
/* The name of the view that is published so; false: there is none. */
bool ingest_find_endpoint(struct ingest *ingest, struct slice endpoint, struct arena *arena,
                          struct slice *view_name);
/* Grows with each change of a view. */
uint64_t ingest_view_version(struct ingest *ingest);

/* --- subscriptions: DDL too. Those that change a subscription stop its consumer first and return
 * when it stands or runs again. --- */
struct ingest_subscription {
    struct slice name, connection, topic;
    size_t option_count;
    const struct ingest_option *options;
};
MUST_CHECK enum err ingest_create_subscription(struct ingest *ingest,
                                               const struct ingest_subscription *subscription,
                                               uint64_t *position, struct error *error);
enum ingest_alteration { INGEST_ENABLE, INGEST_DISABLE, INGEST_SET, INGEST_CONNECTION };
/* SET takes `options`, CONNECTION `connection`. */
MUST_CHECK enum err ingest_alter_subscription(struct ingest *ingest,
                                              enum ingest_alteration alteration,
                                              const struct ingest_subscription *subscription,
                                              uint64_t *position, struct error *error);
MUST_CHECK enum err ingest_drop_subscription(struct ingest *ingest, struct slice name,
                                             bool if_exists, uint64_t *position,
                                             struct error *error);
/* Consumers of all enabled subscriptions, from now on those of new ones too; and no more. Stopping
 * waits for the batches under way. */
void ingest_start_subscriptions(struct ingest *ingest);
void ingest_stop_subscriptions(struct ingest *ingest);
/* From upkeep: while the disk is low partitions are paused. */
void ingest_set_disk_low(struct ingest *ingest, bool is_low);

/* --- what queries show --- */
/* sources, producers, dead_letters, ledger, drift, watermarks: *count of them. */
const struct table_provider *const *ingest_providers(struct ingest *ingest, size_t *count);
/* For query_engine_options.completeness. */
void ingest_completeness(struct ingest *ingest, const uint32_t *table_ids, size_t count,
                         struct arena *arena, struct completeness *out);
/* Families for /metrics: rows by fate and source, watermark age, late rows, drift, dead letters. */
void ingest_metrics(struct ingest *ingest, struct writer *out);
/* A CREATE TABLE for a sample of input (freshet infer, create=true). Text in the arena. */
MUST_CHECK enum err ingest_infer(struct slice sample, enum ingest_format format, struct slice table,
                                 struct arena *arena, struct slice *out, struct error *error);

#endif
