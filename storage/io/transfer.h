/* What the back ends share: turning raw results of a write and its sync into an answer. Private to
 * storage/io.
 *
 * A back end submits a write (with a sync linked behind it, or carried by it) and later reaps two
 * numbers in the manner of completion entries: bytes or -errno. Everything that may be got wrong
 * about them is in transfer.c, so that the simulated disk exercises the very code that runs on the
 * real one. */
#ifndef FRESHET_STORAGE_IO_TRANSFER_H
#define FRESHET_STORAGE_IO_TRANSFER_H

#include "storage/io/io.h"

struct transfer_result {
    int64_t written; /* bytes, or -errno */
    int64_t synced;  /* 0, or -errno; -ECANCELED where the write before it was short or failed */
};

struct transfer_ops {
    void (*submit)(struct io_file *file, const struct io_write_options *write);
    void (*reap)(struct io_file *file, struct transfer_result *result);
    bool takes_parts; /* else it is given one part at a time, without the sync but for the last */
};

/* The one write a file may have under way. */
struct transfer {
    struct io_write_options left;
    bool is_pending;
};

void transfer_begin(struct transfer *transfer, const struct transfer_ops *ops, struct io_file *file,
                    const struct io_write_options *write);
MUST_CHECK enum err transfer_wait(struct transfer *transfer, const struct transfer_ops *ops,
                                  struct io_file *file, const char *name, struct error *error);

/* ERR_SPACE for a full disk, ERR_NOT_FOUND, ERR_EXISTS, else ERR_IO; text "cannot <verb> <name>:
 * <reason>". */
enum err transfer_error(struct error *error, int os_error, const char *verb, const char *name);

#endif
