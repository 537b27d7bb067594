/* Checkpoints: the state as of one position of the log, as one file that the manifest points at. */
#ifndef FRESHET_STORAGE_LOG_CHECKPOINT_H
#define FRESHET_STORAGE_LOG_CHECKPOINT_H

#include "storage/log/manifest.h"

/* Writes the payload beside the manifest and makes it the newest checkpoint: durable when this
 * returns OK. `checkpoint` has position and first_log_file; the rest is filled in. Files of
 * checkpoints that no longer count are removed. Same thread rule as the manifest. */
MUST_CHECK enum err checkpoint_write(struct manifest *manifest,
                                     struct manifest_checkpoint *checkpoint, struct slice payload,
                                     struct error *error);
/* The newest checkpoint that is whole; the payload lives in the arena, at a multiple of 8.
 * ERR_NOT_FOUND if there never was one, ERR_CORRUPT if none of those the manifest names can be
 * read. */
MUST_CHECK enum err checkpoint_read(struct manifest *manifest, struct arena *arena,
                                    struct manifest_checkpoint *checkpoint, struct slice *payload,
                                    struct error *error);

/* Whether the file of one that the manifest names is whole: ERR_CORRUPT, ERR_IO. */
MUST_CHECK enum err checkpoint_check(struct manifest *manifest,
                                     const struct manifest_checkpoint *checkpoint,
                                     struct error *error);

/* Removes checkpoint files that the manifest does not name, as a crash may leave them. */
void checkpoint_remove_stale(struct manifest *manifest);

#endif
