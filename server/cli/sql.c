/* freshet sql: statements from the command line or standard input, answers as tables.
 *
 * From standard input a statement ends at a semicolon outside of quotes and comments; the last one
 * may lack it. On a terminal there is a prompt and an error does not end the session; from a pipe
 * the first error ends it with status 1. */
#include "server/cli/cli.h"
#include "server/cli/statement.h"
#include "server/cli/table.h"
#include "server/client/http_client.h"
#include "storage/base/clock.h"

#include <stdio.h>
#include <unistd.h>

struct session {
    struct http_client *client;
    const char *format; /* NULL: a table */
};

static bool print_answer(const struct session *session, bool is_csv, struct slice body)
{
    if (session->format != NULL || is_csv) {
        fwrite(body.data, 1, body.size, stdout);
        if (body.size > 0 && body.data[body.size - 1] != '\n') {
            fputc('\n', stdout);
        }
        return true;
    }
    struct arena arena;
    struct json_value *root;
    struct error error;
    struct writer text;
    arena_init(&arena);
    writer_init(&text);
    bool is_fine =
        json_parse(body, &arena, 1000, &root, &error) == OK && table_print_answer(root, &text);
    if (is_fine) {
        fwrite(text.data, 1, text.size, stdout);
    } else {
        cli_complain("the answer is not what this version knows");
    }
    writer_deinit(&text);
    arena_deinit(&arena);
    return is_fine;
}

static bool run_statement(const struct session *session, struct slice text)
{
    struct writer body;
    writer_init(&body);
    writer_cstr(&body, "{\"query\":");
    json_write_string(&body, text);
    writer_printf(&body, ",\"format\":\"%s\"}", session->format == NULL ? "json" : session->format);
    struct http_call call = {
        .method = "POST",
        .target = SLICE("/v1/sql"),
        .headers = SLICE("Content-Type: application/json\r\n"),
        .body = writer_as_slice(&body),
    };
    const struct http_reply *reply;
    struct error error;
    bool is_fine = false;
    if (utf8_validate(text) != text.size) {
        cli_complain("the statement is not UTF-8");
    } else if (http_client_call(session->client, &call, &reply, &error) != OK) {
        cli_complain("%s", error.text);
    } else if (reply->status != 200) {
        cli_print_problem(writer_as_slice(&reply->body));
    } else {
        /* COPY answers with csv, whatever was asked for. */
        bool is_csv =
            slice_starts_with(http_reply_header(reply, "content-type"), SLICE("text/csv"));
        is_fine = print_answer(session, is_csv, writer_as_slice(&reply->body));
    }
    fflush(stdout);
    writer_deinit(&body);
    return is_fine;
}

/* Runs the whole statements in `text`; returns how many bytes they took. */
static size_t run_whole(const struct session *session, struct slice text, bool is_last,
                        bool *is_fine)
{
    size_t done = 0;
    for (;;) {
        struct slice rest = slice_of(text.data + done, text.size - done), statement;
        size_t used = statement_next(rest, is_last, &statement);
        if (used == 0) {
            return done;
        }
        done += used;
        if (statement.size > 0 && !run_statement(session, statement)) {
            *is_fine = false;
            if (!isatty(STDIN_FILENO)) {
                return text.size;
            }
        }
    }
}

static bool run_input(const struct session *session)
{
    struct writer text;
    char line[65536];
    bool is_fine = true, is_terminal = isatty(STDIN_FILENO);
    writer_init(&text);
    for (;;) {
        if (is_terminal) {
            fputs(text.size == 0 ? "freshet> " : "      -> ", stdout);
            fflush(stdout);
        }
        bool is_last = fgets(line, sizeof(line), stdin) == NULL;
        if (!is_last) {
            writer_cstr(&text, line);
        }
        size_t done = run_whole(session, writer_as_slice(&text), is_last, &is_fine);
        memmove(text.data, text.data + done, text.size - done);
        text.size -= done;
        if (is_last || (!is_fine && !is_terminal)) {
            break;
        }
        if (slice_trim(writer_as_slice(&text)).size == 0) {
            writer_reset(&text);
        }
    }
    writer_deinit(&text);
    return is_fine || is_terminal;
}

int cli_sql(int argc, char **argv)
{
    const char *address = "127.0.0.1:8080", *format = NULL, *value;
    struct slice text = {NULL, 0};
    for (int i = 1; i < argc; i++) {
        if ((value = cli_option("http", argc, argv, &i)) != NULL) {
            address = value;
        } else if ((value = cli_option("format", argc, argv, &i)) != NULL) {
            format = value;
        } else if (argv[i][0] == '-' && argv[i][1] == '-') {
            cli_complain("sql: unknown flag %s", argv[i]);
            return EXIT_USAGE;
        } else if (text.data != NULL) {
            cli_complain("sql: give one text, in quotes");
            return EXIT_USAGE;
        } else {
            text = slice_from_cstr(argv[i]);
        }
    }
    struct session session = {.client = http_client_create(address, 0), .format = format};
    bool is_fine = true;
    if (text.data != NULL) {
        size_t done = 0;
        struct slice statement;
        for (size_t used; (used = statement_next(slice_of(text.data + done, text.size - done), true,
                                                 &statement)) > 0;) {
            done += used;
            is_fine = is_fine && (statement.size == 0 || run_statement(&session, statement));
        }
    } else {
        is_fine = run_input(&session);
    }
    http_client_destroy(session.client);
    return is_fine ? 0 : 1;
}
