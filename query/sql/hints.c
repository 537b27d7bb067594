/* Words of other dialects: what a person coming from ClickHouse, MySQL, QuestDB, Flink or SQL
 * Server writes, and our form of it. Looked at only after the parser refused the text or a type is
 * unknown, so it costs nothing otherwise. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"

/* One word, or two in sequence. The first that occurs outside of strings and comments is taken. */
static const struct {
    const char *first, *second, *hint;
    bool is_start; /* only as the statement's first word */
} phrases[] = {
    {"describe", NULL, "write SELECT * FROM freshet.columns WHERE table_name = '…'", true},
    {"desc", NULL, "write SELECT * FROM freshet.columns WHERE table_name = '…'", true},
    {"show", "create", "write SELECT * FROM freshet.columns WHERE table_name = '…'", true},
    {"show", "columns", "write SELECT * FROM freshet.columns WHERE table_name = '…'", true},
    {"show", "tables", "write SHOW TABLES, or SELECT * FROM freshet.tables", true},
    {"create", "source",
     "write CREATE SUBSCRIPTION s CONNECTION 'kafka://h:9092' PUBLICATION topic "
     "WITH (table = 't', start = 'earliest')",
     true},
    {"create", "stream",
     "write CREATE TABLE, then CREATE SUBSCRIPTION s CONNECTION "
     "'kafka://h:9092' PUBLICATION topic WITH (table = 't')",
     true},
    {"create", "connector",
     "write CREATE SUBSCRIPTION s CONNECTION 'kafka://h:9092' PUBLICATION "
     "topic WITH (table = 't')",
     true},
    {"use", NULL, "there is one database; write the table's name alone", true},
    {"optimize", NULL,
     "segments are merged without being asked; CHECKPOINT makes everything durable", true},
    {"replace", "into", "write INSERT INTO", true},
    {"add", "index", "write CREATE INDEX ON table USING bitmap (column)", false},
    {"upsert", NULL, "write INSERT INTO", true},
    {"insert", "overwrite", "write TRUNCATE, then INSERT INTO", true},
    {"sample", "by", "write FROM tumble(t, ts, interval '1 hour') GROUP BY window_start", false},
    {"emit", "changes", "write a SELECT; standing queries are views", false},
    {"latest", "on", "write a join with SELECT key, max(ts) … GROUP BY key", false},
    {"latest", "by", "write a join with SELECT key, max(ts) … GROUP BY key", false},
    {"asof", "join", "write a join on equality and a condition on time", false},
    {"global", "in", "write IN", false},
    {"descriptor", NULL, "write FROM tumble(t, ts, interval '1 minute')", false},
    {"window", "tumbling", "write FROM tumble(t, ts, interval '1 minute')", false},
    {"prewhere", NULL, "write WHERE", false},
    {"qualify", NULL, "write a sub-select in FROM and WHERE around it", false},
    {"engine", NULL, "leave ENGINE out; options are WITH (time = 'ts', order_by = '…')", false},
    {"settings", NULL, "send settings in the request's \"settings\"", false},
    {"regexp", NULL, "write ~", false},
    {"rlike", NULL, "write ~", false},
    {"format", NULL, "ask for the format by the field \"format\" or the Accept header", false},
    {"top", NULL, "write LIMIT at the end", false},
    {"unsigned", NULL, "write bigint: integers are signed", false},
    {"auto_increment", NULL, "there are no sequences; send the number with the row", false},
};

static bool has_phrase(struct slice text, size_t index, size_t limit)
{
    struct lexer lexer = {.text = text};
    bool was_first = phrases[index].second != NULL ? false : true;
    for (size_t count = 0;; count++) {
        enum lexer_token token = lexer_next(&lexer);
        if (token == LEXER_END || lexer.token_offset > limit)
            return false;
        const char *want = was_first && phrases[index].second != NULL ? phrases[index].second
                                                                      : phrases[index].first;
        bool is_match = lexer_is_word(&lexer, token, want);
        if (phrases[index].second == NULL) {
            if (is_match)
                return true;
            if (phrases[index].is_start)
                return false;
        } else if (was_first && is_match) {
            return true;
        } else {
            was_first = lexer_is_word(&lexer, token, phrases[index].first);
            if (phrases[index].is_start && count > 0)
                return false;
        }
        if (phrases[index].is_start && count > 1)
            return false;
    }
}

static bool is_limit_comma(struct slice text, size_t offset)
{
    struct lexer lexer = {.text = text};
    int state = 0;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        if (lexer_is_word(&lexer, token, "limit"))
            state = 1;
        else if (state == 1 && token == LEXER_NUMBER)
            state = 2;
        else if (state == 2 && lexer.token.data[0] == ',')
            return lexer.token_offset <= offset;
        else
            state = 0;
    }
    return false;
}

/* The character at the error, or a doubled '=' around it. */
static const char *symbol_hint(struct slice text, size_t offset)
{
    char at = offset < text.size ? text.data[offset] : 0;
    char before = offset > 0 && offset <= text.size ? text.data[offset - 1] : 0;
    char after = offset + 1 < text.size ? text.data[offset + 1] : 0;
    if (at == '=' && (after == '=' || before == '='))
        return "write = for equality";
    if (at == '(' && before == ')')
        return "write percentile_cont(0.5) WITHIN GROUP (ORDER BY x) for quantile(0.5)(x)";
    return NULL;
}

static bool has_backtick(struct slice text, size_t limit)
{
    struct lexer lexer = {.text = text};
    for (enum lexer_token token;
         (token = lexer_next(&lexer)) != LEXER_END && lexer.token_offset <= limit;)
        if (token == LEXER_SYMBOL && lexer.token.data[0] == '`')
            return true;
    return false;
}

void hint_syntax(struct slice text, struct error *error)
{
    size_t offset = error->text_position > 0 ? sql_offset(text, error->text_position) : text.size;
    const char *hint = symbol_hint(text, offset);
    if (hint == NULL && has_backtick(text, offset))
        hint = "write names in double quotes, or without quotes";
    if (hint == NULL && is_limit_comma(text, offset))
        hint = "LIMIT a, b is written LIMIT b OFFSET a";
    /* A word behind the error's place did not cause it, but the parser often stops one word early.
     */
    struct lexer lexer = {.text = text, .offset = offset};
    lexer_next(&lexer);
    lexer_next(&lexer);
    for (size_t index = 0; index < array_count(phrases) && hint == NULL; index++)
        if (has_phrase(text, index, lexer.token_offset))
            hint = phrases[index].hint;
    if (hint != NULL)
        error_hint(error, "%s", hint);
}

const char *hint_type(struct slice name)
{
    static const struct {
        const char *theirs, *ours;
    } types[] = {
        {"uint8", "smallint"},
        {"uint16", "integer"},
        {"uint32", "bigint"},
        {"uint64", "bigint or numeric(18,0)"},
        {"uint128", "numeric(18,0)"},
        {"uint256", "numeric(18,0)"},
        {"int16", "smallint"},
        {"int32", "integer"},
        {"int64", "bigint"},
        {"int128", "numeric(18,0)"},
        {"int256", "numeric(18,0)"},
        {"hugeint", "numeric(18,0)"},
        {"ubigint", "bigint"},
        {"uinteger", "bigint"},
        {"usmallint", "integer"},
        {"utinyint", "smallint"},
        {"tinyint", "smallint"},
        {"mediumint", "integer"},
        {"long", "bigint"},
        {"short", "smallint"},
        {"byte", "smallint"},
        {"float32", "real"},
        {"float64", "double precision"},
        {"double", "double precision"},
        {"number", "numeric(18,s) or double precision"},
        {"bignumeric", "numeric(18,s)"},
        {"decimal32", "numeric(9,s)"},
        {"decimal64", "numeric(18,s)"},
        {"decimal128", "numeric(18,s)"},
        {"string", "text"},
        {"fixedstring", "text"},
        {"symbol", "text"},
        {"nvarchar", "text"},
        {"nchar", "text"},
        {"varchar2", "text"},
        {"clob", "text"},
        {"longtext", "text"},
        {"mediumtext", "text"},
        {"tinytext", "text"},
        {"enum", "text"},
        {"enum8", "text"},
        {"enum16", "text"},
        {"ipv4", "text"},
        {"ipv6", "text"},
        {"lowcardinality", "text: dictionaries are chosen without being asked"},
        {"nullable", "the type alone: columns take NULL unless NOT NULL"},
        {"datetime", "timestamptz"},
        {"datetime64", "timestamptz"},
        {"datetime2", "timestamptz"},
        {"timestamp_ntz", "timestamp"},
        {"timestamp_ltz", "timestamptz"},
        {"timestamp_s", "timestamp"},
        {"timestamp_ms", "timestamp"},
        {"timestamp_ns", "timestamp"},
        {"date32", "date"},
        {"array", "text[] or bigint[]"},
        {"map", "jsonb"},
        {"tuple", "jsonb"},
        {"nested", "jsonb"},
        {"struct", "jsonb"},
        {"object", "jsonb"},
        {"variant", "jsonb"},
        {"super", "jsonb"},
        {"blob", "bytea"},
        {"binary", "bytea"},
        {"varbinary", "bytea"},
        {"bytes", "bytea"},
    };
    for (size_t index = 0; index < array_count(types); index++)
        if (slice_equal_ignore_case(name, slice_from_cstr(types[index].theirs)))
            return types[index].ours;
    return NULL;
}
