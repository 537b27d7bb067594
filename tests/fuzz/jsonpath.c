/* Fuzz target: bytes as a path and a value, NUL between them. What parses prints as a path that
 * parses, and running it ends with items or an error. */
#include "query/func/json.h"
#include "query/func/jsonpath_run.h"
#include "query/func/text.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct error error;
    struct jsonpath path, again;
    struct json_value *value;
    struct writer writer;
    struct eval_context context = {.zone = NULL};
    struct call call = {.context = &context, .arena = &arena, .error = &error};
    const char *text = (const char *)data, *end = size == 0 ? NULL : memchr(data, 0, size);
    size_t path_size = end == NULL ? size : (size_t)(end - text);
    struct slice rest = end == NULL ? SLICE("{}") : slice_of(end + 1, size - path_size - 1);
    arena_init(&arena);
    if (jsonpath_parse(slice_of(text, path_size), &arena, &path, &error) == OK) {
        writer_init(&writer);
        jsonpath_print(&path, &writer);
        enum err err = jsonpath_parse(writer_as_slice(&writer), &arena, &again, &error);
        (void)err; /* PostgreSQL leaves out parentheses before steps, and so do we */
        writer_deinit(&writer);
        if (json_parse(rest, &arena, JSON_DEPTH_MAX, &value, &error) == OK) {
            jsonb_sort(value);
            for (int silent = 0; silent < 2; silent++) {
                struct jsonpath_result found;
                struct jsonpath_run run = {
                    .call = &call, .path = &path, .value = value, .is_silent = silent != 0};
                if (jsonpath_run(&run, &found) == OK)
                    for (size_t i = 0; i < found.count; i++)
                        assert(found.items[i] != NULL);
            }
        }
        jsonpath_release(&path);
    }
    arena_deinit(&arena);
    return 0;
}

struct slice fuzz_seed(size_t index)
{
#define SEED(path, value)                                                                          \
    {                                                                                              \
        path "\0" value, sizeof(path "\0" value) - 1                                               \
    }
    static const struct slice seeds[] = {
        SEED("$.a[*] ? (@.b > 1 && @.c like_regex \"^a\" flag \"i\")",
             "{\"a\": [{\"b\": 2, \"c\": \"abc\"}, 3]}"),
        SEED("strict $[1 to last - 1, 0].size() + -$.**{1 to 2}.abs()", "[1, [2], {\"a\": -3}]"),
        SEED("$.keyvalue() ? (exists(@.value[*]) || !(@.key starts with \"a\")).id",
             "{\"a\": [1], \"b\": null}"),
        SEED("($.\"\\u00e9\\x41\" == null) is unknown", "{\"x\": true}"),
        SEED("lax $ . a /* comment */ . type ( ) . double()", "{\"a\": \"1e5\"}"),
    };
    return index < array_count(seeds) ? seeds[index] : (struct slice){0};
}
