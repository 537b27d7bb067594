/* A segment's file under construction: bytes one behind the other, past the page cache. Private to
 * storage/segment. */
#ifndef FRESHET_STORAGE_SEGMENT_SINK_H
#define FRESHET_STORAGE_SEGMENT_SINK_H

#include "storage/segment/footer.h"
#include "storage/segment/sealed.h"

struct sink {
    struct io *io;
    struct io_file *file;
    char path[SEALED_PATH_SIZE];
    char *buffer; /* aligned */
    size_t used;
    uint64_t offset;   /* in the file, of the buffer */
    char *first_block; /* held back: the header is known last */
    enum err err;      /* sticky */
    struct error error;
};

/* Makes the file (an unfinished one of that name goes) and leaves room for the header. */
MUST_CHECK enum err sink_open(struct sink *sink, struct io *io, const char *directory,
                              uint64_t number, struct error *error);
uint64_t sink_offset(const struct sink *sink); /* where the next byte goes */
void sink_write(struct sink *sink, struct slice bytes);
void sink_align(struct sink *sink); /* zeros up to a page's alignment */
/* Zeros up to a whole block, the header, synced, the directory synced; closed. *size: the file's.
 * After an error the file is gone. */
MUST_CHECK enum err sink_finish(struct sink *sink, const char *directory,
                                const struct sealed_header *header, uint64_t *size,
                                struct error *error);
void sink_abandon(struct sink *sink); /* the file goes */

#endif
