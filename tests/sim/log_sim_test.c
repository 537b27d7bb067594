/* The log, the manifest and checkpoints on the simulated disk, against a model.
 *
 * One run: records from empty to several pieces go into a log with tiny files, in groups, under one
 * regime of faults; at every operation the disk is forked as a crash would leave it, recovered
 * (sometimes with crashes inside the recovery), compared with the model, used on, crashed and
 * compared again.
 *
 * The model says, for the moment of the crash: everything acknowledged, published or replayed
 * before is there once, in order, with its content; whatever else is there was submitted at that
 * very position in this life of the log.
 *
 * Then each planted bug in turn: the same runs must find it. FRESHET_SIM_POINTS sets the crash
 * points of the whole. */
#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/logger.h"
#include "storage/base/random.h"
#include "storage/io/sim.h"
#include "storage/log/checkpoint.h"
#include "storage/log/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FRESHET_CHECK
#define POINTS_DEFAULT 4000
#define HAS_PLANTED false
#else
#define POINTS_DEFAULT 110000
#define HAS_PLANTED true
#endif
#define FILE_SIZE ((size_t)32 << 10)
#define PIECE_SIZE ((size_t)8 << 10)
#define RECORD_COUNT_MAX 4096

enum point_kind {
    POINT_POWER_CUT,
    POINT_KILL,
    POINT_IN_RECOVERY,
    POINT_SECOND_LIFE,
    POINT_CHECKPOINT,
    POINT_KIND_COUNT
};
static const char *const kind_names[POINT_KIND_COUNT] = {
    "power cut", "process killed", "crash in recovery", "crash after recovery", "checkpoint"};

static uint64_t point_counts[POINT_KIND_COUNT];
static char violation[256];

static void violate(const char *format, ...) PRINTF_LIKE(1, 2);
static void violate(const char *format, ...)
{
    if (violation[0] != '\0')
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(violation, sizeof(violation), format, arguments);
    va_end(arguments);
}

/* --- records: content follows from the id --- */

static size_t record_size(uint64_t id)
{
    uint64_t mixed = hash_mix(id * 2 + 1);
    switch (mixed % 16) {
    case 0:
        return 8;
    case 1:
        return 8 + (mixed >> 8) % 24000; /* several pieces, maybe two files */
    case 2:
        return 4096 - LOG_ENTRY_HEAD + (mixed >> 8) % 9 - 4;
    case 3:
        return 8192 - LOG_ENTRY_HEAD + (mixed >> 8) % 9 - 4;
    default:
        return 8 + (mixed >> 8) % 700;
    }
}

static void record_fill(uint64_t id, char *data, size_t size)
{
    memcpy(data, &id, sizeof(id));
    for (size_t index = sizeof(id); index < size; index++)
        data[index] = (char)(id * 131 + index * 7 + (index >> 9));
}

static bool record_is_right(struct slice payload, uint64_t *id)
{
    if (payload.size < sizeof(*id))
        return false;
    memcpy(id, payload.data, sizeof(*id));
    if (payload.size != record_size(*id))
        return false;
    for (size_t index = sizeof(*id); index < payload.size; index++)
        if (payload.data[index] != (char)(*id * 131 + index * 7 + (index >> 9)))
            return false;
    return true;
}

/* --- the model --- */

struct model {
    uint64_t ids[RECORD_COUNT_MAX]; /* by position; what was submitted there last */
    uint64_t firm;      /* up to here acknowledged, published or replayed: must be there */
    uint64_t submitted; /* up to here something may be there */
};

static void model_copy(struct model *target, const struct model *source)
{
    memcpy(target->ids, source->ids, (size_t)(source->submitted + 1) * sizeof(source->ids[0]));
    target->firm = source->firm;
    target->submitted = source->submitted;
}

static void model_hold(struct model *model, uint64_t position)
{
    if (position > model->firm)
        model->firm = position;
}

/* --- a life: one opened log --- */

struct life {
    struct model *model;
    struct log *log;
    uint64_t replayed;
    uint64_t in_flight;
};

struct record {
    struct log_entry entry;
    struct life *life;
    char *block; /* LOG_ENTRY_HEAD bytes, the payload, and what fills its last block */
};

static uint64_t next_id;

static enum err on_replay(void *context, uint64_t position, struct slice payload,
                          struct error *error)
{
    struct life *life = context;
    uint64_t id;
    (void)error;
    if (position != life->replayed + 1)
        violate("position %" PRIu64 " replayed after %" PRIu64, position, life->replayed);
    else if (!record_is_right(payload, &id))
        violate("position %" PRIu64 " has the wrong content", position);
    else if (position > life->model->submitted)
        violate("phantom: position %" PRIu64 " was never submitted", position);
    else if (life->model->ids[position] != id)
        violate("phantom: position %" PRIu64 " has record %" PRIu64 ", not %" PRIu64, position, id,
                life->model->ids[position]);
    life->replayed = position;
    return OK;
}

static void on_publish(void *context, uint64_t position)
{
    model_hold(((struct life *)context)->model, position);
}

static void record_free(struct record *record)
{
    free(record->block);
    free(record);
}

static void on_done(struct log_entry *entry, enum err result, const struct error *error)
{
    struct record *record = (struct record *)entry;
    (void)error;
    record->life->in_flight--;
    if (result == OK)
        model_hold(record->life->model, entry->position);
    record_free(record);
}

static enum err life_open(struct life *life, struct io *io, struct model *model,
                          struct error *error)
{
    *life = (struct life){.model = model};
    struct log_options options = {.io = io,
                                  .directory = "log",
                                  .file_size = FILE_SIZE,
                                  .piece_size = PIECE_SIZE,
                                  .place_min = 600,
                                  .first_position = 1,
                                  .context = life,
                                  .replay = on_replay,
                                  .publish = on_publish};
    return log_open(&options, &life->log, error);
}

static void life_submit(struct life *life)
{
    uint64_t id = ++next_id;
    size_t size = record_size(id);
    size_t block_size = (LOG_ENTRY_HEAD + size + IO_ALIGNMENT - 1) / IO_ALIGNMENT * IO_ALIGNMENT;
    struct record *record = calloc(1, sizeof(*record));
    record->life = life;
    record->block = aligned_alloc(IO_ALIGNMENT, block_size);
    char *data = record->block + LOG_ENTRY_HEAD;
    record->entry = (struct log_entry){.payload = slice_of(data, size), .done = on_done};
    if (hash_mix(id) % 2 == 0) /* the log may write it from where it is */
        record->entry.room = block_size - LOG_ENTRY_HEAD;
    record_fill(id, data, size);
    if (log_submit(life->log, &record->entry, NULL) != OK) {
        record_free(record);
        return;
    }
    life->in_flight++;
    uint64_t position = record->entry.position;
    if (position <= life->model->firm)
        violate("position %" PRIu64 " given out twice", position);
    if (position < RECORD_COUNT_MAX) {
        life->model->ids[position] = id;
        life->model->submitted = position;
    } else {
        violate("the run is too long for the model");
    }
}

static void life_close(struct life *life)
{
    log_stop(life->log);
    log_close(life->log);
    if (life->in_flight != 0)
        violate("%" PRIu64 " records never answered", life->in_flight);
}

/* A life that starts from what a crash left: what is replayed is what the model goes on with. */
static bool life_begin(struct life *life, struct io *io, struct model *model)
{
    struct error error = {0};
    enum err result = life_open(life, io, model, &error);
    if (result != OK) {
        violate("the log does not open: %s", error.text);
        return false;
    }
    if (life->replayed < model->firm)
        violate("lost: acknowledged up to %" PRIu64 ", found up to %" PRIu64, model->firm,
                life->replayed);
    model->firm = model->submitted = life->replayed;
    if (violation[0] != '\0')
        life_close(life);
    return violation[0] == '\0';
}

/* --- crash points --- */

struct world {
    struct sim *sim;
    struct model *model;
    struct random_stream chance;
    uint64_t budget; /* crash points left */
    uint64_t points;
};

static struct model check_model;

static const struct sim_faults regimes[] = {
    {0},
    {0},
    {.write_short = 6000},
    {.sync_error = 3000},
    {.sync_error = 9000, .write_error = 3000},
    {.write_space = 5000, .write_short = 2000},
    {.name_error = 6000, .write_error = 2000},
    {.read_error = 6000},
};

/* Crashes and faults inside the recovery: each leaves a disk that must recover all the same. */
static void crash_in_recovery(struct world *world, struct sim *sim)
{
    for (uint64_t count = random_below(&world->chance, 3); count > 0; count--) {
        struct io *io;
        struct life life;
        struct error error;
        sim_open(sim, &io);
        sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&world->chance, 14));
        bool has_faults = random_below(&world->chance, 3) == 0;
        if (has_faults)
            sim_set_faults(sim, &regimes[random_below(&world->chance, array_count(regimes))]);
        uint64_t firm = check_model.firm;
        enum err result = life_open(&life, io, &check_model, &error);
        if (result == OK) {
            life_close(&life);
            check_model.firm = check_model.submitted =
                life.replayed; /* it got through: seen is seen */
            if (life.replayed < firm)
                violate("lost after a crash in recovery");
        } else if (!sim_is_crashed(sim) && !(has_faults && result != ERR_CORRUPT)) {
            violate("the log does not open in recovery: %s", error.text);
        }
        io->ops->destroy(io);
        sim_set_faults(sim, NULL);
        sim_recover(sim, random_below(&world->chance, 4) == 0 ? SIM_KILL : SIM_POWER_CUT,
                    random_next(&world->chance));
        point_counts[POINT_IN_RECOVERY]++;
        world->points++;
        if (violation[0] != '\0')
            return;
    }
}

/* Uses the recovered log for a while and crashes it anywhere. */
static void second_life(struct world *world, struct sim *sim, struct life *life)
{
    sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&world->chance, 12));
    for (int step = 0; step < 5 && !sim_is_crashed(sim); step++) {
        for (uint64_t count = 1 + random_below(&world->chance, 3); count > 0; count--)
            life_submit(life);
        while (log_run(life->log))
            continue;
    }
}

static void check_crash(struct world *world, enum sim_crash how)
{
    struct sim *sim = sim_fork(world->sim, how, random_next(&world->chance));
    struct io *io;
    struct life life;
    model_copy(&check_model, world->model);
    point_counts[how == SIM_KILL ? POINT_KILL : POINT_POWER_CUT]++;
    world->points++;
    if (random_below(&world->chance, 4) == 0)
        crash_in_recovery(world, sim);
    sim_open(sim, &io);
    bool is_good = violation[0] == '\0' && life_begin(&life, io, &check_model);
    bool has_second = is_good && random_below(&world->chance, 4) == 0;
    if (has_second)
        second_life(world, sim, &life);
    if (is_good)
        life_close(&life);
    io->ops->destroy(io);
    if (has_second && violation[0] == '\0') {
        sim_recover(sim, random_below(&world->chance, 3) == 0 ? SIM_KILL : SIM_POWER_CUT,
                    random_next(&world->chance));
        point_counts[POINT_SECOND_LIFE]++;
        world->points++;
        sim_open(sim, &io);
        if (life_begin(&life, io, &check_model))
            life_close(&life);
        io->ops->destroy(io);
    }
    sim_destroy(sim);
}

static void on_operation(void *context)
{
    struct world *world = context;
    for (int count = 0; count < 3 && violation[0] == '\0' && world->points < world->budget; count++)
        check_crash(world, random_below(&world->chance, 4) == 0 ? SIM_KILL : SIM_POWER_CUT);
}

/* --- one run --- */

static void run_steps(struct world *world, struct life *life)
{
    for (int step = 0; step < 14 && violation[0] == '\0' && world->points < world->budget; step++) {
        for (uint64_t count = random_below(&world->chance, 5); count > 0; count--)
            life_submit(life);
        while (log_run(life->log))
            continue;
        struct log_status status;
        log_status(life->log, &status);
        if (status.is_failed && random_below(&world->chance, 2)) {
            log_revive(life->log);
            while (log_run(life->log))
                continue;
            log_status(life->log, &status);
            if (!status.is_failed) /* cut: what failed may not come back */
                world->model->submitted = world->model->firm;
        }
    }
}

static uint64_t run_log(uint64_t seed, uint64_t budget)
{
    static struct model model;
    struct sim_options options = {.seed = seed};
    struct world world = {.sim = sim_create(&options), .model = &model, .budget = budget};
    struct io *io;
    random_stream_init(&world.chance, seed * 3 + 1);
    model.firm = model.submitted = 0;
    struct clock_source clock = sim_clock(world.sim);
    clock_install(&clock);
    sim_open(world.sim, &io);
    if (io->ops->mkdir(io, "log", NULL) != OK || io->ops->sync_directory(io, "", NULL) != OK)
        abort();
    sim_watch(world.sim, on_operation, &world);
    /* Three lives of the same directory, closed in good order, each seen to the end. */
    for (int round = 0; round < 3 && violation[0] == '\0'; round++) {
        struct life life;
        sim_set_faults(world.sim, NULL);
        if (!life_begin(&life, io, &model))
            break;
        sim_set_faults(world.sim, &regimes[random_below(&world.chance, array_count(regimes))]);
        run_steps(&world, &life);
        life_close(&life);
    }
    sim_watch(world.sim, NULL, NULL);
    io->ops->destroy(io);
    sim_destroy(world.sim);
    clock_install(NULL);
    return world.points;
}

/* --- checkpoints --- */

struct checkpoint_world {
    struct sim *sim;
    struct random_stream chance;
    uint64_t acknowledged, attempted;
    uint64_t points, budget;
};

static size_t payload_fill(uint64_t number, char *data)
{
    size_t size = hash_mix(number) % 9000;
    for (size_t index = 0; index < size; index++)
        data[index] = (char)(number * 17 + index);
    return size;
}

static void check_checkpoint(struct checkpoint_world *world, struct io *io)
{
    static char want[9000];
    struct manifest *manifest;
    struct error error = {0};
    struct slice payload;
    struct arena arena;
    struct manifest_checkpoint found = {0};
    enum err result = manifest_open(io, "", &manifest, &error);
    if (result != OK) {
        violate("the manifest does not open: %s", error.text);
        return;
    }
    arena_init(&arena);
    result = checkpoint_read(manifest, &arena, &found, &payload, &error);
    if (result != OK && result != ERR_NOT_FOUND)
        violate("the checkpoint cannot be read: %s", error.text);
    else if (found.position < world->acknowledged || found.position > world->attempted)
        violate("checkpoint at %" PRIu64 ", acknowledged %" PRIu64, found.position,
                world->acknowledged);
    else if (result == OK && (payload.size != payload_fill(found.position, want) ||
                              memcmp(payload.data, want, payload.size) != 0))
        violate("checkpoint at %" PRIu64 " has the wrong content", found.position);
    arena_deinit(&arena);
    manifest_close(manifest);
}

static void on_checkpoint_operation(void *context)
{
    struct checkpoint_world *world = context;
    for (int count = 0; count < 3 && violation[0] == '\0' && world->points < world->budget;
         count++) {
        struct io *io;
        struct sim *sim = sim_fork(world->sim, SIM_POWER_CUT, random_next(&world->chance));
        if (random_below(&world->chance, 3) == 0) {
            struct manifest *manifest;
            sim_open(sim, &io);
            sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&world->chance, 8));
            if (manifest_open(io, "", &manifest, NULL) == OK)
                manifest_close(manifest);
            io->ops->destroy(io);
            sim_recover(sim, SIM_POWER_CUT, random_next(&world->chance));
        }
        sim_open(sim, &io);
        check_checkpoint(world, io);
        io->ops->destroy(io);
        sim_destroy(sim);
        point_counts[POINT_CHECKPOINT]++;
        world->points++;
    }
}

static uint64_t run_checkpoints(uint64_t seed, uint64_t budget)
{
    static char data[9000];
    struct sim_options options = {.seed = seed};
    struct checkpoint_world world = {.sim = sim_create(&options), .budget = budget};
    struct io *io;
    struct error error;
    random_stream_init(&world.chance, seed * 5 + 1);
    sim_open(world.sim, &io);
    for (int round = 0; round < 3 && violation[0] == '\0' && world.points < budget; round++) {
        struct manifest *manifest;
        sim_set_faults(world.sim, NULL);
        sim_watch(world.sim, on_checkpoint_operation, &world);
        if (manifest_open(io, "", &manifest, &error) != OK) {
            violate("the manifest does not open: %s", error.text);
            break;
        }
        sim_set_faults(world.sim, &regimes[random_below(&world.chance, array_count(regimes))]);
        for (int step = 0; step < 20 && violation[0] == '\0'; step++) {
            size_t size = payload_fill(++world.attempted, data);
            if (checkpoint_write(manifest,
                                 &(struct manifest_checkpoint){.position = world.attempted},
                                 slice_of(data, size), &error) == OK)
                world.acknowledged = world.attempted;
        }
        sim_watch(world.sim, NULL, NULL);
        manifest_close(manifest);
    }
    io->ops->destroy(io);
    sim_destroy(world.sim);
    return world.points;
}

/* --- the planted bugs --- */

static const struct {
    const char *name;
    const char *fault;
    uint64_t (*run)(uint64_t seed, uint64_t budget);
} planted[] = {
    {"P1 acknowledged before the sync", "log.ack_before_sync", run_log},
    {"P2 failed sync tried again", "log.sync_retried", run_log},
    {"P3 no epoch check in recovery", "log.no_epoch_check", run_log},
    {"P4 appended after a torn tail", "log.append_after_torn_tail", run_log},
    {"P5 groups not padded", "log.no_padding", run_log},
    {"P6 no sync of the directory (log)", "log.no_directory_sync", run_log},
    {"P6 no sync of the directory (manifest)", "manifest.no_directory_sync", run_checkpoints},
    {"P10 short write ignored", "io.short_write_ignored", run_log},
    {"P11 result of the linked sync ignored", "io.sync_result_ignored", run_log},
    {"P16 goes on after a full disk", "log.accepts_after_failure", run_log},
    {"P17 recovery trusts the cache", "log.recovery_trusts_cache", run_log},
    {"P20 visible before durable", "log.publish_before_sync", run_log},
    {"P21 parts of a write forgotten", "io.parts_forgotten", run_log},
};

static bool find_planted(size_t index, uint64_t budget)
{
    uint64_t points = 0;
    fault_plant(planted[index].fault);
    clock_install(NULL);
    int64_t begin_us = clock_monotonic_us();
    for (uint64_t seed = 1; points < budget && violation[0] == '\0'; seed++)
        points += planted[index].run(seed, budget - points);
    fault_clear();
    double ms = (double)(clock_monotonic_us() - begin_us) / 1000;
    bool is_found = violation[0] != '\0';
    printf("planted: %-40s %s after %6" PRIu64 " points, %8.1f ms  %s\n", planted[index].name,
           is_found ? "found" : "NOT FOUND", points, ms, violation);
    violation[0] = '\0';
    return is_found;
}

static bool run_all(uint64_t target, uint64_t (*run)(uint64_t seed, uint64_t budget))
{
    uint64_t points = 0;
    for (uint64_t seed = 1; points < target; seed++) {
        points += run(seed, target - points);
        if (violation[0] != '\0') {
            printf("seed %" PRIu64 ": %s\n", seed, violation);
            return false;
        }
    }
    return true;
}

/* The same seed must do the same: the hash of all operations of two runs. */
static bool is_deterministic(void)
{
    uint64_t traces[2];
    for (int run = 0; run < 2; run++) {
        struct sim_options options = {.seed = 99};
        struct sim *sim = sim_create(&options);
        struct model *model = calloc(1, sizeof(*model));
        struct io *io;
        struct life life;
        next_id = 0;
        sim_open(sim, &io);
        sim_set_faults(sim, &regimes[4]);
        bool is_good = io->ops->mkdir(io, "log", NULL) == OK && life_begin(&life, io, model);
        for (int step = 0; is_good && step < 50; step++) {
            life_submit(&life);
            (void)log_run(life.log);
        }
        if (is_good)
            life_close(&life);
        io->ops->destroy(io);
        traces[run] = sim_trace(sim);
        sim_destroy(sim);
        free(model);
        violation[0] = '\0';
    }
    return traces[0] == traces[1];
}

int main(void)
{
    const char *setting = getenv("FRESHET_SIM_POINTS");
    uint64_t target = setting == NULL ? POINTS_DEFAULT : strtoull(setting, NULL, 10);
    logger_set_level((enum log_level)(LOG_ERROR + 1)); /* every fork would tell of its torn tail */
    int64_t begin_us = clock_monotonic_us();
    bool is_good = is_deterministic();
    printf("one seed twice: %s\n", is_good ? "same operations" : "DIFFERENT OPERATIONS");
    is_good = is_good && run_all(target, run_log) && run_all(target / 20, run_checkpoints);
    uint64_t total = 0;
    for (int kind = 0; kind < POINT_KIND_COUNT; kind++) {
        printf("crash points: %-22s %8" PRIu64 "\n", kind_names[kind], point_counts[kind]);
        total += point_counts[kind];
    }
    printf("crash points: %-22s %8" PRIu64 " in %.1f s\n", "total", total,
           (double)(clock_monotonic_us() - begin_us) / 1e6);
    for (size_t index = 0; HAS_PLANTED && is_good && index < array_count(planted); index++)
        is_good = find_planted(index, target < 20000 ? 20000 : target) && is_good;
    return is_good ? 0 : 1;
}
