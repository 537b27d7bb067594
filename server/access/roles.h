/* Roles: names, what they may, how they prove who they are; and the bytes of all of them. */
#ifndef FRESHET_SERVER_ACCESS_ROLES_H
#define FRESHET_SERVER_ACCESS_ROLES_H

#include "query/asker.h"
#include "server/access/verifier.h"
#include "storage/base/bytes.h"

#define ROLE_NAME_MAX 63 /* as PostgreSQL's names */
#define ROLES_MAX 10000
#define ROLE_ID_MAX 1000000000
#define ROLE_GRANTS_MAX 8192
#define ROLE_TOKENS_MAX 2 /* an old one and a new one, while clients change over */

enum role_kind {
    ROLE_PLAIN,  /* only what GRANT gives */
    ROLE_READER, /* reads every table */
    ROLE_WRITER, /* and writes rows to every table */
    ROLE_ADMIN   /* everything */
};

struct role_token {
    uint32_t id;
    uint8_t hash[KEY_SIZE]; /* SHA-256 of the secret, which is random: it needs no salt */
};

struct role {
    char name[ROLE_NAME_MAX + 1];
    uint32_t id; /* never another role's, whatever its name */
    bool cannot_log_in;
    enum role_kind kind;
    bool has_verifier;
    struct verifier verifier;
    uint32_t token_count;
    struct role_token tokens[ROLE_TOKENS_MAX]; /* oldest first */
    size_t grant_count;
    struct table_right *grants; /* by table id, ascending; none is empty */
};

struct role_set {
    uint8_t secret[KEY_SIZE]; /* of this store: mock salts, the keys of caches */
    uint32_t last_id;
    size_t count, capacity;
    struct role *roles; /* by name, in byte order */
};

/* Empty, with a fresh secret. */
void role_set_init(struct role_set *set);
void role_set_deinit(struct role_set *set);
struct role *role_set_find(const struct role_set *set, struct slice name);
/* 42710: it is there; 42602, 42939: not a name for a role; 54000: too many. */
MUST_CHECK enum err role_set_add(struct role_set *set, struct slice name, struct role **out,
                                 struct error *error);
void role_set_remove(struct role_set *set, struct role *role);

/* "reader", "writer", "admin", "none". */
const char *role_kind_name(enum role_kind kind);
bool role_kind_parse(struct slice name, enum role_kind *out);
/* enum right, on every table. */
uint32_t role_kind_rights(enum role_kind kind);

/* 54000: too many tables. */
MUST_CHECK enum err role_grant(struct role *role, uint32_t table_id, uint32_t rights,
                               struct error *error);
/* Drops the rights on tables that `ids`, ascending, does not have. */
void role_keep_grants(struct role *role, const uint32_t *ids, size_t count);
void role_revoke(struct role *role, uint32_t table_id, uint32_t rights);

void role_set_encode(const struct role_set *set, struct writer *out);
/* *out is empty where it fails: ERR_CORRUPT. */
MUST_CHECK enum err role_set_decode(struct slice bytes, struct role_set *out, struct error *error);

#endif
