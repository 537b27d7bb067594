/* One bit wrong at rest: stores are filled with commits and upkeep beside them, left running or
 * closed, one bit of one file is turned, and the store is opened and read whole. It may give the
 * right answer or refuse in words, at the start or at the read; never a wrong answer, never a
 * crash.
 *
 * One thing is beyond telling: the newest piece of a log that was not closed looks, with a bit
 * wrong, like one that the power cut tore. What was acknowledged in it is gone then; nothing before
 * it may be. FRESHET_SIM_POINTS sets the number of flips, FRESHET_TESTS_LONG=1 takes many. */
#include "tests/sim/store_driver.h"

#include "storage/base/logger.h"

#ifdef FRESHET_CHECK
#define FLIPS_DEFAULT 400
#else
#define FLIPS_DEFAULT 4000
#endif
#define FLIPS_LONG 400000
#define FLIPS_PER_STORE 60
#define FILES_MAX 256

enum kind { KIND_LOG, KIND_MANIFEST, KIND_CHECKPOINT, KIND_SEGMENT, KIND_COUNT };
static const char *const kind_names[KIND_COUNT] = {"log", "manifest", "checkpoint", "segment"};

enum outcome { RIGHT, REFUSED_START, REFUSED_READ, NEWEST_CUT, OUTCOME_COUNT };

struct target {
    char name[SIM_NAME_SIZE];
    uint64_t size; /* up to the last byte that is not zero, and a little more */
};

struct run {
    struct driver driver;
    struct target files[KIND_COUNT][FILES_MAX];
    size_t counts[KIND_COUNT];
    uint64_t outcomes[KIND_COUNT][OUTCOME_COUNT];
    uint64_t flips;
    const char *folder; /* being listed */
};
static struct run run;

/* --- which files --- */

static void add_file(void *context, const char *name)
{
    (void)context;
    enum kind kind = strncmp(name, "log-", 4) == 0           ? KIND_LOG
                     : strncmp(name, "manifest", 8) == 0     ? KIND_MANIFEST
                     : strncmp(name, "checkpoint-", 11) == 0 ? KIND_CHECKPOINT
                                                             : KIND_SEGMENT;
    bool is_folder = run.folder[0] == 0 && strcmp(name, SEALED_DIRECTORY) == 0;
    if (is_folder || run.counts[kind] == FILES_MAX)
        return;
    struct target *target = &run.files[kind][run.counts[kind]++];
    snprintf(target->name, sizeof(target->name), "%.20s%s%.60s", run.folder,
             run.folder[0] == 0 ? "" : "/", name);
}

static void measure_files(struct io *io)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        for (size_t i = 0; i < run.counts[kind]; i++) {
            struct target *target = &run.files[kind][i];
            struct arena arena;
            struct slice content = {0};
            arena_init(&arena);
            enum err err = io_read_file(io, target->name, &arena, &content, NULL);
            size_t size = err == OK ? content.size : 0;
            while (size > 0 && content.data[size - 1] == 0)
                size--;
            target->size = size + 64 < content.size ? size + 64 : content.size;
            arena_deinit(&arena);
        }
    }
}

static void list_files(struct sim *sim)
{
    struct io *io;
    sim_open(sim, &io);
    memset(run.counts, 0, sizeof(run.counts));
    run.folder = "";
    (void)io->ops->list(io, "", add_file, NULL, NULL);
    run.folder = SEALED_DIRECTORY;
    (void)io->ops->list(io, SEALED_DIRECTORY, add_file, NULL, NULL);
    measure_files(io);
    io->ops->destroy(io);
}

/* --- one flip --- */

/* `firm` is acknowledged; up to `certain` nothing may be missing. */
static enum outcome judge(struct sim *sim, uint64_t firm, uint64_t certain)
{
    struct driver *driver = &run.driver;
    struct driver_life life;
    struct error error = {0};
    char why[200];
    enum outcome outcome = RIGHT;
    if (driver_open(driver, sim, NULL, &life, &error) != OK) {
        if (error.text[0] == 0)
            driver_violate(driver, "refuses without a word");
        driver_close(driver, &life);
        return REFUSED_START;
    }
    uint64_t position = store_position(life.store);
    enum oracle_result result = driver_judge(driver, &driver->model, &life, why, sizeof(why));
    if (position < certain)
        driver_violate(driver, "lost: acknowledged up to %" PRIu64 ", found up to %" PRIu64, firm,
                       position);
    else if (result == ORACLE_DIFFERENT)
        driver_violate(driver, "a wrong answer at %" PRIu64 ": %s", position, why);
    else if (result == ORACLE_ERROR)
        outcome = REFUSED_READ;
    else if (position < firm)
        outcome = NEWEST_CUT;
    driver_close(driver, &life);
    return outcome;
}

static void flip(enum kind kind, uint64_t firm, uint64_t certain)
{
    struct driver *driver = &run.driver;
    struct random_stream *chance = &driver->chance;
    const struct target *target = &run.files[kind][random_below(chance, run.counts[kind])];
    if (target->size == 0)
        return;
    uint64_t offset = random_below(
        chance, random_below(chance, 4) == 0 && target->size > 128 ? 128 : target->size);
    unsigned bit = (unsigned)random_below(chance, 8);
    struct sim *sim = sim_fork(driver->sim, SIM_KILL, random_next(chance));
    if (sim_flip_bit(sim, target->name, offset, bit)) {
        enum outcome outcome = judge(sim, firm, certain);
        run.outcomes[kind][outcome]++;
        run.flips++;
        if (driver->violation[0] != 0)
            printf("bit %u of byte %" PRIu64 " of %s\n", bit, offset, target->name);
    }
    sim_destroy(sim);
}

static void flip_some(uint64_t firm, uint64_t certain)
{
    list_files(run.driver.sim);
    for (int turn = 0; turn < FLIPS_PER_STORE && run.driver.violation[0] == 0; turn++) {
        enum kind kind = (enum kind)(turn % KIND_COUNT);
        if (run.counts[kind] != 0)
            flip(kind, firm, certain);
    }
}

/* --- one store --- */

static void run_seed(uint64_t seed)
{
    struct driver *driver = &run.driver;
    struct driver_life life;
    struct error error = {0};
    driver_begin(&driver_default_hooks, seed, driver);
    uint64_t certain = 0;
    if (driver_open(driver, driver->sim, NULL, &life, &error) != OK)
        driver_violate(driver, "does not open: %s", error.text);
    uint64_t steps = 3 + random_below(&driver->chance, 12);
    for (uint64_t step = 0; step < steps && driver->violation[0] == 0; step++) {
        (void)driver_upkeep(driver, &driver->model, &life, &driver->firm);
        if (random_below(&driver->chance, 4) == 0 && store_checkpoint(life.store, NULL) != OK)
            driver_violate(driver, "no checkpoint");
        certain = store_position(life.store);
        (void)driver_step(driver, &driver->model, &life, &driver->firm);
    }
    driver->firm = store_position(life.store);
    if (driver->violation[0] == 0)
        flip_some(driver->firm, certain);
    driver_close(driver, &life);
    if (driver->violation[0] == 0) /* its end is marked: nothing looks torn */
        flip_some(driver->firm, driver->firm);
    driver_end(driver);
}

int main(void)
{
    const char *setting = getenv("FRESHET_SIM_POINTS"), *is_long = getenv("FRESHET_TESTS_LONG");
    uint64_t target = setting != NULL                                ? strtoull(setting, NULL, 10)
                      : is_long != NULL && strcmp(is_long, "1") == 0 ? FLIPS_LONG
                                                                     : FLIPS_DEFAULT;
    setvbuf(stdout, NULL, _IOLBF, 0);
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    int64_t begin_us = clock_monotonic_us();
    uint64_t seed = 1;
    for (; run.flips < target && run.driver.violation[0] == 0; seed++)
        run_seed(seed);
    if (run.driver.violation[0] != 0)
        printf("seed %" PRIu64 ": %s\n", seed - 1, run.driver.violation);
    printf("%-12s %10s %10s %16s %16s %12s\n", "bit flips", "tried", "right", "refused at start",
           "refused at read", "newest cut");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        const uint64_t *o = run.outcomes[kind];
        printf("%-12s %10" PRIu64 " %10" PRIu64 " %16" PRIu64 " %16" PRIu64 " %12" PRIu64 "\n",
               kind_names[kind], o[RIGHT] + o[REFUSED_START] + o[REFUSED_READ] + o[NEWEST_CUT],
               o[RIGHT], o[REFUSED_START], o[REFUSED_READ], o[NEWEST_CUT]);
    }
    printf("%" PRIu64 " flips in %.1f s, %" PRIu64 " seeds\n", run.flips,
           (double)(clock_monotonic_us() - begin_us) / 1e6, seed - 1);
    return run.driver.violation[0] == 0 ? 0 : 1;
}
