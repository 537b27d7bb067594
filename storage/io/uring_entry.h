/* Entries of an io_uring whose thread waits for nothing but it. */
#ifndef FRESHET_STORAGE_IO_URING_ENTRY_H
#define FRESHET_STORAGE_IO_URING_ENTRY_H

struct io_uring;
struct io_uring_sqe;

/* The next one; those that are there are submitted where the queue is full. The caller fills it. On
 * the ring's thread. A ring that takes none for about a second takes none any more: its sockets
 * would be silent for ever, so the process ends (SIGABRT) with a line in the log, and whoever
 * started it starts it anew. What was acknowledged is durable. */
struct io_uring_sqe *uring_entry(struct io_uring *ring);

#endif
