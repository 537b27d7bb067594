/* Retries at the far end of what is promised, each across a kill: a producer's after a
 * million requests of others, a key's after 999,999 newer keys; and one key later the first is
 * forgotten. FRESHET_RETRY_COUNT makes them fewer (sanitizers). */
#include "ingest/internal.h"
#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "tests/sim/ingest_life.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef FRESHET_CHECK
#define COUNT_DEFAULT 20000
#else
#define COUNT_DEFAULT 1000000
#endif
#define GROUP 2000

static void open_life(struct sim *sim, uint64_t window, struct life *life)
{
    const struct life_options options = {
        .store = {.log_file_size = (size_t)16 << 20, .rows_memory_limit = (size_t)1 << 30},
        .keys_window = window};
    struct error error = {0};
    if (life_open(sim, &options, life, &error) != OK) {
        fprintf(stderr, "store_open: %s\n", error.text);
        exit(1);
    }
}

struct reply {
    uint64_t calls, stored;
    int status;
    enum ingest_outcome outcome;
    uint64_t position;
};

static void on_answer(void *context, const struct ingest_answer *answer)
{
    struct reply *reply = context;
    reply->calls++;
    reply->stored += answer->outcome == INGEST_STORED;
    reply->status = answer->http_status;
    reply->outcome = answer->outcome;
    reply->position = answer->position;
}

static void post(struct life *life, const char *producer, const char *key, const char *body,
                 struct reply *reply)
{
    struct ingest_request request = {.table = SLICE("t"),
                                     .body = slice_from_cstr(body),
                                     .format = INGEST_NDJSON,
                                     .producer = slice_from_cstr(producer),
                                     .idempotency_key = slice_from_cstr(key)};
    request.has_sequence = request.producer.size > 0;
    request.sequence = 1;
    ingest_post(life->ingest, &request, on_answer, reply);
}

static struct reply post_one(struct life *life, const char *producer, const char *key)
{
    struct reply reply = {0};
    post(life, producer, key, "{\"id\":1}\n", &reply);
    while (reply.calls == 0 && store_run(life->store))
        continue;
    return reply;
}

/* `count` requests of other producers (or keys), each a name of its own, in groups. */
static bool post_others(struct life *life, bool is_key, uint64_t count)
{
    struct reply reply = {0};
    char name[32];
    for (uint64_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "other-%" PRIu64, i);
        post(life, is_key ? "" : name, is_key ? name : "", "\n", &reply);
        while (i % GROUP == GROUP - 1 && store_run(life->store))
            continue;
    }
    while (store_run(life->store))
        continue;
    return reply.calls == count && reply.stored == count;
}

static bool expect(bool is_true, const char *what)
{
    if (!is_true)
        printf("NOT TRUE: %s\n", what);
    return is_true;
}

static bool run(bool is_key, uint64_t count)
{
    struct sim_options options = {.seed = 1};
    struct sim *sim = sim_create(&options);
    struct clock_source clock = sim_clock(sim);
    struct life life;
    int64_t begin_us = clock_monotonic_us();
    const struct ingest_column column = {.name = SLICE("id"), .type = type_of(TYPE_INT8)};
    struct ingest_table table = {.name = SLICE("t"), .column_count = 1, .columns = &column};
    const char *producer = is_key ? "" : "first", *key = is_key ? "first" : "";
    uint64_t position;
    struct error error;
    clock_install(&clock);
    open_life(sim, count, &life);
    bool is_good = expect(ingest_create_table(life.ingest, &table, &position, &error) == OK,
                          "the table is made");
    struct reply first = post_one(&life, producer, key);
    is_good &= expect(first.status == 200 && first.outcome == INGEST_STORED,
                      "the first request is stored");
    is_good &=
        expect(post_others(&life, is_key, is_key ? count - 1 : count), "all others are stored");
    struct sim *killed = sim_fork(sim, SIM_KILL, 7);
    life_close(&life);
    open_life(killed, count, &life);
    struct reply again = post_one(&life, producer, key);
    is_good &= expect(again.outcome == INGEST_REPEATED && again.position == first.position,
                      "after the kill its retry gets the first answer");
    if (is_key) {
        is_good &= expect(post_one(&life, "", "one more").outcome == INGEST_STORED,
                          "one newer key is stored");
        is_good &= expect(post_one(&life, "", "first").outcome == INGEST_STORED,
                          "then the first key is forgotten");
    }
    life_close(&life);
    sim_destroy(killed);
    sim_destroy(sim);
    clock_install(NULL);
    printf("%s retried after %" PRIu64 " others and a kill: %s, %.1f s\n",
           is_key ? "key" : "producer", is_key ? count - 1 : count,
           is_good ? "the first answer" : "WRONG", (double)(clock_monotonic_us() - begin_us) / 1e6);
    return is_good;
}

int main(void)
{
    const char *setting = getenv("FRESHET_RETRY_COUNT");
    uint64_t count = setting == NULL ? COUNT_DEFAULT : strtoull(setting, NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    bool is_good = run(false, count);
    is_good &= run(true, count);
    return is_good ? 0 : 1;
}
