/* Runs a fuzz target without libFuzzer: each seed as it is, then mutations of them by a fixed
 * stream of chance. The input of a failure is in the file named first on the command line
 * ("smoke.input" by default), written before each run where FRESHET_FUZZ_KEEP is set.
 *
 *   fuzz_x [RUNS]           seeds, then RUNS mutations (default 4,000, at most 8 seconds of them)
 *   fuzz_x --write FOLDER   writes the seeds as files: the first corpus for libFuzzer */
#include "storage/base/clock.h"
#include "storage/base/logger.h"
#include "storage/base/random.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_SIZE_MAX ((size_t)1 << 18)
#define RUN_COUNT_DEFAULT 4000
#define TIME_MAX_US 8000000

static char input[INPUT_SIZE_MAX];

static void keep(size_t size)
{
    if (getenv("FRESHET_FUZZ_KEEP") == NULL)
        return;
    FILE *file = fopen("smoke.input", "wb");
    if (file == NULL || fwrite(input, 1, size, file) != size || fclose(file) != 0)
        abort();
}

static size_t load_seed(size_t index)
{
    struct slice seed = fuzz_seed(index);
    size_t size = seed.size < INPUT_SIZE_MAX ? seed.size : INPUT_SIZE_MAX;
    if (size > 0)
        memcpy(input, seed.data, size);
    return size;
}

static size_t insert(struct random_stream *chance, size_t size)
{
    size_t offset = random_below(chance, size + 1);
    size_t count = 1 + random_below(chance, 32);
    if (size + count > INPUT_SIZE_MAX)
        return size;
    memmove(input + offset + count, input + offset, size - offset);
    size_t source = random_below(chance, size + 1);
    for (size_t index = 0; index < count; index++)
        input[offset + index] =
            source + index < size ? input[source + index] : (char)random_next(chance);
    return size + count;
}

static size_t cut(struct random_stream *chance, size_t size)
{
    size_t offset = random_below(chance, size);
    size_t count = 1 + random_below(chance, size - offset);
    memmove(input + offset, input + offset + count, size - offset - count);
    return size - count;
}

static size_t mutate(struct random_stream *chance, size_t size)
{
    static const uint64_t numbers[] = {0,          1,          0x7f,      0xff,
                                       0x7fffffff, 0xffffffff, INT64_MAX, UINT64_MAX};
    for (uint64_t count = 1 + random_below(chance, 4); count > 0; count--) {
        size_t offset = size == 0 ? 0 : random_below(chance, size);
        switch (size == 0 ? 4 : random_below(chance, 6)) {
        case 0:
            input[offset] = (char)(input[offset] ^ 1 << random_below(chance, 8));
            break;
        case 1:
            input[offset] = (char)random_next(chance);
            break;
        case 2: {
            uint64_t number = numbers[random_below(chance, array_count(numbers))];
            size_t width = (size_t)1 << random_below(chance, 4);
            memcpy(input + offset, &number, width < size - offset ? width : size - offset);
            break;
        }
        case 3:
            size = cut(chance, size);
            break;
        default:
            size = insert(chance, size);
        }
    }
    return size;
}

static int write_seeds(const char *folder)
{
    for (size_t index = 0;; index++) {
        char path[1024];
        size_t size = load_seed(index);
        if (size == 0)
            return 0;
        snprintf(path, sizeof(path), "%s/seed-%zu", folder, index);
        FILE *file = fopen(path, "wb");
        if (file == NULL || fwrite(input, 1, size, file) != size || fclose(file) != 0) {
            fprintf(stderr, "cannot write %s\n", path);
            return 1;
        }
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 3 && strcmp(arguments[1], "--write") == 0)
        return write_seeds(arguments[2]);
    long run_count = argument_count > 1 ? strtol(arguments[1], NULL, 10) : RUN_COUNT_DEFAULT;
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    size_t seed_count = 0;
    for (size_t size; (size = load_seed(seed_count)) > 0; seed_count++) {
        keep(size);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)input, size);
    }
    struct random_stream chance;
    random_stream_init(&chance, 20260101);
    int64_t begin_us = clock_monotonic_us();
    long done = 0;
    for (; done < run_count && clock_monotonic_us() - begin_us < TIME_MAX_US; done++) {
        size_t size = seed_count == 0 ? 0 : load_seed(random_below(&chance, seed_count));
        size = mutate(&chance, size);
        keep(size);
        (void)LLVMFuzzerTestOneInput((const uint8_t *)input, size);
    }
    printf("%zu seeds and %ld mutations in %.1f s\n", seed_count, done,
           (double)(clock_monotonic_us() - begin_us) / 1e6);
    return 0;
}
