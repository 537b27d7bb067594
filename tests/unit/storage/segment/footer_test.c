/* Headers and footers of sealed segments: back as they were, and refused where one field lies. */
#include "storage/segment/footer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FILE_SIZE 100000

static const struct sealed_header header_good = {.number = 0x123456789a,
                                                 .table_id = 9,
                                                 .row_count = 70000,
                                                 .footer_offset = 4096,
                                                 .footer_size = 1000,
                                                 .footer_checksum = 0xfeedface};

static void test_header(void **state)
{
    (void)state;
    uint8_t bytes[SEALED_HEADER_SIZE];
    struct sealed_header back;
    struct error error;
    sealed_header_write(&header_good, bytes);
    assert_int_equal(sealed_header_read(slice_of(bytes, sizeof(bytes)), 5096, &back, &error), OK);
    assert_int_equal(back.number, header_good.number);
    assert_int_equal(back.table_id, header_good.table_id);
    assert_int_equal(back.row_count, header_good.row_count);
    assert_int_equal(back.footer_offset, header_good.footer_offset);
    assert_int_equal(back.footer_size, header_good.footer_size);
    assert_int_equal(back.footer_checksum, header_good.footer_checksum);
    assert_int_equal(sealed_header_read(slice_of(bytes, sizeof(bytes)), 5095, &back, &error),
                     ERR_CORRUPT);
    assert_int_equal(sealed_header_read(slice_of(bytes, 63), 5096, &back, &error), ERR_CORRUPT);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(sealed_header_read(slice_of(bytes, sizeof(bytes)), 5096, &back, &error),
                         ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

/* The checksum tells one place from another. */
static void test_checksum(void **state)
{
    (void)state;
    struct slice bytes = SLICE("page");
    uint64_t sum = sealed_checksum(5, 1, bytes);
    assert_true(sum == sealed_checksum(5, 1, bytes));
    assert_true(sum != sealed_checksum(5, 2, bytes));
    assert_true(sum != sealed_checksum(6, 1, bytes));
    assert_true(sum != sealed_checksum(5, 1, SLICE("pagf")));
}

/* Three columns, two blocks: time; text with dictionary and index; double. */
struct sample {
    struct sealed_footer footer;
    struct sealed_column columns[3];
    struct sealed_block blocks[3][2];
};

static struct sealed_page page_of(uint64_t offset, uint32_t ordinal)
{
    return (struct sealed_page){
        .offset = offset, .size = 60, .ordinal = ordinal, .checksum = offset * 31};
}

static void make_sample(struct sample *sample)
{
    *sample = (struct sample){.footer = {.number = 11,
                                         .table_id = 4,
                                         .schema_version = 3,
                                         .row_count = 65540,
                                         .block_count = 2,
                                         .column_count = 3,
                                         .time_column_id = 1,
                                         .first_position = 8,
                                         .last_position = 8,
                                         .created_at_us = -5}};
    static const struct type types[] = {
        {.id = TYPE_TIMESTAMPTZ}, {.id = TYPE_VARCHAR, .length = 12}, {.id = TYPE_FLOAT8}};
    uint32_t ordinal = 0;
    for (uint32_t c = 0; c < 3; c++) {
        sample->columns[c] =
            (struct sealed_column){.column_id = 1 + c, .type = types[c], .raw_bytes = 1000 + c};
        if (c == 1) {
            sample->columns[c].entry_count = 20;
            sample->columns[c].dictionary = page_of(64 + 64 * ordinal, ordinal);
            ordinal++;
        }
        for (uint32_t i = 0; i < 2; i++) {
            sample->blocks[c][i] = (struct sealed_block){
                .page = page_of(64 + 64 * ordinal, ordinal),
                .encoding = 3,
                .zone = {.null_count = i, .has_range = true, .min = 2, .max = 19}};
            ordinal++;
        }
    }
    sample->columns[1].index = page_of(64 + 64 * ordinal, ordinal);
}

/* The pointers are set late: a sample is copied. */
static enum err read_back(struct sample *sample, uint64_t file_size, struct arena *arena,
                          struct sealed_footer *back)
{
    struct writer out;
    struct error error;
    writer_init(&out);
    sample->footer.columns = sample->columns;
    for (uint32_t c = 0; c < 3; c++)
        sample->columns[c].blocks = sample->blocks[c];
    footer_write(&sample->footer, &out);
    assert_int_equal(out.size, footer_size(3, 2));
    enum err err = footer_read(writer_as_slice(&out), file_size, arena, back, &error);
    for (size_t size = 0; size < out.size; size += 7)
        assert_int_equal(footer_read(slice_of(out.data, size), file_size, arena, back, &error),
                         ERR_CORRUPT);
    if (err == OK)
        err = footer_read(writer_as_slice(&out), file_size, arena, back, &error);
    writer_deinit(&out);
    return err;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct sample sample;
    struct sealed_footer back;
    struct arena arena;
    arena_init(&arena);
    make_sample(&sample);
    assert_int_equal(read_back(&sample, FILE_SIZE, &arena, &back), OK);
    assert_int_equal(back.number, 11);
    assert_int_equal(back.row_count, 65540);
    assert_int_equal(back.created_at_us, -5);
    assert_int_equal(back.columns[1].entry_count, 20);
    assert_true(type_equal(back.columns[1].type, sample.columns[1].type));
    assert_memory_equal(&back.columns[1].index, &sample.columns[1].index,
                        sizeof(struct sealed_page));
    for (uint32_t c = 0; c < 3; c++) {
        assert_int_equal(back.columns[c].raw_bytes, 1000 + c);
        for (uint32_t i = 0; i < 2; i++) {
            const struct sealed_block *got = &back.columns[c].blocks[i];
            assert_int_equal(got->page.offset, sample.blocks[c][i].page.offset);
            assert_int_equal(got->page.checksum, sample.blocks[c][i].page.checksum);
            assert_int_equal(got->encoding, 3);
            assert_int_equal(got->zone.null_count, i);
            assert_int_equal(got->zone.max, 19);
        }
    }
    uint64_t last_end = sample.columns[1].index.offset + sample.columns[1].index.size;
    assert_int_equal(read_back(&sample, last_end, &arena, &back), OK);
    assert_int_equal(read_back(&sample, last_end - 1, &arena, &back), ERR_CORRUPT);
    arena_deinit(&arena);
}

/* --- one lie each --- */

/* clang-format off */
static void lie_rows(struct sample *s) { s->footer.row_count = 65536; }
static void lie_no_rows(struct sample *s) { s->footer.row_count = 0; }
static void lie_rows_max(struct sample *s) { s->footer.row_count = SEALED_ROWS_MAX + 1; }
static void lie_positions(struct sample *s) { s->footer.first_position = 9; }
static void lie_time(struct sample *s) { s->footer.time_column_id = 2; }
static void lie_time_none(struct sample *s) { s->footer.time_column_id = 77; }
static void lie_id_order(struct sample *s) { s->columns[2].column_id = 2; }
static void lie_id_zero(struct sample *s) { s->columns[0].column_id = 0; }
static void lie_type(struct sample *s) { s->columns[2].type.id = TYPE_INTERVAL; }
static void lie_type_high(struct sample *s) { s->columns[2].type.id = TYPE_COUNT; }
static void lie_length(struct sample *s) { s->columns[2].type.length = 4; }
static void lie_precision(struct sample *s) { s->columns[2].type.precision = 4; }
static void lie_numeric(struct sample *s) { s->columns[2].type = (struct type){.id = TYPE_NUMERIC}; }
static void lie_scale(struct sample *s)
{
    s->columns[2].type = (struct type){.id = TYPE_NUMERIC, .precision = 3, .scale = 4};
}
static void lie_entries(struct sample *s) { s->columns[1].entry_count = SEALED_ENTRIES_MAX + 1; }
static void lie_entries_none(struct sample *s) { s->columns[1].entry_count = 0; }
static void lie_dictionary(struct sample *s) { s->columns[1].dictionary = (struct sealed_page){0}; }
static void lie_dictionary_type(struct sample *s) { s->columns[1].type = type_of(TYPE_UUID); }
static void lie_dictionary_type_int(struct sample *s) { s->columns[1].type = type_of(TYPE_INT8); }
static void lie_code(struct sample *s) { s->columns[1].entry_count = 19; }
static void lie_code_low(struct sample *s) { s->blocks[1][0].zone.min = -1; }
static void lie_range(struct sample *s) { s->blocks[0][0].zone.min = 20; }
static void lie_no_range(struct sample *s)
{
    s->blocks[1][0].zone = (struct block_zone){.null_count = 5};
}
static void lie_range_of_nulls(struct sample *s) { s->blocks[0][1].zone.null_count = 4; }
static void lie_nulls(struct sample *s)
{
    s->blocks[0][1].zone = (struct block_zone){.null_count = 5};
}
static void lie_encoding(struct sample *s) { s->blocks[0][1].encoding = ENCODING_COUNT_MAX; }
static void lie_index_of_float(struct sample *s) { s->columns[2].index = page_of(1000, 7); }
static void lie_index_half(struct sample *s) { s->columns[0].index.ordinal = 7; }
static void lie_page_header(struct sample *s) { s->blocks[0][0].page.offset = 56; }
static void lie_page_overlap(struct sample *s) { s->blocks[0][1].page.offset = 120; }
static void lie_page_align(struct sample *s) { s->columns[1].index.offset += 4; }
static void lie_page_size(struct sample *s) { s->blocks[2][1].page.size = 0; }
static void lie_page_far(struct sample *s) { s->columns[1].index.offset = UINT64_MAX - 7; }
static void lie_ordinal(struct sample *s) { s->blocks[2][1].page.ordinal = 3; }
/* clang-format on */

static const struct {
    const char *name;
    void (*lie)(struct sample *sample);
} lies[] = {
    {"rows", lie_rows},
    {"no rows", lie_no_rows},
    {"too many rows", lie_rows_max},
    {"positions", lie_positions},
    {"time is text", lie_time},
    {"time is none", lie_time_none},
    {"ids repeat", lie_id_order},
    {"id 0", lie_id_zero},
    {"interval", lie_type},
    {"no such type", lie_type_high},
    {"length of a double", lie_length},
    {"precision of a double", lie_precision},
    {"numeric without precision", lie_numeric},
    {"scale over precision", lie_scale},
    {"too many entries", lie_entries},
    {"dictionary without entries", lie_entries_none},
    {"entries without dictionary", lie_dictionary},
    {"dictionary of uuids", lie_dictionary_type},
    {"dictionary of integers", lie_dictionary_type_int},
    {"code without entry", lie_code},
    {"negative code", lie_code_low},
    {"range turned round", lie_range},
    {"codes without range", lie_no_range},
    {"range of NULLs", lie_range_of_nulls},
    {"more NULLs than rows", lie_nulls},
    {"no such encoding", lie_encoding},
    {"index of doubles", lie_index_of_float},
    {"half an absent page", lie_index_half},
    {"page in the header", lie_page_header},
    {"pages overlap", lie_page_overlap},
    {"page not aligned", lie_page_align},
    {"empty page", lie_page_size},
    {"page past the end", lie_page_far},
    {"ordinal twice", lie_ordinal},
};

static void test_lies(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(lies); i++) {
        struct sample sample;
        struct sealed_footer back;
        struct arena arena;
        struct writer out;
        struct error error;
        arena_init(&arena);
        writer_init(&out);
        make_sample(&sample);
        lies[i].lie(&sample);
        sample.footer.columns = sample.columns;
        for (uint32_t c = 0; c < 3; c++)
            sample.columns[c].blocks = sample.blocks[c];
        footer_write(&sample.footer, &out);
        if (footer_read(writer_as_slice(&out), FILE_SIZE, &arena, &back, &error) != ERR_CORRUPT)
            fail_msg("believed: %s", lies[i].name);
        writer_deinit(&out);
        arena_deinit(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
