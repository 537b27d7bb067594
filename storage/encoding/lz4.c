/* LZ4 of fixed-width values, for doubles and uuids: a piece per vector of 2,048.
 *
 *   per vector: stored size (4) | pieces …
 *
 * The bytes of a vector are turned first: all lowest bytes, then all second bytes …, so that the
 * exponents, which repeat, lie together. A piece that did not get smaller is stored as it is. LZ4
 * is a stream that can only be checked by running it, so reads may fail; INTEGER blocks are never
 * stored this way, that their predicates need no error.
 */
#include "storage/encoding/private.h"

#include <lz4.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define PIECE_SIZE_MAX (BLOCK_VECTOR_ROWS * 16u)

struct lz4_own {
    const uint8_t *sizes;
    const uint8_t *pieces;
    uint32_t width;
};

/* --- pieces --- */

uint32_t piece_write(struct slice raw, struct writer *out)
{
    assert(raw.size > 0 && raw.size <= LZ4_MAX_INPUT_SIZE);
    uint8_t *to = writer_reserve(out, raw.size);
    if (to == NULL)
        return 0;
    int size = raw.size == 1
                   ? 0
                   : LZ4_compress_default(raw.data, (char *)to, (int)raw.size, (int)raw.size - 1);
    if (size <= 0) {
        memcpy(to, raw.data, raw.size);
        size = (int)raw.size;
    }
    out->size += (size_t)size;
    return (uint32_t)size;
}

bool piece_read(struct slice stored, uint8_t *raw, size_t raw_size)
{
    assert(stored.size <= INT32_MAX && raw_size <= INT32_MAX);
    if (stored.size == raw_size) {
        memcpy(raw, stored.data, raw_size);
        return true;
    }
    return LZ4_decompress_safe(stored.data, (char *)raw, (int)stored.size, (int)raw_size) ==
           (int)raw_size;
}

/* --- writing --- */

static void turn(const uint8_t *values, uint32_t count, uint32_t width, uint8_t *out)
{
    for (uint32_t byte = 0; byte < width; byte++) {
        for (uint32_t i = 0; i < count; i++)
            *out++ = values[(size_t)i * width + byte];
    }
}

static void add_vector(struct encode_job *job, uint32_t vector)
{
    uint8_t turned[PIECE_SIZE_MAX];
    uint32_t count = vector_rows_of(job->row_count, vector);
    turn(job->bytes + (size_t)vector * BLOCK_VECTOR_ROWS * job->width, count, job->width, turned);
    uint64_t size = piece_write(slice_of(turned, (size_t)count * job->width), &job->pieces);
    job->piece_sizes[vector].stored = size;
}

/* What a few vectors say the whole would have. */
static uint64_t sample(struct encode_job *job, uint32_t vectors)
{
    uint32_t tried = 0, rows = 0, step = vectors < 4 ? 1 : vectors / 3;
    for (uint32_t vector = 0; vector < vectors; vector += step, tried++) {
        add_vector(job, vector);
        rows += vector_rows_of(job->row_count, vector);
    }
    uint64_t size = job->pieces.size * job->row_count / rows;
    writer_reset(&job->pieces);
    return size;
}

static uint64_t measure(struct encode_job *job)
{
    uint32_t vectors = vector_count_of(job->row_count);
    writer_reset(&job->pieces);
    if (sample(job, vectors) >= job->best)
        return BODY_IMPOSSIBLE;
    for (uint32_t vector = 0; vector < vectors; vector++) {
        add_vector(job, vector);
        if (vector % 8 == 7)
            job_pause(job);
    }
    return align8((uint64_t)vectors * 4) + align8(job->pieces.size);
}

static void encode(struct encode_job *job, struct writer *out)
{
    static const uint8_t zeros[8];
    uint32_t vectors = vector_count_of(job->row_count);
    for (uint32_t vector = 0; vector < vectors; vector++)
        writer_u32(out, (uint32_t)job->piece_sizes[vector].stored);
    writer_bytes(out, zeros, align8((uint64_t)vectors * 4) - (uint64_t)vectors * 4);
    writer_slice(out, writer_as_slice(&job->pieces));
    writer_bytes(out, zeros, align8(job->pieces.size) - job->pieces.size);
}

/* --- reading --- */

static bool open_body(struct block *block, struct slice body)
{
    const uint8_t *data = (const uint8_t *)body.data;
    uint32_t vectors = vector_count_of(block->row_count);
    uint64_t sizes = align8((uint64_t)vectors * 4), total = 0;
    if (body.size < sizes)
        return false;
    struct lz4_own own = {
        .sizes = data, .pieces = data + sizes, .width = block_width(block->class)};
    for (uint32_t vector = 0; vector < vectors; vector++) {
        uint64_t raw = (uint64_t)vector_rows_of(block->row_count, vector) * own.width;
        uint64_t stored = load_u32(own.sizes + (size_t)vector * 4);
        if (!piece_is_possible(stored, raw))
            return false;
        total += stored;
    }
    block_set_own(block, &own);
    return align8(total) == body.size - sizes;
}

/* `turned` has room for the whole vector. */
static bool unpack(const struct block *block, const struct lz4_own *own, uint32_t vector,
                   uint8_t *turned)
{
    size_t offset = 0;
    for (uint32_t before = 0; before < vector; before++)
        offset += load_u32(own->sizes + (size_t)before * 4);
    struct slice stored = slice_of(own->pieces + offset, load_u32(own->sizes + (size_t)vector * 4));
    return piece_read(stored, turned,
                      (size_t)vector_rows_of(block->row_count, vector) * own->width);
}

static inline uint64_t take_turned(const uint8_t *turned, size_t stride, size_t index)
{
    uint64_t value = 0;
    for (uint32_t byte = 0; byte < 8; byte++)
        value |= (uint64_t)turned[byte * stride + index] << 8 * byte;
    return value;
}

/* Eight values at a time: transposing 8 by 8 bytes is four times faster than gathering them. */
static uint32_t turn_back_eights(const uint8_t *turned, size_t stride, uint32_t count,
                                 uint64_t *out)
{
    uint32_t i = 0;
#if defined(__SSE2__)
    for (; i + 8 <= count; i += 8) {
        __m128i byte[8], *to = (__m128i *)(void *)(out + i);
        for (uint32_t k = 0; k < 8; k++)
            byte[k] = _mm_loadl_epi64((const __m128i *)(const void *)(turned + k * stride + i));
        __m128i pair0 = _mm_unpacklo_epi8(byte[0], byte[1]);
        __m128i pair2 = _mm_unpacklo_epi8(byte[2], byte[3]);
        __m128i pair4 = _mm_unpacklo_epi8(byte[4], byte[5]);
        __m128i pair6 = _mm_unpacklo_epi8(byte[6], byte[7]);
        __m128i low0 = _mm_unpacklo_epi16(pair0, pair2), low4 = _mm_unpackhi_epi16(pair0, pair2);
        __m128i high0 = _mm_unpacklo_epi16(pair4, pair6), high4 = _mm_unpackhi_epi16(pair4, pair6);
        _mm_storeu_si128(to, _mm_unpacklo_epi32(low0, high0));
        _mm_storeu_si128(to + 1, _mm_unpackhi_epi32(low0, high0));
        _mm_storeu_si128(to + 2, _mm_unpacklo_epi32(low4, high4));
        _mm_storeu_si128(to + 3, _mm_unpackhi_epi32(low4, high4));
    }
#endif
    return i;
}

static void turn_back(const uint8_t *turned, size_t stride, uint32_t count, uint64_t *out)
{
    for (uint32_t i = turn_back_eights(turned, stride, count, out); i < count; i++)
        out[i] = take_turned(turned, stride, i);
}

static enum err read_rows(const struct block *block, uint32_t begin, uint32_t count,
                          struct block_scratch *scratch, void *out, struct error *error)
{
    struct lz4_own own;
    uint8_t turned[PIECE_SIZE_MAX];
    block_own(block, &own);
    (void)scratch;
    uint32_t vector = begin / BLOCK_VECTOR_ROWS, words = own.width / 8;
    size_t stride = vector_rows_of(block->row_count, vector);
    if (!unpack(block, &own, vector, turned))
        return error_block(error, "a piece does not decompress to its size");
    if (words == 1) {
        turn_back(turned, stride, count, out);
        return OK;
    }
    uint64_t word[BLOCK_VECTOR_ROWS], *values = out;
    for (uint32_t half = 0; half < 2; half++) {
        turn_back(turned + half * 8 * stride, stride, count, word);
        for (uint32_t i = 0; i < count; i++)
            values[2 * (size_t)i + half] = word[i];
    }
    return OK;
}

static enum err read_at(const struct block *block, const uint32_t *rows, uint32_t count,
                        struct block_scratch *scratch, void *out, struct error *error)
{
    struct lz4_own own;
    block_own(block, &own);
    if (count == 0)
        return OK;
    uint32_t vector = rows[0] / BLOCK_VECTOR_ROWS, words = own.width / 8;
    size_t stride = vector_rows_of(block->row_count, vector);
    if (scratch->tag != block_tag(block, vector)) {
        if (!scratch_reserve(scratch, stride * own.width))
            return error_set(error, ERR_MEMORY, NULL, "no memory for a piece of a block");
        if (!unpack(block, &own, vector, (uint8_t *)scratch->data))
            return error_block(error, "a piece does not decompress to its size");
        scratch->tag = block_tag(block, vector);
    }
    const uint8_t *turned = (const uint8_t *)scratch->data;
    uint64_t *values = out;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t word = 0; word < words; word++)
            *values++ =
                take_turned(turned + word * 8 * stride, stride, rows[i] % BLOCK_VECTOR_ROWS);
    }
    return OK;
}

const struct encoding encoding_lz4 = {
    .name = "lz4",
    .doc = "values turned byte by byte and compressed, a vector at a time",
    .tag = 6,
    .handicap = 10,
    .classes = CLASS_BIT(BLOCK_FLOAT) | CLASS_BIT(BLOCK_WIDE),
    .is_dear = true,
    .measure = measure,
    .encode = encode,
    .open = open_body,
    .read = read_rows,
    .read_at = read_at,
};
