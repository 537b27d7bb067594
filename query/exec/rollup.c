/* A rollup and what it covers.
 *
 *   view's text ─▶ statement ─▶ GROUP + counts it may be asked for ─▶ form, mark
 *   cover of a segment ─▶ parts by portion: in memory (the shelf) or in a side file
 *
 * avg and count of a column follow from states that its sum has, so a rollup also counts rows, and
 * the values of what it adds up. A part depends on its segment's rows, which never change, and on
 * what the mark stands for; a file of another mark is one of another definition. The shelf gives up
 * the parts of the cover used longest ago: its file is read again. */
#include "query/exec/rollup.h"

#include "query/expr/node.h"
#include "query/func/func.h"
#include "query/func/time.h"
#include "query/view.h"
#include "storage/base/fault.h"
#include "storage/base/hash.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* --- what it is of --- */

static struct plan *find_group(struct plan *plan)
{
    while (plan->kind == PLAN_PROJECT)
        plan = plan->children[0];
    return plan->kind == PLAN_GROUP ? plan : NULL;
}

static bool has_count(const struct plan *group, const struct aggregate *aggregate,
                      const struct aggregate_call *of)
{
    for (size_t i = 0; i < group->group.aggregate_count; i++) {
        const struct aggregate_call *call = &group->group.aggregates[i];
        bool is = call->aggregate == aggregate && !call->is_distinct;
        if (of == NULL
                ? is && call->filter == NULL
                : is && expr_equal(call->arguments[0], of->arguments[0]) &&
                      (call->filter == of->filter || (call->filter != NULL && of->filter != NULL &&
                                                      expr_equal(call->filter, of->filter))))
            return true;
    }
    return false;
}

static void add_call(struct plan *group, struct aggregate_call call)
{
    call.type = type_of(TYPE_INT8);
    group->group.aggregates[group->group.aggregate_count++] = call;
}

/* count(*), and the count of what is added up. */
static void add_counts(struct plan *group, struct arena *arena)
{
    const struct aggregate *rows = aggregate_next(SLICE("count"), NULL);
    const struct aggregate *values = aggregate_next(SLICE("count"), rows);
    size_t count = group->group.aggregate_count;
    struct aggregate_call *calls = arena_alloc_zero(arena, (2 * count + 1) * sizeof(*calls));
    assert(rows->argument == AGGREGATE_NONE && values->argument == AGGREGATE_ANY);
    if (count != 0)
        memcpy(calls, group->group.aggregates, count * sizeof(*calls));
    group->group.aggregates = calls;
    for (size_t i = 0; i < count; i++) {
        bool is_sum = strcmp(calls[i].aggregate->name, "sum") == 0 ||
                      strcmp(calls[i].aggregate->name, "avg") == 0;
        if (!is_sum || has_count(group, values, &calls[i]))
            continue;
        struct aggregate_call call = calls[i];
        call.aggregate = values;
        add_call(group, call);
    }
    if (!has_count(group, rows, NULL))
        add_call(group, (struct aggregate_call){.aggregate = rows, .is_star = true});
}

/* An origin, or the zone whose buckets are told of: by its name. */
static bool is_third(const struct expr *argument)
{
    return argument->kind == EXPR_CONSTANT && !argument->constant.is_null &&
           (argument->type.id == TYPE_TIMESTAMPTZ ||
            (argument->type.id == TYPE_TEXT && slice_equal(argument->constant.text, SLICE("UTC"))));
}

bool rollup_bucket_make(const struct expr *call, uint32_t time, struct arena *arena,
                        struct rollup_bucket *out)
{
    *out = (struct rollup_bucket){0};
    bool has_time = false;
    if (call->kind != EXPR_CALL || call->argument_count < 2 || call->argument_count > 3 ||
        call->function->operation != WINDOW_START || call->type.id != TYPE_TIMESTAMPTZ ||
        (call->argument_count == 3 && !is_third(call->arguments[2])))
        return false;
    for (uint32_t i = 0; i < call->argument_count; i++) {
        const struct expr *argument = call->arguments[i];
        if (argument->kind == EXPR_COLUMN && argument->column == time && !has_time) {
            out->time = i;
            has_time = true;
            out->arguments[i] = (struct column){.type = argument->type};
        } else if (argument->kind == EXPR_CONSTANT && !argument->constant.is_null) {
            out->arguments[i] = column_from_value(&argument->constant, arena);
        } else {
            return false;
        }
    }
    int64_t start, end;
    struct eval_context context = {.zone = timezone_utc};
    out->function = call->function;
    return has_time && rollup_bucket_find(out, &context, 0, &start, &end);
}

bool rollup_bucket_make_epoch(const struct expr *expr, uint32_t time, struct rollup_bucket *out,
                              struct expr ***argument)
{
    struct bucket epoch;
    *out = (struct rollup_bucket){0};
    if (!bucket_match(expr, &epoch))
        return false;
    for (int i = 0; i < epoch.depth; i++)
        expr = expr->arguments[0];
    out->width_us = epoch.width_us;
    *argument = &expr->arguments[1];
    return (**argument)->kind == EXPR_COLUMN && (**argument)->column == time &&
           (**argument)->type.id == TYPE_TIMESTAMPTZ;
}

static bool find_epoch(int64_t width_us, int64_t us, int64_t *start, int64_t *end)
{
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return false;
    int64_t number = us / width_us - (us % width_us < 0);
    return !__builtin_mul_overflow(number, width_us, start) &&
           !__builtin_add_overflow(*start, width_us, end);
}

bool rollup_bucket_find(const struct rollup_bucket *bucket, const struct eval_context *context,
                        int64_t us, int64_t *start, int64_t *end)
{
    if (bucket->width_us != 0)
        return find_epoch(bucket->width_us, us, start, end);
    struct column arguments[FUNCTION_ARGUMENTS_MAX] = {0};
    memcpy(arguments, bucket->arguments, sizeof(bucket->arguments));
    arguments[bucket->time].i = &us;
    return function_bucket(bucket->function, context, arguments, &us, start, end);
}

/* As group_open() does it; whoever reads parts asserts that it is the same. */
static void lay_out(struct rollup *rollup, struct arena *arena)
{
    const struct plan *group = rollup->group;
    bool is_wide = false;
    rollup->offsets =
        arena_alloc_array(arena, group->group.aggregate_count + 1, sizeof(*rollup->offsets));
    for (size_t i = 0; i < group->group.aggregate_count; i++) {
        const struct aggregate *aggregate = group->group.aggregates[i].aggregate;
        rollup->offsets[i] = group_state_offset(rollup->stride, aggregate);
        rollup->stride = rollup->offsets[i] + aggregate->state_size;
        is_wide = is_wide || aggregate->state_size % 16 == 0;
    }
    if (is_wide && rollup->stride % 16 != 0)
        rollup->stride += 8;
}

static void find_time_key(struct rollup *rollup, struct arena *arena)
{
    const struct rollup_form *form = &rollup->form;
    rollup->time_key = -1;
    for (size_t i = 0; i < form->key_count && form->schema->time_column >= 0; i++) {
        if (!rollup_bucket_make(form->keys[i], (uint32_t)form->schema->time_column, arena,
                                &rollup->bucket))
            continue;
        rollup->time_key = (int32_t)i;
        return;
    }
}

static uint64_t make_mark(const struct rollup *rollup, const struct view_definition *view)
{
    const struct schema *schema = rollup->form.schema;
    struct writer out;
    writer_init(&out);
    writer_u32(&out, view->id);
    writer_u32(&out, schema->table_id);
    if (!fault_is("rollup.definition_ignored"))
        writer_u32(&out, schema->version); /* what columns an older segment lacks read as */
    writer_text(&out, view->text);
    writer_text(&out, slice_from_cstr(timezone_name(rollup->zone)));
    for (size_t i = 0; i < rollup->group->group.aggregate_count; i++) {
        const struct aggregate *aggregate = rollup->group->group.aggregates[i].aggregate;
        writer_text(&out, slice_from_cstr(aggregate->name));
        writer_u64(&out, aggregate->state_size);
    }
    uint64_t mark = hash64(out.data, out.size);
    writer_deinit(&out);
    return mark;
}

struct rollup *rollup_create(struct rollup_shelf *shelf, const struct view_definition *view,
                             const struct timezone *zone, struct statement *statement)
{
    struct plan *group = statement->plan == NULL ? NULL : find_group(statement->plan);
    struct eval_context context = {.zone = zone};
    struct rollup *rollup = memory_alloc_zero(sizeof(*rollup));
    atomic_init(&rollup->references, 1);
    rollup->shelf = shelf;
    rollup->statement = statement;
    rollup->zone = zone;
    rollup->group = group;
    rollup->view_id = view->id;
    if (group != NULL)
        add_counts(group, &statement->arena);
    if (group == NULL || group->group.key_count == 0 || !partial_is_for(group) ||
        !rollup_form_make(group, &context, &statement->arena, &rollup->form)) {
        rollup_unref(rollup);
        return NULL;
    }
    rollup->name = arena_copy(&statement->arena, view->name);
    rollup->mark = make_mark(rollup, view);
    lay_out(rollup, &statement->arena);
    find_time_key(rollup, &statement->arena);
    return rollup;
}

/* --- what it covers: with the shelf's mutex --- */

static void drop_parts(struct rollup_shelf *shelf, struct rollup_cover *cover)
{
    if (cover->parts != NULL)
        shelf->used -= cover->size;
    rollup_cover_drop_parts(cover);
}

static struct rollup_cover *find_cover(const struct rollup *rollup, uint64_t segment)
{
    size_t low = 0, high = rollup->cover_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rollup->covers[middle].segment < segment)
            low = middle + 1;
        else
            high = middle;
    }
    return low < rollup->cover_count && rollup->covers[low].segment == segment
               ? &rollup->covers[low]
               : NULL;
}

/* Of this rollup's own: each keeps what it uses, the least used goes first. */
static void make_room(struct rollup *rollup, const struct rollup_cover *kept)
{
    struct rollup_shelf *shelf = rollup->shelf;
    while (shelf->used > shelf->limit) {
        struct rollup_cover *oldest = NULL;
        for (size_t i = 0; i < rollup->cover_count; i++) {
            struct rollup_cover *cover = &rollup->covers[i];
            if (cover->parts != NULL && cover != kept &&
                (oldest == NULL || cover->used_at < oldest->used_at))
                oldest = cover;
        }
        if (oldest == NULL)
            return;
        drop_parts(shelf, oldest);
        shelf->evictions++;
    }
}

static void remove_cover(struct rollup *rollup, size_t index)
{
    drop_parts(rollup->shelf, &rollup->covers[index]);
    rollup->cover_count--;
    memmove(&rollup->covers[index], &rollup->covers[index + 1],
            (rollup->cover_count - index) * sizeof(*rollup->covers));
}

/* --- outside of it --- */

void rollup_shelf_init(struct rollup_shelf *shelf, struct store *store, size_t limit)
{
    *shelf = (struct rollup_shelf){.store = store, .limit = limit};
    mutex_init(&shelf->mutex);
}

void rollup_shelf_deinit(struct rollup_shelf *shelf)
{
    assert(shelf->used == 0);
    mutex_deinit(&shelf->mutex);
}

void rollup_unref(struct rollup *rollup)
{
    /* acq_rel: who frees has seen every other owner's last use. */
    if (rollup == NULL ||
        atomic_fetch_sub_explicit(&rollup->references, 1, memory_order_acq_rel) != 1)
        return;
    mutex_lock(&rollup->shelf->mutex);
    while (rollup->cover_count > 0)
        remove_cover(rollup, rollup->cover_count - 1);
    mutex_unlock(&rollup->shelf->mutex);
    memory_free(rollup->covers);
    statement_unref(rollup->statement);
    memory_free(rollup);
}

struct rollup_set *rollup_set_ref(struct rollup_set *set)
{
    atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void rollup_set_unref(struct rollup_set *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < set->count; i++)
        rollup_unref(set->list[i]);
    memory_free(set->list);
    memory_free(set);
}

bool rollup_covers(struct rollup *rollup, uint64_t segment)
{
    mutex_lock(&rollup->shelf->mutex);
    bool covers = find_cover(rollup, segment) != NULL;
    mutex_unlock(&rollup->shelf->mutex);
    return covers;
}

void rollup_add_cover(struct rollup *rollup, const struct rollup_cover *cover)
{
    struct rollup_shelf *shelf = rollup->shelf;
    mutex_lock(&shelf->mutex);
    size_t at = 0;
    while (at < rollup->cover_count && rollup->covers[at].segment < cover->segment)
        at++;
    bool is_there = at < rollup->cover_count && rollup->covers[at].segment == cover->segment;
    if (is_there) {
        drop_parts(shelf, &rollup->covers[at]);
    } else {
        if (rollup->cover_count == rollup->cover_capacity) {
            rollup->cover_capacity = rollup->cover_capacity * 2 + 16;
            rollup->covers =
                memory_realloc(rollup->covers, rollup->cover_capacity * sizeof(*rollup->covers));
        }
        memmove(&rollup->covers[at + 1], &rollup->covers[at],
                (rollup->cover_count - at) * sizeof(*rollup->covers));
        rollup->cover_count++;
    }
    rollup->covers[at] = *cover;
    rollup->covers[at].used_at = ++shelf->clock;
    if (cover->parts != NULL)
        shelf->used += cover->size;
    make_room(rollup, &rollup->covers[at]);
    mutex_unlock(&shelf->mutex);
}

bool rollup_drop_others(struct rollup *rollup, const uint64_t *segments, size_t count)
{
    mutex_lock(&rollup->shelf->mutex);
    size_t at = 0, before = rollup->cover_count;
    for (size_t i = 0; i < rollup->cover_count;) {
        while (at < count && segments[at] < rollup->covers[i].segment)
            at++;
        if (at < count && segments[at] == rollup->covers[i].segment)
            i++;
        else
            remove_cover(rollup, i);
    }
    bool were_any = rollup->cover_count < before;
    mutex_unlock(&rollup->shelf->mutex);
    return were_any;
}

/* --- parts --- */

static struct partial *take_part(struct rollup *rollup, struct rollup_cover *cover, uint32_t index)
{
    cover->used_at = ++rollup->shelf->clock;
    return index < cover->portion_count && cover->parts[index] != NULL
               ? partial_ref(cover->parts[index])
               : NULL;
}

/* The file may be gone with its segment, or damaged: then the segment is not covered any more, and
 * upkeep makes it anew if it is still there. */
static struct partial *load_part(struct rollup *rollup, uint64_t segment, uint32_t index)
{
    struct rollup_shelf *shelf = rollup->shelf;
    char name[ROLLUP_NAME_SIZE];
    struct arena arena;
    struct slice bytes;
    struct error error;
    struct rollup_cover read;
    arena_init(&arena);
    rollup_file_name(rollup->view_id, segment, name);
    enum err err = store_side_read(shelf->store, name, &arena, &bytes, &error);
    if (err == OK)
        err = rollup_read(rollup, segment, bytes, &read, &error);
    arena_deinit(&arena);
    struct partial *part = NULL;
    if (err == OK) {
        if (index < read.portion_count && read.parts[index] != NULL)
            part = partial_ref(read.parts[index]);
        rollup_add_cover(rollup, &read);
    } else {
        logger_write(LOG_WARN, "a rollup's file cannot be used name=%s reason=\"%s\"", name,
                     error.text);
    }
    mutex_lock(&shelf->mutex);
    shelf->loads++;
    struct rollup_cover *cover = find_cover(rollup, segment);
    if (err != OK && cover != NULL)
        remove_cover(rollup, (size_t)(cover - rollup->covers));
    mutex_unlock(&shelf->mutex);
    return part;
}

struct partial *rollup_find_part(struct rollup *rollup, struct morsel_home home)
{
    uint32_t index = home.index / PORTION_MORSELS;
    struct partial *part = NULL;
    mutex_lock(&rollup->shelf->mutex);
    struct rollup_cover *cover = find_cover(rollup, home.segment);
    bool is_covered = cover != NULL && !cover->is_failed;
    bool is_away = is_covered && cover->parts == NULL;
    if (is_covered && !is_away)
        part = take_part(rollup, cover, index);
    mutex_unlock(&rollup->shelf->mutex);
    return is_away ? load_part(rollup, home.segment, index) : part;
}

/* --- names of files --- */

void rollup_file_name(uint32_t view_id, uint64_t segment, char *out)
{
    int length =
        snprintf(out, ROLLUP_NAME_SIZE, "rollup-%08" PRIx32 "-%016" PRIx64, view_id, segment);
    assert(length > 0 && length < ROLLUP_NAME_SIZE);
}

bool rollup_parse_name(const char *name, uint32_t *view_id, uint64_t *segment)
{
    uint64_t parts[2] = {0, 0};
    static const int digits[2] = {8, 16};
    if (strncmp(name, "rollup", 6) != 0)
        return false;
    name += 6;
    for (int part = 0; part < 2; part++) {
        if (*name++ != '-')
            return false;
        for (int i = 0; i < digits[part]; i++) {
            const char *digit = *name == 0 ? NULL : strchr("0123456789abcdef", *name);
            if (digit == NULL)
                return false;
            parts[part] = parts[part] << 4 | (uint64_t)(digit - "0123456789abcdef");
            name++;
        }
    }
    *view_id = (uint32_t)parts[0];
    *segment = parts[1];
    return *name == 0;
}
