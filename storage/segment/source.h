/* Reading pages of sealed segments: open files, io handles, buffers, cache. Private to
 * storage/segment. */
#ifndef FRESHET_STORAGE_SEGMENT_SOURCE_H
#define FRESHET_STORAGE_SEGMENT_SOURCE_H

#include "storage/base/thread.h"
#include "storage/segment/cache.h"
#include "storage/segment/filter.h"
#include "storage/segment/footer.h"
#include "storage/segment/sealed.h"

/* An open file of a segment; under the source's lock. */
struct source_file {
    struct io_file *file;                /* NULL: closed */
    uint32_t user_count;                 /* reads under way: it is not closed then */
    struct source_file *next, *previous; /* open ones, the one used longest ago first */
};

struct sealed {
    _Atomic uint32_t references;
    struct sealed_source *source;
    struct sealed_info info;
    _Atomic bool is_discarded;
    /* NULL until it has been read; release by who read it, acquire by who uses it. */
    _Atomic(struct sealed_contents *) contents;
    struct source_file file;
    struct cache_anchor anchor; /* under the cache's lock */
};

/* A footer with its memory. */
struct sealed_contents {
    struct arena arena;
    struct sealed_footer footer;
    uint64_t dictionary_id; /* of column 0; column i has the i-th after it */
};

/* The column of this id, NULL: the segment has none. */
const struct sealed_column *sealed_column_find(const struct sealed_footer *footer,
                                               uint32_t column_id);

struct cache *source_cache(struct sealed_source *source);
void source_forget(struct sealed_source *source, struct sealed *sealed); /* closes its file */
void source_remove(struct sealed_source *source, uint64_t number);       /* the file */

#endif
