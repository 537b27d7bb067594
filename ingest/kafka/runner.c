/* Which consumers run. A consumer's thread lives from the start of its subscription (server ready,
 * CREATE, ENABLE, the end of an ALTER) to its stop (DISABLE, DROP, ALTER, the server's end); who
 * stops it waits for it. Everything here is DDL's and takes its turn under ingest->ddl, which a
 * consumer never takes. */
#include "ingest/kafka/runner.h"

#include "ingest/internal.h"
#include "ingest/kafka/consumer.h"
#include "storage/base/worker.h"

#include <assert.h>

struct runner {
    struct running {
        uint32_t id;
        struct consumer *consumer;
    } list[SUBSCRIPTIONS_MAX];
    size_t count;
};

static struct running *find(struct runner *runner, uint32_t id)
{
    for (size_t i = 0; i < runner->count; i++)
        if (runner->list[i].id == id)
            return &runner->list[i];
    return NULL;
}

void runner_start(struct ingest *ingest, uint32_t id)
{
    struct runner *runner = ingest->runner;
    if (runner == NULL)
        return;
    assert(find(runner, id) == NULL);
    mutex_lock(&ingest->lock);
    const struct subscription *subscription = subscriptions_get(&ingest->subscriptions, id);
    bool is_wanted = subscription != NULL && subscription->definition.is_enabled;
    mutex_unlock(&ingest->lock);
    if (!is_wanted || runner->count == SUBSCRIPTIONS_MAX)
        return;
    runner->list[runner->count++] =
        (struct running){.id = id, .consumer = consumer_start(ingest, id)};
}

void runner_stop(struct ingest *ingest, uint32_t id)
{
    struct runner *runner = ingest->runner;
    struct running *running = runner == NULL ? NULL : find(runner, id);
    if (running == NULL)
        return;
    consumer_ask_stop(running->consumer);
    worker_block_begin(); /* leaving a group may take seconds */
    consumer_stop(running->consumer);
    worker_block_end();
    *running = runner->list[--runner->count];
}

void ingest_start_subscriptions(struct ingest *ingest)
{
    mutex_lock(&ingest->ddl);
    assert(ingest->runner == NULL);
    ingest->runner = memory_alloc_zero(sizeof(*ingest->runner));
    for (uint32_t i = 0;; i++) {
        mutex_lock(&ingest->lock);
        bool is_end = i >= ingest->subscriptions.count;
        uint32_t id = is_end ? 0 : ingest->subscriptions.list[i]->id;
        mutex_unlock(&ingest->lock);
        if (is_end)
            break;
        runner_start(ingest, id);
    }
    mutex_unlock(&ingest->ddl);
}

void ingest_stop_subscriptions(struct ingest *ingest)
{
    mutex_lock(&ingest->ddl);
    struct runner *runner = ingest->runner;
    for (size_t i = 0; runner != NULL && i < runner->count; i++)
        consumer_ask_stop(runner->list[i].consumer); /* all at once: each may wait for its broker */
    for (size_t i = 0; runner != NULL && i < runner->count; i++)
        consumer_stop(runner->list[i].consumer);
    memory_free(runner);
    ingest->runner = NULL;
    mutex_unlock(&ingest->ddl);
}

void ingest_set_disk_low(struct ingest *ingest, bool is_low)
{
    atomic_store_explicit(&ingest->is_disk_low, is_low, memory_order_relaxed);
}
