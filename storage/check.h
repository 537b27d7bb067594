/* Checking a store's directory while nobody has it open: every file it has, from its first byte to
 * its last, without changing one. */
#ifndef FRESHET_STORAGE_CHECK_H
#define FRESHET_STORAGE_CHECK_H

#include "storage/base/error.h"
#include "storage/io/io.h"

struct store_check_options {
    struct io *io;
    const char *directory; /* of the store, as in store_options */
    /* One line each. A problem: something that was acknowledged is lost or cannot be trusted. A
     * note: harmless, such as a file that a crash left and the next start removes. */
    void (*problem)(void *context, const char *text);
    void (*note)(void *context, const char *text);
    void *context;
};

struct store_check_result {
    uint32_t segments, checkpoints, log_files;
    uint64_t segment_bytes, segment_rows;
    uint64_t records, last_position; /* of the log */
    uint32_t problems, notes;
};

/* Takes the directory's lock, if it has one. What is wrong with files is told by `problem`; an
 * error returned means that the directory could not be looked at (ERR_BUSY: a server has it;
 * ERR_NOT_FOUND: it is no store's). */
MUST_CHECK enum err store_check(const struct store_check_options *options,
                                struct store_check_result *out, struct error *error);

#endif
