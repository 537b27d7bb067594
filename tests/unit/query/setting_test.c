/* Settings: every name, values with units, refusals, SHOW. */
#include "query/setting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct settings defaults(void)
{
    return (struct settings){.zone = timezone_utc,
                             .statement_timeout_us = 30000000,
                             .max_rows = 1000000,
                             .query_memory = 1 << 30,
                             .query_memory_max = 1 << 30,
                             .is_partial_cache_on = true,
                             .is_rollups_on = true,
                             .is_bitmaps_on = true,
                             .is_optimizer_on = true};
}

static void test_set_and_show(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *sqlstate, *shown;
    } cases[] = {
        {"statement_timeout", "500", NULL, "500ms"},
        {"Statement_Timeout", "2s", NULL, "2s"},
        {"statement_timeout", "1 min", NULL, "1min"},
        {"statement_timeout", "0", NULL, "0"},
        {"statement_timeout", "1 parsec", "22023", NULL},
        {"statement_timeout", "-1", "22023", NULL},
        {"statement_timeout", "99999999999999999999", "22023", NULL},
        {"timezone", "UTC", NULL, "UTC"},
        {"timezone", "Mars/Base", "22023", NULL},
        {"freshet.max_rows", "10", NULL, "10"},
        {"freshet.max_rows", "ten", "22023", NULL},
        {"freshet.query_memory", "64MB", NULL, "67108864"},
        {"freshet.query_memory", "4GB", NULL, "1073741824"},
        {"freshet.query_memory", "0", "22023", NULL},
        {"freshet.query_memory", "255kB", "22023", NULL},
        {"freshet.query_memory", "256kB", NULL, "262144"},
        {"freshet.threads", "2", NULL, "2"},
        {"freshet.partial_cache", "off", NULL, "off"},
        {"freshet.bitmaps", "off", NULL, "off"},
        {"freshet.rollups", "off", NULL, "off"},
        {"freshet.spill", "off", NULL, "off"},
        {"freshet.optimizer", "no", NULL, "off"},
        {"freshet.partial_cache", "maybe", "22023", NULL},
        {"freshet.producer", "p1", NULL, "p1"},
        {"freshet.sequence", "7", NULL, "7"},
        {"search_path", "\"$user\", public", NULL, "\"$user\", public"},
        {"search_path", "secret", "0A000", NULL},
        {"application_name", "grafana", NULL, "grafana"},
        {"DateStyle", "ISO", NULL, "ISO, MDY"},
        {"DateStyle", "German", "22023", NULL},
        {"client_encoding", "'utf-8'", NULL, "UTF8"},
        {"extra_float_digits", "2", NULL, "2"},
        {"client_encoding", "utf8", NULL, "UTF8"},
        {"client_encoding", "LATIN1", "22023", NULL},
        {"server_version", "16", "55P02", NULL},
        {"no_such_thing", "1", "42704", NULL},
    };
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct settings settings = defaults();
        struct error error;
        enum err err = setting_set(&settings, slice_from_cstr(cases[i].name),
                                   slice_from_cstr(cases[i].value), &error);
        if (cases[i].sqlstate != NULL) {
            assert_int_not_equal(err, OK);
            assert_string_equal(error.sqlstate, cases[i].sqlstate);
            continue;
        }
        assert_int_equal(err, OK);
        bool is_known;
        struct slice shown =
            setting_show(&settings, slice_from_cstr(cases[i].name), &arena, &is_known);
        assert_true(is_known);
        assert_true(slice_equal(shown, slice_from_cstr(cases[i].shown)));
    }
    bool is_known;
    struct settings settings = defaults();
    setting_show(&settings, SLICE("no_such_thing"), &arena, &is_known);
    assert_false(is_known);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_set_and_show)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
