/* What a session says of itself: the state and error of its subscription, how far its partitions
 * are read and what they hold, and for the broker's tools, once a second, the offsets. */
#include "ingest/kafka/session.h"

#include "ingest/internal.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"

#include <stdarg.h>
#include <stdio.h>

#define PUBLISH_US INT64_C(100000)
#define TELL_BROKER_US MICROSECONDS_PER_SECOND
#define KEEP_REACHED_US (60 * MICROSECONDS_PER_SECOND)
#define PROBE_US (2 * MICROSECONDS_PER_SECOND)

struct subscription *session_lock(struct consumer *c)
{
    mutex_lock(&c->ingest->lock);
    return subscriptions_get(&c->ingest->subscriptions, c->id);
}

void session_unlock(struct consumer *c)
{
    mutex_unlock(&c->ingest->lock);
}

void session_set_state(struct consumer *c, enum subscription_state state, const char *text)
{
    if (state == SUBSCRIPTION_FAILED && text != NULL)
        logger_write(LOG_WARN, "subscription failed name=%.*s reason=\"%s\"",
                     SLICE_ARGS(c->definition.name), text);
    else if (state == SUBSCRIPTION_RUNNING && c->state == SUBSCRIPTION_FAILED)
        logger_write(LOG_INFO, "subscription goes on name=%.*s", SLICE_ARGS(c->definition.name));
    c->state = state;
    struct subscription *subscription = session_lock(c);
    if (subscription != NULL) {
        subscription->state = state;
        if (text != NULL)
            snprintf(subscription->last_error, sizeof(subscription->last_error), "%s", text);
        subscription->counts.errors += state == SUBSCRIPTION_FAILED && text != NULL;
    }
    session_unlock(c);
}

/* The session cannot go on; the first reason stays. */
void session_fail(struct consumer *c, const char *format, ...)
{
    if (c->failure[0] != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->failure, sizeof(c->failure), format, arguments);
    va_end(arguments);
}

/* A reason that is no fault: the session ends and the next begins at once. */
void session_renew(struct consumer *c)
{
    c->is_ending = true;
}

void session_set_paused(struct consumer *c, bool is_paused)
{
    struct subscription *subscription = session_lock(c);
    for (size_t i = 0; subscription != NULL && i < c->watch_count; i++) {
        struct subscription_partition *partition =
            subscription_find(subscription, c->watches[i].partition);
        if (partition != NULL)
            partition->is_paused = is_paused;
    }
    if (subscription != NULL && is_paused) {
        subscription->counts.pauses++;
        metric_mark(&metrics.backpressure_at);
    }
    session_unlock(c);
}

/* --- at times --- */

/* Nothing in hand, nothing under way. */
static bool session_is_settled(struct consumer *c)
{
    return c->count == 0 && !intake_is_busy(c->intake);
}

/* What the broker's partitions hold, and how far they are read where nothing is in hand. */
void session_publish(struct consumer *c)
{
    bool settled = session_is_settled(c);
    for (size_t i = 0; i < c->watch_count; i++) {
        int64_t low, high = NO_OFFSET;
        (void)rd_kafka_get_watermark_offsets(c->client, c->topic, c->watches[i].partition, &low,
                                             &high);
        struct subscription *subscription = session_lock(c);
        struct subscription_partition *partition =
            subscription == NULL ? NULL : subscription_find(subscription, c->watches[i].partition);
        if (partition != NULL && high >= 0)
            partition->end_offset = high;
        if (partition != NULL && settled && c->watches[i].reached > partition->reached_offset)
            partition->reached_offset = c->watches[i].reached;
        session_unlock(c);
    }
}

static int64_t position_of(struct consumer *c, const struct watch *watch)
{
    int64_t next = intake_next(c->intake, watch->partition);
    return session_is_settled(c) && watch->reached > next ? watch->reached : next;
}

rd_kafka_topic_partition_list_t *session_untold(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->watch_count);
    for (size_t i = 0; i < c->watch_count; i++) {
        struct watch *watch = &c->watches[i];
        int64_t position = position_of(c, watch);
        if (position == watch->told || position == NO_OFFSET)
            continue;
        rd_kafka_topic_partition_list_add(list, c->topic, watch->partition)->offset = position;
        watch->told = position;
    }
    return list;
}

/* For the broker's tools. */
static void tell_broker(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = session_untold(c);
    if (list->cnt > 0)
        (void)rd_kafka_commit(c->client, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Where only markers and aborted messages follow, the position moves without rows, so that what is
 * stored never falls behind what the broker still has. */
void session_keep_reached(struct consumer *c)
{
    struct error error;
    if (!session_is_settled(c) || c->watch_count == 0)
        return;
    struct intake_position *positions = memory_alloc(c->watch_count * sizeof(*positions));
    size_t count = 0;
    for (size_t i = 0; i < c->watch_count; i++)
        if (c->watches[i].reached > intake_next(c->intake, c->watches[i].partition))
            positions[count++] = (struct intake_position){.partition = c->watches[i].partition,
                                                          .offset = c->watches[i].reached};
    if (count > 0 && intake_place(c->intake, positions, count, false, &error) != OK)
        session_fail(c, "positions could not be kept: %s", error.text);
    memory_free(positions);
}

/* Is the broker there again? */
static void probe(struct consumer *c)
{
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(c->client, 0, NULL, &metadata, 500) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    rd_kafka_metadata_destroy(metadata);
    session_set_state(c, SUBSCRIPTION_RUNNING, NULL);
}

void session_report(struct consumer *c)
{
    int64_t now_us = clock_monotonic_us();
    if (now_us >= c->published_at_us + PUBLISH_US) {
        session_publish(c);
        c->published_at_us = now_us;
    }
    if (now_us >= c->told_at_us + TELL_BROKER_US && c->state == SUBSCRIPTION_RUNNING) {
        tell_broker(c);
        c->told_at_us = now_us;
    }
    if (now_us >= c->kept_at_us + KEEP_REACHED_US) {
        session_keep_reached(c);
        c->kept_at_us = now_us;
    }
    if (c->state == SUBSCRIPTION_FAILED && now_us >= c->probed_at_us + PROBE_US) {
        probe(c);
        c->probed_at_us = now_us;
    }
}
