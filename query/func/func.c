/* The list of function groups, in the order they are searched. A lookup walks a few hundred
 * descriptors and compares names: some microseconds, once per call in a statement that is not yet
 * cached. */
#include "query/func/func.h"

#include "storage/base/clock.h"
#include "storage/base/worker.h"

#include <ctype.h>
#include <stdatomic.h>
#include <string.h>

static const struct function_group *const groups[] = {
    &functions_compare,
    &functions_arith,
    &functions_bits,
    &functions_math,
    &functions_math_numeric,
    &functions_text,
    &functions_misc,
    &functions_bytea,
    &functions_pattern,
    &functions_regex,
    &functions_regex_functions,
    &functions_format_time,
    &functions_format_number,
    &functions_format_number_parse,
    &functions_format_parse,
    &functions_jsonb,
    &functions_jsonpath,
    &functions_json_array,
    &functions_array_elements,
    &functions_quote,
    &functions_sha,
    &functions_width_bucket,
    &functions_math_degrees,
    &functions_math_exact,
    &functions_bytes,
    &functions_unicode,
    &functions_time_parts,
    &functions_time,
    &functions_extract,
    &functions_time_arith,
    &functions_json,
    &functions_array,
    &functions_catalog,
    &functions_catalog_rights,
    &functions_catalog_functions,
};

const struct function_group *function_table(size_t index)
{
    return index < array_count(groups) ? groups[index] : NULL;
}

static bool is_named(const struct function *function, struct slice name)
{
    return strlen(function->name) == name.size && memcmp(function->name, name.data, name.size) == 0;
}

const struct function *function_next(struct slice name, const struct function *last)
{
    bool is_past = last == NULL;
    for (size_t g = 0; g < array_count(groups); g++) {
        const struct function *functions = groups[g]->functions;
        size_t first = 0;
        if (!is_past) {
            if (last < functions || last >= functions + groups[g]->count)
                continue;
            first = (size_t)(last - functions) + 1;
            is_past = true;
        }
        for (size_t i = first; i < groups[g]->count; i++) {
            if (is_named(&functions[i], name))
                return &functions[i];
        }
    }
    return NULL;
}

static bool is_set(const _Atomic bool *flag)
{
    return flag != NULL && atomic_load_explicit(flag, memory_order_relaxed);
}

enum err context_look(const struct eval_context *context, struct error *error)
{
    /* Only what can be cancelled is a query under way; ingest and planning keep their turn. */
    if (context->is_cancelled != NULL)
        worker_yield();
    if (is_set(context->is_cancelled) || is_set(context->is_client_gone))
        return error_set(error, ERR_CANCELLED, "57014", "canceling statement due to user request");
    if (context->deadline_us != 0 && clock_monotonic_us() >= context->deadline_us)
        return error_set(error, ERR_TIMEOUT, "57014",
                         "canceling statement due to statement timeout");
    return OK;
}

enum err call_look(struct call *call)
{
    return context_look(call->context, call->error);
}

enum err labour_look(struct labour *labour)
{
    struct budget *budget = labour->call->context->budget;
    labour->done = 0;
    if (labour->writer != NULL && budget != NULL && labour->writer->capacity > labour->charged) {
        size_t grown = labour->writer->capacity - labour->charged;
        enum err err = budget_charge(budget, grown, labour->call->error);
        if (err != OK)
            return err;
        labour->charged += grown;
    }
    return call_look(labour->call);
}

void labour_end(struct labour *labour)
{
    if (labour->charged > 0)
        budget_release(labour->call->context->budget, labour->charged);
    labour->charged = 0;
}

enum err call_bad_array(struct call *call)
{
    return error_set(call->error, ERR_CORRUPT, NULL, "an array value is malformed");
}

enum err call_array(struct call *call, size_t count, size_t size, void **out)
{
    struct budget *budget = call->context->budget;
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX / 2;
    enum err err = budget == NULL ? OK : budget_charge(budget, bytes, call->error);
    if (err != OK)
        return err;
    if (budget != NULL)
        budget_release(budget, bytes);
    *out = arena_alloc_array(call->arena, count, size);
    return OK;
}

bool function_is_operator(const struct function *function)
{
    return !isalpha((unsigned char)function->name[0]) && function->name[0] != '_';
}
