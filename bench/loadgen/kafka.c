/* The sender that goes through Kafka: one thread, one idempotent librdkafka producer with lz4, open
 * loop.
 *
 * Event k is due at start + k / rate whatever broker and server do; its delivery counts from then
 * until the broker acknowledged it. What is late in being produced (the producer's queue is full
 * because the broker is slow) shows as backlog. Marker rows for freshness go down the same topic,
 * among the events, and are asked for over HTTP (probe.c): from the call that produces one until a
 * query sees it.
 *
 * After the last event the thread waits until the server's ledger has received exactly what the
 * broker acknowledged, and says how far behind it was and how long that took.
 *
 * Partitions are librdkafka's choice (sticky batches of rows without key), as for most producers.
 */
#include "bench/loadgen/event.h"
#include "bench/loadgen/loadgen.h"
#include "storage/base/clock.h"

#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERY_TIMEOUT_MS 60000
#define ADMIN_TIMEOUT_MS 30000
#define DRAIN_TIMEOUT_US INT64_C(300000000)
#define ASSIGNMENT_TIMEOUT_US INT64_C(20000000)
#define BURST_MAX 2000 /* events between two looks at deliveries */

struct producer {
    struct loadgen *loadgen;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct event_generator *generator;
    uint64_t produced; /* events; markers are not among them */
    int64_t marker_due_us;
    int64_t received_before; /* rows of the topic that the ledger had at the start */
    uint64_t out_of_order, late, malformed;
};

/* --- the client --- */

static bool configure(rd_kafka_conf_t *configuration, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(configuration, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK)
        return true;
    fprintf(stderr, "freshet-bench: %s: %s\n", name, text);
    return false;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct loadgen_totals *totals = &((struct loadgen *)opaque)->totals;
    (void)client;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        if (total_get(&totals->undelivered_rows) == 0)
            fprintf(stderr, "freshet-bench: not delivered: %s\n", rd_kafka_err2str(message->err));
        total_add(&totals->undelivered_rows, 1);
        return;
    }
    total_add(&totals->delivered_rows, 1);
    histogram_record(&totals->delivery_us,
                     (uint64_t)(clock_monotonic_us() - (int64_t)(intptr_t)message->_private));
}

static rd_kafka_t *client_create(const struct loadgen *loadgen)
{
    char text[256];
    rd_kafka_conf_t *configuration = rd_kafka_conf_new();
    rd_kafka_conf_set_opaque(configuration, (void *)(uintptr_t)loadgen);
    rd_kafka_conf_set_dr_msg_cb(configuration, on_delivery);
    rd_kafka_conf_set_log_cb(configuration, NULL); /* what matters fails a delivery */
    static const char *const settings[][2] = {{"enable.idempotence", "true"},
                                              {"compression.type", "lz4"},
                                              {"linger.ms", "2"},
                                              {"batch.size", "262144"},
                                              {"queue.buffering.max.messages", "200000"},
                                              {"queue.buffering.max.kbytes", "262144"},
                                              {"sticky.partitioning.linger.ms", "2"},
                                              {"message.timeout.ms", "60000"}};
    bool is_good = configure(configuration, "bootstrap.servers", loadgen->options.kafka);
    for (size_t index = 0; index < array_count(settings) && is_good; index++)
        is_good = configure(configuration, settings[index][0], settings[index][1]);
    rd_kafka_t *client =
        is_good ? rd_kafka_new(RD_KAFKA_PRODUCER, configuration, text, sizeof(text)) : NULL;
    if (client != NULL)
        return client;
    if (is_good)
        fprintf(stderr, "freshet-bench: %s\n", text);
    rd_kafka_conf_destroy(configuration);
    return NULL;
}

/* --- topic and subscription --- */

static bool topic_result(rd_kafka_event_t *event)
{
    size_t count = 0;
    if (event == NULL) {
        fprintf(stderr, "freshet-bench: the broker does not answer\n");
        return false;
    }
    const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
    const rd_kafka_topic_result_t **topics =
        result != NULL ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
    if (count == 0) {
        fprintf(stderr, "freshet-bench: %s\n", rd_kafka_event_error_string(event));
        return false;
    }
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(topics[0]);
    if (err == RD_KAFKA_RESP_ERR_NO_ERROR || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return true;
    fprintf(stderr, "freshet-bench: %s\n", rd_kafka_topic_result_error_string(topics[0]));
    return false;
}

bool kafka_prepare_topic(const struct loadgen *loadgen)
{
    char text[256];
    rd_kafka_t *client = client_create(loadgen);
    if (client == NULL)
        return false;
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(
        loadgen->options.topic, loadgen->options.partitions, 1, text, sizeof(text));
    bool is_good = topic != NULL;
    if (!is_good) {
        fprintf(stderr, "freshet-bench: %s\n", text);
    } else {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
        rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ADMIN_TIMEOUT_MS);
        is_good = topic_result(event);
        if (event != NULL)
            rd_kafka_event_destroy(event);
        rd_kafka_queue_destroy(queue);
        rd_kafka_NewTopic_destroy(topic);
    }
    rd_kafka_destroy(client);
    return is_good;
}

static int64_t assigned_partitions(const struct loadgen *loadgen)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM freshet.sources WHERE kind = 'kafka' AND topic = '%s' AND "
             "state IN ('live', 'idle')",
             loadgen->options.topic);
    return control_number(loadgen, sql);
}

bool kafka_subscribe(const struct loadgen *loadgen)
{
    const struct loadgen_options *options = &loadgen->options;
    char sql[1024], answer[1024];
    snprintf(sql, sizeof(sql),
             "CREATE SUBSCRIPTION %s CONNECTION 'kafka://%s' PUBLICATION %s WITH (table = '%s', "
             "format = 'json', start = 'earliest')",
             options->subscription, options->kafka, options->topic, options->table);
    if (!control_sql_or(loadgen, sql, "42710", answer, sizeof(answer)))
        return false;
    /* The first group session of a broker takes seconds: no part of what is measured. */
    int64_t give_up_us = clock_monotonic_us() + ASSIGNMENT_TIMEOUT_US;
    while (assigned_partitions(loadgen) < 1) {
        if (clock_monotonic_us() > give_up_us) {
            fprintf(stderr, "freshet-bench: the subscription has no partition yet\n");
            return true;
        }
        clock_sleep_us(50000);
    }
    return true;
}

/* --- producing --- */

static bool produce(struct producer *producer, const char *line, size_t size, int64_t due_us)
{
    struct loadgen_totals *totals = &producer->loadgen->totals;
    if (rd_kafka_produce(producer->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                         (void *)(uintptr_t)line, size, NULL, 0, (void *)(intptr_t)due_us) != 0)
        return false;
    total_add(&totals->sent_rows, 1);
    total_add(&totals->sent_bytes, size);
    total_add(&totals->produced_rows, 1);
    return true;
}

static int64_t event_due_us(const struct producer *producer, uint64_t event)
{
    const struct loadgen_options *options = &producer->loadgen->options;
    double rate = options->rate * loadgen_kafka_share(options);
    if (rate <= 0)
        return clock_monotonic_us();
    return producer->loadgen->start_us + (int64_t)((double)event / rate * 1e6);
}

static bool is_over(const struct producer *producer, int64_t due_us)
{
    const struct loadgen_options *options = &producer->loadgen->options;
    if (atomic_load_explicit(&producer->loadgen->is_stopping, memory_order_relaxed))
        return true;
    if (options->events > 0)
        return producer->produced >= options->events - loadgen_http_events(options);
    return due_us >= producer->loadgen->start_us + (int64_t)options->seconds * 1000000;
}

static void produce_marker(struct producer *producer, int64_t now_us)
{
    struct loadgen *loadgen = producer->loadgen;
    struct marker *marker = &loadgen->kafka_marker;
    uint64_t number = atomic_load(&marker->number);
    char line[160];
    if (loadgen->options.freshness_ms == 0 || loadgen->options.is_produce_only ||
        now_us < producer->marker_due_us || atomic_load(&marker->seen) < number)
        return;
    if (number == 0)
        atomic_store(&marker->run, (uint64_t)clock_wall_us());
    number++;
    int64_t event_us = clock_wall_us();
    int size = snprintf(line, sizeof(line),
                        "{\"ts\":%" PRId64 ",\"event\":\"marker\",\"user_id\":-%" PRIu64 "}",
                        event_us, atomic_load(&marker->run) + number);
    atomic_store(&marker->sent_us, clock_monotonic_us());
    atomic_store(&marker->event_us, event_us);
    if (!produce(producer, line, (size_t)size, atomic_load(&marker->sent_us)))
        return;
    atomic_store(&marker->number, number);
    producer->marker_due_us = now_us + loadgen->options.freshness_ms * INT64_C(1000);
}

/* Produces what is due, at most BURST_MAX events; false when the producer's queue is full. */
static bool produce_due(struct producer *producer, int64_t now_us)
{
    const struct loadgen_options *options = &producer->loadgen->options;
    struct random_stream *random = event_generator_random(producer->generator);
    int64_t wall_us = clock_wall_us();
    char line[EVENT_LINE_MAX];
    for (int burst = 0; burst < BURST_MAX; burst++) {
        int64_t due_us = event_due_us(producer, producer->produced);
        if ((options->rate > 0 && due_us > now_us) || is_over(producer, due_us))
            return true;
        bool is_bad =
            options->share_malformed > 0 && random_unit(random) < options->share_malformed;
        uint64_t out_of_order = 0, late = 0;
        int64_t ts_us =
            load_event_time(producer->generator, options, wall_us, &out_of_order, &late);
        size_t size = is_bad ? event_write_malformed(producer->generator, ts_us, line)
                             : event_write(producer->generator, ts_us, line);
        if (!produce(producer, line, size - 1 /* its newline */, due_us))
            return false;
        producer->produced++;
        producer->malformed += is_bad;
        producer->out_of_order += out_of_order;
        producer->late += late;
    }
    return true;
}

static void produce_all(struct producer *producer)
{
    const struct loadgen_options *options = &producer->loadgen->options;
    for (;;) {
        int64_t now_us = clock_monotonic_us();
        int64_t due_us = event_due_us(producer, producer->produced);
        if (is_over(producer, due_us))
            return;
        produce_marker(producer, now_us);
        bool has_room = produce_due(producer, now_us);
        int64_t wait_us = event_due_us(producer, producer->produced) - clock_monotonic_us();
        if (options->rate > 0) {
            double behind = (double)-wait_us * options->rate * loadgen_kafka_share(options) / 1e6;
            atomic_store_explicit(&producer->loadgen->totals.kafka_backlog,
                                  behind > 1 ? (uint64_t)behind : 0, memory_order_relaxed);
        }
        bool is_idle = options->rate > 0 && wait_us > 0;
        rd_kafka_poll(producer->client, has_room && !is_idle ? 0 : 1);
    }
}

/* --- what became of it --- */

static int64_t received_rows(const struct loadgen *loadgen)
{
    char sql[512];
    snprintf(sql, sizeof(sql),
             "SELECT coalesce(sum(received), 0)::bigint FROM freshet.ledger WHERE table_name = "
             "'%s' AND source LIKE '%s/%%'",
             loadgen->options.table, loadgen->options.subscription);
    return control_number(loadgen, sql);
}

static void drain(struct producer *producer)
{
    struct loadgen_totals *totals = &producer->loadgen->totals;
    int64_t begin_us = clock_monotonic_us();
    bool is_first = true;
    rd_kafka_flush(producer->client, DELIVERY_TIMEOUT_MS);
    if (producer->loadgen->options.is_produce_only)
        return;
    while (clock_monotonic_us() - begin_us < DRAIN_TIMEOUT_US) {
        int64_t received = received_rows(producer->loadgen) - producer->received_before;
        int64_t lag = (int64_t)total_get(&totals->delivered_rows) - received;
        if (is_first)
            atomic_store(&totals->lag_at_stop, lag > 0 ? (uint64_t)lag : 0);
        is_first = false;
        atomic_store(&totals->consumed_rows, received > 0 ? (uint64_t)received : 0);
        if (lag <= 0)
            break;
        clock_sleep_us(2000);
    }
    atomic_store(&totals->drain_us, (uint64_t)(clock_monotonic_us() - begin_us));
}

void kafka_run(void *context)
{
    struct loadgen *loadgen = context;
    struct loadgen_totals *totals = &loadgen->totals;
    struct producer producer = {.loadgen = loadgen, .client = client_create(loadgen)};
    if (producer.client == NULL) {
        total_add(&totals->failed, 1);
        atomic_store(&loadgen->is_stopping, true);
        return;
    }
    producer.topic = rd_kafka_topic_new(producer.client, loadgen->options.topic, NULL);
    /* Not the events of the HTTP sender again. */
    producer.generator =
        event_generator_create(loadgen->options.seed + 1000003, loadgen->options.line_size);
    if (!loadgen->options.is_produce_only)
        producer.received_before = received_rows(loadgen);
    if (loadgen_kafka_share(&loadgen->options) == 1)
        loadgen->start_us = clock_monotonic_us();
    produce_all(&producer);
    drain(&producer);
    total_add(&totals->out_of_order_rows, producer.out_of_order);
    total_add(&totals->late_rows, producer.late);
    total_add(&totals->malformed_rows, producer.malformed);
    rd_kafka_topic_destroy(producer.topic);
    rd_kafka_destroy(producer.client);
    event_generator_destroy(producer.generator);
}
