/* freshet infer: a CREATE TABLE for a file, from its first MiB. No server is needed. */
#include "server/cli/cli.h"

#include "ingest/ingest.h"
#include "server/cli/split.h"

#include <errno.h>
#include <stdio.h>

#define SAMPLE_SIZE_MAX ((size_t)1 << 20)

/* The file's name without folders and endings, as an identifier. */
static struct slice table_name(const char *path, struct arena *arena)
{
    const char *slash = strrchr(path, '/');
    struct slice base = slice_from_cstr(slash == NULL ? path : slash + 1);
    const char *dot = base.size > 1 ? memchr(base.data + 1, '.', base.size - 1) : NULL;
    base.size = dot == NULL ? base.size : (size_t)(dot - base.data);
    char *name = arena_alloc(arena, base.size + 2);
    size_t size = 0;
    for (size_t i = 0; i < base.size && size < 60; i++) {
        char c = base.data[i], lower = c >= 'A' && c <= 'Z' ? (char)(c | 32) : c;
        bool is_digit = lower >= '0' && lower <= '9', is_letter = lower >= 'a' && lower <= 'z';
        if (size == 0 && !is_letter) {
            name[size++] = 't';
        }
        name[size++] = is_digit || is_letter ? lower : '_';
    }
    return size == 0 ? SLICE("events") : slice_of(name, size);
}

static int infer(const char *path, FILE *file, struct slice table, const char *format,
                 struct arena *arena)
{
    char *data = arena_alloc(arena, SAMPLE_SIZE_MAX);
    size_t size = fread(data, 1, SAMPLE_SIZE_MAX, file);
    bool is_whole = size < SAMPLE_SIZE_MAX;
    if (ferror(file)) {
        cli_complain("%s: %s", path, strerror(errno));
        return 1;
    }
    struct slice sample = slice_of(data, size), text;
    enum split_format split = format == NULL ? split_guess(slice_from_cstr(path), sample)
                              : strcmp(format, "csv") == 0  ? SPLIT_CSV
                              : strcmp(format, "json") == 0 ? SPLIT_WHOLE
                                                            : SPLIT_LINES;
    if (!is_whole && split != SPLIT_WHOLE) {
        sample.size = split_part(split, sample, false, SAMPLE_SIZE_MAX);
    }
    enum ingest_format formats[] = {
        [SPLIT_LINES] = INGEST_NDJSON, [SPLIT_CSV] = INGEST_CSV, [SPLIT_WHOLE] = INGEST_JSON};
    struct error error;
    if (ingest_infer(sample, formats[split], table.data == NULL ? table_name(path, arena) : table,
                     arena, &text, &error) != OK) {
        cli_complain("%s: %s", path, error.text);
        return 1;
    }
    printf("%.*s\n", SLICE_ARGS(text));
    return 0;
}

int cli_infer(int argc, char **argv)
{
    const char *path = NULL, *format = NULL, *value;
    struct slice table = {NULL, 0};
    for (int i = 1; i < argc; i++) {
        if ((value = cli_option("table", argc, argv, &i)) != NULL) {
            table = slice_from_cstr(value);
        } else if ((value = cli_option("format", argc, argv, &i)) != NULL) {
            format = value;
        } else if (path != NULL || strncmp(argv[i], "--", 2) == 0) {
            path = NULL;
            break;
        } else {
            path = argv[i];
        }
    }
    if (path == NULL) {
        cli_complain("infer: freshet infer FILE|- [--table NAME] [--format ndjson|json|csv]");
        return EXIT_USAGE;
    }
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (file == NULL) {
        cli_complain("%s: %s", path, strerror(errno));
        return 1;
    }
    struct arena arena;
    arena_init(&arena);
    int status = infer(path, file, table, format, &arena);
    arena_deinit(&arena);
    if (file != stdin) {
        fclose(file);
    }
    return status;
}
