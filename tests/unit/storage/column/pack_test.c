/* Texts one behind the other: every variant against copying byte by byte, texts that end where
 * their memory does, nothing written behind the last. */
#include "storage/column/pack.c"

#include "storage/base/arena.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define TEXTS_MAX 130
#define CANARY_SIZE 200

struct sample {
    struct slice texts[TEXTS_MAX];
    uint32_t sizes[TEXTS_MAX];
    size_t count, total;
    char *want;
};

static void pack_plain(const struct slice *texts, const uint32_t *sizes, size_t count, char *out,
                       size_t size)
{
    (void)size;
    pack_base(texts, sizes, count, out);
}

static void pack_masked(const struct slice *texts, const uint32_t *sizes, size_t count, char *out,
                        size_t size)
{
#if defined(__x86_64__)
    if (is_wide()) {
        pack_wide(texts, sizes, count, out, size);
        return;
    }
#endif
    pack_base(texts, sizes, count, out);
    (void)size;
}

static void (*const variants[])(const struct slice *, const uint32_t *, size_t, char *,
                                size_t) = {pack_plain, pack_masked, pack_texts};

/* Each text in a block of its own, so that a byte read too much is found by the address sanitizer;
 * of size 0 some have no address. */
static struct sample *make_sample(struct random_stream *random, size_t count)
{
    static const uint32_t edges[] = {0, 1, 15, 16, 31, 32, 63, 64, 65, 127, 128, 129, 480, 513};
    struct sample *sample = memory_alloc_zero(sizeof(*sample));
    sample->count = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t size = random_below(random, 2) == 0
                            ? edges[random_below(random, sizeof(edges) / sizeof(edges[0]))]
                            : (uint32_t)random_below(random, 150);
        char *bytes = size == 0 && i % 2 == 0 ? NULL : memory_alloc(size + (size == 0));
        for (uint32_t at = 0; at < size; at++)
            bytes[at] = (char)random_below(random, 256);
        sample->texts[i] = slice_of(bytes, size);
        sample->sizes[i] = size;
        if (size > 0 && i % 11 == 0) /* a NULL row: its text does not count */
            sample->sizes[i] = 0;
        sample->total += sample->sizes[i];
    }
    sample->want = memory_alloc(sample->total + 1);
    char *next = sample->want;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t at = 0; at < sample->sizes[i]; at++)
            *next++ = sample->texts[i].data[at];
    }
    return sample;
}

static void free_sample(struct sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        memory_free((char *)(uintptr_t)sample->texts[i].data);
    memory_free(sample->want);
    memory_free(sample);
}

/* Are the texts there and what is behind them untouched? */
static bool is_right(const struct sample *sample, size_t variant)
{
    char *out = memory_alloc(sample->total + CANARY_SIZE);
    memset(out, 0x55, sample->total + CANARY_SIZE);
    variants[variant](sample->texts, sample->sizes, sample->count, out, sample->total);
    bool is_same = memcmp(out, sample->want, sample->total) == 0;
    for (size_t i = 0; i < CANARY_SIZE; i++)
        is_same &= out[sample->total + i] == 0x55;
    memory_free(out);
    return is_same;
}

static void test_all_copy_the_same(void **state)
{
    (void)state;
    struct random_stream random;
    random_stream_init(&random, 5);
    for (size_t count = 0; count <= TEXTS_MAX; count++) {
        struct sample *sample = make_sample(&random, count);
        for (size_t variant = 0; variant < sizeof(variants) / sizeof(variants[0]); variant++)
            assert_true(is_right(sample, variant));
        free_sample(sample);
    }
}

static void test_the_end_is_kept(void **state)
{
    (void)state;
#if defined(__x86_64__)
    struct random_stream random;
    random_stream_init(&random, 6);
    struct sample *sample = make_sample(&random, 100);
    sample->total -= sample->sizes[99];
    sample->sizes[99] = 0;
    fault_plant("pack.room_forgotten");
    assert_int_equal(is_right(sample, 1), !is_wide());
    fault_clear();
    assert_true(is_right(sample, 1));
    free_sample(sample);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_copy_the_same),
        cmocka_unit_test(test_the_end_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
