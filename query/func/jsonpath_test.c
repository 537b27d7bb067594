/* Predicates of SQL/JSON paths, in three values: what cannot be compared, and an error in an
 * operand, is unknown. */
#include "query/func/jsonpath_private.h"

#include "query/func/regex.h"

static enum truth compare(const struct json_value *a, const struct json_value *b,
                          enum jsonpath_kind kind)
{
    struct numeric x, y;
    int order = 0;
    bool a_is_bool = a->kind == JSON_TRUE || a->kind == JSON_FALSE;
    bool b_is_bool = b->kind == JSON_TRUE || b->kind == JSON_FALSE;
    if (a->kind != b->kind && !(a_is_bool && b_is_bool)) {
        if (a->kind == JSON_NULL || b->kind == JSON_NULL)
            return kind == JSONPATH_NOT_EQUAL ? YES : NO;
        return UNKNOWN;
    }
    if (run_is_object(a) || run_is_array(a))
        return UNKNOWN;
    if (a_is_bool)
        order = (a->kind == JSON_TRUE) - (b->kind == JSON_TRUE);
    else if (a->kind == JSON_STRING)
        order = slice_compare(a->text, b->text);
    else if (a->kind == JSON_NUMBER) {
        if (numeric_parse(a->text, &x, NULL) != OK || numeric_parse(b->text, &y, NULL) != OK)
            return UNKNOWN;
        order = numeric_compare(x, y);
    }
    switch (kind) {
    case JSONPATH_EQUAL:
        return order == 0 ? YES : NO;
    case JSONPATH_NOT_EQUAL:
        return order != 0 ? YES : NO;
    case JSONPATH_LESS:
        return order < 0 ? YES : NO;
    case JSONPATH_GREATER:
        return order > 0 ? YES : NO;
    case JSONPATH_LESS_EQUAL:
        return order <= 0 ? YES : NO;
    default:
        return order >= 0 ? YES : NO;
    }
}

static enum truth starts_with(const struct json_value *whole, const struct json_value *prefix)
{
    if (whole->kind != JSON_STRING || prefix->kind != JSON_STRING)
        return UNKNOWN;
    return slice_starts_with(whole->text, prefix->text) ? YES : NO;
}

/* With the node's own state in the place of the call's. */
static enum err compile(struct call *call, struct jsonpath_node *node, struct regex **out)
{
    uint32_t options;
    bool is_global;
    struct call own = *call;
    own.state = node->regex;
    own.state_free = node->regex_free;
    enum err err = regex_options(&own, slice_from_cstr(node->flags), &options, &is_global);
    if (err == OK)
        err = regex_compile(&own, node->text, options, out);
    node->regex = own.state;
    node->regex_free = own.state_free;
    return err;
}

enum err jsonpath_compile(struct jsonpath *path, struct call *call)
{
    struct regex *regex;
    enum err err = OK;
    for (struct jsonpath_node *node = path->patterns; node != NULL && err == OK; node = node->right)
        err = compile(call, node, &regex);
    return err;
}

void jsonpath_release(struct jsonpath *path)
{
    for (struct jsonpath_node *node = path->patterns; node != NULL; node = node->right) {
        if (node->regex != NULL)
            node->regex_free(node->regex);
        node->regex = NULL;
    }
}

static enum truth like_regex(struct run *r, struct jsonpath_node *node,
                             const struct json_value *value)
{
    struct regex *regex;
    bool is_match = false;
    if (value->kind != JSON_STRING)
        return UNKNOWN;
    r->err = compile(r->given->call, node, &regex); /* it is, already */
    if (r->err == OK)
        r->err = regex_match(r->given->call, regex, value->text, 0, &is_match);
    return r->err != OK ? ENDED : is_match ? YES : NO;
}

static enum truth test_pair(struct run *r, struct jsonpath_node *node, const struct json_value *a,
                            const struct json_value *b)
{
    return node->kind == JSONPATH_LIKE_REGEX    ? like_regex(r, node, a)
           : node->kind == JSONPATH_STARTS_WITH ? starts_with(a, b)
                                                : compare(a, b, node->kind);
}

/* Each left value with each right one: in lax mode one that holds is enough. */
static enum truth test_pairs(struct run *r, struct jsonpath_node *node,
                             const struct json_value *value)
{
    struct jsonpath_result left = {0}, right = {0};
    bool has_right = node->kind != JSONPATH_LIKE_REGEX;
    bool is_unknown = false, is_found = false;
    enum status status = run_values_quietly(r, node->left, value, true, &left);
    if (has_right && (status == FOUND || status == MISSING))
        status =
            run_values_quietly(r, node->right, value, node->kind != JSONPATH_STARTS_WITH, &right);
    if (status == FAILED || status == STOPPED)
        return status == FAILED ? UNKNOWN : ENDED;
    for (size_t i = 0; i < left.count; i++) {
        for (size_t k = 0; k < (has_right ? right.count : 1); k++) {
            enum truth one = run_is_out_of_time(r) ? ENDED
                                                   : test_pair(r, node, left.items[i],
                                                               has_right ? right.items[k] : NULL);
            if (one == ENDED || (one == UNKNOWN && !run_is_lax(r)) || (one == YES && run_is_lax(r)))
                return one;
            is_unknown = is_unknown || one == UNKNOWN;
            is_found = is_found || one == YES;
        }
    }
    return is_found ? YES : is_unknown ? UNKNOWN : NO;
}

static enum truth exists(struct run *r, struct jsonpath_node *node, const struct json_value *value)
{
    struct jsonpath_result found = {0};
    enum status status =
        run_values_quietly(r, node->left, value, false, run_is_lax(r) ? NULL : &found);
    if (status == FAILED || status == STOPPED)
        return status == FAILED ? UNKNOWN : ENDED;
    return (run_is_lax(r) ? status == FOUND : found.count > 0) ? YES : NO;
}

enum truth run_decide(struct run *r, struct jsonpath_node *node, const struct json_value *value)
{
    if (run_is_out_of_time(r))
        return ENDED;
    enum truth left, right;
    switch (node->kind) {
    case JSONPATH_AND:
    case JSONPATH_OR:
        left = run_decide(r, node->left, value);
        if (left == ENDED || left == (node->kind == JSONPATH_AND ? NO : YES))
            return left;
        right = run_decide(r, node->right, value);
        if (right == ENDED)
            return right;
        return right == (node->kind == JSONPATH_AND ? YES : NO) ? left : right;
    case JSONPATH_NOT:
        left = run_decide(r, node->left, value);
        return left == YES ? NO : left == NO ? YES : left;
    case JSONPATH_IS_UNKNOWN:
        left = run_decide(r, node->left, value);
        return left == ENDED ? left : left == UNKNOWN ? YES : NO;
    case JSONPATH_EXISTS:
        return exists(r, node, value);
    default:
        return test_pairs(r, node, value);
    }
}
