/* SQL/JSON paths: text to a tree, and back to text. For query/func. */
#ifndef FRESHET_QUERY_FUNC_JSONPATH_H
#define FRESHET_QUERY_FUNC_JSONPATH_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/numeric.h"

#define JSONPATH_DEPTH_MAX 500
#define JSONPATH_LEVEL_LAST INT32_MAX

/* Predicates from JSONPATH_OR to JSONPATH_EXISTS. */
enum jsonpath_kind {
    JSONPATH_ROOT,
    JSONPATH_CURRENT,
    JSONPATH_LAST,
    JSONPATH_NULL,
    JSONPATH_TRUE,
    JSONPATH_FALSE,
    JSONPATH_NUMBER,
    JSONPATH_STRING,
    JSONPATH_VARIABLE,
    /* steps, each on what came out before it */
    JSONPATH_KEY,
    JSONPATH_ANY_KEY,
    JSONPATH_ANY_ELEMENT,
    JSONPATH_SUBSCRIPT, /* left: the first of a list of JSONPATH_RANGE by `next` */
    JSONPATH_ANY_LEVEL, /* first … last levels down */
    JSONPATH_FILTER,    /* left: a predicate */
    JSONPATH_METHOD,
    JSONPATH_RANGE, /* left, right (NULL: one subscript) */
    /* arithmetic */
    JSONPATH_PLUS, /* of one operand where right is NULL */
    JSONPATH_MINUS,
    JSONPATH_TIMES,
    JSONPATH_DIVIDE,
    JSONPATH_MODULO,
    /* predicates */
    JSONPATH_OR,
    JSONPATH_AND,
    JSONPATH_NOT,
    JSONPATH_IS_UNKNOWN,
    JSONPATH_EQUAL,
    JSONPATH_NOT_EQUAL,
    JSONPATH_LESS,
    JSONPATH_GREATER,
    JSONPATH_LESS_EQUAL,
    JSONPATH_GREATER_EQUAL,
    JSONPATH_STARTS_WITH,
    JSONPATH_LIKE_REGEX, /* text: the pattern, flags */
    JSONPATH_EXISTS
};

enum jsonpath_method {
    METHOD_TYPE,
    METHOD_SIZE,
    METHOD_DOUBLE,
    METHOD_CEILING,
    METHOD_FLOOR,
    METHOD_ABS,
    METHOD_KEYVALUE
};

struct jsonpath_node {
    enum jsonpath_kind kind;
    enum jsonpath_method method;
    struct jsonpath_node *left, *right;
    struct jsonpath_node *next; /* the step after this one */
    struct slice text;          /* key, string, variable, pattern; of a number as it prints */
    const char *flags;          /* of like_regex, as query/func/regex.h takes them */
    struct slice written_flags; /* as they print */
    int32_t first, last;        /* levels */
    void *regex;                /* the evaluator's: the pattern compiled */
    void (*regex_free)(void *state);
};

struct jsonpath {
    bool is_strict;
    struct jsonpath_node *root;
    struct jsonpath_node *patterns; /* of like_regex, linked by `right`, which these do not use */
};

/* Nodes in the arena. 42601, 54001 past JSONPATH_DEPTH_MAX levels. Time is linear in the text. */
MUST_CHECK enum err jsonpath_parse(struct slice text, struct arena *arena, struct jsonpath *out,
                                   struct error *error);
/* As PostgreSQL's output function writes it. */
void jsonpath_print(const struct jsonpath *path, struct writer *out);

const char *jsonpath_operator(enum jsonpath_kind kind);
const char *jsonpath_method_name(enum jsonpath_method method);

static inline bool jsonpath_is_predicate(const struct jsonpath_node *node)
{
    return node->kind >= JSONPATH_OR && node->next == NULL;
}

#endif
