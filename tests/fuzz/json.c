/* Fuzz target: bytes as NDJSON and as a JSON document, by the complete parser without any special
 * instructions, and by shape with the best there are. Both agree with each other; a line is an
 * object for the decoder exactly if base's tokenizer says so; rows and rejections add up. */
#include "ingest/decode/decode.h"
#include "storage/base/json.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

static struct mapping *mapping_of_all_types(void)
{
    static const struct {
        const char *name;
        enum type_id id;
    } columns[] = {{"ts", TYPE_TIMESTAMPTZ}, {"b", TYPE_BOOL},       {"i", TYPE_INT4},
                   {"l", TYPE_INT8},         {"f", TYPE_FLOAT8},     {"r", TYPE_FLOAT4},
                   {"n", TYPE_NUMERIC},      {"t", TYPE_TEXT},       {"v", TYPE_VARCHAR},
                   {"u", TYPE_UUID},         {"d", TYPE_DATE},       {"j", TYPE_JSONB},
                   {"a", TYPE_TEXT_ARRAY},   {"k", TYPE_INT8_ARRAY}, {"x", TYPE_BYTEA},
                   {"o.p", TYPE_TEXT},       {"rest", TYPE_JSONB},   {"whole", TYPE_JSONB}};
    struct schema *schema = schema_create();
    schema->table_id = 1;
    schema->name = SLICE("t");
    schema->columns =
        arena_alloc_zero(&schema->arena, array_count(columns) * sizeof(*schema->columns));
    for (uint32_t i = 0; i < array_count(columns); i++) {
        struct type type = {.id = (uint8_t)columns[i].id,
                            .precision = columns[i].id == TYPE_NUMERIC ? 10 : 0,
                            .scale = columns[i].id == TYPE_NUMERIC ? 2 : 0,
                            .length = columns[i].id == TYPE_VARCHAR ? 3 : 0};
        schema->columns[i] = (struct column_definition){
            .id = i + 1, .name = slice_from_cstr(columns[i].name), .type = type};
    }
    schema->column_count = array_count(columns);
    schema->time_column = 0;
    schema->options.rest_column = (int32_t)array_count(columns) - 2;
    schema->options.whole_column = (int32_t)array_count(columns) - 1;
    struct mapping *mapping;
    enum err err = mapping_create(schema, &mapping, NULL);
    assert(err == OK);
    schema_unref(schema);
    return mapping;
}

struct outcome {
    enum err err;
    size_t received, count, rejected, lexical;
    uint64_t hash;
};

static uint64_t hash_batch(const struct batch *batch)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < batch->column_count; i++)
        for (size_t row = 0; row < batch->row_count; row++) {
            struct value value = column_value(&batch->columns[i], row);
            hash = hash * 31 + (value.is_null ? 7 : value_hash(&value));
        }
    return hash;
}

static struct outcome decode(struct mapping *mapping, struct slice body, bool is_lines,
                             enum decode_isa isa, bool is_complete)
{
    struct arena arena;
    struct rows rows;
    struct error error;
    struct batch batch;
    const uint32_t *ids;
    arena_init(&arena);
    struct rows_options options = {.mapping = mapping,
                                   .arena = &arena,
                                   .now_us = INT64_C(1780000000000000),
                                   .rows_max = 100000,
                                   .row_size_max = 4 << 20};
    struct decode_options decode_options = {
        .depth_max = 64, .keys_max = 4096, .isa = isa, .is_complete = is_complete};
    rows_init(&rows, &options);
    struct outcome out = {0};
    out.err = is_lines ? decode_ndjson(&rows, body, &decode_options, &error)
                       : decode_json(&rows, body, &decode_options, &error);
    rows_finish(&rows, &batch, &ids);
    out.received = rows.received;
    out.count = rows.count;
    out.rejected = rows.rejection_count;
    for (size_t i = 0; i < rows.rejection_count; i++)
        out.lexical += rows.rejections[i].column.size == 0;
    out.hash = hash_batch(&batch);
    if (out.err == OK)
        assert(out.received == out.count + out.rejected);
    rows_deinit(&rows);
    arena_deinit(&arena);
    return out;
}

static bool is_object(struct slice text)
{
    struct json_parser parser;
    json_parser_init(&parser, text, 64);
    enum json_token token = json_next(&parser);
    return token == JSON_OBJECT_BEGIN && json_skip(&parser, token) &&
           json_next(&parser) == JSON_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mapping *mapping;
    if (mapping == NULL)
        mapping = mapping_of_all_types();
    char *copy = malloc(size == 0 ? 1 : size); /* exact: a read past the end shows */
    memcpy(copy, data, size);
    struct slice body = slice_of(copy, size);
    (void)decode_sniff(body);
    for (int is_lines = 0; is_lines < 2; is_lines++) {
        struct outcome plain = decode(mapping, body, is_lines, DECODE_ISA_PLAIN, true);
        struct outcome best = decode(mapping, body, is_lines, DECODE_ISA_BEST, false);
        assert(plain.err == best.err);
        assert(plain.err != OK || (plain.count == best.count && plain.lexical == best.lexical &&
                                   plain.hash == best.hash));
        /* One line of one object: the tokenizer must agree. (Limits of size and number of keys are
         * the decoder's.) */
        bool is_one = is_lines && size > 0 && size < 100000 && memchr(copy, '\n', size) == NULL &&
                      slice_trim(body).size > 0 && copy[0] == '{';
        if (is_one && is_object(body))
            assert(plain.lexical == 0 || size > 400);
        if (is_one && !is_object(body))
            assert(plain.lexical == 1);
    }
    free(copy);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const char *const seeds[] = {
        "{\"ts\":\"2026-05-01T10:00:00Z\",\"b\":true,\"i\":1,\"l\":-2,\"f\":1.5e3,\"r\":0.25,\"n\":"
        "1.239,\"t\":"
        "\"x\\u00e4\\n\"}\n",
        "{\"v\":\"abc\",\"u\":\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\",\"d\":\"2026-05-01\",\"j\":{"
        "\"a\":[1,2,{}]}}\n"
        "{\"a\":[\"x\",null],\"k\":[1,2],\"x\":\"\\\\x0a\",\"o\":{\"p\":1,\"q\":2},\"zz\":[[[[]]]]}"
        "\n",
        "[{\"ts\":1714500000},{\"ts\":1714500000123},{\"ts\":\"x\"},7]",
        ("{\"t\":\"\xC3\xA4\xF0\x9F\x98\x80 a long text that is more than thirty-two "
         "bytes\",\"t\":null}{\"T\":1}"),
        "{\"ts\":\"2026-05-01T10:00:00.5Z\",\"i\":1,\"n\":1.5,\"t\":\"x\",\"u\":null}\n"
        "{\"ts\":\"2026-05-01T10:00:01.5Z\",\"i\":22,\"n\":-0.25,\"t\":null,\"u\":\"a0eebc99-9c0b-"
        "4ef8-"
        "bb6d-6bb9bd380a11\"}\n{\"ts\":\"2026-05-01T10:00:01.5Z\",\"i\":3e1,\"n\":7,\"t\":\"\","
        "\"u\":null}",
        "\xEF\xBB\xBF{\"i\":1.0}\r\n\r\n{\"i\":1e400}\n{\"i\":\"5\"}\n{",
    };
    return index < array_count(seeds) ? slice_from_cstr(seeds[index]) : (struct slice){0};
}
