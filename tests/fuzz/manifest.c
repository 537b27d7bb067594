/* Fuzz target: bytes as a manifest of either version. It opens or refuses; if it opens, an edit of
 * many segments can be added and what was live and what was added are there the next time. Byte 0
 * chooses: 1 mend the checksums of the blocks. */
#include "storage/base/hash.h"
#include "storage/base/logger.h"
#include "storage/io/sim.h"
#include "storage/log/manifest.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define BLOCK_SIZE IO_ALIGNMENT
#define CONTENT_SIZE_1 ((size_t)88) /* under the checksum, version 1 */
#define ADD_COUNT 50                /* more than a block holds */
#define INPUT_SIZE_MAX (64 * BLOCK_SIZE)

static void mend(uint8_t *data, size_t size)
{
    for (size_t offset = 0; offset + BLOCK_SIZE <= size; offset += BLOCK_SIZE) {
        size_t covered = data[offset + 16] == 1 ? CONTENT_SIZE_1 : BLOCK_SIZE;
        uint64_t crc = crc32c(0, data + offset + 16, covered - 16);
        memcpy(data + offset + 8, &crc, sizeof(crc));
    }
}

/* Adds a checkpoint and segments, and removes one that was there. */
static void add_edit(struct manifest *manifest, struct manifest_checkpoint *checkpoint,
                     uint64_t *removed)
{
    struct sealed_info add[ADD_COUNT];
    size_t count;
    const struct sealed_info *segments = manifest_segments(manifest, &count);
    *removed = count > 0 ? segments[count / 2].number : 0;
    struct manifest_checkpoint before = {0};
    (void)manifest_checkpoint(manifest, 0, &before);
    *checkpoint = (struct manifest_checkpoint){.number = manifest_next_number(manifest),
                                               .position = before.position};
    for (size_t i = 0; i < ADD_COUNT; i++)
        add[i] = (struct sealed_info){
            .number = manifest_next_number(manifest), .table_id = (uint32_t)i, .row_count = 7};
    struct manifest_sealed sealed = {.table_id = 5,
                                     .position = manifest_sealed_position(manifest, 5)};
    struct manifest_edit edit = {.checkpoint = checkpoint,
                                 .add_count = ADD_COUNT,
                                 .add = add,
                                 .remove_count = count > 0,
                                 .remove = removed,
                                 .sealed_count = 1,
                                 .sealed = &sealed};
    enum err result = manifest_append(manifest, &edit, NULL);
    assert(result == OK);
}

static void use_manifest(struct io *io, struct manifest *manifest)
{
    struct manifest_checkpoint before = {0}, added, after;
    size_t count, count_after, tables, tables_after;
    uint64_t removed;
    (void)manifest_checkpoint(manifest, 0, &before);
    (void)manifest_segments(manifest, &count);
    /* Hostile: the next numbers would be past the limit. */
    if (manifest_next_number(manifest) >= UINT64_C(1) << 61) {
        manifest_close(manifest);
        return;
    }
    add_edit(manifest, &added, &removed);
    (void)manifest_sealed_positions(manifest, &tables);
    manifest_close(manifest);
    enum err result = manifest_open(io, "", &manifest, NULL);
    assert(result == OK);
    bool is_there = manifest_checkpoint(manifest, 0, &after);
    assert(is_there && after.number == added.number);
    if (before.number != 0) {
        is_there = manifest_checkpoint(manifest, 1, &after);
        assert(is_there && after.number == before.number && after.checksum == before.checksum);
    }
    const struct sealed_info *segments = manifest_segments(manifest, &count_after);
    assert(count_after == count + ADD_COUNT - (removed != 0));
    for (size_t i = 0; i < count_after; i++)
        assert(segments[i].number != removed &&
               (i == 0 || segments[i].number > segments[i - 1].number));
    (void)manifest_sealed_positions(manifest, &tables_after);
    assert(tables_after == tables);
    manifest_close(manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_options options = {.seed = 1};
    struct io *io;
    struct manifest *manifest;
    if (size < 1 || size > INPUT_SIZE_MAX)
        return 0;
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    if (copy[0] & 1)
        mend(copy + 1, size - 1);
    struct sim *sim = sim_create(&options);
    sim_open(sim, &io);
    enum err result = io_replace_file(io, "manifest", slice_of(copy + 1, size - 1), NULL);
    assert(result == OK);
    if (manifest_open(io, "", &manifest, NULL) == OK)
        use_manifest(io, manifest);
    io->ops->destroy(io);
    sim_destroy(sim);
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static char seed[1 + INPUT_SIZE_MAX];
    if (index >= 6)
        return (struct slice){0};
    struct sim_options options = {.seed = 2};
    struct sim *sim = sim_create(&options);
    struct io *io;
    struct manifest *manifest;
    struct slice content;
    struct arena arena;
    arena_init(&arena);
    sim_open(sim, &io);
    if (manifest_open(io, "", &manifest, NULL) != OK)
        abort();
    for (size_t count = 0; count < index; count++) {
        struct manifest_checkpoint checkpoint;
        uint64_t removed;
        add_edit(manifest, &checkpoint, &removed);
    }
    manifest_close(manifest);
    if (io_read_file(io, "manifest", &arena, &content, NULL) != OK)
        abort();
    seed[0] = (char)index;
    memcpy(seed + 1, content.data, content.size);
    size_t size = 1 + content.size;
    io->ops->destroy(io);
    sim_destroy(sim);
    arena_deinit(&arena);
    return slice_of(seed, size);
}
