/* Files and directories by system calls: all of the plain back end, and what the ring leaves to
 * system calls (names, directories, sizes, locks). Private to storage/io. */
#ifndef FRESHET_STORAGE_IO_POSIX_H
#define FRESHET_STORAGE_IO_POSIX_H

#include "storage/io/transfer.h"

struct posix_io {
    struct io io;
    int directory_fd;
    int lock_fd; /* -1: not locked by us */
    char *path;
};

/* A read under way: what is still asked for, and what came. */
struct posix_read {
    char *data;
    size_t size;
    uint64_t offset;
    size_t total;
    int refusal; /* of the ring itself, or plain: the errno of the read that was done in begin */
    bool is_pending;
};

struct posix_file {
    struct io_file file;
    int fd;
    bool is_direct; /* asked for: alignment is checked even where the file system has no O_DIRECT */
    bool has_unsynced; /* writes since the last sync */
    bool is_shared;    /* descriptor and name are another handle's */
    struct transfer transfer;
    struct transfer_result result; /* plain: of the write that was done in submit */
    struct posix_read reading;
    char *name;
};

/* Opens (and makes) the directory. */
MUST_CHECK enum err posix_io_init(struct posix_io *posix, const char *path, struct error *error);
void posix_io_deinit(struct posix_io *posix);
void posix_check_aligned(const struct posix_file *file, const void *data, size_t size,
                         uint64_t offset);

/* Operations of struct io_ops: storage/io/io.h says what they do. */
enum err posix_open(struct io *io, const char *name, int flags, struct io_file **out,
                    struct error *error);
enum err posix_close(struct io_file *file, struct error *error);
struct io_file *posix_share(struct io *io, struct io_file *file);
enum err posix_size(struct io_file *file, uint64_t *size, struct error *error);
enum err posix_truncate(struct io_file *file, uint64_t size, struct error *error);
enum err posix_rename(struct io *io, const char *from, const char *to, struct error *error);
enum err posix_unlink(struct io *io, const char *name, struct error *error);
enum err posix_mkdir(struct io *io, const char *name, struct error *error);
enum err posix_sync_directory(struct io *io, const char *name, struct error *error);
enum err posix_list(struct io *io, const char *directory,
                    void (*each)(void *context, const char *name), void *context,
                    struct error *error);
enum err posix_space(struct io *io, uint64_t *free_bytes, uint64_t *total_bytes,
                     struct error *error);
enum err posix_lock(struct io *io, struct error *error);
enum err posix_lock_to_look(struct io *io, struct error *error);
void *posix_buffer_alloc(struct io *io, size_t size);
void posix_buffer_free(struct io *io, void *buffer);

/* The two real back ends. */
MUST_CHECK enum err plain_open(const char *path, struct io **out, struct error *error);
MUST_CHECK enum err ring_open(const char *path, struct io **out, struct error *error);

#endif
