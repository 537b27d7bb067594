/* Views: named queries. Changed by records only. Guarded by the owner's lock. */
#ifndef FRESHET_INGEST_STATE_VIEWS_H
#define FRESHET_INGEST_STATE_VIEWS_H

#include "query/view.h"
#include "storage/base/arena.h"
#include "storage/base/bytes.h"

#define VIEWS_MAX 1024
#define VIEWS_FORMAT 3 /* of their bytes, as they are written now */

struct view {
    struct view_definition definition; /* in the arena */
    struct arena arena;
};

struct views {
    struct view **list;
    uint32_t count, capacity;
    uint32_t next_id;
};

void views_deinit(struct views *views); /* a zeroed one is empty */
/* NULL if there is none. */
const struct view_definition *views_find(const struct views *views, struct slice name);
const struct view_definition *views_find_endpoint(const struct views *views, struct slice endpoint);
const struct view_definition *views_get(const struct views *views, uint32_t id);
/* Does one of `ids`, or a view below them, read the view `id`? */
bool views_reach(const struct views *views, const uint32_t *ids, size_t count, uint32_t id);
/* The first view whose text names this table, or this view; NULL: none. */
const struct view_definition *views_reader(const struct views *views, uint32_t id, bool is_view);
void view_definition_copy(const struct view_definition *from, struct arena *arena,
                          struct view_definition *out);

/* --- records: FORMAT.md, kind 5 --- */
void view_write_put(struct writer *out, const struct view_definition *definition);
void view_write_drop(struct writer *out, uint32_t id);
MUST_CHECK enum err views_apply_change(struct views *views, struct slice bytes,
                                       struct error *error);

/* --- checkpoints --- */
void views_write(const struct views *views, struct writer *out);
/* As they were in that format of theirs. */
bool views_read(struct views *views, uint8_t format, struct reader *reader);

#endif
