/* The footer of a sealed segment's file: where its pages are and what is known of them unread.
 *
 *   header (64 bytes) | pages: per column dictionary, blocks; then indexes | footer | zeros
 *
 * A page begins at a multiple of 8. Each has its own XXH3-64, seeded with the segment's number and
 * the page's ordinal, so that a page of another place is not taken for this one. The footer's
 * offset, size and checksum are in the manifest (and in the header, for `freshet check`); its
 * ordinal is FOOTER_ORDINAL. The bytes are in FORMAT.md. */
#ifndef FRESHET_STORAGE_SEGMENT_FOOTER_H
#define FRESHET_STORAGE_SEGMENT_FOOTER_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/hash.h"
#include "storage/column/type.h"
#include "storage/encoding/encoding.h"

/* Asked between pieces of work of a millisecond or so. Once it is false it stays so. */
struct pauser {
    bool (*pause)(void *context); /* NULL: never */
    void *context;
    bool is_cancelled;
};
/* False: give up, ERR_CANCELLED. */
bool pauser_go_on(struct pauser *pauser);

#define SEALED_VERSION 1
#define SEALED_ROWS_MAX (UINT32_C(1) << 24)
#define SEALED_ENTRIES_MAX 65536 /* of a dictionary */
#define SEALED_PAGE_ALIGNMENT 8
#define SEALED_HEADER_SIZE ((size_t)64)
#define FOOTER_ORDINAL UINT32_MAX

/* The first bytes of the file, for those who come without a manifest. */
struct sealed_header {
    uint64_t number;
    uint32_t table_id;
    uint32_t row_count;
    uint64_t footer_offset;
    uint32_t footer_size;
    uint64_t footer_checksum;
};
/* SEALED_HEADER_SIZE bytes. */
void sealed_header_write(const struct sealed_header *header, void *out);
/* ERR_CORRUPT: not a header, damaged, of a later version, or a footer outside of the file. */
MUST_CHECK enum err sealed_header_read(struct slice bytes, uint64_t file_size,
                                       struct sealed_header *out, struct error *error);
/* Of a page, or of the footer under FOOTER_ORDINAL. */
uint64_t sealed_checksum(uint64_t number, uint32_t ordinal, struct slice bytes);
/* The same of bytes that come in pieces. */
void sealed_checksum_begin(uint64_t number, uint32_t ordinal, struct hash_stream *stream);

struct sealed_page {
    uint64_t offset; /* in the file; size 0: there is no such page */
    uint32_t size;
    uint32_t ordinal; /* seeds the checksum */
    uint64_t checksum;
};

struct sealed_block { /* rows [i * BLOCK_ROWS_MAX, …) of one column */
    struct sealed_page page;
    uint8_t encoding;
    struct block_zone zone; /* of codes where the column has a dictionary */
};

struct sealed_column {
    uint32_t column_id;
    struct type type;
    /* Texts of the segment, sorted by bytes, distinct: blocks hold codes. 0: blocks hold values. */
    uint32_t entry_count;
    struct sealed_page dictionary;
    struct sealed_page index;    /* bitmap; size 0: none */
    uint64_t raw_bytes;          /* of the values as they are */
    struct sealed_block *blocks; /* block_count of them */
};

struct sealed_footer {
    uint64_t number;
    uint32_t table_id;
    uint32_t schema_version;
    uint32_t row_count;
    uint32_t block_count;
    uint32_t column_count;
    uint32_t time_column_id; /* rows are sorted by it; 0: none */
    uint64_t first_position, last_position;
    int64_t created_at_us;
    struct sealed_column *columns; /* by column id, ascending */
};

void footer_write(const struct sealed_footer *footer, struct writer *out);
/* Bytes that footer_write makes of so many columns and blocks. */
size_t footer_size(uint32_t column_count, uint32_t block_count);
/* In the arena. ERR_CORRUPT: anything that readers would trip over (pages outside of the file or
 * over each other, counts, types that are not storable, codes without an entry, …). What lies in
 * the pages is for others to check. */
MUST_CHECK enum err footer_read(struct slice bytes, uint64_t file_size, struct arena *arena,
                                struct sealed_footer *out, struct error *error);

/* --- dictionary pages: segment/entries.c --- */

/* A dictionary page is one BLOCK_TEXT block of `count` values, none NULL, strictly ascending by
 * bytes: code i is the i-th. Appended to `out`. */
void entries_write(const struct slice *entries, uint32_t count,
                   const struct encode_options *options, struct writer *out);
/* All of them, checked (order, hence distinct), in the arena; nothing borrowed from `page`.
 * ERR_CORRUPT. */
MUST_CHECK enum err entries_read(struct slice page, uint32_t count, struct pauser *pauser,
                                 struct arena *arena, struct slice **out, struct error *error);

#endif
