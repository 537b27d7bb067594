/* Sticky byte readers and writers. A read past the end sets `failed` and gives zeros; the caller
 * tests once at the end. Fixed-width integers are little-endian. */
#ifndef FRESHET_STORAGE_BASE_BYTES_H
#define FRESHET_STORAGE_BASE_BYTES_H

#include "storage/base/error.h"
#include "storage/base/slice.h"

struct reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    bool failed;
};

static inline struct reader reader_of(struct slice s)
{
    return (struct reader){.data = (const uint8_t *)s.data, .size = s.size};
}

static inline size_t reader_left(const struct reader *reader)
{
    return reader->size - reader->offset;
}

uint8_t reader_u8(struct reader *reader);
uint16_t reader_u16(struct reader *reader);
uint32_t reader_u32(struct reader *reader);
uint64_t reader_u64(struct reader *reader);
int64_t reader_i64(struct reader *reader);
/* Network byte order: PostgreSQL's protocol and formats. */
uint16_t reader_be16(struct reader *reader);
uint32_t reader_be32(struct reader *reader);
/* LEB128, at most 10 bytes. */
uint64_t reader_varint(struct reader *reader);
/* `size` bytes borrowed from the input; empty with data NULL on failure. */
struct slice reader_bytes(struct reader *reader, size_t size);
/* A varint length, then that many bytes. */
struct slice reader_text(struct reader *reader);

/* A growing buffer of its own. `limit` 0 is none; past it `failed` is set and nothing is added. */
struct writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t limit;
    bool failed;
    bool is_lent; /* see writer_init_lent */
    size_t head;  /* 0: none; see writer_init_block */
};

#define WRITER_BLOCK_SIZE ((size_t)4096)

void writer_init(struct writer *writer);
/* The same, but `data` lies `head` bytes, less than a block, behind a multiple of
 * WRITER_BLOCK_SIZE: for bytes that go to disk from where they are, with a header in front of them.
 * The head's bytes belong to whoever asked for them; they move with the data. */
void writer_init_block(struct writer *writer, size_t head);
/* The same in the caller's memory, of whole blocks at a multiple of WRITER_BLOCK_SIZE, which stays
 * the caller's; what does not fit goes to memory of its own. */
void writer_init_lent(struct writer *writer, size_t head, void *memory, size_t size);
void writer_deinit(struct writer *writer);
void writer_reset(struct writer *writer);
/* Room for `size` more bytes; the address of the first. NULL past the limit. `size` is not
 * advanced. */
void *writer_reserve(struct writer *writer, size_t size);
void writer_u8(struct writer *writer, uint8_t value);
void writer_u16(struct writer *writer, uint16_t value);
void writer_u32(struct writer *writer, uint32_t value);
void writer_u64(struct writer *writer, uint64_t value);
void writer_i64(struct writer *writer, int64_t value);
void writer_be16(struct writer *writer, uint16_t value);
void writer_be32(struct writer *writer, uint32_t value);
void writer_be64(struct writer *writer, uint64_t value);
void writer_varint(struct writer *writer, uint64_t value);
void writer_bytes(struct writer *writer, const void *data, size_t size);
void writer_slice(struct writer *writer, struct slice s);  /* bytes only */
void writer_text(struct writer *writer, struct slice s);   /* varint length, then bytes */
void writer_cstr(struct writer *writer, const char *text); /* bytes only */
void writer_printf(struct writer *writer, const char *format, ...) PRINTF_LIKE(2, 3);
/* Overwrites 4 bytes at `offset`: lengths that are known late. */
void writer_patch_u32(struct writer *writer, size_t offset, uint32_t value);
void writer_patch_be32(struct writer *writer, size_t offset, uint32_t value);

static inline struct slice writer_as_slice(const struct writer *writer)
{
    return slice_of(writer->data, writer->size);
}

#endif
