/* Temporary files: blocks that live no longer than the process, for queries whose rows do not fit
 * their memory.
 *
 * A space is a folder with one limit for all files in it; each file belongs to one thread at a
 * time and has an io of its own, never the log's ring. */
#ifndef FRESHET_STORAGE_IO_TEMP_H
#define FRESHET_STORAGE_IO_TEMP_H

#include "storage/io/io.h"

struct temp_space;
struct temp_file;

#define TEMP_BLOCK_MIN IO_ALIGNMENT
/* At the start of each block; the rest is the caller's. */
#define TEMP_HEADER_SIZE ((size_t)16)

struct temp_options {
    struct io *io;          /* of the data directory; outlives the space */
    const char *limit_name; /* what texts call the limit */
    uint64_t limit;         /* bytes of all files; 0: a tenth of the disk */
    uint64_t low_mark;      /* bytes of the disk that files leave free */
};

struct temp_figures {
    uint64_t used, limit;         /* bytes on the disk now, and at most */
    uint64_t written, file_count; /* since the start */
};

/* Makes the folder and removes what a process that died left in it. */
MUST_CHECK enum err temp_space_create(const struct temp_options *options, struct temp_space **out,
                                      struct error *error);
void temp_space_destroy(struct temp_space *space); /* no file is open; NULL is nothing */
void temp_space_figures(struct temp_space *space, struct temp_figures *out); /* any thread */

/* Any thread. The file has no name any more when this returns: it goes with its descriptor,
 * however the process ends. block_size: a multiple of TEMP_BLOCK_MIN. */
MUST_CHECK enum err temp_file_create(struct temp_space *space, size_t block_size,
                                     struct temp_file **out, struct error *error);
void temp_file_destroy(struct temp_file *file); /* NULL is nothing */
/* Aligned memory of one block. */
void *temp_file_buffer(struct temp_file *file);
void temp_file_buffer_free(struct temp_file *file, void *buffer);
/* Writes a buffer to a free place of the file, *block, and seals it with a checksum and `identity`.
 * ERR_SPACE (53100) when the disk is full or nearly, ERR_LIMIT (53200) at the space's limit. */
MUST_CHECK enum err temp_file_write(struct temp_file *file, void *buffer, uint64_t identity,
                                    uint32_t *block, struct error *error);
/* ERR_CORRUPT if it is not the block that was written there as `identity`. */
MUST_CHECK enum err temp_file_read(struct temp_file *file, uint32_t block, uint64_t identity,
                                   void *buffer, struct error *error);
/* The place may be written anew. */
void temp_file_forget(struct temp_file *file, uint32_t block);

#endif
