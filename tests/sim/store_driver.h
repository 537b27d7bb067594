/* Drives whole stores on the simulated disk: chance commits under a regime of faults, the disk
 * forked at every operation as a crash would leave it, reopened, compared with the model, used on,
 * crashed and compared again.
 *
 * What the store holds besides rows (producers, keys, ledger …) belongs to whoever gives the hooks:
 * they make the extension of each opened store, may add to each commit, and say whether the
 * extension is as the model has it. The default hooks are the test extension of
 * tests/model/store_model.h. */
#ifndef FRESHET_TESTS_SIM_STORE_DRIVER_H
#define FRESHET_TESTS_SIM_STORE_DRIVER_H

#include "storage/base/fault.h"
#include "storage/io/sim.h"
#include "tests/model/store_model.h"

#include <inttypes.h>
#include <stdarg.h>

#define DRIVER_FILE_SIZE ((size_t)64 << 10)
#define DRIVER_PIECE_SIZE ((size_t)4 << 10) /* many records straddle pieces */

enum driver_point {
    DRIVER_POWER_CUT,
    DRIVER_KILL,
    DRIVER_IN_RECOVERY,
    DRIVER_SECOND_LIFE,
    DRIVER_POINT_KINDS
};
static const char *const driver_point_names[DRIVER_POINT_KINDS] = {
    "power cut", "process killed", "crash in recovery", "crash after recovery"};

struct driver_hooks {
    struct store_extension (*extension_create)(void);
    void (*extension_destroy)(void *context);
    /* The extension as of a position; false: *why. */
    bool (*check)(void *context, const struct model *model, const struct model_state *state,
                  uint64_t position, char *why, size_t why_size);
};

struct driver {
    const struct driver_hooks *hooks;
    struct sim *sim;
    struct model model;
    struct random_stream chance;
    struct store *live;
    uint64_t firm; /* acknowledged or seen up to here */
    uint64_t points, points_max;
    uint64_t point_counts[DRIVER_POINT_KINDS];
    uint64_t commits, revivals, checkpoints;
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
    struct io *io;
    struct store *store;
    struct store_extension extension;
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

static inline enum err driver_open(struct driver *driver, struct sim *sim, struct driver_life *life,
                                   struct error *error)
{
    sim_open(sim, &life->io);
    life->extension = driver->hooks->extension_create();
    struct store_options options = {.io = life->io,
                                    .directory = "",
                                    .log_file_size = DRIVER_FILE_SIZE,
                                    .log_piece_size = DRIVER_PIECE_SIZE,
                                    .carry_rows = 64, /* some tables are carried, some not */
                                    .extension = life->extension};
    life->store = NULL;
    return store_open(&options, &life->store, error);
}

static inline void driver_close(struct driver *driver, struct driver_life *life)
{
    if (life->store != NULL)
        store_close(life->store);
    driver->hooks->extension_destroy(life->extension.context);
    life->io->ops->destroy(life->io);
}

/* Everything in the store against the model at the store's position. */
static inline void driver_compare(struct driver *driver, const struct model *model,
                                  struct driver_life *life, const char *when)
{
    struct model_state state;
    char why[200];
    uint64_t position = store_position(life->store);
    model_replay(model, position, &state);
    struct snapshot *snapshot = snapshot_open(life->store);
    bool is_equal =
        model_compare(&state, snapshot, why, sizeof(why)) &&
        driver->hooks->check(life->extension.context, model, &state, position, why, sizeof(why));
    snapshot_close(snapshot);
    model_state_deinit(&state);
    if (!is_equal)
        driver_violate(driver, "%s, position %" PRIu64 ": %s", when, position, why);
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
    for (uint64_t count = 1 + random_below(&model->random, 4); count > 0; count--) {
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

static inline void driver_crash_in_recovery(struct driver *driver, struct sim *sim)
{
    struct driver_life life;
    struct error error = {0};
    sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&driver->chance, 20));
    enum err result = driver_open(driver, sim, &life, &error);
    if (result != OK && !sim_is_crashed(sim))
        driver_violate(driver, "does not open in recovery: %s", error.text);
    driver_close(driver, &life);
    sim_recover(sim, SIM_POWER_CUT, random_next(&driver->chance));
    driver->point_counts[DRIVER_IN_RECOVERY]++;
    driver->points++;
}

/* Opens what a crash left; *firm becomes what it has. */
static inline bool driver_reopen(struct driver *driver, struct sim *sim, const struct model *model,
                                 uint64_t *firm, struct driver_life *life)
{
    struct error error = {0};
    if (driver_open(driver, sim, life, &error) != OK) {
        driver_violate(driver, "does not open: %s", error.text);
        return false;
    }
    uint64_t position = store_position(life->store);
    if (position < *firm)
        driver_violate(driver, "lost: acknowledged up to %" PRIu64 ", found up to %" PRIu64, *firm,
                       position);
    else
        driver_compare(driver, model, life, "after a crash");
    *firm = position;
    return driver->violation[0] == 0;
}

static inline void driver_second_life(struct driver *driver, struct sim *sim,
                                      struct driver_life *life, struct model *model, uint64_t *firm)
{
    sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&driver->chance, 25));
    for (int step = 0; step < 6 && !sim_is_crashed(sim); step++) {
        if (driver_step(driver, model, life, firm))
            break;
        if (random_below(&driver->chance, 3) == 0 && store_checkpoint(life->store, NULL) != OK)
            break;
    }
}

static inline void driver_crash(struct driver *driver, enum sim_crash how)
{
    struct sim *sim = sim_fork(driver->sim, how, random_next(&driver->chance));
    struct driver_life life;
    uint64_t firm = driver->firm;
    driver->point_counts[how == SIM_KILL ? DRIVER_KILL : DRIVER_POWER_CUT]++;
    driver->points++;
    if (random_below(&driver->chance, 5) == 0)
        driver_crash_in_recovery(driver, sim);
    bool is_good = driver_reopen(driver, sim, &driver->model, &firm, &life);
    if (is_good && random_below(&driver->chance, 4) == 0) {
        struct model model;
        driver_model_fork(&driver->model, firm, random_next(&driver->chance), &model);
        driver_second_life(driver, sim, &life, &model, &firm);
        driver_close(driver, &life);
        sim_recover(sim, random_below(&driver->chance, 3) == 0 ? SIM_KILL : SIM_POWER_CUT,
                    random_next(&driver->chance));
        driver->point_counts[DRIVER_SECOND_LIFE]++;
        driver->points++;
        (void)driver_reopen(driver, sim, &model, &firm, &life);
        driver_close(driver, &life);
        model_deinit(&model);
    } else {
        driver_close(driver, &life);
    }
    sim_destroy(sim);
}

static inline void driver_on_operation(void *context)
{
    struct driver *driver = context;
    if (driver->live != NULL && store_position(driver->live) > driver->firm)
        driver->firm = store_position(driver->live); /* who saw it would miss it */
    /* Every third operation: many lives with a few points each find more than few lives with many.
     */
    bool is_due = random_below(&driver->chance, 3) == 0;
    if (is_due && driver->violation[0] == 0 && driver->points < driver->points_max)
        driver_crash(driver, random_below(&driver->chance, 4) == 0 ? SIM_KILL : SIM_POWER_CUT);
}

/* --- one run --- */

static const struct sim_faults driver_regimes[] = {
    {0},
    {0},
    {.write_short = 6000},
    {.sync_error = 4000},
    {.sync_error = 12000, .write_error = 4000},
    {.write_space = 9000, .write_short = 2000},
    {.name_error = 6000, .write_error = 3000},
};

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
    for (int step = 0; step < 12 && is_good && driver->points < driver->points_max; step++) {
        bool has_failed = driver_step(driver, &driver->model, &life, &driver->firm);
        if (random_below(&driver->chance, 4) == 0) {
            has_failed |= store_checkpoint(life.store, NULL) != OK;
            driver->checkpoints++;
            uint64_t position = store_position(life.store);
            driver->firm = position > driver->firm ? position : driver->firm;
        }
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

/* Returns the points made; violation says what was found. */
static inline uint64_t driver_run(const struct driver_hooks *hooks, uint64_t seed,
                                  uint64_t points_max, struct driver *driver)
{
    struct sim_options options = {.seed = seed};
    uint64_t before = driver->points;
    driver->hooks = hooks;
    driver->sim = sim_create(&options);
    driver->firm = 0;
    driver->points_max = before + points_max;
    random_stream_init(&driver->chance, seed * 3 + 1);
    model_init(&driver->model, seed, 200);
    struct clock_source clock = sim_clock(driver->sim);
    clock_install(&clock);
    sim_watch(driver->sim, driver_on_operation, driver);
    for (int round = 0; round < 3 && driver->violation[0] == 0; round++)
        driver_run_life(driver);
    sim_watch(driver->sim, NULL, NULL);
    sim_destroy(driver->sim);
    clock_install(NULL);
    model_deinit(&driver->model);
    return driver->points - before;
}

#endif
