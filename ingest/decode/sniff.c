/* What a body is when its sender does not say (curl's default type says nothing).
 *
 *   [ …                          JSON
 *   { … } and the line ends      NDJSON (a document of one object on one line reads the same)
 *   { … anything else            JSON: spread over lines, or objects side by side
 *   nothing but blanks           NDJSON: no rows
 *   else                         CSV
 *
 * Only brackets and strings are followed, not the grammar: whatever is wrong inside is the
 * decoder's to say, and a broken first line that begins with a brace and ends before the next brace
 * is a bad line of NDJSON. */
#include "ingest/decode/decode.h"

/* Behind the object at p, or `end`. */
static const char *object_end(const char *p, const char *end)
{
    size_t depth = 0;
    bool in_string = false;
    for (; p < end; p++) {
        if (in_string) {
            if (*p == '\\')
                p++;
            else if (*p == '"')
                in_string = false;
        } else if (*p == '"') {
            in_string = true;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            return p + 1;
        }
    }
    return end;
}

enum ingest_format decode_sniff(struct slice body)
{
    if (slice_starts_with(body, SLICE("\xEF\xBB\xBF")))
        body = slice_of(body.data + 3, body.size - 3);
    const char *p = body.data, *end = body.data + body.size;
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        p++;
    if (p == end)
        return INGEST_NDJSON;
    if (*p == '[')
        return INGEST_JSON;
    if (*p != '{')
        return INGEST_CSV;
    const char *line_end = memchr(p, '\n', (size_t)(end - p));
    if (line_end == NULL)
        line_end = end;
    const char *q = object_end(p, end);
    if (q > line_end) {
        /* Open at the end of the line: a document, unless the next line starts an object of its
         * own. */
        const char *next = line_end;
        while (next < end && (*next == ' ' || *next == '\t' || *next == '\r' || *next == '\n'))
            next++;
        return next < end && *next == '{' ? INGEST_NDJSON : INGEST_JSON;
    }
    while (q < line_end && (*q == ' ' || *q == '\t' || *q == '\r'))
        q++;
    return q < line_end && *q == '{' ? INGEST_JSON : INGEST_NDJSON;
}
