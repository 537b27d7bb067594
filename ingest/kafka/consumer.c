/* One thread a subscription, and the only file that knows librdkafka (2.0.2 in Debian 12).
 *
 *   ┌─▶ session_open ── place ── subscribe or assign ─▶ read ─▶ store ─▶ read …
 *   │                                                    │        │
 *   └── back-off ◀── session_close ◀── anything doubtful ┴────────┘        stop ─▶ session_close
 *
 * Positions are ours: given in the rebalance callback, never read back from the group; offsets are
 * committed to the broker once a second so that its tools can show lag. Whatever leaves doubt about
 * what the library will deliver next (a failed batch, a long pause, a partition that went and came
 * within one read) ends the session: a new client reads from the stored positions and there is
 * nothing old in its queues. That costs a second and keeps clear of the library's faults around
 * seek, pause and resume. A rebalance that takes partitions away stores what is in hand first, or
 * drops it if the assignment is lost already; messages that were read beside it belong to no
 * assignment and are passed over by the intake.
 *
 * Without room (rows' memory, disk) messages are held and not read on: the library's queue is
 * bounded, so fetching stops by itself. After HOLD_US the partitions are paused so that the group
 * sees us polling, and when there is room again a new session begins.
 *
 * Reading waits for the first message, then for LINGER_MS more: records of some hundred messages
 * cost the log little, and nobody sees the 3 ms. One batch is decoded while the one before is being
 * written. */
#include "ingest/kafka/consumer.h"

#include "ingest/internal.h"
#include "ingest/kafka/connection.h"
#include "ingest/kafka/intake.h"
#include "ingest/kafka/settings.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define POLL_MS 100
#define LINGER_MS 3
#define LINGER_MESSAGES 2048 /* enough to go on at once */
#define CHUNK 1024
#define BACK_OFF_FIRST_US MICROSECONDS_PER_SECOND
#define BACK_OFF_MAX_US (30 * MICROSECONDS_PER_SECOND)
#define PUBLISH_US INT64_C(100000)
#define TELL_BROKER_US MICROSECONDS_PER_SECOND
#define KEEP_REACHED_US (60 * MICROSECONDS_PER_SECOND)
#define PROBE_US (2 * MICROSECONDS_PER_SECOND)
#define HOLD_US (20 * MICROSECONDS_PER_SECOND)
#define HOLD_STEP_US INT64_C(20000)
#define BROKER_TIMEOUT_MS 5000
#define CONTACT_US (10 * MICROSECONDS_PER_SECOND)
#define SECRET_SIZE_MAX 4096
#define DEFINITION_TRIES 50
#define TIMESTAMP_MS_MAX INT64_C(253402300799999) /* the year 9999 */
#define STACK_SIZE ((size_t)1 << 20)
#define NICE 5 /* behind the log and the reactor */

/* A partition of this session's assignment. */
struct watch {
    int32_t partition;
    int64_t reached; /* the broker said: nothing before this that is not delivered; NO_OFFSET */
    int64_t told;    /* what the broker's group was told last */
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
    struct connection connection;
    struct intake *intake;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    bool is_joined;  /* member of the group, or partitions assigned by name */
    bool has_stored; /* something: the next back-off is short again */
    bool is_ending;
    bool has_revoked, has_assigned; /* during the read under way */
    enum subscription_state state;
    char failure[256]; /* why the session ends; empty: it does not */
    struct watch *watches;
    size_t watch_count, watch_capacity;
    /* In hand: */
    rd_kafka_message_t *raw[INTAKE_MESSAGES_MAX];
    struct kafka_message messages[INTAKE_MESSAGES_MAX];
    size_t count, bytes;
    int64_t published_at_us, told_at_us, kept_at_us, probed_at_us; /* monotonic */
};

static bool must_stop(struct consumer *c)
{
    return atomic_load_explicit(&c->must_stop, memory_order_relaxed);
}

/* --- what others see --- */

static struct subscription *lock_subscription(struct consumer *c)
{
    mutex_lock(&c->ingest->lock);
    return subscriptions_get(&c->ingest->subscriptions, c->id);
}

static void unlock_subscription(struct consumer *c)
{
    mutex_unlock(&c->ingest->lock);
}

static void set_state(struct consumer *c, enum subscription_state state, const char *text)
{
    if (state == SUBSCRIPTION_FAILED && text != NULL)
        logger_write(LOG_WARN, "subscription failed name=%.*s reason=\"%s\"",
                     SLICE_ARGS(c->definition.name), text);
    else if (state == SUBSCRIPTION_RUNNING && c->state == SUBSCRIPTION_FAILED)
        logger_write(LOG_INFO, "subscription goes on name=%.*s", SLICE_ARGS(c->definition.name));
    c->state = state;
    struct subscription *subscription = lock_subscription(c);
    if (subscription != NULL) {
        subscription->state = state;
        if (text != NULL)
            snprintf(subscription->last_error, sizeof(subscription->last_error), "%s", text);
        subscription->counts.errors += state == SUBSCRIPTION_FAILED && text != NULL;
    }
    unlock_subscription(c);
}

/* The session cannot go on; the first reason stays. */
static void session_fail(struct consumer *c, const char *format, ...) PRINTF_LIKE(2, 3);
static void session_fail(struct consumer *c, const char *format, ...)
{
    if (c->failure[0] != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->failure, sizeof(c->failure), format, arguments);
    va_end(arguments);
}

/* A reason that is no fault: the session ends and the next begins at once. */
static void session_renew(struct consumer *c)
{
    c->is_ending = true;
}

static bool is_over(struct consumer *c)
{
    return c->failure[0] != 0 || c->is_ending;
}

static void set_paused(struct consumer *c, bool is_paused)
{
    struct subscription *subscription = lock_subscription(c);
    for (size_t i = 0; subscription != NULL && i < c->watch_count; i++) {
        struct subscription_partition *partition =
            subscription_find(subscription, c->watches[i].partition);
        if (partition != NULL)
            partition->is_paused = is_paused;
    }
    if (subscription != NULL && is_paused)
        subscription->counts.pauses++;
    unlock_subscription(c);
}

/* --- configuration --- */

static enum err set_property(rd_kafka_conf_t *conf, const char *name, struct slice value,
                             bool is_secret, struct error *error)
{
    char library[512];
    char *text = memory_alloc(value.size + 1);
    memcpy(text, value.data, value.size);
    text[value.size] = 0;
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, text, library, sizeof(library));
    explicit_bzero(text, value.size);
    memory_free(text);
    if (result == RD_KAFKA_CONF_OK)
        return OK;
    return error_set(error, ERR_INPUT, "22023", "connection option \"%s\": %s", name,
                     is_secret ? "the file's content is not accepted" : library);
}

/* The file without the end of its last line. */
static enum err set_secret(rd_kafka_conf_t *conf, const char *name, const char *path,
                           struct error *error)
{
    char secret[SECRET_SIZE_MAX];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t size = file < 0 ? -1 : read(file, secret, sizeof(secret));
    int saved = errno;
    if (file >= 0)
        close(file);
    if (size < 0)
        return error_set(error, ERR_IO, "58030", "cannot read the file of \"%s\": %s", name,
                         strerror(saved));
    while (size > 0 && (secret[size - 1] == '\n' || secret[size - 1] == '\r'))
        size--;
    enum err err = OK;
    if (size == 0 || memchr(secret, 0, (size_t)size) != NULL || size == sizeof(secret))
        err = error_set(error, ERR_INPUT, "22023", "the file of \"%s\" holds no secret", name);
    if (err == OK)
        err = set_property(conf, name, slice_of(secret, (size_t)size), true, error);
    explicit_bzero(secret, sizeof(secret));
    return err;
}

static enum err set_given(rd_kafka_conf_t *conf, const struct connection *connection,
                          bool with_secrets, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; i < connection->property_count && err == OK; i++) {
        const struct connection_property *property = &connection->properties[i];
        char name[64], path[CONNECTION_SIZE_MAX];
        snprintf(name, sizeof(name), "%.*s", SLICE_ARGS(property->name));
        snprintf(path, sizeof(path), "%.*s", SLICE_ARGS(property->value));
        if (!property->is_file)
            err = set_property(conf, name, property->value, false, error);
        else if (with_secrets)
            err = set_secret(conf, name, path, error);
    }
    return err;
}

/* Ours first, so that the connection may choose sizes and times, never what is promised. */
static enum err make_conf(const struct subscription_definition *definition,
                          const struct connection *connection, bool with_secrets,
                          rd_kafka_conf_t **out, struct error *error)
{
    static const struct {
        const char *name, *value;
    } ours[] = {{"client.id", "freshet"},
                {"enable.auto.commit", "false"},
                {"enable.auto.offset.store", "false"},
                {"enable.partition.eof", "true"},
                {"isolation.level", "read_committed"},
                {"auto.offset.reset", "error"},
                {"partition.assignment.strategy", "cooperative-sticky"},
                {"check.crcs", "true"},
                {"allow.auto.create.topics", "false"},
                {"session.timeout.ms", "10000"}, /* what a restart after a crash waits for */
                {"queued.max.messages.kbytes", "16384"},
                {"queued.min.messages", "20000"},
                {"topic.metadata.refresh.interval.ms", "30000"},
                {"reconnect.backoff.max.ms", "2000"},
                {"log.connection.close", "false"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum err err = OK;
    for (size_t i = 0; i < array_count(ours) && err == OK; i++)
        err = set_property(conf, ours[i].name, slice_from_cstr(ours[i].value), false, error);
    if (err == OK)
        err = set_property(conf, "bootstrap.servers", connection->brokers, false, error);
    if (err == OK)
        err = set_property(conf, "group.id", definition->group, false, error);
    if (err == OK)
        err = set_given(conf, connection, with_secrets, error);
    if (err != OK)
        rd_kafka_conf_destroy(conf);
    else
        *out = conf;
    return err;
}

enum err consumer_check(const struct subscription_definition *definition, struct error *error)
{
    struct arena arena;
    struct connection *connection = memory_alloc(sizeof(*connection));
    rd_kafka_conf_t *conf = NULL;
    arena_init(&arena);
    enum err err = connection_parse(definition->connection, &arena, connection, error);
    if (err == OK)
        err = make_conf(definition, connection, false, &conf, error);
    if (err == OK)
        rd_kafka_conf_destroy(conf);
    memory_free(connection);
    arena_deinit(&arena);
    return err;
}

/* --- messages in hand --- */

static void drop_messages(struct consumer *c)
{
    for (size_t i = 0; i < c->count; i++)
        rd_kafka_message_destroy(c->raw[i]);
    c->count = c->bytes = 0;
}

static struct watch *find_watch(struct consumer *c, int32_t partition)
{
    for (size_t i = 0; i < c->watch_count; i++)
        if (c->watches[i].partition == partition)
            return &c->watches[i];
    return NULL;
}

/* What was read is not stored: it will be read again, and the ends that were seen behind it are not
 * ours to move to. */
static void give_up_messages(struct consumer *c)
{
    drop_messages(c);
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
    struct watch *watch = find_watch(c, message->partition);
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
        set_state(c, SUBSCRIPTION_FAILED, rd_kafka_message_errstr(message));
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
    c->bytes += raw->len + raw->key_len;
}

/* --- storing --- */

/* Memory and disk, before work is spent; what the store says when asked in earnest comes after. */
static bool has_room(struct consumer *c)
{
    struct store_status status;
    store_status(c->ingest->store, &status);
    return !status.is_failed && status.rows_memory_used < status.rows_memory_limit &&
           !atomic_load_explicit(&c->ingest->is_disk_low, memory_order_relaxed);
}

static void sleep_us(struct consumer *c, int64_t us)
{
    mutex_lock(&c->lock);
    if (!must_stop(c))
        (void)condition_wait_for(&c->wake, &c->lock, us);
    mutex_unlock(&c->lock);
}

/* Decodes what is in hand and gives it to the log. NOT_FOUND: by another definition. */
static enum err try_store(struct consumer *c, struct error *error)
{
    struct intake_batch *batch;
    enum err err = intake_decode(c->intake, c->messages, c->count, &batch, error);
    if (err != OK || batch == NULL)
        return err;
    err = intake_wait(c->intake, error);
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
    set_paused(c, true);
    bool has = false;
    while (!has && !must_stop(c) && clock_monotonic_us() < end_us) {
        sleep_us(c, HOLD_STEP_US);
        has = has_room(c);
    }
    if (has)
        set_paused(c, false);
    return has;
}

/* Paused but polling, until there is room. */
static void suspend(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    give_up_messages(c);
    set_paused(c, true);
    if (rd_kafka_assignment(c->client, &list) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)rd_kafka_pause_partitions(c->client, list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    while (!must_stop(c) && !has_room(c) && c->failure[0] == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(c->client, POLL_MS);
        if (message != NULL)
            rd_kafka_message_destroy(message); /* the next session reads it again */
    }
    set_paused(c, false);
    session_renew(c);
}

/* Everything in hand goes to the log or the session ends. */
static void store_messages(struct consumer *c)
{
    struct error error = {0};
    enum err err = OK;
    for (int tries = 0; c->count > 0 && !is_over(c);) {
        if (!await_room(c)) {
            suspend(c);
            return;
        }
        err = try_store(c, &error);
        if (err == OK) {
            drop_messages(c);
            c->has_stored = true;
        } else if (err == ERR_NOT_FOUND && ++tries < DEFINITION_TRIES) {
            sleep_us(c, HOLD_STEP_US); /* a changed definition becomes visible */
        } else if (err == ERR_CANCELLED) {
            session_renew(c);
        } else if (err == ERR_LIMIT || err == ERR_SPACE) {
            set_paused(c, true);
            sleep_us(c, HOLD_STEP_US);
            set_paused(c, false);
        } else {
            session_fail(c, "%s", error.text);
        }
    }
}

/* --- assignment --- */

static struct watch *add_watch(struct consumer *c, int32_t partition)
{
    if (c->watch_count == c->watch_capacity) {
        c->watch_capacity = c->watch_capacity == 0 ? 16 : c->watch_capacity * 2;
        c->watches = memory_realloc(c->watches, c->watch_capacity * sizeof(*c->watches));
    }
    struct watch *watch = &c->watches[c->watch_count++];
    *watch = (struct watch){.partition = partition, .reached = NO_OFFSET, .told = NO_OFFSET};
    return watch;
}

static bool ask_offsets(struct consumer *c, int32_t partition, int64_t *low, int64_t *high)
{
    char topic[256];
    snprintf(topic, sizeof(topic), "%.*s", SLICE_ARGS(c->definition.topic));
    rd_kafka_resp_err_t result =
        rd_kafka_query_watermark_offsets(c->client, topic, partition, low, high, BROKER_TIMEOUT_MS);
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        session_fail(c, "partition %d: %s", (int)partition, rd_kafka_err2str(result));
    return result == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Gives partitions without a position one. At first contact that is what `start` says, of all that
 * there are; whatever appears later begins at its earliest message. */
static void place(struct consumer *c, const int32_t *partitions, size_t count)
{
    struct error error;
    struct subscription_start start;
    bool is_first = !intake_is_placed(c->intake);
    struct intake_position *positions = memory_alloc((count + 1) * sizeof(*positions));
    size_t placed = 0;
    if (settings_parse_start(c->definition.start, &c->arena, &start, &error) != OK)
        session_fail(c, "%s", error.text);
    for (size_t i = 0; i < count && c->failure[0] == 0 && !must_stop(c); i++) {
        int64_t low, high;
        if (intake_next(c->intake, partitions[i]) == NO_OFFSET &&
            ask_offsets(c, partitions[i], &low, &high))
            positions[placed++] = (struct intake_position){
                .partition = partitions[i],
                .offset = is_first && start.kind == START_LATEST ? high : low};
    }
    if (c->failure[0] == 0 && !must_stop(c) && (placed > 0 || is_first) &&
        intake_place(c->intake, positions, placed, is_first, &error) != OK)
        session_fail(c, "%s", error.text);
    memory_free(positions);
}

/* Fills in the list's offsets from our positions. */
static void seat(struct consumer *c, rd_kafka_topic_partition_list_t *list)
{
    int32_t *unplaced = memory_alloc(((size_t)list->cnt + 1) * sizeof(*unplaced));
    size_t count = 0;
    for (int i = 0; i < list->cnt; i++)
        if (intake_next(c->intake, list->elems[i].partition) == NO_OFFSET)
            unplaced[count++] = list->elems[i].partition;
    if (count > 0)
        place(c, unplaced, count);
    memory_free(unplaced);
    for (int i = 0; i < list->cnt; i++) {
        int64_t next = intake_assign(c->intake, list->elems[i].partition);
        list->elems[i].offset = next;
        if (next == NO_OFFSET)
            session_fail(c, "partition %d has no position", (int)list->elems[i].partition);
        else if (find_watch(c, list->elems[i].partition) == NULL)
            (void)add_watch(c, list->elems[i].partition);
    }
}

static void unseat(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        intake_revoke(c->intake, list->elems[i].partition);
        struct watch *watch = find_watch(c, list->elems[i].partition);
        if (watch != NULL)
            *watch = c->watches[--c->watch_count];
    }
    struct subscription *subscription = lock_subscription(c);
    for (int i = 0; subscription != NULL && i < list->cnt; i++) {
        struct subscription_partition *partition =
            subscription_find(subscription, list->elems[i].partition);
        if (partition != NULL)
            partition->end_offset = partition->reached_offset = NO_OFFSET;
    }
    unlock_subscription(c);
}

static void check_library(struct consumer *c, rd_kafka_error_t *failed)
{
    if (failed == NULL)
        return;
    session_fail(c, "%s", rd_kafka_error_string(failed));
    rd_kafka_error_destroy(failed);
}

static void on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                         rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct consumer *c = opaque;
    struct subscription *subscription = lock_subscription(c);
    if (subscription != NULL)
        subscription->counts.rebalances++;
    unlock_subscription(c);
    logger_write(LOG_DEBUG, "rebalance subscription=%.*s event=%s partitions=%d",
                 SLICE_ARGS(c->definition.name), rd_kafka_err2name(event), partitions->cnt);
    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !is_over(c)) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);
        c->has_assigned = true;
        seat(c, list);
        if (c->failure[0] == 0)
            check_library(c, rd_kafka_incremental_assign(client, list));
        rd_kafka_topic_partition_list_destroy(list);
        return;
    }
    if (event == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        c->has_revoked = true;
        if (rd_kafka_assignment_lost(client))
            give_up_messages(c);
        else
            store_messages(c);
        unseat(c, partitions);
        check_library(c, rd_kafka_incremental_unassign(client, partitions));
        return;
    }
    if (event != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        session_fail(c, "%s", rd_kafka_err2str(event));
    (void)rd_kafka_assign(client, NULL); /* the library waits for an answer */
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
        set_state(c, SUBSCRIPTION_FAILED, text);
        return;
    default: {
        struct subscription *subscription = lock_subscription(c);
        if (subscription != NULL)
            subscription->counts.errors++;
        unlock_subscription(c);
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

/* The numbers of the topic's partitions, or of those that were asked for. */
static bool list_partitions(struct consumer *c, int32_t **out, size_t *count)
{
    struct error error;
    if (settings_parse_partitions(c->definition.partitions, &c->arena, out, count, &error) != OK) {
        session_fail(c, "%s", error.text);
        return false;
    }
    char topic[256];
    snprintf(topic, sizeof(topic), "%.*s", SLICE_ARGS(c->definition.topic));
    rd_kafka_topic_t *handle = rd_kafka_topic_new(c->client, topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int64_t end_us = clock_monotonic_us() + CONTACT_US;
    while (result == RD_KAFKA_RESP_ERR__TIMED_OUT || result == RD_KAFKA_RESP_ERR__TRANSPORT) {
        if (must_stop(c) || clock_monotonic_us() > end_us)
            break;
        rd_kafka_poll(c->client, 0); /* error callbacks */
        result = rd_kafka_metadata(c->client, 0, handle, &metadata, 500);
        if (result == RD_KAFKA_RESP_ERR__TRANSPORT)
            sleep_us(c, HOLD_STEP_US * 5);
    }
    rd_kafka_topic_destroy(handle);
    if (result == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
        result = metadata->topics[0].err;
    int there = result == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->topics[0].partition_cnt : 0;
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        session_fail(c, "topic \"%s\": %s", topic, rd_kafka_err2str(result));
    for (size_t i = 0; i < *count && c->failure[0] == 0; i++)
        if ((*out)[i] >= there)
            session_fail(c, "topic \"%s\" has no partition %d", topic, (int)(*out)[i]);
    if (*count == 0 && there > 0 && c->failure[0] == 0) {
        *out = arena_alloc_array(&c->arena, (size_t)there, sizeof(**out));
        for (int i = 0; i < there; i++)
            (*out)[(*count)++] = metadata->topics[0].partitions[i].id;
    }
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    return c->failure[0] == 0;
}

static void join(struct consumer *c, const int32_t *partitions, size_t count)
{
    char topic[256];
    snprintf(topic, sizeof(topic), "%.*s", SLICE_ARGS(c->definition.topic));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    rd_kafka_resp_err_t result;
    if (slice_trim(c->definition.partitions).size > 0) {
        for (size_t i = 0; i < count; i++)
            (void)rd_kafka_topic_partition_list_add(list, topic, partitions[i]);
        seat(c, list);
        result = c->failure[0] != 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_assign(c->client, list);
    } else {
        (void)rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
        result = rd_kafka_subscribe(c->client, list);
    }
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        session_fail(c, "%s", rd_kafka_err2str(result));
    rd_kafka_topic_partition_list_destroy(list);
    c->is_joined = true;
}

static void session_open(struct consumer *c)
{
    struct error error;
    char text[512];
    rd_kafka_conf_t *conf;
    struct subscription *subscription = lock_subscription(c);
    if (subscription != NULL)
        subscription_definition_copy(&subscription->definition, &c->arena, &c->definition);
    unlock_subscription(c);
    struct intake_options options = {
        .ingest = c->ingest, .subscription = c->definition.name, .headers = give_headers};
    enum err err = connection_parse(c->definition.connection, &c->arena, &c->connection, &error);
    if (err == OK)
        err = make_conf(&c->definition, &c->connection, true, &conf, &error);
    if (err != OK) {
        session_fail(c, "%s", error.text);
        return;
    }
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
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
    if (!list_partitions(c, &partitions, &count) || must_stop(c))
        return;
    (void)rd_kafka_poll_set_consumer(c->client);
    c->queue = rd_kafka_queue_get_consumer(c->client);
    place(c, partitions, count);
    if (c->failure[0] == 0 && !must_stop(c))
        join(c, partitions, count);
}

/* --- at times --- */

static bool is_settled(struct consumer *c)
{
    return c->count == 0 && !intake_is_busy(c->intake);
}

/* What the broker's partitions hold, and how far they are read where nothing is in hand. */
static void publish(struct consumer *c)
{
    char topic[256];
    bool settled = is_settled(c);
    snprintf(topic, sizeof(topic), "%.*s", SLICE_ARGS(c->definition.topic));
    for (size_t i = 0; i < c->watch_count; i++) {
        int64_t low, high = NO_OFFSET;
        (void)rd_kafka_get_watermark_offsets(c->client, topic, c->watches[i].partition, &low,
                                             &high);
        struct subscription *subscription = lock_subscription(c);
        struct subscription_partition *partition =
            subscription == NULL ? NULL : subscription_find(subscription, c->watches[i].partition);
        if (partition != NULL && high >= 0)
            partition->end_offset = high;
        if (partition != NULL && settled && c->watches[i].reached > partition->reached_offset)
            partition->reached_offset = c->watches[i].reached;
        unlock_subscription(c);
    }
}

static int64_t position_of(struct consumer *c, const struct watch *watch)
{
    int64_t next = intake_next(c->intake, watch->partition);
    return is_settled(c) && watch->reached > next ? watch->reached : next;
}

/* For the broker's tools. */
static void tell_broker(struct consumer *c, bool waits)
{
    char topic[256];
    snprintf(topic, sizeof(topic), "%.*s", SLICE_ARGS(c->definition.topic));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)c->watch_count);
    for (size_t i = 0; i < c->watch_count; i++) {
        struct watch *watch = &c->watches[i];
        int64_t position = position_of(c, watch);
        if (position == watch->told || position == NO_OFFSET)
            continue;
        rd_kafka_topic_partition_list_add(list, topic, watch->partition)->offset = position;
        watch->told = position;
    }
    if (list->cnt > 0)
        (void)rd_kafka_commit(c->client, list, waits ? 0 : 1);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Where only markers and aborted messages follow, the position moves without rows, so that what is
 * stored never falls behind what the broker still has. */
static void keep_reached(struct consumer *c)
{
    struct error error;
    if (!is_settled(c) || c->watch_count == 0)
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
    set_state(c, SUBSCRIPTION_RUNNING, NULL);
}

static void do_at_times(struct consumer *c)
{
    int64_t now_us = clock_monotonic_us();
    if (now_us >= c->published_at_us + PUBLISH_US) {
        publish(c);
        c->published_at_us = now_us;
    }
    if (now_us >= c->told_at_us + TELL_BROKER_US && c->state == SUBSCRIPTION_RUNNING) {
        tell_broker(c, false);
        c->told_at_us = now_us;
    }
    if (now_us >= c->kept_at_us + KEEP_REACHED_US) {
        keep_reached(c);
        c->kept_at_us = now_us;
    }
    if (c->state == SUBSCRIPTION_FAILED && now_us >= c->probed_at_us + PROBE_US) {
        probe(c);
        c->probed_at_us = now_us;
    }
}

/* --- reading --- */

static void read_more(struct consumer *c, int timeout_ms)
{
    rd_kafka_message_t *chunk[CHUNK];
    while (c->count + CHUNK <= INTAKE_MESSAGES_MAX && c->bytes < INTAKE_BYTES_MAX && !is_over(c)) {
        ssize_t got = rd_kafka_consume_batch_queue(c->queue, timeout_ms, chunk, CHUNK);
        for (ssize_t i = 0; i < got; i++)
            take_message(c, chunk[i]);
        if (got < CHUNK)
            return;
    }
}

static void read_messages(struct consumer *c)
{
    c->has_revoked = c->has_assigned = false;
    rd_kafka_message_t *first = rd_kafka_consume_queue(c->queue, POLL_MS);
    if (first == NULL)
        return;
    take_message(c, first);
    read_more(c, 0);
    if (c->count > 0 && c->count < LINGER_MESSAGES && !is_over(c))
        read_more(c, LINGER_MS);
    if (c->has_revoked && c->has_assigned) {
        if (c->count > 0)
            session_renew(c);
        give_up_messages(c); /* a partition may have gone and come: where it stands is in doubt */
    }
    if (c->count > 0 && c->state == SUBSCRIPTION_FAILED)
        set_state(c, SUBSCRIPTION_RUNNING, NULL);
}

static void session_run(struct consumer *c)
{
    if (c->failure[0] != 0)
        return;
    set_state(c, SUBSCRIPTION_RUNNING, NULL);
    while (!must_stop(c) && !is_over(c)) {
        read_messages(c);
        store_messages(c);
        if (!is_over(c))
            do_at_times(c);
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
        store_messages(c);
    if (c->count > 0)
        give_up_messages(c);
    if (c->intake != NULL && intake_wait(c->intake, &error) != OK)
        is_well = false;
    if (is_well && c->failure[0] == 0) {
        keep_reached(c);
        publish(c);
        tell_broker(c, true);
    }
    c->is_ending = true;
    if (is_reachable)
        (void)rd_kafka_consumer_close(c->client); /* leaves the group; calls on_rebalance */
    drop_messages(c);
    if (c->queue != NULL)
        rd_kafka_queue_destroy(c->queue);
    if (c->client != NULL)
        rd_kafka_destroy_flags(c->client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    if (c->intake != NULL)
        intake_close(c->intake);
    c->queue = NULL;
    c->client = NULL;
    c->intake = NULL;
    c->watch_count = 0;
    c->is_joined = false;
    arena_reset(&c->arena);
}

static void consumer_run(void *context)
{
    struct consumer *c = context;
    int64_t back_off_us = BACK_OFF_FIRST_US;
    while (!must_stop(c)) {
        c->failure[0] = 0;
        c->is_ending = c->has_stored = false;
        session_open(c);
        session_run(c);
        bool has_failed = c->failure[0] != 0 && !must_stop(c);
        bool is_reachable = c->is_joined && c->state == SUBSCRIPTION_RUNNING;
        if (has_failed)
            set_state(c, SUBSCRIPTION_FAILED, c->failure);
        if (c->has_stored)
            back_off_us = BACK_OFF_FIRST_US;
        session_close(c, is_reachable);
        if (!has_failed)
            continue;
        sleep_us(c, back_off_us);
        back_off_us = back_off_us * 2 < BACK_OFF_MAX_US ? back_off_us * 2 : BACK_OFF_MAX_US;
    }
    set_state(c, SUBSCRIPTION_STOPPED, NULL);
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
    assert(c->client == NULL && c->count == 0);
    memory_free(c->watches);
    arena_deinit(&c->arena);
    condition_deinit(&c->wake);
    mutex_deinit(&c->lock);
    memory_free(c);
}
