/* What sim.c and sim_crash.c share. Private to storage/io. */
#ifndef FRESHET_STORAGE_IO_SIM_PRIVATE_H
#define FRESHET_STORAGE_IO_SIM_PRIVATE_H

#include "storage/base/random.h"
#include "storage/io/image.h"
#include "storage/io/sim.h"

#define SIM_SECTOR_SIZE ((size_t)512)

/* An unsynced change of a file. The bytes are shared with forks. */
struct sim_bytes {
    uint32_t ref_count;
    char data[];
};
struct sim_write {
    struct sim_bytes *bytes; /* NULL: a truncation to `offset` */
    size_t size;
    uint64_t offset;
};

struct sim_inode {
    uint32_t ref_count; /* names, durable names, pending operations, open files */
    uint32_t copy;      /* while forking: index of its copy */
    struct image cache;
    struct image durable;
    struct sim_write *writes;
    size_t write_count, write_capacity;
    bool is_broken;
    uint64_t broken_offset; /* of the sector that cannot be read */
};

struct sim_name {
    char name[SIM_NAME_SIZE];
    struct sim_inode *inode; /* NULL: a directory */
};

struct sim_names {
    struct sim_name *items;
    size_t count, capacity;
};

enum sim_name_change { SIM_LINK, SIM_UNLINK, SIM_RENAME };

struct sim_name_op {
    enum sim_name_change change;
    char name[SIM_NAME_SIZE];
    char target[SIM_NAME_SIZE]; /* of a rename */
    struct sim_inode *inode;    /* NULL: a directory, or an unlink */
};

struct sim {
    struct random_stream chance;
    uint64_t capacity;
    struct sim_names cache;
    struct sim_names durable;
    struct sim_name_op *ops;
    size_t op_count, op_capacity;
    struct sim_faults faults;
    uint64_t fail_at;
    enum sim_fault fail_kind;
    bool is_failing_for_ever;
    uint64_t operation_count;
    struct sim_operation operation; /* the newest */
    uint64_t trace;
    uint64_t crash_at;
    bool is_crashed;
    bool is_locked;
    uint64_t generation; /* of ios and files that are still good */
    uint32_t io_count;
    int64_t now_us;
    void (*watch)(void *context);
    void *watch_context;
};

struct sim_inode *sim_inode_ref(struct sim_inode *inode);
void sim_inode_unref(struct sim_inode *inode);
void sim_inode_drop_writes(struct sim_inode *inode);
void sim_inode_push(struct sim_inode *inode, const struct sim_write *write);
/* Is the sector that cannot be read among these bytes? */
bool sim_inode_is_broken(const struct sim_inode *inode, uint64_t offset, size_t size);
/* All unsynced writes become durable. */
void sim_inode_sync(struct sim_inode *inode);

struct sim_name *sim_names_find(const struct sim_names *names, const char *name);
void sim_names_set(struct sim_names *names, const char *name, struct sim_inode *inode);
void sim_names_remove(struct sim_names *names, const char *name);
void sim_names_deinit(struct sim_names *names);
void sim_names_apply(struct sim_names *names, const struct sim_name_op *op);
void sim_push_op(struct sim *sim, const struct sim_name_op *op);
void sim_drop_op(struct sim *sim, size_t index);
/* "a" of "a/b", "" of "b". */
void sim_directory_of(const char *name, char out[SIM_NAME_SIZE]);

#endif
