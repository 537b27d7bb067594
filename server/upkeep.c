/* Upkeep, on the main thread: every 100 ms a tick of ingest and a look at the users, every second a
 * look at the disk and at the store.
 *
 * Free disk has a low mark so that the log never meets a full disk in the middle of a group: below
 * it ingest answers 507 and goes on by itself when a quarter more than the mark is free. The gap
 * keeps it from flapping while something else fills the disk. */
#include "server/upkeep.h"

#include "storage/base/clock.h"
#include "storage/base/logger.h"

#include <sys/statvfs.h>

#define DISK_MARK_MAX ((uint64_t)2 << 30)
#define SECOND_US 1000000

uint64_t upkeep_disk_mark(uint64_t setting, uint64_t total_bytes)
{
    uint64_t share = total_bytes / 20;
    return setting > 0 ? setting : share < DISK_MARK_MAX ? share : DISK_MARK_MAX;
}

bool upkeep_is_disk_low(bool was_low, uint64_t free_bytes, uint64_t mark_bytes)
{
    return was_low ? free_bytes < mark_bytes + mark_bytes / 4 : free_bytes < mark_bytes;
}

void upkeep_look_at_disk(struct app *app)
{
    struct statvfs disk;
    if (statvfs(app->config->data, &disk) != 0) {
        return;
    }
    uint64_t free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize,
             total_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    bool was_low = atomic_load_explicit(&app->is_disk_low, memory_order_relaxed);
    bool is_low = upkeep_is_disk_low(was_low, free_bytes,
                                     upkeep_disk_mark(app->config->disk_low, total_bytes));
    atomic_store_explicit(&app->disk_free_bytes, (int64_t)free_bytes, memory_order_relaxed);
    atomic_store_explicit(&app->disk_total_bytes, (int64_t)total_bytes, memory_order_relaxed);
    atomic_store_explicit(&app->is_disk_low, is_low, memory_order_relaxed);
    if (app->ingest != NULL) {
        ingest_set_disk_low(app->ingest, is_low);
    }
    if (is_low != was_low) {
        logger_write(is_low ? LOG_WARN : LOG_INFO, "%s free_bytes=%llu",
                     is_low ? "the disk is nearly full, ingest stops"
                            : "the disk has room again, ingest goes on",
                     (unsigned long long)free_bytes);
    }
}

static void look_at_store(struct upkeep *upkeep, struct app *app)
{
    struct store_status status;
    store_status(app->store, &status);
    if (status.is_failed) {
        if (!upkeep->was_failed) {
            logger_write(LOG_ERROR, "the store takes no commits reason=\"%s\"",
                         status.failure.text);
        }
        store_revive(app->store);
    } else if (upkeep->was_failed) {
        logger_write(LOG_INFO, "the store takes commits again");
    }
    upkeep->was_failed = status.is_failed;
}

void upkeep_run(struct upkeep *upkeep, struct app *app)
{
    ingest_tick(app->ingest);
    access_refresh(app->access);
    store_upkeep(app->store);
    query_engine_upkeep(app->engine);
    int64_t now_us = clock_monotonic_us();
    if (now_us >= upkeep->next_second_us) {
        upkeep->next_second_us = now_us + SECOND_US;
        upkeep_look_at_disk(app);
        look_at_store(upkeep, app);
    }
}
