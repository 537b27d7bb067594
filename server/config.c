/* Settings.
 *
 * One table says name, kind, place, default and meaning of every key; the file, the command line,
 * `freshet serve --help` and the test of deploy/freshet.conf all read it. Order: defaults, then
 * --config FILE, then the other flags. Sizes and durations carry units, because a bare 64 means
 * nothing to the next reader. */
#include "server/config.h"

#include "query/query.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ROWS_READY_MAX (UINT64_C(1) << 30)
#define FIELD(field) offsetof(struct config, field)

const struct config_key config_keys[] = {
    {"data", CONFIG_TEXT, FIELD(data), "freshet-data",
     "directory of the store; made if it is missing"},
    {"http", CONFIG_TEXT, FIELD(http), "127.0.0.1:8080",
     "address of the HTTP port; port 0 picks a free one"},
    {"pg", CONFIG_TEXT, FIELD(pg), "127.0.0.1:5433",
     "address of the PostgreSQL port; 'off' does not listen"},
    {"memory", CONFIG_SIZE, FIELD(memory), "0",
     "memory of the process; 0: half of the machine's or the control group's"},
    {"rows_ready", CONFIG_SIZE, FIELD(rows_ready), "0",
     "memory made present at the start for rows; 0: a tenth of `memory`, at most 1 GiB"},
    {"query_memory", CONFIG_SIZE, FIELD(query_memory), "0",
     "memory of one query; 0: a quarter of `memory`"},
    {"partial_cache", CONFIG_SIZE, FIELD(partial_cache), "0",
     "memory of partial results kept for later queries; 0: a thirty-second of `memory`"},
    {"spill_limit", CONFIG_SIZE, FIELD(spill_limit), "0",
     "disk that queries may fill with rows that do not fit their memory; 0: a tenth of the disk"},
    {"log_file", CONFIG_SIZE, FIELD(log_file), "64 MiB", "size of one file of the write-ahead log"},
    {"body_max", CONFIG_SIZE, FIELD(body_max), "16 MiB", "largest request body, after inflating"},
    {"disk_low", CONFIG_SIZE, FIELD(disk_low), "0",
     "free disk below which ingest answers 507; 0: 5 % of the disk, at most 2 GiB"},
    {"io", CONFIG_TEXT, FIELD(io), "auto", "how files are written: auto, uring, plain"},
    {"ring", CONFIG_TEXT, FIELD(ring), "off",
     "rows over plain HTTP are received by io_uring, before h2o: off, auto"},
    {"threads", CONFIG_COUNT, FIELD(threads), "0",
     "workers that decode and query; 0: one per core"},
    {"queries_max", CONFIG_COUNT, FIELD(queries_max), "128",
     "queries under way at a time; four times as many wait, further ones are refused"},
    {"connections_max", CONFIG_COUNT, FIELD(connections_max), "12000",
     "HTTP connections at a time; further ones wait"},
    {"pg_connections_max", CONFIG_COUNT, FIELD(pg_connections_max), "6000",
     "connections of the PostgreSQL port at a time; further ones are refused"},
    {"login_timeout", CONFIG_DURATION, FIELD(login_timeout_us), "10 s",
     "from a connection to the end of its login, or of its TLS handshake"},
    {"pg_idle_timeout", CONFIG_DURATION, FIELD(pg_idle_timeout_us), "0 s",
     "a session of the PostgreSQL port idle for so long is closed; 0 s: none is"},
    {"request_timeout", CONFIG_DURATION, FIELD(request_timeout_us), "60 s",
     "for head and body of a request, and for idling"},
    {"statement_timeout", CONFIG_DURATION, FIELD(statement_timeout_us), "30 s",
     "of a query; 0 s: none"},
    {"max_rows", CONFIG_COUNT, FIELD(max_rows), "1000000", "rows a result may have"},
    {"source_idle", CONFIG_DURATION, FIELD(source_idle_us), "60 s",
     "a source without rows for so long holds no watermark back"},
    {"producers_max", CONFIG_COUNT, FIELD(producers_max), "1000000", "producers a table remembers"},
    {"keys_window", CONFIG_COUNT, FIELD(keys_window), "1000000",
     "idempotency keys a table remembers, none longer than a day"},
    {"insecure", CONFIG_BOOL, FIELD(insecure), "off",
     "listen on other addresses than loopback although there are no users"},
    {"ssl_cert_file", CONFIG_TEXT, FIELD(ssl_cert_file), "",
     "certificate of both ports, its chain behind it (PEM), read anew on SIGHUP; '': no TLS"},
    {"ssl_key_file", CONFIG_TEXT, FIELD(ssl_key_file), "",
     "its key (PEM, no passphrase), which nobody else may read"},
    {"ssl_required", CONFIG_BOOL, FIELD(ssl_required), "on",
     "users log in by TLS only, but for those on loopback"},
    {"secrets", CONFIG_TEXT, FIELD(secrets), "",
     "folder of passwords, keys and certificates that connections may name; '': secrets in data"},
    {"cors_origins", CONFIG_TEXT, FIELD(cors_origins), "",
     "origins whose pages may call, separated by commas; * is every page"},
    {"log_level", CONFIG_TEXT, FIELD(log_level), "info",
     "least level that is logged: debug, info, warn, error"},
};
const size_t config_key_count = array_count(config_keys);

/* Digits, then an optional unit; the value times the unit's factor. */
static bool parse_scaled(struct slice text, const char *const *units, const uint64_t *factors,
                         size_t unit_count, uint64_t *out)
{
    text = slice_trim(text);
    uint64_t value = 0;
    size_t at = 0;
    while (at < text.size && text.data[at] >= '0' && text.data[at] <= '9') {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.data[at] - '0'), &value)) {
            return false;
        }
        at++;
    }
    if (at == 0) {
        return false;
    }
    struct slice unit = slice_trim(slice_of(text.data + at, text.size - at));
    for (size_t i = 0; i < unit_count; i++) {
        if (slice_equal_ignore_case(unit, slice_from_cstr(units[i]))) {
            return !__builtin_mul_overflow(value, factors[i], out) && *out <= INT64_MAX;
        }
    }
    return false;
}

bool config_parse_size(struct slice text, uint64_t *out)
{
    static const char *const units[] = {"",    "B",  "KiB", "MiB", "GiB",
                                        "TiB", "kB", "MB",  "GB",  "TB"};
    static const uint64_t factors[] = {1,          1,    1 << 10, 1 << 20,    1 << 30,
                                       1ULL << 40, 1000, 1000000, 1000000000, 1000000000000};
    static_assert(array_count(units) == array_count(factors), "one factor a unit");
    return parse_scaled(text, units, factors, array_count(units), out);
}

bool config_parse_duration(struct slice text, int64_t *out)
{
    static const char *const units[] = {"us", "ms", "s", "min", "h", "d"};
    static const uint64_t factors[] = {1, 1000, 1000000, 60000000, 3600000000, 86400000000};
    static_assert(array_count(units) == array_count(factors), "one factor a unit");
    uint64_t value;
    if (!parse_scaled(text, units, factors, array_count(units), &value)) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

static bool parse_bool(struct slice text, bool *out)
{
    static const struct slice yes[] = {{"on", 2}, {"true", 4}, {"yes", 3}, {"1", 1}};
    static const struct slice no[] = {{"off", 3}, {"false", 5}, {"no", 2}, {"0", 1}};
    for (size_t i = 0; i < array_count(yes); i++) {
        if (slice_equal_ignore_case(text, yes[i]) || slice_equal_ignore_case(text, no[i])) {
            *out = slice_equal_ignore_case(text, yes[i]);
            return true;
        }
    }
    return false;
}

static bool set_field(struct config *config, const struct config_key *key, struct slice value,
                      struct arena *arena)
{
    void *field = (char *)config + key->offset;
    uint64_t count;
    switch (key->kind) {
    case CONFIG_TEXT:
        *(const char **)field = arena_copy_cstr(arena, value);
        return true;
    case CONFIG_SIZE:
        return config_parse_size(value, field);
    case CONFIG_DURATION:
        return config_parse_duration(value, field);
    case CONFIG_BOOL:
        return parse_bool(value, field);
    case CONFIG_COUNT:
        if (!parse_scaled(value, (const char *const[]){""}, (const uint64_t[]){1}, 1, &count)) {
            return false;
        }
        *(uint64_t *)field = count;
        return true;
    }
    return false;
}

/* Names are equal with '-' for '_': flags are written with dashes. */
static bool name_matches(const char *key, struct slice name)
{
    if (strlen(key) != name.size) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        if (key[i] != (name.data[i] == '-' ? '_' : name.data[i])) {
            return false;
        }
    }
    return true;
}

void config_init(struct config *config, struct arena *arena)
{
    *config = (struct config){0};
    for (size_t i = 0; i < config_key_count; i++) {
        bool is_set =
            set_field(config, &config_keys[i], slice_from_cstr(config_keys[i].default_text), arena);
        assert(is_set);
        (void)is_set;
    }
}

enum err config_set(struct config *config, struct slice name, struct slice value,
                    struct arena *arena, struct error *error)
{
    static const char *const forms[] = {"a text", "a size like '64 MiB'", "a duration like '60 s'",
                                        "a number", "on or off"};
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!name_matches(key->name, name)) {
            continue;
        }
        if (memchr(value.data, 0, value.size) == NULL && set_field(config, key, value, arena)) {
            return OK;
        }
        return error_set(error, ERR_INPUT, "22023", "%s takes %s, not \"%.*s\"", key->name,
                         forms[key->kind], (int)(value.size < 80 ? value.size : 80), value.data);
    }
    return error_set(error, ERR_INPUT, "42704", "there is no setting \"%.*s\"",
                     (int)(name.size < 80 ? name.size : 80), name.data);
}

/* One line without its end. */
static enum err parse_line(struct config *config, struct slice line, struct arena *arena,
                           struct error *error)
{
    line = slice_trim(line);
    if (line.size == 0 || line.data[0] == '#') {
        return OK;
    }
    const char *equals = memchr(line.data, '=', line.size);
    if (equals == NULL) {
        return error_set(error, ERR_INPUT, "42601", "expected `key = value`");
    }
    struct slice name = slice_trim(slice_of(line.data, (size_t)(equals - line.data)));
    struct slice value =
        slice_trim(slice_of(equals + 1, line.size - (size_t)(equals - line.data) - 1));
    if (value.size > 0 && value.data[0] == '\'') {
        const char *quote = memchr(value.data + 1, '\'', value.size - 1);
        size_t behind = quote == NULL ? 0 : (size_t)(quote - value.data) + 1;
        struct slice rest = slice_trim(slice_of(value.data + behind, value.size - behind));
        if (quote == NULL || (rest.size > 0 && rest.data[0] != '#')) {
            return error_set(error, ERR_INPUT, "42601",
                             "the quotes of the value of %.*s do not match", SLICE_ARGS(name));
        }
        value = slice_of(value.data + 1, (size_t)(quote - value.data) - 1);
    } else {
        const char *comment = value.size > 0 ? memchr(value.data, '#', value.size) : NULL;
        value = comment == NULL ? value
                                : slice_trim(slice_of(value.data, (size_t)(comment - value.data)));
    }
    return config_set(config, name, value, arena, error);
}

enum err config_parse(struct config *config, struct slice text, struct arena *arena,
                      struct error *error)
{
    size_t number = 0;
    while (text.size > 0) {
        const char *newline = memchr(text.data, '\n', text.size);
        size_t size = newline == NULL ? text.size : (size_t)(newline - text.data);
        number++;
        struct error inner;
        enum err result = parse_line(config, slice_of(text.data, size), arena, &inner);
        if (result != OK) {
            return error_set(error, result, inner.sqlstate, "line %zu: %s", number, inner.text);
        }
        size_t used = newline == NULL ? size : size + 1;
        text = slice_of(text.data + used, text.size - used);
    }
    return OK;
}

enum err config_load(struct config *config, const char *path, struct arena *arena,
                     struct error *error)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return error_set(error, ERR_IO, NULL, "cannot read %s: %s", path, strerror(errno));
    }
    static const size_t size_max = (size_t)1 << 20;
    char *text = arena_alloc(arena, size_max);
    size_t size = fread(text, 1, size_max, file);
    fclose(file);
    return config_parse(config, slice_of(text, size), arena, error);
}

/* The control group's limit (v2, then v1), or 0 if there is none that says anything. */
static uint64_t group_memory(void)
{
    static const char *const paths[] = {"/sys/fs/cgroup/memory.max",
                                        "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    for (size_t i = 0; i < array_count(paths); i++) {
        FILE *file = fopen(paths[i], "re");
        unsigned long long bytes = 0;
        if (file != NULL) {
            int got = fscanf(file, "%llu", &bytes);
            fclose(file);
            if (got == 1 && bytes > 0 && bytes < (1ULL << 60)) {
                return bytes;
            }
        }
    }
    return 0;
}

enum err config_complete(struct config *config, struct error *error)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE),
             group = group_memory();
    machine = group > 0 && group < machine ? group : machine;
    config->memory = config->memory == 0 ? machine / 2 : config->memory;
    uint64_t tenth = config->memory / 10; /* two segments: one fills while one is being sealed */
    if (config->rows_ready == 0)
        config->rows_ready = tenth < ROWS_READY_MAX ? tenth : ROWS_READY_MAX;
    config->query_memory = config->query_memory == 0 ? config->memory / 4 : config->query_memory;
    config->partial_cache =
        config->partial_cache == 0 ? config->memory / 32 : config->partial_cache;
    struct slice io = slice_from_cstr(config->io);
    if (!slice_equal(io, SLICE("auto")) && !slice_equal(io, SLICE("uring")) &&
        !slice_equal(io, SLICE("plain"))) {
        return error_set(error, ERR_INPUT, "22023", "io is auto, uring or plain, not \"%.40s\"",
                         config->io);
    }
    struct slice ring = slice_from_cstr(config->ring);
    if (!slice_equal(ring, SLICE("auto")) && !slice_equal(ring, SLICE("off"))) {
        return error_set(error, ERR_INPUT, "22023", "ring is auto or off, not \"%.40s\"",
                         config->ring);
    }
    if (config->memory < (16u << 20)) {
        return error_set(error, ERR_INPUT, "22023", "memory must be at least 16 MiB");
    }
    if (config->query_memory < QUERY_MEMORY_MIN) {
        return error_set(error, ERR_INPUT, "22023", "query_memory must be at least %d KiB",
                         QUERY_MEMORY_MIN >> 10);
    }
    if (config->log_file < (1u << 20) || config->log_file > (16ULL << 30)) {
        return error_set(error, ERR_INPUT, "22023", "log_file must be between 1 MiB and 16 GiB");
    }
    if (config->body_max < 1024 || config->body_max > (1u << 30)) {
        return error_set(error, ERR_INPUT, "22023", "body_max must be between 1 KiB and 1 GiB");
    }
    if (config->pg_connections_max == 0 || config->pg_connections_max > 1000000 ||
        config->login_timeout_us < 1000000) {
        return error_set(error, ERR_INPUT, "22023",
                         "pg_connections_max must be between 1 and 1,000,000, login_timeout 1 s or "
                         "more");
    }
    if (config->request_timeout_us < 1000000 || config->connections_max == 0 ||
        config->threads > 1024) {
        return error_set(error, ERR_INPUT, "22023",
                         "request_timeout must be 1 s or more, connections_max 1 or more, threads "
                         "1,024 or less");
    }
    if ((config->ssl_cert_file[0] == 0) != (config->ssl_key_file[0] == 0)) {
        return error_set(error, ERR_INPUT, "22023", "ssl_cert_file and ssl_key_file come together");
    }
    if (config->data[0] == 0) {
        return error_set(error, ERR_INPUT, "22023", "data must name a directory");
    }
    return OK;
}
