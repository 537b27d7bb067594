/* Messages of a subscription's partitions become rows, exactly once. Knows no Kafka library: a
 * consumer (or a test) gives messages and says which partitions it was assigned.
 *
 *   intake_open ─▶ intake_place (first contact: positions) ─▶ intake_assign ─▶ decode ─▶ submit …
 *                                                                  ▲                       │
 *                                          intake_revoke ◀─────────┴── a batch that failed ┘
 *
 * One owner thread. */
#ifndef FRESHET_INGEST_KAFKA_INTAKE_H
#define FRESHET_INGEST_KAFKA_INTAKE_H

#include "ingest/ingest.h"

struct kafka_message {
    int32_t partition;
    int64_t offset;
    int64_t timestamp_us;    /* INT64_MIN: none */
    bool has_key, has_value; /* without a value: a tombstone */
    bool is_too_large;       /* for this server: a dead letter as a whole */
    struct slice key, value; /* borrowed until the batch is submitted */
    const void *origin;      /* the giver's: `headers` is called with it, for dead letters only */
};

/* A header's value may be missing. */
typedef void (*kafka_header_each)(void *context, struct slice name, struct slice value,
                                  bool has_value);

struct intake_options {
    struct ingest *ingest;
    struct slice subscription;                                                  /* its name */
    void (*headers)(const void *origin, kafka_header_each each, void *context); /* NULL: none */
};

struct intake;
/* ERR_NOT_FOUND (42704) if there is no such subscription. */
MUST_CHECK enum err intake_open(const struct intake_options *options, struct intake **out,
                                struct error *error);
/* Waits for what is under way and revokes what is assigned. */
void intake_close(struct intake *intake);

/* --- positions --- */
/* Has the option `start` been turned into positions? Partitions that appear later begin at their
 * earliest message. */
bool intake_is_placed(struct intake *intake);
/* The first message that is not stored; -1: the partition has no position yet. */
int64_t intake_next(struct intake *intake, int32_t partition);
struct intake_position {
    int32_t partition;
    int64_t offset;
};
/* Makes positions durable without rows: first contact, new partitions, and the end of what a
 * partition holds (markers of transactions have offsets too). Partitions that are further on stay
 * where they are. is_placed: see above. Waits. */
MUST_CHECK enum err intake_place(struct intake *intake, const struct intake_position *positions,
                                 size_t count, bool is_placed, struct error *error);

/* --- assignment --- */
/* Opens a new generation of a partition that has a position and gives that position: where to read
 * from. What was read before is refused from now on. -1: it has no position. */
int64_t intake_assign(struct intake *intake, int32_t partition);
/* Waits for the batch under way; then nothing read under this assignment is taken any more. */
void intake_revoke(struct intake *intake, int32_t partition);

/* --- batches --- */
#define INTAKE_MESSAGES_MAX 65536
#define INTAKE_BYTES_MAX ((size_t)4 << 20)

struct intake_batch;
/* Makes rows, dead letters, counts and new positions of the messages (any mix of partitions, each
 * partition's in order; of partitions not assigned: passed over). While it runs one earlier batch
 * may be on its way. ERR_NOT_FOUND: the table or the subscription is gone. ERR_LIMIT: the memory
 * for rows has no room for so many now (53200), or with nothing else in it (54000). *out is NULL if
 * nothing is left to store. */
MUST_CHECK enum err intake_decode(struct intake *intake, const struct kafka_message *messages,
                                  size_t count, struct intake_batch **out, struct error *error);
void intake_batch_destroy(struct intake_batch *batch); /* only if not submitted; NULL is fine */
/* Waits for the batch before, then gives this one to the log and returns; it is freed in every
 * case. After an error nothing of it is stored:
 *   ERR_CANCELLED (40001)  refused: a position or the assignment moved since it was read
 *   ERR_NOT_FOUND (42P01)  the table's definition changed: decode the messages again
 *   ERR_LIMIT, ERR_SPACE   memory or disk is full: wait
 *   others                 the batch before failed, or the log did
 * After any error but NOT_FOUND the partitions must be assigned anew: what was read since the
 * stored positions has to be read again. */
MUST_CHECK enum err intake_submit(struct intake *intake, struct intake_batch *batch,
                                  struct error *error);
/* Waits until nothing is under way; the error of the batch that was, given once. */
MUST_CHECK enum err intake_wait(struct intake *intake, struct error *error);
/* Is a batch under way? */
bool intake_is_busy(struct intake *intake);

#endif
