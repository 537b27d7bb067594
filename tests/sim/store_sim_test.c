/* The whole store on the simulated disk: after each crash point it is reopened and rows,
 * definitions, sections and extension state are compared with a model. Then planted bugs, each of
 * which the same runs must find. FRESHET_SIM_POINTS sets the number of crash points,
 * FRESHET_TESTS_LONG=1 takes 300,000. */
#include "tests/sim/store_driver.h"

#include "storage/base/logger.h"
#include "storage/base/metrics.h"

/* Sanitizers look for other things: fewer points there, and the sensitivity is shown once, by the
 * release build. */
#ifdef FRESHET_CHECK
#define POINTS_DEFAULT 400
#define HAS_PLANTED false
#else
#define POINTS_DEFAULT 2400
#define HAS_PLANTED true
#endif
#define POINTS_LONG 300000 /* half an hour */

/* clang-format off */
static const struct {
    const char *name;
    const char *fault;
    bool is_about_commits; /* where the points are to be */
} planted[] = {
    {"P1 acknowledged before it is durable", "log.ack_before_sync", true},
    {"P2 a failed sync tried again", "log.sync_retried", true},
    {"P3 epochs not looked at", "log.no_epoch_check", true},
    {"P4 appended behind a torn tail", "log.append_after_torn_tail", true},
    {"P6 a log file's directory not synced", "log.no_directory_sync", true},
    {"P6 the manifest's directory not synced", "manifest.no_directory_sync", false},
    {"P6 a segment's directory not synced", "seal.no_directory_sync", false},
    {"a segment not synced", "seal.no_sync", false},
    {"P7 inputs of a merge gone before the edit", "upkeep.delete_before_manifest", false},
    {"P8, P18 sections in a record of their own", "store.sections_apart", true},
    {"P9 state applied before rows are durable", "store.extension_before_durable", true},
    {"P10 a short write taken for a whole one", "io.short_write_ignored", true},
    {"P17 recovery trusts the cache", "log.recovery_trusts_cache", true},
    {"P20 visible before durable", "store.visible_before_durable", true},
    {"a log file recycled too early", "log.recycle_early", false},
    {"sealed position not moved on", "upkeep.sealed_position", false},
    {"sealed position off by one", "upkeep.sealed_position_off", false},
    {"half of a manifest edit", "upkeep.edit_in_halves", false},
    {"carried rows that are sealed too", "store.carry_twice", false},
    {"extension replayed twice after a checkpoint", "store.extension_replayed_twice", true},
    {"checkpoint position off by one", "store.checkpoint_position", true},
    {"truncated rows come back at replay", "store.truncate_forgotten", true},
    {"rows of a failed group stay", "store.no_rollback", false},
    {"readable before sealed rows are caught up with", "store.readable_early", false},
    {"rows gone that replay still has to drop", "upkeep.loss_forgotten", false},
};
/* clang-format on */

static bool run_planted(size_t index, uint64_t points_max)
{
    static struct driver driver;
    driver = (struct driver){.is_about_commits = planted[index].is_about_commits};
    fault_plant(planted[index].fault);
    int64_t begin_us = clock_monotonic_us();
    for (uint64_t seed = 1; driver.points < points_max && driver.violation[0] == 0; seed++)
        (void)driver_run(&driver_default_hooks, seed, points_max - driver.points, &driver);
    fault_clear();
    bool is_found = driver.violation[0] != 0;
    printf("planted: %-44s %s after %6" PRIu64 " points, %8.1f ms  %s\n", planted[index].name,
           is_found ? "found" : "NOT FOUND", driver.points,
           (double)(clock_monotonic_us() - begin_us) / 1000, driver.violation);
    return is_found;
}

int main(void)
{
    static struct driver driver;
    const char *setting = getenv("FRESHET_SIM_POINTS"), *is_long = getenv("FRESHET_TESTS_LONG");
    uint64_t target = setting != NULL                                ? strtoull(setting, NULL, 10)
                      : is_long != NULL && strcmp(is_long, "1") == 0 ? POINTS_LONG
                                                                     : POINTS_DEFAULT;
    setvbuf(stdout, NULL, _IOLBF, 0);
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    int64_t begin_us = clock_monotonic_us();
    uint64_t seed = 1;
    for (; driver.points < target && driver.violation[0] == 0; seed++)
        (void)driver_run(&driver_default_hooks, seed, target - driver.points, &driver);
    bool is_good = driver.violation[0] == 0;
    if (!is_good)
        printf("seed %" PRIu64 ": %s\n", seed - 1, driver.violation);
    uint64_t inside = 0;
    for (int kind = 0; kind < DRIVER_POINT_KINDS; kind++) {
        printf("crash points: %-31s %8" PRIu64 "\n", driver_points[kind].name,
               driver.point_counts[kind]);
        inside += driver_points[kind].inside ? driver.point_counts[kind] : 0;
        if (is_good && target >= POINTS_DEFAULT && driver.point_counts[kind] == 0) {
            printf("crash points: none of this kind\n");
            is_good = false;
        }
    }
    printf("crash points: %-31s %8" PRIu64 " (%" PRIu64 " power cuts, %" PRIu64 " kills)\n",
           "inside steps of upkeep", inside, driver.power_cuts, driver.kills);
    printf("crash points: %-31s %8" PRIu64 " in %.1f s; %" PRIu64 " seeds, %" PRIu64
           " commits, %" PRIu64 " steps, %" PRIu64 " checkpoints, %" PRIu64 " revivals, %" PRIu64
           " recovered twice; %" PRId64 " segments sealed, %" PRId64 " merged, %" PRId64
           " rows past retention; %" PRIu64 " records replayed readable, %" PRIu64 " looked at\n",
           "total", driver.points, (double)(clock_monotonic_us() - begin_us) / 1e6, seed - 1,
           driver.commits, driver.steps, driver.checkpoints, driver.revivals, driver.same_again,
           metric_get(&metrics.seals), metric_get(&metrics.merges),
           metric_get(&metrics.retained_rows), driver.readable, driver.looks);
    bool is_sound = is_good;
    for (size_t index = 0; HAS_PLANTED && is_sound && index < array_count(planted); index++)
        is_good = run_planted(index, target < 20000 ? 20000 : target) && is_good;
    return is_good ? 0 : 1;
}
