/* Overload resolution, the steps of PostgreSQL's "Type Conversion" chapter in their order:
 *
 *   1  an exact match wins; for an operator with one unknown side, that side is first taken to be
 * the other's type 2  candidates whose arguments the inputs can become implicitly 3  most exact
 * matches          4  most exact or preferred types 5  unknown inputs: a category for each position
 * (string if some candidate takes one), then the preferred type in it 6  if all known inputs have
 * one type, unknowns are taken to be of it too
 *
 * Each step keeps the best candidates only and stops when one is left. */
#include "query/expr/resolve.h"

#include <string.h>

#define CANDIDATES_MAX 128

char type_category(enum type_id type)
{
    switch ((int)type) {
    case TYPE_UNKNOWN:
        return 'X';
    case TYPE_BOOL:
        return 'B';
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
        return 'N';
    case TYPE_TEXT:
    case TYPE_VARCHAR:
        return 'S';
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
        return 'D';
    case TYPE_INTERVAL:
        return 'T';
    case TYPE_ANY:
    case TYPE_ANY_NONARRAY:
        return 'P';
    default:
        return type_is_array(type) ? 'A' : 'U';
    }
}

bool type_is_preferred(enum type_id type)
{
    return type == TYPE_BOOL || type == TYPE_FLOAT8 || type == TYPE_TEXT ||
           type == TYPE_TIMESTAMPTZ || type == TYPE_INTERVAL;
}

bool type_can_become(enum type_id from, enum type_id to)
{
    if ((int)to == TYPE_ANY)
        return true;
    if ((int)to == TYPE_ANY_NONARRAY)
        return type_category(from) != 'A';
    return cast_exists(from, to, CAST_IMPLICIT);
}

static bool takes_count(const struct function *function, size_t count)
{
    return function->is_variadic ? count > function->argument_count
                                 : count == function->argument_count;
}

const struct function *resolve_exact(struct slice name, const enum type_id *types, size_t count)
{
    for (const struct function *f = function_next(name, NULL); f != NULL;
         f = function_next(name, f)) {
        bool is_match = f->argument_count == count && !f->is_variadic;
        for (size_t i = 0; i < count && is_match; i++)
            is_match = f->arguments[i] == types[i];
        if (is_match)
            return f;
    }
    return NULL;
}

/* array || element: a literal on the array's side is text first, as PostgreSQL has it. */
static bool is_array_beside_element(const struct function *function, const enum type_id *types,
                                    size_t index)
{
    return strcmp(function->name, "||") == 0 && types[index] == TYPE_UNKNOWN &&
           type_category((enum type_id)function->arguments[index]) == 'A' &&
           function->arguments[0] != function->arguments[1];
}

struct candidates {
    const struct function *items[CANDIDATES_MAX];
    size_t count;
};

static struct candidates find_candidates(struct slice name, const enum type_id *types, size_t count)
{
    struct candidates found = {.count = 0};
    for (const struct function *f = function_next(name, NULL); f != NULL;
         f = function_next(name, f)) {
        bool is_match = takes_count(f, count);
        for (size_t i = 0; i < count && is_match; i++)
            is_match = type_can_become(types[i], function_argument(f, i)) &&
                       !is_array_beside_element(f, types, i);
        if (is_match && found.count < CANDIDATES_MAX)
            found.items[found.count++] = f;
    }
    return found;
}

/* Keeps the candidates with the highest number of matches. */
static void keep_best(struct candidates *candidates, const enum type_id *types, size_t count,
                      bool with_preferred)
{
    size_t best = 0, kept = 0;
    for (size_t c = 0; c < candidates->count; c++) {
        size_t matches = 0;
        for (size_t i = 0; i < count; i++) {
            enum type_id type = function_argument(candidates->items[c], i);
            if (types[i] == TYPE_UNKNOWN)
                continue;
            if (type == types[i] ||
                (with_preferred && type_category(type) == type_category(types[i]) &&
                 type_is_preferred(type)))
                matches++;
        }
        if (matches > best || c == 0) {
            best = matches;
            kept = 0;
        }
        if (matches == best)
            candidates->items[kept++] = candidates->items[c];
    }
    candidates->count = kept;
}

/* The category unknown inputs at `index` take, 0 if the candidates disagree; *has_preferred if one
 * of them declares the category's preferred type there. */
static char unknown_category(const struct candidates *candidates, size_t index, bool *has_preferred)
{
    char category = 0;
    bool is_conflict = false;
    *has_preferred = false;
    for (size_t c = 0; c < candidates->count; c++) {
        enum type_id type = function_argument(candidates->items[c], index);
        char own = type_category(type);
        if (category == 0) {
            category = own;
            *has_preferred = type_is_preferred(type);
        } else if (own == category) {
            *has_preferred |= type_is_preferred(type);
        } else if (own == 'S') {
            category = 'S';
            is_conflict = false;
            *has_preferred = type_is_preferred(type);
        } else if (category != 'S') {
            is_conflict = true;
        }
    }
    return is_conflict ? 0 : category;
}

static void keep_by_category(struct candidates *candidates, const enum type_id *types, size_t count)
{
    char categories[FUNCTION_ARGUMENTS_MAX + 1] = {0};
    bool preferred[FUNCTION_ARGUMENTS_MAX + 1] = {false};
    size_t checked = count < FUNCTION_ARGUMENTS_MAX ? count : FUNCTION_ARGUMENTS_MAX;
    for (size_t i = 0; i < checked; i++) {
        if (types[i] != TYPE_UNKNOWN)
            continue;
        categories[i] = unknown_category(candidates, i, &preferred[i]);
        if (categories[i] == 0)
            return;
    }
    struct candidates kept = {.count = 0};
    for (size_t c = 0; c < candidates->count; c++) {
        bool keep = true;
        for (size_t i = 0; i < checked && keep; i++) {
            if (types[i] != TYPE_UNKNOWN)
                continue;
            enum type_id type = function_argument(candidates->items[c], i);
            keep =
                type_category(type) == categories[i] && (!preferred[i] || type_is_preferred(type));
        }
        if (keep)
            kept.items[kept.count++] = candidates->items[c];
    }
    if (kept.count > 0)
        *candidates = kept;
}

/* The last resort: all known inputs have one type, so the unknown ones are taken to be of it. */
static const struct function *by_one_type(const struct candidates *candidates,
                                          const enum type_id *types, size_t count)
{
    enum type_id known = TYPE_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        if (types[i] == TYPE_UNKNOWN)
            continue;
        if (known != TYPE_UNKNOWN && known != types[i])
            return NULL;
        known = types[i];
    }
    if (known == TYPE_UNKNOWN)
        return NULL;
    const struct function *only = NULL;
    for (size_t c = 0; c < candidates->count; c++) {
        bool is_match = true;
        for (size_t i = 0; i < count && is_match; i++)
            is_match = type_can_become(known, function_argument(candidates->items[c], i));
        if (is_match && only != NULL)
            return NULL;
        if (is_match)
            only = candidates->items[c];
    }
    return only;
}

enum resolution resolve_function(struct slice name, const enum type_id *types, size_t count,
                                 bool is_operator, const struct function **out)
{
    bool has_unknown = false;
    for (size_t i = 0; i < count; i++)
        has_unknown |= types[i] == TYPE_UNKNOWN;
    if (is_operator && count == 2 && (types[0] == TYPE_UNKNOWN) != (types[1] == TYPE_UNKNOWN)) {
        enum type_id known = types[0] == TYPE_UNKNOWN ? types[1] : types[0];
        enum type_id assumed[2] = {known, known};
        *out = resolve_exact(name, assumed, 2);
        if (*out != NULL)
            return RESOLVED;
    }
    *out = resolve_exact(name, types, count);
    if (*out != NULL)
        return RESOLVED;
    struct candidates candidates = find_candidates(name, types, count);
    if (candidates.count == 0)
        return RESOLVE_NONE;
    if (candidates.count > 1)
        keep_best(&candidates, types, count, false);
    if (candidates.count > 1)
        keep_best(&candidates, types, count, true);
    if (candidates.count > 1 && has_unknown) {
        keep_by_category(&candidates, types, count);
        if (candidates.count > 1) {
            const struct function *only = by_one_type(&candidates, types, count);
            if (only != NULL) {
                candidates.items[0] = only;
                candidates.count = 1;
            }
        }
    }
    *out = candidates.items[0];
    return candidates.count == 1 ? RESOLVED : RESOLVE_AMBIGUOUS;
}
