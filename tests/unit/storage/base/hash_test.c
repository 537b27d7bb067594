/* Hashes: published check values, and the CRC cut at every byte against itself in one piece. */
#include "storage/base/hash.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_crc32c_published_values(void **state)
{
    (void)state;
    unsigned char buffer[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(crc32c(0, buffer, 32), 0x8A9136AA); /* RFC 3720 B.4 */
    memset(buffer, 0xFF, 32);
    assert_int_equal(crc32c(0, buffer, 32), 0x62A8AB43);
    for (unsigned index = 0; index < 32; index++)
        buffer[index] = (unsigned char)index;
    assert_int_equal(crc32c(0, buffer, 32), 0x46DD794E);
    assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void test_crc32c_table_agrees_and_continues(void **state)
{
    (void)state;
    unsigned char buffer[97];
    for (size_t index = 0; index < sizeof(buffer); index++)
        buffer[index] = (unsigned char)(index * 131 + 7);
    uint32_t whole = crc32c(0, buffer, sizeof(buffer));
    assert_int_equal(~crc32c_table(~0u, buffer, sizeof(buffer)), whole);
    for (size_t cut = 0; cut <= sizeof(buffer); cut++)
        assert_int_equal(crc32c(crc32c(0, buffer, cut), buffer + cut, sizeof(buffer) - cut), whole);
}

/* Long inputs go in three stretches at a time: every size around their borders, against the table.
 */
static void test_crc32c_in_stretches(void **state)
{
    (void)state;
    static unsigned char buffer[7000];
    for (size_t index = 0; index < sizeof(buffer); index++)
        buffer[index] = (unsigned char)(hash_mix(index) >> 24);
    for (size_t size = 3000; size < sizeof(buffer) - 8;
         size += size % 1024 < 1016 && size % 1024 > 8 ? 97 : 1) {
        uint32_t table = ~crc32c_table(~0u, buffer + size % 8, size);
        assert_int_equal(crc32c(0, buffer + size % 8, size), table);
        assert_int_equal(
            crc32c(crc32c(0, buffer + size % 8, 100), buffer + size % 8 + 100, size - 100), table);
    }
}

/* Each variant that this machine has, at sizes around its steps and wherever it begins, and gone on
 * with. */
static void test_crc32c_variants(void **state)
{
    (void)state;
    static _Alignas(64) unsigned char buffer[4400];
    for (size_t index = 0; index < sizeof(buffer); index++)
        buffer[index] = (unsigned char)(hash_mix(index) >> 32);
#if defined(__x86_64__)
    for (size_t begin = 0; begin < 130; begin += begin < 66 ? 1 : 9) {
        uint32_t table = 0x12345678;
        for (size_t size = 0; begin + size < sizeof(buffer); size++) {
            if (size % 64 < 3 || size % 64 > 61 || size % 37 == 0) {
                if (__builtin_cpu_supports("sse4.2"))
                    assert_int_equal(crc32c_sse42(0x12345678, buffer + begin, size), table);
                if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
                    assert_int_equal(crc32c_three(0x12345678, buffer + begin, size), table);
                if (size >= FOLD_SIZE_MIN && can_fold())
                    assert_int_equal(crc32c_fold(0x12345678, buffer + begin, size), table);
            }
            table = crc32c_table(table, buffer + begin + size, 1);
        }
    }
    if (can_fold()) {
        uint32_t right = crc32c(0, buffer + 1, 4000);
        fault_plant("hash.fold_begins_anew");
        assert_true(crc32c(0, buffer + 1, 4000) != right);
        fault_clear();
        assert_int_equal(crc32c(0, buffer + 1, 4000), right);
    }
#endif
}

static void test_hashes_differ(void **state)
{
    (void)state;
    assert_true(hash64("a", 1) != hash64("b", 1));
    assert_true(hash64_seed("a", 1, 1) != hash64_seed("a", 1, 2));
    assert_true(hash64("", 0) == 0x2D06800538D394C2ULL); /* XXH3's value for nothing */
    struct hash128 hash = hash128_of("", 0);
    assert_true(hash.high == 0x99AA06D3014798D8ULL && hash.low == 0x6001C324468D497FULL);
    assert_true(hash_mix(1) != hash_mix(2));
}

/* The library's own answer by its header, at sizes on both sides of the border. */
static void test_wide_is_the_same_hash(void **state)
{
    (void)state;
    static unsigned char buffer[70000];
    for (size_t index = 0; index < sizeof(buffer); index++)
        buffer[index] = (unsigned char)(hash_mix(index) >> 16);
    static const size_t sizes[] = {0,    1,    16,   240,  241,   1023,  1024,
                                   1025, 1088, 4096, 4097, 65535, 65536, 69999};
    for (size_t index = 0; index < sizeof(sizes) / sizeof(sizes[0]); index++) {
        size_t size = sizes[index];
        XXH128_hash_t want = XXH3_128bits(buffer, size);
        struct hash128 wide = hash128_wide(buffer, size), chosen = hash128_of(buffer, size);
        assert_true(wide.low == want.low64 && wide.high == want.high64);
        assert_true(chosen.low == want.low64 && chosen.high == want.high64);
        uint64_t seeded = XXH3_64bits_withSeed(buffer, size, 77);
        assert_true(hash64_seed_wide(buffer, size, 77) == seeded);
        assert_true(hash64_seed(buffer, size, 77) == seeded);
    }
}

/* Cut anywhere it is the hash of the whole. */
static void test_hash_in_pieces(void **state)
{
    (void)state;
    static unsigned char buffer[9000];
    for (size_t index = 0; index < sizeof(buffer); index++)
        buffer[index] = (unsigned char)(hash_mix(index) >> 8);
    for (size_t size = 0; size < sizeof(buffer); size += 1 + size / 3) {
        for (size_t cut = 0; cut <= size; cut += 1 + cut / 2) {
            struct hash_stream stream;
            hash_stream_init(&stream, size % 5);
            hash_stream_add(&stream, buffer, cut);
            hash_stream_add(&stream, buffer + cut, size - cut);
            assert_true(hash_stream_end(&stream) == hash64_seed(buffer, size, size % 5));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_published_values),
        cmocka_unit_test(test_hash_in_pieces),
        cmocka_unit_test(test_crc32c_table_agrees_and_continues),
        cmocka_unit_test(test_crc32c_in_stretches),
        cmocka_unit_test(test_crc32c_variants),
        cmocka_unit_test(test_hashes_differ),
        cmocka_unit_test(test_wide_is_the_same_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
