/* What the files behind storage/store.h share. Private to storage/. */
#ifndef FRESHET_STORAGE_TABLE_PRIVATE_H
#define FRESHET_STORAGE_TABLE_PRIVATE_H

#include "storage/base/room.h"
#include "storage/base/thread.h"
#include "storage/log/log.h"
#include "storage/log/manifest.h"
#include "storage/table/apply.h"
#include "storage/table/gate.h"

struct commit {
    struct store *store;
    struct log_entry entry;
    struct writer bytes;
    bool has_large;            /* `bytes` began as one of the store's large buffers */
    struct arena arena;        /* parts, column ids, and what applying needs */
    struct commit_part *parts; /* newest first */
    enum change_kind change;
    uint32_t change_table_id;
    struct schema *change_schema;
    size_t rows_size; /* of its rows in chunks, without texts */
    size_t charged;   /* to the rows budget while under way */
    commit_done done;
    void *context;
    struct commit *split;             /* planted by tests only: sections in a record of their own */
    const struct rotation_wish *wish; /* upkeep's: closes segments there */
    struct capture *capture;          /* upkeep's: takes the state as of this record */
    /* log thread: applied, not yet published */
    struct record record;
    struct effect effect;
    struct commit *next;
};

struct commit_part {
    struct gate_part gate;
    struct commit_part *next;
};

/* The state as of a record, taken by the log thread between two; upkeep makes a checkpoint of it.
 */
struct capture {
    uint64_t position;
    struct catalog *catalog; /* a copy of its own; NULL: not taken yet */
    uint32_t next_table_id;
    struct writer extension;
    uint64_t log_bytes; /* log_status.appended then */
};

/* Closed segments of a table that was dropped or truncated, for upkeep to remove. */
struct dropped {
    struct manifest_sealed until; /* the table, and the position of the change */
    struct segment_list *closed;
    struct dropped *next;
};

/* What upkeep remembers of a table between two looks. */
struct upkeep_table {
    uint32_t table_id;
    uint64_t first_position; /* of its open segment, and since when it is the same */
    int64_t since_us;
};

#define UPKEEP_STEPS 7
struct upkeep_retry { /* of a step that failed */
    int64_t at_us, wait_us;
};

/* What upkeep is at, for simulations that crash in it. */
enum upkeep_work {
    UPKEEP_IDLE,
    UPKEEP_SEALING,
    UPKEEP_MERGING,
    UPKEEP_RETENTION,
    UPKEEP_DROPPING,
    UPKEEP_CHECKPOINT,
    UPKEEP_RECYCLING
};

/* Sealing, merging, retention, checkpoints: one thing at a time, by whoever holds the mutex. */
struct upkeep {
    struct mutex mutex;
    struct condition idle;   /* is_active became false */
    bool is_busy;            /* under the mutex; unthreaded stores look at it to see recursion */
    _Atomic bool is_active;  /* a job is queued or runs */
    _Atomic bool is_urgent;  /* rows memory above half of its limit: no yielding to queries */
    _Atomic bool is_closing; /* relaxed: give up what can be given up */
    /* Relaxed: of rows that were refused for what else is in memory, the most at a time, until
     * there is room for as much beside open segments. 0: none were. */
    _Atomic size_t refused_size;
    /* Relaxed: segments wait behind the one that is being sealed; when to look again; when to give
     * way again meanwhile. */
    _Atomic bool is_behind;
    _Atomic int64_t next_behind_us, next_yield_us;
    _Atomic int64_t next_look_us; /* relaxed: when something may be due by time */
    _Atomic int64_t deadline_us;  /* relaxed; of closing: 0 at first, so that a job ends at once */

    struct budget budget;  /* what sealing and merging hold: counted, bounded by what they take */
    struct learnt *learnt; /* a job's own */

    /* Under the mutex. */
    enum upkeep_work work;
    struct upkeep_retry retries[UPKEEP_STEPS];
    struct upkeep_table *tables; /* by id */
    size_t table_count;
    uint64_t *orphans; /* files that a failed edit of the manifest may or may not name */
    size_t orphan_count;
    uint64_t checkpoint_position;                        /* of the newest */
    uint64_t needed_position[MANIFEST_CHECKPOINT_COUNT]; /* of the log, newest checkpoint first */
    uint64_t recycled_position;    /* rows up to here may not be in the log any more */
    uint64_t checkpoint_log_bytes; /* log_status.appended at the newest */
    int64_t next_trim_us;
    uint64_t goal_position; /* rows up to here are being sealed before a checkpoint; 0: no such */
};

/* Buffers kept for the next commits: at most 32 MiB, not counted as rows. */
#define COMMIT_SPARES 8
#define COMMIT_SPARE_SIZE_MAX ((size_t)4 << 20)
/* And so many of two huge pages each, for commits that say they will be of such a size. The second
 * page is there only where a record has reached it. */
#define COMMIT_LARGE 8
#define COMMIT_LARGE_SIZE (2 * MEMORY_HUGE_SIZE - LOG_ENTRY_HEAD)
#define COMMIT_LARGE_MIN ((size_t)128 << 10)

struct store {
    struct store_options options;
    struct budget budget; /* blocks of segments and commits under way */
    struct pool *pool;
    /* What sealing keeps of its buffers, under upkeep.mutex. The pool's thread makes it present. */
    struct room room;
    struct log *log;

    /* log thread; replay before that */
    struct applier applier;
    struct commit *applied_first, **applied_last;
    uint64_t checkpoint_position; /* the one that was loaded */
    uint64_t first_log_file;      /* that it needs */
    uint64_t readable_position;   /* checkpoint and sealed segments hold nothing behind it */
    _Atomic bool is_readable;     /* release: what replay has reached is whole; or replay is over */
    struct arena scratch;         /* views for the extension */
    struct arena
        replay_arena; /* one record; kept, so that replay does not fault in memory for each */

    /* Writers, in turn. */
    struct mutex submit_mutex;
    struct gate gate;
    /* Buffers of commits that are done, under their mutex. */
    struct mutex spare_mutex;
    struct writer spare[COMMIT_SPARES];
    uint32_t spare_count;
    struct writer large[COMMIT_LARGE];
    uint32_t large_count, large_made; /* of those made so many wait there */
    _Atomic uint32_t next_table_id;   /* relaxed: a counter */

    /* Side files: one at a time. */
    struct mutex side_mutex;
    struct io *side_io; /* NULL: not asked for yet */
    bool has_side_directory;

    /* Sealed segments. The manifest is its owner's: replay, then who holds upkeep.mutex. */
    struct io *upkeep_io;
    struct manifest *manifest;
    struct sealed_source *source;
    struct upkeep upkeep;

    /* Held by whoever replaces the catalog or sets its published pairs: the log thread while it
     * publishes, upkeep for the moment in which it puts one closed list for another. */
    struct mutex change_mutex;
    struct dropped *dropped; /* under the change mutex */

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

/* --- commit.c --- */
void commit_buffers_init(struct store *store);
void commit_buffers_deinit(struct store *store);

/* The newest catalog; one reference. */
struct catalog *store_catalog(struct store *store);

/* --- checkpoint.c --- */
/* Reads the newest checkpoint if there is one: catalog, position, extension. `first_log_file` is
 * where the log is to be read from. */
MUST_CHECK enum err store_load(struct store *store, uint64_t *first_log_file, struct error *error);
/* Removes them and the manifest, where the log still has everything: it is about to be cut, and
 * none may speak of what was behind the cut. */
MUST_CHECK enum err store_forget_checkpoints(struct store *store, struct error *error);
/* The log thread, or the closing one after it. */
void capture_take(struct store *store, const struct catalog *catalog, uint64_t position,
                  struct capture *out);
void capture_deinit(struct capture *capture);
/* Writes a checkpoint of what was taken and recycles the log; holds upkeep.mutex. */
MUST_CHECK enum err store_save(struct store *store, const struct capture *capture,
                               struct error *error);

/* --- carry.c: rows of quiet tables in a checkpoint --- */
struct carry_plan {
    uint64_t needed_position; /* rows up to here are sealed or carried */
    bool *is_carried;         /* by index in the catalog */
};
/* Is the table quiet, and is there room for its rows beside *total bytes of others? They are added
 * then. Asked table by table: those there is no room for have to be sealed, or they hold the log.
 */
bool carry_fits(const struct store *store, const struct table_view *view, size_t *total);
void carry_plan_make(const struct store *store, const struct catalog *catalog, uint64_t position,
                     struct carry_plan *out);
void carry_plan_deinit(struct carry_plan *plan);
void carry_write(struct store *store, const struct table_view *view, struct writer *out);
MUST_CHECK enum err carry_read(struct store *store, struct reader *reader, struct table_view *view,
                               struct error *error);

/* --- attach.c: sealed segments at start --- */
/* Gives a table of a catalog that nobody else sees yet the sealed segments the manifest has for it,
 * behind its last TRUNCATE. */
void store_attach(struct store *store, struct catalog *catalog, uint32_t table_id);
/* Every file the manifest names is there. */
/* Before the manifest is opened, which makes one: segments without a manifest are of a store that
 * was copied or restored in part. ERR_CORRUPT. */
MUST_CHECK enum err store_refuse_strangers(struct store *store, struct error *error);
MUST_CHECK enum err store_check_segments(struct store *store, struct error *error);
/* Removes what no table has and files the manifest does not name. */
MUST_CHECK enum err store_tidy_segments(struct store *store, struct error *error);

/* --- upkeep*.c; all hold upkeep.mutex --- */
void upkeep_init(struct upkeep *upkeep);
void upkeep_deinit(struct upkeep *upkeep);
/* After the log has stopped: seals what is not carried forward, while there is time. */
void upkeep_finish(struct store *store);
bool upkeep_pause(void *context); /* the store */
/* So many bytes of rows would fit, with less in memory: what is there is sealed until they do. */
void upkeep_make_room(struct store *store, size_t size);
/* Puts `count` entries in the place of `inputs` in a table's closed list. False if those are not
 * there any more. */
bool upkeep_swap(struct store *store, uint32_t table_id, const struct segment_list *inputs,
                 const struct segment_entry *entries, uint32_t count);
/* Writes the entries of `inputs` as one segment, edits the manifest and swaps. */
MUST_CHECK enum err upkeep_write(struct store *store, const struct schema *schema,
                                 struct segment_list *inputs, struct error *error);
/* Takes segments out of the manifest and discards them. `until` says why: the table was dropped or
 * truncated there, and a replay that has not come so far lacks their rows. NULL: retention. */
MUST_CHECK enum err upkeep_remove(struct store *store, const struct segment_list *closed,
                                  const struct manifest_sealed *until, struct error *error);
/* Each: one thing that is due; *did says whether there was. */
MUST_CHECK enum err upkeep_drop(struct store *store, bool *did, struct error *error);
MUST_CHECK enum err upkeep_seal(struct store *store, bool *did, struct error *error);
MUST_CHECK enum err upkeep_retain(struct store *store, bool *did, struct error *error);
MUST_CHECK enum err upkeep_merge(struct store *store, bool *did, struct error *error);
/* Whether rows up to the position wait to be sealed. */
bool upkeep_has_frozen(struct store *store, uint64_t position);
/* Closed segments in memory, of all tables. */
size_t upkeep_frozen_count(struct store *store);

/* Makes the store readable if what replay has reached is one moment. */
void store_look_readable(struct store *store, uint64_t position);
/* Replay and live are the same steps; see publish.c. */
enum err store_replay(void *context, uint64_t position, struct slice payload, struct error *error);
void store_apply(void *context, struct log_entry *entry);
void store_abandon(void *context, uint64_t position);
void store_publish(void *context, uint64_t position);

#endif
