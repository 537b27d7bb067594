/* Answers as aligned text: numbers right, NULL empty, control characters escaped, widths in
 * characters. */
#include "server/cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void test_answers(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *want; /* NULL: refused */
    } cases[] = {
        {"{\"command\":\"CREATE TABLE\",\"columns\":[],\"rows\":[]}", "CREATE TABLE\n"},
        {"{\"command\":\"CREATE TABLE\"}", "CREATE TABLE\n"},
        {"{\"columns\":[{\"name\":\"c\"},{\"name\":\"count\"}],\"rows\":[[\"DE\",12],[null,3]]}",
         " c  | count\n----+-------\n DE |    12\n    |     3\n(2 rows)\n"},
        {"{\"columns\":[{\"name\":\"x\"}],\"rows\":[[\"\xc3\xa4\\u0007\\n\"]]}",
         " x\n---------\n \xc3\xa4\\x07\\n\n(1 row)\n"},
        {"{\"columns\":[{\"name\":\"b\"}],\"rows\":[[true]]}", " b\n---\n t\n(1 row)\n"},
        {"{\"columns\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"rows\":[[1]]}", NULL},
        {"{}", NULL},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct arena arena;
        struct json_value *root;
        struct error error;
        struct writer out;
        arena_init(&arena);
        writer_init(&out);
        assert_int_equal(json_parse(slice_from_cstr(cases[i].answer), &arena, 64, &root, &error),
                         OK);
        assert_int_equal(table_print_answer(root, &out), cases[i].want != NULL);
        if (cases[i].want != NULL) {
            assert_true(slice_equal(writer_as_slice(&out), slice_from_cstr(cases[i].want)));
        }
        writer_deinit(&out);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
