/* What a crash leaves of a simulated disk. See sim.h for the model.
 *
 * A new set of inodes is built from the old one: first the durable images and names, then a random
 * part of what was unsynced on top. Four moods of power cut, because a uniform draw over sectors
 * would almost never keep a long write whole: nothing more reached the disk; everything did; the
 * oldest writes did; anything goes. */
#include "storage/io/sim_private.h"

#include "storage/base/hash.h"

#include <assert.h>
#include <string.h>

enum mood { MOOD_NOTHING, MOOD_EVERYTHING, MOOD_PREFIX, MOOD_ANYTHING, MOOD_COUNT };

static void fill_garbage(struct random_stream *chance, char *data, size_t size)
{
    for (size_t index = 0; index < size; index++)
        data[index] = (char)random_next(chance);
}

/* One sector of a write that was under way: new, old, torn or garbage. */
static void keep_sector(struct random_stream *chance, struct image *image, const char *data,
                        size_t size, uint64_t offset)
{
    char sector[SIM_SECTOR_SIZE];
    switch (random_below(chance, 16)) {
    case 0:
        fill_garbage(chance, sector, size);
        image_write(image, sector, size, offset);
        break;
    case 1:
        image_write(image, data, random_below(chance, size + 1), offset);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        break;
    default:
        image_write(image, data, size, offset);
    }
}

static void keep_part(struct random_stream *chance, struct image *image,
                      const struct sim_write *write)
{
    if (write->bytes == NULL) {
        if (random_below(chance, 2))
            image_resize(image, write->offset);
        return;
    }
    for (size_t done = 0; done < write->size;) {
        size_t step = SIM_SECTOR_SIZE - (write->offset + done) % SIM_SECTOR_SIZE;
        if (step > write->size - done)
            step = write->size - done;
        keep_sector(chance, image, write->bytes->data + done, step, write->offset + done);
        done += step;
    }
}

static void keep_whole(struct image *image, const struct sim_write *write)
{
    if (write->bytes == NULL)
        image_resize(image, write->offset);
    else
        image_write(image, write->bytes->data, write->size, write->offset);
}

/* The size may have become durable before the bytes: the gap reads as zeros or garbage. */
static void stretch(struct random_stream *chance, struct image *image, uint64_t size)
{
    uint64_t old = image->size;
    if (size <= old || random_below(chance, 2))
        return;
    image_resize(image, size);
    if (random_below(chance, 4) != 0)
        return;
    for (uint64_t offset = old; offset < size;) {
        char sector[SIM_SECTOR_SIZE];
        size_t step = size - offset < sizeof(sector) ? (size_t)(size - offset) : sizeof(sector);
        fill_garbage(chance, sector, step);
        image_write(image, sector, step, offset);
        offset += step;
    }
}

static void crash_inode(struct random_stream *chance, enum mood mood, struct sim_inode *inode,
                        const struct sim_inode *source)
{
    size_t prefix = random_below(chance, source->write_count + 1);
    image_copy(&inode->durable, &source->durable);
    for (size_t index = 0; index < source->write_count; index++) {
        const struct sim_write *write = &source->writes[index];
        bool is_whole = mood == MOOD_EVERYTHING || (mood == MOOD_PREFIX && index < prefix);
        if (mood == MOOD_ANYTHING) {
            uint64_t draw = random_below(chance, 4);
            is_whole = draw == 0;
            if (draw >= 2)
                keep_part(chance, &inode->durable, write);
        } else if (mood == MOOD_PREFIX && index == prefix) {
            keep_part(chance, &inode->durable, write);
        }
        if (is_whole)
            keep_whole(&inode->durable, write);
    }
    if (mood != MOOD_NOTHING && source->write_count > 0)
        stretch(chance, &inode->durable, source->cache.size);
    image_copy(&inode->cache, &inode->durable);
}

static void copy_inode(struct sim_inode *inode, const struct sim_inode *source)
{
    image_copy(&inode->durable, &source->durable);
    image_copy(&inode->cache, &source->cache);
    for (size_t index = 0; index < source->write_count; index++) {
        if (source->writes[index].bytes != NULL)
            source->writes[index].bytes->ref_count++;
        sim_inode_push(inode, &source->writes[index]);
    }
}

/* --- all inodes, each once --- */

struct copies {
    const struct sim_inode **sources;
    struct sim_inode **copies;
    size_t count, capacity;
};

static struct sim_inode *copy_of(struct copies *copies, const struct sim_inode *source)
{
    if (source == NULL)
        return NULL;
    for (size_t index = 0; index < copies->count; index++)
        if (copies->sources[index] == source)
            return copies->copies[index];
    if (copies->count == copies->capacity) {
        copies->capacity = copies->capacity * 2 + 16;
        copies->sources =
            memory_realloc(copies->sources, copies->capacity * sizeof(*copies->sources));
        copies->copies = memory_realloc(copies->copies, copies->capacity * sizeof(*copies->copies));
    }
    struct sim_inode *copy = memory_alloc_zero(sizeof(*copy));
    copy->ref_count = 1;
    copies->sources[copies->count] = source;
    copies->copies[copies->count++] = copy;
    return copy;
}

static void copy_names(struct copies *copies, struct sim_names *target,
                       const struct sim_names *source)
{
    for (size_t index = 0; index < source->count; index++)
        sim_names_set(target, source->items[index].name,
                      copy_of(copies, source->items[index].inode));
}

/* Unsynced changes of names, directory by directory in effect, because order matters only inside
 * one. */
static void crash_names(struct sim *target, const struct sim *source, struct copies *copies,
                        enum mood mood)
{
    struct random_stream *chance = &target->chance;
    size_t prefix = random_below(chance, source->op_count + 1);
    for (size_t index = 0; index < source->op_count; index++) {
        struct sim_name_op op = source->ops[index];
        bool is_kept = mood == MOOD_EVERYTHING || (mood == MOOD_PREFIX && index < prefix) ||
                       (mood == MOOD_ANYTHING && random_below(chance, 2));
        op.inode = copy_of(copies, op.inode);
        if (is_kept)
            sim_names_apply(&target->durable, &op);
    }
    /* What lies in a directory that never became durable is gone. */
    for (size_t index = target->durable.count; index-- > 0;) {
        char directory[SIM_NAME_SIZE];
        sim_directory_of(target->durable.items[index].name, directory);
        if (directory[0] != '\0' && sim_names_find(&target->durable, directory) == NULL)
            sim_names_remove(&target->durable, target->durable.items[index].name);
    }
    for (size_t index = 0; index < target->durable.count; index++)
        sim_names_set(&target->cache, target->durable.items[index].name,
                      target->durable.items[index].inode);
}

static void kill_names(struct sim *target, const struct sim *source, struct copies *copies)
{
    copy_names(copies, &target->cache, &source->cache);
    for (size_t index = 0; index < source->op_count; index++) {
        struct sim_name_op op = source->ops[index];
        op.inode = copy_of(copies, op.inode);
        sim_push_op(target, &op);
    }
}

struct sim *sim_fork(const struct sim *source, enum sim_crash how, uint64_t seed)
{
    struct sim *target = memory_alloc_zero(sizeof(*target));
    random_stream_init(&target->chance, hash_mix(seed ^ source->trace));
    target->capacity = source->capacity;
    target->now_us = source->now_us;
    target->generation = source->generation + 1;
    struct copies copies = {0};
    copy_names(&copies, &target->durable, &source->durable);
    enum mood file_mood = (enum mood)random_below(&target->chance, MOOD_COUNT);
    enum mood name_mood = (enum mood)random_below(&target->chance, MOOD_COUNT);
    if (how == SIM_KILL)
        kill_names(target, source, &copies);
    else
        crash_names(target, source, &copies, name_mood);
    for (size_t index = 0; index < copies.count; index++) {
        if (how == SIM_KILL)
            copy_inode(copies.copies[index], copies.sources[index]);
        else
            crash_inode(&target->chance, file_mood, copies.copies[index], copies.sources[index]);
        sim_inode_unref(copies.copies[index]); /* those that no name holds are gone */
    }
    memory_free(copies.sources);
    memory_free(copies.copies);
    return target;
}
