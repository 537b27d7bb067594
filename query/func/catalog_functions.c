/* The functions as pg_proc tells of them, made on demand from the tables that calls are looked up
 * in, so that nothing is in the one and not in the other. A function's number is OID_FUNCTION_FIRST
 * and its place: all groups of plain functions one after the other (operators and what only syntax
 * calls keep their places and have no row), then aggregates, window functions, functions that give
 * rows, and those that are one of these over a plain function. It lasts as long as the program.
 *
 * Where one descriptor takes several numbers of arguments, each has a row, as PostgreSQL has one.
 */
#include "query/func/aggregate.h"
#include "query/func/catalog.h"
#include "query/func/func.h"
#include "query/func/over.h"
#include "query/func/series.h"
#include "query/func/text.h"

#include <assert.h>
#include <string.h>

/* --- one descriptor to one row --- */

static uint16_t type_number(uint8_t type)
{
    return (uint16_t)catalog_type_oid((enum type_id)type);
}

static uint16_t plain_type(uint8_t type)
{
    return type == TYPE_ANY            ? OID_ANYELEMENT
           : type == TYPE_ANY_NONARRAY ? OID_ANYNONARRAY
                                       : type_number(type);
}

static void add_argument(struct catalog_function *out, uint16_t type)
{
    assert(out->argument_count < CATALOG_ARGUMENTS_MAX);
    out->arguments[out->argument_count++] = type;
}

/* Any number of that type, the array of which is the argument; "any" has none. */
static void add_variadic(struct catalog_function *out, uint16_t type)
{
    out->variadic = type;
    add_argument(out, type == OID_ANY ? OID_ANY : catalog_type_by_oid(type)->array);
}

/* "_" begins the names of what only syntax calls, "_pg_" those of information_schema. */
static bool is_hidden(const char *name)
{
    return name[0] == '_' && (strncmp(name, "_pg_", 4) != 0 || strncmp(name, "_pg_field", 9) == 0);
}

static void tell_plain(const struct function *function, struct catalog_function *out)
{
    static const char letters[] = {[IMMUTABLE] = 'i', [STABLE] = 's', [VOLATILE] = 'v'};
    if (function_is_operator(function) || is_hidden(function->name))
        return;
    *out = (struct catalog_function){
        .oid = out->oid,
        .name = function->name,
        .doc = function->doc,
        .kind = 'f',
        .volatility = letters[function->volatility],
        .is_strict = !function->is_null_tolerant,
        .result = plain_type(function->result),
    };
    for (size_t index = 0; index < function->argument_count; index++)
        add_argument(out, plain_type(function->arguments[index]));
    if (function->is_variadic)
        add_variadic(out, function->variadic != 0 ? type_number(function->variadic) : OID_ANY);
}

static uint16_t aggregate_type(uint8_t type, bool is_polymorphic)
{
    if (type == AGGREGATE_ANY)
        return is_polymorphic ? OID_ANYELEMENT : OID_ANY;
    return type_number(type);
}

static void aggregate_arguments(const struct aggregate *aggregate, struct catalog_function *out)
{
    bool is_polymorphic =
        aggregate->result == AGGREGATE_SAME || aggregate->result == AGGREGATE_ARRAY;
    uint16_t types[AGGREGATE_DIRECT_MAX + 1 + array_count(aggregate->more)];
    size_t count = 0;
    while (count < AGGREGATE_DIRECT_MAX && aggregate->direct[count] != 0)
        types[count] = type_number(aggregate->direct[count]), count++;
    out->direct = (uint8_t)count;
    if (aggregate->argument != AGGREGATE_NONE)
        types[count++] = aggregate_type(aggregate->argument, is_polymorphic);
    for (size_t index = 0; index < array_count(aggregate->more) && aggregate->more[index] != 0;
         index++)
        types[count++] = aggregate_type(aggregate->more[index], false);
    for (size_t index = 0; index < count; index++) {
        if (aggregate->is_variadic && index + 1 == count)
            add_variadic(out, types[index]);
        else
            add_argument(out, types[index]);
    }
}

static uint16_t aggregate_result(const struct aggregate *aggregate)
{
    bool is_any = aggregate->argument == AGGREGATE_ANY;
    if (aggregate->result == AGGREGATE_SAME)
        return is_any ? OID_ANYELEMENT : type_number(aggregate->argument);
    if (aggregate->result == AGGREGATE_ARRAY)
        return is_any ? OID_ANYARRAY
                      : type_number((uint8_t)type_array_of((enum type_id)aggregate->argument));
    return type_number(aggregate->result);
}

static void tell_aggregate(const struct aggregate *aggregate, struct catalog_function *out)
{
    *out = (struct catalog_function){
        .oid = out->oid,
        .name = aggregate->name,
        .doc = aggregate->doc,
        .kind = 'a',
        .volatility = 'i',
        .is_ordered_set = aggregate->is_ordered_set,
        .is_hypothetical = aggregate->is_hypothetical,
        .result = aggregate_result(aggregate),
    };
    /* Its own arguments are made of the keys: a call has values and as many keys. */
    if (aggregate->is_hypothetical)
        add_variadic(out, OID_ANY);
    else
        aggregate_arguments(aggregate, out);
}

static void tell_over(const struct over_function *function, size_t count,
                      struct catalog_function *out)
{
    *out = (struct catalog_function){
        .oid = out->oid,
        .name = function->name,
        .doc = function->doc,
        .kind = 'w',
        .volatility = 'i',
        .result = function->result == OVER_SAME ? OID_ANYELEMENT : type_number(function->result),
    };
    for (size_t index = 0; index < count; index++)
        add_argument(out, index == 1 || function->kind == OVER_NTILE ? type_number(TYPE_INT4)
                                                                     : OID_ANYELEMENT);
}

static void tell_series(const struct series_function *function, size_t count,
                        struct catalog_function *out)
{
    if (is_hidden(function->name))
        return;
    bool has_zone = false;
    for (size_t index = 0; index < count; index++)
        has_zone |= function->arguments[index] == TYPE_TIMESTAMPTZ;
    *out = (struct catalog_function){
        .oid = out->oid,
        .name = function->name,
        .doc = function->doc,
        .kind = 'f',
        .volatility = has_zone || count == 0 ? 's' : 'i',
        .is_strict = true,
        .gives_set = true,
        .result = function->column_count == 1 ? type_number(function->columns[0]) : OID_RECORD,
    };
    for (size_t index = 0; index < count; index++)
        add_argument(out, type_number(function->arguments[index]));
    bool is_named = function->column_count > 0 && function->names[0] != NULL;
    for (size_t index = 0; is_named && index < function->column_count; index++) {
        out->outs[out->out_count] = type_number(function->columns[index]);
        out->out_names[out->out_count++] = function->names[index];
    }
}

static void tell_over_array(const struct series_over_array *over, const struct function *array,
                            struct catalog_function *out)
{
    const struct series_function *series = series_find(slice_from_cstr(over->series), NULL);
    while (series != NULL && series->arguments[0] != array->result)
        series = series_find(slice_from_cstr(over->series), series + 1);
    if (series == NULL)
        return;
    struct function plain = *array;
    plain.name = over->name;
    tell_plain(&plain, out);
    out->gives_set = true;
    out->result = type_number(series->columns[0]);
}

/* --- places --- */

/* The descriptor at *place of a table whose descriptors take so many forms; else *place is what is
 * left of it. */
static bool passes(size_t *place, size_t count)
{
    if (*place < count)
        return false;
    *place -= count;
    return true;
}

static bool plain_at(size_t *place, struct catalog_function *out)
{
    const struct function_group *functions;
    for (size_t g = 0; (functions = function_table(g)) != NULL; g++)
        if (!passes(place, functions->count))
            return tell_plain(&functions->functions[*place], out), true;
    const struct aggregate_group *aggregates;
    for (size_t g = 0; (aggregates = aggregate_table(g)) != NULL; g++)
        if (!passes(place, aggregates->count))
            return tell_aggregate(&aggregates->aggregates[*place], out), true;
    return false;
}

static bool rows_at(size_t *place, struct catalog_function *out)
{
    for (size_t index = 0; index < over_function_count; index++) {
        const struct over_function *function = &over_functions[index];
        if (!passes(place, (size_t)(function->argument_max - function->argument_min) + 1))
            return tell_over(function, function->argument_min + *place, out), true;
    }
    for (size_t index = 0; index < series_function_count; index++) {
        const struct series_function *function = &series_functions[index];
        if (series_over_array_find(slice_from_cstr(function->name)) != NULL)
            continue;
        if (!passes(place, (size_t)(function->argument_max - function->argument_min) + 1))
            return tell_series(function, function->argument_min + *place, out), true;
    }
    for (size_t index = 0; index < series_over_array_count; index++) {
        const struct series_over_array *over = &series_over_arrays[index];
        const struct function *array = NULL;
        while ((array = function_next(slice_from_cstr(over->array), array)) != NULL)
            if (!passes(place, 1))
                return tell_over_array(over, array, out), true;
    }
    return false;
}

bool catalog_function_at(size_t place, struct catalog_function *out)
{
    *out = (struct catalog_function){.oid = OID_FUNCTION_FIRST + (int64_t)place};
    return plain_at(&place, out) || rows_at(&place, out);
}

bool catalog_function_by_oid(int64_t oid, struct catalog_function *out)
{
    return oid >= OID_FUNCTION_FIRST && oid < OID_FUNCTION_END &&
           catalog_function_at((size_t)(oid - OID_FUNCTION_FIRST), out) && out->name != NULL;
}

/* --- as text --- */

static void print_arguments(const struct catalog_function *function, bool has_outs,
                            struct writer *out)
{
    for (size_t index = 0; index < function->argument_count; index++) {
        bool is_first_key =
            function->is_ordered_set && !function->is_hypothetical && index == function->direct;
        if (index > 0)
            writer_cstr(out, is_first_key ? " " : ", ");
        if (is_first_key)
            writer_cstr(out, "ORDER BY ");
        if (function->variadic != 0 && index + 1 == function->argument_count)
            writer_cstr(out, "VARIADIC ");
        catalog_type_print(function->arguments[index], -1, out);
    }
    if (function->is_hypothetical)
        writer_cstr(out, " ORDER BY VARIADIC \"any\"");
    for (size_t index = 0; has_outs && index < function->out_count; index++) {
        writer_printf(out, "%sOUT %s ", function->argument_count + index > 0 ? ", " : "",
                      function->out_names[index]);
        catalog_type_print(function->outs[index], -1, out);
    }
}

enum text_of { TEXT_ARGUMENTS, TEXT_IDENTITY, TEXT_RESULT };

static enum err function_text_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    (void)count;
    struct catalog_function function;
    out->is_null = !catalog_function_by_oid(a[0].i, &function);
    if (out->is_null)
        return OK;
    struct writer writer;
    writer_init(&writer);
    if (call->function->operation == TEXT_RESULT) {
        writer_cstr(&writer, function.gives_set ? "SETOF " : "");
        catalog_type_print(function.result, -1, &writer);
    } else {
        print_arguments(&function, call->function->operation == TEXT_ARGUMENTS, &writer);
    }
    out->text = arena_copy(call->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return OK;
}

#define TEXT(name_text, kind, doc_text)                                                            \
    {.name = name_text,                                                                            \
     .argument_count = 1,                                                                          \
     .arguments = {TYPE_INT8},                                                                     \
     .result = TYPE_TEXT,                                                                          \
     .operation = kind,                                                                            \
     .volatility = STABLE,                                                                         \
     .row = function_text_row,                                                                     \
     .doc = doc_text,                                                                              \
     .example = name_text "(8000)"},

static const struct function functions[] = {
    TEXT("pg_get_function_arguments", TEXT_ARGUMENTS, "what a function takes") TEXT(
        "pg_get_function_identity_arguments", TEXT_IDENTITY, "what a function is told apart by")
        TEXT("pg_get_function_result", TEXT_RESULT, "what a function gives")};

const struct function_group functions_catalog_functions = {functions, array_count(functions)};
