/* Who asks, and what they may: carried by a request from the port to where names are looked up. */
#ifndef FRESHET_QUERY_ASKER_H
#define FRESHET_QUERY_ASKER_H

#include "storage/base/slice.h"

enum right { RIGHT_SELECT = 1, RIGHT_INSERT = 2, RIGHT_TRUNCATE = 4, RIGHT_ALL = 7 };

/* Rights on one table, or on a view: tables and views are numbered apart, so a view's number has a
 * bit besides. */
#define RIGHT_VIEW 0x80000000u
struct table_right {
    uint32_t table_id;
    uint32_t rights; /* enum right */
};

struct asker {
    struct slice name;
    uint32_t id;                      /* of the role: a later one of the same name has another */
    bool is_admin;                    /* everything, and only they change what there is */
    uint32_t rights;                  /* on every table */
    size_t grant_count;               /* … and on single ones besides */
    const struct table_right *grants; /* by table id, ascending */
};

/* NULL is a server without users: everybody may everything. */
static inline uint32_t asker_rights(const struct asker *asker, uint32_t table_id)
{
    if (asker == NULL || asker->is_admin)
        return RIGHT_ALL;
    size_t first = 0, last = asker->grant_count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (asker->grants[middle].table_id == table_id)
            return asker->rights | asker->grants[middle].rights;
        if (asker->grants[middle].table_id < table_id)
            first = middle + 1;
        else
            last = middle;
    }
    return asker->rights;
}

/* What is not seen does not exist: whether there may be such. */
static inline bool asker_is_restricted(const struct asker *asker)
{
    return asker != NULL && !asker->is_admin && asker->rights == 0;
}

static inline bool asker_is_admin(const struct asker *asker)
{
    return asker == NULL || asker->is_admin;
}

/* What was planned for the one may be run for the other. */
static inline bool asker_is_like(const struct asker *a, const struct asker *b)
{
    if (asker_is_admin(a) || asker_is_admin(b))
        return asker_is_admin(a) && asker_is_admin(b);
    return a->rights == b->rights && a->grant_count == b->grant_count &&
           (a->grant_count == 0 ||
            memcmp(a->grants, b->grants, a->grant_count * sizeof(*a->grants)) == 0);
}

/* Whether `now` has every right that `before` had. */
static inline bool asker_has_kept(const struct asker *now, const struct asker *before)
{
    if (asker_is_admin(now) || asker_is_admin(before))
        return asker_is_admin(now);
    for (size_t i = 0; i < before->grant_count; i++)
        if ((before->grants[i].rights & ~asker_rights(now, before->grants[i].table_id)) != 0)
            return false;
    return (before->rights & ~now->rights) == 0;
}

/* A role as catalogues tell of it. */
struct role_entry {
    struct asker asker;
    const char *kind; /* "reader", "writer", "admin", or "" */
    bool can_log_in;
};

struct arena;
/* With all it points at; query/rights.c. */
const struct asker *asker_copy(const struct asker *asker, struct arena *arena);

#endif
