/* The io seam: the only door of storage/ and query/ to files, with three back ends.
 *
 *   io_open_uring  an io_uring of its own (SINGLE_ISSUER|DEFER_TASKRUN), data reads, writes and
 * syncs through it io_open_plain  pread, pwrite, fdatasync io_open_sim    storage/io/sim.h: a
 * simulated disk with seed and virtual clock
 *
 * Calls are made by one thread at a time per `struct io` unless said otherwise. Names are relative
 * to the directory given at open, one level of sub-directories, never from user input. */
#ifndef FRESHET_STORAGE_IO_IO_H
#define FRESHET_STORAGE_IO_IO_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/slice.h"

#include <stddef.h>
#include <stdint.h>

struct io;
struct io_file;

#define IO_ALIGNMENT ((size_t)4096) /* of buffers, offsets and lengths of direct files */

enum io_open_flags {
    IO_CREATE = 1, /* make it, ERR_EXISTS if it is there */
    IO_WRITE = 2,  /* else read-only */
    IO_DIRECT =
        4 /* past the page cache where the file system lets us; aligned access only, always */
};

struct io_part {
    const void *data;
    size_t size;
};
#define IO_PARTS_MAX 7

/* A write (and sync) under way: begun, then waited for, so that the caller can work in between. */
struct io_write_options {
    const void *data; /* direct files: aligned; a registered buffer if it lies in one */
    size_t size;
    /* What follows it in the file from elsewhere in memory, at most IO_PARTS_MAX, aligned as the
     * data are: one operation with it where the back end can. The array lives until the wait. */
    const struct io_part *parts;
    size_t part_count;
    uint64_t offset;
    bool sync; /* fdatasync after it, ordered behind it */
};

struct io_ops {
    enum err (*open)(struct io *, const char *name, int flags, struct io_file **out,
                     struct error *);
    enum err (*close)(struct io_file *, struct error *);
    /* A second handle of an open file, for reads through another io of the same kind and directory:
     * threads share one descriptor. To be closed before the file itself. */
    struct io_file *(*share)(struct io *, struct io_file *);
    enum err (*size)(struct io_file *, uint64_t *size, struct error *);
    enum err (*truncate)(struct io_file *, uint64_t size, struct error *);
    /* Reads until `size` bytes or the end of the file; *got says how many. Short reads are gone on
     * with. */
    enum err (*read)(struct io_file *, void *data, size_t size, uint64_t offset, size_t *got,
                     struct error *);
    /* The same, begun and then waited for, so that the caller can work in between; `data` is the
     * kernel's until then. One at a time per io, and no other read before the wait. The plain back
     * end reads at once. */
    void (*read_begin)(struct io_file *, void *data, size_t size, uint64_t offset);
    enum err (*read_wait)(struct io_file *, size_t *got, struct error *);
    enum err (*write_begin)(struct io_file *, const struct io_write_options *);
    /* Waits for the write begun last. Short writes are completed and synced anew inside; a failed
     * sync is final: ERR_IO or ERR_SPACE, and the file must be abandoned. */
    enum err (*write_wait)(struct io_file *, struct error *);
    enum err (*sync)(struct io_file *, struct error *);
    enum err (*rename)(struct io *, const char *from, const char *to, struct error *);
    enum err (*unlink)(struct io *, const char *name, struct error *);
    enum err (*mkdir)(struct io *, const char *name, struct error *); /* OK if it is there */
    /* Makes creates, renames and unlinks in a directory ("" is the root) durable. */
    enum err (*sync_directory)(struct io *, const char *name, struct error *);
    /* Names in a directory, sorted; each is given to `each`. */
    enum err (*list)(struct io *, const char *directory,
                     void (*each)(void *context, const char *name), void *context, struct error *);
    enum err (*space)(struct io *, uint64_t *free_bytes, uint64_t *total_bytes, struct error *);
    /* Exclusive lock on the directory for this process; ERR_BUSY if another holds it. */
    enum err (*lock)(struct io *, struct error *);
    /* The same for who only looks: nothing is made or written. OK where nobody ever took the lock.
     */
    enum err (*lock_to_look)(struct io *, struct error *);
    /* What io_clone, io_buffer_alloc and io_buffer_free do. */
    enum err (*clone)(struct io *, struct io **out, struct error *);
    void *(*buffer_alloc)(struct io *, size_t size);
    void (*buffer_free)(struct io *, void *buffer);
    void (*destroy)(struct io *);
};

struct io {
    const struct io_ops *ops;
    const char *name; /* "uring", "plain", "sim": freshet_io_backend */
};
struct io_file {
    struct io *io;
};

/* `kind`: "auto" (uring, else plain, one line logged), "uring", "plain". The directory is made
 * (0700) if missing. */
MUST_CHECK enum err io_open(const char *kind, const char *directory, struct io **out,
                            struct error *error);
/* A second io on the same directory and kind for another thread (rings are single-issuer). */
MUST_CHECK enum err io_clone(struct io *io, struct io **out, struct error *error);
/* The same for callers on changing threads, one at a time: never a ring. */
MUST_CHECK enum err io_clone_roaming(struct io *io, struct io **out, struct error *error);
/* Aligned memory for direct files; registered with the ring where that is allowed (at most 4 x 1
 * MiB). */
void *io_buffer_alloc(struct io *io, size_t size);
void io_buffer_free(struct io *io, void *buffer);

/* Whole-file helpers over the ops. */
MUST_CHECK enum err io_read_file(struct io *io, const char *name, struct arena *arena,
                                 struct slice *out, struct error *error);
/* temp name, write, sync, rename, sync directory: after OK the new content is there whatever
 * happens. */
MUST_CHECK enum err io_replace_file(struct io *io, const char *name, struct slice content,
                                    struct error *error);

/* Reads a time zone file for storage/base/datetime.h: install with
 * timezone_set_loader(io_load_timezone). */
enum err io_load_timezone(const char *name, uint8_t **data, size_t *size);

#endif
