/* What the subcommands share. */
#include "server/cli/cli.h"

#include "storage/base/json.h"

#include <stdarg.h>
#include <stdio.h>

const char *cli_option(const char *name, int argc, char **argv, int *index)
{
    const char *word = argv[*index];
    size_t size = strlen(name);
    if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, size) != 0) {
        return NULL;
    }
    if (word[2 + size] == '=') {
        return word + 3 + size;
    }
    if (word[2 + size] != 0 || *index + 1 >= argc) {
        return NULL;
    }
    (*index)++;
    return argv[*index];
}

void cli_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("freshet: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void cli_print_problem(struct slice body)
{
    struct arena arena;
    struct json_value *root;
    struct error error;
    arena_init(&arena);
    const struct json_value *detail = NULL, *sqlstate = NULL, *hint = NULL, *position = NULL;
    if (json_parse(body, &arena, 16, &root, &error) == OK) {
        detail = json_get(root, "detail");
        sqlstate = json_get(root, "sqlstate");
        hint = json_get(root, "hint");
        position = json_get(root, "text_position");
    }
    if (detail == NULL || sqlstate == NULL) {
        fprintf(stderr, "ERROR: %.*s\n", SLICE_ARGS(body));
    } else {
        fprintf(stderr, "ERROR %.*s: %.*s", SLICE_ARGS(sqlstate->text), SLICE_ARGS(detail->text));
        if (position != NULL && position->kind == JSON_NUMBER && position->text.data[0] != '0') {
            fprintf(stderr, " (at character %.*s)", SLICE_ARGS(position->text));
        }
        fputc('\n', stderr);
        if (hint != NULL && hint->kind == JSON_STRING && hint->text.size > 0) {
            fprintf(stderr, "HINT: %.*s\n", SLICE_ARGS(hint->text));
        }
    }
    arena_deinit(&arena);
}
