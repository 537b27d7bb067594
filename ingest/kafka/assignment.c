/* Which partitions a session reads and from where: positions are ours, decided at first contact and
 * given to the library with the partitions.
 *
 * A rebalance is noted in the library's callback and answered outside of it, before anything that
 * was read is stored: the library waits for the answer, its heartbeats go on, and nothing that may
 * take its time (the batch under way, a question to the broker) stands on the library's stack.
 * Partitions that are taken away lose what is in hand of them, and only that: what is read of the
 * others goes on. Partitions that are lost (the group did without us for a while) end the session
 * besides. */
#include "ingest/kafka/session.h"

#include "ingest/internal.h"
#include "ingest/kafka/settings.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"

#include <stdio.h>

#define BROKER_TIMEOUT_MS 5000
#define CONTACT_US (10 * MICROSECONDS_PER_SECOND)
#define CONTACT_STEP_US INT64_C(100000)

struct watch *session_find_watch(struct consumer *c, int32_t partition)
{
    for (size_t i = 0; i < c->watch_count; i++)
        if (c->watches[i].partition == partition)
            return &c->watches[i];
    return NULL;
}

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
    rd_kafka_resp_err_t result = rd_kafka_query_watermark_offsets(c->client, c->topic, partition,
                                                                  low, high, BROKER_TIMEOUT_MS);
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        session_fail(c, "partition %d: %s", (int)partition, rd_kafka_err2str(result));
    return result == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Gives partitions without a position one. At first contact that is what `start` says, of all that
 * there are; whatever appears later begins at its earliest message. */
void session_place(struct consumer *c, const int32_t *partitions, size_t count)
{
    struct error error;
    struct subscription_start start;
    bool is_first = !intake_is_placed(c->intake);
    struct intake_position *positions = memory_alloc((count + 1) * sizeof(*positions));
    size_t placed = 0;
    if (settings_parse_start(c->definition.start, &c->arena, &start, &error) != OK)
        session_fail(c, "%s", error.text);
    for (size_t i = 0; i < count && c->failure[0] == 0 && !session_must_stop(c); i++) {
        int64_t low, high;
        if (intake_next(c->intake, partitions[i]) == NO_OFFSET &&
            ask_offsets(c, partitions[i], &low, &high))
            positions[placed++] = (struct intake_position){
                .partition = partitions[i],
                .offset = is_first && start.kind == START_LATEST ? high : low};
    }
    if (c->failure[0] == 0 && !session_must_stop(c) && (placed > 0 || is_first) &&
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
        session_place(c, unplaced, count);
    memory_free(unplaced);
    for (int i = 0; i < list->cnt; i++) {
        int64_t next = intake_assign(c->intake, list->elems[i].partition);
        list->elems[i].offset = next;
        if (next == NO_OFFSET)
            session_fail(c, "partition %d has no position", (int)list->elems[i].partition);
        else if (session_find_watch(c, list->elems[i].partition) == NULL)
            (void)add_watch(c, list->elems[i].partition);
    }
}

static void forget_ends(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    struct subscription *subscription = session_lock(c);
    for (int i = 0; subscription != NULL && i < list->cnt; i++) {
        struct subscription_partition *partition =
            subscription_find(subscription, list->elems[i].partition);
        if (partition != NULL)
            partition->end_offset = partition->reached_offset = NO_OFFSET;
    }
    session_unlock(c);
}

static void unseat(struct consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; i < list->cnt; i++) {
        intake_revoke(c->intake, list->elems[i].partition);
        struct watch *watch = session_find_watch(c, list->elems[i].partition);
        if (watch != NULL)
            *watch = c->watches[--c->watch_count];
    }
    forget_ends(c, list);
}

void session_unseat(struct consumer *c)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    for (size_t i = 0; i < c->watch_count; i++)
        rd_kafka_topic_partition_list_add(list, c->topic, c->watches[i].partition);
    forget_ends(c, list);
    rd_kafka_topic_partition_list_destroy(list);
    c->watch_count = 0;
}

static void check_library(struct consumer *c, rd_kafka_error_t *failed)
{
    if (failed == NULL)
        return;
    session_fail(c, "%s", rd_kafka_error_string(failed));
    rd_kafka_error_destroy(failed);
}

/* Ours from now on, from our own positions. */
static void take(struct consumer *c, rd_kafka_topic_partition_list_t *partitions)
{
    if (!session_is_over(c))
        seat(c, partitions);
    if (!session_is_over(c))
        check_library(c, rd_kafka_incremental_assign(c->client, partitions));
    else
        (void)rd_kafka_assign(c->client, NULL); /* the library waits for an answer */
}

/* Not ours any more. What is in hand of them is dropped, not stored: whoever is given them reads it
 * again, and we do from our position, should they come back. */
static void let_go(struct consumer *c, const struct rebalance *rebalance)
{
    for (int i = 0; i < rebalance->partitions->cnt; i++)
        session_drop_partition(c, rebalance->partitions->elems[i].partition);
    unseat(c, rebalance->partitions);
    check_library(c, rd_kafka_incremental_unassign(c->client, rebalance->partitions));
    if (rebalance->is_lost)
        session_renew(c);
}

static void answer(struct consumer *c, const struct rebalance *rebalance)
{
    if (rebalance->event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        take(c, rebalance->partitions);
    } else if (rebalance->event == RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        let_go(c, rebalance);
    } else {
        session_fail(c, "%s", rd_kafka_err2str(rebalance->event));
        (void)rd_kafka_assign(c->client, NULL);
    }
}

static void drop_oldest(struct consumer *c)
{
    struct rebalance *oldest = c->rebalances;
    c->rebalances = oldest->next;
    rd_kafka_topic_partition_list_destroy(oldest->partitions);
    memory_free(oldest);
}

void session_answer_rebalances(struct consumer *c)
{
    while (c->rebalances != NULL) {
        answer(c, c->rebalances);
        drop_oldest(c);
    }
}

void session_drop_rebalances(struct consumer *c)
{
    while (c->rebalances != NULL)
        drop_oldest(c);
}

void session_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t event,
                          rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
    struct consumer *c = opaque;
    struct subscription *subscription = session_lock(c);
    if (subscription != NULL)
        subscription->counts.rebalances++;
    session_unlock(c);
    c->was_assigned |= event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    struct rebalance *noted = memory_alloc(sizeof(*noted));
    *noted = (struct rebalance){.event = event,
                                .is_lost = rd_kafka_assignment_lost(client) != 0,
                                .partitions = rd_kafka_topic_partition_list_copy(partitions)};
    logger_write(LOG_DEBUG, "rebalance subscription=%.*s event=%s partitions=%d lost=%d",
                 SLICE_ARGS(c->definition.name), rd_kafka_err2name(event), partitions->cnt,
                 (int)noted->is_lost);
    struct rebalance **end = &c->rebalances;
    while (*end != NULL)
        end = &(*end)->next;
    *end = noted;
    rd_kafka_yield(client); /* the read under way returns */
}

/* The numbers of the topic's partitions, or of those that were asked for. */
bool session_list_partitions(struct consumer *c, int32_t **out, size_t *count)
{
    struct error error;
    if (settings_parse_partitions(c->definition.partitions, &c->arena, out, count, &error) != OK) {
        session_fail(c, "%s", error.text);
        return false;
    }
    rd_kafka_topic_t *handle = rd_kafka_topic_new(c->client, c->topic, NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int64_t end_us = clock_monotonic_us() + CONTACT_US;
    while (result == RD_KAFKA_RESP_ERR__TIMED_OUT || result == RD_KAFKA_RESP_ERR__TRANSPORT) {
        if (session_must_stop(c) || clock_monotonic_us() > end_us)
            break;
        rd_kafka_poll(c->client, 0); /* error callbacks */
        result = rd_kafka_metadata(c->client, 0, handle, &metadata, 500);
        if (result == RD_KAFKA_RESP_ERR__TRANSPORT)
            session_sleep(c, CONTACT_STEP_US);
    }
    rd_kafka_topic_destroy(handle);
    if (result == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
        result = metadata->topics[0].err;
    int there = result == RD_KAFKA_RESP_ERR_NO_ERROR ? metadata->topics[0].partition_cnt : 0;
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        session_fail(c, "topic \"%s\": %s", c->topic, rd_kafka_err2str(result));
    for (size_t i = 0; i < *count && c->failure[0] == 0; i++)
        if ((*out)[i] >= there)
            session_fail(c, "topic \"%s\" has no partition %d", c->topic, (int)(*out)[i]);
    if (*count == 0 && there > 0 && c->failure[0] == 0) {
        *out = arena_alloc_array(&c->arena, (size_t)there, sizeof(**out));
        for (int i = 0; i < there; i++)
            (*out)[(*count)++] = metadata->topics[0].partitions[i].id;
    }
    if (metadata != NULL)
        rd_kafka_metadata_destroy(metadata);
    return c->failure[0] == 0;
}

void session_join(struct consumer *c, const int32_t *partitions, size_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    rd_kafka_resp_err_t result;
    if (slice_trim(c->definition.partitions).size > 0) {
        for (size_t i = 0; i < count; i++)
            (void)rd_kafka_topic_partition_list_add(list, c->topic, partitions[i]);
        seat(c, list);
        result = c->failure[0] != 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_assign(c->client, list);
    } else {
        (void)rd_kafka_topic_partition_list_add(list, c->topic, RD_KAFKA_PARTITION_UA);
        result = rd_kafka_subscribe(c->client, list);
    }
    if (result != RD_KAFKA_RESP_ERR_NO_ERROR)
        session_fail(c, "%s", rd_kafka_err2str(result));
    rd_kafka_topic_partition_list_destroy(list);
    c->is_joined = true;
}
