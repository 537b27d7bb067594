/* Plans by exact text and time zone, or by its shape: parsing costs more than many a panel's
 * answer. Any thread. */
#ifndef FRESHET_QUERY_CACHE_H
#define FRESHET_QUERY_CACHE_H

#include "query/plan/plan.h"
#include "storage/store.h"

struct plan_cache;

struct plan_key {
    struct slice text;
    struct slice zone;
    struct slice types; /* of parameters, as given: a byte each; then, behind a 0xff, what rights
                           the asker has: a plan is for those who have the same */
};

struct plan_cache *plan_cache_create(size_t entry_count_max);
void plan_cache_destroy(struct plan_cache *cache);
/* A reference, or NULL. Whether it is still valid is the caller's to ask of its snapshot. */
struct statement *plan_cache_find(struct plan_cache *cache, const struct plan_key *key);
/* The same of a plan that was made from another text and takes this one's literals as values. */
struct statement *plan_cache_find_shape(struct plan_cache *cache, const struct plan_key *key,
                                        const struct text_shape *shape);
/* Takes a reference of its own; the least recently used plan goes when it is full. */
void plan_cache_add(struct plan_cache *cache, const struct plan_key *key,
                    struct statement *statement);
void plan_cache_remove(struct plan_cache *cache, const struct statement *statement);
/* Every table the plan was bound against is still what it was. */
bool plan_is_current(const struct statement *statement, const struct snapshot *snapshot);

#endif
