/* How near the inner loops of scans come to what one core can read: each over far more packed bytes
 * than the caches hold, in GB a second of packed bytes, and as a share of what two loops that do
 * nothing but read get of the same bytes in the same run: one line after the other, as any loop
 * would, and the quickest way that was found. Where a loop writes something for each row it finds,
 * the third share is of a loop that reads the same bytes and writes as many into a buffer that
 * stays in the nearest cache, one line after the other: what such writes alone would cost. It asks
 * for nothing ahead, so a loop that does may be quicker. CPU time, the best of several rounds.
 *
 *   read     values unpacked to 32 bits
 *   sum      added up
 *   tenth    rows of a range that about a tenth of the values is in
 *   set      rows whose code is in a set of an eighth of all
 *   few      rows whose code is one of three
 *   doubles  a dictionary's doubles added up, compensated
 *   least    their extremes
 *   times    steps between times added up to times
 *   runs     runs of equal values added up */
#include "storage/base/random.h"
#include "storage/encoding/encoding.h"
#include "storage/encoding/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS BLOCK_ROWS_MAX
#define PATTERNS 4 /* different blocks, repeated */
#define BYTES ((size_t)256 << 20)
#define ROUNDS 9
#define GOAL 75

static struct random_stream chance;
static int64_t values[ROWS];
static char *packed; /* BYTES and some */
static struct block *blocks;
static size_t block_count, packed_size;
static uint64_t kept; /* what loops find, so that they are not left out */

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- the measure --- */

typedef uint64_t lanes __attribute__((vector_size(64)));

#if defined(__x86_64__)
#define FOR_EACH_ISA __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_ISA
#endif

FOR_EACH_ISA static void read_plainly(void)
{
    lanes sums[4] = {0};
    for (size_t at = 0; at + sizeof(sums) <= packed_size; at += sizeof(sums)) {
        lanes part[4];
        memcpy(part, packed + at, sizeof(part));
        for (int i = 0; i < 4; i++)
            sums[i] += part[i];
    }
    kept += sums[0][0] + sums[1][1] + sums[2][2] + sums[3][3];
}

/* What reads fastest of what was tried: a stretch is asked for ahead, and every second line of one
 * is read, then the others. */
#define STRETCH 3072
#define AHEAD 4096
FOR_EACH_ISA static void read_best(void)
{
    lanes sums[4] = {0};
    for (size_t at = 0; at + STRETCH <= packed_size; at += STRETCH) {
        for (size_t line = 0; line < STRETCH; line += 64)
            __builtin_prefetch(packed + at + AHEAD + line);
        for (size_t step = 0; step < STRETCH / 256; step++) {
            size_t line = step % (STRETCH / 512) * 512 + step / (STRETCH / 512) * 64;
            for (size_t i = 0; i < 4; i++) {
                lanes part;
                memcpy(&part, packed + at + line + i * 128, sizeof(part));
                sums[i] += part;
            }
        }
    }
    kept += sums[0][0] + sums[1][1] + sums[2][2] + sums[3][3];
}

/* Reads all, and beside each vector's share of it writes `written` bytes. */
FOR_EACH_ISA static void move_plainly(size_t vectors, size_t written)
{
    static _Alignas(64) char buffer[BLOCK_VECTOR_ROWS * sizeof(uint64_t)];
    lanes sums[4] = {0};
    size_t share = packed_size / vectors / sizeof(sums) * sizeof(sums), at = 0;
    for (size_t vector = 0; vector < vectors; vector++, at += share) {
        for (size_t i = 0; i < share; i += sizeof(sums)) {
            lanes part[4];
            memcpy(part, packed + at + i, sizeof(part));
            for (int k = 0; k < 4; k++)
                sums[k] += part[k];
        }
        for (size_t i = 0; i + sizeof(lanes) <= written; i += sizeof(lanes))
            memcpy(buffer + i, &sums[0], sizeof(lanes));
        kept += (uint64_t)buffer[vector % sizeof(buffer)];
    }
    kept += sums[0][0] + sums[1][1] + sums[2][2] + sums[3][3];
}

/* --- loops --- */

static size_t written;    /* bytes by the loop at hand, in one go over all blocks */
static int64_t width_top; /* values are below it */
static uint64_t set[1 << 10], few_codes[1 << 10];

static void each_vector(void (*use)(const struct block *block, uint32_t begin))
{
    for (size_t i = 0; i < block_count; i++)
        for (uint32_t begin = 0; begin < ROWS; begin += BLOCK_VECTOR_ROWS)
            use(&blocks[i], begin);
}

static void read_one(const struct block *block, uint32_t begin)
{
    static _Alignas(64) uint32_t out[BLOCK_VECTOR_ROWS];
    block_read_codes(block, begin, BLOCK_VECTOR_ROWS, out);
    written += sizeof(out);
    kept += out[begin % 7];
}

static void sum_one(const struct block *block, uint32_t begin)
{
    kept += (uint64_t)block_sum(block, begin, BLOCK_VECTOR_ROWS);
}

/* Blocks whole, as aggregates over runs of rows have them. */
static void sum_all(const struct block *block, uint32_t begin)
{
    struct block_part part = {.end = ROWS};
    if (begin == 0)
        kept += (uint64_t)block_part_sum(block, &part);
}

static void list_of(uint32_t rows)
{
    kept += rows;
    written += rows * sizeof(uint32_t);
}

static void tenth_one(const struct block *block, uint32_t begin)
{
    uint32_t out[BLOCK_VECTOR_ROWS + SELECT_ROOM];
    int64_t low = width_top / 2;
    list_of(block_select_range(block, begin, BLOCK_VECTOR_ROWS, low, low + width_top / 10, out));
}

static void set_one(const struct block *block, uint32_t begin)
{
    uint32_t out[BLOCK_VECTOR_ROWS + SELECT_ROOM];
    list_of(block_select_set(block, begin, BLOCK_VECTOR_ROWS, set, out));
}

static void few_one(const struct block *block, uint32_t begin)
{
    uint32_t out[BLOCK_VECTOR_ROWS + SELECT_ROOM];
    list_of(block_select_set(block, begin, BLOCK_VECTOR_ROWS, few_codes, out));
}

static void times_one(const struct block *block, uint32_t begin)
{
    int64_t out[BLOCK_VECTOR_ROWS];
    struct error error;
    kept += (uint64_t)block_read(block, begin, BLOCK_VECTOR_ROWS, NULL, out, &error);
    written += sizeof(out);
    kept += (uint64_t)out[begin % 7];
}

static void doubles_all(const struct block *block, uint32_t begin)
{
    struct block_part part = {.end = ROWS};
    struct float_total total;
    struct error error;
    if (begin == 0 && block_part_total(block, &part, NULL, &total, &error) == OK)
        kept += (uint64_t)total.sum;
}

static void least_one(const struct block *block, uint32_t begin)
{
    struct block_part part = {.begin = begin, .end = begin + BLOCK_VECTOR_ROWS};
    struct error error;
    double least, greatest;
    if (block_part_extremes(block, &part, NULL, &least, &greatest, &error) == OK)
        kept += (uint64_t)greatest;
}

/* --- data --- */

static void fill(const char *kind, unsigned width)
{
    width_top = INT64_C(1) << width;
    for (uint32_t row = 0; row < ROWS; row++) {
        uint64_t any = random_below(&chance, (uint64_t)width_top);
        double few = (double)(any + 1) / 1000;
        values[row] = (int64_t)any;
        if (strcmp(kind, "times") == 0)
            values[row] = (row == 0 ? 0 : values[row - 1]) + (int64_t)any;
        else if (strcmp(kind, "runs") == 0)
            values[row] = row > 0 && random_below(&chance, 8) != 0 ? values[row - 1] : (int64_t)any;
        else if (strcmp(kind, "doubles") == 0)
            memcpy(&values[row], &few, sizeof(few));
    }
}

static bool make_blocks(const char *kind, unsigned width, enum block_class class,
                        const char *encoding)
{
    struct writer out;
    size_t ends[PATTERNS + 1] = {0};
    struct encode_options options = {0};
    struct error error;
    struct block_encoded encoded;
    for (uint8_t tag = 0; tag < ENCODING_COUNT_MAX; tag++)
        if (encoding_name(tag) != NULL && strcmp(encoding_name(tag), encoding) != 0)
            options.forbidden |= 1u << tag;
    writer_init(&out);
    for (int i = 0; i < PATTERNS; i++) {
        struct block_values from = {.class = class, .row_count = ROWS, .values = values};
        fill(kind, width);
        block_encode(&from, &options, &out, &encoded);
        ends[i + 1] = out.size;
    }
    bool is_fine = strcmp(encoding_name(encoded.encoding), encoding) == 0;
    block_count = 0;
    packed_size = 0;
    while (is_fine && packed_size < BYTES) {
        size_t which = block_count % PATTERNS, size = ends[which + 1] - ends[which];
        memcpy(packed + packed_size, out.data + ends[which], size);
        is_fine = block_open(slice_of(packed + packed_size, size), class, ROWS,
                             &blocks[block_count++], &error) == OK;
        packed_size += size;
    }
    writer_deinit(&out);
    return is_fine;
}

/* --- lines --- */

static void take_least(double begin, double *least)
{
    double took = cpu_s() - begin;
    *least = took < *least ? took : *least;
}

static const struct line {
    const char *name, *kind, *encoding;
    enum block_class class;
    void (*use)(const struct block *block, uint32_t begin);
    unsigned widths[8]; /* 0 ends */
} lines[] = {
    {"read", "values", "frame", BLOCK_INTEGER, read_one, {1, 4, 8, 12, 17, 24, 31}},
    {"sum", "values", "frame", BLOCK_INTEGER, sum_one, {1, 4, 8, 12, 17, 24, 48}},
    {"tenth", "values", "frame", BLOCK_INTEGER, tenth_one, {4, 8, 12, 17, 24, 48}},
    {"set", "values", "frame", BLOCK_INTEGER, set_one, {4, 8, 12, 16}},
    {"few", "values", "frame", BLOCK_INTEGER, few_one, {4, 8, 12, 16}},
    {"doubles", "doubles", "dictionary", BLOCK_FLOAT, doubles_all, {8, 12}},
    {"least", "doubles", "dictionary", BLOCK_FLOAT, least_one, {8, 12}},
    {"times", "times", "delta", BLOCK_INTEGER, times_one, {4, 12}},
    {"runs", "runs", "rle", BLOCK_INTEGER, sum_all, {8, 16}},
};

static void measure(const struct line *line, unsigned width)
{
    if (!make_blocks(line->kind, width, line->class, line->encoding)) {
        printf("%-8s %5u  not encoded as %s\n", line->name, width, line->encoding);
        return;
    }
    double plain = 1e9, quick = 1e9, moved = 1e9, took = 1e9, rows = (double)block_count * ROWS;
    size_t vectors = block_count * (ROWS / BLOCK_VECTOR_ROWS);
    for (int round = 0; round < ROUNDS; round++) { /* in turn: others use the memory too */
        double begin = cpu_s();
        read_plainly();
        take_least(begin, &plain);
        begin = cpu_s();
        read_best();
        take_least(begin, &quick);
        written = 0;
        begin = cpu_s();
        each_vector(line->use);
        take_least(begin, &took);
        begin = cpu_s();
        move_plainly(vectors, written / vectors);
        take_least(begin, &moved);
    }
    double of_plain = 100 * plain / took, of_quick = 100 * quick / took,
           of_moved = 100 * moved / took;
    printf("%-8s %5u %10.1f %10.1f %10.1f %8.0f %% %s %6.0f %% %s ", line->name, width,
           (double)packed_size / plain / 1e9, (double)packed_size / quick / 1e9,
           (double)packed_size / took / 1e9, of_plain, of_plain >= GOAL ? " " : "<", of_quick,
           of_quick >= GOAL ? " " : "<");
    if (written == 0)
        printf("%10s %9.3f\n", "", took / rows * 1e9);
    else
        printf("%6.0f %% %s %9.3f\n", of_moved, of_moved >= GOAL ? " " : "<", took / rows * 1e9);
    fflush(stdout);
}

/* Arguments: a name, and perhaps a width. */
static bool is_wanted(const struct line *line, unsigned width, int count, char **arguments)
{
    return (count < 2 || strcmp(arguments[1], line->name) == 0) &&
           (count < 3 || strtoul(arguments[2], NULL, 10) == width);
}

int main(int argument_count, char **arguments)
{
    packed = aligned_alloc(64, BYTES + ((size_t)4 << 20));
    blocks = malloc((BYTES / 4096) * sizeof(*blocks));
    if (packed == NULL || blocks == NULL)
        return 1;
    memset(packed, 1, BYTES + ((size_t)4 << 20));
    random_stream_init(&chance, 3);
    for (size_t i = 0; i < array_count(set); i++)
        set[i] = random_next(&chance) & random_next(&chance) & random_next(&chance);
    few_codes[0] = 0x248; /* 3, 6 and 9 */
    printf("%s, %zu MiB of packed bytes a loop, one thread; < is below %d %%\n\n",
           kernels_chosen()->name, BYTES >> 20, GOAL);
    printf("%-8s %5s %10s %10s %10s %10s %10s %10s %11s\n", "loop", "width", "plain GB/s",
           "best GB/s", "GB/s", "of plain", "of best", "of moving", "ns/row");
    for (size_t i = 0; i < array_count(lines); i++)
        for (size_t k = 0; k < array_count(lines[i].widths) && lines[i].widths[k] != 0; k++)
            if (is_wanted(&lines[i], lines[i].widths[k], argument_count, arguments))
                measure(&lines[i], lines[i].widths[k]);
    free(blocks);
    free(packed);
    return kept == 0;
}
