/* Settings: one table of keys, for the file, the command line and the documentation. */
#ifndef FRESHET_SERVER_CONFIG_H
#define FRESHET_SERVER_CONFIG_H

#include "storage/base/arena.h"

struct config {
    const char *data, *http, *pg, *io, *ring, *cors_origins, *log_level, *secrets;
    const char *ssl_cert_file, *ssl_key_file;
    uint64_t memory, rows_ready, log_file, body_max, query_memory, partial_cache, spill_limit,
        disk_low; /* bytes */
    uint64_t connections_max, pg_connections_max, max_rows, threads, queries_max, producers_max,
        keys_window;
    int64_t source_idle_us, statement_timeout_us, request_timeout_us;
    int64_t login_timeout_us, pg_idle_timeout_us;
    bool insecure, ssl_required;
};

enum config_kind { CONFIG_TEXT, CONFIG_SIZE, CONFIG_DURATION, CONFIG_COUNT, CONFIG_BOOL };

struct config_key {
    const char *name; /* body_max; on the command line --body-max or --body_max */
    enum config_kind kind;
    size_t offset; /* in struct config */
    const char *default_text;
    const char *doc; /* one line */
};
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* Defaults; texts live in the arena. */
void config_init(struct config *config, struct arena *arena);
/* 22023 with the key's name. */
MUST_CHECK enum err config_set(struct config *config, struct slice name, struct slice value,
                               struct arena *arena, struct error *error);
/* Lines `key = value`; '#' starts a comment; values may stand in single quotes. */
MUST_CHECK enum err config_parse(struct config *config, struct slice text, struct arena *arena,
                                 struct error *error);
MUST_CHECK enum err config_load(struct config *config, const char *path, struct arena *arena,
                                struct error *error);
/* Fills what depends on the machine (memory, query_memory) and checks relations. */
MUST_CHECK enum err config_complete(struct config *config, struct error *error);
/* "64 MiB", "512KiB", "1000000"; "60 s", "500 ms", "1 d" to microseconds. */
bool config_parse_size(struct slice text, uint64_t *out);
bool config_parse_duration(struct slice text, int64_t *out);

#endif
