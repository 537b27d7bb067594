/* The binary: one word chooses what it is.
 *
 * The allocator's thresholds are set before anything else runs. h2o grows a body's buffer by
 * malloc, copy and free; with glibc's defaults every growth is a fresh mmap or a heap trim, and a
 * body of 1 MB costs 1,800 us instead of 90 (measured, page faults). 32 MiB is the largest
 * threshold glibc takes. */
#include "server/app.h"
#include "server/cli/cli.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *doc;
} commands[] = {
    {"serve", cli_serve, "run the server"},
    {"sql", cli_sql,
     "run statements: freshet sql [TEXT] [--http HOST:PORT] [--format json|ndjson|csv]"},
    {"load", cli_load,
     "load files: freshet load TABLE FILE…|- [--http HOST:PORT] [--create] [--format "
     "ndjson|json|csv]"},
    {"infer", cli_infer, "print a CREATE TABLE for a file: freshet infer FILE [--table NAME]"},
    {"user", cli_user, "users of a data directory: freshet user add|passwd|list|drop"},
    {"dashboards", cli_dashboards,
     "print a Grafana dashboard for a table: freshet dashboards TABLE [--http HOST:PORT]"},
    {"check", cli_check, "check the files of a data directory: freshet check DATA"},
};

static void set_allocator(void)
{
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    mallopt(M_TOP_PAD, 16 << 20);
}

static void print_usage(FILE *out)
{
    fprintf(out, "usage: freshet COMMAND …\n\n");
    for (size_t i = 0; i < array_count(commands); i++) {
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].doc);
    }
    fprintf(out, "\nfreshet serve --help lists the settings.\n");
}

int main(int argc, char **argv)
{
    set_allocator();
    if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
        printf("freshet %s\n", FRESHET_VERSION);
        return 0;
    }
    if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
        print_usage(stdout);
        return 0;
    }
    for (size_t i = 0; argc >= 2 && i < array_count(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    print_usage(stderr);
    return EXIT_USAGE;
}
