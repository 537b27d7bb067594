/* Reading pages of sealed segments.
 *
 *   page wanted ── cache ─┬─ there: shared
 *                         └─ not: reader (io of its own, aligned buffer) ── file ── checksum ──
 *                            copied, opened, kept
 *
 * Any number of threads read. Each takes a reader for as long as a read lasts: an io, since a ring
 * belongs to one thread, and a buffer that the kernel writes to past the page cache. Readers are
 * kept in a list, and a thread gets the one it had last if that is free, because a ring changes
 * threads only by being made anew. Files are opened once for all readers (io share) and closed when
 * more than FILES_MAX are open, the one used longest ago first.
 *
 * A page that is larger than the buffer is read, hashed and copied piece by piece, and whoever
 * brought a pauser may let others go first in between: a block of long texts has tens of megabytes.
 *
 * Pages of a column lie side by side. A scan that goes through a segment says so (is_ahead), and
 * what follows in the same MiB comes with the same read. A page is checked when it is read, never
 * again: its checksum here, its structure by block_open, and that no code is without an entry. */
#include "storage/segment/source.h"

#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/worker.h"

#include <assert.h>
#include <stdio.h>

#define CACHE_SIZE_DEFAULT ((size_t)64 << 20)
#define BUFFER_SIZE ((size_t)1 << 20)
#define EXTENT_MAX (BUFFER_SIZE - 2 * IO_ALIGNMENT) /* with what is before and behind it */
#define AHEAD_CACHE_MIN (16 * BUFFER_SIZE) /* a cache below this would lose what is read ahead */
#define AHEAD_PAGES_MAX 64
#define READERS_KEPT_MAX 16
#define FILES_MAX 256

struct page_reader {
    struct io *io;
    char *buffer;      /* BUFFER_SIZE, aligned */
    const void *owner; /* the thread that used it last */
    struct page_reader *next;
};

struct sealed_source {
    struct io *io;
    char directory[SEALED_PATH_SIZE];
    struct cache *cache;
    bool has_ahead;
    struct mutex mutex;       /* over io and what follows */
    struct source_file files; /* head of the circle */
    uint32_t file_count;
    struct page_reader *readers;
    uint32_t reader_count; /* in the list */
    uint64_t bytes_read;
    uint64_t next_id;
};

/* Ids of mutable dictionaries count from 1. */
#define DICTIONARY_ID_FIRST (UINT64_C(1) << 63)

static _Thread_local char thread_mark;

/* --- life --- */

struct sealed_source *sealed_source_create(const struct sealed_source_options *options)
{
    struct sealed_source *source = memory_alloc_zero(sizeof(*source));
    size_t cache_size = options->cache_size != 0 ? options->cache_size : CACHE_SIZE_DEFAULT;
    source->io = options->io;
    int length = snprintf(source->directory, sizeof(source->directory), "%s", options->directory);
    assert(length >= 0 && (size_t)length < sizeof(source->directory));
    source->cache = cache_create(cache_size);
    source->has_ahead = cache_size >= AHEAD_CACHE_MIN;
    source->files.next = source->files.previous = &source->files;
    source->next_id = DICTIONARY_ID_FIRST;
    mutex_init(&source->mutex);
    return source;
}

static void reader_destroy(struct page_reader *reader)
{
    io_buffer_free(reader->io, reader->buffer);
    reader->io->ops->destroy(reader->io);
    memory_free(reader);
}

void sealed_source_destroy(struct sealed_source *source)
{
    assert(source->file_count == 0);
    while (source->readers != NULL) {
        struct page_reader *reader = source->readers;
        source->readers = reader->next;
        reader_destroy(reader);
    }
    cache_destroy(source->cache);
    mutex_deinit(&source->mutex);
    memory_free(source);
}

size_t source_excess(const struct sealed *sealed)
{
    struct cache_status cache;
    cache_status(sealed->source->cache, &cache);
    return cache.used > cache.limit ? cache.used - cache.limit : 0;
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

uint64_t source_take_ids(struct sealed_source *source, uint32_t count)
{
    mutex_lock(&source->mutex);
    uint64_t first = source->next_id;
    source->next_id += count;
    mutex_unlock(&source->mutex);
    return first;
}

/* --- readers --- */

/* This thread's if it is free; else a new one while there are few; else any. */
static struct page_reader *take_kept(struct sealed_source *source)
{
    struct page_reader **link = &source->readers;
    while (*link != NULL && (*link)->owner != &thread_mark)
        link = &(*link)->next;
    if (*link == NULL && source->reader_count >= READERS_KEPT_MAX)
        link = &source->readers;
    struct page_reader *reader = *link;
    if (reader != NULL) {
        *link = reader->next;
        source->reader_count--;
    }
    return reader;
}

static enum err take_reader(struct sealed_source *source, struct page_reader **out,
                            struct error *error)
{
    struct io *io = NULL;
    mutex_lock(&source->mutex);
    struct page_reader *reader = take_kept(source);
    enum err err = reader == NULL ? io_clone(source->io, &io, error) : OK;
    mutex_unlock(&source->mutex);
    if (err != OK)
        return err;
    if (reader == NULL) {
        reader = memory_alloc_zero(sizeof(*reader));
        reader->io = io;
        reader->buffer = io_buffer_alloc(io, BUFFER_SIZE);
    }
    reader->owner = &thread_mark;
    *out = reader;
    return OK;
}

static void give_reader(struct sealed_source *source, struct page_reader *reader)
{
    mutex_lock(&source->mutex);
    bool is_kept = source->reader_count < READERS_KEPT_MAX;
    if (is_kept) {
        reader->next = source->readers;
        source->readers = reader;
        source->reader_count++;
    }
    mutex_unlock(&source->mutex);
    if (!is_kept)
        reader_destroy(reader);
}

/* --- files --- */

static void file_unlink(struct source_file *file)
{
    file->next->previous = file->previous;
    file->previous->next = file->next;
}

static void file_link_last(struct sealed_source *source, struct source_file *file)
{
    file->next = &source->files;
    file->previous = source->files.previous;
    file->previous->next = file;
    source->files.previous = file;
}

static void file_close(struct sealed_source *source, struct source_file *file)
{
    assert(file->user_count == 0);
    file_unlink(file);
    enum err ignored = source->io->ops->close(file->file, NULL); /* nothing was written */
    (void)ignored;
    file->file = NULL;
    source->file_count--;
}

static void close_oldest(struct sealed_source *source)
{
    struct source_file *file = source->files.next;
    while (file != &source->files && file->user_count != 0)
        file = file->next;
    if (file != &source->files)
        file_close(source, file);
}

/* Holds the segment's file open until drop_file. */
static enum err hold_file(struct sealed *sealed, struct error *error)
{
    struct sealed_source *source = sealed->source;
    struct source_file *file = &sealed->file;
    enum err err = OK;
    mutex_lock(&source->mutex);
    if (file->file == NULL) {
        char path[SEALED_PATH_SIZE];
        sealed_path(source->directory, sealed->info.number, path, sizeof(path));
        if (source->file_count >= FILES_MAX)
            close_oldest(source);
        err = source->io->ops->open(source->io, path, IO_DIRECT, &file->file, error);
        source->file_count += err == OK ? 1 : 0;
    } else {
        file_unlink(file);
    }
    if (err == OK) {
        file_link_last(source, file);
        file->user_count++;
    }
    mutex_unlock(&source->mutex);
    return err;
}

static void drop_file(struct sealed *sealed, size_t bytes_read)
{
    struct sealed_source *source = sealed->source;
    mutex_lock(&source->mutex);
    assert(sealed->file.user_count > 0);
    sealed->file.user_count--;
    source->bytes_read += bytes_read;
    mutex_unlock(&source->mutex);
}

void source_forget(struct sealed *sealed)
{
    struct sealed_source *source = sealed->source;
    struct error error;
    enum err err = OK;
    cache_drop(source->cache, &sealed->anchor);
    mutex_lock(&source->mutex);
    if (sealed->file.file != NULL)
        file_close(source, &sealed->file);
    if (atomic_load_explicit(&sealed->is_discarded, memory_order_relaxed)) {
        char path[SEALED_PATH_SIZE];
        sealed_path(source->directory, sealed->info.number, path, sizeof(path));
        err = source->io->ops->unlink(source->io, path, &error);
    }
    mutex_unlock(&source->mutex);
    if (err != OK && err != ERR_NOT_FOUND) /* nobody names it: the next start removes it */
        logger_write(LOG_WARN, "a segment's file stays until the next start error=\"%s\"",
                     error.text);
}

/* --- reads --- */

static enum err fail(struct sealed *sealed, enum err code, uint64_t offset, const char *what,
                     struct error *error)
{
    char path[SEALED_PATH_SIZE];
    struct error told;
    sealed_path(sealed->source->directory, sealed->info.number, path, sizeof(path));
    enum err err = error_set(&told, code, NULL, "segment file %s, offset %llu: %s", path,
                             (unsigned long long)offset, what);
    if (code == ERR_CORRUPT)
        sealed_note_damage(sealed, told.text);
    else if (code == ERR_IO)
        sealed_note_unreadable(sealed, told.text);
    if (error != NULL)
        *error = told;
    return err;
}

/* A run of bytes of a file in the reader's buffer: `bytes` is where `offset` lies. */
struct extent {
    uint64_t offset;
    size_t size;
    char *bytes;
};

static enum err read_aligned(struct io_file *file, struct extent *extent, char *target,
                             struct error *error)
{
    uint64_t begin = extent->offset & ~(uint64_t)(IO_ALIGNMENT - 1);
    size_t skip = (size_t)(extent->offset - begin), got = 0;
    size_t size = (skip + extent->size + IO_ALIGNMENT - 1) & ~(IO_ALIGNMENT - 1);
    const struct io_ops *ops = file->io->ops;
    ops->read_begin(file, target, size, begin);
    worker_block_begin();
    enum err err = ops->read_wait(file, &got, error);
    worker_block_end();
    extent->bytes = target + skip;
    if (err == OK && got < skip + extent->size)
        return error_set(error, ERR_CORRUPT, NULL, "the file ends here");
    return err;
}

static enum err read_extent(struct sealed *sealed, struct page_reader *reader,
                            struct extent *extent, struct error *error)
{
    struct error cause = {0};
    assert(extent->size <= EXTENT_MAX);
    enum err err = hold_file(sealed, &cause);
    if (err == OK) {
        struct io_file *file = reader->io->ops->share(reader->io, sealed->file.file);
        err = read_aligned(file, extent, reader->buffer, &cause);
        enum err ignored = reader->io->ops->close(file, NULL);
        (void)ignored;
        drop_file(sealed, extent->size);
    }
    if (err == OK) {
        sealed_note_read(sealed);
        return OK;
    }
    /* A file that is gone is damage too: the manifest has it. */
    return fail(sealed, err == ERR_NOT_FOUND ? ERR_CORRUPT : err, extent->offset, cause.text,
                error);
}

/* One that may be longer than the buffer, to `out`. */
struct run {
    struct sealed *sealed;
    uint64_t offset;
    size_t size;
    struct pauser *pauser; /* NULL: nobody is let in */
    struct hash_stream *hash;
};

static enum err read_run(const struct run *run, struct page_reader *reader, char *out,
                         struct error *error)
{
    for (size_t at = 0; at < run->size;) {
        size_t left = run->size - at;
        struct extent extent = {.offset = run->offset + at,
                                .size = left < EXTENT_MAX ? left : EXTENT_MAX};
        enum err err = read_extent(run->sealed, reader, &extent, error);
        if (err != OK)
            return err;
        memcpy(out + at, extent.bytes, extent.size);
        hash_stream_add(run->hash, out + at, extent.size);
        at += extent.size;
        if (run->pauser != NULL && !pauser_go_on(run->pauser))
            return error_set(error, ERR_CANCELLED, NULL, "reading was given up");
    }
    return OK;
}

enum err source_read_footer(struct sealed *sealed, void *out, struct error *error)
{
    const struct sealed_info *info = &sealed->info;
    struct page_reader *reader;
    struct hash_stream hash;
    const struct run run = {
        .sealed = sealed, .offset = info->footer_offset, .size = info->footer_size, .hash = &hash};
    enum err err = take_reader(sealed->source, &reader, error);
    if (err != OK)
        return err;
    sealed_checksum_begin(info->number, FOOTER_ORDINAL, &hash);
    err = read_run(&run, reader, out, error);
    if (err == OK && hash_stream_end(&hash) != info->footer_checksum)
        err =
            fail(sealed, ERR_CORRUPT, info->footer_offset, "the footer's checksum is wrong", error);
    give_reader(sealed->source, reader);
    return err;
}

/* --- opening what was read --- */

/* Against what the footer says of it, which filters and sums go by without looking at the block. */
static enum err check_zone(const struct block *block, const struct block_zone *zone,
                           uint32_t entry_count, struct error *error)
{
    int64_t low, high;
    if (block->null_count != zone->null_count)
        return error_set(error, ERR_CORRUPT, NULL, "%u NULLs where the footer says %u",
                         block->null_count, zone->null_count);
    if (!block_bounds(block, &low, &high))
        return OK;
    if (!zone->has_range || low < zone->min || high > zone->max)
        return error_set(error, ERR_CORRUPT, NULL,
                         "values from %lld to %lld, which the footer does not say", (long long)low,
                         (long long)high);
    if (entry_count != 0 && (low < 0 || high >= entry_count))
        return error_set(error, ERR_CORRUPT, NULL, "codes %lld to %lld of %u entries",
                         (long long)low, (long long)high, entry_count);
    return OK;
}

/* What a page is, for making an entry of its bytes. */
struct page_use {
    enum cache_kind kind;
    const struct sealed_page *page;
    const struct sealed_column *column;
    const struct block_zone *zone; /* of a block */
    uint32_t row_count;            /* of a block, or of the segment for an index */
    struct pauser *pauser;
};

static enum err open_entry(struct cache_entry *entry, const struct page_use *use,
                           struct slice bytes, struct error *error)
{
    const struct sealed_column *column = use->column;
    struct slice *texts = NULL;
    enum err err = OK;
    switch (use->kind) {
    case CACHE_BLOCK:
        err = block_open(bytes,
                         column->entry_count != 0 ? BLOCK_INTEGER : block_class_of(column->type.id),
                         use->row_count, &entry->block, error);
        if (err == OK)
            err = check_zone(&entry->block, use->zone, column->entry_count, error);
        break;
    case CACHE_DICTIONARY:
        err = entries_read(bytes, column->entry_count, use->pauser, &entry->arena, &texts, error);
        entry->texts = texts;
        entry->text_count = column->entry_count;
        break;
    case CACHE_INDEX:
        err = bitmap_index_open(bytes, use->row_count, &entry->index, error);
        break;
    }
    return err;
}

static enum err compare(struct sealed *sealed, const struct sealed_page *page, uint64_t checksum,
                        struct error *error)
{
    if (checksum != page->checksum && !fault_is("sealed.no_checksum"))
        return fail(sealed, ERR_CORRUPT, page->offset, "the page's checksum is wrong", error);
    return OK;
}

/* Entries of dictionaries are copied while they are read; all others point into the page. */
static bool has_bytes(const struct page_use *use)
{
    return use->kind != CACHE_DICTIONARY;
}

/* Opens an entry over a page's bytes and puts it into the cache; it is gone after an error. What is
 * read to be written anew is read once: it would only push out what queries come back to. */
static enum err keep_entry(struct sealed *sealed, const struct page_use *use,
                           struct cache_entry *entry, struct slice bytes, struct cache_entry **out,
                           struct error *error)
{
    struct error cause = {0};
    enum err err = open_entry(entry, use, bytes, &cause);
    if (err != OK) {
        cache_entry_unref(entry);
        return fail(sealed, err, use->page->offset, cause.text, error);
    }
    *out = use->pauser != NULL ? entry
                               : cache_put(sealed->source->cache, &sealed->anchor,
                                           sealed->info.number, use->page->ordinal, entry);
    return OK;
}

/* Checks a page's bytes, makes an entry of them and puts it into the cache. */
static enum err keep_page(struct sealed *sealed, const struct page_use *use, const char *bytes,
                          struct cache_entry **out, struct error *error)
{
    const struct sealed_page *page = use->page;
    uint64_t checksum =
        sealed_checksum(sealed->info.number, page->ordinal, slice_of(bytes, page->size));
    enum err err = compare(sealed, page, checksum, error);
    if (err != OK)
        return err;
    struct cache_entry *entry = cache_entry_create(use->kind, has_bytes(use) ? page->size : 0);
    if (has_bytes(use))
        memcpy(entry->data, bytes, page->size);
    return keep_entry(sealed, use, entry,
                      slice_of(has_bytes(use) ? entry->data : bytes, page->size), out, error);
}

/* The same for one that does not fit the reader's buffer. */
static enum err read_long(struct sealed *sealed, const struct page_use *use,
                          struct page_reader *reader, struct cache_entry **out, struct error *error)
{
    const struct sealed_page *page = use->page;
    struct hash_stream hash;
    const struct run run = {.sealed = sealed,
                            .offset = page->offset,
                            .size = page->size,
                            .pauser = use->pauser,
                            .hash = &hash};
    struct cache_entry *entry = cache_entry_create(use->kind, has_bytes(use) ? page->size : 0);
    char *loose = has_bytes(use) ? NULL : memory_alloc(page->size);
    char *bytes = has_bytes(use) ? entry->data : loose;
    sealed_checksum_begin(sealed->info.number, page->ordinal, &hash);
    enum err err = read_run(&run, reader, bytes, error);
    if (err == OK)
        err = compare(sealed, page, hash_stream_end(&hash), error);
    if (err == OK)
        err = keep_entry(sealed, use, entry, slice_of(bytes, page->size), out, error);
    else
        cache_entry_unref(entry);
    memory_free(loose);
    return err;
}

static uint32_t block_rows(const struct sealed *sealed, uint32_t block)
{
    uint32_t left = sealed->info.row_count - block * BLOCK_ROWS_MAX;
    return left < BLOCK_ROWS_MAX ? left : BLOCK_ROWS_MAX;
}

/* How many pages from `uses[0]` on to read in one go: those that follow it in the file, fit the
 * buffer and are not there yet. */
static uint32_t plan_ahead(const struct source_block *which, struct page_use *uses)
{
    const struct sealed_column *column = which->column;
    struct sealed_source *source = which->sealed->source;
    uint32_t block_count = (which->sealed->info.row_count + BLOCK_ROWS_MAX - 1) / BLOCK_ROWS_MAX;
    uint32_t count = 1;
    while (which->is_ahead && which->pauser == NULL && source->has_ahead &&
           count < AHEAD_PAGES_MAX && which->block + count < block_count) {
        uint32_t block = which->block + count;
        const struct sealed_page *first = uses[0].page, *page = &column->blocks[block].page;
        const struct sealed_page *before = uses[count - 1].page;
        if (page->offset < before->offset + before->size ||
            page->offset - (before->offset + before->size) >= IO_ALIGNMENT ||
            page->offset + page->size - first->offset > EXTENT_MAX ||
            cache_has(source->cache, which->sealed->info.number, page->ordinal))
            break;
        uses[count++] = (struct page_use){.kind = CACHE_BLOCK,
                                          .page = page,
                                          .column = column,
                                          .zone = &column->blocks[block].zone,
                                          .row_count = block_rows(which->sealed, block)};
    }
    return count;
}

/* Reads pages that lie side by side; the first is handed out, the others only kept. */
static enum err read_pages(struct sealed *sealed, const struct page_use *uses, uint32_t count,
                           struct cache_entry **out, struct error *error)
{
    struct page_reader *reader;
    const struct sealed_page *first = uses[0].page, *last = uses[count - 1].page;
    struct extent extent = {.offset = first->offset,
                            .size = last->offset + last->size - first->offset};
    enum err err = take_reader(sealed->source, &reader, error);
    if (err != OK)
        return err;
    if (extent.size > EXTENT_MAX) {
        err = read_long(sealed, &uses[0], reader, out, error);
        give_reader(sealed->source, reader);
        return err;
    }
    err = read_extent(sealed, reader, &extent, error);
    if (err == OK)
        err = keep_page(sealed, &uses[0], extent.bytes, out, error);
    for (uint32_t i = 1; err == OK && i < count; i++) {
        struct cache_entry *ahead;
        struct error ignored; /* it will be met again by who needs the page */
        if (keep_page(sealed, &uses[i], extent.bytes + (uses[i].page->offset - first->offset),
                      &ahead, &ignored) == OK)
            cache_entry_unref(ahead);
    }
    give_reader(sealed->source, reader);
    return err;
}

static struct cache_entry *find_page(struct sealed *sealed, const struct sealed_page *page)
{
    return cache_find(sealed->source->cache, sealed->info.number, page->ordinal);
}

static void count_pages(struct scan_counts *counts, const struct page_use *uses, uint32_t count)
{
    counts->pages_read += count;
    for (uint32_t i = 0; i < count; i++)
        counts->bytes_read += uses[i].page->size;
}

enum err source_read_block(const struct source_block *which, struct scan_counts *counts,
                           struct cache_entry **out, struct error *error)
{
    struct page_use uses[AHEAD_PAGES_MAX];
    uses[0] = (struct page_use){.kind = CACHE_BLOCK,
                                .page = &which->column->blocks[which->block].page,
                                .column = which->column,
                                .zone = &which->column->blocks[which->block].zone,
                                .row_count = block_rows(which->sealed, which->block),
                                .pauser = which->pauser};
    *out = find_page(which->sealed, uses[0].page);
    if (*out != NULL)
        return OK;
    uint32_t count = plan_ahead(which, uses);
    count_pages(counts, uses, count);
    return read_pages(which->sealed, uses, count, out, error);
}

static enum err read_one(struct sealed *sealed, const struct page_use *use,
                         struct scan_counts *counts, struct cache_entry **out, struct error *error)
{
    *out = find_page(sealed, use->page);
    if (*out != NULL)
        return OK;
    count_pages(counts, use, 1);
    return read_pages(sealed, use, 1, out, error);
}

enum err source_read_dictionary(struct sealed *sealed, const struct sealed_column *column,
                                struct pauser *pauser, struct scan_counts *counts,
                                struct cache_entry **out, struct error *error)
{
    struct page_use use = {
        .kind = CACHE_DICTIONARY, .page = &column->dictionary, .column = column, .pauser = pauser};
    return read_one(sealed, &use, counts, out, error);
}

enum err source_read_index(struct sealed *sealed, const struct sealed_column *column,
                           struct scan_counts *counts, struct cache_entry **out,
                           struct error *error)
{
    struct page_use use = {.kind = CACHE_INDEX,
                           .page = &column->index,
                           .column = column,
                           .row_count = sealed->info.row_count};
    return read_one(sealed, &use, counts, out, error);
}
