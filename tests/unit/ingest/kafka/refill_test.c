/* Waking the library's fetching: asks the leaders once for a queue that was full, and never for one
 * that was not. Against the library's own broker in this process; what is asked is counted where
 * the library sends it. */
#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "ingest/kafka/session.h"

#define WAIT_MS 60000
#define STEP_NS 2000000
#define MESSAGES 12
#define VALUE_SIZE 2048
#define LIST_OFFSETS 2 /* the protocol's number of the request */

static struct consumer c;
static _Atomic int asked; /* requests of that kind; relaxed: counted, nothing else */
static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;

static rd_kafka_resp_err_t on_request(rd_kafka_t *client, int socket, const char *broker,
                                      int32_t broker_id, int16_t kind, int16_t version,
                                      int32_t number, size_t size, void *opaque)
{
    (void)client, (void)socket, (void)broker, (void)broker_id;
    (void)version, (void)number, (void)size, (void)opaque;
    if (kind == LIST_OFFSETS)
        atomic_fetch_add_explicit(&asked, 1, memory_order_relaxed);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *opaque,
                                  char *text, size_t size)
{
    (void)conf, (void)opaque, (void)text, (void)size;
    return rd_kafka_interceptor_add_on_request_sent(client, "count", on_request, NULL);
}

static int open_broker(void **state)
{
    (void)state;
    static char value[VALUE_SIZE];
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(producer);
    cluster = rd_kafka_mock_cluster_new(producer, 1);
    assert_non_null(cluster);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, "topic", 1, 1), 0);
    rd_kafka_brokers_add(producer, rd_kafka_mock_cluster_bootstraps(cluster));
    for (int i = 0; i < MESSAGES; i++) { /* each a batch of its own: a fetch brings one */
        assert_int_equal(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC("topic"),
                                           RD_KAFKA_V_PARTITION(0),
                                           RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                           RD_KAFKA_V_VALUE(value, VALUE_SIZE), RD_KAFKA_V_END),
                         0);
        assert_int_equal(rd_kafka_flush(producer, WAIT_MS), 0);
    }
    return 0;
}

static int close_broker(void **state)
{
    (void)state;
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(producer);
    return 0;
}

/* Reads from the topic's beginning, with one of the library's settings changed. */
static void open_client(const char *name, const char *value)
{
    static struct watch watch = {.partition = 0};
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *const settings[][2] = {
        {"bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster)},
        {"group.id", "g"},
        {"log_level", "0"},
        {name, value}};
    for (size_t i = 0; i < array_count(settings); i++)
        assert_int_equal(
            rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof(text)),
            RD_KAFKA_CONF_OK);
    rd_kafka_conf_interceptor_add_on_new(conf, "count", on_new, NULL);
    c.client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    assert_non_null(c.client);
    rd_kafka_poll_set_consumer(c.client);
    c.queue = rd_kafka_queue_get_consumer(c.client);
    snprintf(c.topic, sizeof(c.topic), "topic");
    c.watches = &watch;
    c.watch_count = 1;
    session_watch_queue(&c);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, "topic", 0)->offset = 0;
    assert_int_equal(rd_kafka_assign(c.client, list), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(list);
    int64_t low, high; /* the leader is known, as that of a session's partitions is */
    assert_int_equal(rd_kafka_query_watermark_offsets(c.client, "topic", 0, &low, &high, WAIT_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    atomic_store_explicit(&asked, 0, memory_order_relaxed);
}

static void close_client(void)
{
    rd_kafka_queue_destroy(c.queue);
    rd_kafka_consumer_close(c.client);
    rd_kafka_destroy(c.client);
}

/* As the consumer does, a message at a time. */
static void read_all(void)
{
    for (int i = 0; i < MESSAGES; i++) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(c.queue, WAIT_MS);
        assert_non_null(message);
        assert_int_equal(message->err, RD_KAFKA_RESP_ERR_NO_ERROR);
        assert_int_equal(message->offset, i);
        c.count = 1;
        c.bytes = message->len;
        session_refill(&c);
        rd_kafka_message_destroy(message);
        c.count = c.bytes = 0;
        session_refill(&c); /* with nothing in hand: nothing */
    }
}

/* How often it was asked, behind all that was put on its way: a question of ours is two requests,
 * and they leave in order. */
static int count_asked(void)
{
    static const int ours = 2;
    int64_t low, high;
    assert_int_equal(rd_kafka_query_watermark_offsets(c.client, "topic", 0, &low, &high, WAIT_MS),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(high, MESSAGES);
    return atomic_fetch_sub_explicit(&asked, ours, memory_order_relaxed) - ours;
}

static void test_a_full_queue_is_asked_for_again(void **state)
{
    (void)state;
    static const char *const full[] = {"queued.max.messages.kbytes", "queued.min.messages"};
    for (size_t i = 0; i < array_count(full); i++) {
        open_client(full[i], "1");
        read_all();
        assert_in_range(count_asked(), 1, MESSAGES);
        close_client();
    }
}

static void test_a_queue_with_room_is_left_alone(void **state)
{
    (void)state;
    open_client("queued.min.messages", "100000");
    read_all();
    assert_int_equal(count_asked(), 0);
    assert_false(c.was_queue_full);
    close_client();
}

/* Full, then more than half full, then less: one question, at the end. */
static void test_it_waits_for_half_of_the_room(void **state)
{
    (void)state;
    open_client("queued.min.messages", "100000");
    rd_kafka_message_t *first = rd_kafka_consume_queue(c.queue, WAIT_MS);
    assert_non_null(first); /* and with it what the library puts in front */
    rd_kafka_message_destroy(first);
    while (rd_kafka_queue_length(c.queue) < MESSAGES - 1)
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    const struct {
        size_t taken, max;
        bool waits, asks;
    } steps[] = {{1, 100, false, false}, /* 12 of 100 */
                 {12, 31, false, false}, /* 23 of 31 */
                 {12, 30, false, true},  /* 23 of 30, and 11 are left */
                 {1, 16, true, false},   /* 12 of 16, and 11 are left */
                 {1, 21, true, false},   {1, 22, false, true}};
    int expected = 0;
    for (size_t i = 0; i < 2 * array_count(steps); i++) {
        size_t step = i / 2;
        bool by_bytes = i % 2 == 1;
        if (by_bytes) /* once more from where it stood before */
            c.was_queue_full = step > 0 && steps[step - 1].waits;
        c.count = steps[step].taken;
        c.bytes = c.count * VALUE_SIZE;
        c.queue_messages_max = by_bytes ? 100000 : steps[step].max;
        c.queue_bytes_max = (by_bytes ? steps[step].max : 100000) * VALUE_SIZE;
        session_refill(&c);
        assert_int_equal(c.was_queue_full, steps[step].waits);
        expected += steps[step].asks;
        assert_int_equal(count_asked(), expected);
    }
    close_client();
}

static void test_planted(void **state)
{
    (void)state;
    fault_plant("kafka.no_refill");
    open_client("queued.max.messages.kbytes", "1000");
    c.queue_messages_max = 1;
    read_all();
    assert_int_equal(count_asked(), 0); /* what the first test would find */
    close_client();
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_queue_is_asked_for_again),
        cmocka_unit_test(test_a_queue_with_room_is_left_alone),
        cmocka_unit_test(test_it_waits_for_half_of_the_room),
        cmocka_unit_test(test_planted),
    };
    return cmocka_run_group_tests(tests, open_broker, close_broker);
}
