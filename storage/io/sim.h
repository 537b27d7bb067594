/* The simulated disk: files and directories in memory that can crash, fail, tear and lie, by a
 * seed.
 *
 * A `struct sim` is a disk, a clock and a stream of chance. Any number of `struct io` are opened on
 * it (sim_open, io_clone); all of it is single-threaded. Everything that changes the disk is an
 * *operation* and has a number, counted from 1: create, write, sync, rename, unlink, mkdir,
 * truncate, sync_directory. A write with a sync behind it is two.
 *
 * Two images are kept of each file: what a reader sees (the cache) and what is durable. Writes go
 * to the first and to an ordered list; a sync moves the list to the second. Directory entries have
 * the same two states and sync_directory moves them; a synced file whose name was not synced is
 * gone after a crash.
 *
 * What a power cut does to unsynced writes, per 512-byte sector: old, new, torn after any byte, or
 * garbage; any subset of the writes, in any order; size old or new, the gap zeros or garbage. To
 * unsynced names: a prefix of the operations (as a journal does) or any subset. SIM_KILL is the
 * death of the process only: everything written is still seen, and still not durable.
 *
 * Two ways to crash:
 *
 *   in place   sim_crash_at(sim, n): operation n and all after it fail (the write that is operation
 * n may still reach the disk in part). When the program has given up, close everything and
 * sim_recover(sim, how, seed). fork       sim_watch(sim, f, context) calls f before every
 * operation, and while a write is in flight; there, sim_fork(sim, how, seed) makes another disk as
 * it would be after a crash at this moment. The original goes on undisturbed. This costs
 * microseconds: pages are shared until written.
 *
 * After sim_recover, ios and files opened before answer ERR_IO to everything but close and destroy.
 * Determinism: the same seed and the same calls give the same disk; sim_trace() is a hash over all
 * operations (names, offsets and sizes; not bytes, which may hold random identities). */
#ifndef FRESHET_STORAGE_IO_SIM_H
#define FRESHET_STORAGE_IO_SIM_H

#include "storage/base/clock.h"
#include "storage/io/io.h"

struct sim;

struct sim_options {
    uint64_t seed;
    uint64_t capacity; /* bytes of all files; 0: no end */
};

/* Each: chances in 65,536 per operation of that kind. */
struct sim_faults {
    uint32_t write_error; /* EIO; some sectors may be written */
    uint32_t write_space; /* ENOSPC; nothing is written */
    uint32_t write_short; /* fewer bytes than asked: not an error */
    uint32_t sync_error;  /* EIO, and what was unsynced is marked clean: a later sync says OK, the
                             data may be gone */
    uint32_t read_error;  /* EIO */
    uint32_t name_error;  /* EIO of create, rename, unlink, sync_directory; nothing is done */
};

enum sim_fault { SIM_FAULT_NONE, SIM_FAULT_ERROR, SIM_FAULT_SPACE, SIM_FAULT_SHORT };
enum sim_crash { SIM_POWER_CUT, SIM_KILL };

struct sim *sim_create(const struct sim_options *options);
void sim_destroy(struct sim *sim); /* every io on it has been destroyed */
void sim_open(struct sim *sim, struct io **out);

void sim_set_faults(struct sim *sim, const struct sim_faults *faults); /* NULL: none */
/* Operation `number` fails so, and with `is_for_ever` every one after it. One at a time; FAULT_NONE
 * takes it back. */
void sim_fail_at(struct sim *sim, uint64_t number, enum sim_fault fault, bool is_for_ever);
void sim_set_capacity(struct sim *sim, uint64_t capacity);

uint64_t sim_operation_count(const struct sim *sim);
/* For who watches: the operation that is about to happen. */
#define SIM_NAME_SIZE 96
struct sim_operation {
    const char *verb;         /* "create", "write", "sync", "rename", "unlink" … */
    char name[SIM_NAME_SIZE]; /* of the file or directory */
};
const struct sim_operation *sim_operation(const struct sim *sim);
uint64_t sim_trace(const struct sim *sim);
void sim_watch(struct sim *sim, void (*watch)(void *context), void *context);
void sim_crash_at(struct sim *sim, uint64_t number); /* 0: never */
bool sim_is_crashed(const struct sim *sim);
void sim_recover(struct sim *sim, enum sim_crash how, uint64_t seed);
/* The copy has no faults, no watch and no crash to come. */
struct sim *sim_fork(const struct sim *sim, enum sim_crash how, uint64_t seed);

/* For tests of damage at rest: changes one bit of the durable (and seen) content. False if there is
 * no such byte. */
bool sim_flip_bit(struct sim *sim, const char *name, uint64_t offset, unsigned bit);
/* From now on reads that touch the sector of this byte fail, as long as the file is there. One of a
 * file. */
bool sim_break_sector(struct sim *sim, const char *name, uint64_t offset);

/* A clock that moves with the operations; for clock_install. Valid as long as the sim. */
struct clock_source sim_clock(struct sim *sim);
void sim_advance(struct sim *sim, int64_t us);

#endif
