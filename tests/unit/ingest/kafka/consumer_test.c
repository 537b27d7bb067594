/* A consumer against the library's own broker in this process: from topic to rows, through stops,
 * moved positions and a broker that is not there. Partitions are named, so no group has to form. */
#include "tests/unit/ingest/ingest_harness.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define WAIT_US INT64_C(60000000) /* on a machine that is busy with other things */
#define STEP_NS 5000000

struct broker {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    char connection[256];
};

static void broker_open(struct broker *broker, int partitions)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    broker->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(broker->producer);
    broker->cluster = rd_kafka_mock_cluster_new(broker->producer, 1);
    assert_non_null(broker->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(broker->cluster, "topic", partitions, 1), 0);
    snprintf(broker->connection, sizeof(broker->connection), "kafka://%s",
             rd_kafka_mock_cluster_bootstraps(broker->cluster));
    rd_kafka_brokers_add(broker->producer, rd_kafka_mock_cluster_bootstraps(broker->cluster));
}

static void broker_send(struct broker *broker, int32_t partition, const char *value)
{
    rd_kafka_resp_err_t result =
        rd_kafka_producev(broker->producer, RD_KAFKA_V_TOPIC("topic"),
                          RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)value, strlen(value)),
                          RD_KAFKA_V_KEY("k", 1), RD_KAFKA_V_HEADER("h", "v", 1), RD_KAFKA_V_END);
    assert_int_equal(result, 0);
    assert_int_equal(rd_kafka_flush(broker->producer, 20000), 0);
}

static void broker_close(struct broker *broker)
{
    rd_kafka_mock_cluster_destroy(broker->cluster);
    rd_kafka_destroy(broker->producer);
}

/* As world_open, with the store's own threads and the machine's clock. */
static void open_threaded(struct world *world)
{
    struct error error;
    clock_install(NULL);
    world_close(world);
    assert_int_equal(io_open("plain", world->path, &world->io, &error), OK);
    world->ingest = ingest_create(&world->options);
    struct store_options options = {.io = world->io,
                                    .directory = "",
                                    .log_file_size = 4 << 20,
                                    .rows_memory_limit = world->rows_memory_limit,
                                    .extension = ingest_extension(world->ingest),
                                    .is_threaded = true};
    if (store_open(&options, &world->store, &error) != OK)
        fail_msg("store_open: %s", error.text);
    ingest_attach(world->ingest, world->store);
}

static void await_rows(struct world *world, uint64_t rows)
{
    int64_t end_us = clock_monotonic_us() + WAIT_US;
    while (world_rows(world, "t") != rows) {
        if (clock_monotonic_us() > end_us)
            fail_msg("%llu rows, want %llu", (unsigned long long)world_rows(world, "t"),
                     (unsigned long long)rows);
        while (store_upkeep_run(world->store))
            continue;
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
}

static void await_text(struct world *world, const char *provider, const char *text)
{
    int64_t end_us = clock_monotonic_us() + WAIT_US;
    struct writer out;
    writer_init(&out);
    for (;;) {
        world_print_provider(world, provider, &out);
        if (out.size > 0 && memmem(out.data, out.size, text, strlen(text)) != NULL)
            break;
        if (clock_monotonic_us() > end_us)
            fail_msg("no \"%s\" in %.*s", text, (int)out.size, (const char *)out.data);
        nanosleep(&(struct timespec){.tv_nsec = STEP_NS}, NULL);
    }
    writer_deinit(&out);
}

static void subscribe(struct world *world, const char *connection, const char *start)
{
    const struct ingest_option options[] = {
        {.name = SLICE("table"), .value = SLICE("t")},
        {.name = SLICE("partitions"), .value = SLICE("0-1")},
        {.name = SLICE("start"), .value = slice_from_cstr(start)}};
    struct ingest_subscription subscription = {.name = SLICE("s"),
                                               .connection = slice_from_cstr(connection),
                                               .topic = SLICE("topic"),
                                               .option_count = array_count(options),
                                               .options = options};
    uint64_t position;
    struct error error;
    if (ingest_create_subscription(world->ingest, &subscription, &position, &error) != OK)
        fail_msg("subscribe: %s", error.text);
}

static void alter(struct world *world, enum ingest_alteration alteration, const char *value)
{
    struct ingest_option option = {.name = SLICE("start"), .value = slice_from_cstr(value)};
    struct ingest_subscription subscription = {.name = SLICE("s"),
                                               .connection = slice_from_cstr(value),
                                               .option_count = alteration == INGEST_SET,
                                               .options = &option};
    uint64_t position;
    struct error error;
    if (ingest_alter_subscription(world->ingest, alteration, &subscription, &position, &error) !=
        OK)
        fail_msg("alter: %s", error.text);
}

static void test_topic_to_rows(void **state)
{
    (void)state;
    struct world world;
    struct broker broker;
    uint64_t position;
    struct error error;
    world_init(&world);
    open_threaded(&world);
    broker_open(&broker, 3);
    world_create_table(&world, NULL, 0);
    broker_send(&broker, 0, "{\"ts\":1780000001,\"a\":1}");
    broker_send(&broker, 1, "{\"ts\":1780000002,\"a\":2}");
    broker_send(&broker, 2, "{\"ts\":1780000003,\"a\":3}"); /* not among ours */
    broker_send(&broker, 1, "nonsense");
    subscribe(&world, broker.connection, "earliest");
    assert_int_equal(world_rows(&world, "t"), 0);
    ingest_start_subscriptions(world.ingest);
    await_rows(&world, 2);
    await_text(&world, "dead_letters",
               "\"key\":\"k\",\"headers\":[{\"name\":\"h\",\"value\":\"v\"}]");
    await_text(&world, "sources", "t|s/1|kafka|topic|1|2|2|0|0|");
    alter(&world, INGEST_DISABLE, "");
    broker_send(&broker, 0, "{\"ts\":1780000004,\"a\":4}");
    assert_int_equal(world_rows(&world, "t"), 2);
    alter(&world, INGEST_ENABLE, "");
    await_rows(&world, 3);
    alter(&world, INGEST_SET, "1:0");
    await_rows(&world, 4); /* the good one of partition 1 again, as asked for */
    ingest_stop_subscriptions(world.ingest);
    broker_send(&broker, 0, "{\"ts\":1780000005,\"a\":5}");
    store_close(world.store);
    ingest_destroy(world.ingest);
    world.io->ops->destroy(world.io);
    world_open(&world);
    open_threaded(&world);
    assert_int_equal(world_rows(&world, "t"), 4);
    ingest_start_subscriptions(world.ingest);
    await_rows(&world, 5);
    assert_int_equal(ingest_drop_subscription(world.ingest, SLICE("s"), false, &position, &error),
                     OK);
    broker_send(&broker, 0, "{\"ts\":1780000006,\"a\":6}");
    ingest_stop_subscriptions(world.ingest);
    assert_int_equal(world_rows(&world, "t"), 5);
    broker_close(&broker);
    world_deinit(&world);
}

static void test_start_at_the_end(void **state)
{
    (void)state;
    struct world world;
    struct broker broker;
    world_init(&world);
    open_threaded(&world);
    broker_open(&broker, 2);
    world_create_table(&world, NULL, 0);
    broker_send(&broker, 0, "{\"ts\":1780000001,\"a\":1}");
    ingest_start_subscriptions(world.ingest);
    subscribe(&world, broker.connection, "latest");
    await_text(&world, "sources", "t|s/0|kafka|topic|0|1|1|0|0|");
    broker_send(&broker, 0, "{\"ts\":1780000002,\"a\":2}");
    broker_send(&broker, 1, "{\"ts\":1780000003,\"a\":3}");
    await_rows(&world, 2);
    ingest_stop_subscriptions(world.ingest);
    broker_close(&broker);
    world_deinit(&world);
}

static void test_failures_say_why(void **state)
{
    (void)state;
    struct world world;
    struct broker broker;
    world_init(&world);
    world.options.secrets = "/nonexistent";
    open_threaded(&world);
    broker_open(&broker, 2);
    world_create_table(&world, NULL, 0);
    broker_send(&broker, 0, "{\"ts\":1780000001,\"a\":1}");
    ingest_start_subscriptions(world.ingest);
    subscribe(&world, "kafka://127.0.0.1:1", "earliest");
    await_text(&world, "sources", "|failed|");
    await_text(&world, "subscriptions", "|failed|");
    alter(&world, INGEST_CONNECTION, "kafka://127.0.0.1:1?sasl.password.file=nonexistent");
    await_text(&world, "subscriptions", "the file of \"sasl.password\" is not there");
    alter(&world, INGEST_CONNECTION, broker.connection);
    await_rows(&world, 1);
    await_text(&world, "sources", "|live|");
    alter(&world, INGEST_SET, "0:77");
    await_text(&world, "sources", "does not have the stored offset any more");
    alter(&world, INGEST_SET, "0:0");
    await_rows(&world, 2);
    ingest_stop_subscriptions(world.ingest);
    broker_close(&broker);
    world_deinit(&world);
}

static void create_wide_table(struct world *world, uint32_t column_count)
{
    struct ingest_column columns[128] = {
        {.name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ), .is_not_null = true}};
    char names[128][16];
    uint64_t position;
    struct error error;
    assert_in_range(column_count, 1, array_count(columns));
    for (uint32_t i = 1; i < column_count; i++) {
        snprintf(names[i], sizeof(names[i]), "c%u", i);
        columns[i] =
            (struct ingest_column){.name = slice_from_cstr(names[i]), .type = type_of(TYPE_INT8)};
    }
    struct ingest_table table = {
        .name = SLICE("t"), .column_count = column_count, .columns = columns};
    assert_int_equal(ingest_create_table(world->ingest, &table, &position, &error), OK);
}

/* An array of so many rows, ended by 0. */
static void write_array(struct writer *out, size_t rows)
{
    writer_init(out);
    for (size_t i = 0; i < rows; i++)
        writer_printf(out, "%s{\"ts\":1}", i == 0 ? "[" : ",");
    writer_printf(out, "]%c", 0);
}

/* Messages whose rows take several times the memory, by columns that they do not name: they are
 * stored in pieces as there is room, and the one that never fits is a dead letter. */
static void test_more_rows_than_memory(void **state)
{
    (void)state;
    enum { MESSAGES = 40, ROWS = 1000, ROWS_TOO_MANY = 12000 };
    struct world world;
    struct broker broker;
    struct writer small, large;
    world_init(&world);
    world.rows_memory_limit = 8 << 20; /* 10,485 rows of 100 columns */
    open_threaded(&world);
    broker_open(&broker, 2);
    create_wide_table(&world, 100);
    write_array(&small, ROWS);
    write_array(&large, ROWS_TOO_MANY);
    for (int i = 0; i < MESSAGES; i++)
        broker_send(&broker, i % 2, i == 7 ? (const char *)large.data : (const char *)small.data);
    subscribe(&world, broker.connection, "earliest");
    ingest_start_subscriptions(world.ingest);
    await_rows(&world, (MESSAGES - 1) * ROWS);
    await_text(&world, "dead_letters", "take more than all the memory for rows");
    ingest_stop_subscriptions(world.ingest);
    writer_deinit(&small);
    writer_deinit(&large);
    broker_close(&broker);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topic_to_rows),
        cmocka_unit_test(test_start_at_the_end),
        cmocka_unit_test(test_failures_say_why),
        cmocka_unit_test(test_more_rows_than_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
