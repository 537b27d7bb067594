/* The lexer's tokens, and what the pre-scan refuses before the parser sees it. */
#include "query/sql/lexer.h"
#include "query/sql/sql.h"
#include "storage/base/arena.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void test_tokens(void **state)
{
    static const struct {
        const char *text, *want; /* kind letter and text, one token after another */
    } cases[] = {
        {"", ""},
        {"  -- only a comment", ""},
        {"select 1", "w:select n:1 "},
        {"a.b", "w:a s:. w:b "},
        {"'it''s' x", "q:'it''s' w:x "},
        {"E'\\'(' x", "q:E'\\'(' w:x "},
        {"'\\' x", "q:'\\' w:x "},
        {"$$ ( $$ x", "q:$$ ( $$ w:x "},
        {"$a$ $b$ ( $a$x", "q:$a$ $b$ ( $a$ w:x "},
        {"$1", "s:$ n:1 "},
        {"\"a\"\"(\" x", "Q:\"a\"\"(\" w:x "},
        {"/* a /* ( */ b */ x", "w:x "},
        {"1.5e3", "n:1.5 w:e3 "},
        {"\xc3\xa9t\xc3\xa9", "w:\xc3\xa9t\xc3\xa9 "},
        {"'never closed", "q:'never closed "},
    };
    static const char letters[] = {[LEXER_WORD] = 'w',
                                   [LEXER_QUOTED] = 'Q',
                                   [LEXER_STRING] = 'q',
                                   [LEXER_NUMBER] = 'n',
                                   [LEXER_SYMBOL] = 's'};
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        struct lexer lexer = {.text = slice_from_cstr(cases[index].text)};
        struct writer got;
        writer_init(&got);
        for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;)
            writer_printf(&got, "%c:%.*s ", letters[token], SLICE_ARGS(lexer.token));
        if (!slice_equal(writer_as_slice(&got), slice_from_cstr(cases[index].want)))
            fail_msg("%s: got %.*s", cases[index].text, SLICE_ARGS(writer_as_slice(&got)));
        writer_deinit(&got);
    }
}

static void test_comments_become_blanks(void **state)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"a /* b */ c", "a         c"},
        {"a/*b/*c*/d*/e", "a           e"},
        {"'/* a */' \"/* b */\" /**/x", "'/* a */' \"/* b */\"     x"},
        {"E'\\'/*' /*'*/", "E'\\'/*'      "},
        {"$a$/* b */$a$/**/", "$a$/* b */$a$    "},
        {"-- /* a\n/*\n*/b", "-- /* a\n     b"},
        {"2*/*c*/3", "2*     3"},
        {"a /* \xc3\xa9 */ b", "a          b"},
        {"a /* b", "a /* b"},
    };
    (void)state;
    for (size_t index = 0; index < array_count(cases); index++) {
        char got[64] = "";
        sql_blank_comments(slice_from_cstr(cases[index].text), got);
        assert_string_equal(got, cases[index].want);
    }
}

static char *repeat(const char *unit, size_t count)
{
    size_t size = strlen(unit);
    char *text = malloc(size * count + 1);
    for (size_t index = 0; index < count; index++)
        memcpy(text + index * size, unit, size);
    text[size * count] = 0;
    return text;
}

static void expect(const char *unit, size_t count, const char *sqlstate, int64_t position)
{
    struct error error = {0};
    char *text = repeat(unit, count);
    enum err result = sql_prescan(slice_from_cstr(text), &error);
    free(text);
    if (sqlstate == NULL) {
        assert_int_equal(result, OK);
        return;
    }
    assert_int_not_equal(result, OK);
    assert_string_equal(error.sqlstate, sqlstate);
    assert_int_equal(error.text_position, position);
}

static void test_prescan(void **state)
{
    (void)state;
    expect("(", 1000, NULL, 0);
    expect("(", 1001, "54001", 1001);
    expect("(", 100000, "54001", 1001);
    expect("[", 1001, "54001", 1001);
    expect("()", 100000, NULL, 0);
    expect("case ", 1001, "54001", 5001);
    expect("case end ", 10000, NULL, 0);
    expect("'('", 10000, NULL, 0);
    expect("\xc3\xa9(", 1001, "54001", 2002);
    expect("x", SQL_TEXT_SIZE_MAX, NULL, 0);
    expect("x", SQL_TEXT_SIZE_MAX + 1, "54000", 0);
    expect("\xff", 1, "22021", 1);
    struct error error = {0};
    assert_int_equal(sql_prescan(slice_of("a\0b", 3), &error), ERR_INPUT);
    assert_string_equal(error.sqlstate, "22021");
    assert_int_equal(error.text_position, 2);
}

static void test_positions(void **state)
{
    (void)state;
    struct slice text = SLICE("a\xc3\xa9\xe2\x82\xac"
                              "b");
    static const struct {
        size_t offset;
        int64_t position;
    } cases[] = {{0, 1}, {1, 2}, {3, 3}, {6, 4}, {7, 5}};
    for (size_t index = 0; index < array_count(cases); index++) {
        assert_int_equal(sql_position(text, cases[index].offset), cases[index].position);
        assert_int_equal(sql_offset(text, cases[index].position), cases[index].offset);
    }
    assert_int_equal(sql_position(text, 100), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens), cmocka_unit_test(test_comments_become_blanks),
        cmocka_unit_test(test_prescan), cmocka_unit_test(test_positions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
