/* Reading pages of sealed segments: open files, io handles, buffers, cache. Private to
 * storage/segment. */
#ifndef FRESHET_STORAGE_SEGMENT_SOURCE_H
#define FRESHET_STORAGE_SEGMENT_SOURCE_H

#include "storage/base/thread.h"
#include "storage/segment/cache.h"
#include "storage/segment/filter.h"
#include "storage/segment/footer.h"
#include "storage/segment/sealed.h"

/* The open file of a segment; under the source's lock. */
struct source_file {
    struct io_file *file;                /* NULL: closed */
    uint32_t user_count;                 /* reads under way: it is not closed then */
    struct source_file *next, *previous; /* circle of the open ones, used longest ago first */
};

/* A footer with its memory. */
struct sealed_contents {
    struct arena arena;
    struct sealed_footer footer;
    uint64_t dictionary_id; /* of column 0; that of column i is i more */
};

struct sealed {
    _Atomic uint32_t references;
    struct sealed_source *source;
    struct sealed_info info;
    _Atomic bool is_discarded; /* relaxed: the last unref orders it */
    _Atomic bool is_damaged;   /* relaxed: a hint to upkeep; the next as well */
    _Atomic bool is_unreadable;
    _Atomic uint32_t failed_reads; /* relaxed, as they are */
    uint32_t reads_before;         /* upkeep's: of them, when it began to write it anew */
    uint32_t failed_rewrites;
    /* NULL until it has been read; release by who read it, acquire by who uses it. */
    _Atomic(struct sealed_contents *) contents;
    struct source_file file;
    struct cache_anchor anchor; /* under the cache's lock */
};

/* From now on sealed_is_damaged(); the first time it is counted and logged. Any thread. */
void sealed_note_damage(struct sealed *sealed, const char *text);
/* A read failed, which may pass: sealed_is_unreadable() until the next one that does not. */
void sealed_note_unreadable(struct sealed *sealed, const char *text);
void sealed_note_read(struct sealed *sealed);
/* The column of this id, NULL: the segment has none. */
const struct sealed_column *sealed_column_find(const struct sealed_footer *footer,
                                               uint32_t column_id);
/* Of a column of an open segment; never 0, and no other dictionary's. */
uint64_t sealed_dictionary_id(const struct sealed *sealed, const struct sealed_column *column);

/* Pages, checked and open, with a reference, from the cache or the file. What is read is added to
 * `counts`. ERR_CORRUPT, ERR_IO name file and offset; ERR_CANCELLED:
 * a pauser said so. Any thread. */
struct source_block {
    struct sealed *sealed; /* open */
    const struct sealed_column *column;
    uint32_t block;
    bool is_ahead; /* those behind it will be asked for: they may be read along */
    /* Not NULL: of who reads each page once, to write its rows anew. It is asked between pieces of
     * a long page, and what is read is not kept. */
    struct pauser *pauser;
};
MUST_CHECK enum err source_read_block(const struct source_block *which, struct scan_counts *counts,
                                      struct cache_entry **out, struct error *error);
MUST_CHECK enum err source_read_dictionary(struct sealed *sealed,
                                           const struct sealed_column *column,
                                           struct pauser *pauser, struct scan_counts *counts,
                                           struct cache_entry **out, struct error *error);
MUST_CHECK enum err source_read_index(struct sealed *sealed, const struct sealed_column *column,
                                      struct scan_counts *counts, struct cache_entry **out,
                                      struct error *error);
/* The footer's bytes, into `out` of info.footer_size. */
MUST_CHECK enum err source_read_footer(struct sealed *sealed, void *out, struct error *error);
uint64_t source_take_ids(struct sealed_source *source, uint32_t count);
/* The segment goes: its pages, its open file, and if it was discarded the file itself. */
void source_forget(struct sealed *sealed);
/* Bytes by which what is in use is more than the cache is for. */
size_t source_excess(const struct sealed *sealed);

#endif
