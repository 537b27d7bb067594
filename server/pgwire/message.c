/* Lengths are checked before anything is read or kept: one below 4 (which counts itself) or above
 * the limit is the end of the connection, as in PostgreSQL. Numbers are big-endian. */
#include "server/pgwire/message.h"

#include <assert.h>

static uint32_t big_endian(const char *bytes)
{
    const unsigned char *b = (const unsigned char *)bytes;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

size_t message_first_size(struct slice input)
{
    if (input.size < 4)
        return 4;
    uint32_t size = big_endian(input.data);
    return size < 8 || size > MESSAGE_STARTUP_MAX ? 0 : size;
}

size_t message_next_size(struct slice input, size_t size_max)
{
    if (input.size < 5)
        return 5;
    uint32_t size = big_endian(input.data + 1);
    return size < 4 || size - 4 > size_max ? 0 : (size_t)size + 1;
}

static enum message_found cut(struct slice input, size_t size, size_t head, struct message *out)
{
    if (size == 0)
        return MESSAGE_BROKEN;
    if (input.size < size || input.size < head)
        return MESSAGE_MORE;
    *out = (struct message){.type = head == 5 ? input.data[0] : 0,
                            .body = slice_of(input.data + head, size - head),
                            .size = size};
    return MESSAGE_WHOLE;
}

enum message_found message_first(struct slice input, struct message *out)
{
    size_t size = message_first_size(input);
    return input.size < 4 ? MESSAGE_MORE : cut(input, size, 4, out);
}

enum message_found message_next(struct slice input, size_t size_max, struct message *out)
{
    size_t size = message_next_size(input, size_max);
    return input.size < 5 ? MESSAGE_MORE : cut(input, size, 5, out);
}

uint16_t message_u16(struct reader *reader)
{
    return __builtin_bswap16(reader_u16(reader));
}

uint32_t message_u32(struct reader *reader)
{
    return __builtin_bswap32(reader_u32(reader));
}

struct slice message_text(struct reader *reader)
{
    const uint8_t *begin = reader->data + reader->offset;
    const uint8_t *end = reader_left(reader) == 0 ? NULL : memchr(begin, 0, reader_left(reader));
    if (reader->failed || end == NULL) {
        reader->failed = true;
        return SLICE("");
    }
    reader->offset += (size_t)(end - begin) + 1;
    return slice_of(begin, (size_t)(end - begin));
}

size_t message_begin(struct writer *out, char type)
{
    writer_u8(out, (uint8_t)type);
    size_t begin = out->size;
    writer_u32(out, 0);
    return begin;
}

void message_end(struct writer *out, size_t begin)
{
    writer_patch_u32(out, begin, __builtin_bswap32((uint32_t)(out->size - begin)));
}

void message_put_u16(struct writer *out, uint16_t value)
{
    writer_u16(out, __builtin_bswap16(value));
}

void message_put_u32(struct writer *out, uint32_t value)
{
    writer_u32(out, __builtin_bswap32(value));
}

void message_put_text(struct writer *out, struct slice text)
{
    writer_slice(out, text);
    writer_u8(out, 0);
}

void message_patch_u16(struct writer *out, size_t offset, uint16_t value)
{
    assert(offset + 2 <= out->size);
    out->data[offset] = (uint8_t)(value >> 8);
    out->data[offset + 1] = (uint8_t)value;
}
