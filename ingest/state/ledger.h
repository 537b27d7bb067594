/* What became of every row, per source and minute of one table. Guarded by the owner's lock. */
#ifndef FRESHET_INGEST_STATE_LEDGER_H
#define FRESHET_INGEST_STATE_LEDGER_H

#include "ingest/state/sources.h"

#define LEDGER_AGE_US (30 * MICROSECONDS_PER_DAY)

struct ledger_entry {
    int64_t minute_us;
    uint32_t source; /* place in the table's sources */
    uint64_t counts[FATE_COUNT];
};
struct ledger {
    struct ledger_entry *ring;
    uint64_t first;  /* number of the oldest entry */
    uint32_t offset; /* of it in the ring */
    uint32_t count, capacity;
};

void ledger_deinit(struct ledger *ledger); /* a zeroed one is empty */
void ledger_apply(struct ledger *ledger, struct source *source, uint32_t place, int64_t at_us,
                  const uint64_t counts[FATE_COUNT]);
void ledger_expire(struct ledger *ledger, int64_t now_us);
/* index < count, oldest first. */
const struct ledger_entry *ledger_get(const struct ledger *ledger, uint32_t index);
void ledger_write(const struct ledger *ledger, struct writer *out);
bool ledger_read(struct ledger *ledger, struct sources *sources, struct reader *reader);

#endif
