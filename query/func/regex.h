/* Compiled regular expressions. For query/func only; PCRE2's types stop in regex.c. */
#ifndef FRESHET_QUERY_FUNC_REGEX_H
#define FRESHET_QUERY_FUNC_REGEX_H

#include "query/func/text.h"

struct regex;

/* The call's pattern, compiled when another one comes: 2201B. It lives as long as the call. */
MUST_CHECK enum err regex_compile(struct call *call, struct slice pattern, uint32_t options,
                                  struct regex **out);
/* PostgreSQL's flags: 22023 for others. */
MUST_CHECK enum err regex_options(struct call *call, struct slice flags, uint32_t *options,
                                  bool *is_global);
uint32_t regex_options_none(void);
/* The first match from byte `start` on: 54000 past the limits. */
MUST_CHECK enum err regex_match(struct call *call, struct regex *regex, struct slice text,
                                size_t start, bool *is_match);
/* Group `index` of the last match, 0 for all of it; data NULL if it took no part. */
struct slice regex_group(const struct regex *regex, struct slice text, uint32_t index);
uint32_t regex_group_count(const struct regex *regex);

#endif
