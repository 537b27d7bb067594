/* Groups of a sealed segment made for a rollup, by the same steps as for a query.
 *
 * A portion whose groups are so many that adding them up would cost as much as reading its rows has
 * none, nor has one whose rows raise an error: its rows are read by whoever asks. */
#include "query/exec/rollup.h"

#include "storage/base/logger.h"

/* Of a portion: rows a group, at the least, beside so many groups. */
#define ROWS_PER_GROUP 8
#define GROUPS_FREE 256

struct portion_list {
    struct portion *list;
    size_t count;
};

/* Of a segment, as queries divide it. */
static struct portion_list list_portions(const struct table_view *view, uint64_t segment,
                                         struct arena *arena)
{
    struct portion_list out = {0};
    size_t morsel_count = table_view_morsel_count(view);
    out.list = arena_alloc_array(arena, morsel_count + 1, sizeof(*out.list));
    for (size_t morsel = 0; morsel < morsel_count; morsel++) {
        struct morsel_home home = table_view_morsel_home(view, morsel);
        struct morsel_range range = table_view_morsel(view, morsel);
        if (!home.is_sealed || home.segment != segment)
            continue;
        if (home.index % PORTION_MORSELS == 0)
            out.list[out.count++] =
                (struct portion){.begin = morsel, .home = home, .is_closed = true};
        if (out.count == 0)
            return out;
        out.list[out.count - 1].end = morsel + 1;
        struct portion *portion = &out.list[out.count - 1];
        portion->rows += range.end - range.begin;
        portion->groups_max = portion->rows / ROWS_PER_GROUP + GROUPS_FREE;
    }
    return out;
}

static enum err build_portion(struct exec_node *node, const struct portion *portion,
                              struct partial **out, struct error *error)
{
    enum err err = partial_compute(node, portion, out, error);
    if (err != ERR_INPUT)
        return err;
    *out = NULL; /* the rows raise it, for whoever reads them */
    return OK;
}

enum err rollup_build(struct exec *exec, struct rollup *rollup, uint64_t segment,
                      struct rollup_cover *out, struct error *error)
{
    struct exec_node *node;
    exec->is_fork = true; /* its GROUP is asked for portions, and divides nothing itself */
    *out = (struct rollup_cover){.segment = segment};
    enum err err = exec_open(exec, rollup->group, &node, error);
    if (err != OK)
        return err;
    struct portion_list portions =
        list_portions(exec_scan_view(partial_scan(node)), segment, &exec->arena);
    out->portion_count = (uint32_t)portions.count;
    out->parts = memory_alloc_zero((portions.count + 1) * sizeof(struct partial *));
    for (size_t i = 0; i < portions.count && err == OK; i++) {
        err = build_portion(node, &portions.list[i], &out->parts[i], error);
        if (err == OK && out->parts[i] != NULL) {
            out->rows += portions.list[i].rows;
            out->groups += out->parts[i]->group_count;
            out->size += out->parts[i]->size;
        }
    }
    exec_close(node);
    if (err != OK) {
        rollup_cover_drop_parts(out);
        return err;
    }
    return OK;
}
