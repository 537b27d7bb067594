/* Edits of the manifest as bytes, and what they add up to.
 *
 *   block    magic, checksum, version, kind, file number, index in the file
 *            edit number, part i of n, bytes of items                       then items, never split
 *   item     kind, size, body
 *
 * An edit is n blocks, written at once and synced before the next one begins. It counts when all n
 * are whole. So where a block is not, the edit it belongs to is the last one (a torn tail, dropped)
 * unless a block of a later edit follows: then acknowledged bytes are damaged. Blocks of the same
 * edit behind the torn one say nothing.
 *
 * The state is two sorted arrays; an edit costs a binary search an item, and a move of what lies
 * behind it. Version 1 knew checkpoints only, one a block. */
#include "storage/log/edit.h"

#include "storage/base/bytes.h"
#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define BLOCK_MAGIC 0x314e414d48535246ULL /* "FRSHMAN1" */
#define VERSION 2
#define ITEMS_OFFSET ((size_t)64)
#define ITEMS_SIZE_MAX (MANIFEST_BLOCK_SIZE - ITEMS_OFFSET)
#define ITEM_HEADER_SIZE ((size_t)8)
#define VERSION_1_SIZE ((size_t)88)

enum block_kind { BLOCK_HEADER = 1, BLOCK_CHECKPOINT_1 = 2, BLOCK_EDIT = 3 };

enum item_kind {
    ITEM_CHECKPOINT = 1,
    ITEM_ADD = 2,
    ITEM_REMOVE = 3,
    ITEM_SEALED = 4,
    ITEM_FORGET = 5,
    ITEM_LAST_NUMBER = 6,
    ITEM_KIND_COUNT
};

static const uint8_t item_sizes[ITEM_KIND_COUNT] = {
    [ITEM_CHECKPOINT] = 40, [ITEM_ADD] = 96,   [ITEM_REMOVE] = 8,
    [ITEM_SEALED] = 16,     [ITEM_FORGET] = 8, [ITEM_LAST_NUMBER] = 8,
};

/* --- the state --- */

void manifest_state_deinit(struct manifest_state *state)
{
    memory_free(state->segments);
    memory_free(state->sealed);
}

static size_t segment_bound(const struct manifest_state *state, uint64_t number)
{
    size_t first = 0, last = state->segment_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (state->segments[middle].number < number)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static const struct sealed_info *manifest_state_find(const struct manifest_state *state,
                                                     uint64_t number)
{
    size_t index = segment_bound(state, number);
    bool is_found = index < state->segment_count && state->segments[index].number == number;
    return is_found ? &state->segments[index] : NULL;
}

static size_t sealed_bound(const struct manifest_state *state, uint32_t table_id)
{
    size_t first = 0, last = state->sealed_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (state->sealed[middle].table_id < table_id)
            first = middle + 1;
        else
            last = middle;
    }
    return first;
}

static bool is_sealed_at(const struct manifest_state *state, size_t index, uint32_t table_id)
{
    return index < state->sealed_count && state->sealed[index].table_id == table_id;
}

static void add_segment(struct manifest_state *state, const struct sealed_info *info)
{
    if (state->segment_count == state->segment_capacity) {
        state->segment_capacity = state->segment_capacity * 2 + 16;
        state->segments =
            memory_realloc(state->segments, state->segment_capacity * sizeof(*state->segments));
    }
    size_t index = segment_bound(state, info->number);
    memmove(&state->segments[index + 1], &state->segments[index],
            (state->segment_count - index) * sizeof(*state->segments));
    state->segments[index] = *info;
    state->segment_count++;
}

static void remove_segment(struct manifest_state *state, uint64_t number)
{
    size_t index = segment_bound(state, number);
    assert(index < state->segment_count && state->segments[index].number == number);
    state->segment_count--;
    memmove(&state->segments[index], &state->segments[index + 1],
            (state->segment_count - index) * sizeof(*state->segments));
}

static void set_sealed(struct manifest_state *state, const struct manifest_sealed *sealed)
{
    size_t index = sealed_bound(state, sealed->table_id);
    if (is_sealed_at(state, index, sealed->table_id)) {
        state->sealed[index] = *sealed;
        return;
    }
    if (state->sealed_count == state->sealed_capacity) {
        state->sealed_capacity = state->sealed_capacity * 2 + 16;
        state->sealed =
            memory_realloc(state->sealed, state->sealed_capacity * sizeof(*state->sealed));
    }
    memmove(&state->sealed[index + 1], &state->sealed[index],
            (state->sealed_count - index) * sizeof(*state->sealed));
    state->sealed[index] = *sealed;
    state->sealed_count++;
}

static void forget_sealed(struct manifest_state *state, uint32_t table_id)
{
    size_t index = sealed_bound(state, table_id);
    if (!is_sealed_at(state, index, table_id))
        return;
    state->sealed_count--;
    memmove(&state->sealed[index], &state->sealed[index + 1],
            (state->sealed_count - index) * sizeof(*state->sealed));
}

static bool fits_checkpoint(const struct manifest_state *state,
                            const struct manifest_checkpoint *checkpoint)
{
    return checkpoint->number < MANIFEST_NUMBER_MAX &&
           checkpoint->number > state->checkpoints[0].number &&
           checkpoint->position >= state->checkpoints[0].position;
}

bool manifest_state_fits(const struct manifest_state *state, const struct manifest_edit *edit)
{
    if (edit->checkpoint != NULL && !fits_checkpoint(state, edit->checkpoint))
        return false;
    for (size_t i = 0; i < edit->remove_count; i++) {
        bool is_rising = i == 0 || edit->remove[i] > edit->remove[i - 1];
        if (!is_rising || manifest_state_find(state, edit->remove[i]) == NULL)
            return false;
    }
    for (size_t i = 0; i < edit->add_count; i++) {
        uint64_t number = edit->add[i].number;
        bool is_rising = i == 0 || number > edit->add[i - 1].number;
        if (number == 0 || number >= MANIFEST_NUMBER_MAX || !is_rising ||
            manifest_state_find(state, number) != NULL)
            return false;
    }
    for (size_t i = 0; i < edit->sealed_count; i++) {
        size_t index = sealed_bound(state, edit->sealed[i].table_id);
        if (is_sealed_at(state, index, edit->sealed[i].table_id) &&
            edit->sealed[i].position < state->sealed[index].position)
            return false;
    }
    return true;
}

static void note_number(struct manifest_state *state, uint64_t number)
{
    if (number > state->last_number)
        state->last_number = number;
}

void manifest_state_take(struct manifest_state *state, const struct manifest_edit *edit)
{
    if (edit->checkpoint != NULL) {
        memmove(&state->checkpoints[1], &state->checkpoints[0],
                (MANIFEST_CHECKPOINT_COUNT - 1) * sizeof(state->checkpoints[0]));
        state->checkpoints[0] = *edit->checkpoint;
        note_number(state, edit->checkpoint->number);
    }
    for (size_t i = 0; i < edit->remove_count; i++)
        remove_segment(state, edit->remove[i]);
    for (size_t i = 0; i < edit->add_count; i++) {
        add_segment(state, &edit->add[i]);
        note_number(state, edit->add[i].number);
    }
    for (size_t i = 0; i < edit->sealed_count; i++)
        set_sealed(state, &edit->sealed[i]);
    for (size_t i = 0; i < edit->forget_count; i++)
        forget_sealed(state, edit->forget[i]);
}

/* --- writing --- */

/* Lays items into blocks; with blocks NULL it only counts them. */
struct laying {
    char *blocks;
    size_t block_count; /* begun */
    size_t used;        /* of the newest one's items */
};

static void put_u32(char **at, uint32_t value)
{
    memcpy(*at, &value, sizeof(value));
    *at += sizeof(value);
}

static void put_u64(char **at, uint64_t value)
{
    memcpy(*at, &value, sizeof(value));
    *at += sizeof(value);
}

/* Room for an item's body, its header written; NULL while counting. */
static char *lay_item(struct laying *laying, enum item_kind kind)
{
    size_t size = ITEM_HEADER_SIZE + item_sizes[kind];
    if (laying->block_count == 0 || laying->used + size > ITEMS_SIZE_MAX) {
        laying->block_count++;
        laying->used = 0;
    }
    size_t offset = laying->used;
    laying->used += size;
    if (laying->blocks == NULL)
        return NULL;
    char *block = laying->blocks + (laying->block_count - 1) * MANIFEST_BLOCK_SIZE;
    uint32_t used = (uint32_t)laying->used;
    memcpy(block + 56, &used, sizeof(used));
    char *at = block + ITEMS_OFFSET + offset;
    put_u32(&at, kind);
    put_u32(&at, item_sizes[kind]);
    return at;
}

static void lay_checkpoint(struct laying *laying, const struct manifest_checkpoint *checkpoint)
{
    char *at = lay_item(laying, ITEM_CHECKPOINT);
    if (at == NULL)
        return;
    put_u64(&at, checkpoint->number);
    put_u64(&at, checkpoint->position);
    put_u64(&at, checkpoint->size);
    put_u64(&at, checkpoint->checksum);
    put_u64(&at, checkpoint->first_log_file);
}

static void lay_add(struct laying *laying, const struct sealed_info *info)
{
    char *at = lay_item(laying, ITEM_ADD);
    if (at == NULL)
        return;
    put_u64(&at, info->number);
    put_u32(&at, info->table_id);
    put_u32(&at, info->schema_version);
    put_u32(&at, info->index_version);
    put_u32(&at, info->row_count);
    put_u64(&at, info->bytes);
    put_u64(&at, (uint64_t)info->min_time_us);
    put_u64(&at, (uint64_t)info->max_time_us);
    put_u64(&at, info->first_position);
    put_u64(&at, info->last_position);
    put_u64(&at, (uint64_t)info->created_at_us);
    put_u64(&at, info->footer_offset);
    put_u32(&at, info->footer_size);
    put_u32(&at, 0);
    put_u64(&at, info->footer_checksum);
}

static void lay_sealed(struct laying *laying, const struct manifest_sealed *sealed)
{
    char *at = lay_item(laying, ITEM_SEALED);
    if (at == NULL)
        return;
    put_u32(&at, sealed->table_id);
    put_u32(&at, 0);
    put_u64(&at, sealed->position);
}

static void lay_number(struct laying *laying, enum item_kind kind, uint64_t number)
{
    char *at = lay_item(laying, kind);
    if (at != NULL)
        put_u64(&at, number);
}

static void lay_edit(struct laying *laying, const struct manifest_edit *edit)
{
    if (edit->checkpoint != NULL)
        lay_checkpoint(laying, edit->checkpoint);
    for (size_t i = 0; i < edit->add_count; i++)
        lay_add(laying, &edit->add[i]);
    for (size_t i = 0; i < edit->remove_count; i++)
        lay_number(laying, ITEM_REMOVE, edit->remove[i]);
    for (size_t i = 0; i < edit->sealed_count; i++)
        lay_sealed(laying, &edit->sealed[i]);
    for (size_t i = 0; i < edit->forget_count; i++)
        lay_number(laying, ITEM_FORGET, edit->forget[i]);
}

static void lay_state(struct laying *laying, const struct manifest_state *state)
{
    if (state->last_number == 0 && state->sealed_count == 0)
        return;
    lay_number(laying, ITEM_LAST_NUMBER, state->last_number);
    for (size_t i = MANIFEST_CHECKPOINT_COUNT; i > 0; i--) { /* oldest first */
        if (state->checkpoints[i - 1].number != 0)
            lay_checkpoint(laying, &state->checkpoints[i - 1]);
    }
    for (size_t i = 0; i < state->segment_count; i++)
        lay_add(laying, &state->segments[i]);
    for (size_t i = 0; i < state->sealed_count; i++)
        lay_sealed(laying, &state->sealed[i]);
}

/* The fields of a block besides its items. */
struct frame {
    enum block_kind kind;
    uint64_t file_number;
    uint64_t index;
    uint64_t edit_number;
    uint32_t part, part_count;
};

static void seal_block(const struct frame *frame, char *block)
{
    char *at = block;
    put_u64(&at, BLOCK_MAGIC);
    at += sizeof(uint64_t);
    put_u32(&at, VERSION);
    put_u32(&at, frame->kind);
    put_u64(&at, frame->file_number);
    put_u64(&at, frame->index);
    put_u64(&at, frame->edit_number);
    put_u32(&at, frame->part);
    put_u32(&at, frame->part_count);
    uint64_t crc = crc32c(0, block + 16, MANIFEST_BLOCK_SIZE - 16);
    memcpy(block + 8, &crc, sizeof(crc));
}

void edit_encode_header(uint64_t file_number, size_t block_count, char *block)
{
    memset(block, 0, MANIFEST_BLOCK_SIZE);
    seal_block(&(struct frame){.kind = BLOCK_HEADER,
                               .file_number = file_number,
                               .part_count = (uint32_t)block_count},
               block);
}

static void seal_blocks(const struct edit_place *place, size_t count, char *blocks)
{
    for (size_t i = 0; i < count; i++) {
        struct frame frame = {.kind = BLOCK_EDIT,
                              .file_number = place->file_number,
                              .index = place->block_index + i,
                              .edit_number = place->edit_number,
                              .part = (uint32_t)i,
                              .part_count = (uint32_t)count};
        seal_block(&frame, blocks + i * MANIFEST_BLOCK_SIZE);
    }
}

size_t edit_block_count(const struct manifest_edit *edit)
{
    struct laying laying = {0};
    lay_edit(&laying, edit);
    return laying.block_count;
}

void edit_encode(const struct manifest_edit *edit, const struct edit_place *place, char *blocks)
{
    size_t count = edit_block_count(edit);
    memset(blocks, 0, count * MANIFEST_BLOCK_SIZE);
    struct laying laying = {.blocks = blocks};
    lay_edit(&laying, edit);
    seal_blocks(place, count, blocks);
}

size_t edit_state_block_count(const struct manifest_state *state)
{
    struct laying laying = {0};
    lay_state(&laying, state);
    return laying.block_count;
}

void edit_encode_state(const struct manifest_state *state, const struct edit_place *place,
                       char *blocks)
{
    size_t count = edit_state_block_count(state);
    memset(blocks, 0, count * MANIFEST_BLOCK_SIZE);
    struct laying laying = {.blocks = blocks};
    lay_state(&laying, state);
    seal_blocks(place, count, blocks);
}

/* --- reading --- */

static enum err damaged(uint64_t index, struct error *error)
{
    return error_set(error, ERR_CORRUPT, NULL,
                     "the manifest is damaged at offset %" PRIu64
                     ": an acknowledged edit cannot be read",
                     index * MANIFEST_BLOCK_SIZE);
}

/* An edit being read, part by part. */
struct gathering {
    uint32_t part_count, part_next;
    struct manifest_checkpoint checkpoints[MANIFEST_CHECKPOINT_COUNT];
    size_t checkpoint_count;
    struct sealed_info *add;
    size_t add_count, add_capacity;
    uint64_t *remove;
    size_t remove_count, remove_capacity;
    struct manifest_sealed *sealed;
    size_t sealed_count, sealed_capacity;
    uint32_t *forget;
    size_t forget_count, forget_capacity;
    uint64_t last_number;
};

static void gathering_reset(struct gathering *gathering)
{
    gathering->part_count = gathering->part_next = 0;
    gathering->checkpoint_count = 0;
    gathering->add_count = gathering->remove_count = 0;
    gathering->sealed_count = gathering->forget_count = 0;
    gathering->last_number = 0;
}

static void gathering_deinit(struct gathering *gathering)
{
    memory_free(gathering->add);
    memory_free(gathering->remove);
    memory_free(gathering->sealed);
    memory_free(gathering->forget);
}

static void *grown(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity * 2 + 16;
    return memory_realloc(items, *capacity * item_size);
}

static struct sealed_info read_info(struct reader *reader)
{
    struct sealed_info info = {.number = reader_u64(reader),
                               .table_id = reader_u32(reader),
                               .schema_version = reader_u32(reader)};
    info.index_version = reader_u32(reader);
    info.row_count = reader_u32(reader);
    info.bytes = reader_u64(reader);
    info.min_time_us = reader_i64(reader);
    info.max_time_us = reader_i64(reader);
    info.first_position = reader_u64(reader);
    info.last_position = reader_u64(reader);
    info.created_at_us = reader_i64(reader);
    info.footer_offset = reader_u64(reader);
    info.footer_size = reader_u32(reader);
    (void)reader_u32(reader);
    info.footer_checksum = reader_u64(reader);
    return info;
}

static bool take_item(struct gathering *g, uint32_t kind, struct reader *reader)
{
    switch (kind) {
    case ITEM_CHECKPOINT: {
        if (g->checkpoint_count == MANIFEST_CHECKPOINT_COUNT)
            return false;
        struct manifest_checkpoint *checkpoint = &g->checkpoints[g->checkpoint_count++];
        checkpoint->number = reader_u64(reader);
        checkpoint->position = reader_u64(reader);
        checkpoint->size = reader_u64(reader);
        checkpoint->checksum = reader_u64(reader);
        checkpoint->first_log_file = reader_u64(reader);
        return true;
    }
    case ITEM_ADD:
        g->add = grown(g->add, g->add_count, &g->add_capacity, sizeof(*g->add));
        g->add[g->add_count++] = read_info(reader);
        return true;
    case ITEM_REMOVE:
        g->remove = grown(g->remove, g->remove_count, &g->remove_capacity, sizeof(*g->remove));
        g->remove[g->remove_count++] = reader_u64(reader);
        return true;
    case ITEM_SEALED:
        g->sealed = grown(g->sealed, g->sealed_count, &g->sealed_capacity, sizeof(*g->sealed));
        g->sealed[g->sealed_count].table_id = reader_u32(reader);
        (void)reader_u32(reader);
        g->sealed[g->sealed_count++].position = reader_u64(reader);
        return true;
    case ITEM_FORGET:
        g->forget = grown(g->forget, g->forget_count, &g->forget_capacity, sizeof(*g->forget));
        g->forget[g->forget_count++] = (uint32_t)reader_u64(reader);
        return true;
    default:
        g->last_number = reader_u64(reader);
        return g->last_number < MANIFEST_NUMBER_MAX;
    }
}

static bool take_items(struct gathering *gathering, const char *block)
{
    uint32_t used;
    memcpy(&used, block + 56, sizeof(used));
    if (used > ITEMS_SIZE_MAX)
        return false;
    struct reader reader = reader_of(slice_of(block + ITEMS_OFFSET, used));
    while (reader_left(&reader) > 0) {
        uint32_t kind = reader_u32(&reader);
        uint32_t size = reader_u32(&reader);
        if (reader.failed || kind == 0 || kind >= ITEM_KIND_COUNT || size != item_sizes[kind] ||
            reader_left(&reader) < size || !take_item(gathering, kind, &reader))
            return false;
    }
    return !reader.failed;
}

/* The edit is whole. */
static bool finish_edit(struct gathering *gathering, struct manifest_state *state)
{
    struct manifest_edit edit = {.add_count = gathering->add_count,
                                 .add = gathering->add,
                                 .remove_count = gathering->remove_count,
                                 .remove = gathering->remove,
                                 .sealed_count = gathering->sealed_count,
                                 .sealed = gathering->sealed,
                                 .forget_count = gathering->forget_count,
                                 .forget = gathering->forget};
    bool fits = true;
    for (size_t i = 0; i < gathering->checkpoint_count && fits; i++) {
        struct manifest_edit one = {.checkpoint = &gathering->checkpoints[i]};
        fits = manifest_state_fits(state, &one);
        if (fits)
            manifest_state_take(state, &one);
    }
    fits = fits && manifest_state_fits(state, &edit);
    if (fits)
        manifest_state_take(state, &edit);
    note_number(state, gathering->last_number);
    gathering_reset(gathering);
    return fits;
}

static bool read_frame(const char *block, uint32_t version, struct frame *frame)
{
    struct reader reader = reader_of(slice_of(block, ITEMS_OFFSET));
    uint64_t magic = reader_u64(&reader);
    uint64_t crc = reader_u64(&reader);
    size_t size = version == 1 ? VERSION_1_SIZE : MANIFEST_BLOCK_SIZE;
    if (magic != BLOCK_MAGIC || crc != crc32c(0, block + 16, size - 16) ||
        reader_u32(&reader) != version)
        return false;
    frame->kind = (enum block_kind)reader_u32(&reader);
    frame->file_number = reader_u64(&reader);
    frame->index = reader_u64(&reader);
    frame->edit_number = reader_u64(&reader);
    frame->part = reader_u32(&reader);
    frame->part_count = reader_u32(&reader);
    return true;
}

/* One valid block of version 2. */
static bool take_block(struct gathering *gathering, const struct frame *frame, const char *block,
                       struct manifest_state *state)
{
    if (frame->kind != BLOCK_EDIT || frame->part != gathering->part_next ||
        frame->part >= frame->part_count ||
        (frame->part > 0 && frame->part_count != gathering->part_count))
        return false;
    gathering->part_count = frame->part_count;
    gathering->part_next = frame->part + 1;
    if (!take_items(gathering, block))
        return false;
    if (gathering->part_next == gathering->part_count)
        return finish_edit(gathering, state);
    if (fault_is("manifest.half_edit")) {
        uint32_t next = gathering->part_next;
        bool fits = finish_edit(gathering, state);
        gathering->part_count = frame->part_count;
        gathering->part_next = next;
        return fits;
    }
    return true;
}

static enum err replay_2(const char *data, size_t count, struct gathering *gathering,
                         struct manifest_state *state, const struct frame *header,
                         struct error *error)
{
    /* What the file was begun with was synced before it got its name: never torn. */
    uint64_t whole_count = header->part_count;
    if (whole_count >= count)
        return damaged(count, error);
    uint64_t edit_number = 1; /* of the edit that is being read, or awaited */
    size_t torn = 0;          /* the first block that does not count */
    for (size_t index = 1; index < count; index++) {
        const char *block = data + index * MANIFEST_BLOCK_SIZE;
        struct frame frame;
        bool is_valid = read_frame(block, 2, &frame) && frame.index == index &&
                        frame.file_number == header->file_number;
        if (!is_valid && index <= whole_count)
            return damaged(index, error);
        if (!is_valid && torn == 0)
            torn = index;
        if (!is_valid || (torn != 0 && frame.edit_number == edit_number))
            continue;
        if (torn != 0 || frame.edit_number != edit_number)
            return damaged(torn != 0 ? torn : index, error);
        if (!take_block(gathering, &frame, block, state))
            return damaged(index, error);
        if (frame.part + 1 == frame.part_count)
            edit_number++;
    }
    return OK;
}

static enum err replay_1(const char *data, size_t count, struct manifest_state *state,
                         uint64_t file_number, struct error *error)
{
    bool is_past_end = false;
    for (size_t index = 1; index < count; index++) {
        const char *block = data + index * MANIFEST_BLOCK_SIZE;
        struct frame frame;
        if (!read_frame(block, 1, &frame) || frame.index != index ||
            frame.file_number != file_number) {
            is_past_end = true;
            continue;
        }
        uint64_t fields[5];
        memcpy(fields, block + 40, sizeof(fields));
        struct manifest_checkpoint checkpoint = {.number = fields[0],
                                                 .position = fields[1],
                                                 .size = fields[2],
                                                 .checksum = fields[3],
                                                 .first_log_file = fields[4]};
        struct manifest_edit edit = {.checkpoint = &checkpoint};
        if (is_past_end || frame.kind != BLOCK_CHECKPOINT_1 || !manifest_state_fits(state, &edit))
            return damaged(is_past_end ? index - 1 : index, error);
        manifest_state_take(state, &edit);
    }
    return OK;
}

enum err edit_replay(const char *data, size_t count, struct manifest_state *state,
                     uint64_t *file_number, struct error *error)
{
    if (count == 0)
        return damaged(0, error);
    uint32_t version;
    memcpy(&version, data + 16, sizeof(version));
    struct frame frame;
    /* The file was synced before it got its name. A later version may have other checksums. */
    uint64_t magic;
    memcpy(&magic, data, sizeof(magic));
    if (magic == BLOCK_MAGIC && version > VERSION)
        return error_set(error, ERR_CORRUPT, NULL,
                         "the manifest has format version %u; this program knows versions up to %d",
                         version, VERSION);
    if (version == 0 || !read_frame(data, version, &frame) || frame.kind != BLOCK_HEADER ||
        frame.index != 0)
        return damaged(0, error);
    *file_number = frame.file_number;
    if (version == 1)
        return replay_1(data, count, state, frame.file_number, error);
    struct gathering gathering = {0};
    enum err err = replay_2(data, count, &gathering, state, &frame, error);
    gathering_deinit(&gathering);
    return err;
}
