/* Options of subscriptions: a table of names; lists of partitions and of positions, bounded. */
#include "ingest/kafka/settings.h"

#include <assert.h>

#define GROUP_SIZE_MAX 255
#define MAP_SIZE_MAX 65536

/* --- lists --- */

/* Digits at *at, at most `max`. */
static bool take_number(struct slice text, size_t *at, int64_t max, int64_t *out)
{
    size_t begin = *at;
    *out = 0;
    while (*at < text.size && text.data[*at] >= '0' && text.data[*at] <= '9') {
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, text.data[*at] - '0', out) || *out > max)
            return false;
        (*at)++;
    }
    return *at > begin;
}

static void skip_spaces(struct slice text, size_t *at)
{
    while (*at < text.size && text.data[*at] == ' ')
        (*at)++;
}

/* Behind an item: true at the end or behind a comma with more to come. */
static bool take_comma(struct slice text, size_t *at)
{
    skip_spaces(text, at);
    if (*at == text.size)
        return true;
    if (text.data[(*at)++] != ',')
        return false;
    skip_spaces(text, at);
    return *at < text.size;
}

static enum err bad_list(const char *option, const char *example, struct error *error)
{
    return error_set(error, ERR_INPUT, "22023", "invalid value of option \"%s\": write '%s'",
                     option, example);
}

enum err settings_parse_partitions(struct slice text, struct arena *arena, int32_t **out,
                                   size_t *count, struct error *error)
{
    const char *example = "0-5,7";
    int32_t *list = NULL;
    size_t at = 0;
    *count = 0;
    *out = NULL;
    skip_spaces(text, &at);
    if (at < text.size)
        list = arena_alloc_array(arena, SUBSCRIPTION_PARTITIONS_MAX, sizeof(*list));
    while (at < text.size) {
        int64_t first, last;
        if (!take_number(text, &at, INT32_MAX, &first))
            return bad_list("partitions", example, error);
        last = first;
        if (at < text.size && text.data[at] == '-') {
            at++;
            if (!take_number(text, &at, INT32_MAX, &last))
                return bad_list("partitions", example, error);
        }
        if (!take_comma(text, &at) || last < first || (*count > 0 && first <= list[*count - 1]))
            return bad_list("partitions", example, error);
        if ((uint64_t)(last - first) >= SUBSCRIPTION_PARTITIONS_MAX - *count)
            return error_set(error, ERR_LIMIT, "54000", "more than %d partitions",
                             SUBSCRIPTION_PARTITIONS_MAX);
        for (int64_t partition = first; partition <= last; partition++)
            list[(*count)++] = (int32_t)partition;
    }
    *out = list;
    return OK;
}

static enum err parse_positions(struct slice text, struct arena *arena,
                                struct subscription_start *out, struct error *error)
{
    const char *example = "earliest, latest or 0:1500,1:1490";
    size_t at = 0;
    out->positions = arena_alloc_array(arena, SUBSCRIPTION_PARTITIONS_MAX, sizeof(*out->positions));
    skip_spaces(text, &at);
    do {
        int64_t partition, offset;
        if (!take_number(text, &at, INT32_MAX, &partition) || at == text.size ||
            text.data[at++] != ':' || !take_number(text, &at, INT64_MAX - 1, &offset) ||
            !take_comma(text, &at))
            return bad_list("start", example, error);
        if (out->count == SUBSCRIPTION_PARTITIONS_MAX ||
            (out->count > 0 && partition <= out->positions[out->count - 1].partition))
            return bad_list("start", example, error);
        out->positions[out->count++] = (struct subscription_position){
            .partition = (int32_t)partition, .expected = NO_OFFSET, .next = offset};
    } while (at < text.size);
    return OK;
}

enum err settings_parse_start(struct slice text, struct arena *arena,
                              struct subscription_start *out, struct error *error)
{
    *out = (struct subscription_start){.kind = START_EARLIEST};
    if (slice_equal_ignore_case(text, SLICE("earliest")))
        return OK;
    if (slice_equal_ignore_case(text, SLICE("latest"))) {
        out->kind = START_LATEST;
        return OK;
    }
    out->kind = START_POSITIONS;
    return parse_positions(text, arena, out, error);
}

/* --- options --- */

static enum err set_format(struct subscription_definition *definition, struct slice value,
                           struct error *error)
{
    static const char *const known[] = {"avro", "protobuf", "csv", "debezium", "line", "raw"};
    definition->format = SLICE("json");
    if (slice_equal_ignore_case(value, SLICE("json")))
        return OK;
    for (size_t i = 0; i < array_count(known); i++)
        if (slice_equal_ignore_case(value, slice_from_cstr(known[i])))
            return error_set(error, ERR_UNSUPPORTED, NULL, "format \"%s\" is not supported",
                             known[i]);
    value = slice_cut(value, 100);
    return error_set(error, ERR_INPUT, "22023", "unknown format \"%.*s\"", SLICE_ARGS(value));
}

static enum err set_group(struct subscription_definition *definition, struct slice value,
                          struct error *error)
{
    if (value.size == 0 || value.size > GROUP_SIZE_MAX || memchr(value.data, 0, value.size) != NULL)
        return error_set(error, ERR_INPUT, "22023",
                         "option \"group\" needs a name of 1 to %d bytes", GROUP_SIZE_MAX);
    definition->group = value;
    return OK;
}

static enum err set_start(struct subscription_definition *definition, struct slice value,
                          struct error *error)
{
    struct arena arena;
    struct subscription_start start;
    arena_init(&arena);
    enum err err = settings_parse_start(value, &arena, &start, error);
    arena_deinit(&arena);
    definition->start = value;
    return err;
}

static enum err set_partitions(struct subscription_definition *definition, struct slice value,
                               struct error *error)
{
    struct arena arena;
    int32_t *list;
    size_t count;
    arena_init(&arena);
    enum err err = settings_parse_partitions(value, &arena, &list, &count, error);
    arena_deinit(&arena);
    definition->partitions = value;
    return err;
}

static enum err set_map(struct subscription_definition *definition, struct slice value,
                        struct error *error)
{
    if (value.size > MAP_SIZE_MAX)
        return error_set(error, ERR_INPUT, "22023", "option \"map\" is too long");
    definition->map = value;
    return OK;
}

static enum err set_table(struct subscription_definition *definition, struct slice value,
                          struct error *error)
{
    if (value.size == 0)
        return error_set(error, ERR_INPUT, "22023", "option \"table\" needs a name");
    definition->table = value;
    return OK;
}

static enum err set_enabled(struct subscription_definition *definition, struct slice value,
                            struct error *error)
{
    static const char *const words[] = {"false", "off", "0", "no", "true", "on", "1", "yes"};
    for (size_t i = 0; i < array_count(words); i++) {
        if (slice_equal_ignore_case(value, slice_from_cstr(words[i]))) {
            definition->is_enabled = i >= array_count(words) / 2;
            return OK;
        }
    }
    return error_set(error, ERR_INPUT, "22023", "option \"enabled\" needs true or false");
}

static const struct {
    const char *name;
    enum err (*set)(struct subscription_definition *definition, struct slice value,
                    struct error *error);
    bool is_fixed; /* at CREATE only */
} settings[] = {
    {"table", set_table, true},     {"format", set_format, false},
    {"group", set_group, false},    {"start", set_start, false},
    {"map", set_map, false},        {"partitions", set_partitions, false},
    {"enabled", set_enabled, true},
};

static enum err apply_one(struct subscription_definition *definition,
                          const struct ingest_option *option, bool is_alter, struct error *error)
{
    for (size_t i = 0; i < array_count(settings); i++) {
        if (!slice_equal(option->name, slice_from_cstr(settings[i].name)))
            continue;
        if (is_alter && settings[i].is_fixed)
            return error_set(error, ERR_UNSUPPORTED, NULL,
                             "ALTER SUBSCRIPTION … SET (%s) is not supported", settings[i].name);
        return settings[i].set(definition, option->value, error);
    }
    struct slice name = slice_cut(option->name, IDENTIFIER_SIZE_MAX);
    return error_set(error, ERR_INPUT, "22023", "unknown subscription option \"%.*s\"",
                     SLICE_ARGS(name));
}

enum err settings_apply(struct subscription_definition *definition,
                        const struct ingest_option *options, size_t count, bool is_alter,
                        bool *has_start, struct error *error)
{
    *has_start = false;
    for (size_t i = 0; i < count; i++) {
        enum err err = OK;
        for (size_t before = 0; before < i && err == OK; before++)
            if (slice_equal(options[before].name, options[i].name))
                err = error_set(error, ERR_INPUT, "22023", "option \"%.*s\" is there twice",
                                SLICE_ARGS(options[i].name));
        if (err == OK)
            err = apply_one(definition, &options[i], is_alter, error);
        if (err != OK) {
            if (error != NULL)
                error->text_position = options[i].text_position;
            return err;
        }
        *has_start |= slice_equal(options[i].name, SLICE("start"));
    }
    return OK;
}
