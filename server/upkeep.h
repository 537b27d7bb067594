/* What runs behind everybody's back: the tick of ingest, the watch on free disk, the revival of a
 * failed store. */
#ifndef FRESHET_SERVER_UPKEEP_H
#define FRESHET_SERVER_UPKEEP_H

#include "server/app.h"

struct upkeep {
    int64_t next_second_us; /* monotonic */
    bool was_failed;
};

#define UPKEEP_PERIOD_MS 100
/* Every UPKEEP_PERIOD_MS, from one thread, while the store is open. */
void upkeep_run(struct upkeep *upkeep, struct app *app);
/* Measures the disk; sets app->is_disk_low. Also before the store opens. */
void upkeep_look_at_disk(struct app *app);
/* Whether ingest must stop, with hysteresis: it goes on above 1.25 times the mark. */
bool upkeep_is_disk_low(bool was_low, uint64_t free_bytes, uint64_t mark_bytes);
uint64_t upkeep_disk_mark(uint64_t setting, uint64_t total_bytes);

#endif
