/* The JSON tokenizer: what is JSON and what is not, depth, skipping, escapes, the DOM. */
#include "storage/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

/* Runs through a copy of exactly the text's size, so that a read past the end is found. */
static bool is_json(const char *text, size_t size, uint32_t depth)
{
    char *copy = malloc(size > 0 ? size : 1);
    memcpy(copy, text, size);
    struct json_parser parser;
    json_parser_init(&parser, slice_of(copy, size), depth);
    enum json_token token;
    do
        token = json_next(&parser);
    while (token != JSON_END && token != JSON_ERROR);
    free(copy);
    return token == JSON_END;
}

static const char *const good[] = {
    "",
    " \n",
    "1",
    "-0",
    "1.5e-3",
    "\"\"",
    "null",
    "true",
    "false",
    "{}",
    "[]",
    "[1,2,3]",
    "{\"a\":{\"b\":[{}]}}",
    " { \"a\" : [ 1 , \"x\" ] , \"b\" : null } ",
    "{\"a\":1}\n{\"a\":2}\n",
    "1 2 3",
    "\"\\u00e9\\n\\/\"",
    "\"a long string that passes the sixteen byte step \xc3\xa9 and then some more text\"",
    "\"\x7f\"",
    "[[[[[[[[]]]]]]]]",
    "\"\xf0\x9f\x98\x80\"",
};

static const char *const bad[] = {
    "{",
    "[",
    "]",
    "}",
    "{]",
    "[}",
    "[1,]",
    "[,1]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{a:1}",
    "{\"a\" 1}",
    "[1 2]",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "-",
    "tru",
    "nul",
    "truex",
    "\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"a\nb\"",
    "\"\x01\"",
    "\"\xff\"",
    "\"\xc3\"",
    "\"\xed\xa0\x80\"",
    "\"\xc0\xaf\"",
    "[1}",
    "{\"a\":1]",
    "NaN",
    "'a'",
    "{\"a\":1 \"b\":2}",
    "[[[[[[[[[]]]]]]]]]",
    "{1:2}",
    "{\"a\":[}",
};

static void test_grammar(void **state)
{
    (void)state;
    for (size_t index = 0; index < array_count(good); index++)
        if (!is_json(good[index], strlen(good[index]), 8))
            fail_msg("refused: %s", good[index]);
    for (size_t index = 0; index < array_count(bad); index++)
        if (is_json(bad[index], strlen(bad[index]), 8))
            fail_msg("taken: %s", bad[index]);
    assert_false(is_json("\"a\0b\"", 5, 8));
}

/* A prefix of one container is never a whole text. */
static void test_prefixes(void **state)
{
    (void)state;
    static const char text[] =
        "{\"k\\n\":[1.5e3,\"\xc3\xa9\\u0041\",true,null,{\"x\":[]}],\"l\":false}";
    for (size_t size = 1; size + 1 < sizeof(text); size++)
        assert_false(is_json(text, size, 8));
    assert_true(is_json(text, sizeof(text) - 1, 8));
}

static void test_tokens_and_skip(void **state)
{
    (void)state;
    struct json_parser parser;
    struct slice text = SLICE("{\"skip\":{\"deep\":[1,{\"x\":\"]\"}]},\"keep\":\"a\\tb\"} 7");
    json_parser_init(&parser, text, 1024);
    assert_int_equal(json_next(&parser), JSON_OBJECT_BEGIN);
    assert_int_equal(json_next(&parser), JSON_KEY);
    assert_true(slice_equal(parser.text, SLICE("skip")));
    assert_true(json_skip(&parser, JSON_KEY));
    assert_int_equal(json_next(&parser), JSON_KEY);
    assert_true(slice_equal(parser.text, SLICE("keep")));
    assert_int_equal(json_next(&parser), JSON_STRING);
    assert_true(parser.has_escape);
    assert_true(slice_equal(parser.text, SLICE("a\\tb")));
    assert_int_equal(json_next(&parser), JSON_OBJECT_END);
    assert_int_equal(json_next(&parser), JSON_NUMBER);
    assert_int_equal(parser.token_offset, text.size - 1);
    assert_int_equal(json_next(&parser), JSON_END);
    json_parser_init(&parser, SLICE("[[1,2],3"), 1024);
    assert_false(json_skip(&parser, json_next(&parser)));
}

static void test_depth(void **state)
{
    (void)state;
    char text[4096];
    memset(text, '[', 2048);
    memset(text + 2048, ']', 2048);
    assert_true(is_json(text + 1024, 2048, 1024));
    assert_false(is_json(text + 1023, 2050, 1024));
    assert_false(is_json("[]", 2, 0));
}

static const struct {
    const char *raw, *want; /* NULL: refused */
} unescapes[] = {
    {"plain", "plain"},
    {"", ""},
    {"a\\n\\t\\\"\\\\\\/\\b\\f\\r", "a\n\t\"\\/\b\f\r"},
    {"\\u0041\\u00e9\\u20ac", "A\xc3\xa9\xe2\x82\xac"},
    {"\\ud83d\\ude00!", "\xf0\x9f\x98\x80!"},
    {"\\u0000", NULL},
    {"\\ud83d", NULL},
    {"\\ude00", NULL},
    {"\\ud83dx", NULL},
    {"\\ud83d\\u0041", NULL},
    {"\\ud83d\\n1234", NULL},
    {"\\uD83D\\uDE00", "\xf0\x9f\x98\x80"},
};

static void test_unescape_and_write(void **state)
{
    (void)state;
    struct arena arena;
    struct writer out;
    arena_init(&arena);
    writer_init(&out);
    for (size_t index = 0; index < array_count(unescapes); index++) {
        struct slice text;
        bool is_good = json_unescape(slice_from_cstr(unescapes[index].raw), &arena, &text);
        assert_int_equal(is_good, unescapes[index].want != NULL);
        if (is_good)
            assert_true(slice_equal(text, slice_from_cstr(unescapes[index].want)));
    }
    json_write_string(
        &out,
        SLICE("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f\xc3\xa9 and a run that is longer than sixteen"));
    assert_true(slice_equal(writer_as_slice(&out),
                            SLICE("\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9"
                                  " and a run that is longer than sixteen\"")));
    writer_deinit(&out);
    arena_deinit(&arena);
}

static void test_dom(void **state)
{
    (void)state;
    struct arena arena;
    struct json_value *root;
    struct error error;
    arena_init(&arena);
    struct slice text =
        SLICE(" {\"a\":1,\"b\":[true,{\"c\":\"x\\ny\"},[]],\"a\":2.50,\"\\u006b\":null}");
    assert_int_equal(json_parse(text, &arena, 64, &root, &error), OK);
    assert_int_equal(root->kind, JSON_OBJECT_BEGIN);
    assert_int_equal(root->count, 4);
    assert_true(slice_equal(json_get(root, "a")->text, SLICE("2.50")));
    assert_int_equal(json_get(root, "k")->kind, JSON_NULL);
    assert_null(json_get(root, "z"));
    assert_null(json_get(NULL, "z"));
    const struct json_value *b = json_get(root, "b");
    assert_int_equal(b->count, 3);
    assert_true(slice_equal(b->text, SLICE("[true,{\"c\":\"x\\ny\"},[]]")));
    assert_true(slice_equal(json_get(b->child->next, "c")->text, SLICE("x\ny")));
    assert_int_equal(b->child->next->next->count, 0);
    assert_null(b->child->next->next->next);
    assert_int_equal(json_parse(SLICE("3"), &arena, 64, &root, &error), OK);
    assert_int_equal(root->kind, JSON_NUMBER);
    static const struct {
        const char *text;
        int64_t position;
    } wrong[] = {{"", 1}, {"{\"\xc3\xa9\":1,}", 8}, {"1 2", 3}, {"[\"\\u0000\"]", 2}, {"[1", 3}};
    for (size_t index = 0; index < array_count(wrong); index++) {
        assert_int_equal(json_parse(slice_from_cstr(wrong[index].text), &arena, 64, &root, &error),
                         ERR_INPUT);
        assert_int_equal(error.text_position, wrong[index].position);
    }
    text = SLICE("{\"\xc3\xa9\":[1,}");
    assert_int_equal(json_parse_rest(text, 6, &arena, 64, &root, &error), ERR_INPUT);
    assert_int_equal(error.text_position, 9);
    assert_int_equal(json_parse_rest(SLICE("{\"a\": [1]"), 6, &arena, 64, &root, &error), OK);
    assert_true(slice_equal(root->text, SLICE("[1]")));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_tokens_and_skip),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_unescape_and_write),
        cmocka_unit_test(test_dom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
