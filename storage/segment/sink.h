/* A segment's file under construction: bytes one behind the other, past the page cache. Private to
 * storage/segment. */
#ifndef FRESHET_STORAGE_SEGMENT_SINK_H
#define FRESHET_STORAGE_SEGMENT_SINK_H

#include "storage/segment/footer.h"
#include "storage/segment/sealed.h"

/* Where the file stood at a page's begin, to get back to it. */
struct sink_mark {
    uint64_t base_offset; /* `offset` then */
    uint64_t offset;      /* in the file, of `saved` */
    size_t saved_size;
    size_t size; /* of `bytes` then */
    char saved[2 * IO_ALIGNMENT];
};

struct sink {
    struct io *io;
    struct io_file *file;
    char path[SEALED_PATH_SIZE];
    /* What is not written yet. Its head and data together begin at `offset` of the file, so that
     * blocks of this memory are blocks of the file. */
    struct writer bytes;
    uint64_t offset;
    size_t done;       /* of head and data, while sink_step takes them away */
    bool is_longer;    /* perhaps: a page was begun anew after some of it had been written */
    char *first_block; /* held back: the header is known last */
    struct sink_mark mark;
    enum err err; /* sticky */
    struct error error;
};

#define SINK_MEMORY (((size_t)4 << 20) + IO_ALIGNMENT)

/* Makes the file (an unfinished one of that name goes) and leaves room for the header. `memory` of
 * SINK_MEMORY bytes at a whole block is used until sink_finish or sink_abandon. */
MUST_CHECK enum err sink_open(struct sink *sink, struct io *io, const char *directory,
                              uint64_t number, void *memory, struct error *error);
uint64_t sink_offset(const struct sink *sink); /* where the next byte goes */
/* Zeros up to where a page may begin, and remembers the place. What follows is appended to
 * `bytes`. */
void sink_begin_page(struct sink *sink);
/* Back to where the page began, whatever of it was written. */
void sink_restart_page(struct sink *sink);
/* Writes a step of what stands in `bytes`, once that is worth it. False: nothing was left to
 * write. To be called until then before anything is appended. */
bool sink_step(struct sink *sink);
/* Zeros up to a whole block, the header, synced, the directory synced; closed. *size: the file's.
 * After an error the file is gone. */
MUST_CHECK enum err sink_finish(struct sink *sink, const char *directory,
                                const struct sealed_header *header, uint64_t *size,
                                struct error *error);
void sink_abandon(struct sink *sink); /* the file goes */

#endif
