/* The tables of settings: name, how a value is read, how it is shown.
 *
 * Over HTTP a setting lives as long as its request, so SET only checks; a session keeps them. Names
 * of PostgreSQL that clients send as a matter of course are of two kinds: those whose value changes
 * what we answer are accepted with the values that are true here (`words` with a list), and those
 * that only promise something about PostgreSQL's insides are remembered and shown again. */
#include "query/setting.h"

#include "query/query.h"

#include "storage/base/number.h"

#include <stddef.h>

struct setting {
    const char *name;
    enum err (*set)(struct settings *settings, struct slice value, struct error *error);
    struct slice (*show)(const struct settings *settings, struct arena *arena);
    size_t switch_at; /* without `set`: it is on or off, and this is where its bool lies */
};

static enum err bad_value(const char *name, struct slice value, struct error *error)
{
    return error_set(error, ERR_INPUT, "22023", "invalid value for parameter \"%s\": \"%.*s\"",
                     name, SLICE_ARGS(value));
}

struct unit {
    const char *name;
    int64_t factor;
};

/* "30s", "500", "1 min": digits, then a unit of the table; without one the first. False if it is
 * neither. */
static bool parse_amount(struct slice value, const struct unit *units, size_t unit_count,
                         int64_t *out)
{
    int64_t amount = 0, factor = units[0].factor;
    size_t at = 0;
    value = slice_trim(value);
    for (; at < value.size && value.data[at] >= '0' && value.data[at] <= '9'; at++)
        if (__builtin_mul_overflow(amount, 10, &amount) ||
            __builtin_add_overflow(amount, value.data[at] - '0', &amount))
            return false;
    if (at == 0)
        return false;
    struct slice rest = slice_trim(slice_of(value.data + at, value.size - at));
    bool is_known = rest.size == 0;
    for (size_t i = 0; !is_known && i < unit_count; i++) {
        if (slice_equal(rest, slice_from_cstr(units[i].name))) {
            factor = units[i].factor;
            is_known = true;
        }
    }
    return is_known && !__builtin_mul_overflow(amount, factor, out);
}

static const struct unit time_units[] = {
    {"ms", 1000},      {"us", 1},         {"s", 1000000},
    {"min", 60000000}, {"h", 3600000000}, {"d", 86400000000},
};
static const struct unit size_units[] = {
    {"B", 1}, {"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}, {"TB", INT64_C(1) << 40},
};
static const struct unit count_units[] = {{"", 1}};

/* --- each setting --- */

static enum err set_time(const char *name, struct slice value, int64_t *out, struct error *error)
{
    if (!parse_amount(value, time_units, array_count(time_units), out))
        return bad_value(name, value, error);
    return OK;
}

static struct slice show_time(int64_t us, struct arena *arena)
{
    if (us == 0)
        return SLICE("0");
    if (us % 60000000 == 0)
        return slice_from_cstr(arena_printf(arena, "%lldmin", (long long)(us / 60000000)));
    if (us % 1000000 == 0)
        return slice_from_cstr(arena_printf(arena, "%llds", (long long)(us / 1000000)));
    return slice_from_cstr(arena_printf(arena, "%lldms", (long long)(us / 1000)));
}

static enum err set_statement_timeout(struct settings *settings, struct slice value,
                                      struct error *error)
{
    return set_time("statement_timeout", value, &settings->statement_timeout_us, error);
}

static struct slice show_statement_timeout(const struct settings *settings, struct arena *arena)
{
    return show_time(settings->statement_timeout_us, arena);
}

static enum err set_idle_session(struct settings *settings, struct slice value, struct error *error)
{
    return set_time("idle_session_timeout", value, &settings->idle_session_timeout_us, error);
}

static struct slice show_idle_session(const struct settings *settings, struct arena *arena)
{
    return show_time(settings->idle_session_timeout_us, arena);
}

static enum err set_idle_transaction(struct settings *settings, struct slice value,
                                     struct error *error)
{
    return set_time("idle_in_transaction_session_timeout", value,
                    &settings->idle_transaction_timeout_us, error);
}

static struct slice show_idle_transaction(const struct settings *settings, struct arena *arena)
{
    return show_time(settings->idle_transaction_timeout_us, arena);
}

static enum err set_timezone(struct settings *settings, struct slice value, struct error *error)
{
    if (timezone_find(slice_trim(value), &settings->zone, error) != OK)
        return bad_value("TimeZone", value, error);
    return OK;
}

static struct slice show_timezone(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return slice_from_cstr(timezone_name(settings->zone));
}

static enum err set_max_rows(struct settings *settings, struct slice value, struct error *error)
{
    if (!parse_amount(value, count_units, 1, &settings->max_rows))
        return bad_value("freshet.max_rows", value, error);
    return OK;
}

static struct slice show_max_rows(const struct settings *settings, struct arena *arena)
{
    return slice_from_cstr(arena_printf(arena, "%lld", (long long)settings->max_rows));
}

static enum err set_query_memory(struct settings *settings, struct slice value, struct error *error)
{
    int64_t bytes;
    if (!parse_amount(value, size_units, array_count(size_units), &bytes) || bytes == 0)
        return bad_value("freshet.query_memory", value, error);
    if (bytes < QUERY_MEMORY_MIN)
        return error_set(error, ERR_INPUT, "22023",
                         "freshet.query_memory is at least %d kB, not \"%.*s\"",
                         QUERY_MEMORY_MIN >> 10, SLICE_ARGS(value));
    settings->query_memory =
        (uint64_t)bytes < settings->query_memory_max ? (size_t)bytes : settings->query_memory_max;
    return OK;
}

static struct slice show_query_memory(const struct settings *settings, struct arena *arena)
{
    return slice_from_cstr(arena_printf(arena, "%zu", settings->query_memory));
}

static enum err set_threads(struct settings *settings, struct slice value, struct error *error)
{
    if (!parse_amount(value, count_units, 1, &settings->threads) || settings->threads > 1024)
        return bad_value("freshet.threads", value, error);
    return OK;
}

static struct slice show_threads(const struct settings *settings, struct arena *arena)
{
    return slice_from_cstr(arena_printf(arena, "%lld", (long long)settings->threads));
}

static bool parse_switch(struct slice value, bool *out)
{
    static const char *const words[2][4] = {{"off", "false", "no", "0"},
                                            {"on", "true", "yes", "1"}};
    for (int is_on = 0; is_on < 2; is_on++)
        for (size_t i = 0; i < 4; i++)
            if (slice_equal_ignore_case(value, slice_from_cstr(words[is_on][i]))) {
                *out = is_on == 1;
                return true;
            }
    return false;
}

/* text: plans are kept for the very text only. */
static enum err set_plan_cache(struct settings *settings, struct slice value, struct error *error)
{
    bool is_on = false;
    bool is_text = slice_equal_ignore_case(slice_trim(value), SLICE("text"));
    if (!is_text && !parse_switch(slice_trim(value), &is_on))
        return bad_value("freshet.plan_cache", value, error);
    settings->plan_cache = is_text ? PLAN_CACHE_TEXT : is_on ? PLAN_CACHE_ON : PLAN_CACHE_OFF;
    return OK;
}

static struct slice show_plan_cache(const struct settings *settings, struct arena *arena)
{
    static const char *const names[] = {
        [PLAN_CACHE_ON] = "on", [PLAN_CACHE_TEXT] = "text", [PLAN_CACHE_OFF] = "off"};
    (void)arena;
    return slice_from_cstr(names[settings->plan_cache]);
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '"' || c == '\'';
}

static enum err copy_text(char *out, size_t capacity, const char *name, struct slice value,
                          struct error *error)
{
    if (value.size >= capacity)
        return bad_value(name, value, error);
    memcpy(out, value.data, value.size);
    out[value.size] = 0;
    return OK;
}

/* Tables are found in public (and system tables by their schema): a path that says so is fine. */
static enum err set_search_path(struct settings *settings, struct slice value, struct error *error)
{
    static const char *const names[] = {"public", "$user", "freshet", "pg_catalog"};
    for (size_t at = 0; at < value.size;) {
        size_t end = at;
        while (end < value.size && !is_separator(value.data[end]))
            end++;
        bool is_known = end == at;
        for (size_t i = 0; !is_known && i < array_count(names); i++)
            is_known = slice_equal_ignore_case(slice_of(value.data + at, end - at),
                                               slice_from_cstr(names[i]));
        if (!is_known)
            return error_set(error, ERR_UNSUPPORTED, "0A000",
                             "search_path other than public is not supported");
        at = end + 1;
    }
    return copy_text(settings->search_path, sizeof(settings->search_path), "search_path", value,
                     error);
}

static struct slice show_search_path(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return settings->search_path[0] == 0 ? SLICE("public") : slice_from_cstr(settings->search_path);
}

/* Cut as PostgreSQL cuts it, at a character's border; what is not printable ASCII becomes '?'. */
static enum err set_application_name(struct settings *settings, struct slice value,
                                     struct error *error)
{
    (void)error;
    size_t size = value.size < SETTING_NAME_MAX - 1 ? value.size : SETTING_NAME_MAX - 1;
    for (size_t i = 0; i < size; i++) {
        bool is_plain = value.data[i] >= ' ' && value.data[i] <= '~';
        settings->application_name[i] = is_plain ? value.data[i] : '?';
    }
    settings->application_name[size] = 0;
    return OK;
}

static struct slice show_application_name(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return slice_from_cstr(settings->application_name);
}

static enum err set_producer(struct settings *settings, struct slice value, struct error *error)
{
    return copy_text(settings->producer, sizeof(settings->producer), "freshet.producer", value,
                     error);
}

static struct slice show_producer(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return slice_from_cstr(settings->producer);
}

static enum err set_sequence(struct settings *settings, struct slice value, struct error *error)
{
    return copy_text(settings->sequence, sizeof(settings->sequence), "freshet.sequence", value,
                     error);
}

static struct slice show_sequence(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return slice_from_cstr(settings->sequence);
}

static enum err set_copy_errors(struct settings *settings, struct slice value, struct error *error)
{
    value = slice_trim(value);
    settings->is_copy_strict = slice_equal_ignore_case(value, SLICE("abort"));
    if (settings->is_copy_strict || slice_equal_ignore_case(value, SLICE("dead_letter")))
        return OK;
    bad_value("freshet.copy_errors", value, error);
    error_hint(error, "Write dead_letter or abort.");
    return ERR_INPUT;
}

static struct slice show_copy_errors(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return settings->is_copy_strict ? SLICE("abort") : SLICE("dead_letter");
}

static enum err set_transaction_read_only(struct settings *settings, struct slice value,
                                          struct error *error)
{
    bool is_on;
    if (!parse_switch(slice_trim(value), &is_on))
        return bad_value("transaction_read_only", value, error);
    settings->is_read_only = is_on;
    return OK;
}

static struct slice show_transaction_read_only(const struct settings *settings, struct arena *arena)
{
    (void)arena;
    return settings->is_read_only ? SLICE("on") : SLICE("off");
}

static enum err set_utf8(struct settings *settings, struct slice value, struct error *error)
{
    (void)settings;
    value = slice_trim(value);
    bool is_quoted = value.size > 1 && value.data[0] == '\'' &&
                     value.data[value.size - 1] == '\''; /* asyncpg's start-up */
    struct slice bare = is_quoted ? slice_of(value.data + 1, value.size - 2) : value;
    if (slice_equal_ignore_case(bare, SLICE("UTF8")) ||
        slice_equal_ignore_case(bare, SLICE("UTF-8")) ||
        slice_equal_ignore_case(bare, SLICE("unicode")))
        return OK;
    return bad_value("client_encoding", value, error);
}

static struct slice show_utf8(const struct settings *settings, struct arena *arena)
{
    (void)settings;
    (void)arena;
    return SLICE("UTF8");
}

static enum err set_never(struct settings *settings, struct slice value, struct error *error)
{
    (void)settings;
    (void)value;
    return error_set(error, ERR_INPUT, "55P02", "parameter cannot be changed");
}

static struct slice show_server_version(const struct settings *settings, struct arena *arena)
{
    (void)settings;
    (void)arena;
    return SLICE("15.0 (Freshet 0.1.0)");
}

static struct slice show_backend_pid(const struct settings *settings, struct arena *arena)
{
    return slice_from_cstr(arena_printf(arena, "%d", (int)settings->backend_pid));
}

#define SWITCH(name_, field)                                                                       \
    {                                                                                              \
        .name = (name_), .switch_at = offsetof(struct settings, field)                             \
    }

static const struct setting table[] = {
    {"statement_timeout", set_statement_timeout, show_statement_timeout, 0},
    {"idle_session_timeout", set_idle_session, show_idle_session, 0},
    {"idle_in_transaction_session_timeout", set_idle_transaction, show_idle_transaction, 0},
    {"TimeZone", set_timezone, show_timezone, 0},
    {"search_path", set_search_path, show_search_path, 0},
    {"freshet.max_rows", set_max_rows, show_max_rows, 0},
    {"freshet.query_memory", set_query_memory, show_query_memory, 0},
    {"freshet.threads", set_threads, show_threads, 0},
    SWITCH("freshet.partial_cache", is_partial_cache_on),
    SWITCH("freshet.rollups", is_rollups_on),
    SWITCH("freshet.spill", is_spill_on),
    SWITCH("freshet.bitmaps", is_bitmaps_on),
    SWITCH("freshet.optimizer", is_optimizer_on),
    {"freshet.plan_cache", set_plan_cache, show_plan_cache, 0},
    {"freshet.producer", set_producer, show_producer, 0},
    {"freshet.sequence", set_sequence, show_sequence, 0},
    {"freshet.copy_errors", set_copy_errors, show_copy_errors, 0},
    {"application_name", set_application_name, show_application_name, 0},
    {"client_encoding", set_utf8, show_utf8, 0},
    SWITCH("default_transaction_read_only", is_read_only_default),
    {"transaction_read_only", set_transaction_read_only, show_transaction_read_only, 0},
    {"freshet.backend_pid", set_never, show_backend_pid, 0},
    {"server_encoding", set_never, show_utf8, 0},
    {"server_version", set_never, show_server_version, 0},
};

/* Remembered only. With a list (separated by '|') only these values are taken. */
static const struct word_setting {
    const char *name, *initial, *values;
} words[SETTING_WORD_COUNT] = {
    {"DateStyle", "ISO, MDY", "iso|iso, mdy|iso,mdy|mdy|iso, us"},
    {"IntervalStyle", "postgres", "postgres"},
    {"bytea_output", "hex", "hex"},
    {"standard_conforming_strings", "on", "on|true|yes|1"},
    {"escape_string_warning", "on", NULL},
    {"array_nulls", "on", "on|true|yes|1"},
    {"extra_float_digits", "1", NULL},
    {"client_min_messages", "notice", NULL},
    {"lock_timeout", "0", NULL},
    {"default_transaction_isolation", "repeatable read", NULL},
    {"transaction_isolation", "repeatable read", NULL},
    {"default_transaction_deferrable", "off", NULL},
    {"synchronous_commit", "on", NULL},
    {"row_security", "on", NULL},
    {"xmloption", "content", NULL},
    {"jit", "off", NULL},
    {"work_mem", "4MB", NULL},
    {"default_tablespace", "", NULL},
    {"enable_seqscan", "on", NULL},
    {"enable_nestloop", "on", NULL},
    {"enable_hashjoin", "on", NULL},
    {"enable_mergejoin", "on", NULL},
    {"geqo", "on", NULL},
    {"plan_cache_mode", "auto", NULL},
};

static const struct setting *find(struct slice name)
{
    for (size_t i = 0; i < array_count(table); i++)
        if (slice_equal_ignore_case(name, slice_from_cstr(table[i].name)))
            return &table[i];
    return NULL;
}

/* SETTING_WORD_COUNT: none of these. */
static size_t find_word(struct slice name)
{
    size_t i = 0;
    while (i < SETTING_WORD_COUNT && !slice_equal_ignore_case(name, slice_from_cstr(words[i].name)))
        i++;
    return i;
}

static bool is_among(const char *list, struct slice value)
{
    while (list != NULL) {
        const char *bar = strchr(list, '|');
        size_t size = bar == NULL ? strlen(list) : (size_t)(bar - list);
        if (slice_equal_ignore_case(value, slice_of(list, size)))
            return true;
        list = bar == NULL ? NULL : bar + 1;
    }
    return false;
}

static enum err set_word(struct settings *settings, size_t index, struct slice value,
                         struct error *error)
{
    const struct word_setting *word = &words[index];
    if (word->values == NULL)
        return copy_text(settings->words[index], SETTING_WORD_MAX, word->name, value, error);
    if (!is_among(word->values, slice_trim(value)))
        return bad_value(word->name, value, error);
    settings->words[index][0] = 0; /* whatever way it is written, it is the one there is */
    return OK;
}

const char *setting_find(struct slice name)
{
    const struct setting *setting = find(name);
    size_t word = find_word(name);
    return setting != NULL ? setting->name : word < SETTING_WORD_COUNT ? words[word].name : NULL;
}

enum err setting_set(struct settings *settings, struct slice name, struct slice value,
                     struct error *error)
{
    const struct setting *setting = find(name);
    size_t word = find_word(name);
    if (setting == NULL && word < SETTING_WORD_COUNT)
        return set_word(settings, word, value, error);
    if (setting == NULL)
        return error_set(error, ERR_INPUT, "42704", "unrecognized configuration parameter \"%.*s\"",
                         SLICE_ARGS(name));
    if (setting->set != NULL)
        return setting->set(settings, value, error);
    bool *is_on = (bool *)((uint8_t *)settings + setting->switch_at);
    return parse_switch(slice_trim(value), is_on) ? OK : bad_value(setting->name, value, error);
}

struct slice setting_show(const struct settings *settings, struct slice name, struct arena *arena,
                          bool *is_known)
{
    const struct setting *setting = find(name);
    size_t word = find_word(name);
    *is_known = setting != NULL || word < SETTING_WORD_COUNT;
    if (setting == NULL && *is_known)
        return slice_from_cstr(settings->words[word][0] != 0 ? settings->words[word]
                                                             : words[word].initial);
    if (setting == NULL)
        return SLICE("");
    if (setting->show != NULL)
        return setting->show(settings, arena);
    return *(const bool *)((const uint8_t *)settings + setting->switch_at) ? SLICE("on")
                                                                           : SLICE("off");
}

static enum err reset_all(struct settings *settings, const struct settings *initial)
{
    if (initial != NULL)
        *settings = *initial;
    return OK;
}

enum err setting_run(struct settings *settings, const struct settings *initial,
                     const struct command *command, struct error *error)
{
    struct arena scratch;
    if (command->is_reset && slice_equal_ignore_case(command->setting, SLICE("all")))
        return reset_all(settings, initial);
    if (!command->is_reset)
        return command->is_characteristics && command->value.size == 0
                   ? OK /* only an isolation level: there is one */
                   : setting_set(settings, command->setting, command->value, error);
    if (setting_find(command->setting) == NULL)
        return error_set(error, ERR_INPUT, "42704", "unrecognized configuration parameter \"%.*s\"",
                         SLICE_ARGS(command->setting));
    if (initial == NULL)
        return OK;
    bool is_known;
    arena_init(&scratch);
    struct slice value = setting_show(initial, command->setting, &scratch, &is_known);
    enum err err = setting_set(settings, command->setting, value, error);
    arena_deinit(&scratch);
    return err;
}
