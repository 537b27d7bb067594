/* Rows put aside on disk: streams of batches in the run's one temporary file, and the rule of when
 * an operator has to. For query/exec only. */
#ifndef FRESHET_QUERY_EXEC_SPILL_H
#define FRESHET_QUERY_EXEC_SPILL_H

#include "query/exec/operator.h"
#include "storage/io/temp.h"

/* A sequence of rows, written once and then read, once or several times. */
struct spill_stream {
    struct exec_node *node;
    const struct type *types; /* borrowed */
    size_t column_count;
    uint64_t row_count;
    /* private */
    uint64_t id;
    uint32_t *blocks; /* of the file, in order */
    size_t block_count, block_capacity;
    char *buffer; /* the block in hand, NULL: none */
    size_t used;  /* of it: written, or read */
    size_t next_block, forgotten_count;
    bool is_at_end;
    uint32_t piece_rows;       /* of the next piece; 0: not looked at */
    struct exec_memory memory; /* of the batch that was read last */
    struct arena scratch;
};

/* Whether an operator that holds `own` bytes of rows and is about to take `need` more has to put
 * its rows aside first: three quarters of the query's memory, or seven eighths of all queries',
 * are in use, and its rows are worth it; or the memory would not be there. */
bool spill_is_due(const struct exec *exec, size_t own, size_t need);
/* May this run put rows aside at all? */
bool spill_is_on(const struct exec *exec);
/* Bytes of a block of this run's file: 1/256 of its memory, 4 to 256 KiB. */
size_t spill_block_size(const struct exec *exec);
/* At the end of a run: its file goes, whatever is in it. */
void spill_close(struct exec *exec);

void spill_stream_init(struct spill_stream *stream, struct exec_node *node,
                       const struct type *types, size_t column_count);
/* A zeroed one is fine. Its blocks may be written anew. */
void spill_stream_deinit(struct spill_stream *stream);
/* Adds rows of the batch: those in `selection`, or the first `count` if it is NULL. */
MUST_CHECK enum err spill_stream_write(struct spill_stream *stream, const struct batch *batch,
                                       const uint32_t *selection, size_t count,
                                       struct error *error);
/* After the last row: what is in hand goes to the file, memory is given back. */
MUST_CHECK enum err spill_stream_end(struct spill_stream *stream, struct error *error);
/* The next rows, 0: the end; they hold until the next call. With rows_max 1 the least that was
 * written together, else up to so many (at least one piece). is_last: they are not read again, and
 * their blocks may be written anew. */
MUST_CHECK enum err spill_stream_read(struct spill_stream *stream, size_t rows_max, bool is_last,
                                      struct batch *out, struct error *error);
/* Back to the first row, of a stream that was not read with is_last. */
void spill_stream_rewind(struct spill_stream *stream);

/* Parts of rows by a hash of them, five bits of it for each depth of splitting. */
#define SPILL_PARTS 32
#define SPILL_DEPTH_MAX 6
unsigned spill_part(uint64_t hash, size_t depth);
/* Writes the rows of the selection (NULL: the first `count`) to the streams of their parts; hashes
 * are by row. */
MUST_CHECK enum err spill_write_parts(struct spill_stream *const *streams, size_t depth,
                                      const struct batch *batch, const uint32_t *selection,
                                      size_t count, const uint64_t *hashes, struct error *error);

#endif
