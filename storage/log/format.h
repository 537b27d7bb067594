/* The bytes of log files: the header of a file and the header of a piece. Private to storage/log;
 * see FORMAT.md. */
#ifndef FRESHET_STORAGE_LOG_FORMAT_H
#define FRESHET_STORAGE_LOG_FORMAT_H

#include "storage/base/slice.h"
#include "storage/io/io.h"

#define LOG_BLOCK_SIZE IO_ALIGNMENT
#define LOG_PIECE_HEADER_SIZE ((size_t)128)
#define LOG_PIECE_SIZE_MAX ((size_t)4 << 20) /* 1 MiB in files of versions 1 and 2 */
#define LOG_FRAME_HEADER_SIZE ((size_t)8)
#define LOG_FRAME_HEADER_SIZE_1 ((size_t)4) /* in files of version 1 */
#define LOG_NAME_SIZE 32
#define LOG_VERSION 3

struct log_uuid {
    uint64_t low, high;
};

/* Where the log ends: its last piece, and the last record that is whole there. */
struct log_point {
    uint64_t file_number; /* 0: before everything */
    uint64_t sequence;
    uint64_t position;
    uint32_t crc; /* of the piece: the next one repeats it */
};

/* Block 0 of a file. `previous` is where the log ended when this file was taken into use: what lies
 * behind that in older files was never acknowledged and does not count. */
struct log_file_header {
    struct log_uuid uuid;
    uint32_t version; /* filled by encode and decode */
    uint64_t number;
    uint64_t epoch;
    uint64_t size;
    struct log_point previous;
};

struct log_piece_header {
    struct log_uuid uuid;
    uint64_t number; /* of the file */
    uint64_t epoch;
    uint64_t offset;         /* in the file */
    uint64_t sequence;       /* of pieces, 1, 2, 3 … along the log */
    uint64_t first_position; /* of the first record with bytes here */
    uint64_t last_position;  /* of the last record that is whole with this piece */
    uint64_t
        durable_sequence; /* every piece up to this one was durable when this one was written */
    uint64_t durable_position;
    uint32_t previous_crc;
    uint32_t carried; /* content bytes at the front that belong to a record begun before */
    uint32_t size;    /* content bytes */
    uint32_t crc;     /* filled by encode and decode */
};

/* Fills the block (zeros behind); always of the newest version. */
void log_file_header_encode(struct log_file_header *header, void *block);
/* False if these are not the bytes of a file header; *version is set where the checksum holds. */
bool log_file_header_decode(const void *block, struct log_file_header *header, uint32_t *version);
/* `piece` is the header's room with header->size bytes of content behind. Computes the checksum. */
void log_piece_encode(struct log_piece_header *header, void *piece);
/* `available` bytes lie at `piece`. False if they are not a whole valid piece. */
bool log_piece_decode(const void *piece, size_t available, struct log_piece_header *header);
/* A cheap look at the magic number. */
bool log_piece_is_likely(const void *piece);
/* What the header says, unchecked: how much to read before log_piece_decode. */
uint32_t log_piece_content_size(const void *piece);

void log_file_name(const char *directory, uint64_t number, char *out, size_t size);
/* 0 if this is not the name of a log file. */
uint64_t log_file_number(const char *name);

#endif
