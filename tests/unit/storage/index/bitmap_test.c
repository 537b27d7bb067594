/* Bitmap indexes against a list of values, sets of rows against a byte a row, and the portable
 * format of CRoaring with one lie at a time. */
#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/index/bitmap_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct column_model {
    uint32_t row_count;
    int64_t *keys;
    uint8_t *validity; /* NULL: none is NULL */
};

static void free_model(struct column_model *model)
{
    free(model->keys);
    free(model->validity);
}

static struct bitmap_input input_of(const struct column_model *model)
{
    return (struct bitmap_input){
        .row_count = model->row_count, .keys = model->keys, .validity = model->validity};
}

static bool has(const struct column_model *model, uint32_t row, int64_t key)
{
    return model->keys[row] == key && (model->validity == NULL || model->validity[row] != 0);
}

static uint32_t count_key(const struct column_model *model, int64_t key)
{
    uint32_t count = 0;
    for (uint32_t row = 0; row < model->row_count; row++)
        count += has(model, row, key);
    return count;
}

/* What a set of rows says, read in pieces, against a byte a row. */
static void check_set(const struct row_set *set, const uint8_t *want, uint32_t row_count)
{
    uint32_t selection[2048];
    uint64_t total = 0;
    for (uint32_t begin = 0; begin < row_count; begin += 2048) {
        uint32_t end = begin + 2048 < row_count ? begin + 2048 : row_count;
        uint32_t count = row_set_read(set, begin, end, selection, 2048);
        uint32_t at = 0;
        for (uint32_t row = begin; row < end; row++) {
            if (want[row] != 0) {
                assert_true(at < count);
                assert_int_equal(selection[at++], row - begin);
            }
        }
        assert_int_equal(at, count);
        assert_int_equal(row_set_has_range(set, begin, end), count != 0);
        total += count;
    }
    assert_int_equal(row_set_count(set), total);
}

static void check_key(const struct bitmap_index *index, const struct column_model *model,
                      int64_t key)
{
    uint32_t found;
    uint32_t want = count_key(model, key);
    bool is_indexed = bitmap_index_find(index, key, &found);
    assert_int_equal(is_indexed, (uint64_t)want * BITMAP_RARE < model->row_count);
    if (!is_indexed)
        return;
    assert_int_equal(found, want);
    struct row_set *set;
    uint8_t *rows = malloc(model->row_count);
    for (uint32_t row = 0; row < model->row_count; row++)
        rows[row] = has(model, row, key);
    assert_int_equal(bitmap_index_rows(index, &key, 1, &set, NULL), OK);
    check_set(set, rows, model->row_count);
    row_set_destroy(set);
    free(rows);
}

/* Values of one kind: how they are drawn decides forms, groups and numbering. */
enum shape { SHAPE_CODES, SHAPE_FEW, SHAPE_WIDE, SHAPE_RUNS, SHAPE_ZIPF, SHAPE_COUNT };

static int64_t draw(struct random_stream *chance, enum shape shape, uint32_t row)
{
    switch (shape) {
    case SHAPE_CODES:
        return (int64_t)random_below(chance, 3000);
    case SHAPE_FEW:
        return (int64_t)random_below(chance, 50) - 25;
    case SHAPE_WIDE:
        return (int64_t)(random_below(chance, 900) * 0x9E3779B97F4A7C15u);
    case SHAPE_RUNS:
        return (int64_t)(row / 700);
    default: {
        uint64_t bits = random_below(chance, 12);
        return (int64_t)random_below(chance, UINT64_C(1) << bits);
    }
    }
}

static struct column_model make_model(struct random_stream *chance, enum shape shape,
                                      uint32_t row_count)
{
    struct column_model model = {.row_count = row_count};
    model.keys = malloc(row_count * sizeof(*model.keys));
    if (random_below(chance, 2) == 0)
        model.validity = malloc(row_count);
    for (uint32_t row = 0; row < row_count; row++) {
        model.keys[row] = draw(chance, shape, row);
        if (model.validity != NULL)
            model.validity[row] = random_below(chance, 10) != 0;
    }
    return model;
}

static bool is_code(const struct column_model *model)
{
    for (uint32_t row = 0; row < model->row_count; row++) {
        if (model->keys[row] < 0 || model->keys[row] > 1000000)
            return false;
    }
    return true;
}

/* The same of codes, counted or with their counts, in memory of the caller's: the same bytes. */
static void check_codes(const struct column_model *model, struct slice want)
{
    uint32_t *codes = malloc(model->row_count * sizeof(*codes)), code_count = 1;
    for (uint32_t row = 0; row < model->row_count; row++) {
        codes[row] = (uint32_t)model->keys[row];
        code_count = codes[row] >= code_count ? codes[row] + 1 : code_count;
    }
    uint32_t *counts = calloc(code_count, sizeof(*counts));
    for (uint32_t row = 0; row < model->row_count; row++)
        counts[codes[row]] += model->validity == NULL || model->validity[row] != 0;
    uint32_t *memory = malloc((model->row_count + 1) * sizeof(*memory));
    for (int form = 0; form < 4; form++) {
        struct bitmap_input input = {.row_count = model->row_count,
                                     .codes = codes,
                                     .code_count = code_count,
                                     .code_rows = form & 1 ? counts : NULL,
                                     .memory = form & 2 ? memory : NULL,
                                     .validity = model->validity};
        struct writer out;
        writer_init(&out);
        assert_int_equal(bitmap_index_write(&input, &out), want.size != 0);
        assert_int_equal(out.size, want.size);
        if (want.size != 0)
            assert_memory_equal(out.data, want.data, want.size);
        writer_deinit(&out);
    }
    free(memory);
    free(counts);
    free(codes);
}

static void check_model(struct random_stream *chance, const struct column_model *model)
{
    struct writer out;
    struct bitmap_index index;
    struct error error;
    struct bitmap_input input = input_of(model);
    writer_init(&out);
    writer_cstr(&out, "before");
    bool is_written = bitmap_index_write(&input, &out);
    if (is_code(model))
        check_codes(model, slice_of(out.data + 6, out.size - 6));
    if (!is_written) {
        assert_int_equal(out.size, 6);
        for (int i = 0; i < 20; i++) {
            uint32_t row = (uint32_t)random_below(chance, model->row_count);
            uint32_t count = count_key(model, model->keys[row]);
            assert_true(count == 0 || (uint64_t)count * BITMAP_RARE >= model->row_count);
        }
        writer_deinit(&out);
        return;
    }
    struct slice bytes = slice_of(out.data + 6, out.size - 6);
    assert_int_equal(bitmap_index_open(bytes, model->row_count, &index, &error), OK);
    assert_int_equal(bitmap_index_open(bytes, model->row_count + 1, &index, &error), ERR_CORRUPT);
    assert_int_equal(bitmap_index_open(bytes, model->row_count, &index, &error), OK);
    assert_int_equal(bitmap_index_check(&index, &input, &error), OK);
    for (int i = 0; i < 20; i++)
        check_key(&index, model, model->keys[random_below(chance, model->row_count)]);
    static const int64_t others[] = {INT64_MIN, -26, -1, 0, 1, 5000, 1000000, INT64_MAX};
    for (size_t i = 0; i < array_count(others); i++)
        check_key(&index, model, others[i]);
    uint32_t row = (uint32_t)random_below(chance, model->row_count);
    uint32_t ignored;
    /* A wrong value is noticed, unless both are too frequent to be in the index. */
    if ((model->validity == NULL || model->validity[row] != 0) &&
        bitmap_index_find(&index, model->keys[row], &ignored)) {
        model->keys[row] += 1;
        assert_int_equal(bitmap_index_check(&index, &input, &error), ERR_CORRUPT);
        model->keys[row] -= 1;
    }
    writer_deinit(&out);
}

static void test_random(void **state)
{
    static const uint32_t sizes[] = {1, 31, 32, 33, 64, 1000, 2048, 65536, 70000, 200000};
    (void)state;
    for (size_t s = 0; s < array_count(sizes); s++) {
        for (int shape = 0; shape < SHAPE_COUNT; shape++) {
            struct random_stream chance;
            random_stream_init(&chance, s * 100 + (uint64_t)shape);
            struct column_model model = make_model(&chance, (enum shape)shape, sizes[s]);
            check_model(&chance, &model);
            free_model(&model);
        }
    }
}

static void test_a_fault_is_found(void **state)
{
    (void)state;
    struct random_stream chance;
    struct bitmap_index index;
    struct error error;
    struct writer out;
    random_stream_init(&chance, 1);
    struct column_model model = make_model(&chance, SHAPE_CODES, 10000);
    free(model.validity);
    model.validity = NULL;
    struct bitmap_input input = input_of(&model);
    writer_init(&out);
    fault_plant("bitmap.next_row");
    assert_true(bitmap_index_write(&input, &out));
    fault_clear();
    enum err err = bitmap_index_open(writer_as_slice(&out), 10000, &index, &error);
    if (err == OK)
        err = bitmap_index_check(&index, &input, &error);
    assert_int_equal(err, ERR_CORRUPT);
    writer_deinit(&out);
    free_model(&model);
}

/* Unions over keys and intersections, against bytes. */
static void test_sets(void **state)
{
    (void)state;
    struct random_stream chance;
    random_stream_init(&chance, 77);
    for (int round = 0; round < 20; round++) {
        struct column_model a = make_model(&chance, SHAPE_CODES, 100000);
        struct column_model b = make_model(&chance, SHAPE_RUNS, 100000);
        struct writer out[2];
        struct bitmap_index index[2];
        const struct column_model *models[2] = {&a, &b};
        int64_t keys[2][5];
        struct row_set *sets[2];
        uint8_t *want = malloc(100000);
        memset(want, 1, 100000);
        for (int i = 0; i < 2; i++) {
            struct bitmap_input input = input_of(models[i]);
            writer_init(&out[i]);
            assert_true(bitmap_index_write(&input, &out[i]));
            assert_int_equal(bitmap_index_open(writer_as_slice(&out[i]), 100000, &index[i], NULL),
                             OK);
            for (int k = 0; k < 5; k++)
                keys[i][k] = models[i]->keys[random_below(&chance, 100000)];
            keys[i][4] = 999999; /* no row has it */
            assert_int_equal(bitmap_index_rows(&index[i], keys[i], 5, &sets[i], NULL), OK);
            for (uint32_t row = 0; row < 100000; row++) {
                bool is_in = false;
                for (int k = 0; k < 5; k++)
                    is_in |= has(models[i], row, keys[i][k]);
                want[row] &= is_in;
            }
        }
        row_set_intersect(sets[0], sets[1]);
        check_set(sets[0], want, 100000);
        for (int i = 0; i < 2; i++) {
            row_set_destroy(sets[i]);
            writer_deinit(&out[i]);
        }
        free(want);
        free_model(&a);
        free_model(&b);
    }
    row_set_destroy(NULL);
}

/* 50,000 keys of one to three rows must not cost 30 bytes each. */
static void test_many_keys(void **state)
{
    (void)state;
    struct column_model model = {.row_count = 100000};
    model.keys = malloc(model.row_count * sizeof(*model.keys));
    struct random_stream chance;
    random_stream_init(&chance, 5);
    for (uint32_t row = 0; row < model.row_count; row++)
        model.keys[row] = (int64_t)random_below(&chance, 50000);
    struct bitmap_input input = input_of(&model);
    struct writer out;
    writer_init(&out);
    assert_true(bitmap_index_write(&input, &out));
    assert_true(out.size < 50000 * 10);
    /* One key too many. */
    writer_reset(&out);
    for (uint32_t row = 0; row < model.row_count; row++)
        model.keys[row] = (int64_t)row;
    assert_false(bitmap_index_write(&input, &out));
    for (uint32_t row = 0; row < model.row_count; row++)
        model.keys[row] = (int64_t)row << 40;
    assert_false(bitmap_index_write(&input, &out));
    for (uint32_t row = 0; row < model.row_count; row++)
        model.keys[row] = (int64_t)(row % BITMAP_KEYS_MAX) << 40;
    assert_true(bitmap_index_write(&input, &out));
    writer_deinit(&out);
    free_model(&model);
}

/* --- hostile lists: an index of one key whose list is given --- */

static void make_index(struct writer *out, uint32_t row_count, uint32_t count,
                       enum bitmap_form form, const void *list, size_t size)
{
    struct writer data;
    writer_init(&data);
    writer_varint(&data, (uint64_t)count << 1 | form);
    writer_varint(&data, size);
    writer_bytes(&data, list, size);
    writer_reset(out);
    writer_u32(out, BITMAP_MAGIC);
    writer_u32(out, row_count);
    writer_u32(out, 1);
    writer_u32(out, 0);
    writer_u64(out, data.size);
    writer_i64(out, 42);
    writer_u32(out, 0);
    writer_slice(out, writer_as_slice(&data));
    writer_deinit(&data);
}

static enum err try_list(uint32_t row_count, uint32_t count, enum bitmap_form form,
                         const void *list, size_t size)
{
    struct writer out;
    struct bitmap_index index;
    struct row_set *set;
    int64_t key = 42;
    writer_init(&out);
    make_index(&out, row_count, count, form, list, size);
    enum err err = bitmap_index_open(writer_as_slice(&out), row_count, &index, NULL);
    if (err == OK)
        err = bitmap_index_rows(&index, &key, 1, &set, NULL);
    if (err == OK)
        row_set_destroy(set);
    writer_deinit(&out);
    return err;
}

static void test_hostile_deltas(void **state)
{
    static const struct {
        const char *name;
        uint32_t row_count, count;
        size_t size;
        uint8_t list[4];
    } cases[] = {
        {"row past the end", 3, 1, 1, {3}},
        {"sum past the end", 3, 2, 2, {2, 1}},
        {"row twice", 9, 2, 2, {2, 0}},
        {"too short", 9, 2, 1, {2}},
        {"too long", 9, 1, 2, {2, 1}},
        {"open varint", 9, 1, 1, {0x80}},
        {"count above size", 1000, 900, 2, {1, 1}},
        {"no rows", 9, 0, 0, {0}},
    };
    (void)state;
    uint8_t good[] = {2, 1};
    assert_int_equal(try_list(9, 2, BITMAP_DELTAS, good, 2), OK);
    for (size_t i = 0; i < array_count(cases); i++) {
        if (try_list(cases[i].row_count, cases[i].count, BITMAP_DELTAS, cases[i].list,
                     cases[i].size) != ERR_CORRUPT)
            fail_msg("believed: %s", cases[i].name);
    }
}

/* Three containers: an array at 64, a run after it, a bitset in the third. Single changes of it. */
static void test_hostile_roaring(void **state)
{
    (void)state;
    static uint32_t rows[3 + 5000 + 5000];
    uint32_t count = 0;
    rows[count++] = 64;
    rows[count++] = 70;
    rows[count++] = 90;
    for (uint32_t i = 0; i < 5000; i++)
        rows[count++] = 65536 + 100 + i;
    for (uint32_t i = 0; i < 5000; i++)
        rows[count++] = 131072 + i * 3;
    struct writer out;
    writer_init(&out);
    size_t size = bitmap_roaring_write(rows, count, &out);
    uint32_t row_count = rows[count - 1] + 1;
    assert_int_equal(try_list(row_count, count, BITMAP_ROARING, out.data, size), OK);
    assert_int_equal(try_list(row_count - 1, count, BITMAP_ROARING, out.data, size), ERR_CORRUPT);
    assert_int_equal(try_list(row_count, count + 1, BITMAP_ROARING, out.data, size), ERR_CORRUPT);
    for (size_t cut = 0; cut < size; cut += 97)
        assert_int_equal(try_list(row_count, count, BITMAP_ROARING, out.data, cut), ERR_CORRUPT);
    writer_u8(&out, 0);
    assert_int_equal(try_list(row_count, count, BITMAP_ROARING, out.data, size + 1), ERR_CORRUPT);
    /* cookie 4, run flags 1, heads 12: array at 17 (6 bytes), run at 23 (2 + 4), bitset at 29 */
    static const struct {
        const char *name;
        size_t offset;
        uint16_t value;
    } lies[] = {
        {"cookie", 0, 12345},
        {"container count", 2, 9},
        {"run flags: none", 4, 0},
        {"run flags: all", 4, 7},
        {"container order", 9, 0},
        {"container past the rows", 13, 4000},
        {"cardinality of the array", 7, 3},
        {"cardinality of the run", 11, 77},
        {"cardinality of the bitset", 15, 4998},
        {"array order", 19, 64},
        {"no runs", 23, 0},
        {"runs past 16 bits", 25, 65000},
        {"run length", 27, 5000},
        {"bit in the bitset", 35, 0xFFFF},
    };
    for (size_t i = 0; i < array_count(lies); i++) {
        uint16_t before;
        memcpy(&before, out.data + lies[i].offset, sizeof(before));
        memcpy(out.data + lies[i].offset, &lies[i].value, sizeof(before));
        if (try_list(row_count, count, BITMAP_ROARING, out.data, size) != ERR_CORRUPT)
            fail_msg("believed: %s", lies[i].name);
        memcpy(out.data + lies[i].offset, &before, sizeof(before));
    }
    assert_int_equal(try_list(row_count, count, BITMAP_ROARING, out.data, size), OK);
    writer_deinit(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),           cmocka_unit_test(test_sets),
        cmocka_unit_test(test_a_fault_is_found), cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_hostile_deltas),   cmocka_unit_test(test_hostile_roaring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
