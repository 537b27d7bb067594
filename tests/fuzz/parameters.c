/* Fuzz target: bytes as the params of a request, bound to a statement with parameters of many types
 * by number, or by name. Values of the statement's types come out, or an error with an SQLSTATE. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/query/sql/prepare.h"

#include "query/parameter.h"
#include "storage/base/logger.h"

static const char *const texts[] = {
    ("SELECT $1::int, $2::text, $3::bigint[], $4::text[], $5::jsonb, $6::boolean, $7::numeric, "
     "$8::timestamptz, $9::interval, $10::uuid, $11::bytea"),
    "SELECT $1::bigint[]", "SELECT $1::text[]",
    "SELECT parameter('a')::int, parameter('b', 'x'), parameter('c', NULL)::date",
    "SELECT parameter('a', 1) + 1, parameter('b', now()), parameter('c', NULL)::text[]"};
static struct statement *statements[array_count(texts)];

static void setup(void)
{
    static struct catalogue catalogue;
    catalogue_open(&catalogue);
    for (size_t index = 0; index < array_count(texts); index++) {
        struct prepare_job job;
        prepare(&catalogue, slice_from_cstr(texts[index]), &job);
        assert(job.result == OK);
        statements[index] = job.statement;
    }
}

static void bind_to(const struct statement *statement, struct slice json)
{
    struct arena arena;
    struct error error = {0};
    struct query_parameter *list;
    struct value *values;
    size_t count;
    struct budget budget = {.limit = 16 << 20, .name = "fuzz"};
    struct text_context context = {.zone = timezone_utc};
    arena_init(&arena);
    enum err err = parameters_from_json(json, &arena, &list, &count, &error);
    if (err == OK)
        err = parameters_bind(statement, list, count, &context, &budget, &arena, &values, &error);
    if (err != OK)
        assert(error.sqlstate[0] != 0 && error.text[0] != 0);
    for (size_t index = 0; err == OK && index < statement->parameter_count; index++) {
        struct writer out;
        assert(values[index].type.id == statement->parameters[index].type.id);
        writer_init(&out);
        if (!values[index].is_null)
            value_print(&values[index], &context, &out);
        writer_deinit(&out);
    }
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (statements[0] == NULL) {
        logger_set_level((enum log_level)(LOG_ERROR + 1));
        setup();
    }
    for (size_t index = 0; index < array_count(texts); index++)
        bind_to(statements[index], slice_of(data, size));
    return 0;
}

struct slice fuzz_seed(size_t index)
{
    static const char *const seeds[] = {
        ("[1,\"a\",[1,null,\"-3\"],[\"x\",null,\"\\u00e4\",2,true],{\"a\":[1]},true,1.50,"
         "\"2026-01-01\",\"1 day\",\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\",\"\\\\x00ff\"]"),
        "[null,null,null,null,null,null,null,null,null,null,null]",
        "[[9223372036854775807,-9223372036854775808,\" 1 \",null]]",
        "[\"{1,2,NULL}\"]",
        "[[\"\\ud83d\\ude00\",{},\"{\",\"\\\\\"]]",
        "{\"a\":1,\"b\":\"now\",\"c\":[\"x\"]}",
        "{\"a\":1,\"a\":2}",
        "[[[[[[[[[[[[1]]]]]]]]]]]]",
    };
    return index < array_count(seeds) ? slice_from_cstr(seeds[index]) : (struct slice){0};
}
