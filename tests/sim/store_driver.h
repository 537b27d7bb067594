/* Drives whole stores on the simulated disk: chance commits under a regime of faults, upkeep beside
 * them and commits inside of its steps, the disk forked at operations as a crash would leave it,
 * reopened, compared with the model, used on, crashed and compared again.
 *
 * A crash point has a kind: what the store was doing at that operation. Commits are most of the
 * operations and the least of the points.
 *
 * What the store holds besides rows (producers, keys, ledger …) belongs to whoever gives the hooks:
 * they make the extension of each opened store, and say whether it is as the model has it. The
 * default hooks are the test extension of tests/model/store_model.h. */
#ifndef FRESHET_TESTS_SIM_STORE_DRIVER_H
#define FRESHET_TESTS_SIM_STORE_DRIVER_H

#include "storage/base/fault.h"
#include "storage/io/sim.h"
#include "storage/table/private.h"
#include "tests/sim/store_oracle.h"

#include <stdarg.h>

#define DRIVER_PIECE_SIZE ((size_t)4 << 10) /* many records straddle pieces */
#define DRIVER_RETENTION_US (INT64_C(120) * 1000000)
#define DRIVER_EVENTS_US INT64_C(1790000000000000) /* the first event's time */
#define DRIVER_WALL_US (DRIVER_EVENTS_US + INT64_C(365) * 24 * 3600 * 1000000)

enum driver_point {
    DRIVER_COMMIT,
    DRIVER_COMMIT_IN_UPKEEP,
    DRIVER_SEALING,
    DRIVER_MERGING,
    DRIVER_MANIFEST,
    DRIVER_CHECKPOINT,
    DRIVER_RECYCLING,
    DRIVER_RETENTION,
    DRIVER_DROPPING,
    DRIVER_RECOVERY,
    DRIVER_IN_RECOVERY,
    DRIVER_SECOND_LIFE,
    DRIVER_POINT_KINDS
};

/* `inside`: counts as a step of upkeep. One operation of `one_in` becomes a point. */
static const struct {
    const char *name;
    bool inside;
    uint32_t one_in;
} driver_points[DRIVER_POINT_KINDS] = {
    [DRIVER_COMMIT] = {"commit", false, 16},
    [DRIVER_COMMIT_IN_UPKEEP] = {"commit inside a step of upkeep", true, 24},
    [DRIVER_SEALING] = {"sealing", true, 10},
    [DRIVER_MERGING] = {"merging", true, 2},
    [DRIVER_MANIFEST] = {"manifest edit", true, 10},
    [DRIVER_CHECKPOINT] = {"checkpoint", true, 10},
    [DRIVER_RECYCLING] = {"log recycling", true, 2},
    [DRIVER_RETENTION] = {"retention", true, 4},
    [DRIVER_DROPPING] = {"dropped rows", true, 4},
    [DRIVER_RECOVERY] = {"recovery", false, 8},
    [DRIVER_IN_RECOVERY] = {"recovery after a crash", false, 1},
    [DRIVER_SECOND_LIFE] = {"after a recovery", false, 1},
};

struct driver_hooks {
    struct store_extension (*extension_create)(void);
    void (*extension_destroy)(void *context);
    /* The extension as of a position; false: *why. */
    bool (*check)(void *context, const struct model *model, const struct model_state *state,
                  uint64_t position, char *why, size_t why_size);
};

/* Drawn once a seed: when upkeep finds something to do. */
struct driver_limits {
    size_t log_file_size, log_bytes_max;
    uint64_t seal_rows, carry_rows;
    int64_t seal_age_us;
};

struct driver {
    const struct driver_hooks *hooks;
    struct driver_limits limits;
    struct sim *sim;
    struct clock_source clock;
    struct model model;
    struct random_stream chance;
    struct store *live;
    uint64_t firm; /* acknowledged or seen up to here */
    uint64_t points, points_max;
    bool is_about_commits; /* most points there */
    uint64_t point_counts[DRIVER_POINT_KINDS], power_cuts, kills;
    uint64_t commits, revivals, checkpoints, steps, same_again, readable, looks;
    char violation[300];
};

/* --- the default hooks --- */

static inline struct store_extension driver_extension_create(void)
{
    struct model_extension *extension = memory_alloc(sizeof(*extension));
    return model_extension(extension);
}

static inline void driver_extension_destroy(void *context)
{
    memory_free(context);
}

static inline bool driver_extension_check(void *context, const struct model *model,
                                          const struct model_state *state, uint64_t position,
                                          char *why, size_t why_size)
{
    const struct model_extension *extension = context;
    (void)model;
    (void)position;
    if (extension->section_count == state->section_count &&
        extension->section_sum == state->section_sum && extension->row_count == state->row_count &&
        !extension->is_out_of_order)
        return true;
    snprintf(
        why, why_size,
        "extension: %" PRIu64 " sections and %" PRIu64 " rows instead of %" PRIu64 " and %" PRIu64,
        extension->section_count, extension->row_count, state->section_count, state->row_count);
    return false;
}

static const struct driver_hooks driver_default_hooks = {
    .extension_create = driver_extension_create,
    .extension_destroy = driver_extension_destroy,
    .check = driver_extension_check,
};

/* --- one opened store --- */

struct driver_life {
    struct driver *driver;
    struct sim *sim;
    struct io *io;
    struct store *store;
    struct store_extension extension;
    /* What replay is compared with; what commits inside of upkeep go to. NULL: there are none. */
    const struct model *replayed;
    struct model *model;
    uint64_t *firm;
    bool has_failed; /* one of them */
    uint32_t guests; /* groups of them since upkeep was called */
};

static inline void driver_violate(struct driver *driver, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void driver_violate(struct driver *driver, const char *format, ...)
{
    if (driver->violation[0] != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(driver->violation, sizeof(driver->violation), format, arguments);
    va_end(arguments);
}

static inline void driver_pause(void *context);
static inline void driver_replayed(void *context, struct store *store);

static inline enum err driver_open(struct driver *driver, struct sim *sim,
                                   const struct model *model, struct driver_life *life,
                                   struct error *error)
{
    const struct driver_limits *limits = &driver->limits;
    *life = (struct driver_life){.driver = driver, .sim = sim, .replayed = model};
    sim_open(sim, &life->io);
    life->extension = driver->hooks->extension_create();
    struct store_options options = {.io = life->io,
                                    .directory = "",
                                    .log_file_size = limits->log_file_size,
                                    .log_piece_size = DRIVER_PIECE_SIZE,
                                    .extension = life->extension,
                                    .seal_rows = limits->seal_rows,
                                    .carry_rows = limits->carry_rows,
                                    .seal_age_us = limits->seal_age_us,
                                    .log_bytes_max = limits->log_bytes_max,
                                    .merge_segments_min = 2,
                                    .cache_size = (size_t)1 << 20,
                                    .upkeep_pause = driver_pause,
                                    .upkeep_context = life,
                                    .replayed = driver_replayed,
                                    .replayed_context = life};
    enum err err = store_open_begin(&options, &life->store, error);
    if (err != OK)
        return err;
    driver_replayed(life, life->store);
    err = store_open_end(life->store, error);
    life->replayed = NULL;
    if (err != OK) {
        store_discard(life->store);
        life->store = NULL;
    }
    return err;
}

static inline void driver_close(struct driver *driver, struct driver_life *life)
{
    life->model = NULL; /* closing seals */
    if (life->store != NULL)
        store_close(life->store);
    driver->hooks->extension_destroy(life->extension.context);
    life->io->ops->destroy(life->io);
}

/* Everything in the store against the model at the store's position. */
static inline enum oracle_result driver_judge(struct driver *driver, const struct model *model,
                                              struct driver_life *life, char *why, size_t why_size)
{
    struct model_state state;
    uint64_t position = store_position(life->store);
    model_replay(model, position, &state);
    struct snapshot *snapshot = snapshot_open(life->store);
    enum oracle_result result = oracle_compare(&state, snapshot, why, why_size);
    if (result == ORACLE_SAME &&
        !driver->hooks->check(life->extension.context, model, &state, position, why, why_size))
        result = ORACLE_DIFFERENT;
    snapshot_close(snapshot);
    model_state_deinit(&state);
    return result;
}

static inline void driver_compare(struct driver *driver, const struct model *model,
                                  struct driver_life *life, const char *when)
{
    char why[200];
    if (driver_judge(driver, model, life, why, sizeof(why)) != ORACLE_SAME)
        driver_violate(driver, "%s, position %" PRIu64 ": %s", when, store_position(life->store),
                       why);
}

/* While the log is replayed what can be read is one moment: now and then it is looked at. */
static inline void driver_replayed(void *context, struct store *store)
{
    struct driver_life *life = context;
    if (life->replayed == NULL || sim_is_crashed(life->sim) || !store_is_readable(store))
        return;
    life->driver->readable++;
    if (random_below(&life->driver->chance, 32) == 0) {
        life->driver->looks++;
        driver_compare(life->driver, life->replayed, life, "while the log is replayed");
    }
}

/* --- doing things --- */

struct driver_pending {
    struct driver *driver;
    struct model_op *op;
    bool *has_failed;
    uint64_t *firm;
};

static inline void driver_done(void *context, uint64_t position, enum err result,
                               const struct error *error)
{
    struct driver_pending *pending = context;
    (void)error;
    if (result == OK && position > *pending->firm)
        *pending->firm = position;
    if (result != OK)
        *pending->has_failed = true;
    memory_free(pending);
}

/* A few commits in one group. Returns whether the log failed. */
static inline bool driver_step(struct driver *driver, struct model *model, struct driver_life *life,
                               uint64_t *firm)
{
    struct model_state state;
    bool has_failed = false;
    model_replay(model, UINT64_MAX, &state);
    uint64_t most = driver->is_about_commits ? 12 : 4; /* in a group */
    for (uint64_t count = 1 + random_below(&model->random, most); count > 0; count--) {
        struct model_op *op;
        struct commit *commit = model_commit(model, life->store, &state, &op);
        struct driver_pending *pending = memory_alloc(sizeof(*pending));
        *pending = (struct driver_pending){
            .driver = driver, .op = op, .has_failed = &has_failed, .firm = firm};
        uint64_t position;
        if (store_submit(life->store, commit, driver_done, pending, &position, NULL) != OK) {
            memory_free(pending);
            has_failed = true;
            break;
        }
        op->position = position;
        model_replay_op(&state, op);
        driver->commits++;
    }
    model_state_deinit(&state);
    while (store_run(life->store))
        continue;
    return has_failed;
}

/* Inside of a step of upkeep: now and then somebody commits, or reads everything. */
static inline void driver_pause(void *context)
{
    struct driver_life *life = context;
    struct driver *driver = life->driver;
    if (life->model == NULL || life->has_failed || driver->violation[0] != 0 ||
        sim_is_crashed(life->sim))
        return;
    uint64_t dice = random_below(&driver->chance, 400);
    if (dice < 4 && life->guests < 3) {
        life->guests++;
        life->has_failed = driver_step(driver, life->model, life, life->firm);
    } else if (dice == 4) {
        driver_compare(driver, life->model, life, "inside of upkeep");
    }
}

/* Upkeep as far as it is due, or some of it. Returns whether the log failed meanwhile. */
static inline bool driver_upkeep(struct driver *driver, struct model *model,
                                 struct driver_life *life, uint64_t *firm)
{
    life->model = model;
    life->firm = firm;
    life->has_failed = false;
    life->guests = 0;
    for (uint64_t steps = random_below(&driver->chance, 8); steps > 0; steps--) {
        if (life->has_failed || !store_upkeep_run(life->store))
            break;
        driver->steps++;
    }
    life->model = NULL;
    uint64_t position = store_position(life->store); /* its own records too */
    *firm = position > *firm ? position : *firm;
    return life->has_failed;
}

/* What failed is out of the log for good once it lives again. */
static inline void driver_forget(struct model *model, uint64_t position)
{
    for (struct model_op *op = model->first; op != NULL; op = op->next) {
        if (op->position > position)
            op->position = 0;
    }
}

/* The same commits up to a position, to go on from in another direction. */
static inline void driver_model_fork(const struct model *model, uint64_t position, uint64_t seed,
                                     struct model *out)
{
    model_init(out, seed, model->rows_max);
    out->name_counter = model->name_counter;
    out->time_us = model->time_us;
    out->retention_us = model->retention_us;
    for (const struct model_op *op = model->first; op != NULL; op = op->next) {
        if (op->position == 0 || op->position > position)
            continue;
        struct model_op *copy = arena_alloc(&out->arena, sizeof(*copy));
        *copy = *op;
        copy->next = NULL;
        if (copy->schema != NULL)
            schema_ref(copy->schema);
        *out->last = copy;
        out->last = &copy->next;
    }
}

/* --- crash points --- */

static inline void driver_count(struct driver *driver, enum driver_point kind)
{
    driver->point_counts[kind]++;
    driver->points++;
}

static inline void driver_crash_in_recovery(struct driver *driver, struct sim *sim)
{
    struct driver_life life;
    struct error error = {0};
    sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&driver->chance, 20));
    enum err result = driver_open(driver, sim, &driver->model, &life, &error);
    if (result != OK && !sim_is_crashed(sim))
        driver_violate(driver, "does not open in recovery: %s", error.text);
    driver_close(driver, &life);
    sim_recover(sim, SIM_POWER_CUT, random_next(&driver->chance));
    driver_count(driver, DRIVER_IN_RECOVERY);
}

/* Opens what a crash left; *firm becomes what it has. */
static inline bool driver_reopen(struct driver *driver, struct sim *sim, const struct model *model,
                                 uint64_t *firm, struct driver_life *life)
{
    struct error error = {0};
    char why[200];
    if (driver_open(driver, sim, model, life, &error) != OK) {
        driver_violate(driver, "does not open: %s", error.text);
        return false;
    }
    uint64_t position = store_position(life->store);
    if (position < *firm)
        driver_violate(driver, "lost: acknowledged up to %" PRIu64 ", found up to %" PRIu64, *firm,
                       position);
    else
        driver_compare(driver, model, life, "after a crash");
    if (driver->violation[0] == 0 && !oracle_check_files(life->io, life->store, why, sizeof(why)))
        driver_violate(driver, "files after a crash, position %" PRIu64 ": %s", position, why);
    *firm = position;
    return driver->violation[0] == 0;
}

/* What a recovery gave, the next one gives: nothing was left to chance. */
static inline bool driver_same_again(struct driver *driver, struct sim *sim,
                                     const struct model *model, struct driver_life *life)
{
    uint64_t position = store_position(life->store), firm = position;
    sim_crash_at(sim, sim_operation_count(sim) + 1);
    driver_close(driver, life);
    sim_recover(sim, random_below(&driver->chance, 2) == 0 ? SIM_KILL : SIM_POWER_CUT,
                random_next(&driver->chance));
    bool is_good = driver_reopen(driver, sim, model, &firm, life);
    if (is_good && firm != position)
        driver_violate(driver, "recovered to %" PRIu64 ", then to %" PRIu64, position, firm);
    driver->same_again++;
    return driver->violation[0] == 0;
}

static inline void driver_second_life(struct driver *driver, struct sim *sim,
                                      struct driver_life *life, struct model *model, uint64_t *firm)
{
    sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&driver->chance, 60));
    for (int step = 0; step < 6 && !sim_is_crashed(sim); step++) {
        if (driver_step(driver, model, life, firm) || driver_upkeep(driver, model, life, firm))
            break;
        if (random_below(&driver->chance, 3) == 0 && store_checkpoint(life->store, NULL) != OK)
            break;
    }
}

static inline void driver_crash(struct driver *driver, enum driver_point kind, enum sim_crash how)
{
    struct sim *sim = sim_fork(driver->sim, how, random_next(&driver->chance));
    struct driver_life life;
    uint64_t firm = driver->firm;
    driver_count(driver, kind);
    driver->kills += how == SIM_KILL;
    driver->power_cuts += how == SIM_POWER_CUT;
    if (random_below(&driver->chance, 5) == 0)
        driver_crash_in_recovery(driver, sim);
    bool is_good = driver_reopen(driver, sim, &driver->model, &firm, &life);
    if (is_good && random_below(&driver->chance, 6) == 0)
        is_good = driver_same_again(driver, sim, &driver->model, &life);
    if (is_good && random_below(&driver->chance, 4) == 0) {
        struct model model;
        driver_model_fork(&driver->model, firm, random_next(&driver->chance), &model);
        driver_second_life(driver, sim, &life, &model, &firm);
        driver_close(driver, &life);
        sim_recover(sim, random_below(&driver->chance, 3) == 0 ? SIM_KILL : SIM_POWER_CUT,
                    random_next(&driver->chance));
        driver_count(driver, DRIVER_SECOND_LIFE);
        (void)driver_reopen(driver, sim, &model, &firm, &life);
        driver_close(driver, &life);
        model_deinit(&model);
    } else {
        driver_close(driver, &life);
    }
    sim_destroy(sim);
}

static inline enum driver_point driver_point_of(const struct driver *driver)
{
    const struct sim_operation *operation = sim_operation(driver->sim);
    const char *name = operation->name;
    bool is_log = strncmp(name, "log-", 4) == 0;
    static const enum driver_point points[] = {
        [UPKEEP_IDLE] = DRIVER_COMMIT,        [UPKEEP_SEALING] = DRIVER_SEALING,
        [UPKEEP_MERGING] = DRIVER_MERGING,    [UPKEEP_RETENTION] = DRIVER_RETENTION,
        [UPKEEP_DROPPING] = DRIVER_DROPPING,  [UPKEEP_CHECKPOINT] = DRIVER_CHECKPOINT,
        [UPKEEP_RECYCLING] = DRIVER_RECYCLING};
    if (driver->live == NULL)
        return DRIVER_RECOVERY;
    enum upkeep_work work = driver->live->upkeep.work;
    if (is_log &&
        (strcmp(operation->verb, "rename") == 0 || strcmp(operation->verb, "unlink") == 0))
        return DRIVER_RECYCLING;
    if (is_log)
        return work == UPKEEP_IDLE ? DRIVER_COMMIT : DRIVER_COMMIT_IN_UPKEEP;
    if (strncmp(name, "manifest", 8) == 0 && work != UPKEEP_RETENTION && work != UPKEEP_DROPPING)
        return DRIVER_MANIFEST;
    if (work == UPKEEP_IDLE && strncmp(name, SEALED_DIRECTORY, strlen(SEALED_DIRECTORY)) == 0)
        return DRIVER_DROPPING; /* a last reader's */
    return points[work];
}

static inline void driver_on_operation(void *context)
{
    struct driver *driver = context;
    if (driver->live != NULL && store_position(driver->live) > driver->firm)
        driver->firm = store_position(driver->live); /* who saw it would miss it */
    enum driver_point kind = driver_point_of(driver);
    uint32_t one_in = driver_points[kind].one_in;
    if (driver->is_about_commits)
        one_in = kind == DRIVER_COMMIT ? 3 : 4 * one_in;
    bool is_due = random_below(&driver->chance, one_in) == 0;
    if (is_due && driver->violation[0] == 0 && driver->points < driver->points_max)
        driver_crash(driver, kind,
                     random_below(&driver->chance, 4) == 0 ? SIM_KILL : SIM_POWER_CUT);
}

/* --- one run --- */

static const struct sim_faults driver_regimes[] = {
    {0},
    {0},
    {0},
    {.write_short = 6000},
    {.sync_error = 2000},
    {.sync_error = 12000, .write_error = 4000},
    {.write_space = 9000, .write_short = 2000},
    {.name_error = 6000, .write_error = 3000},
};

static inline void driver_draw_limits(struct driver *driver)
{
    struct random_stream *chance = &driver->chance;
    driver->limits = (struct driver_limits){
        .log_file_size = (size_t)16384 << random_below(chance, 3),
        .log_bytes_max = (size_t)16384 << random_below(chance, 3),
        .seal_rows = 20 + random_below(chance, 100),
        .carry_rows = 1 + random_below(chance, 60),
        .seal_age_us = random_below(chance, 2) == 0 ? 50000 : INT64_C(3600) * 1000000,
    };
}

static inline void driver_revive(struct driver *driver, struct driver_life *life)
{
    struct store_status status;
    store_revive(life->store);
    while (store_run(life->store))
        continue;
    store_status(life->store, &status);
    if (status.is_failed)
        return;
    driver->revivals++;
    driver_forget(&driver->model, driver->firm);
}

static inline void driver_run_life(struct driver *driver)
{
    struct driver_life life;
    sim_set_faults(driver->sim, NULL);
    bool is_good = driver_reopen(driver, driver->sim, &driver->model, &driver->firm, &life);
    if (is_good)
        driver_forget(&driver->model, driver->firm);
    driver->live = life.store;
    sim_set_faults(driver->sim,
                   &driver_regimes[random_below(&driver->chance, array_count(driver_regimes))]);
    for (int step = 0; step < 16 && is_good && driver->points < driver->points_max; step++) {
        bool has_failed = driver_step(driver, &driver->model, &life, &driver->firm);
        if (!has_failed && (!driver->is_about_commits || step % 4 == 0))
            has_failed = driver_upkeep(driver, &driver->model, &life, &driver->firm);
        if (random_below(&driver->chance, 8) == 0) {
            has_failed |= store_checkpoint(life.store, NULL) != OK;
            driver->checkpoints++;
            uint64_t position = store_position(life.store);
            driver->firm = position > driver->firm ? position : driver->firm;
        }
        sim_advance(driver->sim, (int64_t)random_below(&driver->chance, 3) * 1000000);
        struct store_status status;
        store_status(life.store, &status);
        if (status.is_failed && has_failed) {
            driver_compare(driver, &driver->model, &life, "failed");
            driver_revive(driver, &life);
            store_status(life.store, &status);
            if (status.is_failed)
                break;
        }
        if (step % 4 == 3)
            driver_compare(driver, &driver->model, &life, "live");
        is_good = driver->violation[0] == 0;
    }
    driver_close(driver, &life);
    driver->live = NULL;
}

/* Behind every event: retention does not count from times ahead of the clock. */
static inline int64_t driver_wall_us(void *context)
{
    return DRIVER_WALL_US + sim_clock(context).monotonic_us(context);
}

static inline void driver_begin(const struct driver_hooks *hooks, uint64_t seed,
                                struct driver *driver)
{
    struct sim_options options = {.seed = seed};
    driver->hooks = hooks;
    driver->sim = sim_create(&options);
    driver->firm = 0;
    random_stream_init(&driver->chance, seed * 3 + 1);
    driver_draw_limits(driver);
    model_init(&driver->model, seed, driver->is_about_commits ? 200 : 80);
    driver->model.time_us = DRIVER_EVENTS_US;
    driver->model.retention_us = DRIVER_RETENTION_US;
    driver->clock = sim_clock(driver->sim);
    driver->clock.wall_us = driver_wall_us;
    clock_install(&driver->clock);
}

static inline void driver_end(struct driver *driver)
{
    sim_watch(driver->sim, NULL, NULL);
    sim_destroy(driver->sim);
    clock_install(NULL);
    model_deinit(&driver->model);
}

/* Returns the points made; violation says what was found. */
static inline uint64_t driver_run(const struct driver_hooks *hooks, uint64_t seed,
                                  uint64_t points_max, struct driver *driver)
{
    uint64_t before = driver->points;
    driver_begin(hooks, seed, driver);
    driver->points_max = before + points_max;
    sim_watch(driver->sim, driver_on_operation, driver);
    for (int round = 0; round < 3 && driver->violation[0] == 0; round++)
        driver_run_life(driver);
    driver_end(driver);
    return driver->points - before;
}

#endif
