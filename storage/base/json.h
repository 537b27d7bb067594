/* The one JSON tokenizer (RFC 8259, strict): config, API bodies, libpg_query's trees, paths into
 * jsonb. Pull style, no allocation, borrowed slices; depth is bounded. ingest/decode/json.c is the
 * fast column decoder on top of it. */
#ifndef FRESHET_STORAGE_BASE_JSON_H
#define FRESHET_STORAGE_BASE_JSON_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/error.h"
#include "storage/base/slice.h"

enum json_token {
    JSON_END,   /* of the input */
    JSON_ERROR, /* see the parser's `error_text` and `offset` */
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY,    /* text: raw, between the quotes */
    JSON_STRING, /* text: raw, between the quotes; has_escape says whether to unescape */
    JSON_NUMBER, /* text: as written */
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL
};

struct json_parser {
    const char *data;
    size_t size;
    size_t offset;       /* of the next byte to read; at JSON_ERROR the place of the error */
    struct slice text;   /* of the last token */
    size_t token_offset; /* where the last token starts */
    bool has_escape;
    const char *error_text;
    uint32_t depth, depth_max;
    /* private */
    uint8_t state;
    uint8_t *deep_stack; /* the caller's, NULL: `stack` */
    uint8_t stack[128];  /* one bit a level, 1: object */
};

/* depth_max at most 1,024. Many values may stand in sequence (NDJSON, concatenated); JSON_END after
 * the last one. UTF-8 in strings is checked. */
void json_parser_init(struct json_parser *parser, struct slice text, uint32_t depth_max);
/* The same with the caller's stack of depth_max / 8 + 1 bytes, for input that may nest deeper. */
void json_parser_init_deep(struct json_parser *parser, struct slice text, uint8_t *stack,
                           uint32_t depth_max);
enum json_token json_next(struct json_parser *parser);
/* After *_BEGIN or KEY: passes over the rest of that value. False on error. For a scalar: nothing.
 */
bool json_skip(struct json_parser *parser, enum json_token token);
/* Unescapes raw string text into the arena (or borrows it where it has no backslash). Lone
 * surrogates and \u0000 are errors: false. */
bool json_unescape(struct slice raw, struct arena *arena, struct slice *out);
/* Appends `text` as a JSON string with quotes, escaping as PostgreSQL's to_json does. */
void json_write_string(struct writer *out, struct slice text);

/* A small DOM in an arena, for control-plane input (bodies of /v1/sql, maps, plans): not for
 * events. */
struct json_value {
    enum json_token
        kind; /* JSON_OBJECT_BEGIN, JSON_ARRAY_BEGIN, JSON_STRING, JSON_NUMBER, JSON_TRUE … */
    struct slice text; /* strings unescaped, numbers as written; objects and arrays: source text */
    struct slice key;  /* in an object */
    struct json_value *child; /* first */
    struct json_value *next;  /* sibling */
    size_t count;             /* of children */
};
MUST_CHECK enum err json_parse(struct slice text, struct arena *arena, uint32_t depth_max,
                               struct json_value **out, struct error *error);
/* The value that begins there and takes the rest: errors name their place in the whole text. */
MUST_CHECK enum err json_parse_rest(struct slice text, size_t begin, struct arena *arena,
                                    uint32_t depth_max, struct json_value **out,
                                    struct error *error);
/* The last member of that name, or NULL. */
const struct json_value *json_get(const struct json_value *object, const char *key);
const struct json_value *json_get_slice(const struct json_value *object, struct slice key);

#endif
