/* Simulations of ingest: a store opened on a simulated disk with ingest above it, and the first
 * thing that is not as it must be. */
#ifndef FRESHET_TESTS_SIM_INGEST_LIFE_H
#define FRESHET_TESTS_SIM_INGEST_LIFE_H

#include "ingest/ingest.h"
#include "storage/io/sim.h"

#include <stdarg.h>
#include <stdio.h>

struct life {
    struct io *io;
    struct ingest *ingest;
    struct store *store; /* NULL: it did not open */
};

struct life_options {
    struct store_options store; /* io, directory and extension are not looked at */
    uint64_t keys_window;       /* 0: the default */
};

/* To be closed whatever is returned. */
static inline enum err life_open(struct sim *sim, const struct life_options *options,
                                 struct life *life, struct error *error)
{
    struct ingest_options ingest = {.limits = ingest_limits_default,
                                    .source_idle_us = 60 * MICROSECONDS_PER_SECOND};
    if (options->keys_window != 0)
        ingest.limits.keys_window = options->keys_window;
    *life = (struct life){.ingest = ingest_create(&ingest)};
    sim_open(sim, &life->io);
    struct store_options store = options->store;
    store.io = life->io;
    store.directory = "";
    store.extension = ingest_extension(life->ingest);
    enum err err = store_open(&store, &life->store, error);
    if (err == OK)
        ingest_attach(life->ingest, life->store);
    return err;
}

static inline void life_close(struct life *life)
{
    if (life->store != NULL)
        store_close(life->store);
    ingest_destroy(life->ingest);
    life->io->ops->destroy(life->io);
}

/* "t": an event time and a number. */
static inline bool life_create_table(struct life *life)
{
    const struct ingest_column columns[] = {
        {.name = SLICE("ts"), .type = type_of(TYPE_TIMESTAMPTZ)},
        {.name = SLICE("id"), .type = type_of(TYPE_INT8)}};
    struct ingest_table table = {
        .name = SLICE("t"), .if_not_exists = true, .column_count = 2, .columns = columns};
    uint64_t position;
    struct error error;
    return ingest_create_table(life->ingest, &table, &position, &error) == OK;
}

/* --- what a run found --- */

struct violation {
    char text[256]; /* empty: nothing */
};

static inline void violate(struct violation *violation, const char *format, ...) PRINTF_LIKE(2, 3);
static inline void violate(struct violation *violation, const char *format, ...)
{
    if (violation->text[0] != 0)
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(violation->text, sizeof(violation->text), format, arguments);
    va_end(arguments);
}

#endif
