/* The least that reading a topic costs: a bare librdkafka loop that consumes every partition from
 * its beginning to the end it finds, looks at nothing and keeps nothing. What Freshet spends on the
 * same topic is compared with this (bench/kafka).
 *
 *   kafka_drain HOST:PORT TOPIC [--as-freshet]   one line of JSON: events, bytes, CPU and wall
 *                                                seconds
 *
 * The consumer's settings are librdkafka's own (read_committed among them, checksums of messages
 * unchecked). --as-freshet: those of a subscription, made by the function that makes them there,
 * and the allocator's of the server, so that what differs is what is done with the messages.
 * Messages are taken in batches, which is the cheapest call. What is counted begins with the
 * assignment: no group is joined. */
#include "ingest/kafka/client.h"
#include "storage/base/clock.h"
#include "storage/base/slice.h"

#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_MAX 4096
#define TIMEOUT_MS 30000
#define IDLE_ROUNDS_MAX 60

struct drain {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    int partition_count, partitions_at_end;
    uint64_t events, bytes;
};

static void fail(const char *what)
{
    fprintf(stderr, "kafka_drain: %s\n", what);
    exit(1);
}

static rd_kafka_conf_t *library_settings(const char *bootstrap)
{
    char text[256];
    const char *const settings[][2] = {
        {"bootstrap.servers", bootstrap},      {"group.id", "kafka-drain"},
        {"isolation.level", "read_committed"}, {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"}, {"enable.partition.eof", "true"}};
    rd_kafka_conf_t *configuration = rd_kafka_conf_new();
    for (size_t index = 0; index < array_count(settings); index++)
        if (rd_kafka_conf_set(configuration, settings[index][0], settings[index][1], text,
                              sizeof(text)) != RD_KAFKA_CONF_OK)
            fail(text);
    return configuration;
}

static rd_kafka_conf_t *freshet_settings(const char *bootstrap)
{
    struct error error;
    struct subscription_definition definition = {.group = SLICE("kafka-drain")};
    struct connection connection = {.brokers = slice_from_cstr(bootstrap)};
    rd_kafka_conf_t *configuration;
    if (client_configure(&definition, &connection, NULL, &configuration, &error) != OK)
        fail(error.text);
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* as the server's main.c */
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
    return configuration;
}

static rd_kafka_t *client_create(rd_kafka_conf_t *configuration)
{
    char text[256];
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, configuration, text, sizeof(text));
    if (client == NULL)
        fail(text);
    rd_kafka_poll_set_consumer(client);
    return client;
}

static int assign_all(rd_kafka_t *client, const char *name)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    if (rd_kafka_metadata(client, 0, topic, &metadata, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        metadata->topic_cnt != 1 || metadata->topics[0].partition_cnt == 0)
        fail("no such topic");
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(count);
    for (int partition = 0; partition < count; partition++)
        rd_kafka_topic_partition_list_add(list, name, partition)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    if (rd_kafka_assign(client, list) != RD_KAFKA_RESP_ERR_NO_ERROR)
        fail("cannot assign");
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(topic);
    return count;
}

static void drain_all(struct drain *drain)
{
    static rd_kafka_message_t *messages[BATCH_MAX];
    int idle = 0;
    while (drain->partitions_at_end < drain->partition_count) {
        ssize_t count = rd_kafka_consume_batch_queue(drain->queue, 500, messages, BATCH_MAX);
        if (count < 0)
            fail("consuming failed");
        idle = count == 0 ? idle + 1 : 0;
        if (idle > IDLE_ROUNDS_MAX)
            fail("the topic does not end");
        for (ssize_t index = 0; index < count; index++) {
            if (messages[index]->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                drain->partitions_at_end++;
            } else if (messages[index]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                drain->events++;
                drain->bytes += messages[index]->len;
            }
            rd_kafka_message_destroy(messages[index]);
        }
    }
}

int main(int argument_count, char **arguments)
{
    bool is_as_freshet = argument_count == 4 && strcmp(arguments[3], "--as-freshet") == 0;
    if (argument_count != 3 && !is_as_freshet)
        fail("usage: kafka_drain HOST:PORT TOPIC [--as-freshet]");
    struct drain drain = {.client = client_create(is_as_freshet ? freshet_settings(arguments[1])
                                                                : library_settings(arguments[1]))};
    drain.queue = rd_kafka_queue_get_consumer(drain.client);
    int64_t begin_us = clock_monotonic_us(), cpu_us = clock_process_cpu_us();
    drain.partition_count = assign_all(drain.client, arguments[2]);
    drain_all(&drain);
    cpu_us = clock_process_cpu_us() - cpu_us;
    double wall_s = (double)(clock_monotonic_us() - begin_us) / 1e6;
    printf("{\"events\": %llu, \"bytes\": %llu, \"cpu_s\": %.3f, \"wall_s\": %.3f}\n",
           (unsigned long long)drain.events, (unsigned long long)drain.bytes, (double)cpu_us / 1e6,
           wall_s);
    rd_kafka_queue_destroy(drain.queue);
    rd_kafka_consumer_close(drain.client);
    rd_kafka_destroy(drain.client);
    return 0;
}
