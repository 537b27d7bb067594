/* Runs subqueries and remembers what they gave.
 *
 *   values of the slots ──▶ their bytes ──▶ remembered rows
 *                                 └─ not there: set the slots, run the plan, keep a copy
 *
 * A subquery that takes nothing of the query around has one entry. Others have one for each
 * combination of values, told apart by their bytes (1.0 and 1.00 may give different answers). What
 * is kept is charged to the query's memory and forgotten as a whole when it takes more than a
 * quarter of that; then it starts again. A run's nodes lie in an arena of its own, so that a
 * million runs take no more than one. Runs nest: the slots of one hold while those inside of it
 * run. */
#include "query/exec/subquery.h"

#include "storage/base/hash.h"

#include <assert.h>
#include <string.h>

#define KEPT_SHARE 4 /* of the query's memory limit, at most one part in so many */

struct subquery_entry {
    uint64_t hash;
    struct slice key; /* data NULL: free */
    struct parameter_rows rows;
};

void subquery_init(struct subquery *subquery, const struct plan *plan,
                   const struct subplan_slots *slots, struct budget *budget)
{
    *subquery = (struct subquery){.plan = plan, .slots = slots};
    exec_memory_init(&subquery->memory, budget);
    rowset_init(&subquery->rows, plan->columns, plan->column_count, budget);
    arena_init(&subquery->run);
    writer_init(&subquery->key);
}

static void forget(struct subquery *subquery)
{
    struct budget *budget = subquery->memory.budget;
    exec_memory_release(&subquery->memory, subquery->entries,
                        subquery->entry_capacity * sizeof(*subquery->entries));
    exec_memory_deinit(&subquery->memory);
    exec_memory_init(&subquery->memory, budget);
    subquery->entries = NULL;
    subquery->entry_count = subquery->entry_capacity = 0;
}

void subquery_deinit(struct subquery *subquery)
{
    if (subquery->plan == NULL)
        return;
    forget(subquery);
    exec_memory_deinit(&subquery->memory);
    rowset_deinit(&subquery->rows);
    arena_deinit(&subquery->run);
    writer_deinit(&subquery->key);
    *subquery = (struct subquery){0};
}

/* --- keys --- */

static struct slice make_key(struct subquery *subquery, const struct value *values)
{
    writer_reset(&subquery->key);
    writer_u8(&subquery->key, 0);
    for (size_t i = 0; i < subquery->slots->count; i++)
        value_write_bare(&values[i], &subquery->key);
    return slice_of((const char *)subquery->key.data, subquery->key.size);
}

/* The entry of the key, or the free one where it belongs. */
static struct subquery_entry *find(const struct subquery *subquery, struct slice key, uint64_t hash)
{
    size_t mask = subquery->entry_capacity - 1;
    size_t slot = hash & mask;
    while (subquery->entries[slot].key.data != NULL &&
           (subquery->entries[slot].hash != hash || !slice_equal(subquery->entries[slot].key, key)))
        slot = (slot + 1) & mask;
    return &subquery->entries[slot];
}

static enum err grow_entries(struct subquery *subquery, struct error *error)
{
    if ((subquery->entry_count + 1) * 2 <= subquery->entry_capacity)
        return OK;
    struct subquery old = *subquery;
    size_t capacity = old.entry_capacity == 0 ? 16 : old.entry_capacity * 2;
    size_t size = capacity * sizeof(*subquery->entries);
    enum err err = budget_charge(subquery->memory.budget, size, error);
    if (err != OK)
        return err;
    subquery->entries = memory_alloc_zero(size);
    subquery->entry_capacity = capacity;
    for (size_t i = 0; i < old.entry_capacity; i++)
        if (old.entries[i].key.data != NULL)
            *find(subquery, old.entries[i].key, old.entries[i].hash) = old.entries[i];
    exec_memory_release(&subquery->memory, old.entries,
                        old.entry_capacity * sizeof(*subquery->entries));
    return OK;
}

/* --- runs --- */

static enum err pull(struct subquery *subquery, struct exec *exec, struct error *error)
{
    struct exec_node *node = NULL;
    struct batch batch;
    enum err err = exec_open(exec, subquery->plan, &node, error);
    while (err == OK && (err = exec_next(node, &batch, error)) == OK && batch.row_count != 0)
        err = rowset_append(&subquery->rows, &batch, NULL, batch.row_count, error);
    exec_close(node);
    return err;
}

static enum err run(struct subquery *subquery, struct exec *exec, const struct value *values,
                    struct error *error)
{
    const struct subplan_slots *slots = subquery->slots;
    for (size_t i = 0; i < slots->count; i++)
        exec->outer[slots->slots[i]] = values[i];
    rowset_clear(&subquery->rows);
    struct arena around = exec->arena;
    exec->arena = subquery->run;
    enum err err = pull(subquery, exec, error);
    subquery->run = exec->arena;
    exec->arena = around;
    arena_reset(&subquery->run);
    return err;
}

/* Moves the run's rows to the entry. */
static enum err keep(struct subquery *subquery, struct subquery_entry *entry, struct slice key,
                     uint64_t hash, struct error *error)
{
    struct arena *arena = &subquery->memory.arena;
    size_t count = subquery->plan->column_count;
    struct column *columns = arena_alloc_array(arena, count + 1, sizeof(*columns));
    for (size_t i = 0; i < count; i++) {
        columns[i] = rowset_column(&subquery->rows, i, 0); /* there is no other run without slots */
        if (subquery->slots->count > 0)
            columns[i] = column_copy(&columns[i], subquery->rows.row_count, arena);
    }
    *entry = (struct subquery_entry){
        .hash = hash,
        .key = arena_copy(arena, key),
        .rows = {.row_count = subquery->rows.row_count, .column_count = count, .columns = columns}};
    subquery->entry_count++;
    return exec_memory_settle(&subquery->memory, error);
}

enum err subquery_rows(struct subquery *subquery, struct exec *exec, const struct value *values,
                       const struct parameter_rows **out, struct error *error)
{
    assert(subquery->plan != NULL);
    struct slice key = make_key(subquery, values);
    uint64_t hash = hash64(key.data, key.size);
    if (subquery->memory.arena.total > exec->budget->limit / KEPT_SHARE)
        forget(subquery);
    enum err err = grow_entries(subquery, error);
    if (err != OK)
        return err;
    struct subquery_entry *entry = find(subquery, key, hash);
    if (entry->key.data == NULL) {
        err = run(subquery, exec, values, error);
        if (err ==
            OK) /* the slots' texts may lie where the run's rows did, so the key stays ours */
            err = keep(subquery, entry, key, hash, error);
    }
    *out = &entry->rows;
    return err;
}
