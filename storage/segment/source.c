/* What readers of one store share. */
#include "storage/segment/source.h"

#include "storage/base/logger.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CACHE_SIZE_DEFAULT ((size_t)64 << 20)

struct sealed_source {
    struct io *io;
    char directory[SEALED_PATH_SIZE];
    struct cache *cache;
    struct mutex mutex;       /* over io and what follows */
    struct source_file files; /* circle of the open ones */
    uint64_t bytes_read;
};

struct sealed_source *sealed_source_create(const struct sealed_source_options *options)
{
    struct sealed_source *source = memory_alloc_zero(sizeof(*source));
    source->io = options->io;
    assert(strlen(options->directory) < sizeof(source->directory) / 2);
    snprintf(source->directory, sizeof(source->directory), "%s", options->directory);
    source->cache =
        cache_create(options->cache_size != 0 ? options->cache_size : CACHE_SIZE_DEFAULT);
    source->files.next = source->files.previous = &source->files;
    mutex_init(&source->mutex);
    return source;
}

void sealed_source_destroy(struct sealed_source *source)
{
    assert(source->files.next == &source->files);
    cache_destroy(source->cache);
    mutex_deinit(&source->mutex);
    memory_free(source);
}

struct cache *source_cache(struct sealed_source *source)
{
    return source->cache;
}

void sealed_source_status(struct sealed_source *source, struct sealed_source_status *out)
{
    struct cache_status cache;
    cache_status(source->cache, &cache);
    mutex_lock(&source->mutex);
    *out = (struct sealed_source_status){.cache_used = cache.used,
                                         .cache_limit = cache.limit,
                                         .hits = cache.hits,
                                         .misses = cache.misses,
                                         .bytes_read = source->bytes_read,
                                         .evictions = cache.evictions};
    mutex_unlock(&source->mutex);
}

/* --- files --- */

static void close_file(struct sealed_source *source, struct source_file *file)
{
    assert(file->user_count == 0);
    file->next->previous = file->previous;
    file->previous->next = file->next;
    enum err ignored = source->io->ops->close(file->file, NULL); /* nothing was written */
    (void)ignored;
    file->file = NULL;
}

void source_forget(struct sealed_source *source, struct sealed *sealed)
{
    mutex_lock(&source->mutex);
    if (sealed->file.file != NULL)
        close_file(source, &sealed->file);
    mutex_unlock(&source->mutex);
}

void source_remove(struct sealed_source *source, uint64_t number)
{
    char path[SEALED_PATH_SIZE];
    struct error error;
    sealed_path(source->directory, number, path, sizeof(path));
    mutex_lock(&source->mutex);
    enum err err = source->io->ops->unlink(source->io, path, &error);
    mutex_unlock(&source->mutex);
    if (err != OK && err != ERR_NOT_FOUND) /* the next start removes it */
        logger_write(LOG_WARN, "a segment's file stays until the next start error=\"%s\"",
                     error.text);
}
