/* What sealing costs: events of 1 KB and 21 fields, decoded into a mutable segment, sealed on one
 * thread; then the same rows as four sealed segments merged into one.
 *
 *   bench_seal FOLDER [ROWS [MAX_LATE_US|turns|senders [TIMES]]]
 *
 * CPU time of the thread per row, wall clock beside it, bytes per row and the longest stretch of
 * CPU between two pauses. With MAX_LATE_US one event in 20 is late by chance, up to so much: rows
 * are out of order; with `turns` bodies of 1,000 rows change places by pairs, as where several
 * senders take turns; with `senders` they do and one event in 20 is late by up to three seconds.
 * With TIMES the same rows are sealed so often, and nothing is merged: for profiles, and for
 * medians. The file is written, synced and read back in FOLDER. */
#include "bench/loadgen/event.h"
#include "bench/micro/event_schema.h"
#include "ingest/decode/decode.h"
#include "ingest/rows/rows.h"
#include "storage/base/clock.h"
#include "storage/segment/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_ROWS 1000
#define PARTS 4
#define LATE_SHARE 20 /* one event in so many is late, as freshet-bench has it */

static void must(enum err err, const struct error *error)
{
    if (err == OK)
        return;
    fprintf(stderr, "bench_seal: %s\n", error->text);
    exit(1);
}

struct bench {
    struct io *io;
    struct schema *schema;
    struct mapping *mapping;
    struct pool *pool;
    struct event_generator *generator;
    struct learnt *learnt; /* of one segment by the next, as in a store; */
    struct room room;      /* as there */
    struct random_stream random;
    uint64_t event_count, late_max_us;
    bool is_by_turns;
    int64_t pause_us, longest_us; /* thread CPU at the last pause; between two */
};

static void append_body(struct bench *bench, struct segment *segment, uint32_t count,
                        struct writer *text)
{
    struct arena arena;
    struct error error = {0};
    struct rows rows;
    struct batch batch;
    struct writer record;
    struct stored_rows stored;
    const uint32_t *ids;
    arena_init(&arena);
    writer_init(&record);
    writer_reset(text);
    for (uint32_t row = 0; row < count; row++) {
        uint64_t at = bench->event_count++, turn = bench->is_by_turns ? at / BODY_ROWS ^ 1 : 0;
        at = bench->is_by_turns ? turn * BODY_ROWS + at % BODY_ROWS : at;
        int64_t ts_us = INT64_C(1777593600000000) + (int64_t)at * 12;
        if (bench->late_max_us != 0 && random_below(&bench->random, LATE_SHARE) == 0)
            ts_us -= (int64_t)random_below(&bench->random, bench->late_max_us);
        char *line = writer_reserve(text, EVENT_LINE_MAX);
        text->size += event_write(bench->generator, ts_us, line);
    }
    struct rows_options options = {.mapping = bench->mapping,
                                   .arena = &arena,
                                   .now_us = INT64_C(1777680000000000),
                                   .rows_max = 1000000,
                                   .row_size_max = 4 << 20,
                                   .capacity = BODY_ROWS};
    struct decode_options decode = {.depth_max = 64, .keys_max = 4096};
    rows_init(&rows, &options);
    must(decode_ndjson(&rows, writer_as_slice(text), &decode, &error), &error);
    rows_finish(&rows, &batch, &ids);
    stored_write(bench->schema, ids, &batch, &record);
    rows_deinit(&rows);
    struct reader reader = reader_of(writer_as_slice(&record));
    must(stored_read(&reader, &arena, &stored), &(struct error){.text = "a record"});
    segment_append(segment, bench->schema, &stored);
    writer_deinit(&record);
    arena_deinit(&arena);
}

static struct segment_entry fill(struct bench *bench, uint32_t row_count)
{
    struct segment *segment = segment_create(bench->pool);
    struct writer text;
    writer_init(&text);
    for (uint32_t done = 0; done < row_count; done += BODY_ROWS) {
        uint32_t left = row_count - done;
        append_body(bench, segment, left < BODY_ROWS ? left : BODY_ROWS, &text);
    }
    writer_deinit(&text);
    return (struct segment_entry){
        .segment = segment,
        .published = {.rows = row_count, .chunk_count = segment_chunk_count(segment)}};
}

static bool note_pause(void *context)
{
    struct bench *bench = context;
    int64_t now_us = clock_thread_cpu_us();
    if (now_us - bench->pause_us > bench->longest_us)
        bench->longest_us = now_us - bench->pause_us;
    bench->pause_us = now_us;
    return true;
}

static struct sealed_info seal(struct bench *bench, const char *what,
                               const struct segment_entry *entries, uint32_t count, uint64_t number)
{
    struct table_view view = {.schema = bench->schema,
                              .closed = segment_list_create(entries, count)};
    struct seal_options options = {.io = bench->io,
                                   .directory = "",
                                   .number = number,
                                   .view = &view,
                                   .first_position = 1,
                                   .last_position = 1,
                                   .pause = note_pause,
                                   .learnt = bench->learnt,
                                   .room = &bench->room,
                                   .context = bench};
    struct sealed_info info;
    struct error error = {0};
    int64_t wall_us = clock_monotonic_us();
    int64_t cpu_us = bench->pause_us = clock_thread_cpu_us();
    bench->longest_us = 0;
    must(sealed_write(&options, &info, &error), &error);
    double rows = (double)info.row_count;
    printf("%-22s %9.2f %9.2f %9.1f %12.1f\n", what,
           (double)(clock_thread_cpu_us() - cpu_us) / rows,
           (double)(clock_monotonic_us() - wall_us) / rows, (double)info.bytes / rows,
           (double)bench->longest_us / 1e3);
    segment_list_unref(view.closed);
    return info;
}

static void merge(struct bench *bench, uint32_t row_count)
{
    struct segment_entry parts[PARTS];
    struct sealed_source *source =
        sealed_source_create(&(struct sealed_source_options){.io = bench->io, .directory = ""});
    for (uint32_t i = 0; i < PARTS; i++) {
        struct segment_entry part = fill(bench, row_count / PARTS);
        struct sealed_info info = seal(bench, "  a quarter of it", &part, 1, 2 + i);
        segment_unref(part.segment);
        parts[i] = (struct segment_entry){.sealed = sealed_create(source, &info)};
    }
    seal(bench, "four merged", parts, PARTS, 2 + PARTS);
    for (uint32_t i = 0; i < PARTS; i++) {
        sealed_discard(parts[i].sealed);
        sealed_unref(parts[i].sealed);
    }
    sealed_source_destroy(source);
}

int main(int argument_count, char **arguments)
{
    struct bench bench = {0};
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct error error = {0};
    if (argument_count < 2) {
        fprintf(stderr, "usage: bench_seal FOLDER [ROWS [MAX_LATE_US|turns|senders [TIMES]]]\n");
        return 64;
    }
    uint32_t row_count =
        argument_count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : UINT32_C(1) << 20;
    bool has_senders = argument_count > 3 && strcmp(arguments[3], "senders") == 0;
    bench.is_by_turns = has_senders || (argument_count > 3 && strcmp(arguments[3], "turns") == 0);
    bench.late_max_us = argument_count > 3 ? strtoull(arguments[3], NULL, 10) : 0;
    if (has_senders)
        bench.late_max_us = 3000000;
    if (row_count < PARTS || row_count > UINT32_C(1) << 24)
        row_count = UINT32_C(1) << 20;
    must(io_open("auto", arguments[1], &bench.io, &error), &error);
    must(bench.io->ops->mkdir(bench.io, SEALED_DIRECTORY, &error), &error);
    bench.schema = event_schema();
    must(mapping_create(bench.schema, &bench.mapping, &error), &error);
    bench.pool = pool_create(&budget);
    bench.generator = event_generator_create(1, EVENT_LINE_MAX);
    random_stream_init(&bench.random, 7);
    bench.learnt = learnt_create();
    room_init(&bench.room);
    printf("%-22s %9s %9s %9s %12s\n", "", "CPU us", "wall us", "bytes", "pause ms");
    struct segment_entry whole = fill(&bench, row_count);
    uint64_t times = argument_count > 4 ? strtoull(arguments[4], NULL, 10) : 1;
    for (uint64_t number = 1; number <= times; number++)
        seal(&bench, "sealed from memory", &whole, 1, number);
    segment_unref(whole.segment);
    if (argument_count <= 4)
        merge(&bench, row_count);
    learnt_destroy(bench.learnt);
    room_deinit(&bench.room);
    return 0;
}
