/* The manifest: an append-only list of edits that says which checkpoints and sealed segments there
 * are and up to which position each table is sealed. The root of recovery.
 *
 * An edit is atomic: all of its items count or none. One owner thread at a time. The two newest
 * checkpoints are kept: should the newest turn out to be damaged, the one before it and the log
 * behind it still give everything. */
#ifndef FRESHET_STORAGE_LOG_MANIFEST_H
#define FRESHET_STORAGE_LOG_MANIFEST_H

#include "storage/base/error.h"
#include "storage/io/io.h"
#include "storage/segment/sealed.h"

struct manifest;

#define MANIFEST_CHECKPOINT_COUNT 2

struct manifest_checkpoint {
    uint64_t number;         /* names the file: checkpoint-<16 hex>.fckp; 0: none */
    uint64_t position;       /* the log's, of everything in it */
    uint64_t size;           /* of the payload */
    uint64_t checksum;       /* of the payload, XXH3-64 seeded with the number */
    uint64_t first_log_file; /* the oldest log file that is still needed; 0: all there are */
};

/* Replays the file "manifest" in the directory (made if missing) and begins a new one with what is
 * live. ERR_CORRUPT where an acknowledged edit is damaged. `io` must outlive it. */
MUST_CHECK enum err manifest_open(struct io *io, const char *directory, struct manifest **out,
                                  struct error *error);
/* The same for looking only: writes nothing, and nothing may be appended. *is_there false: there is
 * no such file. */
MUST_CHECK enum err manifest_open_to_look(struct io *io, const char *directory, bool *is_there,
                                          struct manifest **out, struct error *error);
void manifest_close(struct manifest *manifest);
/* Newest first: index 0 or 1. False if there is none. */
bool manifest_checkpoint(const struct manifest *manifest, size_t index,
                         struct manifest_checkpoint *out);
struct manifest_sealed { /* rows of a table in records up to `position` are in sealed segments */
    uint32_t table_id;
    uint64_t position;
};
/* Checkpoints, segments and tables in any number; 4,096 bytes hold one edit of about 38 items, more
 * take several blocks that count only together. Numbers rise in `add` and in `remove`; a table's
 * sealed position never falls but by `forget`. */
struct manifest_edit {
    const struct manifest_checkpoint *checkpoint; /* NULL: none. `number` above all before */
    size_t add_count;
    const struct sealed_info *add;
    size_t remove_count;
    const uint64_t *remove; /* numbers of segments */
    size_t sealed_count;
    const struct manifest_sealed *sealed;
    size_t forget_count;
    const uint32_t *forget; /* tables that are gone: their sealed positions */
};
/* The edit is durable when this returns OK. After an error the old state stands on disk or the new
 * one does; in memory the old one; the next append begins a new file. */
MUST_CHECK enum err manifest_append(struct manifest *manifest, const struct manifest_edit *edit,
                                    struct error *error);
/* What is live, in order of number / table; valid until the next append. */
const struct sealed_info *manifest_segments(const struct manifest *manifest, size_t *count);
const struct manifest_sealed *manifest_sealed_positions(const struct manifest *manifest,
                                                        size_t *count);
uint64_t manifest_sealed_position(const struct manifest *manifest, uint32_t table_id); /* 0: none */
/* A number no checkpoint and no segment has: given out once, even if what it was for failed. */
uint64_t manifest_next_number(struct manifest *manifest);
const char *manifest_directory(const struct manifest *manifest);
struct io *manifest_io(const struct manifest *manifest);

#endif
