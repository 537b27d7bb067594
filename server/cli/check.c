/* `freshet check DATA`: looks at every file of a data directory that no server has open, changes
 * none, and prints a line for each thing that is wrong. Exit status 0: nothing is; 1: something is;
 * 2: it could not be looked at. */
#include "server/cli/cli.h"

#include "storage/check.h"

#include <stdio.h>
#include <sys/stat.h>

#define EXIT_NOT_LOOKED_AT 2

static void print_problem(void *context, const char *text)
{
    (void)context;
    printf("damaged: %s\n", text);
}

static void print_note(void *context, const char *text)
{
    (void)context;
    printf("note: %s\n", text);
}

static void print_summary(const struct store_check_result *result)
{
    printf("%u segments with %llu rows, %u checkpoints, %llu records in the log up to position "
           "%llu: %s",
           result->segments, (unsigned long long)result->segment_rows, result->checkpoints,
           (unsigned long long)result->records, (unsigned long long)result->last_position,
           result->problems == 0 ? "nothing is damaged\n" : "");
    if (result->problems != 0)
        printf("%u damaged\n", result->problems);
}

int cli_check(int argc, char **argv)
{
    struct stat status;
    struct io *io;
    struct error error = {0};
    struct store_check_result result;
    if (argc != 2 || argv[1][0] == '-') {
        fprintf(stderr, "usage: freshet check DATA\n");
        return EXIT_USAGE;
    }
    if (stat(argv[1], &status) != 0 || !S_ISDIR(status.st_mode)) {
        cli_complain("check: \"%s\" is not a directory", argv[1]);
        return EXIT_NOT_LOOKED_AT;
    }
    enum err err = io_open("plain", argv[1], &io, &error);
    if (err == OK) {
        const struct store_check_options options = {
            .io = io, .directory = "", .problem = print_problem, .note = print_note};
        err = store_check(&options, &result, &error);
        io->ops->destroy(io);
    }
    if (err != OK) {
        cli_complain("check: %s: %s", argv[1], error.text);
        return EXIT_NOT_LOOKED_AT;
    }
    print_summary(&result);
    return result.problems == 0 ? 0 : 1;
}
