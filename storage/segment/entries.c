/* Dictionary pages: the texts of a column, sorted, as one block of text.
 *
 * The encodings of text are good enough for sorted texts too (neighbours share their beginnings,
 * which LZ4 finds), so there is no format of its own to check and to keep. A page is read as a
 * whole, once, when the segment's column is first asked for, and kept as slices: a scan over codes
 * needs the texts only for what it gives back. */
#include "storage/segment/footer.h"

#include <assert.h>

void entries_write(const struct slice *entries, uint32_t count,
                   const struct encode_options *options, struct writer *out)
{
    assert(count > 0);
    assert(count <= SEALED_ENTRIES_MAX);
    struct block_values values = {.class = BLOCK_TEXT, .row_count = count, .text = entries};
    struct block_encoded encoded;
    block_encode(&values, options, out, &encoded);
}

/* Copies one vector's texts behind each other. */
static void keep_texts(struct slice *texts, uint32_t count, struct arena *arena)
{
    size_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += texts[i].size;
    char *bytes = arena_alloc(arena, size);
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i].size != 0)
            memcpy(bytes, texts[i].data, texts[i].size);
        texts[i].data = bytes;
        bytes += texts[i].size;
    }
}

enum err entries_read(struct slice page, uint32_t count, struct pauser *pauser, struct arena *arena,
                      struct slice **out, struct error *error)
{
    struct block block;
    struct block_scratch scratch;
    assert(count > 0);
    assert(count <= SEALED_ENTRIES_MAX);
    enum err err = block_open(page, BLOCK_TEXT, count, &block, error);
    if (err != OK)
        return err;
    if (block.null_count != 0)
        return error_set(error, ERR_CORRUPT, NULL, "a dictionary has a NULL");
    struct slice *texts = arena_alloc_array(arena, count, sizeof(*texts));
    block_scratch_init(&scratch);
    for (uint32_t begin = 0; err == OK && begin < count; begin += BLOCK_VECTOR_ROWS) {
        uint32_t left = count - begin;
        uint32_t rows = left < BLOCK_VECTOR_ROWS ? left : BLOCK_VECTOR_ROWS;
        err = block_read(&block, begin, rows, &scratch, texts + begin, error);
        if (err == OK)
            keep_texts(texts + begin, rows, arena);
        if (err == OK && pauser != NULL && !pauser_go_on(pauser))
            err = error_set(error, ERR_CANCELLED, NULL, "reading was given up");
    }
    block_scratch_deinit(&scratch);
    for (uint32_t i = 1; err == OK && i < count; i++) {
        if (slice_compare(texts[i - 1], texts[i]) >= 0)
            err = error_set(error, ERR_CORRUPT, NULL, "the texts of a dictionary are out of order");
    }
    if (err == OK)
        *out = texts;
    return err;
}
