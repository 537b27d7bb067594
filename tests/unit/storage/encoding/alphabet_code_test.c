/* Bytes to numbers and back, by every instruction set, against looking each byte up: alphabets of
 * every size, near and far apart, and of bytes from the whole range; every length of input. */
#include "storage/base/arena.h"
#include "storage/base/random.h"
#include "storage/encoding/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define EIGHTS_MAX 40

static struct random_stream chance;

struct sample {
    uint8_t bytes[ALPHABET_MAX]; /* padded with zeros */
    uint32_t count;
    struct alphabet_code code;
};

/* `spread`: bytes from so large a range. */
static void make_sample(struct sample *sample, uint32_t count, uint32_t spread)
{
    bool is_in[256] = {false};
    uint32_t first = (uint32_t)random_below(&chance, 256 - spread + 1);
    memset(sample, 0, sizeof(*sample));
    for (uint32_t left = count; left > 0;) {
        uint32_t byte = first + (uint32_t)random_below(&chance, spread);
        left -= !is_in[byte];
        is_in[byte] = true;
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        if (is_in[byte])
            sample->bytes[sample->count++] = (uint8_t)byte;
    }
    assert_int_equal(sample->count, count);
    alphabet_code_make(sample->bytes, count, &sample->code);
}

/* Bit by bit. */
static uint32_t number_at(const uint8_t *packed, size_t index, uint32_t width)
{
    uint32_t number = 0;
    for (uint32_t bit = 0; bit < width; bit++) {
        size_t at = index * width + bit;
        number |= (uint32_t)(packed[at / 8] >> at % 8 & 1) << bit;
    }
    return number;
}

static void check_coding(const struct alphabet_kernels *kernels, const struct sample *sample,
                         size_t eights)
{
    uint32_t width = sample->code.width;
    uint8_t bytes[EIGHTS_MAX * 8], back[EIGHTS_MAX * 8];
    /* Of its exact size, so that sanitizers see a read too far. */
    uint8_t *packed = memory_alloc(eights * width + 1);
    uint8_t room[EIGHTS_MAX * 8 + ALPHABET_ROOM];
    for (size_t i = 0; i < eights * 8; i++)
        bytes[i] = sample->bytes[random_below(&chance, sample->count)];
    memset(room, 0xA5, sizeof(room));
    kernels->narrow(&sample->code, bytes, eights, room);
    for (size_t i = 0; i < eights * 8; i++)
        assert_int_equal(sample->bytes[number_at(room, i, width)], bytes[i]);
    for (size_t i = eights * width + ALPHABET_ROOM; i < sizeof(room); i++)
        assert_int_equal(room[i], 0xA5);
    memcpy(packed, room, eights * width);
    kernels->widen(sample->bytes, width, packed, eights, back);
    assert_memory_equal(back, bytes, eights * 8);
    for (size_t i = 0; i < eights * width; i++) /* a stranger's bytes */
        packed[i] = (uint8_t)random_next(&chance);
    kernels->widen(sample->bytes, width, packed, eights, back);
    for (size_t i = 0; i < eights * 8; i++)
        assert_int_equal(back[i], sample->bytes[number_at(packed, i, width)]);
    memory_free(packed);
}

static void check_members(const struct alphabet_kernels *kernels, const struct sample *sample,
                          size_t size)
{
    uint8_t *bytes = memory_alloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = sample->bytes[random_below(&chance, sample->count)];
    assert_true(kernels->has_all(&sample->code, bytes, size));
    for (size_t i = 0; i < size; i++) {
        uint8_t was = bytes[i];
        bytes[i] = (uint8_t)random_next(&chance);
        bool is_member = memchr(sample->bytes, bytes[i], sample->count) != NULL;
        assert_true(kernels->has_all(&sample->code, bytes, size) == is_member);
        bytes[i] = was;
    }
    memory_free(bytes);
}

static void test_alphabets(void **state)
{
    static const uint32_t spreads[] = {64, 90, 128, 256};
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        random_stream_init(&chance, 31);
        if (kernels_of((enum kernel_isa)isa) == NULL)
            continue;
        const struct alphabet_kernels *kernels = kernels_of((enum kernel_isa)isa)->alphabet;
        for (uint32_t count = 1; count <= ALPHABET_MAX; count++) {
            struct sample sample;
            make_sample(&sample, count, spreads[count % 4]);
            for (size_t eights = 0; eights <= EIGHTS_MAX; eights += 1 + eights / 12)
                check_coding(kernels, &sample, eights);
            for (size_t size = 0; size < 100; size += 1 + size / 40)
                check_members(kernels, &sample, size);
        }
    }
}

/* All 256 bytes, one by one, against the smallest and the largest alphabet. */
static void test_every_byte(void **state)
{
    (void)state;
    for (int isa = KERNEL_BASE; isa < KERNEL_ISA_COUNT; isa++) {
        random_stream_init(&chance, 32);
        if (kernels_of((enum kernel_isa)isa) == NULL)
            continue;
        const struct alphabet_kernels *kernels = kernels_of((enum kernel_isa)isa)->alphabet;
        for (uint32_t count = 1; count <= ALPHABET_MAX; count += ALPHABET_MAX - 1) {
            struct sample sample;
            make_sample(&sample, count, 256);
            for (uint32_t byte = 0; byte < 256; byte++) {
                uint8_t bytes[32];
                memset(bytes, (int)byte, sizeof(bytes));
                bool is_member = memchr(sample.bytes, (int)byte, count) != NULL;
                for (size_t size = 1; size <= sizeof(bytes); size++)
                    assert_true(kernels->has_all(&sample.code, bytes, size) == is_member);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alphabets),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
