/* One thread a subscription, over librdkafka (2.0.2 in Debian 12).
 *
 *   ┌─▶ session_open ── place ── subscribe or assign ─▶ read ─▶ store ─▶ read …
 *   │                                                    │        │
 *   └── back-off ◀── session_close ◀── anything doubtful ┴────────┘        stop ─▶ session_close
 *
 * Positions are ours: given with the partitions, never read back from the group; offsets are
 * committed to the broker once a second so that its tools can show lag. Whatever leaves doubt about
 * what the library will deliver next (a failed batch, a long pause, a lost assignment) ends the
 * session: a new client reads from the stored positions and there is nothing old in its queues.
 * That costs a second and keeps clear of the library's faults around seek, pause and resume.
 *
 * Without room (rows' memory, disk) messages are held and not read on: the library's queue is
 * bounded, so fetching stops by itself. After HOLD_US the partitions are paused and the group is
 * answered, and when there is room again a new session begins.
 *
 * Reading waits for the first message, then for LINGER_MS more: records of some hundred messages
 * cost the log little, and nobody sees the 3 ms. One batch is decoded while the one before is being
 * written. A batch is about 2 MB: of more rows more share a text, which the log thread looks up
 * once for all of them (a sixth of its time against 1 MB), and the record is a piece of the log
 * where it lies. Decoding reads a message, making the record reads it again: of larger batches it
 * has left the core's cache then. Where the log is slow, batches grow, since each waits for the one
 * before. */
#include "ingest/kafka/consumer.h"

#include "ingest/internal.h"
#include "ingest/kafka/client.h"
#include "ingest/kafka/session.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <stdio.h>

#define POLL_MS 100
#define LINGER_MS 3
#define LINGER_MESSAGES 2048 /* enough to go on at once */
#define ASSIGNMENT_PATIENCE_US (4 * MICROSECONDS_PER_SECOND)
#define BACK_OFF_FIRST_US MICROSECONDS_PER_SECOND
#define BACK_OFF_MAX_US (30 * MICROSECONDS_PER_SECOND)
#define HOLD_US (5 * MICROSECONDS_PER_SECOND) /* so long may a rebalance wait for us */
#define HOLD_STEP_US INT64_C(20000)
#define DEFINITION_TRIES 50
/* With its last message a little under what a commit's buffer has room for, so that it is kept. */
#define BATCH_BYTES_MIN (((size_t)2 << 20) - ((size_t)64 << 10))
#define LOG_SLOW_US INT64_C(20000) /* waited for the batch before: the next is larger */
#define LOG_QUICK_US INT64_C(5000)
static_assert(BATCH_BYTES_MIN <= INTAKE_BYTES_MAX, "batches grow from least to most");
#define TIMESTAMP_MS_MAX INT64_C(253402300799999) /* the year 9999 */
#define STACK_SIZE ((size_t)1 << 20)
#define NICE 5 /* behind the log and the reactor */

/* --- messages in hand --- */

/* The first of what is in hand. */
static void drop_first(struct consumer *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        c->bytes -= c->messages[i].value.size + c->messages[i].key.size;
        rd_kafka_message_destroy(c->raw[i]);
    }
    c->count -= count;
    memmove(c->raw, c->raw + count, c->count * sizeof(*c->raw));
    memmove(c->messages, c->messages + count, c->count * sizeof(*c->messages));
}

static void session_drop(struct consumer *c)
{
    drop_first(c, c->count);
    assert(c->bytes == 0);
}

void session_drop_partition(struct consumer *c, int32_t partition)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (c->messages[i].partition == partition) {
            c->bytes -= c->messages[i].value.size + c->messages[i].key.size;
            rd_kafka_message_destroy(c->raw[i]);
            continue;
        }
        c->raw[kept] = c->raw[i];
        c->messages[kept++] = c->messages[i];
    }
    c->count = kept;
}

/* What was read is not stored: it will be read again, and the ends that were seen behind it are not
 * ours to move to. */
static void session_give_up(struct consumer *c)
{
    session_drop(c);
    for (size_t i = 0; i < c->watch_count; i++)
        c->watches[i].reached = NO_OFFSET;
}

static void give_headers(const void *origin, kafka_header_each each, void *context)
{
    rd_kafka_headers_t *headers;
    /* Parsed on the first call, which writes into the message. */
    rd_kafka_message_t *message = (rd_kafka_message_t *)(uintptr_t)origin;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        each(context, slice_from_cstr(name), slice_of(value, value == NULL ? 0 : size),
             value != NULL);
}

static void take_error(struct consumer *c, const rd_kafka_message_t *message)
{
    struct watch *watch = session_find_watch(c, message->partition);
    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (watch != NULL)
            watch->reached = message->offset;
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        session_fail(c,
                     "partition %d: the broker does not have the stored offset any more (%s); "
                     "ALTER SUBSCRIPTION … SET (start = …) moves it",
                     (int)message->partition, rd_kafka_message_errstr(message));
        return;
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        session_set_state(c, SUBSCRIPTION_FAILED, rd_kafka_message_errstr(message));
        return; /* the library goes on trying */
    default:
        session_fail(c, "%s", rd_kafka_message_errstr(message));
    }
}

static void take_message(struct consumer *c, rd_kafka_message_t *raw)
{
    if (raw->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_error(c, raw);
        rd_kafka_message_destroy(raw);
        return;
    }
    rd_kafka_timestamp_type_t kind;
    int64_t at_ms = rd_kafka_message_timestamp(raw, &kind);
    bool has_time =
        kind != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && at_ms >= 0 && at_ms <= TIMESTAMP_MS_MAX;
    c->raw[c->count] = raw;
    c->messages[c->count] = (struct kafka_message){
        .partition = raw->partition,
        .offset = raw->offset,
        .timestamp_us = has_time ? at_ms * 1000 : INT64_MIN,
        .has_key = raw->key != NULL,
        .has_value = raw->payload != NULL,
        .key = slice_of(raw->key, raw->key == NULL ? 0 : raw->key_len),
        .value = slice_of(raw->payload, raw->payload == NULL ? 0 : raw->len),
        .origin = raw,
    };
    c->count++;
    c->bytes += c->messages[c->count - 1].value.size + c->messages[c->count - 1].key.size;
}

/* --- storing --- */

/* Memory and disk, before work is spent; what the store says when asked in earnest comes after. */
static bool has_room(struct consumer *c)
{
    struct store_status status;
    store_status(c->ingest->store, &status);
    return !status.is_failed && status.rows_memory_used + c->bytes < status.rows_memory_limit &&
           !atomic_load_explicit(&c->ingest->is_disk_low, memory_order_relaxed);
}

void session_sleep(struct consumer *c, int64_t us)
{
    mutex_lock(&c->lock);
    if (!session_must_stop(c))
        (void)condition_wait_for(&c->wake, &c->lock, us);
    mutex_unlock(&c->lock);
}

/* Decodes the first of what is in hand and gives it to the log. NOT_FOUND: by another definition.
 */
static enum err try_store(struct consumer *c, size_t count, struct error *error)
{
    struct intake_batch *batch;
    enum err err = intake_decode(c->intake, c->messages, count, &batch, error);
    if (err != OK || batch == NULL)
        return err;
    int64_t begin_us = clock_monotonic_us();
    err = intake_wait(c->intake, error);
    int64_t waited_us = clock_monotonic_us() - begin_us;
    if (waited_us > LOG_SLOW_US && c->batch_bytes <= INTAKE_BYTES_MAX / 2)
        c->batch_bytes *= 2;
    else if (waited_us < LOG_QUICK_US && c->batch_bytes > BATCH_BYTES_MIN)
        c->batch_bytes /= 2;
    if (err != OK) {
        intake_batch_destroy(batch);
        session_fail(c, "a batch could not be stored: %s", error->text);
        return err;
    }
    return intake_submit(c->intake, batch, error);
}

/* Until there is room; false: it took too long, or we are to stop. */
static bool await_room(struct consumer *c)
{
    int64_t end_us = clock_monotonic_us() + HOLD_US;
    if (has_room(c))
        return true;
    session_set_paused(c, true);
    bool has = false;
    while (!has && !session_must_stop(c) && clock_monotonic_us() < end_us) {
        session_sleep(c, HOLD_STEP_US);
        has = has_room(c);
    }
    if (has)
        session_set_paused(c, false);
    return has;
}

/* Paused but polling, until there is room. */
static void suspend(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    session_give_up(c);
    session_set_paused(c, true);
    if (rd_kafka_assignment(c->client, &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)rd_kafka_pause_partitions(c->client, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    while (!session_must_stop(c) && !has_room(c) && c->failure[0] == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(c->client, POLL_MS);
        if (message != NULL)
            rd_kafka_message_destroy(message); /* the next session reads it again */
        session_answer_rebalances(c);
    }
    session_set_paused(c, false);
    session_renew(c);
}

/* The memory has no room for the rows of so many messages: half as many are tried next. A single
 * one that it never has room for stands in nobody's way. False: there may be room later. */
static bool take_less(struct consumer *c, size_t *share, const struct error *error)
{
    bool is_for_good = strcmp(error->sqlstate, "54000") == 0;
    if (*share > 1)
        *share /= 2;
    else if (is_for_good && !c->messages[0].is_too_large)
        c->messages[0].is_too_large = true;
    else
        return false;
    return is_for_good;
}

/* What is in hand goes to the log, as a rule at once, or the session ends. */
static void session_store(struct consumer *c)
{
    struct error error = {0};
    enum err err = OK;
    int64_t held_us = 0;
    size_t share = c->count;
    for (int tries = 0; c->count > 0 && !session_is_over(c);) {
        if (held_us > HOLD_US || !await_room(c)) {
            suspend(c);
            return;
        }
        share = share < c->count ? share : c->count;
        err = try_store(c, share, &error);
        if (err == OK) {
            drop_first(c, share);
            c->has_stored = true;
            share *= 2;
        } else if (err == ERR_NOT_FOUND && ++tries < DEFINITION_TRIES) {
            session_sleep(c, HOLD_STEP_US); /* a changed definition becomes visible */
        } else if (err == ERR_CANCELLED) {
            session_renew(c);
        } else if (err == ERR_LIMIT && take_less(c, &share, &error)) {
            continue;
        } else if (err == ERR_LIMIT || err == ERR_SPACE) {
            if (session_must_stop(c)) { /* they are read again at the next start */
                session_give_up(c);
                return;
            }
            session_set_paused(c, true);
            session_sleep(c, HOLD_STEP_US);
            session_set_paused(c, false);
            held_us += HOLD_STEP_US;
        } else {
            session_fail(c, "%s", error.text);
        }
    }
}

/* --- the library's other words --- */

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct consumer *c = opaque;
    char text[256];
    switch ((rd_kafka_resp_err_t)code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        code = rd_kafka_fatal_error(client, text, sizeof(text));
        session_fail(c, "%s: %s", rd_kafka_err2name((rd_kafka_resp_err_t)code), text);
        return;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        snprintf(text, sizeof(text), "%s", reason);
        session_set_state(c, SUBSCRIPTION_FAILED, text);
        return;
    default: {
        struct subscription *subscription = session_lock(c);
        if (subscription != NULL)
            subscription->counts.errors++;
        session_unlock(c);
        logger_write(LOG_DEBUG, "kafka subscription=%.*s reason=\"%s\"",
                     SLICE_ARGS(c->definition.name), reason);
    }
    }
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level; /* what matters comes as an error too */
    logger_write(LOG_DEBUG, "kafka facility=%s text=\"%s\"", facility, text);
}

/* --- a session --- */

static void session_open(struct consumer *c)
{
    struct error error;
    char text[512];
    rd_kafka_conf_t *conf;
    struct subscription *subscription = session_lock(c);
    if (subscription != NULL)
        subscription_definition_copy(&subscription->definition, &c->arena, &c->definition);
    session_unlock(c);
    snprintf(c->topic, sizeof(c->topic), "%.*s", SLICE_ARGS(c->definition.topic));
    struct intake_options options = {
        .ingest = c->ingest, .subscription = c->definition.name, .headers = give_headers};
    enum err err = connection_parse(c->definition.connection, &c->arena, &c->connection, &error);
    if (err == OK)
        err = client_configure(&c->definition, &c->connection, c->ingest->options.secrets, &conf,
                               &error);
    if (err != OK) {
        session_fail(c, "%s", error.text);
        return;
    }
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_rebalance_cb(conf, session_on_rebalance);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    c->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (c->client == NULL) {
        rd_kafka_conf_destroy(conf);
        session_fail(c, "%s", text);
        return;
    }
    if (intake_open(&options, &c->intake, &error) != OK) {
        session_fail(c, "%s", error.text);
        return;
    }
    int32_t *partitions;
    size_t count;
    if (!session_list_partitions(c, &partitions, &count) || session_must_stop(c))
        return;
    (void)rd_kafka_poll_set_consumer(c->client);
    c->queue = rd_kafka_queue_get_consumer(c->client);
    session_watch_queue(c);
    session_place(c, partitions, count);
    if (c->failure[0] == 0 && !session_must_stop(c))
        session_join(c, partitions, count);
}

/* --- reading --- */

/* What comes within so many ms. One by one: the library's call for many loses messages of the
 * partitions that stay ours when a rebalance gives us others within it (it fetches anew from behind
 * what it has given out, and what was in that call is neither). */
static void read_more(struct consumer *c, int timeout_ms)
{
    int64_t end_us = timeout_ms > 0 ? clock_monotonic_us() + timeout_ms * INT64_C(1000) : 0;
    while (c->count < INTAKE_MESSAGES_MAX && c->bytes < c->batch_bytes && !session_is_over(c)) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(c->queue, timeout_ms);
        if (message == NULL)
            return;
        take_message(c, message);
        if (timeout_ms > 0 && (c->count >= LINGER_MESSAGES || clock_monotonic_us() >= end_us))
            timeout_ms = 0; /* what is there already comes along */
    }
}

static void read_messages(struct consumer *c)
{
    rd_kafka_message_t *first = rd_kafka_consume_queue(c->queue, POLL_MS);
    if (first == NULL)
        return;
    take_message(c, first);
    read_more(c, 0);
    if (c->count > 0 && c->count < LINGER_MESSAGES && c->rebalances == NULL && !session_is_over(c))
        read_more(c, LINGER_MS);
    if (c->count > 0 && c->state == SUBSCRIPTION_FAILED)
        session_set_state(c, SUBSCRIPTION_RUNNING, NULL);
}

static void session_run(struct consumer *c)
{
    if (c->failure[0] != 0)
        return;
    session_set_state(c, SUBSCRIPTION_RUNNING, NULL);
    while (!session_must_stop(c) && !session_is_over(c)) {
        read_messages(c);
        session_refill(c);
        session_answer_rebalances(c);
        session_store(c);
        if (!session_is_over(c))
            session_report(c);
    }
}

/* A client that is destroyed between the group's answer to its join and its first assignment takes
 * the process with it: farewell.c. The assignment is on its way. */
static void await_assignment(struct consumer *c)
{
    int64_t end_us = clock_monotonic_us() + ASSIGNMENT_PATIENCE_US;
    while (session_is_between(c->client, c->was_assigned) && clock_monotonic_us() < end_us) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(c->queue, POLL_MS);
        if (message != NULL)
            rd_kafka_message_destroy(message);
        session_answer_rebalances(c);
    }
}

/* What was read is stored if it can be; then the client goes, whatever the broker does. A member
 * that does not leave its group keeps its partitions from the next session for the session's
 * timeout, so it leaves unless the broker is away. */
static void session_close(struct consumer *c, bool is_reachable)
{
    struct error error;
    bool is_well = c->failure[0] == 0 && is_reachable;
    if (is_well && has_room(c))
        session_store(c);
    if (c->count > 0)
        session_give_up(c);
    if (c->intake != NULL && intake_wait(c->intake, &error) != OK)
        is_well = false;
    rd_kafka_topic_partition_list_t *told = NULL;
    if (is_well && c->failure[0] == 0) {
        session_keep_reached(c);
        session_publish(c);
        told = session_untold(c);
    }
    c->is_ending = true;
    session_drop(c);
    session_unseat(c);
    if (c->client != NULL && is_reachable)
        await_assignment(c);
    if (c->client != NULL)
        session_say_farewell(c, told, is_reachable);
    if (c->intake != NULL)
        intake_close(c->intake);
    c->intake = NULL;
    c->is_joined = c->was_assigned = false;
    arena_reset(&c->arena);
}

static void consumer_run(void *context)
{
    struct consumer *c = context;
    int64_t back_off_us = BACK_OFF_FIRST_US;
    while (!session_must_stop(c)) {
        c->failure[0] = 0;
        c->is_ending = c->has_stored = false;
        c->batch_bytes = BATCH_BYTES_MIN;
        session_open(c);
        session_run(c);
        bool has_failed = c->failure[0] != 0 && !session_must_stop(c);
        bool is_reachable = c->is_joined && c->state == SUBSCRIPTION_RUNNING;
        if (has_failed)
            session_set_state(c, SUBSCRIPTION_FAILED, c->failure);
        if (c->has_stored)
            back_off_us = BACK_OFF_FIRST_US;
        session_close(c, is_reachable);
        if (!has_failed)
            continue;
        session_sleep(c, back_off_us);
        back_off_us = back_off_us * 2 < BACK_OFF_MAX_US ? back_off_us * 2 : BACK_OFF_MAX_US;
    }
    session_set_state(c, SUBSCRIPTION_STOPPED, NULL);
}

struct consumer *consumer_start(struct ingest *ingest, uint32_t subscription_id)
{
    struct consumer *c = memory_alloc_zero(sizeof(*c));
    c->ingest = ingest;
    c->id = subscription_id;
    mutex_init(&c->lock);
    condition_init(&c->wake);
    arena_init(&c->arena);
    c->thread = thread_start(&(struct thread_options){.name = "kafka",
                                                      .stack_size = STACK_SIZE,
                                                      .nice = NICE,
                                                      .run = consumer_run,
                                                      .context = c});
    return c;
}

void consumer_ask_stop(struct consumer *c)
{
    mutex_lock(&c->lock);
    atomic_store_explicit(&c->must_stop, true, memory_order_relaxed);
    condition_signal(&c->wake);
    mutex_unlock(&c->lock);
}

void consumer_stop(struct consumer *c)
{
    thread_join(c->thread);
    assert(c->client == NULL && c->count == 0 && c->rebalances == NULL);
    memory_free(c->watches);
    arena_deinit(&c->arena);
    condition_deinit(&c->wake);
    mutex_deinit(&c->lock);
    memory_free(c);
}
