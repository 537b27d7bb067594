/* The manifest: an append-only list of edits that says which checkpoints there are. The root of
 * recovery.
 *
 * One owner thread at a time. The two newest checkpoints are kept: should the newest turn out to be
 * damaged, the one before it and the log behind it still give everything. */
#ifndef FRESHET_STORAGE_LOG_MANIFEST_H
#define FRESHET_STORAGE_LOG_MANIFEST_H

#include "storage/base/error.h"
#include "storage/io/io.h"

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
void manifest_close(struct manifest *manifest);
/* Newest first: index 0 or 1. False if there is none. */
bool manifest_checkpoint(const struct manifest *manifest, size_t index,
                         struct manifest_checkpoint *out);
/* The edit is durable when this returns OK. `number` must be above all before. After an error the
 * old state stands on disk or the new one does; in memory the old one; the next append begins a new
 * file. */
MUST_CHECK enum err manifest_append(struct manifest *manifest,
                                    const struct manifest_checkpoint *edit, struct error *error);
/* A number no checkpoint file has: given out once, even if what it was for failed. */
uint64_t manifest_next_number(struct manifest *manifest);
const char *manifest_directory(const struct manifest *manifest);
struct io *manifest_io(const struct manifest *manifest);

#endif
