/* Watermarks: 1,000 interleavings of out-of-order, idle and future-dated sources against a naive
 * model and the promise itself: no row at or before complete_through comes later without late_rows
 * saying so. A planted mistake is found. */
#include "ingest/state/sources.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SOURCES_MAX 6
#define STEPS 120
#define ROWS_MAX 12
#define IDLE_US (60 * MICROSECONDS_PER_SECOND)

struct model_source {
    bool exists, is_idle;
    int64_t max_time, watermark, last_at;
};
struct model {
    struct model_source sources[SOURCES_MAX];
    int64_t complete;
    uint64_t late;
};

static void model_move(struct model *model)
{
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < SOURCES_MAX; i++) {
        const struct model_source *s = &model->sources[i];
        if (s->exists && !s->is_idle && s->watermark != NO_TIME && s->watermark < least)
            least = s->watermark;
    }
    if (least != INT64_MAX && least > model->complete)
        model->complete = least;
}

static void model_apply(struct model *model, size_t index, int64_t at, int64_t lateness,
                        const int64_t *times, size_t count)
{
    struct model_source *s = &model->sources[index];
    if (!s->exists)
        *s = (struct model_source){
            .exists = true, .max_time = NO_TIME, .watermark = NO_TIME, .last_at = NO_TIME};
    int64_t promised = s->watermark > model->complete ? s->watermark : model->complete;
    for (size_t i = 0; i < count; i++) {
        model->late += times[i] <= promised;
        s->max_time = times[i] > s->max_time ? times[i] : s->max_time;
    }
    s->is_idle = false;
    s->last_at = at;
    if (s->max_time != NO_TIME) {
        int64_t watermark = (s->max_time < at ? s->max_time : at) - lateness;
        s->watermark = watermark > s->watermark ? watermark : s->watermark;
    }
    model_move(model);
}

static void model_tick(struct model *model, int64_t at)
{
    for (size_t i = 0; i < SOURCES_MAX; i++)
        if (model->sources[i].exists && model->sources[i].last_at < at - IDLE_US)
            model->sources[i].is_idle = true;
    model_move(model);
}

/* Through bytes and back, as a checkpoint does. */
static void reload(struct sources *sources)
{
    struct writer bytes;
    writer_init(&bytes);
    sources_write(sources, &bytes);
    sources_deinit(sources);
    struct reader reader = reader_of(writer_as_slice(&bytes));
    assert_true(sources_read(sources, &reader));
    assert_int_equal(reader_left(&reader), 0);
    writer_deinit(&bytes);
}

struct run {
    struct random_stream random;
    struct sources sources;
    struct model model;
    int64_t now, lateness;
    uint64_t broken;      /* rows at or before what complete_through had been before their record */
    bool forgets_promise; /* the planted mistake: rows are compared with their source's own
                             watermark only */
};

static void step_rows(struct run *run)
{
    char name[32];
    size_t index = (size_t)random_below(&run->random, SOURCES_MAX);
    snprintf(name, sizeof(name), "s%zu", index);
    int64_t times[ROWS_MAX], kept[ROWS_MAX];
    uint8_t validity[ROWS_MAX];
    size_t count = (size_t)random_below(&run->random, ROWS_MAX + 1), present = 0;
    for (size_t i = 0; i < count; i++) {
        times[i] = run->now - (int64_t)random_below(&run->random, 200) * MICROSECONDS_PER_SECOND;
        if (random_below(&run->random, 10) == 0) /* a clock that runs ahead, up to a day */
            times[i] =
                run->now + (int64_t)random_below(&run->random, 86400) * MICROSECONDS_PER_SECOND;
        validity[i] = random_below(&run->random, 20) != 0;
        run->broken += validity[i] && times[i] <= run->sources.complete_through_us;
        if (validity[i])
            kept[present++] = times[i];
    }
    struct column column = {.type = type_of(TYPE_TIMESTAMPTZ), .validity = validity, .i = times};
    uint32_t place = sources_get(&run->sources, slice_from_cstr(name), SOURCE_HTTP);
    int64_t promise = run->sources.complete_through_us;
    if (run->forgets_promise)
        run->sources.complete_through_us = NO_TIME;
    sources_apply(&run->sources, place, run->now, run->lateness,
                  sources_promise(&run->sources, place), &column, 0, count);
    sources_settle(&run->sources);
    if (run->sources.complete_through_us < promise)
        run->sources.complete_through_us = promise;
    model_apply(&run->model, index, run->now, run->lateness, kept, present);
}

static bool step_tick(struct run *run)
{
    struct model before = run->model;
    model_tick(&run->model, run->now);
    bool would = sources_would_tick(&run->sources, run->now, IDLE_US);
    sources_tick(&run->sources, run->now, IDLE_US);
    return would == (run->model.complete > before.complete);
}

static bool run_seed(uint64_t seed, bool forgets_promise)
{
    struct run run = {.now = INT64_C(1780000000000000), .forgets_promise = forgets_promise};
    random_stream_init(&run.random, seed);
    sources_init(&run.sources);
    run.model.complete = NO_TIME;
    run.lateness = (int64_t)random_below(&run.random, 60) * MICROSECONDS_PER_SECOND;
    bool is_right = true;
    for (int i = 0; i < STEPS && is_right; i++) {
        int64_t before = run.sources.complete_through_us;
        /* Mostly small steps of time; now and then a silence longer than idle. */
        run.now += random_below(&run.random, 15) == 0
                       ? 90 * MICROSECONDS_PER_SECOND
                       : (int64_t)random_below(&run.random, 20) * MICROSECONDS_PER_SECOND;
        if (random_below(&run.random, 4) == 0)
            is_right &= step_tick(&run);
        else
            step_rows(&run);
        if (random_below(&run.random, 10) == 0)
            reload(&run.sources);
        is_right &= run.sources.complete_through_us >= before;
        is_right &= run.sources.complete_through_us == run.model.complete;
        is_right &= run.sources.late_rows == run.model.late;
        is_right &= run.sources.late_rows >= run.broken;
    }
    sources_deinit(&run.sources);
    return is_right;
}

static void test_thousand_interleavings(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 1000; seed++)
        if (!run_seed(seed, false))
            fail_msg("seed %llu", (unsigned long long)seed);
}

static void test_planted_mistake_is_found(void **state)
{
    (void)state;
    size_t found = 0;
    for (uint64_t seed = 1; seed <= 20; seed++)
        found += !run_seed(seed, true);
    assert_true(found >= 15);
}

/* A table of very many sources: a record touches few of them. */
static void test_many_sources(void **state)
{
    (void)state;
    struct sources sources;
    sources_init(&sources);
    int64_t now = INT64_C(1780000000000000);
    char name[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50000; i++) {
            snprintf(name, sizeof(name), "p%d", i);
            int64_t time = now + i;
            struct column column = {.type = type_of(TYPE_TIMESTAMPTZ), .i = &time};
            uint32_t place = sources_get(&sources, slice_from_cstr(name), SOURCE_HTTP);
            sources_apply(&sources, place, now + i, 0, sources_promise(&sources, place), &column, 0,
                          1);
            sources_settle(&sources);
        }
        assert_int_equal(sources.count, 50000);
        assert_int_equal(sources.complete_through_us, now);
        now += 1000000;
    }
    reload(&sources);
    assert_int_equal(sources.heap_count, 50000);
    sources_tick(&sources, now + 3600 * MICROSECONDS_PER_SECOND, IDLE_US);
    assert_int_equal(sources.heap_count, 0);
    sources_deinit(&sources);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thousand_interleavings),
        cmocka_unit_test(test_planted_mistake_is_found),
        cmocka_unit_test(test_many_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
