/* The operations of the simulated disk: see sim.h for what it models, sim_crash.c for crashes.
 *
 * A write reaches the cache when it is submitted and is looked at when it is reaped, and a sync
 * behind it happens then: so whatever the program does in between, it does with a write in flight.
 * Results go through transfer.c, the same code that judges those of the real ring. */
#include "storage/io/sim.h"

#include "storage/base/hash.h"
#include "storage/io/sim_private.h"
#include "storage/io/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANCE_ONE 65536

struct sim_io {
    struct io io;
    struct sim *sim;
    uint64_t generation;
    bool holds_lock;
};

struct sim_read {
    void *data;
    size_t size;
    uint64_t offset;
    bool is_pending;
};

struct sim_file {
    struct io_file file;
    struct sim_inode *inode;
    bool is_direct;
    struct transfer transfer;
    struct transfer_result result;
    bool is_sync_due;
    struct sim_read reading;
    char name[SIM_NAME_SIZE];
};

static struct sim *sim_of(struct io *io)
{
    return ((struct sim_io *)io)->sim;
}

static bool is_stale(struct io *io)
{
    return ((struct sim_io *)io)->generation != sim_of(io)->generation;
}

/* --- operations and faults --- */

static void trace(struct sim *sim, const char *what, const char *name, uint64_t a, uint64_t b)
{
    uint64_t name_hash = hash64_seed(name, strlen(name), (uint64_t)(unsigned char)what[0]);
    sim->trace =
        hash_mix(sim->trace ^ name_hash ^ hash_mix(a + 1) ^ hash_mix(b + 0x9e3779b97f4a7c15ULL));
}

/* One operation begins: false if the machine is off. */
static bool begin_operation(struct io *io, const char *verb, const char *name)
{
    struct sim *sim = sim_of(io);
    if (is_stale(io))
        return false;
    sim->operation.verb = verb;
    snprintf(sim->operation.name, sizeof(sim->operation.name), "%s", name);
    if (sim->watch != NULL && !sim->is_crashed)
        sim->watch(sim->watch_context);
    sim->operation_count++;
    sim->now_us += 1 + (int64_t)random_below(&sim->chance, 200);
    if (sim->crash_at != 0 && sim->operation_count >= sim->crash_at)
        sim->is_crashed = true;
    return !sim->is_crashed;
}

static bool happens(struct sim *sim, uint32_t chance)
{
    return chance > 0 && random_below(&sim->chance, CHANCE_ONE) < chance;
}

static enum sim_fault planned_fault(const struct sim *sim)
{
    bool is_due = sim->operation_count == sim->fail_at ||
                  (sim->is_failing_for_ever && sim->operation_count > sim->fail_at);
    return sim->fail_at != 0 && is_due ? sim->fail_kind : SIM_FAULT_NONE;
}

static enum err off(struct error *error, const char *verb, const char *name)
{
    return transfer_error(error, EIO, verb, name);
}

/* Creates, renames, unlinks, directory syncs: begins one; OK if it may be done. */
static enum err begin_name_operation(struct io *io, const char *verb, const char *name,
                                     struct error *error)
{
    struct sim *sim = sim_of(io);
    if (!begin_operation(io, verb, name))
        return off(error, verb, name);
    trace(sim, verb, name, 0, 0);
    enum sim_fault fault = planned_fault(sim);
    if (fault == SIM_FAULT_SPACE)
        return transfer_error(error, ENOSPC, verb, name);
    if (fault == SIM_FAULT_ERROR || happens(sim, sim->faults.name_error))
        return transfer_error(error, EIO, verb, name);
    return OK;
}

/* --- files --- */

static enum err sim_file_open(struct io *io, const char *name, int flags, struct io_file **out,
                              struct error *error)
{
    struct sim *sim = sim_of(io);
    if (is_stale(io) || sim->is_crashed)
        return off(error, "open", name);
    struct sim_name *found = sim_names_find(&sim->cache, name);
    if (found != NULL && (flags & IO_CREATE))
        return transfer_error(error, EEXIST, "open", name);
    if (found == NULL && !(flags & IO_CREATE))
        return transfer_error(error, ENOENT, "open", name);
    if (found == NULL) {
        enum err result = begin_name_operation(io, "create", name, error);
        if (result != OK)
            return result;
        struct sim_inode *inode = memory_alloc_zero(sizeof(*inode));
        struct sim_name_op op = {.change = SIM_LINK, .inode = inode};
        snprintf(op.name, sizeof(op.name), "%s", name);
        sim_names_set(&sim->cache, name, inode);
        sim_push_op(sim, &op);
        found = sim_names_find(&sim->cache, name);
    }
    assert(found->inode != NULL);
    struct sim_file *file = memory_alloc_zero(sizeof(*file));
    file->file.io = io;
    file->inode = sim_inode_ref(found->inode);
    file->is_direct = (flags & IO_DIRECT) != 0;
    snprintf(file->name, sizeof(file->name), "%s", name);
    *out = &file->file;
    return OK;
}

static enum err sim_file_close(struct io_file *io_file, struct error *error)
{
    struct sim_file *file = (struct sim_file *)io_file;
    (void)error;
    assert(!file->reading.is_pending);
    sim_inode_unref(file->inode);
    memory_free(file);
    return OK;
}

static struct io_file *sim_file_share(struct io *io, struct io_file *io_file)
{
    const struct sim_file *file = (const struct sim_file *)io_file;
    struct sim_file *shared = memory_alloc_zero(sizeof(*shared));
    shared->file.io = io;
    shared->inode = sim_inode_ref(file->inode);
    shared->is_direct = file->is_direct;
    memcpy(shared->name, file->name, sizeof(shared->name));
    return &shared->file;
}

static enum err sim_file_size(struct io_file *io_file, uint64_t *size, struct error *error)
{
    struct sim_file *file = (struct sim_file *)io_file;
    if (is_stale(io_file->io) || sim_of(io_file->io)->is_crashed)
        return off(error, "look at", file->name);
    *size = file->inode->cache.size;
    return OK;
}

static enum err sim_file_truncate(struct io_file *io_file, uint64_t size, struct error *error)
{
    struct sim_file *file = (struct sim_file *)io_file;
    enum err result = begin_name_operation(io_file->io, "truncate", file->name, error);
    if (result != OK)
        return result;
    image_resize(&file->inode->cache, size);
    sim_inode_push(file->inode, &(struct sim_write){.offset = size});
    return OK;
}

static void check_aligned(const struct sim_file *file, const void *data, size_t size,
                          uint64_t offset)
{
    if (!file->is_direct)
        return;
    assert((uintptr_t)data % IO_ALIGNMENT == 0);
    assert(size % IO_ALIGNMENT == 0);
    assert(offset % IO_ALIGNMENT == 0);
}

static void sim_read_begin(struct io_file *io_file, void *data, size_t size, uint64_t offset)
{
    struct sim_file *file = (struct sim_file *)io_file;
    check_aligned(file, data, size, offset);
    assert(!file->reading.is_pending);
    file->reading =
        (struct sim_read){.data = data, .size = size, .offset = offset, .is_pending = true};
}

/* The bytes come here, at the last moment, as they are now: who looks before sees what lay there.
 */
static enum err sim_read_wait(struct io_file *io_file, size_t *got, struct error *error)
{
    struct sim_file *file = (struct sim_file *)io_file;
    struct sim *sim = sim_of(io_file->io);
    struct sim_read *reading = &file->reading;
    assert(reading->is_pending);
    reading->is_pending = false;
    if (is_stale(io_file->io) || sim->is_crashed || happens(sim, sim->faults.read_error) ||
        sim_inode_is_broken(file->inode, reading->offset, reading->size))
        return off(error, "read", file->name);
    *got = image_read(&file->inode->cache, reading->data, reading->size, reading->offset);
    return OK;
}

static enum err sim_file_read(struct io_file *io_file, void *data, size_t size, uint64_t offset,
                              size_t *got, struct error *error)
{
    sim_read_begin(io_file, data, size, offset);
    return sim_read_wait(io_file, got, error);
}

static void put_write(struct sim_file *file, const void *data, size_t size, uint64_t offset)
{
    struct sim_bytes *bytes = memory_alloc(sizeof(*bytes) + size);
    bytes->ref_count = 1;
    memcpy(bytes->data, data, size);
    image_write(&file->inode->cache, data, size, offset);
    sim_inode_push(file->inode,
                   &(struct sim_write){.bytes = bytes, .size = size, .offset = offset});
}

static uint64_t used_bytes(const struct sim *sim)
{
    uint64_t used = 0;
    for (size_t index = 0; index < sim->cache.count; index++)
        if (sim->cache.items[index].inode != NULL)
            used += sim->cache.items[index].inode->cache.size;
    return used;
}

static bool is_full(const struct sim *sim, const struct sim_file *file,
                    const struct io_write_options *write)
{
    uint64_t end = write->offset + write->size;
    uint64_t size = file->inode->cache.size;
    return sim->capacity != 0 && end > size && used_bytes(sim) + (end - size) > sim->capacity;
}

/* Some whole sectors from the front, not all. */
static size_t some_sectors(struct sim *sim, size_t size)
{
    return random_below(&sim->chance, (size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE) *
           SIM_SECTOR_SIZE;
}

static int64_t raw_write(struct sim_file *file, const struct io_write_options *write)
{
    struct sim *sim = sim_of(file->file.io);
    bool was_crashed = sim->is_crashed;
    if (!begin_operation(file->file.io, "write", file->name)) {
        if (!is_stale(file->file.io) && !was_crashed) /* the last thing that happened */
            put_write(file, write->data, write->size, write->offset);
        return -EIO;
    }
    trace(sim, "write", file->name, write->offset, write->size);
    enum sim_fault fault = planned_fault(sim);
    if (fault == SIM_FAULT_SPACE || is_full(sim, file, write) ||
        happens(sim, sim->faults.write_space))
        return -ENOSPC;
    size_t size = write->size;
    bool is_error = fault == SIM_FAULT_ERROR || happens(sim, sim->faults.write_error);
    if (is_error || fault == SIM_FAULT_SHORT || happens(sim, sim->faults.write_short))
        size = some_sectors(sim, size);
    if (size > 0)
        put_write(file, write->data, size, write->offset);
    return is_error ? -EIO : (int64_t)size;
}

/* A failed sync: part of it reached the disk, and the rest is forgotten. Readers through the page
 * cache still see it; direct ones see the disk. */
static void mark_clean(struct sim *sim, struct sim_inode *inode, bool is_direct)
{
    for (size_t index = 0; index < inode->write_count; index++) {
        const struct sim_write *write = &inode->writes[index];
        if (write->bytes == NULL)
            continue;
        size_t size = some_sectors(sim, write->size);
        if (size > 0)
            image_write(&inode->durable, write->bytes->data, size, write->offset);
    }
    sim_inode_drop_writes(inode);
    if (is_direct) {
        uint64_t size = inode->cache.size;
        image_deinit(&inode->cache);
        image_copy(&inode->cache, &inode->durable);
        image_resize(&inode->cache, size);
    }
}

static int64_t raw_sync(struct sim_file *file)
{
    struct sim *sim = sim_of(file->file.io);
    if (!begin_operation(file->file.io, "sync", file->name))
        return -EIO;
    trace(sim, "sync", file->name, file->inode->write_count, 0);
    enum sim_fault fault = planned_fault(sim);
    if (fault == SIM_FAULT_ERROR || fault == SIM_FAULT_SPACE ||
        happens(sim, sim->faults.sync_error)) {
        mark_clean(sim, file->inode, file->is_direct);
        return fault == SIM_FAULT_SPACE ? -ENOSPC : -EIO;
    }
    sim_inode_sync(file->inode);
    return 0;
}

static void sim_submit(struct io_file *io_file, const struct io_write_options *write)
{
    struct sim_file *file = (struct sim_file *)io_file;
    file->result.written = raw_write(file, write);
    file->result.synced = write->sync ? -ECANCELED : 0;
    file->is_sync_due = write->sync && file->result.written == (int64_t)write->size;
}

static void sim_reap(struct io_file *io_file, struct transfer_result *result)
{
    struct sim_file *file = (struct sim_file *)io_file;
    if (file->is_sync_due)
        file->result.synced = raw_sync(file);
    file->is_sync_due = false;
    *result = file->result;
}

static const struct transfer_ops sim_transfer_ops = {sim_submit, sim_reap, false};

static enum err sim_write_begin(struct io_file *io_file, const struct io_write_options *write)
{
    struct sim_file *file = (struct sim_file *)io_file;
    check_aligned(file, write->data, write->size, write->offset);
    transfer_begin(&file->transfer, &sim_transfer_ops, io_file, write);
    return OK;
}

static enum err sim_write_wait(struct io_file *io_file, struct error *error)
{
    struct sim_file *file = (struct sim_file *)io_file;
    return transfer_wait(&file->transfer, &sim_transfer_ops, io_file, file->name, error);
}

static enum err sim_file_sync(struct io_file *io_file, struct error *error)
{
    struct sim_file *file = (struct sim_file *)io_file;
    int64_t result = raw_sync(file);
    return result < 0 ? transfer_error(error, (int)-result, "sync", file->name) : OK;
}

/* --- names --- */

static enum err sim_rename(struct io *io, const char *from, const char *to, struct error *error)
{
    struct sim *sim = sim_of(io);
    enum err result = begin_name_operation(io, "rename", from, error);
    if (result != OK)
        return result;
    struct sim_name *found = sim_names_find(&sim->cache, from);
    if (found == NULL)
        return transfer_error(error, ENOENT, "rename", from);
    struct sim_name_op op = {.change = SIM_RENAME, .inode = found->inode};
    snprintf(op.name, sizeof(op.name), "%s", from);
    snprintf(op.target, sizeof(op.target), "%s", to);
    sim_push_op(sim, &op); /* holds the inode while the names change */
    sim_names_apply(&sim->cache, &op);
    return OK;
}

static enum err sim_unlink(struct io *io, const char *name, struct error *error)
{
    struct sim *sim = sim_of(io);
    if (!is_stale(io) && !sim->is_crashed && sim_names_find(&sim->cache, name) == NULL)
        return transfer_error(error, ENOENT, "remove", name);
    enum err result = begin_name_operation(io, "unlink", name, error);
    if (result != OK)
        return result;
    struct sim_name_op op = {.change = SIM_UNLINK};
    snprintf(op.name, sizeof(op.name), "%s", name);
    sim_push_op(sim, &op);
    sim_names_apply(&sim->cache, &op);
    return OK;
}

static enum err sim_mkdir(struct io *io, const char *name, struct error *error)
{
    struct sim *sim = sim_of(io);
    if (!is_stale(io) && !sim->is_crashed && sim_names_find(&sim->cache, name) != NULL)
        return OK;
    enum err result = begin_name_operation(io, "mkdir", name, error);
    if (result != OK)
        return result;
    struct sim_name_op op = {.change = SIM_LINK};
    snprintf(op.name, sizeof(op.name), "%s", name);
    sim_push_op(sim, &op);
    sim_names_apply(&sim->cache, &op);
    return OK;
}

static enum err sim_sync_directory(struct io *io, const char *name, struct error *error)
{
    struct sim *sim = sim_of(io);
    enum err result = begin_name_operation(io, "sync directory", name, error);
    if (result != OK)
        return result;
    for (size_t index = 0; index < sim->op_count;) {
        char directory[SIM_NAME_SIZE];
        sim_directory_of(sim->ops[index].name, directory);
        if (strcmp(directory, name) != 0) {
            index++;
            continue;
        }
        sim_names_apply(&sim->durable, &sim->ops[index]);
        sim_drop_op(sim, index);
    }
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp((const char *)a, (const char *)b);
}

static enum err sim_list(struct io *io, const char *directory,
                         void (*each)(void *context, const char *name), void *context,
                         struct error *error)
{
    struct sim *sim = sim_of(io);
    if (is_stale(io) || sim->is_crashed)
        return off(error, "list", directory);
    if (directory[0] != '\0' && sim_names_find(&sim->cache, directory) == NULL)
        return transfer_error(error, ENOENT, "list", directory);
    char(*names)[SIM_NAME_SIZE] = memory_alloc((sim->cache.count + 1) * sizeof(*names));
    size_t count = 0;
    for (size_t index = 0; index < sim->cache.count; index++) {
        const char *name = sim->cache.items[index].name;
        char of[SIM_NAME_SIZE];
        sim_directory_of(name, of);
        if (strcmp(of, directory) == 0)
            snprintf(names[count++], SIM_NAME_SIZE, "%s",
                     directory[0] == '\0' ? name : name + strlen(directory) + 1);
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t index = 0; index < count; index++)
        each(context, names[index]);
    memory_free(names);
    return OK;
}

static enum err sim_space(struct io *io, uint64_t *free_bytes, uint64_t *total_bytes,
                          struct error *error)
{
    struct sim *sim = sim_of(io);
    (void)error;
    uint64_t used = used_bytes(sim);
    *total_bytes = sim->capacity != 0 ? sim->capacity : (uint64_t)1 << 40;
    *free_bytes = *total_bytes > used ? *total_bytes - used : 0;
    return OK;
}

static enum err sim_lock(struct io *io, struct error *error)
{
    struct sim *sim = sim_of(io);
    if (is_stale(io) || sim->is_crashed)
        return off(error, "lock", "the disk");
    if (sim->is_locked)
        return error_set(error, ERR_BUSY, NULL, "another process holds the data directory");
    sim->is_locked = ((struct sim_io *)io)->holds_lock = true;
    return OK;
}

static enum err sim_clone(struct io *io, struct io **out, struct error *error)
{
    (void)error;
    sim_open(sim_of(io), out);
    return OK;
}

static void *sim_buffer_alloc(struct io *io, size_t size)
{
    (void)io;
    void *buffer =
        aligned_alloc(IO_ALIGNMENT, (size + IO_ALIGNMENT - 1) / IO_ALIGNMENT * IO_ALIGNMENT);
    if (buffer == NULL)
        abort();
    return buffer;
}

static void sim_buffer_free(struct io *io, void *buffer)
{
    (void)io;
    free(buffer);
}

static void sim_io_destroy(struct io *io)
{
    struct sim *sim = sim_of(io);
    if (((struct sim_io *)io)->holds_lock && !is_stale(io))
        sim->is_locked = false;
    sim->io_count--;
    memory_free(io);
}

static const struct io_ops sim_ops = {
    .open = sim_file_open,
    .close = sim_file_close,
    .share = sim_file_share,
    .size = sim_file_size,
    .truncate = sim_file_truncate,
    .read = sim_file_read,
    .read_begin = sim_read_begin,
    .read_wait = sim_read_wait,
    .write_begin = sim_write_begin,
    .write_wait = sim_write_wait,
    .sync = sim_file_sync,
    .rename = sim_rename,
    .unlink = sim_unlink,
    .mkdir = sim_mkdir,
    .sync_directory = sim_sync_directory,
    .list = sim_list,
    .space = sim_space,
    .lock = sim_lock,
    .lock_to_look = sim_lock,
    .clone = sim_clone,
    .buffer_alloc = sim_buffer_alloc,
    .buffer_free = sim_buffer_free,
    .destroy = sim_io_destroy,
};

/* --- the disk as a whole --- */

struct sim *sim_create(const struct sim_options *options)
{
    struct sim *sim = memory_alloc_zero(sizeof(*sim));
    random_stream_init(&sim->chance, options->seed);
    sim->capacity = options->capacity;
    sim->now_us = 1700000000000000;
    return sim;
}

static void drop_state(struct sim *sim)
{
    while (sim->op_count > 0)
        sim_drop_op(sim, sim->op_count - 1);
    memory_free(sim->ops);
    sim->ops = NULL;
    sim->op_capacity = 0;
    sim_names_deinit(&sim->cache);
    sim_names_deinit(&sim->durable);
}

void sim_destroy(struct sim *sim)
{
    assert(sim->io_count == 0);
    drop_state(sim);
    memory_free(sim);
}

void sim_open(struct sim *sim, struct io **out)
{
    struct sim_io *io = memory_alloc_zero(sizeof(*io));
    io->io = (struct io){.ops = &sim_ops, .name = "sim"};
    io->sim = sim;
    io->generation = sim->generation;
    sim->io_count++;
    *out = &io->io;
}

void sim_recover(struct sim *sim, enum sim_crash how, uint64_t seed)
{
    struct sim *after = sim_fork(sim, how, seed);
    drop_state(sim);
    sim->cache = after->cache;
    sim->durable = after->durable;
    sim->ops = after->ops;
    sim->op_count = after->op_count;
    sim->op_capacity = after->op_capacity;
    sim->generation = after->generation;
    sim->is_crashed = sim->is_locked = false;
    sim->crash_at = 0;
    memory_free(after);
}

bool sim_flip_bit(struct sim *sim, const char *name, uint64_t offset, unsigned bit)
{
    struct sim_name *found = sim_names_find(&sim->cache, name);
    char byte;
    if (found == NULL || found->inode == NULL ||
        image_read(&found->inode->durable, &byte, 1, offset) == 0)
        return false;
    byte = (char)(byte ^ 1u << bit % 8);
    image_write(&found->inode->durable, &byte, 1, offset);
    image_write(&found->inode->cache, &byte, 1, offset);
    return true;
}

static int64_t now_us(void *context)
{
    return ((struct sim *)context)->now_us;
}

struct clock_source sim_clock(struct sim *sim)
{
    return (struct clock_source){.wall_us = now_us, .monotonic_us = now_us, .context = sim};
}

void sim_advance(struct sim *sim, int64_t us)
{
    assert(us >= 0);
    sim->now_us += us;
}
