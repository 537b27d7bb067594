/* Encoding and checking of the two headers. The offsets are those of FORMAT.md; all integers
 * little-endian. */
#include "storage/log/format.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are copied as they lie");

#define FILE_MAGIC 0x31474f4c48535246ULL /* "FRSHLOG1" */
#define PIECE_MAGIC 0x50474f4cU          /* "LOGP" */
#define FILE_HEADER_SIZE ((size_t)96)
#define NUMBER_MAX                                                                                 \
    ((uint64_t)1 << 62) /* of files, epochs, sequences: none gets near, and none can wrap */

static void put_u32(char *p, size_t offset, uint32_t value)
{
    memcpy(p + offset, &value, sizeof(value));
}

static void put_u64(char *p, size_t offset, uint64_t value)
{
    memcpy(p + offset, &value, sizeof(value));
}

static uint32_t get_u32(const char *p, size_t offset)
{
    uint32_t value;
    memcpy(&value, p + offset, sizeof(value));
    return value;
}

static uint64_t get_u64(const char *p, size_t offset)
{
    uint64_t value;
    memcpy(&value, p + offset, sizeof(value));
    return value;
}

void log_file_header_encode(struct log_file_header *header, void *block)
{
    header->version = LOG_VERSION;
    char *p = memset(block, 0, LOG_BLOCK_SIZE);
    put_u64(p, 0, FILE_MAGIC);
    put_u32(p, 12, LOG_VERSION);
    put_u64(p, 16, header->uuid.low);
    put_u64(p, 24, header->uuid.high);
    put_u64(p, 32, header->number);
    put_u64(p, 40, header->epoch);
    put_u64(p, 48, header->size);
    put_u64(p, 56, header->previous.file_number);
    put_u64(p, 64, header->previous.sequence);
    put_u64(p, 72, header->previous.position);
    put_u32(p, 80, header->previous.crc);
    put_u32(p, 8, crc32c(0, p + 12, FILE_HEADER_SIZE - 12));
}

bool log_file_header_decode(const void *block, struct log_file_header *header, uint32_t *version)
{
    const char *p = block;
    *version = 0;
    if (get_u64(p, 0) != FILE_MAGIC || get_u32(p, 8) != crc32c(0, p + 12, FILE_HEADER_SIZE - 12))
        return false;
    *version = get_u32(p, 12);
    if (*version < 1 || *version > LOG_VERSION)
        return false;
    *header = (struct log_file_header){
        .uuid = {.low = get_u64(p, 16), .high = get_u64(p, 24)},
        .version = *version,
        .number = get_u64(p, 32),
        .epoch = get_u64(p, 40),
        .size = get_u64(p, 48),
        .previous = {.file_number = get_u64(p, 56),
                     .sequence = get_u64(p, 64),
                     .position = get_u64(p, 72),
                     .crc = get_u32(p, 80)},
    };
    return header->number != 0 && header->number < NUMBER_MAX && header->epoch < NUMBER_MAX &&
           header->previous.file_number < header->number;
}

void log_piece_encode(struct log_piece_header *header, void *piece)
{
    char *p = piece;
    memset(p, 0, LOG_PIECE_HEADER_SIZE);
    put_u32(p, 0, PIECE_MAGIC);
    put_u32(p, 8, header->size);
    put_u32(p, 12, header->carried);
    put_u64(p, 16, header->uuid.low);
    put_u64(p, 24, header->uuid.high);
    put_u64(p, 32, header->number);
    put_u64(p, 40, header->epoch);
    put_u64(p, 48, header->offset);
    put_u64(p, 56, header->sequence);
    put_u64(p, 64, header->first_position);
    put_u64(p, 72, header->last_position);
    put_u64(p, 80, header->durable_sequence);
    put_u64(p, 88, header->durable_position);
    put_u32(p, 96, header->previous_crc);
    header->crc = crc32c(0, p + 8, LOG_PIECE_HEADER_SIZE - 8 + header->size);
    put_u32(p, 4, header->crc);
}

bool log_piece_is_likely(const void *piece)
{
    return get_u32(piece, 0) == PIECE_MAGIC;
}

uint32_t log_piece_content_size(const void *piece)
{
    return get_u32(piece, 8);
}

bool log_piece_decode(const void *piece, size_t available, struct log_piece_header *header)
{
    const char *p = piece;
    if (available < LOG_PIECE_HEADER_SIZE || !log_piece_is_likely(p))
        return false;
    uint32_t size = get_u32(p, 8);
    size_t size_max = fault_is("log.large_piece_is_torn") ? (size_t)1 << 20 : LOG_PIECE_SIZE_MAX;
    if (size > size_max - LOG_PIECE_HEADER_SIZE || size > available - LOG_PIECE_HEADER_SIZE)
        return false;
    uint32_t crc = crc32c(0, p + 8, LOG_PIECE_HEADER_SIZE - 8 + size);
    if (crc != get_u32(p, 4))
        return false;
    *header = (struct log_piece_header){
        .size = size,
        .carried = get_u32(p, 12),
        .uuid = {.low = get_u64(p, 16), .high = get_u64(p, 24)},
        .number = get_u64(p, 32),
        .epoch = get_u64(p, 40),
        .offset = get_u64(p, 48),
        .sequence = get_u64(p, 56),
        .first_position = get_u64(p, 64),
        .last_position = get_u64(p, 72),
        .durable_sequence = get_u64(p, 80),
        .durable_position = get_u64(p, 88),
        .previous_crc = get_u32(p, 96),
        .crc = crc,
    };
    return header->carried <= size;
}

void log_file_name(const char *directory, uint64_t number, char *out, size_t size)
{
    const char *slash = directory[0] == '\0' ? "" : "/";
    int length =
        snprintf(out, size, "%s%slog-%016llx.flog", directory, slash, (unsigned long long)number);
    assert(length > 0 && (size_t)length < size);
}

uint64_t log_file_number(const char *name)
{
    uint64_t number = 0;
    if (strlen(name) != 4 + 16 + 5 || strncmp(name, "log-", 4) != 0 ||
        strcmp(name + 20, ".flog") != 0)
        return 0;
    for (const char *p = name + 4; p < name + 20; p++) {
        const char *digits = "0123456789abcdef";
        const char *digit = strchr(digits, *p);
        if (digit == NULL)
            return 0;
        number = number << 4 | (uint64_t)(digit - digits);
    }
    return number < NUMBER_MAX ? number : 0;
}
