/* Names, directories, sizes and locks by system calls, for both real back ends. See posix.h.
 *
 * Every path is relative to one directory descriptor, so the data directory may be moved under a
 * running process and no name can lead out of it by way of the working directory. Descriptors are
 * close-on-exec and never 0 to 2: a stray message on standard error must not land in a data file.
 */
#include "storage/io/posix.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOCK_NAME "lock"

static struct posix_io *posix_of(struct io *io)
{
    return (struct posix_io *)io;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(memory_alloc(size), text, size);
}

static int keep_off_standard_streams(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int saved = errno;
    close(fd);
    errno = saved;
    return moved;
}

enum err posix_io_init(struct posix_io *posix, const char *path, struct error *error)
{
    posix->lock_fd = -1;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return transfer_error(error, errno, "make directory", path);
    posix->directory_fd = keep_off_standard_streams(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (posix->directory_fd < 0)
        return transfer_error(error, errno, "open directory", path);
    posix->path = copy_text(path);
    return OK;
}

void posix_io_deinit(struct posix_io *posix)
{
    if (posix->lock_fd >= 0)
        close(posix->lock_fd);
    close(posix->directory_fd);
    memory_free(posix->path);
}

void posix_check_aligned(const struct posix_file *file, const void *data, size_t size,
                         uint64_t offset)
{
    if (!file->is_direct)
        return;
    assert((uintptr_t)data % IO_ALIGNMENT == 0);
    assert(size % IO_ALIGNMENT == 0);
    assert(offset % IO_ALIGNMENT == 0);
}

enum err posix_open(struct io *io, const char *name, int flags, struct io_file **out,
                    struct error *error)
{
    int mode = O_CLOEXEC | (flags & (IO_WRITE | IO_CREATE) ? O_RDWR : O_RDONLY);
    if (flags & IO_CREATE)
        mode |= O_CREAT | O_EXCL;
    int direct = flags & IO_DIRECT ? O_DIRECT : 0;
    int directory_fd = posix_of(io)->directory_fd;
    int fd = openat(directory_fd, name, mode | direct, 0600);
    if (fd < 0 && errno == EINVAL &&
        direct != 0) { /* no O_DIRECT here; the name may be made already */
        fd = openat(directory_fd, name, mode & ~O_EXCL, 0600);
    }
    fd = keep_off_standard_streams(fd);
    if (fd < 0)
        return transfer_error(error, errno, "open", name);
    struct posix_file *file = memory_alloc_zero(sizeof(*file));
    file->file.io = io;
    file->fd = fd;
    file->is_direct = direct != 0;
    file->name = copy_text(name);
    *out = &file->file;
    return OK;
}

enum err posix_close(struct io_file *io_file, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    enum err result = OK;
    assert(!file->transfer.is_pending);
    assert(!file->reading.is_pending);
    if (!file->is_shared) {
        if (close(file->fd) != 0 && errno != EINTR)
            result = transfer_error(error, errno, "close", file->name);
        memory_free(file->name);
    }
    memory_free(file);
    return result;
}

struct io_file *posix_share(struct io *io, struct io_file *io_file)
{
    const struct posix_file *file = (const struct posix_file *)io_file;
    assert(io->ops == io_file->io->ops);
    struct posix_file *shared = memory_alloc_zero(sizeof(*shared));
    shared->file.io = io;
    shared->fd = file->fd;
    shared->is_direct = file->is_direct;
    shared->is_shared = true;
    shared->name = file->name;
    return &shared->file;
}

enum err posix_size(struct io_file *io_file, uint64_t *size, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return transfer_error(error, errno, "look at", file->name);
    *size = (uint64_t)status.st_size;
    return OK;
}

enum err posix_truncate(struct io_file *io_file, uint64_t size, struct error *error)
{
    struct posix_file *file = (struct posix_file *)io_file;
    if (ftruncate(file->fd, (off_t)size) != 0)
        return transfer_error(error, errno, "truncate", file->name);
    file->has_unsynced = true;
    return OK;
}

enum err posix_rename(struct io *io, const char *from, const char *to, struct error *error)
{
    int fd = posix_of(io)->directory_fd;
    if (renameat(fd, from, fd, to) != 0)
        return transfer_error(error, errno, "rename", from);
    return OK;
}

enum err posix_unlink(struct io *io, const char *name, struct error *error)
{
    if (unlinkat(posix_of(io)->directory_fd, name, 0) != 0)
        return transfer_error(error, errno, "remove", name);
    return OK;
}

enum err posix_mkdir(struct io *io, const char *name, struct error *error)
{
    if (mkdirat(posix_of(io)->directory_fd, name, 0700) != 0 && errno != EEXIST)
        return transfer_error(error, errno, "make directory", name);
    return OK;
}

enum err posix_sync_directory(struct io *io, const char *name, struct error *error)
{
    const char *path = name[0] == '\0' ? "." : name;
    int fd = keep_off_standard_streams(
        openat(posix_of(io)->directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return transfer_error(error, errno, "open directory", path);
    enum err result = OK;
    if (fsync(fd) != 0)
        result = transfer_error(error, errno, "sync directory", path);
    close(fd);
    return result;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum err posix_list(struct io *io, const char *directory,
                    void (*each)(void *context, const char *name), void *context,
                    struct error *error)
{
    const char *path = directory[0] == '\0' ? "." : directory;
    int fd = keep_off_standard_streams(
        openat(posix_of(io)->directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (stream == NULL) {
        int os_error = errno;
        if (fd >= 0)
            close(fd);
        return transfer_error(error, os_error, "list", path);
    }
    char **names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    errno = 0;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (count == capacity) {
            capacity = capacity * 2 + 16;
            names = memory_realloc(names, capacity * sizeof(*names));
        }
        names[count++] = copy_text(entry->d_name);
    }
    enum err result = errno == 0 ? OK : transfer_error(error, errno, "list", path);
    closedir(stream);
    if (count > 1)
        qsort(names, count, sizeof(*names), compare_names);
    for (size_t index = 0; index < count; index++) {
        if (result == OK)
            each(context, names[index]);
        memory_free(names[index]);
    }
    memory_free(names);
    return result;
}

enum err posix_space(struct io *io, uint64_t *free_bytes, uint64_t *total_bytes,
                     struct error *error)
{
    struct statvfs status;
    if (fstatvfs(posix_of(io)->directory_fd, &status) != 0)
        return transfer_error(error, errno, "look at", posix_of(io)->path);
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
    *total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    return OK;
}

/* Takes the lock of the open file, which is closed if somebody has it. */
static enum err take_lock(struct posix_io *posix, int fd, struct error *error)
{
    assert(posix->lock_fd < 0);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        posix->lock_fd = fd;
        return OK;
    }
    int os_error = errno;
    char holder[32] = "";
    ssize_t got = read(fd, holder, sizeof(holder) - 1);
    close(fd);
    if (os_error != EWOULDBLOCK)
        return transfer_error(error, os_error, "lock", posix->path);
    return error_set(error, ERR_BUSY, NULL, "another process%s%.*s holds the data directory %s",
                     got > 0 ? ", id " : "", got > 0 ? (int)strcspn(holder, "\n") : 0, holder,
                     posix->path);
}

enum err posix_lock_to_look(struct io *io, struct error *error)
{
    struct posix_io *posix = posix_of(io);
    int fd =
        keep_off_standard_streams(openat(posix->directory_fd, LOCK_NAME, O_RDONLY | O_CLOEXEC));
    if (fd < 0 && errno == ENOENT)
        return OK;
    if (fd < 0)
        return transfer_error(error, errno, "open", LOCK_NAME);
    return take_lock(posix, fd, error);
}

enum err posix_lock(struct io *io, struct error *error)
{
    struct posix_io *posix = posix_of(io);
    int fd = keep_off_standard_streams(
        openat(posix->directory_fd, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0)
        return transfer_error(error, errno, "open", LOCK_NAME);
    enum err err = take_lock(posix, fd, error);
    if (err != OK)
        return err;
    /* Who holds it is for people only; the lock is the kernel's. */
    char text[32];
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, text, (size_t)size) != size) {
        int os_error = errno;
        close(fd);
        posix->lock_fd = -1;
        return transfer_error(error, os_error, "write", LOCK_NAME);
    }
    return OK;
}

void *posix_buffer_alloc(struct io *io, size_t size)
{
    (void)io;
    size_t rounded = (size + IO_ALIGNMENT - 1) / IO_ALIGNMENT * IO_ALIGNMENT;
    if (rounded % MEMORY_HUGE_SIZE == 0) /* the disk takes it as one piece */
        return memset(memory_alloc_huge(rounded), 0, rounded);
    void *buffer = aligned_alloc(IO_ALIGNMENT, rounded);
    if (buffer == NULL)
        abort();
    return memset(buffer, 0, rounded);
}

void posix_buffer_free(struct io *io, void *buffer)
{
    (void)io;
    free(buffer);
}
