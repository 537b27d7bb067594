/* What names mean in one query: the columns its FROM gives, in the order of the plan below. */
#include "query/sql/bind.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum err bind_error(struct binder *b, int32_t position, const char *sqlstate, const char *format,
                    ...)
{
    char text[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set(b->error, ERR_INPUT, sqlstate, "%s", text);
    b->error->text_position = position;
    return ERR_INPUT;
}

enum err bind_unsupported(struct binder *b, int32_t position, const char *what)
{
    error_set(b->error, ERR_UNSUPPORTED, "0A000", "%s is not supported", what);
    b->error->text_position = position;
    return ERR_UNSUPPORTED;
}

void *bind_grow(struct arena *arena, void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity == 0 ? 8 : *capacity * 2;
    void *grown = arena_alloc_array(arena, wanted, size);
    if (count > 0)
        memcpy(grown, array, count * size);
    *capacity = wanted;
    return grown;
}

void scope_add_column(struct binder *b, struct scope *scope, const struct scope_column *column)
{
    scope->columns = bind_grow(b->arena, scope->columns, scope->column_count,
                               &scope->column_capacity, sizeof(*scope->columns));
    scope->columns[scope->column_count++] = *column;
}

void scope_add_merged(struct binder *b, struct scope *scope, const struct scope_merged *merged)
{
    scope->merged = bind_grow(b->arena, scope->merged, scope->merged_count, &scope->merged_capacity,
                              sizeof(*scope->merged));
    scope->merged[scope->merged_count++] = *merged;
}

enum err scope_add_relation(struct binder *b, struct scope *scope, struct slice schema,
                            struct slice name, int32_t position)
{
    for (size_t index = 0; index < scope->relation_count; index++)
        if (slice_equal(scope->relations[index].name, name) &&
            slice_equal(scope->relations[index].schema, schema))
            return bind_error(b, position, "42712", "table name \"%.*s\" specified more than once",
                              SLICE_ARGS(name));
    scope->relations = bind_grow(b->arena, scope->relations, scope->relation_count,
                                 &scope->relation_capacity, sizeof(*scope->relations));
    scope->relations[scope->relation_count++] =
        (struct scope_relation){.schema = schema, .name = name};
    return OK;
}

bool scope_column_matches(const struct scope_column *column, const struct slice *qualifier,
                          size_t count)
{
    if (count > 0 && !slice_equal(column->table, qualifier[count - 1]))
        return false;
    return count < 2 || slice_equal(column->schema, qualifier[0]);
}

size_t scope_find_name(const struct scope *scope, struct slice name, uint32_t *column)
{
    size_t found = 0;
    for (size_t index = 0; index < scope->merged_count; index++) {
        if (!slice_equal(scope->merged[index].name, name))
            continue;
        *column = scope->merged[index].column;
        found++;
    }
    for (uint32_t index = 0; index < scope->column_count; index++) {
        if (scope->columns[index].is_merged || !slice_equal(scope->columns[index].name, name))
            continue;
        *column = index;
        found++;
    }
    return found;
}

size_t scope_star(const struct scope *scope, uint32_t *out)
{
    size_t count = 0;
    for (uint32_t index = 0; index < scope->column_count; index++) {
        for (size_t merged = 0; merged < scope->merged_count; merged++)
            if (scope->merged[merged].first == index)
                out[count++] = scope->merged[merged].column;
        if (!scope->columns[index].is_merged && !scope->columns[index].is_hidden)
            out[count++] = index;
    }
    return count;
}

/* Matches found; the last in *column. */
static size_t find_column(const struct scope *scope, const struct ast_node *node, uint32_t *column)
{
    size_t found = 0;
    struct slice name = node->fields[node->field_count - 1];
    if (node->field_count == 1)
        return scope_find_name(scope, name, column);
    for (size_t index = 0; index < scope->column_count; index++) {
        if (!slice_equal(scope->columns[index].name, name) ||
            !scope_column_matches(&scope->columns[index], node->fields, node->field_count - 1))
            continue;
        *column = (uint32_t)index;
        found++;
    }
    return found;
}

bool scope_has_column(const struct scope *scope, struct slice name)
{
    uint32_t column;
    return scope_find_name(scope, name, &column) > 0;
}

static bool has_relation(const struct scope *scope, const struct slice *qualifier, size_t count)
{
    for (size_t index = 0; index < scope->relation_count; index++)
        if (slice_equal(scope->relations[index].name, qualifier[count - 1]) &&
            (count < 2 || slice_equal(scope->relations[index].schema, qualifier[0])))
            return true;
    return false;
}

/* Edits from a to b, at most `limit` + 1. */
static size_t distance(struct slice a, struct slice b, size_t limit)
{
    size_t row[IDENTIFIER_SIZE_MAX + 2];
    if (a.size > IDENTIFIER_SIZE_MAX || b.size > IDENTIFIER_SIZE_MAX ||
        (a.size > b.size ? a.size - b.size : b.size - a.size) > limit)
        return limit + 1;
    for (size_t j = 0; j <= b.size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t change = diagonal + ((a.data[i - 1] | 0x20) != (b.data[j - 1] | 0x20));
            diagonal = row[j];
            size_t step = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < step ? change : step;
        }
    }
    return row[b.size];
}

static void hint_near(struct binder *b, const struct scope *scope, struct slice name)
{
    size_t best = name.size / 3 + 1;
    const struct scope_column *near = NULL;
    for (size_t index = 0; index < scope->column_count; index++) {
        size_t edits = distance(name, scope->columns[index].name, 3);
        if (edits <= 3 && edits < best + (near == NULL)) {
            best = edits;
            near = &scope->columns[index];
        }
    }
    if (near != NULL && near->table.size > 0)
        error_hint(b->error, "Perhaps you meant to reference the column \"%.*s.%.*s\".",
                   SLICE_ARGS(near->table), SLICE_ARGS(near->name));
    else if (near != NULL)
        error_hint(b->error, "Perhaps you meant to reference the column \"%.*s\".",
                   SLICE_ARGS(near->name));
}

static enum err unknown_column(struct binder *b, const struct scope *scope,
                               const struct ast_node *node)
{
    struct slice name = node->fields[node->field_count - 1];
    if (node->field_count > 1 && !has_relation(scope, node->fields, node->field_count - 1)) {
        struct slice table = node->fields[node->field_count - 2];
        return bind_error(b, node->position, "42P01",
                          "missing FROM-clause entry for table \"%.*s\"", SLICE_ARGS(table));
    }
    if (node->field_count == 1 && has_relation(scope, node->fields, 1))
        return bind_unsupported(b, node->position, "a whole row as a value");
    if (node->field_count > 1) {
        struct slice table = node->fields[node->field_count - 2];
        bind_error(b, node->position, "42703", "column %.*s.%.*s does not exist", SLICE_ARGS(table),
                   SLICE_ARGS(name));
    } else {
        bind_error(b, node->position, "42703", "column \"%.*s\" does not exist", SLICE_ARGS(name));
    }
    hint_near(b, scope, name);
    return ERR_INPUT;
}

enum err scope_resolve(struct binder *b, const struct scope *scope, const struct ast_node *node,
                       uint32_t *column)
{
    size_t found = find_column(scope, node, column);
    if (found == 1)
        return OK;
    if (found > 1)
        return bind_error(b, node->position, "42702", "column reference \"%.*s\" is ambiguous",
                          SLICE_ARGS(node->fields[node->field_count - 1]));
    return unknown_column(b, scope, node);
}

/* --- names of the queries around --- */

static bool is_of_relation(const struct scope *scope, const struct ast_node *node)
{
    return node->field_count > 1 && has_relation(scope, node->fields, node->field_count - 1);
}

struct expr *scope_cross(struct binder *b, struct correlation *correlation, struct expr *expr)
{
    size_t index = 0;
    while (index < correlation->count && !expr_equal(correlation->arguments[index], expr))
        index++;
    if (index == correlation->count) {
        correlation->arguments = bind_grow(b->arena, correlation->arguments, index,
                                           &correlation->capacity, sizeof(struct expr *));
        correlation->slots = bind_grow(b->arena, correlation->slots, index,
                                       &correlation->slot_capacity, sizeof(uint32_t));
        correlation->arguments[index] = expr;
        correlation->slots[index] = b->statement->slot_count++;
        correlation->count++;
    }
    correlation->uses++;
    struct expr *outer = arena_alloc_zero(b->arena, sizeof(*outer));
    outer->kind = EXPR_OUTER;
    outer->type = expr->type;
    outer->text_position = expr->text_position;
    outer->parameter = correlation->slots[index];
    return outer;
}

/* *out stays NULL if nobody around has the name. */
static enum err find_around(struct binder *b, const struct scope *border,
                            const struct ast_node *node, struct expr **out)
{
    struct correlation *correlation = border->correlation;
    struct scope *around = correlation->around;
    uint32_t column;
    size_t found = find_column(around, node, &column);
    enum err result = OK;
    *out = NULL;
    if (found > 1)
        return bind_error(b, node->position, "42702", "column reference \"%.*s\" is ambiguous",
                          SLICE_ARGS(node->fields[node->field_count - 1]));
    if (found == 1 && correlation->is_refused)
        return bind_error(b, node->position, "42P10",
                          "invalid reference to FROM-clause entry for table \"%.*s\": the "
                          "combining JOIN type must be INNER or LEFT for a LATERAL reference",
                          SLICE_ARGS(around->columns[column].table));
    if (found == 1)
        *out = build_column(&b->build, column, around->columns[column].type, node->position);
    else if (is_of_relation(around, node))
        return unknown_column(b, around, node);
    else if (correlation->beyond != NULL)
        result = find_around(b, correlation->beyond, node, out);
    if (result == OK && *out != NULL)
        *out = scope_cross(b, correlation, *out);
    return result;
}

enum err scope_find(struct binder *b, const struct scope *scope, const struct ast_node *node,
                    struct expr **out)
{
    uint32_t column = 0;
    size_t found = find_column(scope, node, &column);
    if (found == 0 && !is_of_relation(scope, node) && scope->outer != NULL) {
        enum err result = find_around(b, scope->outer, node, out);
        if (result != OK || *out != NULL)
            return result;
    }
    enum err result = scope_resolve(b, scope, node, &column);
    if (result == OK)
        *out = build_column(&b->build, column, scope->columns[column].type, node->position);
    return result;
}
