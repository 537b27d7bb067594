/* Fuzz target: bytes as a manifest. It opens or refuses; if it opens, an edit can be added and both
 * are there the next time. Byte 0 chooses: 1 mend the checksums of the blocks. */
#include "storage/base/hash.h"
#include "storage/base/logger.h"
#include "storage/io/sim.h"
#include "storage/log/manifest.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define BLOCK_SIZE IO_ALIGNMENT
#define CONTENT_SIZE ((size_t)88)
#define INPUT_SIZE_MAX (64 * BLOCK_SIZE)

static void mend(uint8_t *data, size_t size)
{
    for (size_t offset = 0; offset + CONTENT_SIZE <= size; offset += BLOCK_SIZE) {
        uint64_t crc = crc32c(0, data + offset + 16, CONTENT_SIZE - 16);
        memcpy(data + offset + 8, &crc, sizeof(crc));
    }
}

static void use_manifest(struct io *io, struct manifest *manifest)
{
    struct manifest_checkpoint before = {0};
    struct manifest_checkpoint after;
    (void)manifest_checkpoint(manifest, 0, &before);
    if (before.number >= UINT64_C(1)
                             << 61) { /* hostile: the next numbers would be past the limit */
        manifest_close(manifest);
        return;
    }
    struct manifest_checkpoint edit = {.number = manifest_next_number(manifest),
                                       .position = before.position};
    enum err result = manifest_append(manifest, &edit, NULL);
    assert(result == OK);
    manifest_close(manifest);
    result = manifest_open(io, "", &manifest, NULL);
    assert(result == OK);
    bool is_there = manifest_checkpoint(manifest, 0, &after);
    assert(is_there && after.number == edit.number);
    if (before.number != 0) {
        is_there = manifest_checkpoint(manifest, 1, &after);
        assert(is_there && after.number == before.number && after.checksum == before.checksum);
    }
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
        struct manifest_checkpoint edit = {.number = manifest_next_number(manifest),
                                           .position = count * 100,
                                           .size = count,
                                           .checksum = count * 77};
        if (manifest_append(manifest, &edit, NULL) != OK)
            abort();
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
