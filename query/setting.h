/* Settings of a request: SET, RESET, SHOW and the field `settings`. */
#ifndef FRESHET_QUERY_SETTING_H
#define FRESHET_QUERY_SETTING_H

#include "storage/base/arena.h"
#include "storage/base/datetime.h"
#include "storage/base/error.h"

struct settings {
    const struct timezone *zone;
    int64_t statement_timeout_us; /* 0: none */
    int64_t max_rows;
    size_t query_memory;
    size_t query_memory_max; /* what the server allows: more is cut to it */
    int64_t threads;
    bool is_partial_cache_on;
    bool is_spill_on; /* off: what does not fit the query's memory fails, nothing goes to disk */
    bool is_bitmaps_on; /* off: conditions are answered without bitmap indexes, for comparison */
    bool is_optimizer_on; /* off: plans run as the text reads, and are not cached */
};

/* 42704 for unknown names, 22023 for values that cannot be. */
MUST_CHECK enum err setting_set(struct settings *settings, struct slice name, struct slice value,
                                struct error *error);
/* The value as SHOW prints it, in the arena or static. */
struct slice setting_show(const struct settings *settings, struct slice name, struct arena *arena,
                          bool *is_known);

#endif
