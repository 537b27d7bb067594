/* Settings: units, files, flags, and that the sample file documents every key with its default. */
#include "server/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

static void test_sizes_and_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_size, is_duration;
        uint64_t size;
        int64_t duration_us;
    } cases[] = {
        {"64 MiB", true, false, 64 << 20, 0},
        {"64mib", true, false, 64 << 20, 0},
        {"0", true, false, 0, 0},
        {"1000000", true, false, 1000000, 0},
        {" 2 GB ", true, false, 2000000000, 0},
        {"60 s", false, true, 0, 60000000},
        {"500ms", false, true, 0, 500000},
        {"1 d", false, true, 0, 86400000000},
        {"-1 s", false, false, 0, 0},
        {"", false, false, 0, 0},
        {"s", false, false, 0, 0},
        {"1.5 GiB", false, false, 0, 0},
        {"1 parsec", false, false, 0, 0},
        {"99999999999999999999", false, false, 0, 0},
        {"16777216 TiB", false, false, 0, 0},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        uint64_t size = 0;
        int64_t duration = 0;
        assert_int_equal(config_parse_size(slice_from_cstr(cases[i].text), &size),
                         cases[i].is_size);
        assert_int_equal(config_parse_duration(slice_from_cstr(cases[i].text), &duration),
                         cases[i].is_duration);
        if (cases[i].is_size) {
            assert_int_equal(size, cases[i].size);
        }
        if (cases[i].is_duration) {
            assert_int_equal(duration, cases[i].duration_us);
        }
    }
}

static void test_file_lines(void **state)
{
    (void)state;
    struct arena arena;
    struct config config;
    struct error error;
    arena_init(&arena);
    config_init(&config, &arena);
    struct slice text = SLICE(
        "# first\n\nbody_max = 1 MiB # small\r\n  data='/x y#z'\ninsecure = on\nsource-idle=5 s");
    assert_int_equal(config_parse(&config, text, &arena, &error), OK);
    assert_int_equal(config.body_max, 1 << 20);
    assert_string_equal(config.data, "/x y#z");
    assert_true(config.insecure);
    assert_int_equal(config.source_idle_us, 5000000);
    static const struct {
        const char *text, *sqlstate;
    } wrong[] = {
        {"colour = red", "42704"}, {"body_max = big", "22023"},   {"body_max", "42601"},
        {"data = 'x", "42601"},    {"insecure = maybe", "22023"}, {"threads = 2 s", "22023"},
    };
    for (size_t i = 0; i < array_count(wrong); i++) {
        assert_int_equal(config_parse(&config, slice_from_cstr(wrong[i].text), &arena, &error),
                         ERR_INPUT);
        assert_string_equal(error.sqlstate, wrong[i].sqlstate);
        assert_non_null(strstr(error.text, "line 1"));
    }
    arena_deinit(&arena);
}

static void test_relations_are_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "io = tape",        "memory = 1 MiB",      "query_memory = 255 KiB", "log_file = 1 KiB",
        "body_max = 2 GiB", "connections_max = 0", "request_timeout = 1 ms", "data = ''"};
    struct arena arena;
    struct config config;
    struct error error;
    arena_init(&arena);
    config_init(&config, &arena);
    assert_int_equal(config_complete(&config, &error), OK);
    assert_true(config.memory >= (64u << 20));
    assert_int_equal(config.query_memory, config.memory / 4);
    for (size_t i = 0; i < array_count(wrong); i++) {
        config_init(&config, &arena);
        assert_int_equal(config_parse(&config, slice_from_cstr(wrong[i]), &arena, &error), OK);
        assert_int_equal(config_complete(&config, &error), ERR_INPUT);
    }
    arena_deinit(&arena);
}

/* The sample file, line by line: "name = default" for each key of the table, and nothing else. */
static void test_sample_file_has_every_key(void **state)
{
    (void)state;
    FILE *file = fopen(FRESHET_SOURCE_DIR "/server/deploy/freshet.conf", "re");
    assert_non_null(file);
    char line[512];
    bool is_seen[64] = {false};
    assert_true(config_key_count <= array_count(is_seen));
    while (fgets(line, sizeof(line), file) != NULL) {
        struct slice text = slice_trim(slice_from_cstr(line));
        if (text.size == 0 || text.data[0] == '#') {
            continue;
        }
        size_t found = config_key_count;
        for (size_t i = 0; i < config_key_count; i++) {
            char want[256];
            bool is_empty = config_keys[i].default_text[0] == 0;
            snprintf(want, sizeof(want), "%s = %s", config_keys[i].name,
                     is_empty ? "''" : config_keys[i].default_text);
            found = slice_equal(text, slice_from_cstr(want)) ? i : found;
        }
        if (found == config_key_count) {
            fail_msg("not a key with its default: %s", line);
        }
        is_seen[found] = true;
    }
    fclose(file);
    for (size_t i = 0; i < config_key_count; i++) {
        if (!is_seen[i]) {
            fail_msg("freshet.conf lacks %s", config_keys[i].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_durations),
        cmocka_unit_test(test_file_lines),
        cmocka_unit_test(test_relations_are_checked),
        cmocka_unit_test(test_sample_file_has_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
