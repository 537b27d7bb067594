/* What the subcommands share. */
#include "server/cli/cli.h"

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
