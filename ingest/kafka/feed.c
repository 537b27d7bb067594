/* Subscriptions as others see them.
 *
 * lag_rows  messages between what is stored and the partition's end; markers of transactions that
 *           the broker has passed over for us are no lag
 * lag_ms    0 without lag, else the age of the last message read: what comes next is no older.
 *           NULL: nothing was read since the server started
 * state     failed   the subscription does not get on: last_error says why
 *           stalled  there is lag, and the partition is paused or has not moved for STALL_US
 *           idle     nothing to read for the setting source_idle, or not ours to read now
 *           live     else */
#include "ingest/kafka/feed.h"

#include "ingest/internal.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/base/metrics.h"

#include <assert.h>
#include <stdio.h>

#define STALL_US (30 * MICROSECONDS_PER_SECOND)

/* Subscription and partition of "name/partition"; false if there is none of them (any more). */
static bool find_feed(const struct ingest *ingest, const struct source *source,
                      const struct subscription **subscription,
                      const struct subscription_partition **partition)
{
    struct slice name = source_name(source);
    size_t slash = name.size;
    int64_t number = 0;
    while (slash > 0 && name.data[slash - 1] != '/')
        slash--;
    if (slash == 0 || name.size - slash > 10)
        return false;
    for (size_t i = slash; i < name.size; i++)
        number = number * 10 + (name.data[i] - '0');
    *subscription = subscriptions_find(&ingest->subscriptions, slice_of(name.data, slash - 1));
    if (*subscription == NULL || number > INT32_MAX)
        return false;
    *partition = subscription_find(*subscription, (int32_t)number);
    return *partition != NULL;
}

int64_t feed_lag(const struct ingest *ingest, const struct source *source)
{
    const struct subscription *subscription;
    const struct subscription_partition *partition;
    if (source->kind != SOURCE_KAFKA || !find_feed(ingest, source, &subscription, &partition))
        return -1;
    return subscription_lag(partition);
}

static void add_offset(struct provider_scan *scan, size_t index, int64_t offset)
{
    if (offset == NO_OFFSET)
        provider_null(scan, index);
    else
        provider_int(scan, index, offset);
}

static int64_t lag_us(const struct subscription_partition *partition, int64_t now_us)
{
    int64_t lag = subscription_lag(partition);
    if (lag == 0)
        return 0;
    if (lag == NO_OFFSET || partition->message_at_us == INT64_MIN)
        return -1;
    return now_us > partition->message_at_us ? now_us - partition->message_at_us : 0;
}

static bool is_behind(const struct subscription_partition *partition)
{
    return subscription_lag(partition) > 0 || partition->is_paused;
}

static bool is_stalled(const struct subscription_partition *partition, int64_t now_us)
{
    return partition->is_assigned && is_behind(partition) &&
           (partition->is_paused || partition->moved_at_us < now_us - STALL_US);
}

static const char *partition_state(const struct ingest *ingest,
                                   const struct subscription *subscription,
                                   const struct subscription_partition *partition, int64_t now_us)
{
    if (subscription->state == SUBSCRIPTION_FAILED)
        return "failed";
    if (!partition->is_assigned)
        return "idle";
    if (is_stalled(partition, now_us))
        return "stalled";
    return is_behind(partition) || partition->moved_at_us >= now_us - ingest->options.source_idle_us
               ? "live"
               : "idle";
}

static void add_error(struct provider_scan *scan, size_t index,
                      const struct subscription *subscription)
{
    if (subscription->state != SUBSCRIPTION_FAILED)
        provider_null(scan, index);
    else
        provider_cstr(scan, index, subscription->last_error);
}

static void scan_partition(const struct ingest *ingest, const struct subscription *subscription,
                           const struct subscription_partition *partition, int64_t now_us,
                           struct provider_scan *scan)
{
    int64_t lag = lag_us(partition, now_us);
    provider_cstr(scan, 2, "kafka");
    provider_text(scan, 3, subscription->definition.topic);
    provider_int(scan, 4, partition->partition);
    add_offset(scan, 5, partition->next_offset);
    add_offset(scan, 6, partition->end_offset);
    add_offset(scan, 7, subscription_lag(partition));
    add_offset(scan, 8, lag < 0 ? NO_OFFSET : lag / 1000);
    provider_cstr(scan, 10, partition_state(ingest, subscription, partition, now_us));
    add_error(scan, 11, subscription);
}

void feed_scan_source(const struct ingest *ingest, struct slice table, const struct source *source,
                      int64_t now_us, struct provider_scan *scan)
{
    const struct subscription *subscription;
    const struct subscription_partition *partition;
    provider_text(scan, 0, table);
    provider_text(scan, 1, source_name(source));
    if (find_feed(ingest, source, &subscription, &partition)) {
        scan_partition(ingest, subscription, partition, now_us, scan);
    } else { /* its subscription was dropped */
        provider_cstr(scan, 2, "kafka");
        for (size_t i = 3; i <= 8; i++)
            provider_null(scan, i);
        provider_cstr(scan, 10, "idle");
        provider_null(scan, 11);
    }
    if (source->watermark_us == NO_TIME)
        provider_null(scan, 9);
    else
        provider_int(scan, 9, source->watermark_us);
    if (source->last_row_at_us == NO_TIME)
        provider_null(scan, 12);
    else
        provider_int(scan, 12, source->last_row_at_us);
}

/* --- what has sent nothing yet --- */

static bool has_source(struct ingest *ingest, const struct subscription *subscription,
                       int32_t partition)
{
    char name[160];
    int size = snprintf(name, sizeof(name), "%.*s/%d", SLICE_ARGS(subscription->definition.name),
                        (int)partition);
    assert(size > 0 && (size_t)size < sizeof(name));
    const struct table_state *table = ingest_find_table(ingest, subscription->definition.table_id);
    return table != NULL &&
           sources_find(&table->sources, slice_of(name, (size_t)size)) != NO_SOURCE;
}

static void scan_unread(struct ingest *ingest, const struct subscription *subscription,
                        int64_t now_us, struct provider_scan *scan)
{
    const struct subscription_definition *definition = &subscription->definition;
    char name[160];
    for (uint32_t i = 0; i < subscription->partition_count; i++) {
        const struct subscription_partition *partition = &subscription->partitions[i];
        if (has_source(ingest, subscription, partition->partition))
            continue;
        int size = snprintf(name, sizeof(name), "%.*s/%d", SLICE_ARGS(definition->name),
                            (int)partition->partition);
        provider_text(scan, 0, definition->table);
        provider_text(scan, 1, slice_of(name, (size_t)size));
        scan_partition(ingest, subscription, partition, now_us, scan);
        provider_null(scan, 9);
        provider_null(scan, 12);
    }
    if (subscription->partition_count > 0)
        return;
    provider_text(scan, 0, definition->table);
    provider_text(scan, 1, definition->name);
    provider_cstr(scan, 2, "kafka");
    provider_text(scan, 3, definition->topic);
    for (size_t i = 4; i <= 9; i++)
        provider_null(scan, i);
    provider_cstr(scan, 10, subscription->state == SUBSCRIPTION_FAILED ? "failed" : "idle");
    add_error(scan, 11, subscription);
    provider_null(scan, 12);
}

void feed_scan_unread(struct ingest *ingest, int64_t now_us, struct provider_scan *scan)
{
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->subscriptions.count; i++)
        scan_unread(ingest, ingest->subscriptions.list[i], now_us, scan);
    mutex_unlock(&ingest->lock);
}

/* --- freshet.subscriptions --- */

#define COLUMN(name_text, type_name)                                                               \
    {                                                                                              \
        .name = name_text, .type = {.id = type_name }                                              \
    }
static const struct provider_column columns[] = {
    COLUMN("name", TYPE_TEXT),       COLUMN("table_name", TYPE_TEXT),
    COLUMN("topic", TYPE_TEXT),      COLUMN("connection", TYPE_TEXT),
    COLUMN("options", TYPE_JSONB),   COLUMN("enabled", TYPE_BOOL),
    COLUMN("state", TYPE_TEXT),      COLUMN("last_error", TYPE_TEXT),
    COLUMN("messages", TYPE_INT8),   COLUMN("bytes", TYPE_INT8),
    COLUMN("batches", TYPE_INT8),    COLUMN("gaps", TYPE_INT8),
    COLUMN("refused", TYPE_INT8),    COLUMN("errors", TYPE_INT8),
    COLUMN("rebalances", TYPE_INT8), COLUMN("pauses", TYPE_INT8),
};

static void write_options(struct writer *out, const struct subscription_definition *definition)
{
    const struct {
        const char *name;
        struct slice value;
    } options[] = {{"format", definition->format},
                   {"group", definition->group},
                   {"start", definition->start},
                   {"map", definition->map},
                   {"partitions", definition->partitions}};
    size_t count = 0;
    for (size_t i = 0; i < array_count(options); i++) {
        if (options[i].value.size == 0)
            continue;
        writer_cstr(out, count++ == 0 ? "{" : ", ");
        json_write_string(out, slice_from_cstr(options[i].name));
        writer_cstr(out, ": ");
        json_write_string(out, options[i].value);
    }
    writer_cstr(out, count == 0 ? "{}" : "}");
}

static const char *state_name(const struct subscription *subscription)
{
    if (!subscription->definition.is_enabled)
        return "disabled";
    return subscription->state == SUBSCRIPTION_FAILED    ? "failed"
           : subscription->state == SUBSCRIPTION_RUNNING ? "running"
                                                         : "stopped";
}

static void scan_subscription(const struct subscription *subscription, struct provider_scan *scan)
{
    const struct subscription_definition *definition = &subscription->definition;
    const struct subscription_counts *counts = &subscription->counts;
    const uint64_t numbers[] = {counts->messages,   counts->bytes,   counts->batches,
                                counts->gaps,       counts->refused, counts->errors,
                                counts->rebalances, counts->pauses};
    struct writer options;
    writer_init(&options);
    write_options(&options, definition);
    provider_text(scan, 0, definition->name);
    provider_text(scan, 1, definition->table);
    provider_text(scan, 2, definition->topic);
    provider_text(scan, 3, definition->connection);
    provider_text(scan, 4, writer_as_slice(&options));
    provider_bool(scan, 5, definition->is_enabled);
    provider_cstr(scan, 6, state_name(subscription));
    if (subscription->last_error[0] == 0)
        provider_null(scan, 7);
    else
        provider_cstr(scan, 7, subscription->last_error);
    for (size_t i = 0; i < array_count(numbers); i++)
        provider_int(scan, 8 + i, (int64_t)numbers[i]);
    writer_deinit(&options);
}

static enum err scan_subscriptions(void *context, struct provider_scan *scan, struct error *error)
{
    struct ingest *ingest = context;
    (void)error;
    mutex_lock(&ingest->lock);
    for (uint32_t i = 0; i < ingest->subscriptions.count; i++)
        scan_subscription(ingest->subscriptions.list[i], scan);
    mutex_unlock(&ingest->lock);
    return OK;
}

void feed_init_provider(struct ingest *ingest, struct table_provider *out)
{
    *out = (struct table_provider){
        .schema_name = "freshet",
        .name = "subscriptions",
        .column_count = array_count(columns),
        .columns = columns,
        .context = ingest,
        .scan = scan_subscriptions,
    };
}

/* --- metrics --- */

static bool lag_value(const struct subscription_partition *partition, int64_t now_us, double *out)
{
    (void)now_us;
    int64_t lag = subscription_lag(partition);
    *out = (double)lag;
    return lag != NO_OFFSET;
}

static bool lag_change(const struct subscription_partition *partition, int64_t now_us, double *out)
{
    (void)now_us;
    int64_t change;
    bool is_known = subscription_lag_change(partition, &change);
    *out = (double)change;
    return is_known;
}

static bool lag_seconds(const struct subscription_partition *partition, int64_t now_us, double *out)
{
    int64_t lag = lag_us(partition, now_us);
    *out = (double)lag / 1e6;
    return lag >= 0;
}

static bool offset_value(const struct subscription_partition *partition, int64_t now_us,
                         double *out)
{
    (void)now_us;
    *out = (double)partition->next_offset;
    return partition->next_offset != NO_OFFSET;
}

static bool stalled_value(const struct subscription_partition *partition, int64_t now_us,
                          double *out)
{
    *out = is_stalled(partition, now_us);
    return true;
}

static const struct {
    const char *name, *help;
    bool (*value)(const struct subscription_partition *partition, int64_t now_us, double *out);
} partition_families[] = {
    {"freshet_kafka_lag", "Messages of a partition that are not stored yet.", lag_value},
    {"freshet_kafka_lag_change", "The lag less what it was ten minutes ago.", lag_change},
    {"freshet_kafka_lag_seconds", "Age of the last message read of a partition that has lag.",
     lag_seconds},
    {"freshet_kafka_stored_offset", "The first offset of a partition that is not stored.",
     offset_value},
    {"freshet_kafka_stalled", "1 while a partition has lag and is paused or does not move.",
     stalled_value},
};

static uint64_t count_messages(const struct subscription *s)
{
    return s->counts.messages;
}
static uint64_t count_bytes(const struct subscription *s)
{
    return s->counts.bytes;
}
static uint64_t count_gaps(const struct subscription *s)
{
    return s->counts.gaps;
}
static uint64_t count_refused(const struct subscription *s)
{
    return s->counts.refused;
}
static uint64_t count_errors(const struct subscription *s)
{
    return s->counts.errors;
}
static uint64_t count_rebalances(const struct subscription *s)
{
    return s->counts.rebalances;
}
static uint64_t count_pauses(const struct subscription *s)
{
    return s->counts.pauses;
}
static uint64_t is_failed(const struct subscription *s)
{
    return s->state == SUBSCRIPTION_FAILED;
}

static const struct {
    const char *name, *type, *help;
    uint64_t (*value)(const struct subscription *subscription);
} families[] = {
    {"freshet_kafka_messages_total", "counter", "Messages read.", count_messages},
    {"freshet_kafka_bytes_total", "counter", "Bytes of the values of messages read.", count_bytes},
    {"freshet_kafka_gaps_total", "counter",
     "Offsets that were not the next: markers, aborted messages, compaction.", count_gaps},
    {"freshet_kafka_refused_total", "counter",
     "Batches refused because their partitions had moved.", count_refused},
    {"freshet_kafka_errors_total", "counter", "Errors of the connection or the broker.",
     count_errors},
    {"freshet_kafka_rebalances_total", "counter", "Assignments and revocations by the group.",
     count_rebalances},
    {"freshet_kafka_pauses_total", "counter",
     "Times that partitions were paused for memory or disk.", count_pauses},
    {"freshet_kafka_failed", "gauge", "1 while a subscription does not get on.", is_failed},
};

static void sample(struct writer *out, struct writer *labels, const char *name,
                   const struct subscription *subscription,
                   const struct subscription_partition *partition, double value)
{
    writer_reset(labels);
    metrics_label(labels, "subscription", subscription->definition.name);
    metrics_label(labels, "topic", subscription->definition.topic);
    if (partition != NULL) {
        char number[16];
        int size = snprintf(number, sizeof(number), "%d", (int)partition->partition);
        metrics_label(labels, "partition", slice_of(number, (size_t)size));
    }
    writer_u8(labels, 0);
    metrics_print_sample(out, name, (const char *)labels->data, value);
}

void feed_metrics(const struct ingest *ingest, int64_t now_us, struct writer *out)
{
    const struct subscriptions *subscriptions = &ingest->subscriptions;
    struct writer labels;
    writer_init(&labels);
    for (size_t f = 0; f < array_count(families); f++) {
        metrics_print_family(out, families[f].name, families[f].type, families[f].help);
        for (uint32_t i = 0; i < subscriptions->count; i++)
            sample(out, &labels, families[f].name, subscriptions->list[i], NULL,
                   (double)families[f].value(subscriptions->list[i]));
    }
    for (size_t f = 0; f < array_count(partition_families); f++) {
        metrics_print_family(out, partition_families[f].name, "gauge", partition_families[f].help);
        for (uint32_t i = 0; i < subscriptions->count; i++) {
            const struct subscription *subscription = subscriptions->list[i];
            for (uint32_t p = 0; p < subscription->partition_count; p++) {
                double value;
                if (partition_families[f].value(&subscription->partitions[p], now_us, &value))
                    sample(out, &labels, partition_families[f].name, subscription,
                           &subscription->partitions[p], value);
            }
        }
    }
    writer_deinit(&labels);
}
