/* Subscriptions: topics that flow into tables, and how far each partition has been stored. What
 * lasts changes by records only; what the running consumer says of itself stands beside it.
 * Guarded by the owner's lock. */
#ifndef FRESHET_INGEST_STATE_SUBSCRIPTIONS_H
#define FRESHET_INGEST_STATE_SUBSCRIPTIONS_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"

#define SUBSCRIPTIONS_MAX 256
#define SUBSCRIPTION_PARTITIONS_MAX 10000
#define NO_OFFSET (-1)

/* As CREATE and ALTER leave it; texts as written. */
struct subscription_definition {
    uint32_t table_id;
    bool is_enabled;
    struct slice name, table, connection, topic, format, group, start, map, partitions;
};

/* Texts in the arena. */
void subscription_definition_copy(const struct subscription_definition *from, struct arena *arena,
                                  struct subscription_definition *out);

struct subscription_position {
    int32_t partition;
    int64_t expected; /* what must be the next offset before; NO_OFFSET: whatever it is */
    int64_t next;
};

/* How far back the lag of a partition is remembered. */
#define LAG_MINUTES 10

struct subscription_partition {
    int32_t partition;
    int64_t next_offset; /* the first message that is not stored; NO_OFFSET: not decided yet */
    /* Not kept: */
    int64_t submitted_offset; /* with what is on its way into the log */
    uint32_t generation;      /* of its assignment: what was read under an older one is refused */
    bool is_assigned, is_paused;
    int64_t reached_offset; /* the broker has nothing for us before this; NO_OFFSET: not known */
    int64_t end_offset;     /* of the partition; NO_OFFSET: not known */
    int64_t message_at_us;  /* time of the last message read; INT64_MIN: none */
    int64_t moved_at_us;    /* when its next offset last grew, or it was assigned */
    int64_t lag_minute;     /* of the last sample; 0: none */
    int64_t lag_samples[LAG_MINUTES + 1]; /* by minute; NO_OFFSET: not known */
};

enum subscription_state { SUBSCRIPTION_STOPPED, SUBSCRIPTION_RUNNING, SUBSCRIPTION_FAILED };

struct subscription_counts { /* since the server started */
    uint64_t messages, bytes, batches, gaps, refused, errors, rebalances, pauses;
};

struct subscription {
    uint32_t id;
    bool is_initialised;                       /* the start option has been turned into positions */
    struct subscription_definition definition; /* texts in `texts` */
    char *texts;
    struct subscription_partition *partitions; /* by number */
    uint32_t partition_count, partition_capacity;
    /* Not kept: */
    enum subscription_state state;
    char last_error[256];
    struct subscription_counts counts;
};

struct subscriptions {
    struct subscription **list;
    uint32_t count, capacity;
    uint32_t next_id;
};

void subscriptions_deinit(struct subscriptions *subscriptions); /* a zeroed one is empty */
/* NULL if there is none. */
struct subscription *subscriptions_find(const struct subscriptions *subscriptions,
                                        struct slice name);
struct subscription *subscriptions_get(const struct subscriptions *subscriptions, uint32_t id);
struct subscription_partition *subscription_find(const struct subscription *subscription,
                                                 int32_t partition);
/* Messages that the partition holds for us and that are not stored; NO_OFFSET: not known. */
int64_t subscription_lag(const struct subscription_partition *partition);
/* Remembers the lag of each partition once a minute; to be called at least so often. */
void subscriptions_sample_lag(struct subscriptions *subscriptions, int64_t now_us);
/* The lag now less what it was LAG_MINUTES ago; false if that is not known. */
bool subscription_lag_change(const struct subscription_partition *partition, int64_t *out);

/* --- records: FORMAT.md, kinds 3 and 4 --- */
struct subscription_change {
    enum { SUBSCRIPTION_PUT = 1, SUBSCRIPTION_DROP = 2 } kind;
    uint32_t id;
    bool is_reset; /* PUT: forget every position; `start` decides again */
    struct subscription_definition definition; /* PUT */
    size_t position_count;                     /* PUT: partitions that are moved */
    const struct subscription_position *positions;
};
void subscription_write_change(struct writer *out, const struct subscription_change *change);
MUST_CHECK enum err subscriptions_apply_change(struct subscriptions *subscriptions,
                                               struct slice bytes, struct error *error);

struct subscription_offsets {
    uint32_t id;
    bool is_initialised; /* from this record on */
    size_t count;
    const struct subscription_position *positions;
};
void subscription_write_offsets(struct writer *out, const struct subscription_offsets *offsets);
/* *moved: positions that were not where the record expected them (0 unless something is broken). */
MUST_CHECK enum err subscriptions_apply_offsets(struct subscriptions *subscriptions,
                                                struct slice bytes, int64_t at_us, uint64_t *moved,
                                                struct error *error);

/* --- checkpoints --- */
void subscriptions_write(const struct subscriptions *subscriptions, struct writer *out);
bool subscriptions_read(struct subscriptions *subscriptions, struct reader *reader);

#endif
