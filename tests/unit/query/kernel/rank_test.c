/* Ranks against a sort: random keys, many equal ones, orders that defeat a middle pivot. */
#include "query/kernel/kernel.h"

#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t make_key(int shape, size_t i, size_t count, struct random_stream *random)
{
    switch (shape) {
    case 0:
        return random_next(random);
    case 1:
        return random_below(random, 3);
    case 2:
        return i;
    case 3:
        return count - i;
    case 4:
        return i < count / 2 ? i : count - i; /* an organ pipe */
    case 5:
        return UINT64_MAX - random_below(random, 2);
    default:
        return i % 2 == 0 ? 0 : UINT64_MAX;
    }
}

static void test_ranks(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 24, 25, 26, 100, 1000, 5000};
    struct random_stream random;
    random_stream_init(&random, 5);
    for (int shape = 0; shape < 7; shape++)
        for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
            size_t count = counts[c];
            uint64_t *keys = malloc(count * sizeof(*keys)), *sorted = malloc(count * sizeof(*keys)),
                     *work = malloc(count * sizeof(*keys)), pair[2];
            for (size_t i = 0; i < count; i++)
                keys[i] = sorted[i] = make_key(shape, i, count, &random);
            qsort(sorted, count, sizeof(*sorted), compare);
            for (int round = 0; round < 20; round++) {
                size_t rank = round == 0   ? 0
                              : round == 1 ? count - 1
                                           : (size_t)random_below(&random, count);
                memcpy(work, keys, count * sizeof(*keys));
                assert_true(select_rank(work, count, rank) == sorted[rank]);
                memcpy(work, keys, count * sizeof(*keys));
                select_pair(work, count, rank, pair);
                assert_true(pair[0] == sorted[rank]);
                assert_true(pair[1] == sorted[rank + 1 < count ? rank + 1 : rank]);
                qsort(work, count, sizeof(*work), compare); /* nothing was lost */
                assert_memory_equal(work, sorted, count * sizeof(*work));
            }
            free(work);
            free(sorted);
            free(keys);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
