/* Inputs that could not become rows, kept whole. Guarded by the owner's lock. */
#ifndef FRESHET_INGEST_STATE_DEAD_LETTERS_H
#define FRESHET_INGEST_STATE_DEAD_LETTERS_H

#include "ingest/section.h"
#include "storage/base/arena.h"

struct dead_letter { /* one allocation, texts behind it */
    uint64_t id, position, row;
    int64_t at_us;
    uint32_t table_id;
    char sqlstate[6];
    struct slice table, source, column, reason, raw, origin;
    size_t size; /* of the allocation */
};
struct dead_letters {
    struct dead_letter **ring;
    size_t first, count, capacity; /* capacity is a power of two */
    uint64_t next_id;
    uint64_t bytes, bytes_max;
    int64_t age_max_us;
    uint64_t dropped; /* went because of bytes or age */
};

/* With the lock of ingest held, or by the thread that applies. Letters past either bound go, the
 * oldest first. */
void dead_letters_init(struct dead_letters *letters, uint64_t bytes_max, int64_t age_max_us);
void dead_letters_deinit(struct dead_letters *letters);
void dead_letters_add(struct dead_letters *letters, const struct section_request *request,
                      const struct section_dead *dead, uint64_t position, int64_t at_us);
void dead_letters_expire(struct dead_letters *letters, int64_t now_us);
/* index < count, oldest first. */
const struct dead_letter *dead_letters_get(const struct dead_letters *letters, size_t index);
void dead_letters_write(const struct dead_letters *letters, struct writer *out);
/* has_origins: not in checkpoints of state format 1. */
bool dead_letters_read(struct dead_letters *letters, struct reader *reader, bool has_origins);

#endif
