/* Texts by their bytes beside the plainest sort: with zeros, with beginnings in common, of all
 * lengths. */
#include "storage/segment/collect.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXTS_MAX 30000
#define SIZE_MAX_OF_TEXT 1200

static char bytes[TEXTS_MAX][SIZE_MAX_OF_TEXT];
static struct slice texts[TEXTS_MAX];
static uint32_t order[TEXTS_MAX], want[TEXTS_MAX];
static struct random_stream chance;

enum shape { CHANCE, ZEROS, PATHS, PROGRAMS, STAIRS, ENDED, SHAPE_COUNT };

/* Some are the same: they are left out afterwards. */
static size_t fill_text(enum shape shape, uint32_t number, char *to)
{
    uint32_t some = (uint32_t)random_below(&chance, 100);
    size_t size = random_below(&chance, 24);
    switch (shape) {
    case PATHS:
        return (size_t)snprintf(to, SIZE_MAX_OF_TEXT, "/%s/%u/item/%u",
                                some < 50 ? "catalog" : "shop", some, number);
    case PROGRAMS:
        return (size_t)snprintf(to, SIZE_MAX_OF_TEXT, "Mozilla/5.0 (X11; %u) Engine/%u", some,
                                number);
    case STAIRS: /* each goes on where the one before ends */
        memset(to, 'a', SIZE_MAX_OF_TEXT);
        return number % SIZE_MAX_OF_TEXT;
    case ENDED: /* zeros alone */
        memset(to, 0, 200);
        to[0] = (char)(number / 200);
        return 1 + number % 200;
    default:
        for (size_t i = 0; i < size; i++)
            to[i] = (char)(shape == CHANCE ? random_next(&chance) : random_next(&chance) & 1);
        return size;
    }
}

static int compare(const void *a, const void *b)
{
    return slice_compare(texts[*(const uint32_t *)a], texts[*(const uint32_t *)b]);
}

/* Distinct texts in no order; their number. */
static uint32_t fill(enum shape shape, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        want[i] = i;
        texts[i] = slice_of(bytes[i], fill_text(shape, i, bytes[i]));
    }
    qsort(want, count, sizeof(*want), compare);
    static struct slice distinct[TEXTS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !slice_equal(texts[want[i]], texts[want[i - 1]]))
            distinct[kept++] = texts[want[i]];
    }
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t other = i + (uint32_t)random_below(&chance, kept - i);
        texts[i] = distinct[other];
        distinct[other] = distinct[i];
    }
    for (uint32_t i = 0; i < kept; i++)
        want[i] = i;
    qsort(want, kept, sizeof(*want), compare);
    return kept;
}

/* Texts that are not where they should be. */
static uint32_t order_texts(enum shape shape, uint32_t count)
{
    struct pauser pauser = {0};
    uint32_t kept = fill(shape, count), wrong = 0;
    entries_order(texts, kept, &pauser, order);
    for (uint32_t i = 0; i < kept; i++)
        wrong += order[i] != want[i];
    return wrong;
}

static void test_beside_a_plain_sort(void **state)
{
    static const uint32_t counts[] = {1, 2, 3, 11, 12, 13, 14, 64, 255, 1000, 5000, TEXTS_MAX};
    (void)state;
    random_stream_init(&chance, 21);
    for (int shape = CHANCE; shape < SHAPE_COUNT; shape++) {
        for (size_t i = 0; i < array_count(counts); i++)
            assert_int_equal(order_texts((enum shape)shape, counts[i]), 0);
    }
    struct pauser pauser = {0};
    entries_order(texts, 0, &pauser, order);
}

static void test_fault_is_found(void **state)
{
    (void)state;
    random_stream_init(&chance, 22);
    fault_plant("entries_order.last_byte");
    uint32_t wrong = order_texts(CHANCE, 5000) + order_texts(PATHS, 5000);
    fault_clear();
    assert_true(wrong > 0);
}

static bool count_pause(void *context)
{
    ++*(uint32_t *)context;
    return true;
}

static void test_pauses(void **state)
{
    uint32_t pauses = 0;
    struct pauser pauser = {.pause = count_pause, .context = &pauses};
    (void)state;
    random_stream_init(&chance, 23);
    entries_order(texts, fill(PATHS, TEXTS_MAX), &pauser, order);
    assert_true(pauses > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beside_a_plain_sort),
        cmocka_unit_test(test_fault_is_found),
        cmocka_unit_test(test_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
