/* What the files behind storage/store.h share. Private to storage/. */
#ifndef FRESHET_STORAGE_TABLE_PRIVATE_H
#define FRESHET_STORAGE_TABLE_PRIVATE_H

#include "storage/base/thread.h"
#include "storage/log/log.h"
#include "storage/table/apply.h"
#include "storage/table/gate.h"

struct commit {
    struct store *store;
    struct log_entry entry;
    struct writer bytes;
    struct arena arena;        /* parts, column ids, and what applying needs */
    struct commit_part *parts; /* newest first */
    enum change_kind change;
    uint32_t change_table_id;
    struct schema *change_schema;
    size_t charged; /* to the rows budget while under way */
    commit_done done;
    void *context;
    struct commit *split; /* planted by tests only: sections in a record of their own */
    bool is_checkpoint;
    enum err checkpoint_result;
    struct error checkpoint_error;
    /* log thread: applied, not yet published */
    struct record record;
    struct effect effect;
    struct commit *next;
};

struct commit_part {
    struct gate_part gate;
    struct commit_part *next;
};

struct store {
    struct store_options options;
    struct budget budget; /* blocks of segments and commits under way */
    struct pool *pool;
    struct log *log;

    /* log thread; replay before that */
    struct applier applier;
    struct commit *applied_first, **applied_last;
    uint64_t checkpoint_position;
    struct arena scratch; /* views for the extension */
    struct arena
        replay_arena; /* one record; kept, so that replay does not fault in memory for each */

    /* Writers, in turn. */
    struct mutex submit_mutex;
    struct gate gate;
    _Atomic uint32_t next_table_id; /* relaxed: a counter */

    /* What readers see: the catalog, its published pairs and the position change together under
     * this lock, held for a few stores by the log thread and for one copy of the list by a reader.
     */
    struct mutex publish_mutex;
    struct catalog *catalog;
    _Atomic uint64_t position; /* stored under the lock (release); read anywhere (acquire) */

    /* store_wait */
    struct mutex wait_mutex;
    struct condition waited;
    _Atomic uint32_t waiter_count; /* seq_cst, against position: whoever is late sees the other */
};

/* checkpoint.c of this folder. Reads the newest checkpoint if there is one: catalog, position,
 * extension. */
MUST_CHECK enum err store_load(struct store *store, struct error *error);
/* Removes them all: the log is about to be cut, and none may speak of what was behind the cut. The
 * log still has everything, so nothing but time is lost. */
MUST_CHECK enum err store_forget_checkpoints(struct store *store, struct error *error);
/* Writes one as of a catalog and position; log thread, or the closing thread after it. */
MUST_CHECK enum err store_save(struct store *store, const struct catalog *catalog,
                               uint64_t position, struct error *error);
/* Replay and live are the same steps; see publish.c. */
enum err store_replay(void *context, uint64_t position, struct slice payload, struct error *error);
void store_apply(void *context, struct log_entry *entry);
void store_abandon(void *context, uint64_t position);
void store_publish(void *context, uint64_t position);

#endif
