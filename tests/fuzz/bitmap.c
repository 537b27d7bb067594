/* Fuzz target: bytes as a bitmap index. Opened, every key near what it holds is looked up and its
 * rows are read, joined and cut; under the address sanitizer nothing may leave the bytes or corrupt
 * the heap of CRoaring. Bytes 0 to 2: the number of rows. */
#include "storage/index/bitmap_private.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static void read_set(const struct row_set *set, uint32_t row_count)
{
    uint32_t selection[2048];
    uint64_t total = 0;
    for (uint32_t begin = 0; begin < row_count; begin += 2048) {
        uint32_t end = begin + 2048 < row_count ? begin + 2048 : row_count;
        uint32_t count = row_set_read(set, begin, end, selection, 2048);
        for (uint32_t i = 0; i < count; i++)
            assert(selection[i] < end - begin && (i == 0 || selection[i] > selection[i - 1]));
        assert(row_set_has_range(set, begin, end) == (count != 0));
        total += count;
    }
    assert(row_set_count(set) == total);
}

static void use_index(const struct bitmap_index *index)
{
    struct row_set *all = NULL;
    for (int64_t key = -1; key < 300; key++) {
        uint32_t count;
        struct row_set *set;
        int64_t keys[2] = {key, key * 1000003};
        if (!bitmap_index_find(index, keys[0], &count) ||
            !bitmap_index_find(index, keys[1], &count) ||
            bitmap_index_rows(index, keys, 2, &set, NULL) != OK)
            continue;
        if (key % 16 == 0)
            read_set(set, index->row_count);
        if (all == NULL) {
            all = set;
            continue;
        }
        row_set_intersect(all, set);
        row_set_destroy(set);
    }
    row_set_destroy(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bitmap_index index;
    if (size < 3)
        return 0;
    uint32_t row_count = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
    uint8_t *copy = malloc(size - 3 + 1);
    memcpy(copy, data + 3, size - 3);
    if (row_count != 0 &&
        bitmap_index_open(slice_of(copy, size - 3), row_count, &index, NULL) == OK) {
        struct bitmap_input input = {.row_count = row_count};
        int64_t *keys = calloc(row_count, sizeof(*keys));
        input.keys = keys;
        use_index(&index);
        enum err ignored = bitmap_index_check(&index, &input, NULL);
        (void)ignored;
        free(keys);
    }
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const struct {
        uint32_t row_count;
        int64_t key_count, factor;
        uint32_t run;
    } seeds[] = {{100, 50, 1, 1},         {2000, 100, 1, 1},      {70000, 200, 1, 300},
                 {70000, 40, 1000003, 1}, {200000, 300, 1, 1000}, {66000, 40, 1, 1}};
    static struct writer out;
    writer_reset(&out);
    if (index >= array_count(seeds))
        return (struct slice){0};
    uint32_t row_count = seeds[index].row_count;
    int64_t *keys = malloc(row_count * sizeof(*keys));
    for (uint32_t row = 0; row < row_count; row++) {
        uint64_t step = row / seeds[index].run;
        keys[row] =
            (int64_t)((step * 40503 >> 3) % (uint64_t)seeds[index].key_count) * seeds[index].factor;
    }
    struct bitmap_input input = {.row_count = row_count, .keys = keys};
    for (int byte = 0; byte < 3; byte++)
        writer_u8(&out, (uint8_t)(row_count >> (8 * byte)));
    bool is_written = bitmap_index_write(&input, &out);
    assert(is_written);
    free(keys);
    return writer_as_slice(&out);
}
