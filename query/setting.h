/* Settings of a request or a session: SET, RESET, SHOW and the field `settings`. */
#ifndef FRESHET_QUERY_SETTING_H
#define FRESHET_QUERY_SETTING_H

#include "storage/base/arena.h"
#include "storage/base/datetime.h"
#include "storage/base/error.h"

#define SETTING_NAME_MAX 64  /* application_name, with its end: as PostgreSQL cuts it */
#define SETTING_TEXT_MAX 160 /* search_path, freshet.producer */
#define SETTING_WORD_MAX 24  /* those that are only remembered */
#define SETTING_WORD_COUNT 24

/* Holds no pointer to memory of its own: a copy is a copy. */
struct settings {
    const struct timezone *zone;
    int64_t statement_timeout_us;                                 /* 0: none */
    int64_t idle_session_timeout_us, idle_transaction_timeout_us; /* 0: the server's */
    int64_t max_rows;
    size_t query_memory;
    size_t query_memory_max; /* what the server allows: more is cut to it */
    int64_t threads;
    bool is_partial_cache_on;
    bool is_rollups_on; /* off: no rollup answers a query, its rows do */
    bool is_spill_on;   /* off: what does not fit the query's memory fails, nothing goes to disk */
    bool is_bitmaps_on; /* off: conditions are answered without bitmap indexes, for comparison */
    enum plan_cache_mode { PLAN_CACHE_ON, PLAN_CACHE_TEXT, PLAN_CACHE_OFF } plan_cache;
    bool is_optimizer_on; /* off: plans run as the text reads, and are not cached */
    bool
        is_copy_strict; /* freshet.copy_errors: a bad row ends a COPY instead of being kept aside */
    bool is_read_only_default, is_read_only; /* default_transaction_read_only, this transaction's */
    int32_t backend_pid;                     /* of the session, 0: none */
    char application_name[SETTING_NAME_MAX];
    char search_path[SETTING_TEXT_MAX];
    char producer[SETTING_TEXT_MAX], sequence[SETTING_WORD_MAX];
    /* Accepted because clients send them, and shown again; "": the default. */
    char words[SETTING_WORD_COUNT][SETTING_WORD_MAX];
};

/* The name as PostgreSQL writes it; NULL if there is none. */
const char *setting_find(struct slice name);
/* 42704 for unknown names, 22023 for values that cannot be. */
MUST_CHECK enum err setting_set(struct settings *settings, struct slice name, struct slice value,
                                struct error *error);
/* The value as SHOW prints it, in the arena or static. */
struct slice setting_show(const struct settings *settings, struct slice name, struct arena *arena,
                          bool *is_known);

struct command; /* query/sql/command.h */
/* Carries out SET or RESET; RESET puts back what `initial` (NULL: nothing) has. */
MUST_CHECK enum err setting_run(struct settings *settings, const struct settings *initial,
                                const struct command *command, struct error *error);

#endif
