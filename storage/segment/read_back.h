/* A new segment's file against what was written. Private to storage/segment. */
#ifndef FRESHET_STORAGE_SEGMENT_READ_BACK_H
#define FRESHET_STORAGE_SEGMENT_READ_BACK_H

#include "storage/segment/footer.h"
#include "storage/segment/sealed.h"

struct read_back_options {
    struct io *io; /* the caller's thread's own */
    const char *directory;
    const struct sealed_footer *footer; /* as it was written */
    const struct sealed_info *info;
    struct pauser *pauser;
    char *buffer; /* READ_BACK_SIZE bytes at a whole block */
};
#define READ_BACK_SIZE ((size_t)2 << 20) /* read at once */

/* Reads the finished file past the page cache and compares the checksums of all its pages.
 * ERR_CORRUPT: the disk does not hold what was written; ERR_CANCELLED: the pauser says so. After an
 * error the file is gone. */
MUST_CHECK enum err read_back(const struct read_back_options *options, struct error *error);

#endif
