/* Texts of few different bytes: identifiers in hex, addresses, numbers as text, words in small
 * letters. Each byte becomes its number among those that occur in the block, in 1 to 6 bits.
 *
 *   width, alphabet | sizes (packed.c) | per vector: offset, raw size (8 each) | vectors …
 *   a vector: eights of bytes, each eight in `width` bytes
 *
 * Against LZ4 on such texts: half the size on hex, three quarters on words, a tenth of the time.
 * Any text of a vector can be read alone. An eight is squeezed and widened in three steps of shifts
 * and masks over a 64-bit word, which compilers turn into vector instructions. */
#include "storage/encoding/private.h"

#include "storage/base/arena.h"

#include <stdlib.h>

#define WIDTH_MAX 6
#define HEAD_SIZE 16u
#define PREFIX_SIZE 8u
#define SAMPLE_ROWS 64

struct alphabet_own {
    struct packed sizes;
    const uint8_t *bytes; /* behind the heads */
    const uint8_t *alphabet;
    uint32_t width;
};

/* --- eights --- */

/* Eight numbers of a byte each to the lowest 8 * width bits. */
static inline uint64_t squeeze(uint64_t x, uint32_t width)
{
    uint32_t spare = 8 - width;
    uint64_t pair = (UINT64_C(1) << 2 * width) - 1, four = (UINT64_C(1) << 4 * width) - 1;
    x = (x & 0x00ff00ff00ff00ff) | (x & 0xff00ff00ff00ff00) >> spare;
    x &= pair * 0x0001000100010001;
    x = (x & 0x0000ffff0000ffff) | (x & 0xffff0000ffff0000) >> 2 * spare;
    x &= four * 0x0000000100000001;
    return (x & 0x00000000ffffffff) | (x & 0xffffffff00000000) >> 4 * spare;
}

static inline uint64_t widen(uint64_t x, uint32_t width)
{
    uint32_t spare = 8 - width;
    uint64_t one = (UINT64_C(1) << width) - 1, pair = (UINT64_C(1) << 2 * width) - 1;
    uint64_t four = (UINT64_C(1) << 4 * width) - 1;
    x = (x & four) | (x & four << 4 * width) << 4 * spare;
    x = (x & pair * 0x0000000100000001) | (x & (pair << 2 * width) * 0x0000000100000001)
                                              << 2 * spare;
    return (x & one * 0x0001000100010001) | (x & (one << width) * 0x0001000100010001) << spare;
}

static uint64_t eights_of(uint64_t size)
{
    return (size + 7) / 8;
}

/* --- writing --- */

/* Notes the bytes of one text, eight at a time, written out: the compiler does not do it. Two
 * tables by turns, since a store waits for the one before it to the same place. */
static void note_bytes(struct slice text, uint8_t occurs[2][256])
{
    const uint8_t *data = (const uint8_t *)text.data;
    uint8_t *even = occurs[0], *odd = occurs[1];
    size_t i = 0;
    for (; i + 8 <= text.size; i += 8) {
        uint64_t word = load_u64(data + i);
        even[word & 255] = 1;
        odd[word >> 8 & 255] = 1;
        even[word >> 16 & 255] = 1;
        odd[word >> 24 & 255] = 1;
        even[word >> 32 & 255] = 1;
        odd[word >> 40 & 255] = 1;
        even[word >> 48 & 255] = 1;
        odd[word >> 56] = 1;
    }
    for (; i < text.size; i++)
        even[data[i]] = 1;
}

/* Eight bytes to their numbers. */
static inline uint64_t numbers_of(uint64_t word, const uint8_t *numbers)
{
    return (uint64_t)numbers[word & 255] | (uint64_t)numbers[word >> 8 & 255] << 8 |
           (uint64_t)numbers[word >> 16 & 255] << 16 | (uint64_t)numbers[word >> 24 & 255] << 24 |
           (uint64_t)numbers[word >> 32 & 255] << 32 | (uint64_t)numbers[word >> 40 & 255] << 40 |
           (uint64_t)numbers[word >> 48 & 255] << 48 | (uint64_t)numbers[word >> 56] << 56;
}

/* Which bytes occur; false: too many, or none. */
static bool find_alphabet(struct encode_job *job)
{
    uint8_t occurs[2][256] = {0};
    for (uint32_t row = 0; row < job->row_count; row++) {
        note_bytes(job->text[row], occurs);
        if (row % SAMPLE_ROWS != 0 && row + 1 != job->row_count)
            continue;
        uint32_t found = 0;
        for (uint32_t byte = 0; byte < 256; byte++)
            found += occurs[0][byte] | occurs[1][byte];
        if (found > 1u << WIDTH_MAX)
            return false;
        if (row % BLOCK_VECTOR_ROWS == 0)
            job_pause(job);
    }
    job->alphabet.count = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        if ((occurs[0][byte] | occurs[1][byte]) != 0)
            job->alphabet.bytes[job->alphabet.count++] = (uint8_t)byte;
    }
    return job->alphabet.count > 0;
}

static uint32_t width_of(uint32_t count)
{
    uint32_t width = 1;
    while (1u << width < count)
        width++;
    return width;
}

static uint64_t measure(struct encode_job *job)
{
    uint32_t vectors = vector_count_of(job->row_count);
    if (!find_alphabet(job))
        return BODY_IMPOSSIBLE;
    uint32_t width = width_of(job->alphabet.count);
    text_plan_sizes(job);
    uint64_t stored = 0;
    for (uint32_t vector = 0; vector < vectors; vector++)
        stored += eights_of(text_raw_size(job, vector)) * width;
    return PREFIX_SIZE + align8(UINT64_C(1) << width) + job->sizes.size +
           (uint64_t)vectors * HEAD_SIZE + align8(stored);
}

/* One vector's texts behind each other, as numbers in the alphabet, squeezed. */
static void write_vector(const struct encode_job *job, uint32_t vector, const uint8_t *numbers,
                         uint32_t width, struct writer *out)
{
    uint8_t first = job->alphabet.bytes[0];
    const struct slice *text = job->text + (size_t)vector * BLOCK_VECTOR_ROWS;
    uint64_t raw = text_raw_size(job, vector), eights = eights_of(raw);
    uint8_t *bytes = memory_alloc(eights * 8 + 8), *to = bytes;
    for (uint32_t row = 0; row < vector_rows_of(job->row_count, vector); row++) {
        if (text[row].size != 0)
            memcpy(to, text[row].data, text[row].size);
        to += text[row].size;
    }
    /* What fills up the last eight has number 0, as the format wants it. */
    memset(to, first, (size_t)(bytes + eights * 8 + 8 - to));
    uint8_t *stored = writer_reserve(out, eights * width + 8);
    for (uint64_t eight = 0; stored != NULL && eight < eights; eight++) {
        uint64_t word = squeeze(numbers_of(load_u64(bytes + eight * 8), numbers), width);
        memcpy(stored + eight * width, &word, sizeof(word)); /* the next one covers what is over */
    }
    if (stored != NULL)
        out->size += eights * width;
    memory_free(bytes);
    job_pause(job);
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[64];
    uint8_t alphabet[1u << WIDTH_MAX] = {0}, numbers[256] = {0};
    uint32_t count = job->alphabet.count, vectors = vector_count_of(job->row_count);
    assert(count > 0 && count <= sizeof(alphabet)); /* measured before */
    uint32_t width = width_of(count);
    memcpy(alphabet, job->alphabet.bytes, count);
    for (uint32_t i = 0; i < count; i++)
        numbers[alphabet[i]] = (uint8_t)i;
    writer_u8(out, (uint8_t)width);
    writer_bytes(out, zeros, PREFIX_SIZE - 1);
    writer_bytes(out, alphabet, align8(UINT64_C(1) << width));
    text_write_sizes(job, out);
    uint64_t offset = 0;
    for (uint32_t vector = 0; vector < vectors; vector++) {
        uint64_t raw = text_raw_size(job, vector);
        writer_u64(out, offset);
        writer_u64(out, raw);
        offset += eights_of(raw) * width;
    }
    for (uint32_t vector = 0; vector < vectors; vector++)
        write_vector(job, vector, numbers, width, out);
    writer_bytes(out, zeros, align8(offset) - offset);
}

/* --- reading --- */

static bool check_alphabet(const uint8_t *alphabet, uint32_t width)
{
    uint32_t size = 1u << width, count = 1;
    while (count < size && alphabet[count] > alphabet[count - 1])
        count++;
    while (count < size && alphabet[count] == 0)
        count++;
    return count == size;
}

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    if (body.size < PREFIX_SIZE || data[0] == 0 || data[0] > WIDTH_MAX)
        return false;
    struct alphabet_own own = {.width = data[0], .alphabet = data + PREFIX_SIZE};
    size_t front = PREFIX_SIZE + align8(UINT64_C(1) << own.width), size;
    size_t heads_size = (size_t)vector_count_of(block->row_count) * HEAD_SIZE;
    if (body.size < front || !check_alphabet(own.alphabet, own.width))
        return false;
    struct slice rest = slice_of(data + front, body.size - front);
    if (!packed_open(rest, block->row_count, &own.sizes, &size) || rest.size - size < heads_size)
        return false;
    own.bytes = data + front + size + heads_size;
    uint64_t left = rest.size - size - heads_size, offset = 0;
    for (uint32_t vector = 0; vector < vector_count_of(block->row_count); vector++) {
        const uint8_t *head = own.bytes - heads_size + (size_t)vector * HEAD_SIZE;
        uint64_t raw = load_u64(head + 8);
        if (load_u64(head) != offset || raw > left * 8 ||
            eights_of(raw) * own.width > left - offset)
            return false;
        offset += eights_of(raw) * own.width;
    }
    block_set_own(block, &own);
    return align8(offset) == left;
}

struct alphabet_head {
    const uint8_t *bytes;
    uint64_t raw;
};

static struct alphabet_head head_of(const struct alphabet_own *own, uint32_t vector)
{
    size_t heads_size = (size_t)vector_count_of(own->sizes.row_count) * HEAD_SIZE;
    const uint8_t *head = own->bytes - heads_size + (size_t)vector * HEAD_SIZE;
    return (struct alphabet_head){.bytes = own->bytes + load_u64(head), .raw = load_u64(head + 8)};
}

/* Bytes [begin, end) of a vector, by whole eights, to where they belong in `out`. */
static void read_bytes(const struct alphabet_own *own, const struct alphabet_head *head,
                       uint64_t begin, uint64_t end, uint8_t *out)
{
    uint32_t width = own->width;
    uint64_t used = (UINT64_C(1) << 8 * width) - 1; /* width <= 6 */
    uint8_t alphabet[1u << WIDTH_MAX];
    memset(alphabet, 0, sizeof(alphabet));
    memcpy(alphabet, own->alphabet, (size_t)1 << width);
    for (uint64_t eight = begin / 8; eight < eights_of(end); eight++) {
        uint64_t word = 0;
        memcpy(&word, head->bytes + eight * width, width);
        word = widen(word & used, width);
        uint8_t *to = out + eight * 8;
        for (uint32_t i = 0; i < 8; i++)
            to[i] = alphabet[word >> 8 * i & 63];
    }
}

static enum err reserve(struct block_scratch *scratch, uint64_t raw, struct error *error)
{
    if (!scratch_reserve(scratch, eights_of(raw) * 8))
        return error_set(error, ERR_MEMORY, NULL, "no memory for the texts of a block");
    return OK;
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct alphabet_own own;
    uint64_t offsets[BLOCK_VECTOR_ROWS + 1];
    block_own(block, &own);
    uint32_t vector = begin / BLOCK_VECTOR_ROWS;
    struct alphabet_head head = head_of(&own, vector);
    if (!text_read_offsets(&own.sizes, vector, count, head.raw, offsets))
        return error_block(error, "sizes of texts do not add up");
    if (scratch->tag != block_tag(block, vector)) {
        enum err result = reserve(scratch, head.raw, error);
        if (result != OK)
            return result;
        read_bytes(&own, &head, 0, head.raw, (uint8_t *)scratch->data);
        scratch->tag = block_tag(block, vector);
    }
    for (uint32_t i = 0; i < count; i++)
        ((struct slice *)out)[i] =
            slice_of(scratch->data + offsets[i], offsets[i + 1] - offsets[i]);
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct alphabet_own own;
    uint64_t offsets[BLOCK_VECTOR_ROWS + 1];
    block_own(block, &own);
    if (count == 0)
        return OK;
    uint32_t vector = rows[0] / BLOCK_VECTOR_ROWS, last = rows[count - 1] % BLOCK_VECTOR_ROWS;
    struct alphabet_head head = head_of(&own, vector);
    if (!text_read_offsets(&own.sizes, vector, last + 1, head.raw, offsets))
        return error_block(error, "sizes of texts do not add up");
    bool is_there = scratch->tag == block_tag(block, vector);
    if (!is_there) {
        enum err result = reserve(scratch, head.raw, error);
        if (result != OK)
            return result;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows[i] % BLOCK_VECTOR_ROWS;
        if (!is_there)
            read_bytes(&own, &head, offsets[row], offsets[row + 1], (uint8_t *)scratch->data);
        ((struct slice *)out)[i] =
            slice_of(scratch->data + offsets[row], offsets[row + 1] - offsets[row]);
    }
    return OK;
}

const struct encoding encoding_alphabet = {
    .name = "alphabet",
    .doc = "sizes, and texts as numbers of their bytes among the few that occur",
    .tag = 7,
    .handicap = 5,
    .classes = CLASS_BIT(BLOCK_TEXT),
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
};
