/* The block cache: pages of sealed segments, opened and checked, under a limit of bytes.
 *
 * Entries are shared by count. The cache holds one reference to each of its entries; whoever uses
 * one holds another, and what is in use is not evicted, since that would free nothing. */
#ifndef FRESHET_STORAGE_SEGMENT_CACHE_H
#define FRESHET_STORAGE_SEGMENT_CACHE_H

#include "storage/column/column.h"
#include "storage/encoding/encoding.h"
#include "storage/index/bitmap.h"

#include <stdatomic.h>

enum cache_kind {
    CACHE_BLOCK,      /* a block of a column */
    CACHE_DICTIONARY, /* its texts */
    CACHE_INDEX       /* its bitmaps */
};

struct cache_entry {
    enum cache_kind kind;
    union {
        struct block block;
        struct {
            const struct slice *texts; /* sorted by bytes, distinct */
            uint32_t text_count;
            struct dictionary_notes notes; /* counted in the size before any is left */
        };
        struct bitmap_index index;
    };
    /* private */
    _Atomic uint32_t references;
    bool is_cached, is_recent;
    uint64_t number;
    uint32_t ordinal;
    size_t charge;                       /* bytes, with this struct; from cache_put on */
    void *data;                          /* the page's bytes, */
    size_t data_size;                    /* freed with the entry, */
    struct arena arena;                  /* and what else it points to */
    struct cache_entry *chain;           /* of the hash */
    struct cache_entry *next, *previous; /* the clock's circle */
    struct cache_entry *segment_next, **segment_link; /* of one segment */
};

/* One reference; room for `data_size` bytes in `data` (0: NULL), an empty arena. */
struct cache_entry *cache_entry_create(enum cache_kind kind, size_t data_size);
struct cache_entry *cache_entry_ref(struct cache_entry *entry);
void cache_entry_unref(struct cache_entry *entry);

/* Bytes of memory, with the struct. */
size_t cache_entry_size(const struct cache_entry *entry);

struct cache;
struct cache_anchor { /* in every segment: its entries */
    struct cache_entry *first;
};

struct cache *cache_create(size_t limit);
void cache_destroy(struct cache *cache); /* every anchor must be empty */
/* A page of a segment (its number, the page's ordinal), with a reference; NULL: not there. */
struct cache_entry *cache_find(struct cache *cache, uint64_t number, uint32_t ordinal);
/* The same without counting a hit or a miss and without a reference. */
bool cache_has(struct cache *cache, uint64_t number, uint32_t ordinal);
/* Puts an entry in place and evicts others. Should the page be there already, `entry` is freed.
 * Returns what is there, with a reference for the caller, who gave its own of `entry` away. */
struct cache_entry *cache_put(struct cache *cache, struct cache_anchor *anchor, uint64_t number,
                              uint32_t ordinal, struct cache_entry *entry);
/* Takes out all of a segment. */
void cache_drop(struct cache *cache, struct cache_anchor *anchor);

struct cache_status {
    size_t used, limit;
    uint64_t hits, misses, evictions;
};
void cache_status(struct cache *cache, struct cache_status *out);

#endif
