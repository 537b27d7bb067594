/* Texts of few different bytes: identifiers in hex, addresses, numbers as text, words in small
 * letters. Each byte becomes its number among those that occur in the block, in 1 to 6 bits.
 *
 *   width, alphabet | sizes (packed.c) | per vector: offset, raw size (8 each) | vectors …
 *   a vector: eights of bytes, each eight in `width` bytes
 *
 * Against LZ4 on such texts: half the size on hex, three quarters on words, a tenth of the time.
 * Any text of a vector can be read alone. Coding itself is in alphabet_code.c. */
#include "storage/encoding/private.h"

#define WIDTH_MAX 6
#define HEAD_SIZE 16u
#define PREFIX_SIZE 8u
#define SAMPLE_ROWS 32
#define SAMPLE_ROWS_LONG 256 /* once there are so many bytes: */
#define SAMPLE_BYTES ((uint64_t)256 << 10)
#define SAMPLE_AHEAD 8
#define TRUSTED_ROWS 8192              /* of which the sample is trusted */
#define BUFFER_SIZE ((size_t)16 << 10) /* a multiple of 8 */
#define PAUSE_BYTES ((uint64_t)1 << 20)
#define PAUSE_ROW_BYTES 32 /* what a text costs besides its bytes */

struct alphabet_own {
    struct packed sizes;
    const uint8_t *bytes; /* behind the heads */
    const uint8_t *alphabet;
    uint32_t width;
};

static uint64_t eights_of(uint64_t size)
{
    return (size + 7) / 8;
}

/* --- writing --- */

/* Notes the bytes of one text. Two tables by turns, since a store waits for the one before it to
 * the same place. */
static void note_bytes(struct slice text, uint8_t occurs[2][256])
{
    const uint8_t *data = (const uint8_t *)text.data;
    for (size_t i = 0; i < text.size; i++)
        occurs[i & 1][data[i]] = 1;
}

/* The alphabet of what was noted; false: too many bytes, or none. */
static bool take_alphabet(struct encode_job *job, uint8_t occurs[2][256])
{
    uint32_t count = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        if ((occurs[0][byte] | occurs[1][byte]) == 0)
            continue;
        if (count == ALPHABET_MAX)
            return false;
        job->alphabet.bytes[count++] = (uint8_t)byte;
    }
    job->alphabet.count = count;
    if (count != 0)
        alphabet_code_make(job->alphabet.bytes, count, &job->alphabet.code);
    return count != 0;
}

/* The bytes of a sample, which are nearly always all: that they are is found out while the texts
 * are written, when they are in the cache. Once it was not so (is_strict), and where there are few
 * rows, the other texts are held against them here, which costs a pass over all of them, and one
 * that has another byte makes the alphabet larger. */
static bool find_alphabet(struct encode_job *job)
{
    bool is_sample_enough = !job->is_strict && job->row_count >= TRUSTED_ROWS;
    uint8_t occurs[2][256] = {0};
    const struct alphabet_kernels *kernels = kernels_chosen()->alphabet;
    uint64_t paused = 0, sampled = 0;
    uint32_t step = SAMPLE_ROWS;
    for (uint32_t row = 0; row < job->row_count; row += step) {
        if (row + SAMPLE_AHEAD * step < job->row_count) /* none lies beside the one before */
            __builtin_prefetch(job->text[row + SAMPLE_AHEAD * step].data);
        note_bytes(job->text[row], occurs);
        if (row % (SAMPLE_ROWS * SAMPLE_ROWS) == 0 && !take_alphabet(job, occurs) &&
            job->text[row].size != 0)
            return false;
        sampled += job->text[row].size;
        if (sampled >= SAMPLE_BYTES) /* long texts, each of which has most of the bytes */
            step = SAMPLE_ROWS_LONG;
    }
    bool has_code = take_alphabet(job, occurs);
    if (is_sample_enough)
        return has_code;
    for (uint32_t row = 0; row < job->row_count; row++) {
        struct slice text = job->text[row];
        if (!has_code ||
            !kernels->has_all(&job->alphabet.code, (const uint8_t *)text.data, text.size)) {
            note_bytes(text, occurs);
            has_code = take_alphabet(job, occurs);
            if (!has_code && text.size != 0)
                return false;
        }
        paused += text.size + PAUSE_ROW_BYTES;
        if (paused >= PAUSE_BYTES) {
            paused = 0;
            job_pause(job);
        }
    }
    return has_code;
}

static uint64_t measure(struct encode_job *job)
{
    uint32_t vectors = vector_count_of(job->row_count);
    if (!find_alphabet(job))
        return BODY_IMPOSSIBLE;
    uint32_t width = job->alphabet.code.width;
    uint64_t stored = 0;
    for (uint32_t vector = 0; vector < vectors; vector++)
        stored += eights_of(job->vector_size[vector]) * width;
    return PREFIX_SIZE + align8(UINT64_C(1) << width) + job->sizes.size +
           (uint64_t)vectors * HEAD_SIZE + align8(stored);
}

/* Where each text begins: those of rows that were late lie far from those before them, and a copy
 * of many texts at once waits for each of them. */
static void ask_for(const struct slice *texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        __builtin_prefetch(texts[i].data);
}

/* One vector's texts behind each other, as numbers in the alphabet, squeezed: by way of a buffer
 * that stays in the first cache. False: some byte is not of the alphabet. */
static bool write_vector(const struct encode_job *job, uint32_t vector, struct writer *out)
{
    const struct alphabet_kernels *kernels = kernels_chosen()->alphabet;
    const struct alphabet_code *code = &job->alphabet.code;
    uint8_t buffer[BUFFER_SIZE];
    struct text_walk walk = {.text = job->text + (size_t)vector * BLOCK_VECTOR_ROWS};
    uint64_t left = job->vector_size[vector], paused = 0;
    uint8_t *stored = writer_reserve(out, eights_of(left) * code->width + ALPHABET_ROOM);
    ask_for(walk.text, vector_rows_of(job->row_count, vector));
    while (stored != NULL && left > 0) {
        size_t size = left < BUFFER_SIZE ? left : BUFFER_SIZE;
        text_walk_take(&walk, size, buffer);
        if (!kernels->has_all(code, buffer, size))
            return false;
        /* What fills up the last eight has number 0, as the format wants it. */
        memset(buffer + size, job->alphabet.bytes[0], eights_of(size) * 8 - size);
        kernels->narrow(code, buffer, eights_of(size), stored);
        stored += eights_of(size) * code->width;
        out->size += eights_of(size) * code->width;
        left -= size;
        paused += size;
        if (paused >= PAUSE_BYTES) {
            paused = 0;
            job_pause(job);
        }
    }
    job_pause(job);
    return true;
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[64];
    uint8_t alphabet[ALPHABET_MAX] = {0};
    uint32_t count = job->alphabet.count, vectors = vector_count_of(job->row_count);
    assert(count > 0 && count <= ALPHABET_MAX); /* measured before */
    uint32_t width = job->alphabet.code.width;
    memcpy(alphabet, job->alphabet.bytes, count);
    writer_u8(out, (uint8_t)width);
    writer_bytes(out, zeros, PREFIX_SIZE - 1);
    writer_bytes(out, alphabet, align8(UINT64_C(1) << width));
    packed_write(&job->sizes, job->lengths, out);
    uint64_t offset = 0;
    for (uint32_t vector = 0; vector < vectors; vector++) {
        uint64_t raw = job->vector_size[vector];
        writer_u64(out, offset);
        writer_u64(out, raw);
        offset += eights_of(raw) * width;
    }
    for (uint32_t vector = 0; vector < vectors && !job->is_misjudged; vector++) {
        uint32_t begin = vector * BLOCK_VECTOR_ROWS;
        job->is_misjudged = !write_vector(job, vector, out);
        for (uint32_t i = 0; i < vector_rows_of(job->row_count, vector); i++)
            job_note_text(job, begin + i);
        job_drain(job);
    }
    assert(!(job->is_strict && job->is_misjudged));
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
    uint64_t first = begin / 8;
    uint8_t alphabet[ALPHABET_MAX] = {0};
    if (begin >= end)
        return;
    memcpy(alphabet, own->alphabet, (size_t)1 << width);
    kernels_chosen()->alphabet->widen(alphabet, width, head->bytes + first * width,
                                      eights_of(end) - first, out + first * 8);
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
    .is_dear = true,
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
};
