/* What the files of ingest/ share: the state that rides on commit records, and who guards it. */
#ifndef FRESHET_INGEST_INTERNAL_H
#define FRESHET_INGEST_INTERNAL_H

#include "ingest/definition.h"
#include "ingest/ingest.h"
#include "ingest/section.h"
#include "ingest/state/dead_letters.h"
#include "ingest/state/drift.h"
#include "ingest/state/index.h"
#include "ingest/state/keys.h"
#include "ingest/state/ledger.h"
#include "ingest/state/producers.h"
#include "ingest/state/sources.h"
#include "ingest/state/subscriptions.h"
#include "ingest/state/views.h"
#include "storage/base/thread.h"

#define NAME_SIZE_MAX 128 /* producers and idempotency keys, bytes */
#define TABLES_MAX 4096

struct table_state {
    uint32_t id;
    bool is_dropped;   /* only its ledger is still shown */
    struct slice name; /* owned */
    struct sources sources;
    struct producers producers;
    struct keys keys;
    struct ledger ledger;
    struct drift drift;
    uint64_t dead_rows;
    struct definition *definition; /* of the newest version seen by a request; NULL: none yet */
};

/* A (table, producer) or (table, key) whose request is between check and commit. */
struct flight {
    uint32_t table_id;
    bool is_key;
    struct hash128 name;
    struct flight *next;
};
#define FLIGHT_BUCKETS 1024

#define SPARE_ARENAS 16
#define SPARE_ARENA_SIZE_MAX ((size_t)4 << 20)

struct ingest {
    struct ingest_options options;
    struct store *store;
    struct mutex ddl;  /* one DDL statement at a time; taken before `lock` */
    struct mutex lock; /* everything below */
    struct table_state **tables;
    uint32_t table_count, table_capacity;
    struct index table_index; /* by id */
    struct dead_letters dead;
    struct subscriptions subscriptions;
    struct views views;
    _Atomic uint64_t view_version; /* grows with each change of a view */
    uint64_t applied_position;
    struct flight *flights[FLIGHT_BUCKETS];
    _Atomic size_t copy_bytes; /* held by COPYs under way; relaxed: a sum */
    struct runner *runner;     /* kafka/runner.c: the consumers' threads; guarded by `ddl` */
    _Atomic bool is_disk_low;  /* relaxed: a hint from upkeep */
    int64_t expired_at_us;     /* when ingest_tick last looked for what is too old */
    struct mutex spare_lock;   /* the two below; nothing is taken while it is held */
    struct arena spare[SPARE_ARENAS];
    size_t spare_count; /* memory of requests that are done, for those to come */
    struct table_provider providers[8];
    const struct table_provider *provider_list[8];
};

/* An empty arena, warm if there is one; giving it back ends what is in it. */
struct arena ingest_take_arena(struct ingest *ingest);
void ingest_give_arena(struct ingest *ingest, struct arena *arena);

/* With the lock held. */
struct table_state *ingest_find_table(struct ingest *ingest, uint32_t table_id); /* NULL: none */
struct table_state *ingest_get_table(struct ingest *ingest, uint32_t table_id, struct slice name);

/* One reference of the ready definition of a schema, from the cache where it is there. Takes the
 * lock. */
/* Rows as INSERT has them, with what is told of them, into a record. ingest/insert.c */
MUST_CHECK enum err insert_add(struct commit *commit, struct definition *definition,
                               const struct schema *schema, const uint32_t *column_ids,
                               const struct batch *batches, size_t batch_count, uint64_t *row_count,
                               struct error *error);
MUST_CHECK enum err ingest_definition(struct ingest *ingest, const struct schema *schema,
                                      struct definition **out, struct error *error);
/* A reference of a table's newest visible definition; NULL if there is no such table. */
const struct schema *ingest_schema(struct ingest *ingest, struct slice name);
const struct schema *ingest_schema_by_id(struct ingest *ingest, uint32_t table_id);
/* 42P01 with the name. */
enum err ingest_no_table(struct slice name, struct error *error);
/* Commits a changed copy of a definition; takes over the reference. `ddl` is held. */
MUST_CHECK enum err ingest_commit_altered(struct ingest *ingest, struct schema *altered,
                                          uint64_t *position, struct error *error);
/* Is it the name of an index that somebody made (not of one by rule)? */
bool ingest_is_index(struct ingest *ingest, struct slice name);
/* Takes the lock. */
bool ingest_is_view(struct ingest *ingest, struct slice name);
/* 42809 for a view, else 42P01. Takes the lock. */
enum err ingest_not_a_table(struct ingest *ingest, struct slice name, struct error *error);
/* 2BP01 if a view reads the table; `what` and `name` are what would be dropped. Takes the lock. */
MUST_CHECK enum err ingest_check_readers(struct ingest *ingest, uint32_t table_id, const char *what,
                                         struct slice name, struct error *error);
void views_init_provider(struct ingest *ingest, struct table_provider *out);
/* Fills ingest->providers. */
void ingest_init_providers(struct ingest *ingest);

/* Names of a CREATE TABLE from a sample; `columns` in the arena. */
MUST_CHECK enum err infer_columns(struct slice sample, enum ingest_format format,
                                  struct arena *arena, struct ingest_column **columns,
                                  size_t *count, struct slice *time_column, struct error *error);
/* ALTER INDEX … RENAME TO, with `ddl` held. */
MUST_CHECK enum err index_rename(struct ingest *ingest, const struct ingest_rename *rename,
                                 uint64_t *position, struct error *error);
/* The next column of an order_by ("country, ts desc"), without its quotes, and what stands behind
 * it; false at the end. */
bool options_next_order(struct slice *list, struct slice *name, struct slice *direction);
/* Parses the options of a table into a schema under construction (columns are there). */
MUST_CHECK enum err options_apply(struct schema *schema, const struct ingest_option *options,
                                  size_t count, struct error *error);

#endif
