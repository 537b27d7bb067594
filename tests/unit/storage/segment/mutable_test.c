/* Mutable segments: one writer and four readers while chunks grow, dictionaries give up, NULLs
 * begin, a column is added and appended rows are rolled back (run it under the tsan preset); chunk
 * sizes; memory given back. */
#include "tests/model/cursor_model.h"
#include "storage/segment/view.h"

#include "storage/base/fault.h"
#include "storage/base/random.h"
#include "storage/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define READERS 4
#define ROWS 60000
#define ALTER_AT 20000 /* from this row on the table has one column more */

enum { TS, NUMBER, LOW, HIGH, BLOB, FLAG, LATE, COLUMNS };

/* What any row holds follows from its number. */
static bool is_null_at(int column, uint64_t row)
{
    switch (column) {
    case NUMBER:
        return row > 9000 && row % 5 == 0;
    case LOW:
        return row > 3000 && row % 11 == 0;
    case HIGH:
        return row % 1000 == 999;
    case BLOB:
        return row % 2 == 1;
    default:
        return false;
    }
}

static struct slice text_at(int column, uint64_t row, char out[40])
{
    int size = 0;
    if (column == LOW)
        size = snprintf(out, 40, "country-%llu", (unsigned long long)(row % 37));
    else if (column == HIGH) /* few at first, then all different: gives up on the way */
        size = snprintf(out, 40, "user-%llu", (unsigned long long)(row < 2000 ? row % 50 : row));
    else
        size = snprintf(out, 40, "%.*s", (int)(row % 23), "abcdefghijklmnopqrstuvwxyz");
    return slice_of(out, (size_t)size);
}

static const struct {
    const char *name;
    enum type_id type;
} definitions[COLUMNS] = {
    {"ts", TYPE_TIMESTAMPTZ}, {"number", TYPE_INT4}, {"low", TYPE_TEXT},  {"high", TYPE_TEXT},
    {"blob", TYPE_BYTEA},     {"flag", TYPE_BOOL},   {"late", TYPE_INT2},
};

static struct schema *make_schema(uint32_t version)
{
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->version = version;
    schema->name = SLICE("t");
    schema->column_count = version == 1 ? COLUMNS - 1 : COLUMNS;
    schema->columns = arena_alloc_zero(&schema->arena, COLUMNS * sizeof(*schema->columns));
    for (uint32_t i = 0; i < COLUMNS; i++) {
        struct column_definition *column = &schema->columns[i];
        column->id = i + 1;
        column->name = slice_from_cstr(definitions[i].name);
        column->type = type_of(definitions[i].type);
        column->missing = (struct value){.type = column->type, .is_null = i != LATE, .i = 42};
    }
    schema->next_column_id = COLUMNS + 1;
    schema->time_column = 0;
    return schema;
}

static struct value value_at(int column, uint64_t row, char text[40])
{
    struct value value = {.type = type_of(definitions[column].type),
                          .is_null = is_null_at(column, row)};
    if (value.is_null)
        return value;
    if (column == TS)
        value.i = (int64_t)row * 1000;
    else if (column == NUMBER)
        value.i = (int32_t)(row * 7);
    else if (column == FLAG)
        value.b = row % 3 == 0;
    else if (column == LATE)
        value.i = row < ALTER_AT ? 42 : (int64_t)(row % 100);
    else
        value.text = text_at(column, row, text);
    return value;
}

/* Turns rows into a dictionary column, as a decoder would have it. */
static struct column to_dictionary(struct column flat, size_t count, struct arena *arena)
{
    uint32_t *codes = arena_alloc_array(arena, count, sizeof(*codes));
    struct slice *entries = arena_alloc_array(arena, count, sizeof(*entries));
    uint32_t entry_count = 0;
    for (size_t row = 0; row < count; row++) {
        codes[row] = 0;
        uint32_t code = 0;
        while (code < entry_count && !slice_equal(entries[code], flat.text[row]))
            code++;
        if (code == entry_count)
            entries[entry_count++] = flat.text[row];
        codes[row] = code;
    }
    flat.form = COLUMN_DICTIONARY;
    flat.codes = codes;
    flat.dictionary = entries;
    flat.dictionary_count = entry_count;
    return flat;
}

/* Appends rows [begin, begin + count), or rubbish of the same shape. */
static void append(struct segment *segment, const struct schema *schema, uint64_t begin,
                   size_t count, bool is_rubbish)
{
    struct arena arena;
    arena_init(&arena);
    struct column columns[COLUMNS];
    uint32_t ids[COLUMNS];
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct column_builder builder;
        column_builder_init(&builder, schema->columns[i].type, &arena);
        for (uint64_t row = begin; row < begin + count; row++) {
            char text[40];
            struct value value = value_at((int)i, is_rubbish ? row * 31 + 5 : row, text);
            column_builder_add(&builder, &value);
        }
        columns[i] = column_builder_finish(&builder);
        if ((i == LOW || i == HIGH) && begin % 3 == 0)
            columns[i] = to_dictionary(columns[i], count, &arena);
        ids[i] = schema->columns[i].id;
    }
    struct batch batch = {
        .row_count = count, .column_count = schema->column_count, .columns = columns};
    struct writer bytes;
    writer_init(&bytes);
    stored_write(schema, ids, &batch, &bytes);
    struct reader reader = reader_of(writer_as_slice(&bytes));
    struct stored_rows rows;
    assert_int_equal(stored_read(&reader, &arena, &rows), OK);
    segment_append(segment, schema, &rows);
    writer_deinit(&bytes);
    arena_deinit(&arena);
}

/* --- readers beside a writer --- */

struct stage {
    struct mutex mutex; /* over view */
    struct table_view view;
    _Atomic bool is_done;
    _Atomic uint64_t checked, wrong; /* relaxed: counters, read after the joins */
};

static bool check_vector(const struct batch *batch, uint64_t row)
{
    for (size_t i = 0; i < batch->row_count; i++) {
        for (int column = 0; column < (int)batch->column_count; column++) {
            char text[40];
            struct value want = value_at(column, row + i, text);
            struct value got = column_value(&batch->columns[column], i);
            if (want.is_null != got.is_null)
                return false;
            if (!want.is_null && value_compare(&want, &got) != 0)
                return false;
        }
    }
    return true;
}

static void check_morsel(struct stage *stage, struct cursor *cursor, const struct table_view *view,
                         size_t morsel)
{
    struct morsel_range range = table_view_morsel(view, morsel);
    int64_t min_us, max_us;
    bool is_right = table_view_morsel_times(view, morsel, &min_us, &max_us) &&
                    min_us <= (int64_t)range.begin * 1000 &&
                    max_us >= ((int64_t)range.end - 1) * 1000;
    uint64_t row = range.begin;
    struct batch batch;
    test_seek(cursor, morsel);
    while (test_next(cursor, &batch)) {
        is_right &= check_vector(&batch, row);
        row += batch.row_count;
    }
    is_right &= row == range.end;
    atomic_fetch_add_explicit(&stage->checked, range.end - range.begin, memory_order_relaxed);
    if (!is_right)
        atomic_fetch_add_explicit(&stage->wrong, 1, memory_order_relaxed);
}

static void reader_run(void *context)
{
    struct stage *stage = context;
    struct random_stream random;
    random_stream_init(&random, (uintptr_t)&random);
    bool is_last = false;
    while (!is_last) {
        is_last = atomic_load_explicit(&stage->is_done, memory_order_acquire);
        mutex_lock(&stage->mutex);
        struct table_view view = stage->view;
        schema_ref(view.schema);
        mutex_unlock(&stage->mutex);
        static const uint32_t columns[COLUMNS] = {TS, NUMBER, LOW, HIGH, BLOB, FLAG, LATE};
        struct cursor *cursor = cursor_open(&view, columns, view.schema->column_count, NULL);
        size_t count = table_view_morsel_count(&view);
        if (count != 0) {
            check_morsel(stage, cursor, &view, count - 1);
            check_morsel(stage, cursor, &view, random_below(&random, count));
        }
        cursor_close(cursor);
        schema_unref(view.schema);
        thread_yield();
    }
}

static void publish(struct stage *stage, const struct schema *schema)
{
    mutex_lock(&stage->mutex);
    if (stage->view.schema != schema) {
        schema_unref(stage->view.schema);
        stage->view.schema = schema_ref(schema);
    }
    stage->view.published.rows = segment_rows(stage->view.segment);
    stage->view.published.chunk_count = segment_chunk_count(stage->view.segment);
    mutex_unlock(&stage->mutex);
}

static void test_readers_beside_a_writer(void **state)
{
    (void)state;
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct pool *pool = pool_create(&budget);
    struct schema *first = make_schema(1), *second = make_schema(2);
    struct stage stage = {.view = {.schema = schema_ref(first), .segment = segment_create(pool)}};
    struct segment *segment = stage.view.segment;
    mutex_init(&stage.mutex);
    struct thread *readers[READERS];
    for (int i = 0; i < READERS; i++)
        readers[i] = thread_start(
            &(struct thread_options){.name = "reader", .run = reader_run, .context = &stage});
    struct random_stream random;
    random_stream_init(&random, 4711);
    for (uint64_t row = 0; row < ROWS;) {
        const struct schema *schema = row < ALTER_AT ? first : second;
        if (random_below(&random, 8) == 0) { /* a group whose write failed */
            uint64_t rows = segment_rows(segment);
            uint32_t chunks = segment_chunk_count(segment);
            append(segment, schema, row, 1 + random_below(&random, 900), true);
            segment_rollback(segment, rows, chunks);
        }
        uint64_t end = row + 1 + random_below(&random, 300);
        uint64_t stop = row < ALTER_AT ? ALTER_AT : ROWS;
        end = end < stop ? end : stop;
        append(segment, schema, row, end - row, false);
        row = end;
        publish(&stage, schema);
    }
    atomic_store_explicit(&stage.is_done, true, memory_order_release);
    for (int i = 0; i < READERS; i++)
        thread_join(readers[i]);
    assert_int_equal(atomic_load(&stage.wrong), 0);
    assert_true(atomic_load(&stage.checked) >= READERS);

    /* All of it once more, and both forms of text occurred. */
    bool has_codes = false, has_text = false;
    for (uint32_t i = 0; i < segment_chunk_count(segment); i++) {
        const struct chunk *chunk = segment_chunk(segment, i);
        has_codes |= chunk->columns[HIGH].form == CHUNK_CODES;
        has_text |= chunk->columns[HIGH].form == CHUNK_TEXT;
        assert_int_equal(chunk->columns[LOW].form, CHUNK_CODES);
    }
    assert_true(has_codes && has_text);
    static const uint32_t columns[COLUMNS] = {TS, NUMBER, LOW, HIGH, BLOB, FLAG, LATE};
    struct cursor *cursor = cursor_open(&stage.view, columns, COLUMNS, NULL);
    for (size_t morsel = 0; morsel < table_view_morsel_count(&stage.view); morsel++)
        check_morsel(&stage, cursor, &stage.view, morsel);
    cursor_close(cursor);
    assert_int_equal(atomic_load(&stage.wrong), 0);
    schema_unref(stage.view.schema);
    schema_unref(first);
    schema_unref(second);
    segment_unref(segment);
    mutex_deinit(&stage.mutex);
    assert_int_equal(atomic_load(&budget.used), 0);
    pool_destroy(pool);
}

/* A reader that looked one row past its count, or a wrong value, would be seen: the same check on
 * other rows fails. */
static void test_the_check_finds_a_wrong_row(void **state)
{
    (void)state;
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct pool *pool = pool_create(&budget);
    struct schema *schema = make_schema(2);
    struct stage stage = {.view = {.schema = schema, .segment = segment_create(pool)}};
    append(stage.view.segment, schema, ALTER_AT, 100, true);
    stage.view.published.rows = 100;
    stage.view.published.chunk_count = segment_chunk_count(stage.view.segment);
    static const uint32_t columns[COLUMNS] = {TS, NUMBER, LOW, HIGH, BLOB, FLAG, LATE};
    struct cursor *cursor = cursor_open(&stage.view, columns, COLUMNS, NULL);
    check_morsel(&stage, cursor, &stage.view, 0);
    cursor_close(cursor);
    assert_int_equal(atomic_load(&stage.wrong), 1);
    segment_unref(stage.view.segment);
    schema_unref(schema);
    pool_destroy(pool);
}

static void test_chunks_start_small_and_double(void **state)
{
    (void)state;
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct pool *pool = pool_create(&budget);
    struct schema *schema = make_schema(2);
    struct segment *segment = segment_create(pool);
    append(segment, schema, 0, 1, false);
    assert_true(segment_bytes(segment) <= 64 << 10);
    assert_int_equal(segment_bytes(segment), atomic_load(&budget.used));
    for (uint64_t row = 1; row < 70000; row += 1000)
        append(segment, schema, row, 1000, false);
    uint32_t last = 0;
    for (uint32_t i = 0; i < segment_chunk_count(segment); i++) {
        uint32_t capacity = segment_chunk(segment, i)->capacity;
        assert_true(capacity == last || capacity == 2 * last || last == 0);
        assert_true(capacity <= CHUNK_ROWS_MAX);
        last = capacity;
    }
    assert_int_equal(segment_bytes(segment), atomic_load(&budget.used));
    segment_unref(segment);
    schema_unref(schema);
    assert_int_equal(atomic_load(&budget.used), 0);
    pool_destroy(pool);
}

/* However many rows come: few texts keep their dictionary, texts that never repeat lose it. */
static void test_a_long_segment_keeps_its_dictionaries(void **state)
{
    (void)state;
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct pool *pool = pool_create(&budget);
    struct schema *schema = make_schema(2);
    struct segment *segment = segment_create(pool);
    for (uint64_t row = 0; row < 400000; row += 20000)
        append(segment, schema, row + (row % 3 == 0), 20000, false);
    const struct chunk *last = segment_chunk(segment, segment_chunk_count(segment) - 1);
    for (uint32_t i = 0; i < last->column_count; i++) {
        if (last->columns[i].column_id == LOW + 1)
            assert_int_equal(last->columns[i].form, CHUNK_CODES);
        if (last->columns[i].column_id == HIGH + 1)
            assert_int_equal(last->columns[i].form, CHUNK_TEXT);
    }
    segment_unref(segment);
    schema_unref(schema);
    pool_destroy(pool);
}

/* 65,536 different texts fill a dictionary; what pays until then still ends there. */
static void test_a_full_dictionary_gives_up(void **state)
{
    (void)state;
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct pool *pool = pool_create(&budget);
    struct heap heap;
    heap_init(&heap, pool);
    struct dictionary *dictionary = dictionary_create(&heap);
    uint16_t code;
    for (uint32_t i = 0; i < DICTIONARY_ENTRIES_MAX; i++) {
        assert_true(dictionary_code(dictionary, slice_of(&i, sizeof(i)), &code));
        assert_int_equal(code, i);
    }
    uint32_t next = DICTIONARY_ENTRIES_MAX, known = 4242;
    assert_false(dictionary_code(dictionary, slice_of(&next, sizeof(next)), &code));
    assert_true(dictionary_code(dictionary, slice_of(&known, sizeof(known)), &code));
    assert_int_equal(code, known);
    uint32_t count;
    const struct slice *entries = dictionary_entries(dictionary, &count);
    assert_int_equal(count, DICTIONARY_ENTRIES_MAX);
    assert_memory_equal(entries[known].data, &known, sizeof(known));
    dictionary_destroy(dictionary);
    heap_deinit(&heap);
    assert_int_equal(atomic_load(&budget.used), 0);
    pool_destroy(pool);
}

/* Texts of every size around the borders of how they are kept, hashed and compared, each beside
 * ones that differ from it in one byte, looked up one at a time and in groups. */
static void test_dictionaries_tell_near_texts_apart(void **state)
{
    (void)state;
    enum { SIZE_MAX_HERE = 100, VARIANTS = 4 };
    static const uint32_t sizes[] = {
        0,  1,  2,  3,  4,  7,  8,  9,  15, 16, 17, 23, 24, 25,
        26, 30, 31, 32, 33, 34, 47, 48, 49, 63, 64, 65, 79, SIZE_MAX_HERE};
    struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
    struct pool *pool = pool_create(&budget);
    struct heap heap;
    heap_init(&heap, pool);
    struct dictionary *dictionary = dictionary_create(&heap);
    static char bytes[array_count(sizes)][SIZE_MAX_HERE * VARIANTS + 1][SIZE_MAX_HERE];
    static struct slice texts[array_count(sizes) * (SIZE_MAX_HERE * VARIANTS + 1)];
    uint32_t count = 0;
    for (size_t s = 0; s < array_count(sizes); s++) {
        for (uint32_t v = 0; v <= sizes[s] * VARIANTS; v++) {
            char *text = bytes[s][v];
            memset(text, 'a', sizes[s]);
            if (v > 0)
                text[(v - 1) / VARIANTS] = (char)("\0b\xe1\xff"[(v - 1) % VARIANTS]);
            texts[count++] = slice_of(text, sizes[s]);
        }
    }
    uint16_t *codes = memory_alloc(count * sizeof(*codes));
    for (uint32_t i = 0; i < count; i += 3) {
        assert_true(dictionary_code(dictionary, texts[i], &codes[i]));
        assert_int_equal(codes[i], i / 3);
    }
    /* One behind the other as in a record, with nothing to read behind the last. */
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += texts[i].size;
    char *packed = memory_alloc(total), *next = packed;
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i].size > 0)
            memcpy(next, texts[i].data, texts[i].size);
        texts[i].data = next;
        next += texts[i].size;
    }
    assert_true(dictionary_codes(dictionary, texts, count, next, codes));
    assert_int_equal(dictionary_size(dictionary), count);
    uint32_t entry_count;
    const struct slice *entries = dictionary_entries(dictionary, &entry_count);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t code;
        assert_true(slice_equal(entries[codes[i]], texts[i]));
        assert_true(dictionary_code(dictionary, texts[i], &code));
        assert_int_equal(code, codes[i]);
    }
    memory_free(packed);
    memory_free(codes);
    dictionary_destroy(dictionary);
    heap_deinit(&heap);
    assert_int_equal(atomic_load(&budget.used), 0);
    pool_destroy(pool);
}

/* A short text is its own bytes and none of those behind it. */
static void test_texts_end_where_they_end(void **state)
{
    (void)state;
    static const char bytes[] = "onetwoonetwotwoone and enough to read behind the last of them";
    struct slice texts[6];
    uint16_t codes[array_count(texts)];
    for (int is_planted = 0; is_planted <= 1; is_planted++) {
        struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
        struct pool *pool = pool_create(&budget);
        struct heap heap;
        heap_init(&heap, pool);
        struct dictionary *dictionary = dictionary_create(&heap);
        for (uint32_t i = 0; i < array_count(texts); i++)
            texts[i] = slice_of(bytes + 3 * i, 3);
        if (is_planted)
            fault_plant("dictionary.tails_kept");
        assert_true(
            dictionary_codes(dictionary, texts, array_count(texts), bytes + sizeof(bytes), codes));
        fault_clear();
        assert_int_equal(dictionary_size(dictionary), is_planted ? array_count(texts) : 2);
        for (uint32_t i = 0; i < array_count(texts) && !is_planted; i++)
            assert_int_equal(codes[i], bytes[3 * i] == 'o' ? 0 : 1);
        dictionary_destroy(dictionary);
        heap_deinit(&heap);
        pool_destroy(pool);
    }
}

/* Thousands of short and long texts, while the table grows and its lines fill: each keeps the code
 * it got first, one at a time and in groups. */
static void test_known_texts_are_found_again(void **state)
{
    (void)state;
    enum { TEXTS = 20000, SIZE = 40 };
    struct slice *texts = memory_alloc_zero(TEXTS * sizeof(*texts));
    uint16_t *codes = memory_alloc_zero(TEXTS * sizeof(*codes));
    char *bytes = memory_alloc_zero(TEXTS * SIZE);
    for (uint32_t i = 0; i < TEXTS; i++) {
        char *text = bytes + SIZE * i;
        snprintf(text, SIZE, "%*u", i % 2 == 0 ? 8 : SIZE - 1, i);
        texts[i] = slice_from_cstr(text);
    }
    for (int is_planted = 0; is_planted <= 1; is_planted++) {
        struct budget budget = {.limit = SIZE_MAX, .name = "rows"};
        struct pool *pool = pool_create(&budget);
        struct heap heap;
        heap_init(&heap, pool);
        struct dictionary *dictionary = dictionary_create(&heap);
        if (is_planted)
            fault_plant("dictionary.first_line_only");
        for (uint32_t i = 0; i < TEXTS; i++) {
            uint16_t again;
            assert_true(dictionary_code(dictionary, texts[i], &codes[i]));
            assert_true(dictionary_code(dictionary, texts[i / 2], &again));
            assert_true(codes[i] == i || is_planted);
            assert_true(again == i / 2 || is_planted);
        }
        assert_true(dictionary_codes(dictionary, texts, TEXTS, bytes + TEXTS * SIZE, codes));
        fault_clear();
        assert_true((dictionary_size(dictionary) == TEXTS) == !is_planted);
        for (uint32_t i = 0; i < TEXTS && !is_planted; i++)
            assert_int_equal(codes[i], i);
        dictionary_destroy(dictionary);
        heap_deinit(&heap);
        pool_destroy(pool);
    }
    memory_free(bytes);
    memory_free(codes);
    memory_free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts_are_found_again),
        cmocka_unit_test(test_readers_beside_a_writer),
        cmocka_unit_test(test_the_check_finds_a_wrong_row),
        cmocka_unit_test(test_chunks_start_small_and_double),
        cmocka_unit_test(test_a_long_segment_keeps_its_dictionaries),
        cmocka_unit_test(test_a_full_dictionary_gives_up),
        cmocka_unit_test(test_dictionaries_tell_near_texts_apart),
        cmocka_unit_test(test_texts_end_where_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
