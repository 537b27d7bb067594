/* The functions of SQL/JSON paths: jsonb_path_exists, _match, _query_array and _query_first, @? and
 * @@. A path is text here, there is no type for it; jsonpath(text) is the cast to that type, which
 * checks a path and writes it as PostgreSQL would. The parsed path stays with the call until
 * another one comes, so a constant one is parsed once per evaluator. */
#include "query/func/jsonpath_run.h"

#include "query/func/json.h"
#include "query/func/text.h"

struct cached {
    struct arena arena;
    struct slice text;
    struct jsonpath path;
};

static void cached_free(void *state)
{
    struct cached *cached = state;
    jsonpath_release(&cached->path);
    arena_deinit(&cached->arena);
    memory_free(cached);
}

static enum err find_path(struct call *call, struct slice text, struct jsonpath **out)
{
    struct cached *cached = call->state;
    if (cached != NULL && slice_equal(cached->text, text)) {
        *out = &cached->path;
        return OK;
    }
    if (cached != NULL)
        cached_free(cached);
    call->state = cached = memory_alloc_zero(sizeof(*cached));
    call->state_free = cached_free;
    arena_init(&cached->arena);
    enum err err = jsonpath_parse(text, &cached->arena, &cached->path, call->error);
    if (err == OK)
        err = jsonpath_compile(&cached->path, call);
    if (err == OK)
        cached->text = arena_copy(&cached->arena, text);
    *out = &cached->path;
    if (err != OK) {
        cached_free(cached);
        call->state = NULL;
    }
    return err;
}

enum { EXISTS, EXISTS_SILENT, MATCH, MATCH_SILENT, QUERY_ARRAY, QUERY_FIRST };

/* (value, path [, variables [, silent]]) */
static enum err run_path(struct call *call, const struct value *a, size_t count,
                         struct jsonpath_run *run, struct jsonpath_result *found)
{
    struct json_value *value, *variables = NULL;
    struct jsonpath *path;
    int operation = call->function->operation;
    enum err err = find_path(call, a[1].text, &path);
    if (err == OK)
        err = jsonb_read(call, a[0].text, &value);
    if (err == OK && count > 2)
        err = jsonb_read(call, a[2].text, &variables);
    if (err != OK)
        return err;
    if (variables != NULL && variables->kind != JSON_OBJECT_BEGIN) {
        error_set(call->error, ERR_INPUT, "22023", "\"vars\" argument is not an object");
        return ERR_INPUT;
    }
    bool is_operator = operation == EXISTS_SILENT || operation == MATCH_SILENT;
    *run = (struct jsonpath_run){
        .call = call,
        .path = path,
        .value = value,
        .variables = variables,
        .is_operator = is_operator,
        .is_silent = is_operator || (count > 3 && a[3].b),
        .is_test = operation == EXISTS || operation == EXISTS_SILENT,
    };
    return jsonpath_run(run, found);
}

static enum err exists_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct jsonpath_run run;
    struct jsonpath_result found;
    enum err err = run_path(call, a, count, &run, &found);
    out->is_null = err == OK && found.is_failed;
    out->b = err == OK && found.count > 0;
    return err;
}

static enum err match_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct jsonpath_run run;
    struct jsonpath_result found;
    enum err err = run_path(call, a, count, &run, &found);
    if (err != OK)
        return err;
    enum json_token kind = found.count == 1 ? found.items[0]->kind : JSON_OBJECT_BEGIN;
    out->is_null = kind != JSON_TRUE && kind != JSON_FALSE;
    out->b = kind == JSON_TRUE;
    if (kind == JSON_NULL || !out->is_null || run.is_silent)
        return OK;
    return error_set(call->error, ERR_INPUT, "22038", "single boolean result is expected");
}

static enum err query_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    struct jsonpath_run run;
    struct jsonpath_result found;
    struct writer writer;
    bool is_array = call->function->operation == QUERY_ARRAY;
    enum err err = run_path(call, a, count, &run, &found);
    if (err != OK)
        return err;
    size_t shown = is_array || found.count == 0 ? found.count : 1;
    out->is_null = !is_array && shown == 0;
    if (out->is_null)
        return OK;
    text_begin(&writer);
    writer_cstr(&writer, is_array ? "[" : "");
    for (size_t i = 0; i < shown && err == OK && !writer.failed; i++) {
        writer_cstr(&writer, i > 0 ? ", " : "");
        jsonb_write(found.items[i], &writer);
        err = call_look(call);
    }
    writer_cstr(&writer, is_array ? "]" : "");
    if (err == OK && writer.failed)
        err = error_set(call->error, ERR_INPUT, "54000", "the jsonb value is too large");
    if (err == OK)
        out->text = arena_copy(call->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return err;
}

static enum err jsonpath_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    struct jsonpath *path;
    struct writer writer;
    enum err err = find_path(call, a[0].text, &path);
    if (err != OK)
        return err;
    writer_init(&writer);
    jsonpath_print(path, &writer);
    out->text = arena_copy(call->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return OK;
}

#define J TYPE_JSONB
#define T TYPE_TEXT
#define B TYPE_BOOL
#define F TEXT_FUNCTION
#define PATH(name, to, kind, row_form, what, path)                                                 \
    F(name, 2, LIST(J, T), to, kind, row_form, what, name "('{\"a\": [1, 2]}', '" path "')")       \
    F(name, 3, LIST(J, T, J), to, kind, row_form, what,                                            \
      name "('{\"a\": [1, 2]}', '" path "', '{\"x\": 1}')")                                        \
    F(name, 4, LIST(J, T, J, B), to, kind, row_form, what,                                         \
      name "('{\"a\": [1, 2]}', 'strict " path "', '{}', true)")
/* The forms for times with zones are the same: there is no datetime() in paths. */
#define BOTH(name, to, kind, row_form, what, path)                                                 \
    PATH(name, to, kind, row_form, what, path)                                                     \
    PATH(name "_tz", to, kind, row_form, what, path)

/* clang-format off */
static const struct function functions[] = {
    BOTH("jsonb_path_exists", B, EXISTS, exists_row, "does the path select anything",
         "$.a[*] ? (@ > 1)")
    BOTH("jsonb_path_match", B, MATCH, match_row, "the truth of the path's predicate",
         "exists($.a[*] ? (@ > 1))")
    BOTH("jsonb_path_query_array", J, QUERY_ARRAY, query_row, "all that the path selects",
         "$.a[*] ? (@ > 0)")
    BOTH("jsonb_path_query_first", J, QUERY_FIRST, query_row, "the first that the path selects",
         "$.a[last]")
    F("@?", 2, LIST(J, T), B, EXISTS_SILENT, exists_row, "does the path select anything",
      "'{\"a\": [1, 2]}'::jsonb @? '$.a[*] ? (@ > 1)'")
    F("@@", 2, LIST(J, T), B, MATCH_SILENT, match_row, "the truth of the path's predicate",
      "'{\"a\": [1, 2]}'::jsonb @@ '$.a[*] > 1'")
    F("jsonpath", 1, LIST(T), T, 0, jsonpath_row, "a path, checked, as PostgreSQL writes it",
      "'$.a[*] ? (@ > 1)'::jsonpath")
};
/* clang-format on */

const struct function_group functions_jsonpath = {functions, array_count(functions)};
