/* Names to columns.
 *
 * A field of an event finds its column by the first of these that fits:
 *
 *   exact         the key is the column's name, dots included
 *   ignore case   the only column equal to the key but for ASCII case
 *   map           the pointer that the option `map` gives the column
 *   nested        the column's name split at its dots is the path to the value
 *
 * The last two make a tree of the object levels that matter; levels that no column reaches into are
 * not in it, so the decoder skips them without looking at their keys:
 *
 *   columns  ts, user.id, gw (map /gateway/id)      root ── ts          -> ts (exact)
 *                                                        ├─ user.id     -> user.id (exact)
 *                                                        ├─ gw          -> gw (exact)
 *                                                        ├─ user ─ id   -> user.id (nested)
 *                                                        └─ gateway ─ id -> gw (map)
 *
 * Children hang in small hash tables; the decoder asks once per distinct key and batch and
 * remembers. */
#include "ingest/rows/mapping.h"

#include "storage/base/hash.h"
#include "storage/base/json.h"

#include <assert.h>
#include <stdatomic.h>

#define BUCKET_COUNT_ROOT 256
#define BUCKET_COUNT_NODE 8
#define PATH_DEPTH_MAX 64

struct mapping_node {
    size_t bucket_count; /* a power of two */
    struct mapping_child **buckets;
};

struct case_entry {
    struct slice lower;
    struct mapping_ref ref;
    bool is_ambiguous;
    struct case_entry *next;
};

struct mapping {
    _Atomic uint32_t references;
    const struct schema *schema;
    struct mapping_node *root;
    struct case_entry *cases[BUCKET_COUNT_ROOT];
    _Atomic uint8_t *distinct;                /* one a column, relaxed */
    struct shape *_Atomic shapes[SHAPES_MAX]; /* filled from the front, never emptied */
    struct arena arena;
};

static struct mapping_node *node_create(struct arena *arena, size_t bucket_count)
{
    struct mapping_node *node = arena_alloc(arena, sizeof(*node));
    node->bucket_count = bucket_count;
    node->buckets = arena_alloc_zero(arena, bucket_count * sizeof(struct mapping_child *));
    return node;
}

static struct mapping_child **node_bucket(const struct mapping_node *node, struct slice name)
{
    return &node->buckets[hash64(name.data, name.size) & (node->bucket_count - 1)];
}

const struct mapping_child *mapping_find(const struct mapping_node *node, struct slice name)
{
    for (const struct mapping_child *child = *node_bucket(node, name); child != NULL;
         child = child->next)
        if (slice_equal(child->name, name))
            return child;
    return NULL;
}

static struct mapping_child *node_get(struct mapping *mapping, struct mapping_node *node,
                                      struct slice name)
{
    struct mapping_child *child = (struct mapping_child *)mapping_find(node, name);
    if (child != NULL)
        return child;
    child = arena_alloc_zero(&mapping->arena, sizeof(*child));
    child->name = arena_copy(&mapping->arena, name);
    struct mapping_child **bucket = node_bucket(node, name);
    child->next = *bucket;
    *bucket = child;
    return child;
}

/* Hangs a column under a path of `count` >= 1 names. */
static void add_path(struct mapping *mapping, const struct slice *path, size_t count,
                     uint32_t column, enum mapping_rank rank)
{
    assert(count > 0);
    struct mapping_node *node = mapping->root;
    struct mapping_child *child = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            if (child->node == NULL)
                child->node = node_create(&mapping->arena, BUCKET_COUNT_NODE);
            node = child->node;
        }
        child = node_get(mapping, node, path[i]);
    }
    struct mapping_ref *ref = arena_alloc(&mapping->arena, sizeof(*ref));
    *ref = (struct mapping_ref){.column = column, .rank = rank, .next = child->refs};
    child->refs = ref;
}

static void add_nested(struct mapping *mapping, uint32_t column)
{
    struct slice name = mapping->schema->columns[column].name;
    struct slice path[PATH_DEPTH_MAX];
    size_t count = 0, begin = 0;
    for (size_t i = 0; i <= name.size; i++) {
        if (i < name.size && name.data[i] != '.')
            continue;
        if (i == begin || count == PATH_DEPTH_MAX)
            return; /* an empty step is no path */
        path[count++] = slice_of(name.data + begin, i - begin);
        begin = i + 1;
    }
    if (count > 1)
        add_path(mapping, path, count, column, RANK_NESTED);
}

static struct slice lower_copy(struct slice name, char *buffer)
{
    assert(name.size <= IDENTIFIER_SIZE_MAX);
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        buffer[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return slice_of(buffer, name.size);
}

static struct case_entry *case_find(const struct mapping *mapping, struct slice lower)
{
    size_t bucket = hash64(lower.data, lower.size) & (BUCKET_COUNT_ROOT - 1);
    for (struct case_entry *entry = mapping->cases[bucket]; entry != NULL; entry = entry->next)
        if (slice_equal(entry->lower, lower))
            return entry;
    return NULL;
}

static void add_case(struct mapping *mapping, uint32_t column)
{
    char buffer[IDENTIFIER_SIZE_MAX];
    struct slice lower = lower_copy(mapping->schema->columns[column].name, buffer);
    struct case_entry *entry = case_find(mapping, lower);
    if (entry != NULL) {
        entry->is_ambiguous = true;
        return;
    }
    entry = arena_alloc_zero(&mapping->arena, sizeof(*entry));
    entry->lower = arena_copy(&mapping->arena, lower);
    entry->ref = (struct mapping_ref){.column = column, .rank = RANK_IGNORE_CASE};
    size_t bucket = hash64(lower.data, lower.size) & (BUCKET_COUNT_ROOT - 1);
    entry->next = mapping->cases[bucket];
    mapping->cases[bucket] = entry;
}

const struct mapping_ref *mapping_find_ignore_case(const struct mapping *mapping, struct slice name)
{
    if (name.size > IDENTIFIER_SIZE_MAX)
        return NULL;
    char buffer[IDENTIFIER_SIZE_MAX];
    const struct case_entry *entry = case_find(mapping, lower_copy(name, buffer));
    return entry == NULL || entry->is_ambiguous ? NULL : &entry->ref;
}

/* One step of an RFC 6901 pointer: ~1 is a slash, ~0 a tilde. False for a tilde with anything else.
 */
static bool pointer_step(struct slice raw, struct arena *arena, struct slice *out)
{
    char *text = arena_alloc(arena, raw.size);
    size_t size = 0;
    for (size_t i = 0; i < raw.size; i++) {
        char c = raw.data[i];
        if (c == '~') {
            if (++i == raw.size || (raw.data[i] != '0' && raw.data[i] != '1'))
                return false;
            c = raw.data[i] == '0' ? '~' : '/';
        }
        text[size++] = c;
    }
    *out = slice_of(text, size);
    return true;
}

static enum err add_pointer(struct mapping *mapping, struct slice pointer, uint32_t column,
                            struct error *error)
{
    struct slice path[PATH_DEPTH_MAX];
    size_t count = 0, begin = 1;
    if (pointer.size < 2 || pointer.data[0] != '/')
        return error_set(error, ERR_INPUT, "22023",
                         "option \"map\": \"%.*s\" is not an RFC 6901 pointer",
                         SLICE_ARGS(pointer));
    for (size_t i = 1; i <= pointer.size; i++) {
        if (i < pointer.size && pointer.data[i] != '/')
            continue;
        if (count == PATH_DEPTH_MAX ||
            !pointer_step(slice_of(pointer.data + begin, i - begin), &mapping->arena, &path[count]))
            return error_set(error, ERR_INPUT, "22023",
                             "option \"map\": \"%.*s\" is not an RFC 6901 pointer",
                             SLICE_ARGS(pointer));
        count++;
        begin = i + 1;
    }
    add_path(mapping, path, count, column, RANK_MAP);
    return OK;
}

static enum err add_map(struct mapping *mapping, struct error *error)
{
    struct slice map = mapping->schema->options.map;
    if (map.size == 0)
        return OK;
    struct json_value *object;
    struct error reason = {0};
    if (json_parse(map, &mapping->arena, 4, &object, &reason) != OK ||
        object->kind != JSON_OBJECT_BEGIN)
        return error_set(error, ERR_INPUT, "22023",
                         "option \"map\" must be a JSON object of column names to pointers");
    for (const struct json_value *member = object->child; member != NULL; member = member->next) {
        int32_t column = schema_find(mapping->schema, member->key);
        if (column < 0)
            return error_set(error, ERR_INPUT, "42703",
                             "option \"map\": column \"%.*s\" does not exist",
                             SLICE_ARGS(member->key));
        if (member->kind != JSON_STRING)
            return error_set(error, ERR_INPUT, "22023",
                             "option \"map\": the pointer of \"%.*s\" must be a string",
                             SLICE_ARGS(member->key));
        enum err err = add_pointer(mapping, member->text, (uint32_t)column, error);
        if (err != OK)
            return err;
    }
    return OK;
}

enum err mapping_create(const struct schema *schema, struct mapping **out, struct error *error)
{
    struct mapping *mapping = memory_alloc_zero(sizeof(*mapping));
    atomic_init(&mapping->references, 1);
    arena_init(&mapping->arena);
    mapping->schema = schema_ref(schema);
    mapping->root = node_create(&mapping->arena, BUCKET_COUNT_ROOT);
    mapping->distinct = arena_alloc_zero(&mapping->arena, schema->column_count);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        add_path(mapping, &schema->columns[i].name, 1, i, RANK_EXACT);
        add_case(mapping, i);
        add_nested(mapping, i);
    }
    enum err err = add_map(mapping, error);
    if (err != OK) {
        mapping_unref(mapping);
        return err;
    }
    *out = mapping;
    return OK;
}

struct mapping *mapping_ref(struct mapping *mapping)
{
    atomic_fetch_add_explicit(&mapping->references, 1, memory_order_relaxed);
    return mapping;
}

void mapping_unref(struct mapping *mapping)
{
    if (mapping == NULL)
        return;
    /* acq_rel: whoever frees has seen every other owner's last use. */
    if (atomic_fetch_sub_explicit(&mapping->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < SHAPES_MAX; i++)
        memory_free(atomic_load_explicit(&mapping->shapes[i], memory_order_relaxed));
    schema_unref(mapping->schema);
    arena_deinit(&mapping->arena);
    memory_free(mapping);
}

const struct schema *mapping_schema(const struct mapping *mapping)
{
    return mapping->schema;
}

const struct mapping_node *mapping_root(const struct mapping *mapping)
{
    return mapping->root;
}

bool mapping_is_distinct(const struct mapping *mapping, uint32_t column)
{
    return atomic_load_explicit(&mapping->distinct[column], memory_order_relaxed) != 0;
}

void mapping_set_distinct(struct mapping *mapping, uint32_t column, bool is_distinct)
{
    atomic_store_explicit(&mapping->distinct[column], is_distinct ? 1 : 0, memory_order_relaxed);
}

const struct shape *mapping_shape(const struct mapping *mapping, size_t index)
{
    /* acquire: what add_shape's release wrote. */
    return index < SHAPES_MAX ? atomic_load_explicit(&mapping->shapes[index], memory_order_acquire)
                              : NULL;
}

bool mapping_add_shape(struct mapping *mapping, struct shape *shape)
{
    for (size_t i = 0; i < SHAPES_MAX; i++) {
        struct shape *none = NULL;
        if (atomic_compare_exchange_strong_explicit(&mapping->shapes[i], &none, shape,
                                                    memory_order_release, memory_order_relaxed))
            return true;
    }
    return false;
}
