/* Keys to numbers: equality of GROUP BY, dictionaries, pairs that outgrow their array. */
#include "query/exec/keys.h"
#include "query/exec/lexicon.h"
#include "storage/base/fault.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

struct fixture {
    struct budget budget;
    struct exec_memory memory;
    struct tuple_table table;
    struct error error;
};

static void setup(struct fixture *f, const struct type *types, size_t count)
{
    f->budget = (struct budget){.limit = 64 << 20, .name = "query"};
    exec_memory_init(&f->memory, &f->budget);
    tuple_table_init(&f->table, types, count, &f->memory);
}

static void teardown(struct fixture *f)
{
    tuple_table_deinit(&f->table);
    exec_memory_deinit(&f->memory);
    assert_int_equal(atomic_load(&f->budget.used), 0);
}

static void test_floats_group_as_postgres_does(void **state)
{
    (void)state;
    struct fixture f;
    const double values[] = {0.0, -0.0, 0.0 / 0.0, -(0.0 / 0.0), 1.5, 0.0};
    const uint8_t validity[] = {1, 1, 1, 1, 1, 0};
    const uint32_t want[] = {0, 0, 1, 1, 2, 3};
    struct type type = type_of(TYPE_FLOAT8);
    struct column column = {.type = type, .f = values, .validity = validity};
    uint32_t ids[6];
    setup(&f, &type, 1);
    assert_int_equal(tuple_table_ids(&f.table, &column, NULL, 6, true, ids, &f.error), OK);
    assert_memory_equal(ids, want, sizeof(want));
    assert_int_equal(f.table.count, 4);
    struct column out;
    tuple_table_keys(&f.table, 0, 4, &f.memory.arena, &out);
    assert_true(column_is_null(&out, 3));
    assert_false(column_is_null(&out, 0));
    assert_true(out.f[2] == 1.5);
    teardown(&f);
}

static void test_numeric_and_interval_by_value(void **state)
{
    (void)state;
    struct fixture f;
    struct numeric numbers[] = {numeric_from_int128(10, 1),
                                numeric_from_int128(100, 2),
                                numeric_from_int(2),
                                {.kind = NUMERIC_NAN},
                                {.kind = NUMERIC_NAN, .scale = 3}};
    struct interval spans[] = {{.days = 1},
                               {.microseconds = MICROSECONDS_PER_DAY},
                               {.months = 1},
                               {.days = 30},
                               {.days = 2}};
    const uint32_t want_numbers[] = {0, 0, 1, 2, 2}, want_spans[] = {0, 0, 1, 1, 2};
    struct type types[] = {type_of(TYPE_NUMERIC), type_of(TYPE_INTERVAL)};
    struct column columns[] = {{.type = types[0], .n = numbers},
                               {.type = types[1], .interval = spans}};
    uint32_t ids[5];
    setup(&f, types, 1);
    assert_int_equal(tuple_table_ids(&f.table, &columns[0], NULL, 5, true, ids, &f.error), OK);
    assert_memory_equal(ids, want_numbers, sizeof(want_numbers));
    teardown(&f);
    setup(&f, &types[1], 1);
    assert_int_equal(tuple_table_ids(&f.table, &columns[1], NULL, 5, true, ids, &f.error), OK);
    assert_memory_equal(ids, want_spans, sizeof(want_spans));
    teardown(&f);
}

/* A dictionary that grows, another one with other codes, and flat text: the same texts, the same
 * numbers. */
static void test_dictionaries_agree(void **state)
{
    (void)state;
    struct fixture f;
    const struct slice first[] = {SLICE("de"), SLICE("fr"), SLICE("uk")};
    const struct slice second[] = {SLICE("uk"), SLICE("de"), SLICE("never used")};
    const struct slice flat[] = {SLICE("fr"), SLICE("es"), SLICE("uk")};
    const uint32_t codes[] = {0, 1, 0}, more[] = {2, 1, 0}, other[] = {1, 0, 0};
    struct type type = type_of(TYPE_TEXT);
    struct column columns[] = {
        {.type = type,
         .form = COLUMN_DICTIONARY,
         .codes = codes,
         .dictionary = first,
         .dictionary_count = 2,
         .dictionary_id = 7},
        {.type = type,
         .form = COLUMN_DICTIONARY,
         .codes = more,
         .dictionary = first,
         .dictionary_count = 3,
         .dictionary_id = 7},
        {.type = type,
         .form = COLUMN_DICTIONARY,
         .codes = other,
         .dictionary = second,
         .dictionary_count = 3},
        {.type = type, .text = flat},
    };
    const uint32_t want[4][3] = {{0, 1, 0}, {2, 1, 0}, {0, 2, 2}, {1, 3, 2}};
    setup(&f, &type, 1);
    for (int i = 0; i < 4; i++) {
        uint32_t ids[3];
        assert_int_equal(tuple_table_ids(&f.table, &columns[i], NULL, 3, true, ids, &f.error), OK);
        assert_memory_equal(ids, want[i], sizeof(want[i]));
    }
    assert_int_equal(f.table.count, 4);
    uint32_t ids[3];
    const struct slice unknown[] = {SLICE("es"), SLICE("xx"), SLICE("")};
    struct column probe = {.type = type, .text = unknown};
    assert_int_equal(tuple_table_ids(&f.table, &probe, NULL, 3, false, ids, &f.error), OK);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], KEY_NONE);
    assert_int_equal(ids[2], KEY_NONE);
    teardown(&f);
}

/* A column of two codes of a dictionary of so many texts, and one of all codes of another with the
 * same ones; whether the first was numbered in the end, after so many queries over both. */
static bool is_numbered_after(size_t query_count, uint32_t text_count)
{
    enum { TEXTS = 5000 };
    static char bytes[TEXTS][12];
    static struct slice texts[TEXTS], backwards[TEXTS];
    static uint32_t codes[TEXTS], ids[TEXTS];
    struct dictionary_notes notes[2] = {{.newest = NULL}, {.newest = NULL}};
    const uint32_t few[2] = {text_count - 1, 0};
    struct type type = type_of(TYPE_TEXT);
    for (uint32_t i = 0; i < text_count; i++) {
        snprintf(bytes[i], sizeof(bytes[i]), "p%u", i);
        texts[i] = backwards[text_count - 1 - i] = slice_from_cstr(bytes[i]);
        codes[i] = i;
    }
    struct column columns[2] = {{.type = type,
                                 .form = COLUMN_DICTIONARY,
                                 .codes = few,
                                 .dictionary = texts,
                                 .dictionary_count = text_count,
                                 .dictionary_id = 1001,
                                 .notes = &notes[0]},
                                {.type = type,
                                 .form = COLUMN_DICTIONARY,
                                 .codes = codes,
                                 .dictionary = backwards,
                                 .dictionary_count = text_count,
                                 .dictionary_id = 1002,
                                 .notes = &notes[1]}};
    lexicon_reset(0);
    for (size_t query = 0; query < query_count; query++) {
        struct fixture f;
        setup(&f, &type, 1);
        assert_int_equal(tuple_table_ids(&f.table, &columns[0], NULL, 2, true, ids, &f.error), OK);
        assert_int_equal(ids[0], 0);
        assert_int_equal(ids[1], 1);
        assert_int_equal(
            tuple_table_ids(&f.table, &columns[1], NULL, text_count, true, ids, &f.error), OK);
        assert_int_equal(ids[0], 0); /* the last of the others */
        assert_int_equal(ids[text_count - 1], 1);
        for (uint32_t i = 1; i < text_count - 1; i++)
            assert_int_equal(ids[i], i + 1);
        assert_int_equal(f.table.count, text_count);
        teardown(&f);
    }
    bool is_numbered = lexicon_find(&columns[0]) != NULL;
    dictionary_notes_free(&notes[0]);
    dictionary_notes_free(&notes[1]);
    lexicon_reset(0);
    return is_numbered;
}

/* The numbers are the same before and after. */
static void test_little_of_a_large_dictionary(void **state)
{
    (void)state;
    assert_true(is_numbered_after(1, 2));
    assert_true(is_numbered_after(1, 1024));
    assert_false(is_numbered_after(3, 1025));
    assert_true(is_numbered_after(4, 1025));
    assert_true(is_numbered_after(4, 2048));
    fault_plant("lexicon.never_wanted");
    bool is_numbered = is_numbered_after(4, 2048);
    fault_clear();
    assert_false(is_numbered);
}

/* Three columns of up to 3,000 values each: dense pairs, then hashed ones, against a plain list. */
static void test_tuples_grow_past_the_dense_array(void **state)
{
    (void)state;
    enum { ROUNDS = 40, ROWS = 500 };
    struct fixture f;
    struct type types[] = {type_of(TYPE_INT8), type_of(TYPE_INT4), type_of(TYPE_BOOL)};
    static int64_t a[ROUNDS * ROWS], b[ROUNDS * ROWS];
    static uint8_t c[ROUNDS * ROWS];
    static uint32_t ids[ROUNDS * ROWS];
    setup(&f, types, 3);
    for (int64_t i = 0; i < ROUNDS * ROWS; i++) {
        a[i] = i * 7919 % 3000 * 60000000;
        b[i] = i * i % 2999;
        c[i] = i % 2 == 0;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        struct column columns[] = {{.type = types[0], .i = a + round * ROWS},
                                   {.type = types[1], .i = b + round * ROWS},
                                   {.type = types[2], .b = c + round * ROWS}};
        assert_int_equal(
            tuple_table_ids(&f.table, columns, NULL, ROWS, true, ids + round * ROWS, &f.error), OK);
    }
    assert_int_equal(f.table.pairs[1].form, PAIRS_PACKED);
    for (uint32_t id = 0; id < f.table.count; id++) {
        struct column out[3];
        tuple_table_keys(&f.table, id, 1, &f.memory.arena, out);
        size_t row = id;
        while (ids[row] != id) /* numbers come in order of first sight */
            row++;
        assert_int_equal(out[0].i[0], a[row]);
        assert_int_equal(out[1].i[0], b[row]);
        assert_int_equal(out[2].b[0], c[row]);
    }
    for (size_t i = 0; i < ROUNDS * ROWS; i += 97)
        for (size_t j = i; j < ROUNDS * ROWS; j += 101)
            assert_int_equal(ids[i] == ids[j], a[i] == a[j] && b[i] == b[j] && c[i] == c[j]);
    teardown(&f);
}

/* --- pairs of numbers beside a list --- */

#define PAIR_ROWS 160
#define PAIR_ROUNDS 40

struct pair_trial {
    struct random_stream random;
    struct budget budget;
    struct exec_memory memory;
    struct pair_table table;
    uint64_t seen[PAIR_ROWS * PAIR_ROUNDS];
    uint32_t seen_count;
    uint32_t left[PAIR_ROWS], right[PAIR_ROWS], ids[PAIR_ROWS], selection[PAIR_ROWS];
    bool is_slow; /* ranges grow by no more than rows: then growth is foretold */
};

static uint32_t seen_id(const struct pair_trial *t, uint64_t pair)
{
    for (uint32_t id = 0; id < t->seen_count; id++)
        if (t->seen[id] == pair)
            return id;
    return KEY_NONE;
}

static void make_pairs(struct pair_trial *t, struct pair_input *input)
{
    size_t count = 0;
    for (uint32_t i = 0; i < PAIR_ROWS; i++) {
        uint64_t pair = random_below(&t->random, input->left_count) << 32 |
                        random_below(&t->random, input->right_count);
        if (t->seen_count > 0 && random_below(&t->random, 3) == 0)
            pair = t->seen[random_below(&t->random, t->seen_count)];
        t->left[i] = (uint32_t)(pair >> 32);
        t->right[i] = (uint32_t)pair;
        t->selection[count] = i;
        count += random_below(&t->random, 3) != 0;
    }
    bool is_whole = random_below(&t->random, 2) == 0;
    input->left = t->left;
    input->right = t->right;
    input->selection = is_whole ? NULL : t->selection;
    input->count = is_whole ? PAIR_ROWS : count;
}

/* Adds them; were all numbers those of the list? */
static bool add_pairs(struct pair_trial *t, const struct pair_input *input)
{
    struct error error;
    t->budget.limit = 64 << 20;
    if (t->is_slow)
        t->budget.limit = atomic_load(&t->budget.used) + pair_table_growth(&t->table, input->count);
    if (pair_table_ids(&t->table, input, t->ids, &error) != OK)
        return false;
    for (size_t i = 0; i < input->count; i++) {
        size_t row = input->selection != NULL ? input->selection[i] : i;
        uint64_t pair = (uint64_t)t->left[row] << 32 | t->right[row];
        uint32_t want = seen_id(t, pair);
        if (want == KEY_NONE)
            t->seen[want = t->seen_count++] = pair;
        if (t->ids[row] != want)
            return false;
    }
    return t->table.count == t->seen_count;
}

/* Some that are there, some that are not, some outside of all ranges. */
static bool find_pairs(struct pair_trial *t)
{
    struct error error;
    struct pair_input input = {.left = t->left, .right = t->right, .count = PAIR_ROWS};
    for (size_t i = 0; i < PAIR_ROWS; i++) {
        uint64_t pair = t->seen[random_below(&t->random, t->seen_count)];
        /* Numbers past the ranges come only where these are not the array's. */
        uint64_t kind = random_below(&t->random, t->table.form == PAIRS_DENSE ? 3 : 5);
        t->left[i] = kind == 1 ? KEY_NONE : (uint32_t)(pair >> 32);
        t->right[i] = kind == 2 ? KEY_NONE : (uint32_t)pair;
        t->left[i] ^= kind == 3 ? (uint32_t)1 << random_below(&t->random, 32) : 0;
        t->right[i] ^= kind == 4 ? (uint32_t)1 << random_below(&t->random, 32) : 0;
    }
    if (pair_table_ids(&t->table, &input, t->ids, &error) != OK)
        return false;
    for (size_t i = 0; i < PAIR_ROWS; i++)
        if (t->ids[i] != seen_id(t, (uint64_t)t->left[i] << 32 | t->right[i]))
            return false;
    return true;
}

static bool are_pairs_right(uint64_t seed, unsigned *forms)
{
    static struct pair_trial t;
    static const unsigned most[][2] = {{5, 5}, {20, 8}, {12, 14}, {31, 20}, {8, 31}, {32, 32}};
    memset(&t, 0, sizeof(t));
    random_stream_init(&t.random, seed);
    t.budget = (struct budget){.limit = 64 << 20, .name = "query"};
    exec_memory_init(&t.memory, &t.budget);
    pair_table_init(&t.table, &t.memory);
    t.is_slow = seed % 3 == 0;
    static const uint32_t expected[] = {0, 3000, 20000, UINT32_MAX};
    t.table.expected = t.table.map.expected = expected[seed % array_count(expected)];
    const unsigned *bits = most[random_below(&t.random, array_count(most))];
    struct pair_input input = {.left_count = 1, .right_count = 1, .is_insert = true};
    bool is_right = true;
    for (unsigned round = 0; is_right && round < PAIR_ROUNDS; round++) {
        unsigned left = bits[0] * (round + 1) / PAIR_ROUNDS;
        unsigned right = bits[1] * (round / 7 + 1) / (PAIR_ROUNDS / 7 + 1);
        uint32_t lefts = (uint32_t)(((uint64_t)1 << left) - 1) + 1 - (left == 32);
        uint32_t rights = (uint32_t)(((uint64_t)1 << right) - 1) + 1 - (right == 32);
        input.left_count = t.is_slow ? input.left_count + (round == 0 ? 0 : 90) : lefts;
        input.right_count = t.is_slow ? input.right_count + (round == 0 ? 0 : 100) : rights;
        make_pairs(&t, &input);
        is_right = add_pairs(&t, &input) && find_pairs(&t);
        *forms |= 1U << t.table.form;
    }
    pair_table_deinit(&t.table);
    exec_memory_deinit(&t.memory);
    return is_right && atomic_load(&t.budget.used) == 0;
}

static void test_pairs(void **state)
{
    (void)state;
    unsigned forms = 0;
    bool is_found = false;
    for (uint64_t seed = 1; seed <= 40; seed++)
        if (!are_pairs_right(seed, &forms))
            fail_msg("seed %llu", (unsigned long long)seed);
    assert_int_equal(forms, 1U << PAIRS_DENSE | 1U << PAIRS_PACKED | 1U << PAIRS_WIDE);
    fault_plant("pairs.repacked");
    for (uint64_t seed = 1; seed <= 40 && !is_found; seed++)
        is_found = !are_pairs_right(seed, &forms);
    fault_clear();
    assert_true(is_found);
}

static void test_memory_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct type type = type_of(TYPE_INT8);
    int64_t values[VECTOR_ROWS_MAX];
    uint32_t ids[VECTOR_ROWS_MAX];
    setup(&f, &type, 1);
    f.budget.limit = 300 << 10;
    enum err err = OK;
    for (int64_t i = 0; err == OK && i < 1000; i++) {
        for (int64_t row = 0; row < VECTOR_ROWS_MAX; row++)
            values[row] = i * VECTOR_ROWS_MAX + row;
        struct column column = {.type = type, .i = values};
        err = tuple_table_ids(&f.table, &column, NULL, VECTOR_ROWS_MAX, true, ids, &f.error);
    }
    assert_int_equal(err, ERR_LIMIT);
    assert_string_equal(f.error.sqlstate, "53200");
    teardown(&f);
}

/* Integers that lie close together, then wider, then apart: a map, an array, a map again. Against a
 * list by value; NULLs, selections and look-ups of what is not there between. */
static void test_close_integers(void **state)
{
    (void)state;
    enum { ROUNDS = 200, SPAN = 400000, FAR = 3 };
    static uint32_t want[SPAN], want_far[FAR];
    static const int64_t far_values[FAR] = {INT64_MIN, INT64_MAX, -5000000000};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct fixture f;
        struct random_stream random;
        struct type type = type_of(TYPE_INT8);
        uint32_t next = 0, want_null = KEY_NONE;
        int64_t base = seed == 1 ? 0 : seed == 2 ? INT64_MIN : INT64_MAX - SPAN + 1;
        bool was_direct = false;
        random_stream_init(&random, seed);
        memset(want, 0xFF, sizeof(want));
        memset(want_far, 0xFF, sizeof(want_far));
        setup(&f, &type, 1);
        for (int round = 0; round < ROUNDS; round++) {
            int64_t values[VECTOR_ROWS_MAX];
            uint8_t validity[VECTOR_ROWS_MAX];
            uint32_t selection[VECTOR_ROWS_MAX], ids[VECTOR_ROWS_MAX], places[VECTOR_ROWS_MAX];
            bool has_nulls = random_below(&random, 3) == 0, is_insert = round % 7 != 6;
            bool is_selected = random_below(&random, 3) == 0;
            uint32_t span = round < 100 ? SPAN / 2 : SPAN;
            size_t count = 0;
            for (uint32_t row = 0; row < VECTOR_ROWS_MAX; row++) {
                bool is_far = round > 150 && random_below(&random, 1000) == 0;
                places[row] = is_far ? SPAN + (uint32_t)random_below(&random, FAR)
                                     : (uint32_t)random_below(&random, span);
                values[row] = is_far ? far_values[places[row] - SPAN] : base + places[row];
                for (uint32_t k = 0; is_far && k < FAR; k++) /* of this base it is not far */
                    if ((uint64_t)values[row] - (uint64_t)base < SPAN)
                        places[row] = (uint32_t)((uint64_t)values[row] - (uint64_t)base);
                validity[row] = !has_nulls || random_below(&random, 9) != 0;
                if (!is_selected || random_below(&random, 2) == 0)
                    selection[count++] = row;
            }
            struct column column = {
                .type = type, .i = values, .validity = has_nulls ? validity : NULL};
            assert_int_equal(tuple_table_ids(&f.table, &column, is_selected ? selection : NULL,
                                             count, is_insert, ids, &f.error),
                             OK);
            for (size_t i = 0; i < count; i++) {
                uint32_t row = selection[i], place = places[row];
                uint32_t *known = validity[row] == 0 ? &want_null
                                  : place < SPAN     ? &want[place]
                                                     : &want_far[place - SPAN];
                if (*known == KEY_NONE && is_insert)
                    *known = next++;
                if (ids[row] != *known)
                    fail_msg("seed %llu round %d row %u", (unsigned long long)seed, round, row);
            }
            was_direct = was_direct || f.table.columns[0].direct != NULL;
        }
        assert_true(was_direct);
        assert_null(f.table.columns[0].direct);
        assert_int_equal(f.table.count, next);
        teardown(&f);
    }
}

/* A time bucket that lasts for some batches and a column of texts, in both orders: numbers are
 * those of the pairs, in order of first sight, whichever batches come by the short way. */
static bool run_shortcut(size_t text_column)
{
    enum { ROUNDS = 120, BUCKETS = 8 };
    static const struct slice texts[2][3] = {{SLICE("a"), SLICE("b"), SLICE("c")},
                                             {SLICE("c"), SLICE("d"), SLICE("a")}};
    static const uint32_t names[2][3] = {{0, 1, 2}, {2, 3, 0}};
    struct fixture f;
    struct type types[3] = {type_of(TYPE_INT8), type_of(TYPE_INT8), type_of(TYPE_INT8)};
    uint32_t want[BUCKETS][2][4], next = 0;
    struct random_stream random;
    bool is_right = true;
    random_stream_init(&random, text_column);
    memset(want, 0xFF, sizeof(want));
    types[text_column] = type_of(TYPE_TEXT);
    setup(&f, types, 3);
    for (int round = 0; round < ROUNDS; round++) {
        int64_t bucket = (int64_t)random_below(&random, BUCKETS), other[2], mixed[100];
        uint32_t codes[100], ids[100], book = (uint32_t)random_below(&random, 2);
        bool is_mixed = random_below(&random, 4) == 0;
        struct column columns[3];
        other[0] = (int64_t)random_below(&random, 2);
        for (size_t row = 0; row < 100; row++) {
            codes[row] = (uint32_t)random_below(&random, round % 3 == 0 ? 1 : 3);
            mixed[row] = is_mixed ? (int64_t)random_below(&random, BUCKETS) : bucket;
        }
        size_t first = text_column == 0 ? 1 : 0, second = text_column == 2 ? 1 : 2;
        columns[text_column] = (struct column){.type = type_of(TYPE_TEXT),
                                               .form = COLUMN_DICTIONARY,
                                               .codes = codes,
                                               .dictionary = texts[book],
                                               .dictionary_count = 3,
                                               .dictionary_id = 7 + book};
        columns[first] = (struct column){.type = type_of(TYPE_INT8),
                                         .form = is_mixed ? COLUMN_FLAT : COLUMN_CONSTANT,
                                         .i = mixed};
        columns[second] =
            (struct column){.type = type_of(TYPE_INT8), .form = COLUMN_CONSTANT, .i = other};
        assert_int_equal(tuple_table_ids(&f.table, columns, NULL, 100, true, ids, &f.error), OK);
        for (size_t row = 0; row < 100; row++) {
            uint32_t *known = &want[mixed[row]][other[0]][names[book][codes[row]]];
            if (*known == KEY_NONE)
                *known = next++;
            is_right = is_right && ids[row] == *known;
        }
    }
    is_right = is_right && f.table.count == next;
    teardown(&f);
    return is_right;
}

static void test_one_column_of_texts_among_constants(void **state)
{
    (void)state;
    for (size_t text_column = 0; text_column < 3; text_column++)
        assert_true(run_shortcut(text_column));
    fault_plant("keys.shortcut");
    assert_false(run_shortcut(1));
    fault_clear();
}

/* Numbers with sizes expected are those without; tables are made large once, when a part of the
 * keys has come, and not for few keys. */
static uint64_t count_moved(struct type type, uint32_t key_count, uint32_t expected)
{
    enum { ROWS = 2000 };
    struct fixture f;
    int64_t numbers[ROWS];
    struct slice texts[ROWS];
    char bytes[ROWS][12];
    uint32_t ids[ROWS];
    struct column column = {.type = type, .i = numbers};
    setup(&f, &type, 1);
    tuple_table_expect(&f.table, (const uint32_t[]){expected, 0});
    if (type.id == TYPE_TEXT)
        column.values = texts;
    for (uint32_t row = 0; row < 3 * key_count; row += ROWS) {
        for (uint32_t i = 0; i < ROWS; i++) {
            numbers[i] = (int64_t)((row + i) % key_count) * 1000003;
            snprintf(bytes[i], sizeof(bytes[i]), "k%u", (row + i) % key_count);
            texts[i] = slice_from_cstr(bytes[i]);
        }
        size_t used = atomic_load(&f.budget.used), growth = tuple_table_growth(&f.table, ROWS);
        assert_int_equal(tuple_table_ids(&f.table, &column, NULL, ROWS, true, ids, &f.error), OK);
        assert_true(atomic_load(&f.budget.used) <= used + growth + ((size_t)1 << 20));
        for (uint32_t i = 0; i < ROWS; i++)
            assert_int_equal(ids[i], (row + i) % key_count);
    }
    uint64_t moved = f.memory.keys_moved;
    teardown(&f);
    return moved;
}

static void test_sizes_of_the_last_run(void **state)
{
    (void)state;
    static const struct type types[] = {{.id = TYPE_INT8}, {.id = TYPE_TEXT}};
    for (size_t i = 0; i < array_count(types); i++) {
        uint64_t plain = count_moved(types[i], 60000, 0);
        assert_true(plain > 40000);
        assert_true(count_moved(types[i], 60000, 60000) < 60000 / 8);
        assert_true(count_moved(types[i], 60000, 50000) <= plain + 60000);
        count_moved(types[i], 60000, UINT32_MAX); /* more than the memory: not believed */
        assert_int_equal(count_moved(types[i], 1000, 60000), count_moved(types[i], 1000, 0));
    }
}

/* Close integers and then some far apart, with the last run's size known or not: where there was
 * memory for what a batch may take at most, it is numbered. */
static void test_growth_of_integers_is_foretold(void **state)
{
    (void)state;
    struct type type = type_of(TYPE_INT8);
    int64_t numbers[VECTOR_ROWS_MAX];
    uint32_t ids[VECTOR_ROWS_MAX];
    struct column column = {.type = type, .i = numbers};
    for (size_t limit = (size_t)1 << 20; limit < (size_t)16 << 20; limit += (size_t)1 << 19) {
        for (uint32_t known = 0; known <= 300000; known += 300000) {
            struct fixture f;
            setup(&f, &type, 1);
            f.budget.limit = limit;
            tuple_table_expect(&f.table, (const uint32_t[]){known, 0});
            for (int64_t next = 1; next <= 300000;) {
                for (size_t i = 0; i < VECTOR_ROWS_MAX; i++, next++)
                    numbers[i] = next <= 150000 ? next : (next - 150000) * 50;
                size_t need = tuple_table_growth(&f.table, VECTOR_ROWS_MAX);
                if (atomic_load(&f.budget.used) + need > limit)
                    break;
                assert_int_equal(
                    tuple_table_ids(&f.table, &column, NULL, VECTOR_ROWS_MAX, true, ids, &f.error),
                    OK);
            }
            assert_true(f.table.count > limit / 128 || f.table.count > 290000);
            teardown(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats_group_as_postgres_does),
        cmocka_unit_test(test_numeric_and_interval_by_value),
        cmocka_unit_test(test_dictionaries_agree),
        cmocka_unit_test(test_little_of_a_large_dictionary),
        cmocka_unit_test(test_tuples_grow_past_the_dense_array),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_sizes_of_the_last_run),
        cmocka_unit_test(test_growth_of_integers_is_foretold),
        cmocka_unit_test(test_close_integers),
        cmocka_unit_test(test_one_column_of_texts_among_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
