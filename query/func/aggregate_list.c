/* Aggregates that put all values into one: string_agg, array_agg, json_agg, json_object_agg and
 * their jsonb forms.
 *
 *   text: separator value separator value …    json: ", " value ", " value …    array: elements
 *
 * Each state is one growing buffer in the operator's arena, whose pieces keep the separator that
 * comes before them, so two states combine by joining their bytes. Results are copies past the
 * first separator: the state may go on growing. Rows come in the order the call asks for
 * (exec/ordered.c). A result past 256 MiB is 54000. */
#include "query/func/aggregate.h"

#include "query/func/json.h"
#include "query/func/text.h"

#include <string.h>

struct list {
    char *data;
    size_t size, capacity;
    size_t skip;   /* of the first separator */
    int64_t count; /* of values */
};

#define STATE ((sizeof(struct list) + 15) / 16 * 16)
#define ROW(k) (selection != NULL ? selection[k] : (k))
#define LIST_SIZE_MIN 32
#define ELEMENT_NULL UINT32_MAX

static void list_init(void *state)
{
    memset(state, 0, sizeof(struct list));
}

static enum err list_reserve(struct list *list, size_t size, struct aggregate_memory *memory,
                             struct error *error)
{
    if (list->capacity - list->size >= size)
        return OK;
    size_t wanted = list->size + size;
    if (wanted > TEXT_RESULT_SIZE_MAX)
        return error_set(error, ERR_INPUT, "54000", "the result of an aggregate is too large");
    size_t capacity = list->capacity < LIST_SIZE_MIN ? LIST_SIZE_MIN : 2 * list->capacity;
    if (capacity < wanted)
        capacity = wanted;
    char *data = arena_alloc(memory->arena, capacity);
    if (list->size > 0)
        memcpy(data, list->data, list->size);
    list->data = data;
    list->capacity = capacity;
    return OK;
}

static void list_put(struct list *list, const void *data, size_t size)
{
    if (size > 0)
        memcpy(list->data + list->size, data, size);
    list->size += size;
}

static enum err list_add(struct list *list, struct slice separator, struct slice value,
                         struct aggregate_memory *memory, struct error *error)
{
    enum err err = list_reserve(list, separator.size + value.size, memory, error);
    if (err != OK)
        return err;
    if (list->count++ == 0)
        list->skip = separator.size;
    list_put(list, separator.data, separator.size);
    list_put(list, value.data, value.size);
    return OK;
}

static enum err list_combine(void *target, const void *source, struct aggregate_memory *memory,
                             struct error *error)
{
    struct list *to = target;
    const struct list *from = source;
    enum err err = list_reserve(to, from->size, memory, error);
    if (err != OK || from->count == 0)
        return err;
    if (to->count == 0)
        to->skip = from->skip;
    list_put(to, from->data, from->size);
    to->count += from->count;
    return OK;
}

/* --- string_agg --- */

static enum err string_update(char *states, size_t stride, const uint32_t *group,
                              const uint32_t *selection, size_t count,
                              const struct column *arguments, struct aggregate_memory *memory,
                              struct error *error)
{
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        if (column_is_null(&arguments[0], row))
            continue;
        struct slice separator = {0};
        if (!column_is_null(&arguments[1], row))
            separator = column_text(&arguments[1], row);
        enum err err = list_add(aggregate_state(states, stride, group, row), separator,
                                column_text(&arguments[0], row), memory, error);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err string_finish(const void *state, const struct aggregate_call *call,
                              struct aggregate_memory *memory, struct value *out,
                              struct error *error)
{
    (void)memory, (void)error;
    const struct list *list = state; /* what is added later comes behind the result */
    *out = (struct value){.type = call->type, .is_null = list->count == 0};
    if (!out->is_null)
        out->text = slice_of(list->data + list->skip, list->size - list->skip);
    return OK;
}

/* --- array_agg --- */

#define ELEMENT_SIZE_MAX 64

/* A boolean, numeric or interval as arrays hold it. */
static struct slice element_bytes(const struct column *in, size_t row,
                                  uint8_t room[ELEMENT_SIZE_MAX])
{
    struct writer out = {.data = room, .capacity = ELEMENT_SIZE_MAX};
    struct value value = column_value(in, row);
    array_write_element(&out, &value);
    return slice_of(room + sizeof(uint32_t), out.size - sizeof(uint32_t));
}

static enum err array_update(char *states, size_t stride, const uint32_t *group,
                             const uint32_t *selection, size_t count,
                             const struct column *arguments, struct aggregate_memory *memory,
                             struct error *error)
{
    const struct column *in = &arguments[0];
    enum physical physical = type_physical(in->type.id);
    bool is_word = physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT;
    for (size_t k = 0; k < count; k++) {
        size_t row = ROW(k);
        struct list *list = aggregate_state(states, stride, group, row);
        uint32_t size = ELEMENT_NULL;
        struct slice bytes = {0};
        uint8_t room[ELEMENT_SIZE_MAX];
        if (!column_is_null(in, row)) {
            bytes = physical == PHYSICAL_TEXT ? column_text(in, row)
                    : is_word                 ? slice_of(&in->i[column_index(in, row)], 8)
                                              : element_bytes(in, row, room);
            size = (uint32_t)bytes.size;
        }
        enum err err = list_reserve(list, sizeof(size) + bytes.size, memory, error);
        if (err != OK)
            return err;
        list_put(list, &size, sizeof(size));
        list_put(list, bytes.data, bytes.size);
        list->count++;
    }
    return OK;
}

static enum err array_finish(const void *state, const struct aggregate_call *call,
                             struct aggregate_memory *memory, struct value *out,
                             struct error *error)
{
    (void)error;
    const struct list *list = state;
    *out = (struct value){.type = call->type, .is_null = list->count == 0};
    if (out->is_null)
        return OK;
    char *data = arena_alloc(memory->arena, list->size + 4);
    uint32_t count = (uint32_t)list->count;
    memcpy(data, &count, 4);
    memcpy(data + 4, list->data, list->size);
    out->text = slice_of(data, list->size + 4);
    return OK;
}

/* --- json --- */

static enum err json_update(char *states, size_t stride, const uint32_t *group,
                            const uint32_t *selection, size_t count, const struct column *arguments,
                            struct aggregate_memory *memory, struct error *error)
{
    struct text_context context = {.zone = memory->zone};
    struct writer text;
    enum err err = OK;
    writer_init(&text);
    for (size_t k = 0; k < count && err == OK; k++) {
        size_t row = ROW(k);
        struct value value = column_value(&arguments[0], row);
        writer_reset(&text);
        value_print_json(&value, &context, &text);
        err = list_add(aggregate_state(states, stride, group, row), SLICE(", "),
                       writer_as_slice(&text), memory, error);
    }
    writer_deinit(&text);
    return err;
}

/* Text of a key: only what has no parts of its own can be one. */
static enum err write_key(const struct value *key, const struct text_context *context,
                          struct writer *out, struct error *error)
{
    if (key->is_null)
        return error_set(error, ERR_INPUT, "22023", "field name must not be null");
    enum type_id type = key->type.id;
    if (type == TYPE_JSON || type == TYPE_JSONB || type_is_array(type))
        return error_set(error, ERR_INPUT, "22023",
                         "key value must be scalar, not array, composite, or json");
    if (type == TYPE_TIMESTAMP || type == TYPE_TIMESTAMPTZ) {
        value_print_json(key, context, out);
        return OK;
    }
    struct writer text;
    writer_init(&text);
    value_print(key, context, &text);
    json_write_string(out, type == TYPE_BOOL ? (key->b ? SLICE("true") : SLICE("false"))
                                             : writer_as_slice(&text));
    writer_deinit(&text);
    return OK;
}

static enum err object_update(char *states, size_t stride, const uint32_t *group,
                              const uint32_t *selection, size_t count,
                              const struct column *arguments, struct aggregate_memory *memory,
                              struct error *error)
{
    struct text_context context = {.zone = memory->zone};
    struct writer text;
    enum err err = OK;
    writer_init(&text);
    for (size_t k = 0; k < count && err == OK; k++) {
        size_t row = ROW(k);
        struct value key = column_value(&arguments[0], row),
                     value = column_value(&arguments[1], row);
        writer_reset(&text);
        err = write_key(&key, &context, &text, error);
        writer_cstr(&text, " : ");
        value_print_json(&value, &context, &text);
        if (err == OK)
            err = list_add(aggregate_state(states, stride, group, row), SLICE(", "),
                           writer_as_slice(&text), memory, error);
    }
    writer_deinit(&text);
    return err;
}

/* The values between two brackets. */
static enum err enclose(const struct list *list, const char *before, const char *after,
                        const struct aggregate_call *call, struct aggregate_memory *memory,
                        struct value *out, struct error *error)
{
    *out = (struct value){.type = call->type, .is_null = list->count == 0};
    if (out->is_null)
        return OK;
    size_t first = strlen(before), last = strlen(after), size = list->size - list->skip;
    char *data = arena_alloc(memory->arena, first + size + last);
    memcpy(data, before, first);
    memcpy(data + first, list->data + list->skip, size);
    memcpy(data + first + size, after, last);
    out->text = slice_of(data, first + size + last);
    if (call->type.id != TYPE_JSONB)
        return OK;
    enum err err = jsonb_room(memory->budget, out->text, error);
    return err != OK ? err : jsonb_normalize(out->text, memory->arena, &out->text, error);
}

static enum err json_finish(const void *state, const struct aggregate_call *call,
                            struct aggregate_memory *memory, struct value *out, struct error *error)
{
    return enclose(state, "[", "]", call, memory, out, error);
}

static enum err object_finish(const void *state, const struct aggregate_call *call,
                              struct aggregate_memory *memory, struct value *out,
                              struct error *error)
{
    return enclose(state, "{ ", " }", call, memory, out, error);
}

#define FORM(name_text, first, second, to, prefix, doc_text, example_text)                         \
    {.name = name_text,                                                                            \
     .argument = first,                                                                            \
     .more = {second},                                                                             \
     .result = to,                                                                                 \
     .is_order_sensitive = true,                                                                   \
     .state_size = STATE,                                                                          \
     .init = list_init,                                                                            \
     .update = prefix##_update,                                                                    \
     .combine = list_combine,                                                                      \
     .finish = prefix##_finish,                                                                    \
     .doc = doc_text,                                                                              \
     .example = example_text},

static const struct aggregate aggregates[] = {
    FORM("string_agg", TYPE_TEXT, TYPE_TEXT, TYPE_TEXT, string,
         "all values joined by a separator, NULLs left out", "string_agg(s, ',' ORDER BY s)")
        FORM("string_agg", TYPE_BYTEA, TYPE_BYTEA, TYPE_BYTEA, string,
             "all values joined by a separator, NULLs left out", "string_agg('\\x61'::bytea, '')")
            FORM("array_agg", AGGREGATE_ANY, 0, AGGREGATE_ARRAY, array, "all values as an array",
                 "array_agg(x ORDER BY x DESC)")
                FORM("json_agg", AGGREGATE_ANY, 0, TYPE_JSON, json, "all values as a JSON array",
                     "json_agg(s ORDER BY x)")
                    FORM("jsonb_agg", AGGREGATE_ANY, 0, TYPE_JSONB, json,
                         "all values as a JSON array", "jsonb_agg(x ORDER BY x)")
                        FORM("json_object_agg", AGGREGATE_ANY, AGGREGATE_ANY, TYPE_JSON, object,
                             "all pairs as a JSON object", "json_object_agg(s, x ORDER BY x)")
                            FORM("jsonb_object_agg", AGGREGATE_ANY, AGGREGATE_ANY, TYPE_JSONB,
                                 object, "all pairs as a JSON object, of equal keys the last",
                                 "jsonb_object_agg(s, x ORDER BY x)")};

const struct aggregate_group aggregates_list = {aggregates, array_count(aggregates)};
