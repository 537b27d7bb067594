/* Golden SQL: runs the files *.test of a folder, each against a fresh store on a simulated disk.
 *
 *   statement ok                 the statement below must succeed
 *   statement error 22012        … must fail with that SQLSTATE
 *   query                        … must give the rows below the line of hyphens, one JSON array a
 * line, query sorted                 … in any order (lines are sorted on both sides)
 *
 * A statement ends at the hyphens or a blank line. Rows may start with a line "types: bigint,
 * text". Lines that start with # are comments. The clock stands still at 2026-05-01 12:00:00 UTC.
 *
 * Statements with literals are run once more by plans of others of their shape (shapes.c).
 *
 * With --update FILE the rows that came out are written in place of the expected ones: for new
 * files, whose rows are then read and judged by a person or compared with PostgreSQL. */
#include "ingest/ingest.h"
#include "query/query.h"
#include "tests/sql/shapes.h"
#include "query/sql/sql.h"
#include "storage/base/clock.h"
#include "storage/base/json.h"
#include "storage/base/metrics.h"
#include "storage/base/thread.h"
#include "storage/io/sim.h"

#include <assert.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW_US INT64_C(1777636800000000)

struct runner {
    const char *path;
    struct sim *sim;
    struct io *io;
    struct ingest *ingest;
    struct store *store;
    struct query_engine *engine;
    struct budget memory;
    bool is_updating;
    struct writer updated; /* the file as it should be */
    int statements, failures;
};

/* --- a server's worth of parts --- */

static int64_t still_wall_us(void *context)
{
    (void)context;
    return NOW_US;
}

static int64_t still_monotonic_us(void *context)
{
    (void)context;
    return 1000000;
}

static void fail(struct runner *runner, int line, const char *format, ...) PRINTF_LIKE(3, 4);
static void fail(struct runner *runner, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", runner->path, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    runner->failures++;
}

static struct ingest_column make_column(const struct command_column *in)
{
    return (struct ingest_column){.name = in->name,
                                  .type = in->type,
                                  .is_not_null = in->is_not_null,
                                  .default_text = in->default_text,
                                  .default_expr = in->default_expr};
}

static enum err create_table(struct ingest *ingest, const struct command *command,
                             const struct batch *batches, size_t batch_count, uint64_t *position,
                             struct error *error)
{
    struct ingest_column columns[SCHEMA_COLUMNS_MAX];
    struct ingest_option options[64];
    assert(command->column_count <= SCHEMA_COLUMNS_MAX && command->option_count <= 64);
    for (size_t i = 0; i < command->column_count; i++)
        columns[i] = make_column(&command->columns[i]);
    for (size_t i = 0; i < command->option_count; i++)
        options[i] = (struct ingest_option){command->options[i].name, command->options[i].value,
                                            command->options[i].text_position};
    struct ingest_table table = {.name = command->table,
                                 .if_not_exists = command->if_exists,
                                 .column_count = command->column_count,
                                 .columns = columns,
                                 .option_count = command->option_count,
                                 .options = options,
                                 .batch_count = batch_count,
                                 .batches = batches};
    return ingest_create_table(ingest, &table, position, error);
}

static enum err alter_table(struct ingest *ingest, const struct command *command,
                            uint64_t *position, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && i < command->action_count; i++) {
        const struct alter_action *action = &command->actions[i];
        struct ingest_column column = make_column(&action->column);
        if (action->kind == ALTER_ADD_COLUMN)
            err = ingest_add_column(ingest, command->table, &column, action->if_exists, position,
                                    error);
        else
            err = ingest_drop_column(ingest, command->table, column.name, action->if_exists,
                                     position, error);
    }
    return err;
}

static enum err create_index(struct ingest *ingest, const struct command *command,
                             uint64_t *position, struct error *error)
{
    struct ingest_index index = {.name = command->index,
                                 .table = command->table,
                                 .column = command->index_column,
                                 .if_not_exists = command->if_exists,
                                 .table_position = command->text_position,
                                 .column_position = command->index_column_position};
    return ingest_create_index(ingest, &index, position, error);
}

static enum err run_subscription(struct ingest *ingest, const struct command *command,
                                 uint64_t *position, struct error *error)
{
    struct ingest_option options[64];
    assert(command->option_count <= 64);
    for (size_t i = 0; i < command->option_count; i++)
        options[i] = (struct ingest_option){command->options[i].name, command->options[i].value,
                                            command->options[i].text_position};
    struct ingest_subscription subscription = {.name = command->subscription,
                                               .connection = command->connection,
                                               .topic = command->topic,
                                               .option_count = command->option_count,
                                               .options = options};
    if (command->kind == COMMAND_DROP_SUBSCRIPTION)
        return ingest_drop_subscription(ingest, command->subscription, command->if_exists, position,
                                        error);
    if (command->kind == COMMAND_CREATE_SUBSCRIPTION)
        return ingest_create_subscription(ingest, &subscription, position, error);
    return ingest_alter_subscription(
        ingest,
        command->alter_subscription == SUBSCRIPTION_ENABLE    ? INGEST_ENABLE
        : command->alter_subscription == SUBSCRIPTION_DISABLE ? INGEST_DISABLE
        : command->alter_subscription == SUBSCRIPTION_SET     ? INGEST_SET
                                                              : INGEST_CONNECTION,
        &subscription, position, error);
}

static enum err run_command(void *context, const struct command *command,
                            const struct batch *batches, size_t batch_count,
                            struct command_answer *out, struct error *error)
{
    struct runner *runner = context;
    struct ingest *ingest = runner->ingest;
    switch (command->kind) {
    case COMMAND_CREATE_TABLE:
        return create_table(ingest, command, batches, batch_count, &out->position, error);
    case COMMAND_DROP_TABLE:
        return ingest_drop_tables(ingest, command->tables, command->table_count, command->if_exists,
                                  &out->position, error);
    case COMMAND_ALTER_TABLE:
        return alter_table(ingest, command, &out->position, error);
    case COMMAND_RENAME:
        return ingest_rename(ingest,
                             &(struct ingest_rename){.name = command->table,
                                                     .column = command->column,
                                                     .new_name = command->new_name,
                                                     .is_view = command->is_view,
                                                     .is_index = command->is_index,
                                                     .if_exists = command->if_exists},
                             &out->position, error);
    case COMMAND_CREATE_INDEX:
        return create_index(ingest, command, &out->position, error);
    case COMMAND_DROP_INDEX:
        return ingest_drop_indexes(ingest, command->tables, command->table_count,
                                   command->if_exists, &out->position, error);
    case COMMAND_TRUNCATE:
        return ingest_truncate(ingest, command->tables, command->table_count, NULL, &out->position,
                               error);
    case COMMAND_INSERT:
        return ingest_insert(ingest, command->schema, command->column_ids, batches, batch_count,
                             &out->position, &out->row_count, error);
    case COMMAND_COMMENT:
        return ingest_comment(ingest, command->table, command->comment_column, command->comment,
                              &out->position, error);
    case COMMAND_CHECKPOINT:
        if (store_checkpoint(runner->store, error) != OK)
            return ERR_IO;
        query_engine_finish_upkeep(runner->engine);
        return OK;
    case COMMAND_CREATE_SUBSCRIPTION:
    case COMMAND_ALTER_SUBSCRIPTION:
    case COMMAND_DROP_SUBSCRIPTION:
        return run_subscription(ingest, command, &out->position, error);
    case COMMAND_CREATE_VIEW:
        return ingest_create_view(ingest, &command->view,
                                  command->is_replace  ? VIEW_OR_REPLACE
                                  : command->if_exists ? VIEW_IF_NOT_EXISTS
                                                       : VIEW_NEW,
                                  &out->position, error);
    case COMMAND_DROP_VIEW:
        return ingest_drop_views(ingest, command->tables, command->table_count,
                                 command->is_materialized, command->if_exists, &out->position,
                                 error);
    case COMMAND_SET:
    case COMMAND_SESSION:
    case COMMAND_COPY:
    case COMMAND_CREATE_ROLE:
    case COMMAND_ALTER_ROLE:
    case COMMAND_DROP_ROLE:
    case COMMAND_GRANT_ROLE:
    case COMMAND_GRANT:
        break;
    }
    return error_set(error, ERR_UNSUPPORTED, "0A000", "no such command");
}

static void completeness(void *context, const uint32_t *table_ids, size_t count,
                         struct arena *arena, struct completeness *out)
{
    struct runner *runner = context;
    ingest_completeness(runner->ingest, table_ids, count, arena, out);
}

static bool find_view(void *context, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out)
{
    struct runner *runner = context;
    return name.size == 0 ? ingest_get_view(runner->ingest, id, arena, out)
                          : ingest_find_view(runner->ingest, name, arena, out);
}

static size_t list_views(void *context, struct arena *arena, struct view_definition **out)
{
    struct runner *runner = context;
    return ingest_list_views(runner->ingest, arena, out);
}

static uint64_t view_version(void *context)
{
    struct runner *runner = context;
    return ingest_view_version(runner->ingest);
}

static void start(struct runner *runner)
{
    struct error error;
    runner->sim = sim_create(&(struct sim_options){.seed = 1});
    sim_open(runner->sim, &runner->io);
    struct ingest_options ingest_options = {.limits = ingest_limits_default,
                                            .source_idle_us = 60000000,
                                            .secrets = "/run",
                                            .bind_default = sql_bind_default};
    runner->ingest = ingest_create(&ingest_options);
    struct store_options store_options = {.io = runner->io,
                                          .directory = "data",
                                          .log_file_size = 4 << 20,
                                          .rows_memory_limit = 256 << 20,
                                          .extension = ingest_extension(runner->ingest)};
    if (store_open(&store_options, &runner->store, &error) != OK) {
        fprintf(stderr, "store_open: %s\n", error.text);
        abort();
    }
    ingest_attach(runner->ingest, runner->store);
    runner->memory = (struct budget){.limit = 512 << 20, .name = "queries"};
    struct query_engine_options options = {.store = runner->store,
                                           .memory = &runner->memory,
                                           .query_memory_limit = 64 << 20,
                                           .statement_timeout_us = 30000000,
                                           .max_rows = 1000000,
                                           .context = runner,
                                           .completeness = completeness,
                                           .command = run_command,
                                           .find_view = find_view,
                                           .view_version = view_version,
                                           .list_views = list_views};
    runner->engine = query_engine_create(&options);
    size_t count;
    const struct table_provider *const *providers = ingest_providers(runner->ingest, &count);
    for (size_t i = 0; i < count; i++)
        query_engine_register(runner->engine, providers[i]);
}

static void stop(struct runner *runner)
{
    query_engine_destroy(runner->engine);
    store_close(runner->store);
    ingest_destroy(runner->ingest);
    runner->io->ops->destroy(runner->io);
    sim_destroy(runner->sim);
}

/* --- lines --- */

struct lines {
    char *text;
    char *next;
    int number;
};

/* The next line without its end, NULL at the end. */
static char *line_next(struct lines *lines)
{
    if (lines->next == NULL || *lines->next == '\0')
        return NULL;
    char *line = lines->next, *end = strchr(line, '\n');
    lines->next = end == NULL ? NULL : end + 1;
    if (end != NULL)
        *end = '\0';
    lines->number++;
    return line;
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    struct writer text;
    writer_init(&text);
    char buffer[4096];
    for (size_t got; (got = fread(buffer, 1, sizeof(buffer), file)) > 0;)
        writer_bytes(&text, buffer, got);
    fclose(file);
    writer_u8(&text, 0);
    return (char *)text.data;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines of a text, sorted if asked, as one text. `text` is taken apart. */
static void join_lines(char *text, bool is_sorted, struct writer *out)
{
    char *lines[4096];
    size_t count = 0;
    for (char *line = text; *line != '\0' && count < array_count(lines);) {
        size_t size = strcspn(line, "\n");
        bool is_last = line[size] == '\0';
        line[size] = '\0';
        lines[count++] = line;
        line += size + !is_last;
    }
    if (is_sorted)
        qsort(lines, count, sizeof(lines[0]), compare_lines);
    for (size_t i = 0; i < count; i++)
        writer_printf(out, "%s\n", lines[i]);
    writer_u8(out, 0);
}

/* --- one record of a file --- */

static enum err run(struct runner *runner, struct slice sql, struct query_answer *answer)
{
    struct query_request request = {.text = sql,
                                    .format = RESULT_NDJSON,
                                    .timeout_us = -1,
                                    .max_rows = -1,
                                    .user = SLICE("test")};
    runner->statements++;
    return query_run(runner->engine, &request, answer);
}

static void run_statement(struct runner *runner, int line, struct slice sql, const char *want)
{
    struct query_answer answer;
    enum err err = run(runner, sql, &answer);
    if (strcmp(want, "ok") == 0) {
        if (err != OK)
            fail(runner, line, "failed: %s %s", answer.error.sqlstate, answer.error.text);
    } else if (err == OK) {
        fail(runner, line, "succeeded, but %s was expected", want);
    } else if (strncmp(want, "error ", 6) != 0 || strcmp(want + 6, answer.error.sqlstate) != 0) {
        fail(runner, line, "%s was expected: %s %s", want, answer.error.sqlstate,
             answer.error.text);
    }
    writer_deinit(&answer.body);
}

static void write_types(struct slice first_line, struct writer *out)
{
    struct arena arena;
    struct json_value *json;
    struct error error;
    arena_init(&arena);
    writer_cstr(out, "types: ");
    if (json_parse(first_line, &arena, 64, &json, &error) != OK)
        abort();
    const struct json_value *columns = json_get(json, "columns");
    for (const struct json_value *column = columns->child; column != NULL; column = column->next) {
        writer_slice(out, json_get(column, "type")->text);
        writer_cstr(out, column->next != NULL ? ", " : "\n");
    }
    arena_deinit(&arena);
}

static void run_query(struct runner *runner, int line, struct slice sql, bool is_sorted, char *want)
{
    struct query_answer answer;
    struct writer got, got_lines, want_lines;
    bool has_types = strncmp(want, "types: ", 7) == 0;
    enum err err = run(runner, sql, &answer);
    writer_init(&got);
    writer_init(&got_lines);
    writer_init(&want_lines);
    if (err != OK) {
        fail(runner, line, "failed: %s %s", answer.error.sqlstate, answer.error.text);
        writer_cstr(&runner->updated, want);
    } else {
        /* without the first line (columns) and the last one (completeness) */
        struct slice body = writer_as_slice(&answer.body);
        size_t first = (size_t)((char *)memchr(body.data, '\n', body.size) - body.data) + 1;
        size_t end = body.size - 1;
        while (end > first && body.data[end - 1] != '\n')
            end--;
        if (has_types)
            write_types(slice_of(body.data, first), &got);
        writer_bytes(&got, body.data + first, end > first ? end - first : 0);
        writer_u8(&got, 0);
        join_lines((char *)got.data, is_sorted, &got_lines);
        join_lines(want, is_sorted, &want_lines);
        writer_cstr(&runner->updated, (char *)got_lines.data);
        if (!runner->is_updating && strcmp((char *)got_lines.data, (char *)want_lines.data) != 0)
            fail(runner, line, "%.*s\nexpected:\n%sgot:\n%s", SLICE_ARGS(sql),
                 (char *)want_lines.data, (char *)got_lines.data);
    }
    writer_deinit(&answer.body);
    writer_deinit(&got);
    writer_deinit(&got_lines);
    writer_deinit(&want_lines);
}

/* Lines up to a blank one or the hyphens. True at the hyphens. */
static bool read_block(struct runner *runner, struct lines *lines, struct writer *block,
                       bool is_echoed)
{
    for (char *line; (line = line_next(lines)) != NULL && *line != '\0';) {
        bool is_end = strcmp(line, "----") == 0;
        if (is_echoed)
            writer_printf(&runner->updated, "%s\n", line);
        if (is_end)
            return true;
        writer_printf(block, "%s\n", line);
    }
    return false;
}

static void check_shapes(struct runner *runner, int line, struct slice sql)
{
    struct writer why;
    writer_init(&why);
    if (!shapes_check(runner->engine, sql, &why))
        fail(runner, line, "%.*s", SLICE_ARGS(writer_as_slice(&why)));
    writer_deinit(&why);
}

static void run_record(struct runner *runner, struct lines *lines, const char *head)
{
    struct writer sql, want;
    int number = lines->number;
    writer_init(&sql);
    writer_init(&want);
    bool has_rows = read_block(runner, lines, &sql, true);
    if (has_rows)
        read_block(runner, lines, &want, false);
    writer_u8(&want, 0);
    struct slice text = slice_trim(writer_as_slice(&sql));
    if (strncmp(head, "statement ", 10) == 0 && !has_rows)
        run_statement(runner, number, text, head + 10);
    else if ((strcmp(head, "query") == 0 || strcmp(head, "query sorted") == 0) && has_rows)
        run_query(runner, number, text, strcmp(head, "query") != 0, (char *)want.data);
    else
        fail(runner, number, "not understood: %s", head);
    check_shapes(runner, number, text);
    writer_u8(&runner->updated, '\n');
    writer_deinit(&sql);
    writer_deinit(&want);
}

static int run_file(const char *path, bool is_updating)
{
    struct runner runner = {.path = path, .is_updating = is_updating};
    struct lines lines = {.text = read_file(path)};
    lines.next = lines.text;
    writer_init(&runner.updated);
    start(&runner);
    for (char *line; (line = line_next(&lines)) != NULL;) {
        if (*line != '\0')
            writer_printf(&runner.updated, "%s\n", line);
        else if (runner.updated.size > 1 && runner.updated.data[runner.updated.size - 2] != '\n')
            writer_u8(&runner.updated, '\n');
        if (*line != '\0' && *line != '#')
            run_record(&runner, &lines, line);
    }
    stop(&runner);
    if (is_updating) {
        FILE *file = fopen(path, "wb");
        while (runner.updated.size > 1 && runner.updated.data[runner.updated.size - 2] == '\n')
            runner.updated.size--;
        fwrite(runner.updated.data, 1, runner.updated.size, file);
        fclose(file);
    }
    printf("%s: %d statements, %d failures, %lld by a plan of their shape\n", path,
           runner.statements, runner.failures, (long long)metric_get(&metrics.plan_shape_hits));
    metric_set(&metrics.plan_shape_hits, 0);
    writer_deinit(&runner.updated);
    free(lines.text);
    return runner.failures;
}

/* --- all of them --- */

struct arguments {
    int count;
    char **values;
    int failures;
};

static int is_test(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 5 && strcmp(entry->d_name + size - 5, ".test") == 0;
}

static void run_all(void *context)
{
    struct arguments *arguments = context;
    if (arguments->count == 3 && strcmp(arguments->values[1], "--update") == 0) {
        arguments->failures = run_file(arguments->values[2], true);
        return;
    }
    struct dirent **entries;
    int count = scandir(arguments->values[1], &entries, is_test, alphasort);
    if (count <= 0) {
        fprintf(stderr, "no tests in %s\n", arguments->values[1]);
        arguments->failures = 1;
        return;
    }
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof(path), "%s/%s", arguments->values[1], entries[i]->d_name);
        arguments->failures += run_file(path, false);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.count = argc, .values = argv};
    static const struct clock_source still = {.wall_us = still_wall_us,
                                              .monotonic_us = still_monotonic_us};
    if (argc < 2) {
        fprintf(stderr, "usage: run_sql_test FOLDER | --update FILE\n");
        return 2;
    }
    clock_install(&still);
    timezone_set_loader(io_load_timezone);
    struct thread *thread = thread_start(&(struct thread_options){
        .name = "sql", .stack_size = 64 << 20, .run = run_all, .context = &arguments});
    thread_join(thread);
    return arguments.failures == 0 ? 0 : 1;
}
