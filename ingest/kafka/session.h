/* What the files of a consumer share: one session with the broker. Internal to ingest/kafka; all
 * calls are the consumer's thread's, the library's callbacks among them. */
#ifndef FRESHET_INGEST_KAFKA_SESSION_H
#define FRESHET_INGEST_KAFKA_SESSION_H

#include "ingest/kafka/connection.h"
#include "ingest/kafka/intake.h"
#include "ingest/state/subscriptions.h"
#include "storage/base/thread.h"

#include <librdkafka/rdkafka.h>

/* A partition of this session's assignment. */
struct watch {
    int32_t partition;
    int64_t reached; /* the broker said: nothing before this that is not delivered; NO_OFFSET */
    int64_t told;    /* what the broker's group was told last */
};

/* What the group wants of us, noted in the library's callback and answered between two reads. */
struct rebalance {
    struct rebalance *next;
    rd_kafka_resp_err_t event;
    bool is_lost; /* the partitions may be another's already */
    rd_kafka_topic_partition_list_t *partitions;
};

struct consumer {
    struct ingest *ingest;
    uint32_t id;
    struct thread *thread;
    struct mutex lock; /* of must_stop's waiting */
    struct condition wake;
    _Atomic bool must_stop; /* relaxed: looked at in every round */
    /* The session's: */
    struct arena arena;
    struct subscription_definition definition;
    char topic[256];
    struct connection connection;
    struct intake *intake;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    bool is_joined;    /* member of the group, or partitions assigned by name */
    bool was_assigned; /* by the group, once at least */
    bool has_stored;   /* something: the next back-off is short again */
    bool is_ending;
    struct rebalance *rebalances; /* not answered yet, oldest first */
    enum subscription_state state;
    char failure[256]; /* why the session ends; empty: it does not */
    struct watch *watches;
    size_t watch_count, watch_capacity;
    /* In hand: */
    rd_kafka_message_t *raw[INTAKE_MESSAGES_MAX];
    struct kafka_message messages[INTAKE_MESSAGES_MAX];
    size_t count, bytes;
    size_t batch_bytes; /* this much is enough to store */
    /* With this much in its queue the library stops fetching: */
    size_t queue_messages_max, queue_bytes_max;
    bool was_queue_full; /* since its leaders were woken last */
    int64_t published_at_us, told_at_us, kept_at_us, probed_at_us; /* monotonic */
};

static inline bool session_must_stop(struct consumer *c)
{
    return atomic_load_explicit(&c->must_stop, memory_order_relaxed);
}
static inline bool session_is_over(const struct consumer *c)
{
    return c->failure[0] != 0 || c->is_ending;
}

/* --- progress.c --- */
/* With ingest->lock until session_unlock; NULL if it was dropped. */
struct subscription *session_lock(struct consumer *c);
void session_unlock(struct consumer *c);
/* text NULL: the last error stays. */
void session_set_state(struct consumer *c, enum subscription_state state, const char *text);
/* The session cannot go on; the first reason stays. */
void session_fail(struct consumer *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* No fault: the session ends and the next begins at once. */
void session_renew(struct consumer *c);
void session_set_paused(struct consumer *c, bool is_paused);
void session_publish(struct consumer *c);
/* Offsets that the broker's group has not been told; the caller's, as told from now on. */
rd_kafka_topic_partition_list_t *session_untold(struct consumer *c);
void session_keep_reached(struct consumer *c);
void session_report(struct consumer *c); /* each of these when it is time */

/* --- assignment.c --- */
struct watch *session_find_watch(struct consumer *c, int32_t partition);
bool session_list_partitions(struct consumer *c, int32_t **out, size_t *count);
void session_place(struct consumer *c, const int32_t *partitions, size_t count);
void session_join(struct consumer *c, const int32_t *partitions, size_t count);
/* The library's callback: notes what is wanted and returns. */
void session_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                          rd_kafka_topic_partition_list_t *partitions, void *opaque);
/* Answers what was noted; may wait for the batch under way, or ask the broker for offsets. */
void session_answer_rebalances(struct consumer *c);
void session_drop_rebalances(struct consumer *c); /* without an answer */
/* Nothing is read any more: ends and lags are not known. */
void session_unseat(struct consumer *c);

/* --- refill.c --- */
void session_watch_queue(struct consumer *c); /* of a new client */
/* After each read, with what was read in hand: wakes the library if its queue was full and has room
 * again. Does not wait. */
void session_refill(struct consumer *c);

/* --- farewell.c --- */
/* The group has answered the client's join, but has assigned nothing yet. */
bool session_is_between(rd_kafka_t *client, bool was_assigned);
/* Takes the client and `told` (may be NULL), tells, leaves the group if asked to, and destroys;
 * waits some seconds, no longer. */
void session_say_farewell(struct consumer *c, rd_kafka_topic_partition_list_t *told,
                          bool must_leave);

/* --- consumer.c --- */
void session_drop_partition(struct consumer *c,
                            int32_t partition);     /* its part of what is in hand */
void session_sleep(struct consumer *c, int64_t us); /* or until a stop is asked for */

#endif
