/* Statements end at the semicolons that PostgreSQL's lexer would see. */
#include "server/cli/statement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_first_statement(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_last;
        size_t used;
        const char *want;
    } cases[] = {
        {"SELECT 1;SELECT 2", false, 9, "SELECT 1"},
        {" SELECT 1 ", false, 0, "SELECT 1"},
        {" SELECT 1 ", true, 10, "SELECT 1"},
        {"  \n", true, 0, ""},
        {";", true, 1, ""},
        {"SELECT ';';", false, 11, "SELECT ';'"},
        {"SELECT 'a'';b';", false, 15, "SELECT 'a'';b'"},
        {"SELECT E'\\';';", false, 14, "SELECT E'\\';'"},
        {"SELECT '\\';", false, 11, "SELECT '\\'"},
        {"SELECT \";\";", false, 11, "SELECT \";\""},
        {"SELECT 1 -- ;\n;", false, 15, "SELECT 1 -- ;"},
        {"/* ; /* ; */ ; */ SELECT 1;", false, 27, "/* ; /* ; */ ; */ SELECT 1"},
        {"SELECT $$;$$;", false, 13, "SELECT $$;$$"},
        {"SELECT $a$;$b$;$a$;", false, 19, "SELECT $a$;$b$;$a$"},
        {"SELECT a$b;", false, 11, "SELECT a$b"},
        {"SELECT $1;", false, 10, "SELECT $1"},
        {"SELECT 'open;", false, 0, "SELECT 'open;"},
        {"SELECT 'open;", true, 13, "SELECT 'open;"},
        {"SELECT 2 - 1 / 1;", false, 17, "SELECT 2 - 1 / 1"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct slice statement;
        assert_int_equal(
            statement_next(slice_from_cstr(cases[i].text), cases[i].is_last, &statement),
            cases[i].used);
        assert_true(slice_equal(statement, slice_from_cstr(cases[i].want)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_statement)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
