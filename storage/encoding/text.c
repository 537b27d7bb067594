/* Texts: packed sizes, and the bytes of each vector of 2,048 rows one after another, as they are
 * ("plain") or in pieces of LZ4 ("lz4").
 *
 *   sizes (packed.c) | per vector: offset, stored size, raw size (8 each) | vectors …
 *   a vector's bytes with lz4: stored size of each piece (4 each), pieces
 *
 * A piece is 64 KiB of a vector, the last one less, so a long text may lie in several; a piece
 * that did not get smaller is stored as it is. The sizes are checked at each read: they must add up
 * to what the vector holds. Texts that are read lie in the block (plain) or in the scratch (lz4),
 * where they stay: reading on in the same vector decompresses nothing.
 */
#include "storage/encoding/private.h"

#include "storage/base/arena.h"

#include <stdlib.h>

/* LZ4 finds more in pieces up to this size: its table of places is twice as fine there. */
#define PIECE_SIZE ((size_t)64 << 10)
#define HEAD_SIZE 24u
#define SAMPLE_SIZE ((size_t)32 << 10)

struct text_own {
    struct packed sizes;
    const uint8_t *heads;
    const uint8_t *bytes;
};

static uint64_t piece_count_of(uint64_t raw)
{
    return (raw + PIECE_SIZE - 1) / PIECE_SIZE;
}

/* --- writing --- */

/* Texts that lie one behind the other are copied together: those of a body do. */
void text_walk_take(struct text_walk *walk, size_t size, uint8_t *out)
{
    const struct slice *text = walk->text;
    size_t offset = walk->offset;
    while (size > 0) {
        size_t part = text->size - offset;
        if (part == 0) {
            text++;
            offset = 0;
            continue;
        }
        const char *begin = text->data + offset;
        while (part < size && (text[1].data == begin + part || fault_is("text.gap_overlooked")))
            part += (++text)->size;
        size_t taken = part < size ? part : size;
        memcpy(out, begin, taken);
        out += taken;
        size -= taken;
        offset = text->size - (part - taken);
    }
    walk->text = text;
    walk->offset = offset;
}

static struct slice take_slice(struct text_walk *walk, size_t size, uint8_t *buffer)
{
    text_walk_take(walk, size, buffer);
    return slice_of(buffer, size);
}

static uint64_t measure_plain(struct encode_job *job)
{
    uint32_t vectors = vector_count_of(job->row_count);
    return job->sizes.size + (uint64_t)vectors * HEAD_SIZE + align8(job->text_size);
}

/* What the beginnings of a few vectors become, in percent. */
static uint64_t sample_percent(struct encode_job *job, uint8_t *buffer)
{
    uint32_t vectors = vector_count_of(job->row_count), step = vectors < 3 ? 1 : vectors / 3;
    uint64_t raw = 0;
    for (uint32_t vector = 0; vector < vectors; vector += step) {
        uint64_t size = job->vector_size[vector];
        size = size < SAMPLE_SIZE ? size : SAMPLE_SIZE;
        struct text_walk walk = {.text = job->text + (size_t)vector * BLOCK_VECTOR_ROWS};
        if (size > 0)
            piece_write(take_slice(&walk, size, buffer), &job->pieces);
        raw += size;
    }
    uint64_t percent = raw == 0 ? 100 : job->pieces.size * 100 / raw;
    writer_reset(&job->pieces);
    return percent;
}

static void add_vector(struct encode_job *job, uint32_t vector, uint8_t *buffer)
{
    uint64_t raw = job->vector_size[vector], left = raw;
    size_t begin = job->pieces.size, sizes = begin;
    struct text_walk walk = {.text = job->text + (size_t)vector * BLOCK_VECTOR_ROWS};
    for (uint64_t piece = 0; piece < piece_count_of(raw); piece++)
        writer_u32(&job->pieces, 0);
    while (left > 0) {
        size_t size = left < PIECE_SIZE ? left : PIECE_SIZE;
        uint32_t stored = piece_write(take_slice(&walk, size, buffer), &job->pieces);
        writer_patch_u32(&job->pieces, sizes, stored);
        sizes += sizeof(uint32_t);
        left -= size;
        job_pause(job);
    }
    job->piece_sizes[vector].stored = job->pieces.size - begin;
    job->piece_sizes[vector].raw = raw;
}

static uint64_t measure_lz4(struct encode_job *job)
{
    uint32_t vectors = vector_count_of(job->row_count);
    uint8_t *buffer = memory_alloc(PIECE_SIZE);
    writer_reset(&job->pieces);
    uint64_t rest = job->sizes.size + (uint64_t)vectors * HEAD_SIZE;
    if (rest + job->text_size * sample_percent(job, buffer) / 100 >= job->best) {
        memory_free(buffer);
        return BODY_IMPOSSIBLE;
    }
    /* Room for all at once: what grows by doubling is moved in one go. */
    (void)writer_reserve(&job->pieces,
                         job->text_size + job->text_size / PIECE_SIZE * 4 + (uint64_t)vectors * 4);
    for (uint32_t vector = 0; vector < vectors; vector++)
        add_vector(job, vector, buffer);
    memory_free(buffer);
    return rest + align8(job->pieces.size);
}

static void write_sizes_and_heads(struct encode_job *job, struct writer *out, bool is_plain)
{
    uint64_t offset = 0;
    packed_write(&job->sizes, job->lengths, out);
    for (uint32_t vector = 0; vector < vector_count_of(job->row_count); vector++) {
        uint64_t raw = job->vector_size[vector];
        uint64_t stored = is_plain ? raw : job->piece_sizes[vector].stored;
        writer_u64(out, offset);
        writer_u64(out, stored);
        writer_u64(out, raw);
        offset += stored;
    }
}

#define COPY_SIZE ((size_t)1 << 20) /* copied between two pauses */

static void encode_plain(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    size_t copied = 0;
    write_sizes_and_heads(job, out, true);
    for (uint32_t row = 0; row < job->row_count; row++) {
        writer_slice(out, job->text[row]);
        job_note_text(job, row);
        copied += job->text[row].size;
        if (copied > COPY_SIZE) {
            job_pause(job);
            job_drain(job);
            copied = 0;
        }
    }
    writer_bytes(out, zeros, align8(job->text_size) - job->text_size);
}

static void encode_lz4(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    size_t size = job->pieces.size;
    write_sizes_and_heads(job, out, false);
    for (size_t done = 0; done < size; done += COPY_SIZE) {
        size_t part = size - done < COPY_SIZE ? size - done : COPY_SIZE;
        writer_bytes(out, job->pieces.data + done, part);
        job_pause(job);
        job_drain(job);
    }
    writer_bytes(out, zeros, align8(job->pieces.size) - job->pieces.size);
}

/* --- reading --- */

struct text_head {
    const uint8_t *bytes;
    uint64_t offset, stored, raw;
};

static struct text_head head_of(const struct text_own *own, uint32_t vector)
{
    const uint8_t *head = own->heads + (size_t)vector * HEAD_SIZE;
    struct text_head out = {
        .offset = load_u64(head), .stored = load_u64(head + 8), .raw = load_u64(head + 16)};
    out.bytes = own->bytes + out.offset;
    return out;
}

/* Pieces are as many and as large as what they become asks for. */
static bool check_pieces(const uint8_t *bytes, uint64_t stored, uint64_t raw)
{
    if (raw / 256 > stored) /* no compression does that; and so the count below cannot overflow */
        return false;
    uint64_t pieces = piece_count_of(raw), total = pieces * sizeof(uint32_t);
    if (total > stored)
        return false;
    for (uint64_t piece = 0; piece < pieces; piece++) {
        uint64_t size = load_u32(bytes + piece * sizeof(uint32_t));
        uint64_t left = raw - piece * PIECE_SIZE;
        if (!piece_is_possible(size, left < PIECE_SIZE ? left : PIECE_SIZE))
            return false;
        total += size;
    }
    return total == stored;
}

static bool open_body(struct block *block, struct slice body, bool is_plain)
{
    const uint8_t *data = (const uint8_t *)body.data;
    struct text_own own;
    size_t size, heads_size = (size_t)vector_count_of(block->row_count) * HEAD_SIZE;
    if (!packed_open(body, block->row_count, &own.sizes, &size) || body.size - size < heads_size)
        return false;
    own.heads = data + size;
    own.bytes = own.heads + heads_size;
    uint64_t left = body.size - size - heads_size, offset = 0;
    for (uint32_t vector = 0; vector < vector_count_of(block->row_count); vector++) {
        const uint8_t *head = own.heads + (size_t)vector * HEAD_SIZE;
        uint64_t stored = load_u64(head + 8), raw = load_u64(head + 16);
        if (load_u64(head) != offset || stored > left - offset)
            return false;
        if (is_plain ? stored != raw : !check_pieces(own.bytes + offset, stored, raw))
            return false;
        offset += stored;
    }
    block_set_own(block, &own);
    return align8(offset) == left;
}

static bool open_plain(struct block *block, struct slice body)
{
    return open_body(block, body, true);
}

static bool open_lz4(struct block *block, struct slice body)
{
    return open_body(block, body, false);
}

bool text_read_offsets(const struct packed *packed, uint32_t vector, uint32_t count, uint64_t raw,
                       uint64_t *offsets)
{
    int64_t sizes[BLOCK_VECTOR_ROWS];
    uint64_t offset = 0;
    packed_read(packed, vector, count, sizes);
    for (uint32_t i = 0; i < count; i++) {
        offsets[i] = offset;
        if ((uint64_t)sizes[i] > raw - offset)
            return false;
        offset += (uint64_t)sizes[i];
    }
    offsets[count] = offset;
    return count < vector_rows_of(packed->row_count, vector) || offset == raw;
}

/* Pieces that hold [begin, end) of the vector's bytes, from *next on, to where they belong. */
static bool read_pieces(const struct text_head *head, uint64_t begin, uint64_t end, uint64_t *next,
                        uint8_t *out)
{
    uint64_t pieces = piece_count_of(head->raw), piece = begin / PIECE_SIZE;
    const uint8_t *stored = head->bytes + pieces * sizeof(uint32_t);
    if (begin == end)
        return true;
    piece = piece < *next ? *next : piece;
    for (uint64_t before = 0; before < piece; before++)
        stored += load_u32(head->bytes + before * sizeof(uint32_t));
    for (; piece * PIECE_SIZE < end; piece++) {
        uint64_t left = head->raw - piece * PIECE_SIZE;
        uint32_t size = load_u32(head->bytes + piece * sizeof(uint32_t));
        if (!piece_read(slice_of(stored, size), out + piece * PIECE_SIZE,
                        left < PIECE_SIZE ? left : PIECE_SIZE))
            return false;
        stored += size;
        *next = piece + 1;
    }
    return true;
}

static enum err read_texts(const struct block *block, const struct text_head *head, uint32_t vector,
                           struct block_scratch *scratch, struct error *error,
                           const uint8_t **bytes)
{
    uint64_t next = 0;
    if (block->encoding == encoding_text_plain.tag) {
        *bytes = head->bytes;
        return OK;
    }
    if (scratch->tag != block_tag(block, vector)) {
        if (!scratch_reserve(scratch, head->raw))
            return error_set(error, ERR_MEMORY, NULL, "no memory for the texts of a block");
        if (!read_pieces(head, 0, head->raw, &next, (uint8_t *)scratch->data))
            return error_block(error, "a piece does not decompress to its size");
        scratch->tag = block_tag(block, vector);
    }
    *bytes = (const uint8_t *)scratch->data;
    return OK;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct text_own own;
    uint64_t offsets[BLOCK_VECTOR_ROWS + 1];
    const uint8_t *bytes;
    block_own(block, &own);
    uint32_t vector = begin / BLOCK_VECTOR_ROWS;
    struct text_head head = head_of(&own, vector);
    if (!text_read_offsets(&own.sizes, vector, count, head.raw, offsets))
        return error_block(error, "sizes of texts do not add up");
    enum err result = read_texts(block, &head, vector, scratch, error, &bytes);
    for (uint32_t i = 0; result == OK && i < count; i++)
        ((struct slice *)out)[i] = slice_of(bytes + offsets[i], offsets[i + 1] - offsets[i]);
    return result;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct text_own own;
    uint64_t offsets[BLOCK_VECTOR_ROWS + 1], next = 0;
    const uint8_t *bytes;
    block_own(block, &own);
    if (count == 0)
        return OK;
    uint32_t vector = rows[0] / BLOCK_VECTOR_ROWS, last = rows[count - 1] % BLOCK_VECTOR_ROWS;
    struct text_head head = head_of(&own, vector);
    if (!text_read_offsets(&own.sizes, vector, last + 1, head.raw, offsets))
        return error_block(error, "sizes of texts do not add up");
    bool is_partial = block->encoding == encoding_text_lz4.tag && head.raw > PIECE_SIZE &&
                      scratch->tag != block_tag(block, vector);
    if (is_partial) {
        if (!scratch_reserve(scratch, head.raw))
            return error_set(error, ERR_MEMORY, NULL, "no memory for the texts of a block");
        bytes = (const uint8_t *)scratch->data;
    } else {
        enum err result = read_texts(block, &head, vector, scratch, error, &bytes);
        if (result != OK)
            return result;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i] % BLOCK_VECTOR_ROWS;
        if (is_partial &&
            !read_pieces(&head, offsets[row], offsets[row + 1], &next, (uint8_t *)scratch->data))
            return error_block(error, "a piece does not decompress to its size");
        ((struct slice *)out)[i] = slice_of(bytes + offsets[row], offsets[row + 1] - offsets[row]);
    }
    return OK;
}

const struct encoding encoding_text_plain = {
    .name = "plain",
    .doc = "sizes, and texts as they are",
    .tag = 5,
    .classes = CLASS_BIT(BLOCK_TEXT),
    .measure = measure_plain,
    .encode = encode_plain,
    .open = open_plain,
    .read = read_rows,
    .read_at = read_at,
};

const struct encoding encoding_text_lz4 = {
    .name = "lz4",
    .doc = "sizes, and texts compressed in pieces of at most 64 KiB",
    .tag = 6,
    .handicap = 10,
    .classes = CLASS_BIT(BLOCK_TEXT),
    .is_dear = true,
    .measure = measure_lz4,
    .encode = encode_lz4,
    .open = open_lz4,
    .read = read_rows,
    .read_at = read_at,
};
