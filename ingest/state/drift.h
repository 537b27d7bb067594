/* Where input and table part: counts by source, path and kind, bounded. Guarded by the owner's
 * lock. */
#ifndef FRESHET_INGEST_STATE_DRIFT_H
#define FRESHET_INGEST_STATE_DRIFT_H

#include "ingest/section.h"
#include "ingest/state/index.h"

struct drift_entry {
    uint32_t source; /* place in the table's list of sources */
    enum drift_kind kind;
    char *texts; /* path, then example; owned */
    uint32_t path_size, example_size;
    int64_t first_us, last_us;
    uint64_t count;
};
struct drift {
    struct drift_entry *list;
    uint32_t count, capacity;
    struct index index;
};

void drift_deinit(struct drift *drift); /* a zeroed one is empty */
/* Past `paths_max` entries everything new goes into one total (kind DRIFT_TOTAL, empty path). */
void drift_apply(struct drift *drift, uint32_t source, const struct section_drift *entry,
                 int64_t at_us, uint32_t paths_max);
void drift_write(const struct drift *drift, struct writer *out);
bool drift_read(struct drift *drift, struct reader *reader);

#endif
