/* Texts of sealed segments in the order of a new one, a block at a time.
 *
 * Segments are sorted by time, so the rows of each come in their own order when several are merged:
 * one cursor per segment that only goes forward is enough, and no more is in memory than a block of
 * each segment that is being read, one vector of it decoded, and the block that is being made. A
 * cursor is opened at its segment's first row and closed behind its last. Where rows are not so
 * (segments of a time when the table had another time column) texts are collected whole instead:
 * `gather_is_possible` tells. */
#include "storage/segment/collect.h"
#include "storage/segment/cursor.h"

#include <assert.h>

#define PAUSE_BYTES ((size_t)256 << 10)
#define PAUSE_ROWS 4096
#define PIECE_SIZE ((size_t)1 << 20)

/* One segment. */
struct input {
    struct cursor *cursor; /* NULL: not yet, or not any more */
    bool is_in_block;      /* the cursor was sent to some block, and has not come to its end */
    struct batch batch;
    uint32_t begin, end; /* rows of the segment in `batch` */
};

struct gather {
    const struct table_view *view;
    uint32_t column;
    struct pauser *pauser;
    uint32_t current; /* the last row's segment */
    /* Memory of the block's texts, in pieces that are not moved and are used again. */
    struct piece {
        char *bytes;
        size_t capacity;
    } * pieces;
    size_t piece_count, piece; /* the one that is being filled, */
    size_t used;               /* up to here */
    struct input inputs[];     /* per segment of the view */
};

bool gather_is_possible(const struct table_view *view, const uint32_t *order, uint32_t row_count)
{
    const struct segment_list *closed = view->closed;
    if (closed == NULL || closed->row_count != row_count)
        return false;
    for (uint32_t i = 0; i < closed->count; i++) {
        if (closed->entries[i].sealed == NULL)
            return false;
    }
    if (order == NULL || closed->count == 0)
        return closed->count != 0;
    uint64_t *next = memory_alloc(closed->count * sizeof(*next));
    memcpy(next, closed->first_rows, closed->count * sizeof(*next));
    bool is_possible = true;
    uint32_t current = 0;
    for (uint32_t i = 0; is_possible && i < row_count; i++) {
        while (order[i] < closed->first_rows[current])
            current--;
        while (order[i] >= closed->first_rows[current + 1])
            current++;
        is_possible = order[i] >= next[current];
        next[current] = (uint64_t)order[i] + 1;
    }
    memory_free(next);
    return is_possible;
}

struct gather *gather_open(const struct table_view *view, uint32_t column, struct pauser *pauser)
{
    uint32_t count = view->closed->count;
    struct gather *gather = memory_alloc_zero(sizeof(*gather) + count * sizeof(gather->inputs[0]));
    gather->view = view;
    gather->column = column;
    gather->pauser = pauser;
    return gather;
}

void gather_close(struct gather *gather)
{
    if (gather == NULL)
        return;
    for (uint32_t i = 0; i < gather->view->closed->count; i++) {
        if (gather->inputs[i].cursor != NULL)
            cursor_close(gather->inputs[i].cursor);
    }
    for (size_t i = 0; i < gather->piece_count; i++)
        memory_free(gather->pieces[i].bytes);
    memory_free(gather->pieces);
    memory_free(gather);
}

/* Sends the cursor to the block of a row. */
static enum err seek(struct gather *gather, struct input *input, uint32_t segment, uint32_t row,
                     struct error *error)
{
    bool has;
    uint32_t block = row / BLOCK_ROWS_MAX;
    if (input->cursor == NULL) {
        input->cursor = cursor_open(gather->view, &gather->column, 1, NULL);
        input->cursor->pauser = gather->pauser;
    }
    input->begin = input->end = block * BLOCK_ROWS_MAX;
    input->is_in_block = true;
    return cursor_seek(input->cursor, gather->view->closed->first_morsels[segment] + block, &has,
                       error);
}

/* The vector with a row, which is not before the last one asked for. */
static enum err read_up_to(struct gather *gather, struct input *input, uint32_t segment,
                           uint32_t row, struct error *error)
{
    enum err err = OK;
    while (err == OK && row >= input->end) {
        bool has = false;
        if (!input->is_in_block || row / BLOCK_ROWS_MAX > (input->end - 1) / BLOCK_ROWS_MAX)
            err = seek(gather, input, segment, row, error);
        if (err == OK)
            err = cursor_next(input->cursor, &input->batch, &has, error);
        if (err == OK && !has)
            return error_set(error, ERR_CORRUPT, NULL, "a segment has fewer rows than were to be");
        input->begin = input->end;
        input->end += err == OK ? (uint32_t)input->batch.row_count : 0;
        input->is_in_block = input->end % BLOCK_ROWS_MAX != 0;
    }
    return err;
}

/* A piece with room for a text, behind those that are full. */
static struct piece *find_room(struct gather *gather, size_t size)
{
    while (gather->piece < gather->piece_count) {
        struct piece *piece = &gather->pieces[gather->piece];
        if (size <= piece->capacity - gather->used)
            return piece;
        gather->piece++;
        gather->used = 0;
    }
    size_t count = ++gather->piece_count;
    gather->pieces = memory_realloc(gather->pieces, count * sizeof(*gather->pieces));
    struct piece *piece = &gather->pieces[count - 1];
    piece->capacity = size > PIECE_SIZE ? size : PIECE_SIZE;
    piece->bytes = memory_alloc(piece->capacity);
    return piece;
}

static struct slice keep_text(struct gather *gather, struct slice text)
{
    if (text.size == 0)
        return SLICE("");
    char *to = find_room(gather, text.size)->bytes + gather->used;
    memcpy(to, text.data, text.size);
    gather->used += text.size;
    return slice_of(to, text.size);
}

/* The input of a row of the view. */
static struct input *input_of(struct gather *gather, uint32_t row, uint32_t *segment)
{
    const uint64_t *first_rows = gather->view->closed->first_rows;
    while (row < first_rows[gather->current])
        gather->current--;
    while (row >= first_rows[gather->current + 1])
        gather->current++;
    *segment = gather->current;
    return &gather->inputs[gather->current];
}

static void close_if_done(struct gather *gather, struct input *input, uint32_t segment,
                          uint32_t row)
{
    const uint64_t *first_rows = gather->view->closed->first_rows;
    if (first_rows[segment] + row + 1 < first_rows[segment + 1])
        return;
    cursor_close(input->cursor);
    input->cursor = NULL;
}

enum err gather_block(struct gather *gather, const struct gather_range *range, struct slice *texts,
                      uint8_t *validity, struct error *error)
{
    size_t bytes = 0;
    gather->piece = 0;
    gather->used = 0;
    for (uint32_t i = 0; i < range->count; i++) {
        uint32_t row = range->order != NULL ? range->order[range->begin + i] : range->begin + i;
        uint32_t segment;
        struct input *input = input_of(gather, row, &segment);
        row -= (uint32_t)gather->view->closed->first_rows[segment];
        enum err err = read_up_to(gather, input, segment, row, error);
        if (err != OK)
            return err;
        assert(row >= input->begin);
        const struct column *column = &input->batch.columns[0];
        validity[i] = !column_is_null(column, row - input->begin);
        struct slice text = validity[i] ? column_text(column, row - input->begin) : SLICE("");
        texts[i] = keep_text(gather, text);
        bytes += text.size;
        close_if_done(gather, input, segment, row);
        if (i % PAUSE_ROWS == PAUSE_ROWS - 1 || bytes >= PAUSE_BYTES) {
            bytes = 0;
            if (!pauser_go_on(gather->pauser))
                return error_set(error, ERR_CANCELLED, NULL, "sealing was given up");
        }
    }
    return OK;
}
