/* Fetching goes on when the library's queue has room again.
 *
 * With a full queue the library (2.0.2) asks for nothing more, and its thread sleeps until its
 * round of a second ends: reading the queue empty wakes nobody. A topic with lag then moves by one
 * queue a second. A request to a partition's leader wakes the thread of that leader, which then
 * looks at the queue too, so the leaders are asked where their partitions end as soon as the queue
 * is half empty. The answers are not waited for: the library drops what comes for a question that
 * is over. Leaders that it does not know it looks for by itself. */
#include "ingest/kafka/session.h"

#include "storage/base/fault.h"

#include <stdlib.h>

static size_t option_of(rd_kafka_t *client, const char *name)
{
    char text[32];
    size_t size = sizeof(text);
    if (rd_kafka_conf_get(rd_kafka_conf(client), name, text, &size) != RD_KAFKA_CONF_OK)
        return 0;
    return (size_t)strtoull(text, NULL, 10);
}

void session_watch_queue(struct consumer *c)
{
    c->queue_messages_max = option_of(c->client, "queued.min.messages");
    c->queue_bytes_max = option_of(c->client, "queued.max.messages.kbytes") << 10;
    c->was_queue_full = false;
}

static void wake_leaders(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->watch_count);
    for (size_t i = 0; i < c->watch_count; i++)
        rd_kafka_topic_partition_list_add(list, c->topic, c->watches[i].partition)->offset =
            RD_KAFKA_OFFSET_END;
    if (list->cnt > 0)
        (void)rd_kafka_offsets_for_times(c->client, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* So many messages, each as large as those in hand are on average: of what the queue takes before
 * the library stops, 1 is all. */
static double fill_of(const struct consumer *c, size_t count)
{
    double mean = (double)c->bytes / (double)c->count;
    double by_count = (double)count / (double)c->queue_messages_max;
    double by_bytes = (double)count * mean / (double)c->queue_bytes_max;
    return by_count > by_bytes ? by_count : by_bytes;
}

void session_refill(struct consumer *c)
{
    if (c->count == 0 || fault_is("kafka.no_refill"))
        return;
    size_t left = rd_kafka_queue_length(c->queue);
    if (fill_of(c, left + c->count) >= 0.75)
        c->was_queue_full = true;
    if (!c->was_queue_full || fill_of(c, left) > 0.5)
        return;
    c->was_queue_full = false;
    wake_leaders(c);
}
