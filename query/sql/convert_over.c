/* OVER and WINDOW: the parser's WindowDef to ours. Its frame comes as one bit mask, whose bits are
 * part of PostgreSQL's tree and have stood since version 11; rows before an offset's sign and
 * bounds that contradict each other are refused by the grammar itself. */
#include "query/sql/convert.h"

#include "storage/base/number.h"

enum frame_bits {
    FRAME_NONDEFAULT = 0x00001,
    FRAME_IS_RANGE = 0x00002,
    FRAME_IS_ROWS = 0x00004,
    FRAME_IS_GROUPS = 0x00008,
    FRAME_EXCLUDE_CURRENT = 0x08000,
    FRAME_EXCLUDE_GROUP = 0x10000,
    FRAME_EXCLUDE_TIES = 0x20000
};

struct frame_word {
    int64_t start_bit, end_bit;
    enum frame_bound bound;
};

static const struct frame_word words[] = {
    {0x00020, 0x00040, BOUND_UNBOUNDED_PRECEDING},
    {0x00080, 0x00100, BOUND_UNBOUNDED_FOLLOWING},
    {0x00200, 0x00400, BOUND_CURRENT},
    {0x00800, 0x01000, BOUND_PRECEDING},
    {0x02000, 0x04000, BOUND_FOLLOWING},
};

static void read_frame(struct ast_window *window, int64_t bits)
{
    window->is_frame_written = (bits & FRAME_NONDEFAULT) != 0;
    window->mode = (bits & FRAME_IS_ROWS) != 0     ? FRAME_ROWS
                   : (bits & FRAME_IS_GROUPS) != 0 ? FRAME_GROUPS
                                                   : FRAME_RANGE;
    window->start = BOUND_UNBOUNDED_PRECEDING;
    window->end = BOUND_CURRENT;
    for (size_t index = 0; index < array_count(words); index++) {
        if ((bits & words[index].start_bit) != 0)
            window->start = words[index].bound;
        if ((bits & words[index].end_bit) != 0)
            window->end = words[index].bound;
    }
    window->exclusion = (bits & FRAME_EXCLUDE_CURRENT) != 0 ? EXCLUDE_CURRENT
                        : (bits & FRAME_EXCLUDE_GROUP) != 0 ? EXCLUDE_GROUP
                        : (bits & FRAME_EXCLUDE_TIES) != 0  ? EXCLUDE_TIES
                                                            : EXCLUDE_NONE;
}

static enum err read_offset(struct converter *c, const struct json_value *fields, const char *key,
                            struct ast_node **out)
{
    const struct json_value *value = tree_get(fields, key);
    return value == NULL ? OK : convert_expr(c, value, out);
}

enum err convert_over(struct converter *c, const struct json_value *fields, struct ast_window **out)
{
    struct ast_window *window = *out = arena_alloc_zero(c->arena, sizeof(*window));
    window->position = tree_position(c, fields);
    window->name = arena_copy(c->arena, tree_text(fields, "name"));
    window->base = arena_copy(c->arena, tree_text(fields, "refname"));
    const struct json_value *bits = tree_get(fields, "frameOptions");
    int64_t frame = 0;
    if (bits != NULL && int_parse(bits->text, 0, INT32_MAX, "integer", &frame, NULL) != OK)
        return convert_unsupported(c, window->position, "this frame");
    read_frame(window, frame);
    uint32_t count = 0;
    enum err result =
        convert_exprs(c, tree_get(fields, "partitionClause"), &window->partition, &count);
    window->partition_count = count;
    const struct json_value *order = tree_get(fields, "orderClause");
    window->order = arena_alloc_zero(c->arena, tree_count(order) * sizeof(*window->order));
    for (const struct json_value *item = order == NULL ? NULL : order->child;
         item != NULL && result == OK; item = item->next)
        result = convert_order(c, item, &window->order[window->order_count++]);
    if (result == OK)
        result = read_offset(c, fields, "startOffset", &window->start_offset);
    return result != OK ? result : read_offset(c, fields, "endOffset", &window->end_offset);
}

enum err convert_windows(struct converter *c, const struct json_value *list,
                         struct ast_select *select)
{
    select->windows = arena_alloc_array(c->arena, tree_count(list), sizeof(struct ast_window *));
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next) {
        struct tree_node node = tree_unwrap(item);
        struct ast_window **window = &select->windows[select->window_count];
        enum err result = convert_over(c, node.fields, window);
        if (result != OK)
            return result;
        for (size_t index = 0; index < select->window_count; index++)
            if (slice_equal(select->windows[index]->name, (*window)->name))
                return convert_error(c, (*window)->position, "42P20",
                                     "window \"%.*s\" is already defined",
                                     SLICE_ARGS((*window)->name));
        select->window_count++;
    }
    return OK;
}
