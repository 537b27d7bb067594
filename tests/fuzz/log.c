/* Fuzz target: bytes as log files. Whatever they are, the log opens or refuses; if it opens, what
 * it replayed is there again the next time, with what was added since.
 *
 * Byte 0 chooses: 1 mend the checksums of what looks like headers (so that mutations get behind
 * them), 2 recover to a point in time, 4 cut the rest into two files. */
#include "storage/base/hash.h"
#include "storage/base/logger.h"
#include "storage/io/sim.h"
#include "storage/log/format.h"
#include "storage/log/log.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#define FILE_SIZE ((size_t)32 << 10)

struct seen {
    uint64_t count;
    uint64_t hash;
};

static enum err on_replay(void *context, uint64_t position, struct slice payload,
                          struct error *error)
{
    struct seen *seen = context;
    (void)error;
    assert(position == seen->count + 1);
    seen->count = position;
    seen->hash = hash64_seed(payload.data, payload.size, seen->hash);
    return OK;
}

static void on_done(struct log_entry *entry, enum err result, const struct error *error)
{
    (void)entry;
    (void)error;
    assert(result == OK);
}

static enum err open_log(struct io *io, bool point_in_time, struct seen *seen, struct log **log)
{
    struct error error;
    struct log_options options = {.io = io,
                                  .directory = "",
                                  .file_size = FILE_SIZE,
                                  .piece_size = 8192,
                                  .first_position = 1,
                                  .recover_point_in_time = point_in_time,
                                  .context = seen,
                                  .replay = on_replay};
    *seen = (struct seen){0};
    return log_open(&options, log, &error);
}

static void mend(uint8_t *data, size_t size)
{
    uint32_t crc;
    if (size >= 96) {
        crc = crc32c(0, data + 12, 96 - 12);
        memcpy(data + 8, &crc, sizeof(crc));
    }
    for (size_t offset = 0; offset + LOG_PIECE_HEADER_SIZE <= size; offset += LOG_BLOCK_SIZE) {
        uint32_t content;
        if (!log_piece_is_likely(data + offset))
            continue;
        memcpy(&content, data + offset + 8, sizeof(content));
        if (content > size - offset - LOG_PIECE_HEADER_SIZE)
            continue;
        crc = crc32c(0, data + offset + 8, LOG_PIECE_HEADER_SIZE - 8 + content);
        memcpy(data + offset + 4, &crc, sizeof(crc));
    }
}

static void put_file(struct io *io, uint64_t number, const uint8_t *data, size_t size,
                     bool is_mended)
{
    char name[64];
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    if (is_mended)
        mend(copy, size);
    log_file_name("", number, name, sizeof(name));
    enum err result = io_replace_file(io, name, slice_of(copy, size), NULL);
    assert(result == OK);
    free(copy);
}

static void use_log(struct io *io, struct log *log, struct seen *seen)
{
    struct seen again;
    char large[9000] = "more";
    struct log_entry entries[2] = {{.payload = SLICE("one more"), .done = on_done},
                                   {.payload = slice_of(large, sizeof(large)), .done = on_done}};
    for (size_t index = 0; index < array_count(entries); index++) {
        enum err result = log_submit(log, &entries[index], NULL);
        assert(result == OK);
        seen->hash =
            hash64_seed(entries[index].payload.data, entries[index].payload.size, seen->hash);
    }
    bool has_run = log_run(log);
    assert(has_run);
    log_stop(log);
    log_close(log);
    enum err result = open_log(io, false, &again, &log);
    assert(result == OK);
    assert(again.count == seen->count + 2);
    assert(again.hash == seen->hash);
    log_close(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim_options options = {.seed = 1};
    struct io *io;
    struct log *log;
    struct seen seen;
    if (size < 1 || size > 4 * FILE_SIZE)
        return 0;
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    uint8_t choice = data[0];
    data++;
    size--;
    struct sim *sim = sim_create(&options);
    sim_open(sim, &io);
    size_t first = (choice & 4) && size > FILE_SIZE ? FILE_SIZE : size;
    put_file(io, 1, data, first, choice & 1);
    if (first < size)
        put_file(io, 2, data + first, size - first, choice & 1);
    if (open_log(io, choice & 2, &seen, &log) == OK)
        use_log(io, log, &seen);
    io->ops->destroy(io);
    sim_destroy(sim);
    return 0;
}

/* --- seeds: logs as the log writes them --- */

static void append_file(struct io *io, uint64_t number, struct arena *arena, char *out,
                        size_t *size)
{
    char name[64];
    struct slice content;
    log_file_name("", number, name, sizeof(name));
    if (io_read_file(io, name, arena, &content, NULL) != OK)
        return;
    memcpy(out + *size, content.data, content.size);
    *size += content.size;
}

struct slice fuzz_seed(size_t index)
{
    static char seed[1 + 3 * FILE_SIZE];
    static char payload[20000];
    if (index >= 8)
        return (struct slice){0};
    struct sim_options options = {.seed = 2};
    struct sim *sim = sim_create(&options);
    struct io *io;
    struct log *log;
    struct seen seen;
    struct arena arena;
    arena_init(&arena);
    sim_open(sim, &io);
    if (open_log(io, false, &seen, &log) != OK)
        abort();
    for (size_t record = 0; record < 2 + index; record++) {
        struct log_entry entry = {.payload = slice_of(payload, record * record * 300),
                                  .done = on_done};
        if (log_submit(log, &entry, NULL) != OK || !log_run(log))
            abort();
    }
    log_stop(log);
    log_close(log);
    size_t size = 1;
    seed[0] = (char)(index | 4);
    append_file(io, 1, &arena, seed, &size);
    append_file(io, 2, &arena, seed, &size);
    io->ops->destroy(io);
    sim_destroy(sim);
    arena_deinit(&arena);
    return slice_of(seed, size);
}
