/* What is known of views, and the bytes of it.
 *
 * A view is its text, the columns that it gave when it was made, and the ids of what the text
 * names. Ids never come back, so a list of them says without names what must stay while the view
 * does; as no view is changed to read itself, directly or by others, the lists have no circle. */
#include "ingest/state/views.h"

#include <string.h>

#define CHANGE_PUT 1
#define CHANGE_DROP 2
#define COLUMNS_MAX 4096
#define DEPENDENCIES_MAX 10000

/* --- finding --- */

static void view_destroy(struct view *view)
{
    arena_deinit(&view->arena);
    memory_free(view);
}

void views_deinit(struct views *views)
{
    for (uint32_t i = 0; i < views->count; i++)
        view_destroy(views->list[i]);
    memory_free(views->list);
    *views = (struct views){0};
}

const struct view_definition *views_find(const struct views *views, struct slice name)
{
    for (uint32_t i = 0; i < views->count; i++)
        if (slice_equal(views->list[i]->definition.name, name))
            return &views->list[i]->definition;
    return NULL;
}

const struct view_definition *views_find_endpoint(const struct views *views, struct slice endpoint)
{
    for (uint32_t i = 0; i < views->count; i++)
        if (endpoint.size > 0 && slice_equal(views->list[i]->definition.endpoint, endpoint))
            return &views->list[i]->definition;
    return NULL;
}

const struct view_definition *views_get(const struct views *views, uint32_t id)
{
    for (uint32_t i = 0; i < views->count; i++)
        if (views->list[i]->definition.id == id)
            return &views->list[i]->definition;
    return NULL;
}

static bool is_listed(const uint32_t *ids, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

/* Marks grow until no view is added: each round looks at every view once. */
bool views_reach(const struct views *views, const uint32_t *ids, size_t count, uint32_t id)
{
    bool *is_marked = memory_alloc_zero(views->count + 1);
    bool is_found = is_listed(ids, count, id);
    for (uint32_t i = 0; i < views->count; i++)
        is_marked[i] = is_listed(ids, count, views->list[i]->definition.id);
    for (bool is_growing = true; is_growing && !is_found;) {
        is_growing = false;
        for (uint32_t i = 0; i < views->count; i++) {
            const struct view_definition *view = &views->list[i]->definition;
            if (!is_marked[i])
                continue;
            is_found = is_found || is_listed(view->view_ids, view->view_count, id);
            for (uint32_t other = 0; other < views->count; other++) {
                uint32_t below = views->list[other]->definition.id;
                if (is_marked[other] || !is_listed(view->view_ids, view->view_count, below))
                    continue;
                is_marked[other] = is_growing = true;
            }
        }
    }
    memory_free(is_marked);
    return is_found;
}

const struct view_definition *views_reader(const struct views *views, uint32_t id, bool is_view)
{
    for (uint32_t i = 0; i < views->count; i++) {
        const struct view_definition *view = &views->list[i]->definition;
        if (is_view ? is_listed(view->view_ids, view->view_count, id)
                    : is_listed(view->table_ids, view->table_count, id))
            return view;
    }
    return NULL;
}

/* --- definitions --- */

static struct slice *copy_names(const struct slice *names, size_t count, struct arena *arena)
{
    struct slice *copy = arena_alloc_zero(arena, (count + 1) * sizeof(*copy));
    for (size_t i = 0; i < count && names != NULL; i++)
        copy[i] = arena_copy(arena, names[i]);
    return copy;
}

static uint32_t *copy_ids(const uint32_t *ids, size_t count, struct arena *arena)
{
    uint32_t *copy = arena_alloc_array(arena, count + 1, sizeof(*copy));
    if (count > 0)
        memcpy(copy, ids, count * sizeof(*ids));
    return copy;
}

void view_definition_copy(const struct view_definition *from, struct arena *arena,
                          struct view_definition *out)
{
    *out = *from;
    out->name = arena_copy(arena, from->name);
    out->text = arena_copy(arena, from->text);
    out->columns = arena_alloc_array(arena, from->column_count + 1, sizeof(*out->columns));
    for (size_t i = 0; i < from->column_count; i++)
        out->columns[i] = (struct view_column){.name = arena_copy(arena, from->columns[i].name),
                                               .source = arena_copy(arena, from->columns[i].source),
                                               .type = from->columns[i].type};
    out->table_ids = copy_ids(from->table_ids, from->table_count, arena);
    out->view_ids = copy_ids(from->view_ids, from->view_count, arena);
    out->table_names = copy_names(from->table_names, from->table_count, arena);
    out->view_names = copy_names(from->view_names, from->view_count, arena);
    out->endpoint = arena_copy(arena, from->endpoint);
    out->parameters = arena_copy(arena, from->parameters);
    out->zone = arena_copy(arena, from->zone);
}

static void write_ids(struct writer *out, const uint32_t *ids, size_t count)
{
    writer_varint(out, count);
    for (size_t i = 0; i < count; i++)
        writer_u32(out, ids[i]);
}

static void write_names(struct writer *out, const struct slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        writer_text(out, names == NULL ? SLICE("") : names[i]);
}

static void write_definition(struct writer *out, const struct view_definition *view)
{
    writer_u32(out, view->id);
    writer_text(out, view->name);
    writer_text(out, view->text);
    writer_varint(out, view->column_count);
    for (size_t i = 0; i < view->column_count; i++) {
        writer_text(out, view->columns[i].name);
        writer_text(out, view->columns[i].source);
        type_write(view->columns[i].type, out);
    }
    write_ids(out, view->table_ids, view->table_count);
    write_ids(out, view->view_ids, view->view_count);
    writer_text(out, view->endpoint);
    writer_text(out, view->parameters);
    write_names(out, view->table_names, view->table_count);
    write_names(out, view->view_names, view->view_count);
    writer_u8(out, view->is_materialized);
    writer_text(out, view->zone);
}

static uint32_t *read_ids(struct reader *reader, struct arena *arena, size_t *count)
{
    uint64_t claimed = reader_varint(reader);
    if (reader->failed || claimed > DEPENDENCIES_MAX) {
        reader->failed = true;
        return NULL;
    }
    uint32_t *ids = arena_alloc_array(arena, (size_t)claimed + 1, sizeof(*ids));
    for (*count = 0; *count < claimed; ++*count)
        ids[*count] = reader_u32(reader);
    return ids;
}

static struct slice *read_names(struct reader *reader, struct arena *arena, size_t count,
                                bool is_there)
{
    struct slice *names = arena_alloc_zero(arena, (count + 1) * sizeof(*names));
    for (size_t i = 0; i < count && is_there; i++)
        names[i] = reader_text(reader);
    return names;
}

/* Texts are slices of the reader's bytes, lists lie in the arena. */
static bool read_definition(struct reader *reader, uint8_t format, struct arena *arena,
                            struct view_definition *out)
{
    *out = (struct view_definition){.id = reader_u32(reader)};
    out->name = reader_text(reader);
    out->text = reader_text(reader);
    uint64_t column_count = reader_varint(reader);
    if (reader->failed || column_count > COLUMNS_MAX)
        return false;
    out->columns = arena_alloc_array(arena, (size_t)column_count + 1, sizeof(*out->columns));
    for (; out->column_count < column_count && !reader->failed; out->column_count++) {
        struct slice name = reader_text(reader);
        struct slice source = reader_text(reader);
        struct type type = type_read(reader);
        out->columns[out->column_count] =
            (struct view_column){.name = name, .source = source, .type = type};
    }
    if (reader->failed)
        return false;
    out->table_ids = read_ids(reader, arena, &out->table_count);
    if (reader->failed)
        return false;
    out->view_ids = read_ids(reader, arena, &out->view_count);
    if (reader->failed)
        return false;
    out->endpoint = format < 2 ? SLICE("") : reader_text(reader);
    out->parameters = format < 2 ? SLICE("") : reader_text(reader);
    out->table_names = read_names(reader, arena, out->table_count, format >= 2);
    out->view_names = read_names(reader, arena, out->view_count, format >= 2);
    uint8_t kind = format < 3 ? 0 : reader_u8(reader);
    out->is_materialized = kind == 1;
    out->zone = format < 3 ? SLICE("") : reader_text(reader);
    return !reader->failed && kind <= 1;
}

static void views_remove(struct views *views, uint32_t id)
{
    for (uint32_t i = 0; i < views->count; i++) {
        if (views->list[i]->definition.id != id)
            continue;
        view_destroy(views->list[i]);
        views->count--;
        memmove(&views->list[i], &views->list[i + 1], (views->count - i) * sizeof(*views->list));
        return;
    }
}

/* In the place of the view of that id, if there is one. */
static void views_put(struct views *views, const struct view_definition *definition)
{
    views_remove(views, definition->id);
    if (views->count == views->capacity) {
        views->capacity = views->capacity == 0 ? 4 : views->capacity * 2;
        views->list = memory_realloc(views->list, views->capacity * sizeof(*views->list));
    }
    struct view *view = memory_alloc_zero(sizeof(*view));
    arena_init(&view->arena);
    view_definition_copy(definition, &view->arena, &view->definition);
    views->list[views->count++] = view;
    if (definition->id >= views->next_id)
        views->next_id = definition->id + 1;
}

/* --- changes --- */

void view_write_put(struct writer *out, const struct view_definition *definition)
{
    writer_u8(out, VIEWS_FORMAT);
    writer_u8(out, CHANGE_PUT);
    write_definition(out, definition);
}

void view_write_drop(struct writer *out, uint32_t id)
{
    writer_u8(out, VIEWS_FORMAT);
    writer_u8(out, CHANGE_DROP);
    writer_u32(out, id);
}

enum err views_apply_change(struct views *views, struct slice bytes, struct error *error)
{
    struct reader reader = reader_of(bytes);
    struct arena arena;
    struct view_definition definition;
    arena_init(&arena);
    uint8_t format = reader_u8(&reader);
    uint8_t change = reader_u8(&reader);
    bool is_good = !reader.failed && format >= 1 && format <= VIEWS_FORMAT;
    if (is_good && change == CHANGE_DROP) {
        uint32_t id = reader_u32(&reader);
        is_good = !reader.failed && reader_left(&reader) == 0;
        if (is_good)
            views_remove(views, id);
    } else if (is_good) {
        is_good = change == CHANGE_PUT && read_definition(&reader, format, &arena, &definition) &&
                  reader_left(&reader) == 0;
        if (is_good)
            views_put(views, &definition);
    }
    arena_deinit(&arena);
    if (is_good)
        return OK;
    return error_set(error, ERR_CORRUPT, NULL,
                     "a view's section of a commit record cannot be read");
}

/* --- checkpoints --- */

void views_write(const struct views *views, struct writer *out)
{
    writer_u32(out, views->next_id);
    writer_u32(out, views->count);
    for (uint32_t i = 0; i < views->count; i++)
        write_definition(out, &views->list[i]->definition);
}

bool views_read(struct views *views, uint8_t format, struct reader *reader)
{
    uint32_t next_id = reader_u32(reader);
    uint32_t count = reader_u32(reader);
    struct arena arena;
    arena_init(&arena);
    bool is_good = !reader->failed;
    for (uint32_t i = 0; i < count && is_good; i++) {
        struct view_definition definition;
        is_good = read_definition(reader, format, &arena, &definition) &&
                  views_get(views, definition.id) == NULL;
        if (is_good)
            views_put(views, &definition);
        arena_reset(&arena);
    }
    arena_deinit(&arena);
    if (next_id > views->next_id)
        views->next_id = next_id;
    return is_good;
}
