/* Blocks are as large as asked, those of bodies are used again, and no more are kept than that. */
#include "server/ring/blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

static void test_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = {1,          32 << 10,         (32 << 10) + 1, 1 << 20,
                                   1088 << 10, (1088 << 10) + 1, 4 << 20};
    struct blocks blocks = {0};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        bool is_kept = sizes[i] > 32 << 10 && sizes[i] <= 1088 << 10;
        size_t before = blocks.count;
        char *block = blocks_take(&blocks, sizes[i]);
        memset(block, 1, sizes[i]);
        blocks_give(&blocks, block, sizes[i]);
        assert_int_equal(blocks.count, is_kept ? 1 : before);
        if (is_kept) {
            assert_ptr_equal(blocks_take(&blocks, 1 << 20), block);
            blocks_give(&blocks, block, 1 << 20);
        }
    }
    char *many[BLOCKS_KEPT_MAX + 3];
    for (size_t i = 0; i < BLOCKS_KEPT_MAX + 3; i++)
        many[i] = blocks_take(&blocks, 1 << 20);
    assert_int_equal(blocks.count, 0);
    for (size_t i = 0; i < BLOCKS_KEPT_MAX + 3; i++)
        blocks_give(&blocks, many[i], 1 << 20);
    assert_int_equal(blocks.count, BLOCKS_KEPT_MAX);
    blocks_deinit(&blocks);
    assert_int_equal(blocks.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_blocks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
