/* ~ ~* !~ !~* on PCRE2, whose types stop here; regex_functions.c has the rest.
 *
 * Options are chosen to be near PostgreSQL's: '.' matches a newline and '^', '$' are the ends of
 * the text. A compiled pattern stays with the call until another pattern comes, so a constant one
 * is compiled once per evaluator; the just-in-time compiler is used where it works. Matching is
 * bounded in steps, depth and memory: a pattern that explodes is 54000, not a hanging query. Memory
 * of the compiled form and of a match is charged to the query (53200). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "query/func/regex.h"

#include <pcre2.h>
#include <string.h>

#define MATCH_STEPS_MAX 2000000
#define MATCH_DEPTH_MAX 100000
#define MATCH_HEAP_KIB 20480
/* A literal pattern takes few options. */
#define LITERAL_EXCLUDES                                                                           \
    ((uint32_t)(PCRE2_DOTALL | PCRE2_MULTILINE | PCRE2_EXTENDED | PCRE2_DOLLAR_ENDONLY))

struct regex {
    struct arena arena;    /* the pattern's text */
    struct budget *budget; /* of the query; NULL: none */
    struct error error;    /* of what it has no room for */
    bool is_full;
    pcre2_general_context *memory;
    pcre2_compile_context *compiling;
    struct slice pattern;
    uint32_t options;
    pcre2_code *code;
    pcre2_match_data *matches;
    pcre2_match_context *context;
};

/* PCRE2's memory is the query's: each piece has its size in front. */
#define PIECE_HEAD 16

static void *take_memory(size_t size, void *context)
{
    struct regex *regex = context;
    size += PIECE_HEAD;
    if (regex->budget != NULL && budget_charge(regex->budget, size, &regex->error) != OK) {
        regex->is_full = true;
        return NULL;
    }
    char *piece = memory_alloc(size);
    memcpy(piece, &size, sizeof(size));
    return piece + PIECE_HEAD;
}

static void give_memory(void *pointer, void *context)
{
    const struct regex *regex = context;
    size_t size;
    if (pointer == NULL)
        return;
    char *piece = (char *)pointer - PIECE_HEAD;
    memcpy(&size, piece, sizeof(size));
    if (regex->budget != NULL)
        budget_release(regex->budget, size);
    memory_free(piece);
}

static void regex_free(void *state)
{
    struct regex *regex = state;
    pcre2_match_data_free(regex->matches);
    pcre2_match_context_free(regex->context);
    pcre2_code_free(regex->code);
    pcre2_compile_context_free(regex->compiling);
    pcre2_general_context_free(regex->memory);
    arena_deinit(&regex->arena);
    memory_free(regex);
}

static enum err no_room(struct call *call, const struct regex *regex)
{
    if (call->error != NULL)
        *call->error = regex->error;
    return ERR_LIMIT;
}

/* The pattern's text and what PCRE2 keeps beside it. */
static enum err regex_create(struct call *call, struct slice pattern, struct regex **out)
{
    struct regex *regex = memory_alloc_zero(sizeof(*regex));
    arena_init(&regex->arena);
    regex->pattern = arena_copy(&regex->arena, pattern);
    regex->budget = call->context->budget;
    regex->memory = pcre2_general_context_create(take_memory, give_memory, regex);
    if (regex->memory != NULL)
        regex->compiling = pcre2_compile_context_create(regex->memory);
    if (regex->compiling != NULL)
        regex->context = pcre2_match_context_create(regex->memory);
    *out = regex;
    if (regex->context == NULL) {
        enum err err = no_room(call, regex);
        regex_free(regex);
        return err;
    }
    pcre2_set_match_limit(regex->context, MATCH_STEPS_MAX);
    pcre2_set_depth_limit(regex->context, MATCH_DEPTH_MAX);
    pcre2_set_heap_limit(regex->context, MATCH_HEAP_KIB);
    return OK;
}

enum err regex_compile(struct call *call, struct slice pattern, uint32_t options,
                       struct regex **out)
{
    struct regex *regex = call->state;
    if (regex != NULL && regex->options == options && slice_equal(regex->pattern, pattern)) {
        *out = regex;
        return OK;
    }
    if (regex != NULL)
        regex_free(regex);
    call->state = NULL;
    enum err err = regex_create(call, pattern, &regex);
    if (err != OK)
        return err;
    int number;
    PCRE2_SIZE offset;
    regex->options = options;
    regex->code =
        pcre2_compile((PCRE2_SPTR)(pattern.size > 0 ? pattern.data : ""), pattern.size,
                      options | PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
                          ((options & PCRE2_LITERAL) != 0 ? 0 : PCRE2_UCP | PCRE2_DOLLAR_ENDONLY),
                      &number, &offset, regex->compiling);
    if (regex->code != NULL)
        regex->matches = pcre2_match_data_create_from_pattern(regex->code, regex->memory);
    if (regex->matches == NULL) {
        char text[256] = "";
        pcre2_get_error_message(number, (PCRE2_UCHAR *)text, sizeof(text));
        err = regex->is_full ? no_room(call, regex)
                             : error_set(call->error, ERR_INPUT, "2201B",
                                         "invalid regular expression: %s", text);
        regex_free(regex);
        return err;
    }
    pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* only faster: it may fail */
    call->state = regex;
    call->state_free = regex_free;
    *out = regex;
    return OK;
}

enum err regex_match(struct call *call, struct regex *regex, struct slice text, size_t start,
                     bool *is_match)
{
    regex->is_full = false;
    int result = pcre2_match(regex->code, (PCRE2_SPTR)(text.size > 0 ? text.data : ""), text.size,
                             start, 0, regex->matches, regex->context);
    *is_match = result >= 0;
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
        return OK;
    if (regex->is_full)
        return no_room(call, regex);
    char reason[256] = "";
    pcre2_get_error_message(result, (PCRE2_UCHAR *)reason, sizeof(reason));
    return error_set(call->error, ERR_LIMIT, "54000", "regular expression failed: %s", reason);
}

/* Group `index` of the last match; data NULL if it took no part. */
struct slice regex_group(const struct regex *regex, struct slice text, uint32_t index)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(regex->matches);
    if (index >= pcre2_get_ovector_count(regex->matches) || offsets[2 * index] == PCRE2_UNSET ||
        offsets[2 * index + 1] < offsets[2 * index])
        return (struct slice){NULL, 0};
    return slice_of(text.data + offsets[2 * index], offsets[2 * index + 1] - offsets[2 * index]);
}

uint32_t regex_group_count(const struct regex *regex)
{
    uint32_t count = 0;
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &count);
    return count;
}

/* --- operators --- */

enum { NEGATED = 1, CASELESS = 2 };

/* What no flags mean. */
uint32_t regex_options_none(void)
{
    return PCRE2_DOTALL;
}

static enum err match_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    int operation = call->function->operation;
    struct regex *regex;
    bool is_match = false;
    uint32_t options = PCRE2_DOTALL | ((operation & CASELESS) != 0 ? PCRE2_CASELESS : 0);
    enum err err = regex_compile(call, a[1].text, options, &regex);
    if (err == OK)
        err = regex_match(call, regex, a[0].text, 0, &is_match);
    out->b = is_match != ((operation & NEGATED) != 0);
    return err;
}

/* --- flags --- */

enum err regex_options(struct call *call, struct slice flags, uint32_t *options, bool *is_global)
{
    *options = PCRE2_DOTALL;
    *is_global = false;
    for (size_t i = 0; i < flags.size; i++) {
        switch (flags.data[i]) {
        case 'g':
            *is_global = true;
            break;
        case 'i':
            *options |= PCRE2_CASELESS;
            break;
        case 'c':
            *options &= ~(uint32_t)PCRE2_CASELESS;
            break;
        case 'n':
        case 'm':
            *options = (*options | PCRE2_MULTILINE) & ~(uint32_t)PCRE2_DOTALL;
            break;
        case 'p':
            *options = *options & ~(uint32_t)(PCRE2_DOTALL | PCRE2_MULTILINE);
            break;
        case 'w':
            *options |= PCRE2_DOTALL | PCRE2_MULTILINE;
            break;
        case 'q':
            *options = (*options | PCRE2_LITERAL) & ~LITERAL_EXCLUDES;
            break;
        case 't':
        case 'e':
            break;
        case 's':
            *options = (*options | PCRE2_DOTALL) & ~(uint32_t)PCRE2_MULTILINE;
            break;
        case 'x':
            *options |= PCRE2_EXTENDED;
            break;
        default:
            return error_set(call->error, ERR_INPUT, "22023",
                             "invalid regular expression option: \"%c\"", flags.data[i]);
        }
    }
    return OK;
}

#define T TYPE_TEXT
#define MATCH(symbol, kind, doc_text)                                                              \
    TEXT_FUNCTION(symbol, 2, LIST(T, T), TYPE_BOOL, kind, match_row, doc_text,                     \
                  "'abc' " symbol " '^a'")

/* clang-format off */
static const struct function functions[] = {
    MATCH("~", 0, "matches the regular expression")
    MATCH("!~", NEGATED, "does not match the regular expression")
    MATCH("~*", CASELESS, "matches whatever the case")
    MATCH("!~*", NEGATED | CASELESS, "does not match whatever the case")
};
/* clang-format on */

const struct function_group functions_regex = {functions, array_count(functions)};
