/* The manifest's bytes and what they add up to: edits in blocks, and the state after them. Private
 * to storage/log; see FORMAT.md. */
#ifndef FRESHET_STORAGE_LOG_EDIT_H
#define FRESHET_STORAGE_LOG_EDIT_H

#include "storage/log/manifest.h"

#define MANIFEST_BLOCK_SIZE IO_ALIGNMENT
#define MANIFEST_BLOCK_COUNT_MAX                                                                   \
    65536 /* of a file that is read: far above what is ever written                                \
           */
#define MANIFEST_NUMBER_MAX ((uint64_t)1 << 62) /* none gets near, and none can wrap */

/* What is live. */
struct manifest_state {
    struct manifest_checkpoint checkpoints[MANIFEST_CHECKPOINT_COUNT]; /* newest first */
    struct sealed_info *segments;                                      /* by number */
    size_t segment_count, segment_capacity;
    struct manifest_sealed *sealed; /* by table */
    size_t sealed_count, sealed_capacity;
    uint64_t last_number; /* the highest there was */
};

void manifest_state_deinit(struct manifest_state *state);
/* Whether the edit makes sense on top of the state: numbers new, removed ones there, positions
 * rising. */
bool manifest_state_fits(const struct manifest_state *state, const struct manifest_edit *edit);
void manifest_state_take(struct manifest_state *state, const struct manifest_edit *edit);

/* Where an edit goes: the file, the first of its blocks and its number in the file. */
struct edit_place {
    uint64_t file_number;
    uint64_t block_index;
    uint64_t edit_number; /* 1, 2, 3 … */
};

/* `block_count` blocks follow that are synced with it, before the file gets its name. */
void edit_encode_header(uint64_t file_number, size_t block_count, char *block);
size_t edit_block_count(const struct manifest_edit *edit);
/* Fills edit_block_count() blocks. */
void edit_encode(const struct manifest_edit *edit, const struct edit_place *place, char *blocks);
/* The same for the whole of a state as one edit; no block if nothing is live. */
size_t edit_state_block_count(const struct manifest_state *state);
void edit_encode_state(const struct manifest_state *state, const struct edit_place *place,
                       char *blocks);
/* Reads `count` blocks of a file of any version; ERR_CORRUPT where an acknowledged edit is damaged.
 */
MUST_CHECK enum err edit_replay(const char *data, size_t count, struct manifest_state *state,
                                uint64_t *file_number, struct error *error);

#endif
