/* Entries put in order, against a plain insertion sort by sort_compare_rows and against its promise
 * that equal rows stay as they came: keys of every kind with words and without, few and many rows,
 * NULLs at both ends, both directions, texts that begin alike, end in zeros or are empty; all of
 * them wanted and the first ones alone. */
#include "query/exec/sort.h"

#include "storage/base/fault.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define SEED 20261124
#define ROUNDS 400
#define ROWS_MAX 700
#define KEYS_MAX 4

static uint64_t state_of = SEED;

static uint64_t draw(uint64_t range)
{
    state_of = state_of * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state_of >> 33) % range;
}

struct table {
    size_t row_count, key_count;
    struct sort_key keys[KEYS_MAX];
    struct column columns[KEYS_MAX];
    uint32_t places[KEYS_MAX];
    struct sort_order order;
};

static struct slice draw_text(struct arena *arena)
{
    static const char letters[] = "aab\0\xff";
    static const char *const heads[] = {"", "same head", "same head of sixteen", "x"};
    char bytes[400];
    const char *head = heads[draw(4)];
    size_t size = strlen(head), more = draw(draw(3) == 0 ? 40 : 4);
    memcpy(bytes, head, size);
    if (draw(20) == 0) { /* so long that words end */
        memset(bytes + size, 'l', 300);
        size += 300;
    }
    for (size_t i = 0; i < more; i++)
        bytes[size++] = letters[draw(5)];
    return arena_copy(arena, slice_of(bytes, size));
}

static double draw_double(void)
{
    static const double special[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1.5, -1.5};
    return draw(2) == 0 ? special[draw(7)] : (double)draw(50) - 25.25;
}

static int64_t draw_int(uint64_t range)
{
    static const int64_t special[] = {INT64_MIN, INT64_MAX, 0, -1};
    return draw(8) == 0 ? special[draw(4)] : (int64_t)draw(range) - 20;
}

static struct column draw_column(size_t count, struct arena *arena)
{
    static const enum type_id types[] = {TYPE_INT8,    TYPE_FLOAT8,   TYPE_TEXT,
                                         TYPE_NUMERIC, TYPE_INTERVAL, TYPE_BOOL};
    struct type type = type_of(types[draw(array_count(types))]);
    struct column_builder builder;
    uint64_t range = draw(2) == 0 ? 3 : UINT64_C(1) << draw(31);
    bool is_rising = draw(4) == 0;
    column_builder_init(&builder, type, arena);
    for (size_t row = 0; row < count; row++) {
        struct value value = {.type = type, .is_null = draw(10) == 0};
        switch (type_physical((enum type_id)type.id)) {
        case PHYSICAL_INT:
            value.i = is_rising ? (int64_t)(row / 3) : draw_int(range);
            break;
        case PHYSICAL_FLOAT:
            value.f = draw_double();
            break;
        case PHYSICAL_TEXT:
            value.text = draw_text(arena);
            break;
        case PHYSICAL_NUMERIC:
            value.n = numeric_from_int((int64_t)draw(9) - 4);
            break;
        case PHYSICAL_INTERVAL:
            value.interval.microseconds = (int64_t)draw(5) - 2;
            break;
        case PHYSICAL_BOOL:
            value.b = draw(2) == 1;
        }
        column_builder_add(&builder, &value);
    }
    return column_builder_finish(&builder);
}

static void draw_table(struct table *table, struct arena *arena)
{
    table->row_count = draw(3) == 0 ? draw(20) : draw(ROWS_MAX);
    table->key_count = 1 + draw(KEYS_MAX);
    for (uint32_t key = 0; key < table->key_count; key++) {
        table->columns[key] = draw_column(table->row_count, arena);
        table->places[key] = key;
        table->keys[key] =
            (struct sort_key){.is_descending = draw(2) == 1, .is_nulls_first = draw(2) == 1};
    }
    table->order = (struct sort_order){
        .keys = table->keys, .key_count = table->key_count, .places = table->places};
}

/* Rows in order, one inserted after the other. */
static uint32_t *insert_rows(struct table *table, struct arena *arena)
{
    uint32_t *want = arena_alloc_array(arena, table->row_count + 1, sizeof(*want));
    for (uint32_t row = 0; row < table->row_count; row++) {
        size_t at = row;
        for (; at > 0 && sort_compare_rows(&table->order, table->columns, want[at - 1],
                                           table->columns, row) > 0;
             at--)
            want[at] = want[at - 1];
        want[at] = row;
    }
    return want;
}

/* Are the first ones those of `want`, and all rows there once? */
static bool is_right(struct table *table, const uint32_t *want, size_t wanted, struct arena *arena)
{
    struct budget budget = {.limit = (size_t)1 << 24, .name = "test"};
    struct exec exec = {.budget = &budget};
    size_t count = table->row_count;
    struct sort_entry *entries = arena_alloc_array(arena, count + 1, sizeof(*entries));
    struct sort_entry *spare = arena_alloc_array(arena, count + 1, sizeof(*spare));
    uint8_t *seen = arena_alloc_zero(arena, count + 1);
    struct error error;
    bool is = true;
    for (uint32_t row = 0; row < count; row++)
        entries[row] = sort_make_entry(&table->keys[0], &table->columns[0], row);
    assert_int_equal(sort_entries(&exec, &table->order, table->columns, entries, count, wanted,
                                  spare, &error),
                     OK);
    for (size_t place = 0; is && place < count; place++) {
        uint32_t row = entries[place].row;
        struct sort_entry first = sort_make_entry(&table->keys[0], &table->columns[0], row);
        is = seen[row]++ == 0 && (place >= wanted || row == want[place]) &&
             entries[place].prefix == first.prefix && entries[place].null_rank == first.null_rank;
    }
    return is;
}

/* All rows, and the first ones alone. */
static bool is_table_right(struct table *table, struct arena *arena)
{
    const size_t counts[] = {SIZE_MAX, 0, 1, 2, 10, draw(ROWS_MAX), table->row_count / 5};
    const uint32_t *want = insert_rows(table, arena);
    bool is = true;
    for (size_t i = 0; is && i < array_count(counts); i++)
        is = is_right(table, want, counts[i], arena);
    return is;
}

static bool are_all_right(void)
{
    struct table table;
    struct arena arena;
    bool are = true;
    arena_init(&arena);
    for (int round = 0; are && round < ROUNDS; round++) {
        arena_reset(&arena);
        draw_table(&table, &arena);
        are = is_table_right(&table, &arena);
    }
    arena_deinit(&arena);
    return are;
}

static void test_random_rows(void **state)
{
    (void)state;
    print_message("seed %d\n", SEED);
    assert_true(are_all_right());
}

static void test_fault_is_found(void **state)
{
    (void)state;
    fault_plant("sort.narrow");
    assert_false(are_all_right());
    fault_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_fault_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
