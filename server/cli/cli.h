/* The subcommands of the binary. Each gets its own arguments (argv[0] is the subcommand) and
 * returns the exit status. */
#ifndef FRESHET_SERVER_CLI_CLI_H
#define FRESHET_SERVER_CLI_CLI_H

#include "storage/base/slice.h"

#define EXIT_USAGE                                                                                 \
    64 /* sysexits.h: the command line is wrong, or asks for what is not there yet                 \
        */

int cli_serve(int argc, char **argv);
int cli_sql(int argc, char **argv);
int cli_load(int argc, char **argv);
int cli_infer(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_user(int argc, char **argv);
int cli_dashboards(int argc, char **argv);

/* If argv[*index] is `--name VALUE` or `--name=VALUE`, gives the value and moves *index to the last
 * word used. */
const char *cli_option(const char *name, int argc, char **argv, int *index);
/* Writes a message for people to standard error, with the program's name before it. */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Asks at the terminal of the standard input without showing what is typed; `out` gets the line
 * without its end. False: no line, or one of `capacity` bytes or more. A signal that ends or stops
 * the process finds the terminal as it was. One thread of the process only. */
bool cli_ask_hidden(const char *prompt, char *out, size_t capacity);
/* Writes the problem+json of a statement that failed to standard error, for people; other bytes as
 * they are. */
void cli_print_problem(struct slice body);

#endif
