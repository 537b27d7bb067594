/* The roles of a store: in memory for whoever asks, in the file `users` for good.
 *
 *   change: lock `users.lock` ─▶ read the file ─▶ change ─▶ temporary file, sync, rename, sync
 *           ─▶ hold in memory ─▶ unlock
 *
 * Server and command line change the roles in the same way, each in its own process: the lock file
 * puts them in line, and a server looks every 100 ms whether the file has become another one (its
 * number, size and time). A file that cannot be read changes nothing: the roles read last hold, and
 * the log says why.
 *
 * A store whose file cannot be read at its start does not open: without its users it would be a
 * store that everybody may write to. */
#include "server/access/private.h"

#include "server/access/crypto.h"
#include "storage/base/logger.h"
#include "storage/io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#define FILE_NAME "users"
#define LOCK_NAME "users.lock"
#define FILE_SIZE_MAX ((uint64_t)64 << 20)

static bool path_of(const struct access *access, const char *name, char out[PATH_MAX])
{
    int size = snprintf(out, PATH_MAX, "%s/%s", access->directory, name);
    return size > 0 && size < PATH_MAX;
}

/* --- reading --- */

/* False: there is no file. */
static bool look(const struct access *access, struct stat *out)
{
    char path[PATH_MAX];
    return path_of(access, FILE_NAME, path) && stat(path, out) == 0;
}

static bool is_as_read(const struct access *access, const struct stat *status)
{
    return access->file_number == (uint64_t)status->st_ino &&
           access->file_size == (uint64_t)status->st_size &&
           access->written_at.tv_sec == status->st_mtim.tv_sec &&
           access->written_at.tv_nsec == status->st_mtim.tv_nsec;
}

static enum err read_roles(const struct access *access, struct role_set *out, struct error *error)
{
    struct io *io;
    struct arena arena;
    struct slice bytes;
    enum err result = io_open("plain", access->directory, &io, error);
    if (result != OK)
        return result;
    arena_init(&arena);
    result = io_read_file(io, FILE_NAME, &arena, &bytes, error);
    if (result == OK)
        result = role_set_decode(bytes, out, error);
    arena_deinit(&arena);
    io->ops->destroy(io);
    return result;
}

/* Takes the set over; what it was read from is `status`, NULL: nothing. */
static void hold(struct access *access, struct role_set *set, const struct stat *status)
{
    mutex_lock(&access->mutex);
    role_set_deinit(&access->roles);
    access->roles = *set;
    access->file_number = status == NULL ? 0 : (uint64_t)status->st_ino;
    access->file_size = status == NULL ? 0 : (uint64_t)status->st_size;
    access->written_at = status == NULL ? (struct timespec){0} : status->st_mtim;
    access->is_unread = false;
    crypto_wipe(access->seen, sizeof(access->seen));
    /* Once there were users, a running server is never open again: whoever drops the last one shuts
     * it for all. */
    if (access->roles.count > 0)
        atomic_store_explicit(&access->has_users, true, memory_order_relaxed);
    atomic_fetch_add_explicit(&access->version, 1, memory_order_release);
    mutex_unlock(&access->mutex);
    *set = (struct role_set){0};
}

static enum err read_new(struct access *access, struct role_set *set, struct stat *status,
                         struct error *error)
{
    if (status->st_size < 0 || (uint64_t)status->st_size > FILE_SIZE_MAX)
        return error_set(error, ERR_CORRUPT, NULL, "the file of the users is too large");
    return read_roles(access, set, error);
}

enum err access_open(const char *directory, struct access **out, struct error *error)
{
    struct access *access = memory_alloc_zero(sizeof(*access));
    size_t size = strlen(directory) + 1;
    uint64_t seeds[2];
    atomic_init(&access->version, 1);
    access->directory = memcpy(memory_alloc(size), directory, size);
    mutex_init(&access->mutex);
    crypto_random(access->seen_key, sizeof(access->seen_key));
    crypto_random(seeds, sizeof(seeds));
    attempts_init(&access->addresses, seeds[0]);
    attempts_init(&access->users, seeds[1]);
    struct stat status;
    struct role_set set;
    if (look(access, &status)) {
        enum err result = read_new(access, &set, &status, error);
        if (result != OK) {
            access_close(access);
            return result;
        }
        hold(access, &set, &status);
    } else if (errno != ENOENT) {
        int number = errno;
        access_close(access);
        return error_set(error, ERR_IO, NULL, "cannot look at the users of %.200s: %s", directory,
                         strerror(number));
    }
    *out = access;
    return OK;
}

void access_close(struct access *access)
{
    if (access == NULL)
        return;
    role_set_deinit(&access->roles);
    mutex_deinit(&access->mutex);
    memory_free(access->directory);
    crypto_wipe(access, sizeof(*access));
    memory_free(access);
}

bool access_has_users(struct access *access)
{
    return atomic_load_explicit(&access->has_users, memory_order_relaxed);
}

/* A damaged file stays so until there is another one. What else keeps it from being read (no
 * descriptor left) passes: the next time it is tried again, or who was dropped would stay in. Said
 * once, not every time. */
static void refresh_failed(struct access *access, const struct stat *status, enum err result,
                           const struct error *error)
{
    mutex_lock(&access->mutex);
    bool is_damaged = result == ERR_CORRUPT, is_told = access->is_unread && !is_damaged;
    access->is_unread = true;
    if (is_damaged) {
        access->file_number = (uint64_t)status->st_ino;
        access->file_size = (uint64_t)status->st_size;
        access->written_at = status->st_mtim;
    }
    mutex_unlock(&access->mutex);
    if (!is_told)
        logger_write(LOG_ERROR, "the users were not read again reason=\"%s\"", error->text);
}

void access_refresh(struct access *access)
{
    struct stat status;
    struct role_set set;
    struct error error;
    mutex_lock(&access->mutex);
    bool is_new = look(access, &status) && !is_as_read(access, &status);
    mutex_unlock(&access->mutex);
    if (!is_new)
        return;
    enum err result = read_new(access, &set, &status, &error);
    if (result != OK) {
        refresh_failed(access, &status, result, &error);
        return;
    }
    logger_write(LOG_INFO, "users read roles=%zu", set.count);
    hold(access, &set, &status);
}

/* --- changing --- */

static enum err lock_file(const struct access *access, int *fd, struct error *error)
{
    char path[PATH_MAX];
    *fd = -1;
    if (path_of(access, LOCK_NAME, path))
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    while (*fd >= 0 && flock(*fd, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        close(*fd);
        *fd = -1;
    }
    return *fd >= 0 ? OK
                    : error_set(error, ERR_IO, NULL, "cannot lock the users of %.200s: %s",
                                access->directory, strerror(errno));
}

static enum err write_roles(struct access *access, const struct role_set *set, struct error *error)
{
    struct io *io;
    struct writer bytes;
    enum err result = io_open("plain", access->directory, &io, error);
    if (result != OK)
        return result;
    writer_init(&bytes);
    role_set_encode(set, &bytes);
    result = bytes.size > FILE_SIZE_MAX
                 ? error_set(error, ERR_LIMIT, "54000", "the roles have too many rights")
                 : io_replace_file(io, FILE_NAME, writer_as_slice(&bytes), error);
    writer_deinit(&bytes);
    io->ops->destroy(io);
    return result;
}

static enum err change_locked(struct access *access,
                              enum err (*change)(void *context, struct role_set *set,
                                                 struct error *error),
                              void *context, struct error *error)
{
    struct stat status;
    struct role_set set;
    bool is_there = look(access, &status);
    enum err result = OK;
    if (is_there)
        result = read_new(access, &set, &status, error);
    else
        role_set_init(&set);
    if (result != OK)
        return result;
    result = change(context, &set, error);
    if (result == OK)
        result = write_roles(access, &set, error);
    if (result == OK)
        hold(access, &set, look(access, &status) ? &status : NULL);
    role_set_deinit(&set);
    return result;
}

enum err access_change(struct access *access,
                       enum err (*change)(void *context, struct role_set *set, struct error *error),
                       void *context, struct error *error)
{
    int fd;
    enum err result = lock_file(access, &fd, error);
    if (result != OK)
        return result;
    result = change_locked(access, change, context, error);
    close(fd);
    return result;
}

void access_each(struct access *access, void (*visit)(void *context, const struct role *role),
                 void *context)
{
    mutex_lock(&access->mutex);
    for (size_t i = 0; i < access->roles.count; i++)
        visit(context, &access->roles.roles[i]);
    mutex_unlock(&access->mutex);
}
