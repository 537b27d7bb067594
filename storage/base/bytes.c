/* Sticky readers and writers. Sticky errors take the checks out of every format function: a torn
 * input ends as zeros and one `failed`, never as a read past the end. */
#include "storage/base/bytes.h"

#include "storage/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const uint8_t *take(struct reader *reader, size_t size)
{
    if (reader->failed || reader->size - reader->offset < size) {
        reader->failed = true;
        return NULL;
    }
    const uint8_t *p = reader->data + reader->offset;
    reader->offset += size;
    return p;
}

uint8_t reader_u8(struct reader *reader)
{
    const uint8_t *p = take(reader, 1);
    return p != NULL ? *p : 0;
}

uint16_t reader_u16(struct reader *reader)
{
    uint16_t value = 0;
    const uint8_t *p = take(reader, sizeof(value));
    if (p != NULL)
        memcpy(&value, p, sizeof(value));
    return value;
}

uint32_t reader_u32(struct reader *reader)
{
    uint32_t value = 0;
    const uint8_t *p = take(reader, sizeof(value));
    if (p != NULL)
        memcpy(&value, p, sizeof(value));
    return value;
}

uint64_t reader_u64(struct reader *reader)
{
    uint64_t value = 0;
    const uint8_t *p = take(reader, sizeof(value));
    if (p != NULL)
        memcpy(&value, p, sizeof(value));
    return value;
}

int64_t reader_i64(struct reader *reader)
{
    return (int64_t)reader_u64(reader);
}

uint16_t reader_be16(struct reader *reader)
{
    return __builtin_bswap16(reader_u16(reader));
}

uint32_t reader_be32(struct reader *reader)
{
    return __builtin_bswap32(reader_u32(reader));
}

uint64_t reader_varint(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = reader_u8(reader);
        if (shift == 63 && byte > 1)
            break;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0)
            return reader->failed ? 0 : value;
    }
    reader->failed = true;
    return 0;
}

struct slice reader_bytes(struct reader *reader, size_t size)
{
    const uint8_t *p = take(reader, size);
    return slice_of(p, p != NULL ? size : 0);
}

struct slice reader_text(struct reader *reader)
{
    uint64_t size = reader_varint(reader);
    if (size > reader_left(reader)) {
        reader->failed = true;
        return slice_of(NULL, 0);
    }
    return reader_bytes(reader, (size_t)size);
}

void writer_init(struct writer *writer)
{
    *writer = (struct writer){0};
}

void writer_init_block(struct writer *writer, size_t head)
{
    assert(head > 0 && head < WRITER_BLOCK_SIZE);
    *writer = (struct writer){.head = head};
}

void writer_init_lent(struct writer *writer, size_t head, void *memory, size_t size)
{
    assert((uintptr_t)memory % WRITER_BLOCK_SIZE == 0);
    assert(size >= WRITER_BLOCK_SIZE && size % WRITER_BLOCK_SIZE == 0);
    writer_init_block(writer, head);
    writer->data = (uint8_t *)memory + head;
    writer->capacity = size - head;
    writer->is_lent = true;
}

void writer_deinit(struct writer *writer)
{
    if (writer->data != NULL && !writer->is_lent)
        memory_free(writer->data - writer->head);
    *writer = (struct writer){0};
}

void writer_reset(struct writer *writer)
{
    writer->size = 0;
    writer->failed = false;
}

static void grow(struct writer *writer, size_t capacity)
{
    if (writer->head == 0) {
        writer->data = memory_realloc(writer->data, capacity);
        writer->capacity = capacity;
        return;
    }
    size_t blocks = (writer->head + capacity + WRITER_BLOCK_SIZE - 1) / WRITER_BLOCK_SIZE;
    size_t size = blocks * WRITER_BLOCK_SIZE;
    /* What is written from where it lies is one piece then for the disk, not one for each page. */
    uint8_t *data = size >= MEMORY_HUGE_SIZE / 2 ? memory_alloc_huge(size)
                                                 : memory_alloc_aligned(WRITER_BLOCK_SIZE, size);
    if (writer->data != NULL) {
        memcpy(data, writer->data - writer->head, writer->head + writer->size);
        if (!writer->is_lent)
            memory_free(writer->data - writer->head);
    }
    writer->is_lent = false;
    writer->data = data + writer->head;
    writer->capacity = blocks * WRITER_BLOCK_SIZE - writer->head;
}

void *writer_reserve(struct writer *writer, size_t size)
{
    if (writer->failed || (writer->limit != 0 && size > writer->limit - writer->size)) {
        writer->failed = true;
        return NULL;
    }
    if (writer->data == NULL || writer->capacity - writer->size < size) {
        size_t capacity = writer->capacity < 256 ? 256 : writer->capacity * 2;
        if (capacity < writer->size + size)
            capacity = writer->size + size;
        grow(writer, capacity);
    }
    return writer->data + writer->size;
}

void writer_bytes(struct writer *writer, const void *data, size_t size)
{
    void *p = writer_reserve(writer, size);
    if (p == NULL || size == 0)
        return;
    memcpy(p, data, size);
    writer->size += size;
}

void writer_u8(struct writer *writer, uint8_t value)
{
    writer_bytes(writer, &value, sizeof(value));
}

void writer_u16(struct writer *writer, uint16_t value)
{
    writer_bytes(writer, &value, sizeof(value));
}

void writer_u32(struct writer *writer, uint32_t value)
{
    writer_bytes(writer, &value, sizeof(value));
}

void writer_u64(struct writer *writer, uint64_t value)
{
    writer_bytes(writer, &value, sizeof(value));
}

void writer_i64(struct writer *writer, int64_t value)
{
    writer_bytes(writer, &value, sizeof(value));
}

void writer_be16(struct writer *writer, uint16_t value)
{
    writer_u16(writer, __builtin_bswap16(value));
}

void writer_be32(struct writer *writer, uint32_t value)
{
    writer_u32(writer, __builtin_bswap32(value));
}

void writer_be64(struct writer *writer, uint64_t value)
{
    writer_u64(writer, __builtin_bswap64(value));
}

void writer_varint(struct writer *writer, uint64_t value)
{
    while (value >= 0x80) {
        writer_u8(writer, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    writer_u8(writer, (uint8_t)value);
}

void writer_slice(struct writer *writer, struct slice s)
{
    writer_bytes(writer, s.data, s.size);
}

void writer_text(struct writer *writer, struct slice s)
{
    writer_varint(writer, s.size);
    writer_bytes(writer, s.data, s.size);
}

void writer_cstr(struct writer *writer, const char *text)
{
    writer_bytes(writer, text, strlen(text));
}

void writer_printf(struct writer *writer, const char *format, ...)
{
    va_list arguments;
    va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    assert(size >= 0);
    char *p = writer_reserve(writer, (size_t)size + 1);
    if (p != NULL) {
        vsnprintf(p, (size_t)size + 1, format, again);
        writer->size += (size_t)size;
    }
    va_end(again);
}

void writer_patch_u32(struct writer *writer, size_t offset, uint32_t value)
{
    if (writer->failed)
        return;
    assert(offset + sizeof(value) <= writer->size);
    memcpy(writer->data + offset, &value, sizeof(value));
}

void writer_patch_be32(struct writer *writer, size_t offset, uint32_t value)
{
    writer_patch_u32(writer, offset, __builtin_bswap32(value));
}
