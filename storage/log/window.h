/* A file seen through a window that moves on, for recovery. Private to storage/log. */
#ifndef FRESHET_STORAGE_LOG_WINDOW_H
#define FRESHET_STORAGE_LOG_WINDOW_H

#include "storage/io/io.h"

#define LOG_WINDOW_SIZE ((size_t)4 << 20)

struct window {
    struct io *io;
    char *buffers[2];
    int buffer_index; /* where the window lies */
    struct io_file *file;
    uint64_t file_size;
    const char *bytes; /* of the file, from `offset` on */
    uint64_t offset;
    size_t size;
    size_t step;     /* bytes asked for at once */
    bool is_reading; /* what follows the window, into the other buffer */
};

void log_window_init(struct window *window, struct io *io);
void log_window_deinit(struct window *window);
/* `step` is LOG_WINDOW_SIZE, or less: then nothing is read ahead. */
void log_window_open(struct window *window, struct io_file *file, uint64_t file_size, size_t step);
struct io_file *log_window_close(struct window *window); /* the file, for the caller to close */
/* The bytes at `offset`: at least `want`, at most LOG_PIECE_SIZE_MAX, or what the file has. They
 * hold until the next look. Cheap when offsets go up. */
MUST_CHECK enum err log_window_look(struct window *window, uint64_t offset, size_t want,
                                    const char **data, size_t *available, struct error *error);

#endif
