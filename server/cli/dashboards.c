/* freshet dashboards: a Grafana dashboard for a table, made from its columns.
 *
 * For Grafana's PostgreSQL data source of the uid `freshet`, as server/deploy/grafana provisions
 * it. Which panels a column gets follows from its type, its name and how many values it has among
 * the newest rows: a number is worth percentiles, a text with few values a breakdown, and what is
 * called an id neither. */
#include "server/cli/cli.h"
#include "server/client/http_client.h"
#include "storage/base/json.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBERS_MAX 6
#define TEXTS_MAX 6
#define FEW_VALUES 200
#define SAMPLE_ROWS "20000"
#define WIDTH 24

struct column {
    struct slice name;
    enum { COLUMN_OTHER, COLUMN_NUMBER, COLUMN_TEXT, COLUMN_BOOL } kind;
    int64_t distinct; /* among the newest rows */
};

struct maker {
    struct http_client *client;
    struct arena arena;
    struct slice table, time; /* quoted; time empty: none */
    struct column *columns;
    size_t column_count;
    struct writer out;
    struct writer sql;
    int panels, x, y, row_height;
};

/* The rows of an answer, in the arena. */
static bool ask(struct maker *maker, const char *sql, struct json_value **rows)
{
    struct http_call call = {.method = "POST",
                             .target = SLICE("/v1/sql"),
                             .headers = SLICE("Content-Type: text/plain\r\n"),
                             .body = slice_from_cstr(sql)};
    const struct http_reply *reply;
    struct error error;
    struct json_value *root;
    if (http_client_call(maker->client, &call, &reply, &error) != OK) {
        cli_complain("%s", error.text);
        return false;
    }
    if (reply->status != 200) {
        cli_print_problem(writer_as_slice(&reply->body));
        return false;
    }
    struct slice body = arena_copy(&maker->arena, writer_as_slice(&reply->body));
    if (json_parse(body, &maker->arena, 1000, &root, &error) != OK ||
        (*rows = (struct json_value *)json_get(root, "rows")) == NULL) {
        cli_complain("the answer is not what this version knows");
        return false;
    }
    return true;
}

static struct slice quoted(struct maker *maker, struct slice name, char quote)
{
    char *text = arena_alloc(&maker->arena, 2 * name.size + 2);
    size_t size = 0;
    text[size++] = quote;
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == quote) {
            text[size++] = quote;
        }
        text[size++] = name.data[i];
    }
    text[size++] = quote;
    return slice_of(text, size);
}

static bool is_id(struct slice name)
{
    static const char *const endings[] = {"id", "uuid", "key", "hash", "position", "offset"};
    for (size_t i = 0; i < array_count(endings); i++) {
        struct slice ending = slice_from_cstr(endings[i]);
        if (name.size >= ending.size &&
            slice_equal_ignore_case(slice_of(name.data + name.size - ending.size, ending.size),
                                    ending)) {
            return true;
        }
    }
    return false;
}

static int kind_of(struct slice name, struct slice type)
{
    static const char *const numbers[] = {"smallint", "integer", "bigint", "real",
                                          "double precision"};
    if (is_id(name)) {
        return COLUMN_OTHER;
    }
    for (size_t i = 0; i < array_count(numbers); i++) {
        if (slice_equal(type, slice_from_cstr(numbers[i]))) {
            return COLUMN_NUMBER;
        }
    }
    return slice_starts_with(type, SLICE("numeric")) ? COLUMN_NUMBER
           : slice_equal(type, SLICE("text")) || slice_starts_with(type, SLICE("character"))
               ? COLUMN_TEXT
           : slice_equal(type, SLICE("boolean")) ? COLUMN_BOOL
                                                 : COLUMN_OTHER;
}

/* --- what the table is --- */

static bool find_table(struct maker *maker, const char *name)
{
    struct json_value *rows;
    struct slice literal = quoted(maker, slice_from_cstr(name), '\'');
    const char *sql = arena_printf(&maker->arena,
                                   "SELECT c.column_name, c.type, c.column_name = t.time_column "
                                   "FROM freshet.columns c JOIN freshet.tables t USING (table_name)"
                                   " WHERE c.table_name = %.*s ORDER BY c.ordinal",
                                   SLICE_ARGS(literal));
    if (!ask(maker, sql, &rows)) {
        return false;
    }
    if (rows->count == 0) {
        cli_complain("dashboards: there is no table \"%s\"", name);
        return false;
    }
    maker->table = quoted(maker, slice_from_cstr(name), '"');
    maker->columns = arena_alloc_array(&maker->arena, rows->count, sizeof(*maker->columns));
    for (const struct json_value *row = rows->child; row != NULL; row = row->next) {
        const struct json_value *column = row->child;
        struct slice identifier = quoted(maker, column->text, '"');
        if (column->next->next->kind == JSON_TRUE) {
            maker->time = identifier;
            continue;
        }
        maker->columns[maker->column_count++] =
            (struct column){.name = identifier, .kind = kind_of(column->text, column->next->text)};
    }
    return true;
}

/* How many values the texts have among the newest rows. */
static bool count_values(struct maker *maker)
{
    struct json_value *rows;
    writer_reset(&maker->sql);
    writer_cstr(&maker->sql, "SELECT count(*)");
    for (size_t i = 0; i < maker->column_count; i++) {
        if (maker->columns[i].kind == COLUMN_TEXT) {
            writer_printf(&maker->sql, ", count(DISTINCT %.*s)",
                          SLICE_ARGS(maker->columns[i].name));
        }
    }
    writer_printf(&maker->sql, " FROM (SELECT * FROM %.*s", SLICE_ARGS(maker->table));
    if (maker->time.size > 0) {
        writer_printf(&maker->sql, " ORDER BY %.*s DESC", SLICE_ARGS(maker->time));
    }
    writer_cstr(&maker->sql, " LIMIT " SAMPLE_ROWS ") newest");
    writer_u8(&maker->sql, 0);
    if (!ask(maker, (const char *)maker->sql.data, &rows)) {
        return false;
    }
    const struct json_value *cell = rows->child->child;
    for (size_t i = 0; i < maker->column_count; i++) {
        if (maker->columns[i].kind == COLUMN_TEXT) {
            cell = cell->next;
            maker->columns[i].distinct = atoll(arena_copy_cstr(&maker->arena, cell->text));
        }
    }
    return true;
}

/* --- panels --- */

/* One panel of maker->sql, which is emptied. */
static void add_panel(struct maker *maker, const char *type, int width, int height,
                      struct slice title)
{
    bool is_series = strcmp(type, "timeseries") == 0;
    if (maker->x + width > WIDTH) {
        maker->y += maker->row_height;
        maker->x = maker->row_height = 0;
    }
    writer_printf(&maker->out,
                  "%s{\"id\":%d,\"type\":\"%s\",\"title\":", maker->panels == 0 ? "" : ",\n",
                  maker->panels + 1, type);
    json_write_string(&maker->out, title);
    writer_printf(&maker->out,
                  ",\"datasource\":{\"type\":\"grafana-postgresql-datasource\",\"uid\":\"freshet\"}"
                  ",\"gridPos\":{\"x\":%d,\"y\":%d,\"w\":%d,\"h\":%d},\"targets\":[{\"refId\":\"A\""
                  ",\"datasource\":{\"type\":\"grafana-postgresql-datasource\",\"uid\":\"freshet\"}"
                  ",\"format\":\"%s\",\"rawQuery\":true,\"editorMode\":\"code\",\"rawSql\":",
                  maker->x, maker->y, width, height, is_series ? "time_series" : "table");
    json_write_string(&maker->out, writer_as_slice(&maker->sql));
    writer_cstr(&maker->out,
                "}],\"fieldConfig\":{\"defaults\":{},\"overrides\":[]},\"options\":{}}");
    writer_reset(&maker->sql);
    maker->panels++;
    maker->x += width;
    maker->row_height = height > maker->row_height ? height : maker->row_height;
}

/* "FROM table WHERE …" of every panel, with one more condition or none. */
static void from(struct maker *maker, const char *condition)
{
    writer_printf(&maker->sql, " FROM %.*s", SLICE_ARGS(maker->table));
    const char *word = " WHERE ";
    if (maker->time.size > 0) {
        writer_printf(&maker->sql, "%s$__timeFilter(%.*s)", word, SLICE_ARGS(maker->time));
        word = " AND ";
    }
    if (condition != NULL) {
        writer_printf(&maker->sql, "%s%s", word, condition);
    }
}

static void begin_series(struct maker *maker)
{
    writer_printf(&maker->sql, "SELECT $__timeGroupAlias(%.*s, $__interval), ",
                  SLICE_ARGS(maker->time));
}

static struct slice title(struct maker *maker, const char *text, struct slice column)
{
    return slice_from_cstr(
        arena_printf(&maker->arena, "%s%.*s", text, (int)column.size - 2, column.data + 1));
}

static void add_rows(struct maker *maker)
{
    if (maker->time.size > 0) {
        begin_series(maker);
        writer_cstr(&maker->sql, "count(*) / ($__interval_ms / 1000.0) AS rows");
        from(maker, NULL);
        writer_cstr(&maker->sql, " GROUP BY 1 ORDER BY 1");
        add_panel(maker, "timeseries", 18, 8, SLICE("Rows per second"));
        writer_printf(&maker->sql,
                      "SELECT extract(epoch FROM now() - max(%.*s)) AS age_s FROM %.*s",
                      SLICE_ARGS(maker->time), SLICE_ARGS(maker->table));
        add_panel(maker, "stat", 6, 8, SLICE("Age of the newest row, seconds"));
    } else {
        writer_cstr(&maker->sql, "SELECT count(*) AS rows");
        from(maker, NULL);
        add_panel(maker, "stat", 24, 4, SLICE("Rows"));
    }
}

static void add_number(struct maker *maker, const struct column *column)
{
    struct slice name = column->name;
    if (maker->time.size > 0) {
        begin_series(maker);
    } else {
        writer_cstr(&maker->sql, "SELECT ");
    }
    writer_printf(&maker->sql,
                  "approx_percentile(0.5, %.*s) AS p50, approx_percentile(0.95, %.*s) AS p95, "
                  "approx_percentile(0.99, %.*s) AS p99",
                  SLICE_ARGS(name), SLICE_ARGS(name), SLICE_ARGS(name));
    from(maker, NULL);
    writer_cstr(&maker->sql, maker->time.size > 0 ? " GROUP BY 1 ORDER BY 1" : "");
    add_panel(maker, maker->time.size > 0 ? "timeseries" : "table", 12, 8, title(maker, "", name));
}

static void add_text(struct maker *maker, const struct column *column)
{
    struct slice name = column->name;
    writer_printf(&maker->sql, "SELECT %.*s, count(*) AS rows", SLICE_ARGS(name));
    from(maker, NULL);
    writer_cstr(&maker->sql, " GROUP BY 1 ORDER BY 2 DESC LIMIT 10");
    add_panel(maker, column->distinct <= FEW_VALUES ? "barchart" : "table", 12, 8,
              title(maker, "Top of ", name));
}

static void add_bool(struct maker *maker, const struct column *column)
{
    begin_series(maker);
    writer_printf(&maker->sql, "avg(%.*s::int)::float8 AS share", SLICE_ARGS(column->name));
    from(maker, NULL);
    writer_cstr(&maker->sql, " GROUP BY 1 ORDER BY 1");
    add_panel(maker, "timeseries", 12, 8, title(maker, "Share of ", column->name));
}

static void add_newest(struct maker *maker)
{
    writer_cstr(&maker->sql, "SELECT *");
    from(maker, NULL);
    if (maker->time.size > 0) {
        writer_printf(&maker->sql, " ORDER BY %.*s DESC", SLICE_ARGS(maker->time));
    }
    writer_cstr(&maker->sql, " LIMIT 100");
    add_panel(maker, "table", 24, 10, SLICE("Newest rows"));
}

static void write_dashboard(struct maker *maker, const char *name)
{
    int numbers = 0, texts = 0;
    writer_cstr(&maker->out, "{\"title\":");
    json_write_string(&maker->out, slice_from_cstr(name));
    writer_cstr(&maker->out, ",\"tags\":[\"freshet\"],\"schemaVersion\":39,\"version\":1,"
                             "\"editable\":true,\"refresh\":\"1s\",\"timezone\":\"browser\","
                             "\"time\":{\"from\":\"now-15m\",\"to\":\"now\"},\n\"panels\":[\n");
    add_rows(maker);
    for (size_t i = 0; i < maker->column_count; i++) {
        const struct column *column = &maker->columns[i];
        if (column->kind == COLUMN_NUMBER && numbers++ < NUMBERS_MAX) {
            add_number(maker, column);
        } else if (column->kind == COLUMN_TEXT && column->distinct > 1 && texts++ < TEXTS_MAX) {
            add_text(maker, column);
        } else if (column->kind == COLUMN_BOOL && maker->time.size > 0) {
            add_bool(maker, column);
        }
    }
    add_newest(maker);
    writer_cstr(&maker->out, "\n]}\n");
}

static int make(const char *address, const char *table)
{
    struct maker maker = {.client = http_client_create(address, 0)};
    arena_init(&maker.arena);
    writer_init(&maker.out);
    writer_init(&maker.sql);
    bool is_fine = find_table(&maker, table) && count_values(&maker);
    if (is_fine) {
        writer_reset(&maker.sql);
        write_dashboard(&maker, table);
        fwrite(maker.out.data, 1, maker.out.size, stdout);
    }
    writer_deinit(&maker.sql);
    writer_deinit(&maker.out);
    arena_deinit(&maker.arena);
    http_client_destroy(maker.client);
    return is_fine ? 0 : 1;
}

int cli_dashboards(int argc, char **argv)
{
    const char *address = "127.0.0.1:8080", *table = NULL, *value;
    for (int i = 1; i < argc; i++) {
        if ((value = cli_option("http", argc, argv, &i)) != NULL) {
            address = value;
        } else if (table != NULL || strncmp(argv[i], "--", 2) == 0) {
            table = NULL;
            break;
        } else {
            table = argv[i];
        }
    }
    if (table == NULL) {
        cli_complain("dashboards: freshet dashboards TABLE [--http [https://]HOST:PORT]");
        return EXIT_USAGE;
    }
    return make(address, table);
}
