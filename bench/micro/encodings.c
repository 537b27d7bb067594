/* How fast blocks are encoded, read and asked, and how small they get: each encoding on the data it
 * is for, by instruction set. CPU time, the best of several rounds of a block of 65,536 values;
 * memcpy of the same raw bytes stands beside, in the same run.
 *
 *   encode   from values to a block with this encoding alone allowed, measuring included
 *   choose   the same with all allowed, which is what sealing does
 *   decode   block_read() vector by vector
 *   select   block_select_range() of about a tenth of the rows, or of the codes in a set
 */
#include "storage/base/random.h"
#include "storage/encoding/encoding.h"
#include "storage/encoding/kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROWS BLOCK_ROWS_MAX
#define ROUNDS 15

static int64_t integers[ROWS];
static struct slice texts[ROWS];
static char pool[ROWS * 600];
static size_t pool_used; /* by the texts */
static struct random_stream chance;

/* --- data --- */

static uint64_t skewed(uint64_t bound)
{
    double unit = random_unit(&chance);
    return (uint64_t)((double)bound * unit * unit * unit);
}

static void put_float(uint32_t row, double value)
{
    memcpy(&integers[row], &value, sizeof(value));
}

static void fill_constant(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        integers[row] = 200;
}

static void fill_runs(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        integers[row] = row > 0 && random_below(&chance, 100) ? integers[row - 1]
                                                              : (int64_t)random_below(&chance, 9);
}

static void fill_codes(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        integers[row] = (int64_t)skewed(1000);
}

static void fill_users(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        integers[row] = (int64_t)skewed(1000000);
}

static void fill_times(void)
{
    integers[0] = INT64_C(1790000000000000);
    for (uint32_t row = 1; row < ROWS; row++)
        integers[row] = integers[row - 1] + (int64_t)random_below(&chance, 25);
}

static void fill_milliseconds(void)
{
    integers[0] = INT64_C(1790000000000000);
    for (uint32_t row = 1; row < ROWS; row++)
        integers[row] = integers[row - 1] + (random_below(&chance, 83) == 0 ? 1000 : 0);
}

static void fill_hashes(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        integers[row] = (int64_t)(skewed(500) * UINT64_C(0x9e3779b97f4a7c15));
}

static void fill_random(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        integers[row] = (int64_t)random_next(&chance);
}

static void fill_latencies(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        put_float(row, floor(exp(random_unit(&chance) * 7) * 1000) / 1000);
}

static void fill_amounts(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        put_float(row, random_below(&chance, 5) ? 0 : (double)skewed(10000) / 100);
}

static void fill_counts(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        put_float(row, (double)random_below(&chance, 1000000));
}

static void fill_prices(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        put_float(row, (double)random_below(&chance, 100000000) / 100);
}

static void fill_latitudes(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        put_float(row, ((double)random_below(&chance, 180000000) - 90000000) / 1e6);
}

static void fill_mantissas(void)
{
    for (uint32_t row = 0; row < ROWS; row++)
        put_float(row, random_unit(&chance));
}

static void fill_texts(void)
{
    static const char *const words[] = {"/catalog/", "item-", "search?q=", "page", "/user/",
                                        "red",       "blue",  "shoes",     "&p=",  "index"};
    size_t used = 0;
    for (uint32_t row = 0; row < ROWS; row++) {
        int size =
            snprintf(pool + used, 64, "%s%s%s%s%u", words[random_below(&chance, 10)],
                     words[random_below(&chance, 10)], words[random_below(&chance, 10)],
                     words[random_below(&chance, 10)], (unsigned)random_below(&chance, 100000));
        texts[row] = slice_of(pool + used, (size_t)size);
        used += (size_t)size;
    }
    pool_used = used;
}

/* About 480 bytes, of 4,096 words that are equally likely. */
static void fill_messages(void)
{
    static char words[4096][16];
    size_t used = 0;
    for (size_t i = 0; i < array_count(words); i++) {
        size_t size = 4 + random_below(&chance, 6);
        for (size_t k = 1; k < size; k++)
            words[i][k] = k % 2 != 0 ? "bcdfghjklmnprstvwz"[random_below(&chance, 18)]
                                     : "aeiou"[random_below(&chance, 5)];
        words[i][0] = ' ';
        words[i][size] = 0;
    }
    for (uint32_t row = 0; row < ROWS; row++) {
        size_t begin = used;
        while (used - begin < 476) {
            const char *word = words[random_below(&chance, array_count(words))];
            memcpy(pool + used, word, 16);
            used += strlen(word);
        }
        texts[row] = slice_of(pool + begin, used - begin);
    }
    pool_used = used;
}

/* Lines of a web server's log. */
static void fill_lines(void)
{
    static const char *const agents[] = {
        "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/126.0.0.0 Safari/537.36"),
        "curl/7.88.1", "Googlebot/2.1 (+http://www.google.com/bot.html)"};
    static const char *const paths[] = {"/api/v1/orders", "/static/js/main.js", "/login",
                                        "/product/view", "/search"};
    size_t used = 0;
    for (uint32_t row = 0; row < ROWS; row++) {
        size_t begin = used;
        uint64_t random = random_next(&chance);
        used += (size_t)snprintf(
            pool + used, 400,
            "%u.%u.%u.%u - - [21/Nov/2026:10:%02u:%02u +0000] \"GET %s?id=%u HTTP/1.1\" %u %u "
            "\"-\" "
            "\"%s\"",
            (unsigned)(random & 255), (unsigned)(random >> 8 & 255), (unsigned)(random >> 16 & 255),
            (unsigned)(random >> 24 & 255), row / 60 % 60, row % 60,
            paths[random_below(&chance, array_count(paths))],
            (unsigned)random_below(&chance, 100000), random_below(&chance, 20) ? 200u : 404u,
            (unsigned)skewed(100000), agents[random_below(&chance, array_count(agents))]);
        texts[row] = slice_of(pool + begin, used - begin);
    }
    pool_used = used;
}

static const struct {
    const char *data;
    void (*fill)(void);
    enum block_class class;
    uint8_t tag;
} cases[] = {
    {"one value", fill_constant, BLOCK_INTEGER, 0},
    {"runs of 100", fill_runs, BLOCK_INTEGER, 1},
    {"codes below 1,000, skewed", fill_codes, BLOCK_INTEGER, 2},
    {"users below 1 M, skewed", fill_users, BLOCK_INTEGER, 2},
    {"sorted us, 12 apart", fill_times, BLOCK_INTEGER, 3},
    {"sorted ms in us, 83 each", fill_milliseconds, BLOCK_INTEGER, 3},
    {"500 hashes", fill_hashes, BLOCK_INTEGER, 4},
    {"random 64 bits", fill_random, BLOCK_INTEGER, 5},
    {"latencies, 3 decimals", fill_latencies, BLOCK_FLOAT, 5},
    {"amounts, 80 % zero", fill_amounts, BLOCK_FLOAT, 4},
    {"whole doubles below 1 M", fill_counts, BLOCK_FLOAT, 6},
    {"whole doubles below 1 M", fill_counts, BLOCK_FLOAT, 9},
    {"latencies, 3 decimals", fill_latencies, BLOCK_FLOAT, 9},
    {"prices below 1 M, 2 dec.", fill_prices, BLOCK_FLOAT, 5},
    {"prices below 1 M, 2 dec.", fill_prices, BLOCK_FLOAT, 6},
    {"prices below 1 M, 2 dec.", fill_prices, BLOCK_FLOAT, 9},
    {"latitudes, 6 decimals", fill_latitudes, BLOCK_FLOAT, 9},
    {"random doubles below 1", fill_mantissas, BLOCK_FLOAT, 5},
    {"urls of 25 bytes", fill_texts, BLOCK_TEXT, 5},
    {"urls of 25 bytes", fill_texts, BLOCK_TEXT, 6},
    {"urls of 25 bytes", fill_texts, BLOCK_TEXT, 8},
    {"lines of a web server", fill_lines, BLOCK_TEXT, 6},
    {"lines of a web server", fill_lines, BLOCK_TEXT, 8},
    {"words, 480 bytes", fill_messages, BLOCK_TEXT, 6},
    {"words, 480 bytes", fill_messages, BLOCK_TEXT, 7},
    {"words, 480 bytes", fill_messages, BLOCK_TEXT, 8},
};

/* --- measuring --- */

static double cpu_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double faster(double best, double begin)
{
    double took = cpu_now() - begin;
    return best == 0 || took < best ? took : best;
}

struct figures {
    double encode, choose, decode, select, copy;
    uint64_t raw, stored;
};

static void *result; /* of reads: global, so that they are not left out */

static void read_block(const struct block *block, struct block_scratch *scratch)
{
    static struct slice out[BLOCK_VECTOR_ROWS];
    struct error error;
    for (uint32_t begin = 0; begin < ROWS; begin += BLOCK_VECTOR_ROWS) {
        if (block_read(block, begin, BLOCK_VECTOR_ROWS, scratch, out, &error) != OK)
            abort();
        result = out;
    }
}

static uint32_t select_block(const struct block *block)
{
    static uint32_t selection[BLOCK_VECTOR_ROWS + 16];
    int64_t low, high;
    uint32_t selected = 0;
    block_bounds(block, &low, &high);
    int64_t first = low + (high / 2 - low / 2), last = first + (high / 10 - low / 10);
    for (uint32_t begin = 0; begin < ROWS; begin += BLOCK_VECTOR_ROWS)
        selected += block_select_range(block, begin, BLOCK_VECTOR_ROWS, first, last, selection);
    result = selection;
    return selected;
}

static void copy_raw(const void *from, size_t size)
{
    static char *to;
    if (to == NULL)
        to = malloc(sizeof(pool) + sizeof(integers));
    memcpy(to, from, size);
    result = to;
}

static struct figures measure(const struct block_values *values, uint8_t tag)
{
    struct figures figures = {0};
    struct block_encoded encoded;
    struct block_scratch scratch;
    struct writer out;
    struct block block;
    struct encode_options options = {.forbidden = ~(1u << tag)};
    writer_init(&out);
    block_scratch_init(&scratch);
    for (int round = 0; round < ROUNDS; round++) {
        double begin = cpu_now();
        writer_reset(&out);
        block_encode(values, NULL, &out, &encoded);
        figures.choose = faster(figures.choose, begin);
        writer_reset(&out);
        begin = cpu_now();
        block_encode(values, &options, &out, &encoded);
        figures.encode = faster(figures.encode, begin);
        if (block_open(writer_as_slice(&out), values->class, ROWS, &block, NULL) != OK)
            abort();
        begin = cpu_now();
        scratch.tag = 0;
        read_block(&block, &scratch);
        figures.decode = faster(figures.decode, begin);
        begin = cpu_now();
        if (values->class == BLOCK_INTEGER)
            select_block(&block);
        figures.select = faster(figures.select, begin);
        begin = cpu_now();
        copy_raw(values->class == BLOCK_TEXT ? (const void *)pool : integers, encoded.raw_bytes);
        figures.copy = faster(figures.copy, begin);
    }
    figures.raw = encoded.raw_bytes;
    figures.stored = out.size;
    block_scratch_deinit(&scratch);
    writer_deinit(&out);
    return figures;
}

int main(void)
{
    random_stream_init(&chance, 1);
    printf("%-27s %-10s %-6s %7s %9s %9s %9s %8s %9s %9s\n", "data", "encoding", "isa", "ratio",
           "encode", "choose", "decode", "decode", "select", "memcpy");
    printf("%-27s %-10s %-6s %7s %9s %9s %9s %8s %9s %9s\n", "", "", "", "", "M rows/s", "M rows/s",
           "M rows/s", "GB/s", "M rows/s", "GB/s");
    for (size_t index = 0; index < array_count(cases); index++) {
        struct block_values values = {
            .class = cases[index].class, .row_count = ROWS, .values = integers};
        if (cases[index].class == BLOCK_TEXT)
            values.text = texts;
        cases[index].fill();
        for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
            if (!kernels_choose((enum kernel_isa)isa))
                continue;
            struct figures f = measure(&values, cases[index].tag);
            printf("%-27s %-10s %-6s %7.2f %9.1f %9.1f %9.0f %8.1f ", cases[index].data,
                   encoding_name(cases[index].tag), kernels_chosen()->name,
                   (double)f.raw / (double)f.stored, ROWS / f.encode / 1e6, ROWS / f.choose / 1e6,
                   ROWS / f.decode / 1e6, (double)f.raw / f.decode / 1e9);
            if (values.class == BLOCK_INTEGER)
                printf("%9.0f ", ROWS / f.select / 1e6);
            else
                printf("%9s ", "");
            printf("%9.1f\n", (double)f.raw / f.copy / 1e9);
        }
    }
    return 0;
}
