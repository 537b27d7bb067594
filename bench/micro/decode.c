/* How fast JSON becomes columns: events of 1 KB and 21 fields through the NDJSON decoder, into the
 * columns of a batch, on one thread, by instruction set.
 *
 *   bench_decode [MEGABYTES]
 *
 * By shape: lines of one stream, each read by the shape of the lines before. Complete parser: the
 * same lines without shapes; each key is guessed and found by one comparison. Unlike lines: each
 * has its keys in another order and strings with escapes, so that every key goes through the hash
 * and every such string is copied: what remains when nothing can be guessed. CPU time of the
 * thread, best and median of nine passes; memory is kept from pass to pass, as the server keeps it.
 */
#include "bench/loadgen/event.h"
#include "bench/micro/event_schema.h"
#include "ingest/decode/decode.h"
#include "ingest/decode/scan.h"
#include "ingest/rows/rows.h"
#include "storage/base/arena.h"
#include "storage/base/clock.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_SIZE ((size_t)1 << 20)
#define PASSES 9
#define FIELDS_MAX 32

static struct mapping *event_mapping(void)
{
    struct schema *schema = event_schema();
    struct mapping *mapping;
    if (mapping_create(schema, &mapping, NULL) != OK)
        abort();
    schema_unref(schema);
    return mapping;
}

/* The line's members in another order, and an escape at the begin of its message. */
static size_t shuffle_line(struct random_stream *random, const char *line, size_t size, char *out)
{
    struct slice members[FIELDS_MAX];
    size_t count = 0, filled = 0, from = 1;
    bool is_text = false;
    for (size_t at = 1; at < size && line[at] != '\n'; at++) {
        is_text ^= line[at] == '"';
        if (!is_text && (line[at] == ',' || line[at] == '}')) {
            members[count++] = slice_of(line + from, at - from);
            from = at + 1;
        }
    }
    for (size_t index = count - 1; index > 0; index--) {
        size_t other = random_below(random, index + 1);
        struct slice swap = members[index];
        members[index] = members[other];
        members[other] = swap;
    }
    for (size_t index = 0; index < count; index++) {
        const char *message = "\"message\":\"";
        size_t head = strlen(message);
        out[filled++] = index == 0 ? '{' : ',';
        memcpy(out + filled, members[index].data, members[index].size);
        if (members[index].size > head + 1 && memcmp(members[index].data, message, head) == 0)
            memcpy(out + filled + head, "\\n", 2); /* over two letters of its text */
        filled += members[index].size;
    }
    out[filled++] = '}';
    out[filled++] = '\n';
    return filled;
}

struct bodies {
    struct writer text;
    size_t ends[4096], count;
    uint64_t events;
};

static void make_bodies(struct bodies *bodies, size_t megabytes, bool is_shuffled)
{
    struct event_generator *generator = event_generator_create(1, EVENT_LINE_MAX);
    struct random_stream random;
    char line[EVENT_LINE_MAX];
    random_stream_init(&random, 7);
    writer_init(&bodies->text);
    bodies->count = 0;
    bodies->events = 0;
    for (size_t body = 0; body < megabytes; body++) {
        while (bodies->text.size + EVENT_LINE_MAX <= (body + 1) * BODY_SIZE) {
            int64_t ts_us = INT64_C(1777593600000000) + (int64_t)bodies->events * 12;
            size_t size = event_write(generator, ts_us, line);
            char *out = writer_reserve(&bodies->text, EVENT_LINE_MAX + 16);
            if (is_shuffled)
                size = shuffle_line(&random, line, size, out);
            else
                memcpy(out, line, size);
            bodies->text.size += size;
            bodies->events++;
        }
        bodies->ends[bodies->count++] = bodies->text.size;
    }
    event_generator_destroy(generator);
}

static void decode_all(const struct bodies *bodies, struct mapping *mapping, enum decode_isa isa,
                       bool is_complete)
{
    struct arena arena;
    arena_init(&arena);
    for (size_t index = 0; index < bodies->count; index++) {
        size_t begin = index > 0 ? bodies->ends[index - 1] : 0;
        struct rows rows;
        struct batch batch;
        struct error error;
        const uint32_t *ids;
        struct rows_options options = {.mapping = mapping,
                                       .arena = &arena,
                                       .now_us = INT64_C(1777680000000000),
                                       .rows_max = 1000000,
                                       .row_size_max = 4 << 20,
                                       .capacity = 1100};
        struct decode_options decode = {
            .depth_max = 64, .keys_max = 4096, .isa = isa, .is_complete = is_complete};
        rows_init(&rows, &options);
        struct slice body = slice_of(bodies->text.data + begin, bodies->ends[index] - begin);
        if (decode_ndjson(&rows, body, &decode, &error) != OK || rows.rejection_count > 0) {
            fprintf(stderr, "bench_decode: a row was refused\n");
            exit(1);
        }
        rows_finish(&rows, &batch, &ids);
        rows_deinit(&rows);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
}

static int compare_times(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, const struct bodies *bodies, struct mapping *mapping,
                    enum decode_isa isa, bool is_complete)
{
    int64_t times_us[PASSES];
    if (scan_text_of(isa) == NULL) {
        printf("%-34s this processor cannot\n", name);
        return;
    }
    decode_all(bodies, mapping, isa, is_complete);
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t begin_us = clock_process_cpu_us();
        decode_all(bodies, mapping, isa, is_complete);
        times_us[pass] = clock_process_cpu_us() - begin_us;
    }
    qsort(times_us, PASSES, sizeof(times_us[0]), compare_times);
    double size = (double)bodies->text.size, best = (double)times_us[0],
           median = (double)times_us[PASSES / 2];
    printf("%-34s %9.0f %9.0f %12.0f %9.3f\n", name, size / best, size / median,
           (double)bodies->events * 1e6 / median, median / (double)bodies->events);
}

int main(int argument_count, char **arguments)
{
    static struct bodies learned, shuffled;
    long megabytes = argument_count > 1 ? strtol(arguments[1], NULL, 10) : 64;
    if (megabytes < 1 || megabytes > 4096)
        megabytes = 64;
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    struct mapping *mapping = event_mapping();
    make_bodies(&learned, (size_t)megabytes, false);
    make_bodies(&shuffled, (size_t)megabytes, true);
    printf("%-34s %9s %9s %12s %9s\n", "", "best MB/s", "MB/s", "events/s", "us/event");
    static const struct {
        const char *name;
        const struct bodies *bodies;
        bool is_complete;
    } forms[] = {{"by shape", &learned, false},
                 {"complete parser", &learned, true},
                 {"unlike lines", &shuffled, false}};
    static const struct {
        const char *name;
        enum decode_isa isa;
    } sets[] = {{"base", DECODE_ISA_PLAIN},
                {"SSE2", DECODE_ISA_SSE2},
                {"AVX2", DECODE_ISA_AVX2},
                {"AVX-512", DECODE_ISA_AVX512}};
    for (size_t form = 0; form < 3; form++) {
        for (size_t set = 0; set < 4; set++) {
            char name[64];
            snprintf(name, sizeof(name), "%s, %s", forms[form].name, sets[set].name);
            measure(name, forms[form].bodies, mapping, sets[set].isa, forms[form].is_complete);
        }
    }
    writer_deinit(&learned.text);
    writer_deinit(&shuffled.text);
    return 0;
}
