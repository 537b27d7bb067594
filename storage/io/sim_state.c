/* The state of a simulated disk: inodes with their unsynced writes, names with their unsynced
 * changes. */
#include "storage/io/sim_private.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* --- inodes --- */

struct sim_inode *sim_inode_ref(struct sim_inode *inode)
{
    if (inode != NULL)
        inode->ref_count++;
    return inode;
}

void sim_inode_drop_writes(struct sim_inode *inode)
{
    for (size_t index = 0; index < inode->write_count; index++) {
        struct sim_bytes *bytes = inode->writes[index].bytes;
        if (bytes != NULL && --bytes->ref_count == 0)
            memory_free(bytes);
    }
    inode->write_count = 0;
}

void sim_inode_unref(struct sim_inode *inode)
{
    if (inode == NULL || --inode->ref_count > 0)
        return;
    sim_inode_drop_writes(inode);
    memory_free(inode->writes);
    image_deinit(&inode->cache);
    image_deinit(&inode->durable);
    memory_free(inode);
}

void sim_inode_push(struct sim_inode *inode, const struct sim_write *write)
{
    if (inode->write_count == inode->write_capacity) {
        inode->write_capacity = inode->write_capacity * 2 + 4;
        inode->writes =
            memory_realloc(inode->writes, inode->write_capacity * sizeof(*inode->writes));
    }
    inode->writes[inode->write_count++] = *write;
}

bool sim_inode_is_broken(const struct sim_inode *inode, uint64_t offset, size_t size)
{
    return inode->is_broken && offset < inode->broken_offset + SIM_SECTOR_SIZE &&
           inode->broken_offset < offset + size;
}

bool sim_break_sector(struct sim *sim, const char *name, uint64_t offset)
{
    struct sim_name *found = sim_names_find(&sim->cache, name);
    if (found == NULL || found->inode == NULL)
        return false;
    found->inode->is_broken = true;
    found->inode->broken_offset = offset / SIM_SECTOR_SIZE * SIM_SECTOR_SIZE;
    return true;
}

void sim_inode_sync(struct sim_inode *inode)
{
    for (size_t index = 0; index < inode->write_count; index++) {
        const struct sim_write *write = &inode->writes[index];
        if (write->bytes == NULL)
            image_resize(&inode->durable, write->offset);
        else
            image_write(&inode->durable, write->bytes->data, write->size, write->offset);
    }
    sim_inode_drop_writes(inode);
}

/* --- names --- */

struct sim_name *sim_names_find(const struct sim_names *names, const char *name)
{
    for (size_t index = 0; index < names->count; index++)
        if (strcmp(names->items[index].name, name) == 0)
            return &names->items[index];
    return NULL;
}

void sim_names_remove(struct sim_names *names, const char *name)
{
    struct sim_name *found = sim_names_find(names, name);
    if (found == NULL)
        return;
    sim_inode_unref(found->inode);
    *found = names->items[--names->count];
}

void sim_names_set(struct sim_names *names, const char *name, struct sim_inode *inode)
{
    sim_inode_ref(inode);
    sim_names_remove(names, name);
    if (names->count == names->capacity) {
        names->capacity = names->capacity * 2 + 8;
        names->items = memory_realloc(names->items, names->capacity * sizeof(*names->items));
    }
    struct sim_name *item = &names->items[names->count++];
    assert(strlen(name) < SIM_NAME_SIZE);
    snprintf(item->name, sizeof(item->name), "%s", name);
    item->inode = inode;
}

void sim_names_deinit(struct sim_names *names)
{
    for (size_t index = 0; index < names->count; index++)
        sim_inode_unref(names->items[index].inode);
    memory_free(names->items);
    *names = (struct sim_names){0};
}

/* A rename whose source never became durable still makes the target: it never loses both names. */
void sim_names_apply(struct sim_names *names, const struct sim_name_op *op)
{
    switch (op->change) {
    case SIM_LINK:
        sim_names_set(names, op->name, op->inode);
        break;
    case SIM_UNLINK:
        sim_names_remove(names, op->name);
        break;
    case SIM_RENAME:
        sim_names_remove(names, op->name);
        sim_names_set(names, op->target, op->inode);
        break;
    }
}

void sim_push_op(struct sim *sim, const struct sim_name_op *op)
{
    if (sim->op_count == sim->op_capacity) {
        sim->op_capacity = sim->op_capacity * 2 + 8;
        sim->ops = memory_realloc(sim->ops, sim->op_capacity * sizeof(*sim->ops));
    }
    sim->ops[sim->op_count++] = *op;
    sim_inode_ref(op->inode);
}

void sim_drop_op(struct sim *sim, size_t index)
{
    sim_inode_unref(sim->ops[index].inode);
    memmove(&sim->ops[index], &sim->ops[index + 1],
            (sim->op_count - index - 1) * sizeof(*sim->ops));
    sim->op_count--;
}

void sim_directory_of(const char *name, char out[SIM_NAME_SIZE])
{
    const char *slash = strrchr(name, '/');
    snprintf(out, SIM_NAME_SIZE, "%.*s", slash == NULL ? 0 : (int)(slash - name), name);
}

/* --- what a test sets and asks --- */

void sim_set_faults(struct sim *sim, const struct sim_faults *faults)
{
    sim->faults = faults == NULL ? (struct sim_faults){0} : *faults;
}

void sim_fail_at(struct sim *sim, uint64_t number, enum sim_fault fault, bool is_for_ever)
{
    sim->fail_at = fault == SIM_FAULT_NONE ? 0 : number;
    sim->fail_kind = fault;
    sim->is_failing_for_ever = is_for_ever;
}

void sim_set_capacity(struct sim *sim, uint64_t capacity)
{
    sim->capacity = capacity;
}

const struct sim_operation *sim_operation(const struct sim *sim)
{
    return &sim->operation;
}

uint64_t sim_operation_count(const struct sim *sim)
{
    return sim->operation_count;
}

uint64_t sim_trace(const struct sim *sim)
{
    return sim->trace;
}

void sim_watch(struct sim *sim, void (*watch)(void *context), void *context)
{
    sim->watch = watch;
    sim->watch_context = context;
}

void sim_crash_at(struct sim *sim, uint64_t number)
{
    sim->crash_at = number;
}

bool sim_is_crashed(const struct sim *sim)
{
    return sim->is_crashed;
}
