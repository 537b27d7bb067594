/* The end of a client, in bounded time for whoever waits.
 *
 *   told ── commit ── leave the group ── destroy ─▶ ended
 *     within PATIENCE_US: joined          later: forgotten, it goes on by itself
 *
 * Each of the steps waits for the broker or for the library's threads, and none of the library's
 * calls takes a time to give up at: a broker that is connected and silent holds a commit for a
 * minute, and librdkafka 2.0.2 never finishes destroying a client whose topic was deleted (a count
 * of references, mended in 2.1.0). Whoever stops a consumer holds the lock of all DDL, so the steps
 * have a thread of their own that can be left behind. It has nothing of the consumer but the
 * client: rebalances come as events to a queue here, not by the callback. What is lost with a
 * client that never ends is its memory and its threads, asleep.
 *
 * The same is lost with a client that must not be destroyed. Between the group's answer to its join
 * and its first assignment the state of the sticky assignor is not there yet, and 2.0.2 asserts
 * that it is (librdkafka's issue 4312, mended in 2.3.0): the process would end. The consumer waits
 * for the assignment, which is on its way; where it does not come the client is left behind. */
#include "ingest/kafka/session.h"

#include "storage/base/clock.h"
#include "storage/base/logger.h"

#define PATIENCE_US (5 * MICROSECONDS_PER_SECOND)
#define POLL_MS 100
#define STACK_SIZE ((size_t)256 << 10)

struct farewell {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;               /* of its messages; NULL: none */
    rd_kafka_topic_partition_list_t *told; /* offsets for the broker; NULL: none */
    bool was_assigned;                     /* by the group */
    bool must_answer;                      /* a rebalance waits for an answer */
    bool must_leave;                       /* the group; else the broker is away */
    struct mutex lock;
    struct condition ended;
    bool has_ended, is_forgotten;
};

static void give_up_partitions(rd_kafka_t *client, rd_kafka_event_t *event)
{
    rd_kafka_error_t *failed = NULL;
    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS)
        failed = rd_kafka_incremental_unassign(client, rd_kafka_event_topic_partition_list(event));
    else
        (void)rd_kafka_assign(client, NULL);
    if (failed != NULL)
        rd_kafka_error_destroy(failed);
}

static void leave(rd_kafka_t *client)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_error_t *failed = rd_kafka_consumer_close_queue(client, queue);
    while (failed == NULL && !rd_kafka_consumer_closed(client)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, POLL_MS);
        if (event == NULL)
            continue;
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            give_up_partitions(client, event);
        rd_kafka_event_destroy(event);
    }
    if (failed != NULL)
        rd_kafka_error_destroy(failed);
    rd_kafka_queue_destroy(queue);
}

static void farewell_destroy(struct farewell *farewell)
{
    condition_deinit(&farewell->ended);
    mutex_deinit(&farewell->lock);
    memory_free(farewell);
}

bool session_is_between(rd_kafka_t *client, bool was_assigned)
{
    if (was_assigned)
        return false;
    char *id = rd_kafka_memberid(client);
    bool is_member = id != NULL && id[0] != 0;
    if (id != NULL)
        rd_kafka_mem_free(client, id);
    return is_member;
}

static void farewell_run(void *context)
{
    struct farewell *farewell = context;
    bool is_between = session_is_between(farewell->client, farewell->was_assigned);
    if (farewell->must_answer)
        (void)rd_kafka_assign(farewell->client, NULL);
    if (farewell->told != NULL) {
        if (farewell->told->cnt > 0)
            (void)rd_kafka_commit(farewell->client, farewell->told, 0);
        rd_kafka_topic_partition_list_destroy(farewell->told);
    }
    if (farewell->must_leave)
        leave(farewell->client);
    if (farewell->queue != NULL)
        rd_kafka_queue_destroy(farewell->queue);
    is_between |= session_is_between(farewell->client, farewell->was_assigned);
    if (!is_between)
        rd_kafka_destroy_flags(farewell->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    else
        logger_write(LOG_WARN, "a client of Kafka was never assigned anything and is left behind");
    mutex_lock(&farewell->lock);
    farewell->has_ended = true;
    bool is_forgotten = farewell->is_forgotten;
    condition_signal(&farewell->ended);
    mutex_unlock(&farewell->lock);
    if (is_forgotten)
        farewell_destroy(farewell);
}

void session_say_farewell(struct consumer *c, rd_kafka_topic_partition_list_t *told,
                          bool must_leave)
{
    struct farewell *farewell = memory_alloc_zero(sizeof(*farewell));
    *farewell = (struct farewell){.client = c->client,
                                  .queue = c->queue,
                                  .told = told,
                                  .was_assigned = c->was_assigned,
                                  .must_answer = c->rebalances != NULL,
                                  .must_leave = must_leave};
    mutex_init(&farewell->lock);
    condition_init(&farewell->ended);
    session_drop_rebalances(c);
    c->client = NULL;
    c->queue = NULL;
    struct thread *thread = thread_start(&(struct thread_options){.name = "kafka-farewell",
                                                                  .stack_size = STACK_SIZE,
                                                                  .run = farewell_run,
                                                                  .context = farewell});
    int64_t end_us = clock_monotonic_us() + PATIENCE_US;
    mutex_lock(&farewell->lock);
    for (int64_t now_us = clock_monotonic_us(); !farewell->has_ended && now_us < end_us;
         now_us = clock_monotonic_us())
        (void)condition_wait_for(&farewell->ended, &farewell->lock, end_us - now_us);
    bool has_ended = farewell->has_ended;
    farewell->is_forgotten = !has_ended;
    mutex_unlock(&farewell->lock);
    if (has_ended) {
        thread_join(thread);
        farewell_destroy(farewell);
        return;
    }
    thread_forget(thread);
    logger_write(LOG_WARN, "a client of Kafka does not end and is left behind subscription=%.*s",
                 SLICE_ARGS(c->definition.name));
}
