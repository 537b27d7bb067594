/* Joins: a hash table over one side, probed by batches of the other one; nested loops by blocks
 * without keys.
 *
 *   build side ──▶ rowset + number of each key (keys.c) + chains of rows by number
 *   probe batch ──▶ its keys' numbers ──▶ candidate pairs, up to 2,048 at a time ──▶ condition ──▶
 * batch
 *
 * The right side is built, except where the left one is much smaller and the kind of join lets it:
 * which side is which shows in nothing but the order of rows. A NULL in any key matches nothing:
 * such built rows are not chained, such probing rows have no candidates. Without keys every built
 * row is a candidate of every probing row (CROSS, or ON with any condition).
 *
 * What has to come out although it met nothing is known at two places: a probing row when its batch
 * is done, a built row (a byte each) when the probing side is. Semi and anti joins give left rows
 * only, at one place or the other; of the right side they keep no more than the keys where these
 * are all there is to know. A condition beside the keys is evaluated over the columns it names;
 * the others are gathered for the pairs it keeps. The built side is charged to the query's memory,
 * past which both sides are put aside in parts that are joined one by one (join_spill.c); the flags
 * are looked at every 64 Ki candidates, so that a cross join can always be stopped. */
#include "query/exec/join.h"
#include "query/exec/raise.h"

#include <string.h>

/* The left side is built if the right one is so many times as long. */
#define FLIP_FACTOR 4
#define NAMES_MAX 1024                    /* built rows whose texts become a dictionary … */
#define NAMES_SIZE_MAX ((size_t)64 << 10) /* … for which they are copied: names, no documents */

/* --- which side is built --- */

static bool is_for_left_only(enum join_kind kind)
{
    return kind == JOIN_SEMI || kind == JOIN_ANTI;
}

static void choose_sides(struct exec_node *node)
{
    struct join *join = node->state;
    const struct plan *plan = node->plan;
    enum join_kind kind = plan->join.kind;
    uint64_t left = exec_estimate(node->exec, plan->children[0]);
    uint64_t right = exec_estimate(node->exec, plan->children[1]);
    bool is_flipped = left < right / FLIP_FACTOR;
    join->build = is_flipped ? 0 : 1;
    join->probe = 1 - join->build;
    bool is_left_outer = kind == JOIN_LEFT || kind == JOIN_FULL;
    bool is_right_outer = kind == JOIN_RIGHT || kind == JOIN_FULL;
    join->is_probe_outer = is_flipped ? is_right_outer : is_left_outer;
    join->is_build_outer = is_flipped ? is_left_outer : is_right_outer;
    join->is_first_enough = is_for_left_only(kind) && !is_flipped;
    join->is_marking = is_for_left_only(kind) && is_flipped;
    join->is_build_outer = join->is_build_outer || join->is_marking;
    join->is_keys_only =
        join->is_first_enough && plan->join.key_count > 0 && plan->join.condition == NULL;
}

static size_t left_count(const struct exec_node *node)
{
    return node->plan->children[0]->column_count;
}

static size_t both_count(const struct exec_node *node)
{
    return left_count(node) + node->plan->children[1]->column_count;
}

static void note_column(void *context, uint32_t column)
{
    ((bool *)context)[column] = true;
}

static struct type *column_types(struct exec_node *node, const struct plan *plan)
{
    struct type *types = arena_alloc_array(&node->exec->arena, plan->column_count, sizeof(*types));
    for (size_t i = 0; i < plan->column_count; i++)
        types[i] = plan->columns[i].type;
    return types;
}

void join_tables_open(struct exec_node *node)
{
    struct join *join = node->state;
    const struct plan *build = node->plan->children[join->build];
    exec_memory_init(&join->memory, node->exec->budget);
    rowset_init(&join->rows, build->columns, build->column_count, node->exec->budget);
    tuple_table_init(&join->keys, join->key_types, node->plan->join.key_count, &join->memory);
}

void join_tables_close(struct exec_node *node)
{
    struct join *join = node->state;
    if (join->memory.budget == NULL)
        return;
    exec_memory_release(&join->memory, join->heads, join->head_capacity * sizeof(uint32_t));
    exec_memory_release(&join->memory, join->chain, join->chain_capacity * sizeof(uint32_t));
    exec_memory_release(&join->memory, join->tails, join->tail_capacity * sizeof(uint32_t));
    exec_memory_release(&join->memory, join->is_met, join->met_capacity);
    join->heads = join->chain = join->tails = NULL;
    join->is_chained = false;
    join->names = NULL; /* in the memory that goes */
    join->is_met = NULL;
    join->head_capacity = join->chain_capacity = join->tail_capacity = join->met_capacity = 0;
    tuple_table_deinit(&join->keys);
    rowset_deinit(&join->rows);
    exec_memory_deinit(&join->memory);
}

static enum err join_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct join *join = node->state;
    const struct plan *plan = node->plan;
    size_t key_count = plan->join.key_count;
    choose_sides(node);
    join->side_keys[0] = exec_evaluators(node->exec, plan->join.left_keys, key_count);
    join->side_keys[1] = exec_evaluators(node->exec, plan->join.right_keys, key_count);
    join->key_types = arena_alloc_array(&node->exec->arena, key_count, sizeof(*join->key_types));
    join->can_spill = spill_is_on(node->exec);
    for (size_t i = 0; i < key_count; i++) {
        join->key_types[i] = plan->join.right_keys[i]->type;
        join->can_spill = join->can_spill && !expr_is_volatile(plan->join.left_keys[i]) &&
                          !expr_is_volatile(plan->join.right_keys[i]);
    }
    for (unsigned side = 0; side < 2; side++)
        join->side_types[side] = column_types(node, plan->children[side]);
    join_tables_open(node);
    if (plan->join.condition == NULL)
        return OK;
    join->condition = evaluator_create(plan->join.condition, &node->exec->eval);
    join->is_in_condition = arena_alloc_zero(&node->exec->arena, both_count(node) + 1);
    expr_visit_columns(plan->join.condition, note_column, join->is_in_condition);
    return OK;
}

/* --- the built side --- */

enum err join_keys(struct exec_node *node, struct evaluator **exprs, const struct batch *in,
                   struct column **out, struct error *error)
{
    size_t key_count = node->plan->join.key_count;
    *out = in->columns;
    if (exprs == NULL)
        return OK;
    *out = arena_alloc_array(&node->scratch, key_count, sizeof(**out));
    return exec_evaluate(exprs, key_count, in, *out, error);
}

/* The numbers of a batch's keys; KEY_NONE where a key is NULL or, probing, unknown. */
static enum err number_keys(struct exec_node *node, struct evaluator **exprs,
                            const struct batch *in, bool is_insert, uint32_t *ids,
                            struct error *error)
{
    struct join *join = node->state;
    struct column *keys;
    enum err err = join_keys(node, exprs, in, &keys, error);
    return err != OK
               ? err
               : tuple_table_equal_ids(&join->keys, keys, in->row_count, is_insert, ids, error);
}

static enum err chain_rows(struct exec_node *node, const struct batch *in, size_t first,
                           struct error *error)
{
    struct join *join = node->state;
    uint32_t ids[VECTOR_ROWS_MAX];
    size_t known = join->keys.count;
    enum err err = number_keys(node, join->side_keys[join->build], in, true, ids, error);
    if (err == OK)
        err = exec_memory_grow(&join->memory, (void **)&join->heads, &join->head_capacity,
                               join->keys.count, sizeof(*join->heads), error);
    if (err == OK)
        err = exec_memory_grow(&join->memory, (void **)&join->tails, &join->tail_capacity,
                               join->keys.count, sizeof(*join->tails), error);
    if (err == OK)
        err = exec_memory_grow(&join->memory, (void **)&join->chain, &join->chain_capacity,
                               first + in->row_count, sizeof(*join->chain), error);
    if (err != OK)
        return err;
    for (; known < join->keys.count; known++)
        join->heads[known] = KEY_NONE;
    for (size_t i = 0; i < in->row_count; i++) {
        uint32_t row = (uint32_t)(first + i);
        join->chain[row] = KEY_NONE;
        if (ids[i] == KEY_NONE)
            continue;
        if (join->heads[ids[i]] == KEY_NONE)
            join->heads[ids[i]] = row;
        else
            join->chain[join->tails[ids[i]]] = row;
        join->is_chained = join->is_chained || join->heads[ids[i]] != row;
        join->tails[ids[i]] = row;
    }
    return OK;
}

enum err join_keep(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct join *join = node->state;
    size_t first = join->rows.row_count;
    arena_reset(&node->scratch);
    if (join->is_keys_only) {
        uint32_t ids[VECTOR_ROWS_MAX];
        bool is_of_keys = join->has_task; /* what was put aside of the rows */
        return number_keys(node, is_of_keys ? NULL : join->side_keys[join->build], in, true, ids,
                           error);
    }
    enum err err = rowset_append(&join->rows, in, NULL, in->row_count, error);
    if (err == OK && node->plan->join.key_count != 0)
        err = chain_rows(node, in, first, error);
    if (err == OK && join->is_build_outer)
        err = exec_memory_grow(&join->memory, (void **)&join->is_met, &join->met_capacity,
                               first + in->row_count, 1, error);
    if (err == OK && join->is_build_outer)
        memset(join->is_met + first, 0, in->row_count);
    return err;
}

static enum err keep_or_spill(struct exec_node *node, const struct batch *in, struct error *error)
{
    struct join *join = node->state;
    enum err err = OK;
    if (!join->is_split && join_spill_is_due(node, in))
        err = join_split(node, error);
    if (err != OK)
        return err;
    return join->is_split ? join_route_build(node, in, error) : join_keep(node, in, error);
}

/* --- the probing side --- */

static uint32_t first_candidate(const struct exec_node *node, uint32_t row)
{
    const struct join *join = node->state;
    if (node->plan->join.key_count == 0)
        return join->rows.row_count == 0 ? KEY_NONE : 0;
    uint32_t id = join->ids[row];
    if (join->is_keys_only)
        return id == KEY_NONE ? KEY_NONE : 0;
    return id == KEY_NONE ? KEY_NONE : join->heads[id];
}

static uint32_t next_candidate(const struct exec_node *node, uint32_t built)
{
    const struct join *join = node->state;
    if (join->is_first_enough && join->condition == NULL)
        return KEY_NONE;
    if (node->plan->join.key_count == 0)
        return built + 1 < join->rows.row_count ? built + 1 : KEY_NONE;
    return join->chain[built];
}

static enum err next_probe(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    enum err err = join->is_split ? join_read_probe(node, error)
                                  : exec_next(node->children[join->probe], &join->in, error);
    if (err != OK || join->in.row_count == 0) {
        join->is_probe_done = true;
        return err;
    }
    if (!join->is_split) {
        node->exec->actual[node->plan->id].rows_in += join->in.row_count;
        memset(join->has_match, 0, join->in.row_count);
    }
    arena_reset(&node->scratch);
    if (node->plan->join.key_count != 0)
        err = number_keys(node, join->side_keys[join->probe], &join->in, false, join->ids, error);
    join->row = 0;
    join->candidate = err == OK ? first_candidate(node, 0) : KEY_NONE;
    return err;
}

/* All pairs of the probing batch in hand, where each key is of one built row at most. */
static size_t take_singles(struct join *join, uint32_t *probe, uint32_t *built)
{
    const uint32_t *heads = join->heads, *ids = join->ids;
    uint32_t row_count = (uint32_t)join->in.row_count;
    size_t count = 0;
    for (uint32_t row = 0; row < row_count; row++) {
        bool is_settled = join->is_first_enough && join->has_match[row] != 0;
        if (ids[row] == KEY_NONE || is_settled)
            continue;
        probe[count] = row;
        built[count] = heads[ids[row]];
        count += built[count] != KEY_NONE;
    }
    join->row = row_count;
    return count;
}

/* Up to a batch of candidate pairs of the probing batch in hand. */
static size_t take_candidates(struct exec_node *node, uint32_t *probe, uint32_t *built)
{
    struct join *join = node->state;
    size_t count = 0;
    if (join->row == 0 && !join->is_chained && !join->is_keys_only &&
        node->plan->join.key_count != 0)
        return take_singles(join, probe, built);
    while (count < VECTOR_ROWS_MAX && join->row < join->in.row_count) {
        bool is_settled = join->is_first_enough && join->has_match[join->row] != 0;
        if (join->candidate == KEY_NONE || is_settled) {
            join->row++;
            if (join->row < join->in.row_count)
                join->candidate = first_candidate(node, join->row);
            continue;
        }
        probe[count] = join->row;
        built[count++] = join->candidate;
        join->candidate = next_candidate(node, join->candidate);
    }
    return count;
}

/* --- batches of pairs --- */

/* A FLAT column of texts as a dictionary. */
static enum err name_column(struct exec *exec, struct join *join, struct column *column,
                            size_t count, struct error *error)
{
    struct arena *arena = &join->memory.arena;
    struct slice *dictionary = arena_alloc_zero(arena, (count + 1) * sizeof(*dictionary));
    uint32_t *codes = arena_alloc_zero(arena, count * sizeof(*codes));
    uint32_t selection[NAMES_MAX];
    struct tuple_table table;
    size_t known = 0;
    for (uint32_t row = 0; row < count; row++) {
        selection[known] = row;
        known += !column_is_null(column, row);
    }
    tuple_table_init(&table, &column->type, 1, &join->memory);
    enum err err = tuple_table_ids(&table, column, selection, known, true, codes, error);
    for (size_t k = 0; err == OK && k < known; k++)
        dictionary[codes[selection[k]]] = column->text[selection[k]];
    column->form = COLUMN_DICTIONARY;
    column->codes = codes;
    column->dictionary = dictionary;
    column->dictionary_count = table.count;
    column->dictionary_id = exec_dictionary_id(exec);
    tuple_table_deinit(&table);
    return err;
}

/* Are the texts of a FLAT column short enough together? */
static bool has_names(const struct column *column, size_t count)
{
    size_t size = 0;
    for (size_t row = 0; row < count && size <= NAMES_SIZE_MAX; row++)
        size += column_is_null(column, row) ? 0 : column->text[row].size;
    return size <= NAMES_SIZE_MAX;
}

/* A few built rows meet many probing ones: their texts go on as codes, so that what groups or tests
 * them looks at each text once a batch. */
static enum err name_texts(struct exec_node *node, struct error *error)
{
    struct join *join = node->state;
    size_t count = join->rows.row_count;
    enum err err = OK;
    if (count == 0 || count > NAMES_MAX)
        return OK;
    join->names =
        arena_alloc_zero(&join->memory.arena, (join->rows.column_count + 1) * sizeof(*join->names));
    for (size_t i = 0; err == OK && i < join->rows.column_count; i++) {
        join->names[i] = rowset_column(&join->rows, i, 0);
        enum type_id type = (enum type_id)join->names[i].type.id;
        if ((type == TYPE_TEXT || type == TYPE_VARCHAR) && has_names(&join->names[i], count))
            err = name_column(node->exec, join, &join->names[i], count, error);
    }
    return err != OK ? err : exec_memory_settle(&join->memory, error);
}

/* Each row of the batch once, in order: what a join with a table of names comes to. */
static bool is_every_row(const uint32_t *rows, size_t count, const struct batch *in)
{
    bool is_each = count == in->row_count;
    for (size_t i = 0; is_each && i < count; i++)
        is_each = rows[i] == i;
    return is_each;
}

/* A side's columns at the rows given; NULLs where `rows` is NULL, and where `wanted` says no. */
static void gather_side(struct exec_node *node, unsigned side, const uint32_t *rows, size_t count,
                        const bool *wanted, struct column *out)
{
    struct join *join = node->state;
    const struct plan *plan = node->plan->children[side];
    size_t first = side == 0 ? 0 : left_count(node);
    bool is_all = side == join->probe && rows != NULL && is_every_row(rows, count, &join->in);
    for (size_t i = 0; i < plan->column_count; i++) {
        if (rows == NULL || (wanted != NULL && !wanted[first + i])) {
            out[first + i] = column_null(plan->columns[i].type);
            continue;
        }
        struct column all = side != join->build   ? join->in.columns[i]
                            : join->names != NULL ? join->names[i]
                                                  : rowset_column(&join->rows, i, 0);
        out[first + i] = is_all ? all : column_gather(&all, rows, count, &node->scratch);
    }
}

static void make_pairs(struct exec_node *node, const uint32_t *probe, const uint32_t *built,
                       size_t count, const bool *wanted, struct batch *out)
{
    struct join *join = node->state;
    struct column *columns = arena_alloc_array(&node->scratch, both_count(node), sizeof(*columns));
    gather_side(node, join->probe, probe, count, wanted, columns);
    gather_side(node, join->build, built, count, wanted, columns);
    *out = (struct batch){.row_count = count, .column_count = both_count(node), .columns = columns};
}

/* Rows of the probing batch in hand that met something, or nothing; it is done with. */
static size_t take_probe(struct join *join, bool is_met, uint32_t *probe)
{
    size_t count = 0;
    for (uint32_t row = 0; row < join->in.row_count; row++) {
        probe[count] = row;
        count += (join->has_match[row] != 0) == is_met;
    }
    return count;
}

static void note_matches(struct join *join, const uint32_t *probe, const uint32_t *built,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        join->has_match[probe[i]] = 1;
    for (size_t i = 0; join->is_build_outer && i < count; i++)
        join->is_met[built[i]] = 1;
}

/* Row `pairs->row_count` of the candidates raises. The probing rows before it are all there is of
 * their batch, and the next one raises; one that is settled needs no other candidate. */
static void end_before(struct exec_node *node, const uint32_t *probe, const uint32_t *kept,
                       size_t kept_count, const struct batch *pairs, const struct error *error)
{
    struct join *join = node->state;
    uint32_t row = probe[pairs->row_count];
    bool is_settled = join->is_first_enough && join->has_match[row] != 0;
    for (size_t i = 0; join->is_first_enough && i < kept_count; i++)
        is_settled = is_settled || probe[kept[i]] == row;
    join->row = row;
    join->candidate = KEY_NONE;
    if (is_settled)
        return;
    join->in.row_count = row;
    raise_next(node->children[join->probe], error);
}

/* Candidates through the condition; out->row_count may be 0. */
static enum err match_candidates(struct exec_node *node, uint32_t *probe, uint32_t *built,
                                 size_t count, struct batch *out, struct error *error)
{
    struct join *join = node->state;
    if (join->condition != NULL) {
        struct batch pairs;
        make_pairs(node, probe, built, count, join->is_in_condition, &pairs);
        uint32_t *kept = arena_alloc_array(&node->scratch, count + 16, sizeof(*kept));
        size_t kept_count = 0;
        enum err err = raise_filter(join->condition, &pairs, kept, &kept_count, error);
        if (err == OK && pairs.row_count != count && join->is_split) /* the probing side is read */
            err = error->code;
        if (err != OK)
            return err;
        if (pairs.row_count != count)
            end_before(node, probe, kept, kept_count, &pairs, error);
        for (size_t i = 0; i < kept_count; i++) {
            probe[i] = probe[kept[i]];
            built[i] = built[kept[i]];
        }
        count = kept_count;
    }
    note_matches(join, probe, built, count);
    if (!join->is_first_enough && !join->is_marking && count != 0)
        make_pairs(node, probe, built, count, NULL, out);
    return OK;
}

/* The end of a probing batch: what comes out by having met nothing, or by having met something. */
static void finish_probe(struct exec_node *node, struct batch *out)
{
    struct join *join = node->state;
    uint32_t probe[VECTOR_ROWS_MAX];
    if (join->is_more) {
        join_note_pass(join);
    } else if (join->is_probe_outer || join->is_first_enough) {
        size_t count = take_probe(join, node->plan->join.kind == JOIN_SEMI, probe);
        if (count != 0)
            make_pairs(node, probe, NULL, count, NULL, out);
        if (join->is_first_enough)
            out->column_count = left_count(node);
    }
    join->in.row_count = 0;
}

/* Built rows that nothing met; of a semi join those that something met. */
static void give_unmet(struct exec_node *node, struct batch *out)
{
    struct join *join = node->state;
    uint32_t built[VECTOR_ROWS_MAX];
    size_t count = 0;
    for (; count < VECTOR_ROWS_MAX && join->next_unmet < join->rows.row_count; join->next_unmet++) {
        built[count] = join->next_unmet;
        bool is_met = join->is_met[join->next_unmet] != 0;
        count += is_met == (node->plan->join.kind == JOIN_SEMI);
    }
    arena_reset(&node->scratch);
    if (count != 0)
        make_pairs(node, NULL, built, count, NULL, out);
    if (join->is_marking)
        out->column_count = left_count(node);
}

/* --- the operator --- */

/* One step with a probing batch in hand; out->row_count may be 0. */
static enum err probe_step(struct exec_node *node, struct batch *out, struct error *error)
{
    struct join *join = node->state;
    uint32_t probe[VECTOR_ROWS_MAX], built[VECTOR_ROWS_MAX];
    arena_reset(&node->scratch);
    size_t count = take_candidates(node, probe, built);
    if (count == 0) {
        finish_probe(node, out);
        return OK;
    }
    join->unchecked += count;
    if (join->unchecked >= EXEC_CHECK_ROWS) {
        join->unchecked = 0;
        enum err err = exec_check(node->exec, error);
        if (err != OK)
            return err;
    }
    return match_candidates(node, probe, built, count, out, error);
}

/* All that is to come of the rows built and the probing side there is; 0 rows: the end of it. */
static enum err join_pass(struct exec_node *node, struct batch *out, struct error *error)
{
    struct join *join = node->state;
    enum err err = OK;
    out->row_count = 0;
    while (err == OK && out->row_count == 0 && !join->is_probe_done)
        err = join->in.row_count == 0 ? next_probe(node, error) : probe_step(node, out, error);
    if (err == OK && out->row_count == 0 && join->is_build_outer)
        give_unmet(node, out);
    return err;
}

static enum err join_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct join *join = node->state;
    enum err err = OK;
    bool is_end = false;
    if (!join->is_built) {
        err = exec_each(node, join->build, keep_or_spill, error);
        if (err == OK && !join->is_split)
            err = name_texts(node, error);
        if (err == OK && join->is_split)
            err = join_split_probe(node, error);
        if (err == OK && join->is_split)
            err = join_next_pass(node, &is_end, error);
        join->is_built = err == OK;
    }
    while (err == OK && !is_end) {
        err = join_pass(node, out, error);
        if (err != OK || out->row_count != 0 || !join->is_split)
            return err;
        err = join_next_pass(node, &is_end, error);
    }
    return err;
}

static void join_close(struct exec_node *node)
{
    struct join *join = node->state;
    if (join->side_keys[0] == NULL)
        return;
    for (unsigned side = 0; side < 2; side++)
        exec_evaluators_destroy(join->side_keys[side], node->plan->join.key_count);
    if (join->condition != NULL)
        evaluator_destroy(join->condition);
    join_tables_close(node);
    join_spill_close(node);
}

const struct exec_operator exec_join_operator = {
    .name = "join",
    .state_size = sizeof(struct join),
    .open = join_open,
    .next = join_next,
    .close = join_close,
};
