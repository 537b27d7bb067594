/* Sketches: how far off they are, that states written and merged are what one state would be, and
 * that bytes which are no state are refused. */
#include "query/func/aggregate.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define ROWS_MAX 100000
#ifdef FRESHET_CHECK /* sanitizers: what is slow there is changed less often */
#define HOSTILE_ROUNDS 800
#define MODEL_ROUNDS 25
#else
#define HOSTILE_ROUNDS 2000
#define MODEL_ROUNDS 80
#endif

static const struct aggregate *find(const char *name)
{
    return aggregate_next(slice_from_cstr(name), NULL);
}

static char *add(const struct aggregate *aggregate, const struct column *column, size_t count,
                 struct arena *arena)
{
    struct aggregate_memory memory = {.arena = arena};
    char *state = arena_alloc(arena, aggregate->state_size);
    aggregate->init(state);
    assert_int_equal(aggregate->update(state, 0, NULL, NULL, count, column, &memory, NULL), OK);
    return state;
}

static struct value finish(const char *name, const char *state, double fraction,
                           struct arena *arena)
{
    struct aggregate_memory memory = {.arena = arena};
    const struct aggregate *aggregate = find(name);
    struct aggregate_call call = {.aggregate = aggregate,
                                  .type = type_of((enum type_id)aggregate->result)};
    call.direct[0] = (struct value){.type = type_of(TYPE_FLOAT8), .f = fraction};
    struct value out;
    assert_int_equal(aggregate->finish(state, &call, &memory, &out, NULL), OK);
    return out;
}

static int64_t merge_distinct(const struct slice *states, size_t count, struct arena *arena)
{
    uint8_t validity[2] = {states[0].size > 0, 1}; /* the state of no rows is NULL */
    struct column column = {.type = type_of(TYPE_BYTEA), .text = states, .validity = validity};
    const char *state = add(find("approx_count_distinct_merge"), &column, count, arena);
    return finish("approx_count_distinct_merge", state, 0, arena).i;
}

static void test_distinct(void **state)
{
    (void)state;
    static int64_t values[ROWS_MAX];
    struct arena arena;
    arena_init(&arena);
    double worst = 0;
    for (size_t count = 1; count <= ROWS_MAX; count = count * 3 / 2 + 1) {
        for (size_t i = 0; i < count; i++)
            values[i] = (int64_t)(i * 2654435761u) - 77;
        struct column all = {.type = type_of(TYPE_INT8), .i = values};
        struct column half = {.type = type_of(TYPE_INT8), .i = values + count / 3};
        const struct aggregate *aggregate = find("approx_count_distinct");
        char *one = add(aggregate, &all, count, &arena);
        int64_t got = finish("approx_count_distinct", one, 0, &arena).i;
        if (count < 1024)
            assert_int_equal(got, count);
        double off = fabs((double)got - (double)count) / (double)count;
        worst = off > worst ? off : worst;
        /* Parts that overlap, as bytes. */
        struct slice states[2] = {finish("approx_count_distinct_state",
                                         add(aggregate, &all, count * 2 / 3, &arena), 0, &arena)
                                      .text,
                                  finish("approx_count_distinct_state",
                                         add(aggregate, &half, count - count / 3, &arena), 0,
                                         &arena)
                                      .text};
        assert_int_equal(merge_distinct(states, 2, &arena), got);
        arena_reset(&arena);
    }
    assert_true(worst < 4 * 0.0081);
    arena_deinit(&arena);
}

/* --- any order of rows, groups and states, beside the definition --- */

#define MODEL_ROWS 12000
#define MODEL_GROUPS 5
#define REGISTER_BITS 14

struct model {
    uint64_t hashes[MODEL_ROWS + 2048];
    size_t count;
};

static int compare_words(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The state's bytes as the head of aggregate_distinct.c defines them, without the check sum. */
static struct slice model_bytes(struct model *model)
{
    static char bytes[4 + 16384];
    size_t kept = 0;
    qsort(model->hashes, model->count, sizeof(uint64_t), compare_words);
    for (size_t i = 0; i < model->count; i++)
        if (kept == 0 || model->hashes[kept - 1] != model->hashes[i])
            model->hashes[kept++] = model->hashes[i];
    model->count = kept;
    size_t others = kept - (kept > 0 && model->hashes[0] == 0);
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, "H\1", 2);
    bytes[2] = others >= 1024;
    bytes[3] = REGISTER_BITS;
    if (others < 1024) {
        uint32_t count = (uint32_t)kept;
        memcpy(bytes + 4, &count, 4);
        memcpy(bytes + 8, model->hashes, kept * 8);
        return slice_of(bytes, 8 + kept * 8);
    }
    for (size_t i = 0; i < kept; i++) {
        char rank = 1, *place = &bytes[4 + (model->hashes[i] >> (64 - REGISTER_BITS))];
        for (int bit = 63 - REGISTER_BITS; bit >= 0 && (model->hashes[i] >> bit & 1) == 0; bit--)
            rank++;
        *place = *place < rank ? rank : *place;
    }
    return slice_of(bytes, sizeof(bytes));
}

struct trial {
    struct random_stream random;
    struct arena arena;
    struct model models[MODEL_GROUPS];
    char *states[2];
    struct slice dictionary[200];
    uint64_t kinds;
    bool is_growing, has_zeros;
    size_t total;
    /* the batch */
    struct column column;
    int64_t ints[2048];
    struct slice texts[2048];
    uint32_t codes[2048], group[2048], selection[2048];
    uint8_t validity[2048];
    size_t rows, selected;
};

/* Integers, texts or codes, with repetitions and NULLs. */
static void make_rows(struct trial *t)
{
    size_t form = random_below(&t->random, 4);
    t->rows = 1 + random_below(&t->random, 2047);
    t->selected = 0;
    for (size_t i = 0; i < t->rows; i++) {
        uint64_t kind = random_below(&t->random, t->kinds);
        t->ints[i] = t->has_zeros && kind % 3 == 0 ? 0 : (int64_t)(kind * 7919);
        if (t->is_growing)
            t->ints[i] = (int64_t)(t->total + i);
        t->texts[i] = slice_from_cstr(arena_printf(&t->arena, "%.*s%lld", (int)(kind % 40),
                                                   "a long text in front of the number, or less",
                                                   (long long)t->ints[i]));
        t->codes[i] = (uint32_t)(kind % array_count(t->dictionary));
        t->group[i] = (uint32_t)random_below(&t->random, MODEL_GROUPS);
        t->validity[i] = random_below(&t->random, 8) != 0;
        t->selection[t->selected] = (uint32_t)i;
        t->selected += random_below(&t->random, 4) != 0;
    }
    t->column = (struct column){.type = type_of(form < 2 ? TYPE_INT8 : TYPE_TEXT),
                                .form = form == 3 ? COLUMN_DICTIONARY : COLUMN_FLAT,
                                .validity = random_below(&t->random, 2) == 0 ? t->validity : NULL,
                                .codes = t->codes,
                                .dictionary = t->dictionary,
                                .dictionary_count = array_count(t->dictionary)};
    t->column.values = form < 2 ? (const void *)t->ints : (const void *)t->texts;
    t->total += t->rows;
}

static uint64_t hash_of(const struct column *column, size_t row)
{
    if (column->type.id == TYPE_INT8)
        return hash_mix((uint64_t)column->i[row]);
    struct slice text = column_text(column, row);
    return hash64(text.data, text.size);
}

/* Adds them to one of the states of each group, or of the first one. */
static void add_rows(struct trial *t, const struct aggregate *aggregate)
{
    struct aggregate_memory memory = {.arena = &t->arena};
    const uint32_t *group = random_below(&t->random, 3) != 0 ? t->group : NULL;
    const uint32_t *selection = random_below(&t->random, 2) == 0 ? NULL : t->selection;
    size_t into = random_below(&t->random, 2), stride = aggregate->state_size;
    size_t count = selection == NULL ? t->rows : t->selected;
    assert_int_equal(aggregate->update(t->states[into], stride, group, selection, count, &t->column,
                                       &memory, NULL),
                     OK);
    for (size_t k = 0; k < count; k++) {
        size_t row = selection == NULL ? k : selection[k];
        struct model *model = &t->models[group != NULL ? group[row] : 0];
        if (!column_is_null(&t->column, row))
            model->hashes[model->count++] = hash_of(&t->column, row);
    }
    if (random_below(&t->random, 4) != 0)
        return;
    for (size_t g = 0; g < MODEL_GROUPS; g++) { /* the others go into these, and begin anew */
        char *from = t->states[1 - into] + g * stride;
        assert_int_equal(aggregate->combine(t->states[into] + g * stride, from, &memory, NULL), OK);
        aggregate->init(from);
    }
}

static bool is_group_right(struct trial *t, const struct aggregate *aggregate, size_t g)
{
    struct aggregate_memory memory = {.arena = &t->arena};
    char *state = t->states[0] + g * aggregate->state_size;
    const char *other = t->states[1] + g * aggregate->state_size;
    assert_int_equal(aggregate->combine(state, other, &memory, NULL), OK);
    struct value got = finish("approx_count_distinct_state", state, 0, &t->arena);
    if (t->models[g].count == 0)
        return got.is_null;
    struct slice want = model_bytes(&t->models[g]);
    if (got.is_null || got.text.size != want.size + 4 ||
        memcmp(got.text.data, want.data, want.size) != 0)
        return false;
    return want.data[2] != 0 ||
           finish("approx_count_distinct", state, 0, &t->arena).i == (int64_t)t->models[g].count;
}

/* Rows in batches, by group or not, into either of two states that are combined now and then: are
 * the bytes at the end those of the definition? */
static bool is_as_defined(uint64_t seed)
{
    static struct trial t;
    const struct aggregate *aggregate = find("approx_count_distinct_state");
    memset(&t, 0, sizeof(t));
    random_stream_init(&t.random, seed);
    arena_init(&t.arena);
    t.kinds = 1 + random_below(&t.random, random_below(&t.random, 3) == 0 ? 300 : 6000);
    t.is_growing = random_below(&t.random, 4) == 0;
    t.has_zeros = random_below(&t.random, 2) == 0;
    for (size_t i = 0; i < array_count(t.dictionary); i++)
        t.dictionary[i] = slice_from_cstr(arena_printf(&t.arena, "text %zu of a dictionary", i));
    for (size_t s = 0; s < 2; s++) {
        t.states[s] = arena_alloc(&t.arena, MODEL_GROUPS * aggregate->state_size);
        for (size_t g = 0; g < MODEL_GROUPS; g++)
            aggregate->init(t.states[s] + g * aggregate->state_size);
    }
    size_t wanted = random_below(&t.random, random_below(&t.random, 3) == 0 ? 200 : MODEL_ROWS);
    do {
        make_rows(&t);
        add_rows(&t, aggregate);
    } while (t.total < wanted);
    bool is_right = true;
    for (size_t g = 0; g < MODEL_GROUPS; g++)
        is_right = is_right && is_group_right(&t, aggregate, g);
    arena_deinit(&t.arena);
    return is_right;
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= MODEL_ROUNDS; seed++)
        if (!is_as_defined(seed))
            fail_msg("seed %llu", (unsigned long long)seed);
}

static void test_faults(void **state)
{
    (void)state;
    static const char *const faults[] = {"sketch.repeated", "sketch.pending"};
    for (size_t i = 0; i < array_count(faults); i++) {
        bool is_found = false;
        fault_plant(faults[i]);
        for (uint64_t seed = 1; seed <= MODEL_ROUNDS && !is_found; seed++)
            is_found = !is_as_defined(seed);
        fault_clear();
        if (!is_found)
            fail_msg("%s was not found", faults[i]);
    }
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double shaped(struct random_stream *random, unsigned shape)
{
    double unit = (double)random_below(random, 1000001) / 1000000;
    switch (shape % 5) {
    case 0:
        return unit * 1000;
    case 1:
        return exp(unit * 60 - 30);
    case 2:
        return -exp(unit * 20);
    case 3:
        return unit < 0.2 ? 0 : (unit - 0.6) * 1e9;
    default:
        return unit < 0.5 ? ldexp(unit + 0.1, -1060) : ldexp(unit, 1020);
    }
}

static void test_percentile(void **state)
{
    (void)state;
    static double values[20000], sorted[20000];
    static const double fractions[] = {0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1};
    struct random_stream random;
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct arena arena;
        arena_init(&arena);
        random_stream_init(&random, seed);
        size_t count = 1 + random_below(&random, array_count(values));
        for (size_t i = 0; i < count; i++)
            sorted[i] = values[i] = shaped(&random, seed);
        qsort(sorted, count, sizeof(*sorted), compare_doubles);
        const struct aggregate *aggregate = find("approx_percentile");
        size_t part = count / 2;
        struct column all = {.type = type_of(TYPE_FLOAT8), .f = values};
        struct column rest = {.type = type_of(TYPE_FLOAT8), .f = values + part};
        char *one = add(aggregate, &all, count, &arena);
        struct slice states[2] = {
            finish("approx_percentile_state", add(aggregate, &all, part, &arena), 0, &arena).text,
            finish("approx_percentile_state", add(aggregate, &rest, count - part, &arena), 0,
                   &arena)
                .text};
        static const uint8_t validity[2][2] = {{0, 1}, {1, 1}};
        struct column bytes = {
            .type = type_of(TYPE_BYTEA), .text = states, .validity = validity[part > 0]};
        char *merged = add(find("approx_percentile_merge"), &bytes, 2, &arena);
        for (size_t f = 0; f < array_count(fractions); f++) {
            size_t rank = (size_t)ceil(fractions[f] * (double)count);
            double want = sorted[rank > 0 ? rank - 1 : 0];
            double got = finish("approx_percentile", one, fractions[f], &arena).f;
            if (!(fabs(got - want) <= 0.0100001 * fabs(want)))
                fail_msg("seed %u, %g: %g, not %g", seed, fractions[f], got, want);
            assert_true(got == finish("approx_percentile_merge", merged, fractions[f], &arena).f);
        }
        arena_deinit(&arena);
    }
}

static void test_percentile_ends(void **state)
{
    (void)state;
    static const double values[] = {INFINITY, NAN, -INFINITY, 0, -0.0, 5};
    struct arena arena;
    arena_init(&arena);
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
    char *one = add(find("approx_percentile"), &column, 6, &arena);
    assert_true(finish("approx_percentile", one, 0, &arena).f == -INFINITY);
    assert_true(finish("approx_percentile", one, 0.5, &arena).f == 0);
    assert_true(fabs(finish("approx_percentile", one, 0.66, &arena).f - 5) < 0.051);
    assert_true(finish("approx_percentile", one, 0.8, &arena).f == INFINITY);
    assert_true(isnan(finish("approx_percentile", one, 1, &arena).f));
    struct slice bytes = finish("approx_percentile_state", one, 0, &arena).text;
    struct column states = {.type = type_of(TYPE_BYTEA), .text = &bytes};
    char *again = add(find("approx_percentile_merge"), &states, 1, &arena);
    assert_true(finish("approx_percentile_merge", again, 0.8, &arena).f == INFINITY);
    assert_true(
        finish("approx_percentile", add(find("approx_percentile"), &column, 0, &arena), 0, &arena)
            .is_null);
    arena_deinit(&arena);
}

/* Changed bytes, with the check sum made good again, are refused or read: no harm either way. */
static void test_hostile(void **state)
{
    (void)state;
    static double values[3000];
    struct random_stream random;
    random_stream_init(&random, 5);
    for (size_t i = 0; i < array_count(values); i++)
        values[i] = shaped(&random, (unsigned)i);
    struct column column = {.type = type_of(TYPE_FLOAT8), .f = values};
    static const char *const names[] = {"approx_count_distinct", "approx_percentile"};
    size_t refused = 0;
    for (size_t round = 0; round < HOSTILE_ROUNDS; round++) {
        struct arena arena;
        arena_init(&arena);
        const char *name = names[round % 2];
        char *one = add(find(name), &column, round % 4 < 2 ? 40 : 3000, &arena);
        struct slice bytes = finish(arena_printf(&arena, "%s_state", name), one, 0, &arena).text;
        char *data = (char *)bytes.data;
        for (size_t i = 0; i <= random_below(&random, 3); i++)
            data[random_below(&random, bytes.size < 64 || i == 0 ? bytes.size : 64)] ^=
                (char)(1u << random_below(&random, 8));
        if (random_below(&random, 4) == 0)
            bytes.size = random_below(&random, bytes.size + 1);
        if (bytes.size >= 4 && random_below(&random, 4) != 0) {
            uint32_t sum = crc32c(0, data, bytes.size - 4);
            memcpy(data + bytes.size - 4, &sum, 4);
        }
        struct column states = {.type = type_of(TYPE_BYTEA), .text = &bytes};
        struct aggregate_memory memory = {.arena = &arena};
        const struct aggregate *merge = find(arena_printf(&arena, "%s_merge", name));
        char *target = arena_alloc(&arena, merge->state_size);
        struct error error;
        merge->init(target);
        enum err err = merge->update(target, 0, NULL, NULL, 1, &states, &memory, &error);
        if (err == OK)
            finish(merge->name, target, 0.5, &arena);
        else
            assert_string_equal(error.sqlstate, "22023");
        refused += err != OK;
        arena_deinit(&arena);
    }
    assert_true(refused > HOSTILE_ROUNDS * 3 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distinct),        cmocka_unit_test(test_model),
        cmocka_unit_test(test_faults),          cmocka_unit_test(test_percentile),
        cmocka_unit_test(test_percentile_ends), cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
