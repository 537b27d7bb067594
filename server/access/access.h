/* Who may do what: the roles of a store, from their file and back, and logging in. Any thread. */
#ifndef FRESHET_SERVER_ACCESS_ACCESS_H
#define FRESHET_SERVER_ACCESS_ACCESS_H

#include "query/asker.h"
#include "server/access/roles.h"
#include "storage/base/arena.h"

#define TOKEN_TEXT_MAX 64

struct access;

/* Reads `users` of the data directory. Where it is not, nor perhaps the directory: there are no
 * users, and nothing is made. */
MUST_CHECK enum err access_open(const char *directory, struct access **out, struct error *error);
void access_close(struct access *access);
bool access_has_users(struct access *access);
/* Reads the file anew if another process has written it. One `stat` if not. */
void access_refresh(struct access *access);

/* Changes the roles: under the file's lock the newest ones are given to `change`; what it leaves is
 * on disk, whatever happens, when this returns OK, and holds from then on. */
MUST_CHECK enum err access_change(struct access *access,
                                  enum err (*change)(void *context, struct role_set *set,
                                                     struct error *error),
                                  void *context, struct error *error);
/* Calls `visit` with each role, by name. */
void access_each(struct access *access, void (*visit)(void *context, const struct role *role),
                 void *context);

/* Those that the asker may see, by name, copied into the arena: how many. Without what proves them.
 */
size_t access_list(struct access *access, const struct asker *asker, struct arena *arena,
                   struct role_entry **out);

/* --- logging in: server/access/login.c --- */

enum login {
    LOGIN_OK,
    LOGIN_WRONG,   /* whatever it was: no such role, no such password, no password at all */
    LOGIN_LIMITED, /* too many attempts of this address or user */
    LOGIN_LATER    /* is_quick, and it cannot be quick */
};

/* `client`: the address as text with its port. Copies into the arena. A password that has not been
 * right lately costs milliseconds: where `is_quick`, LOGIN_LATER tells that, if an attempt is left.
 */
enum login access_login_password(struct access *access, struct slice name, struct slice password,
                                 struct slice client, bool is_quick, struct arena *arena,
                                 struct asker *out);
enum login access_login_token(struct access *access, struct slice token, struct slice client,
                              struct arena *arena, struct asker *out);

/* Somebody who has logged in, for as long as their connection lasts. */
struct access_known {
    uint32_t id;      /* of the role that it is; 0: whoever has the name */
    uint64_t version; /* of the roles that it was read from, 0: it was not yet */
    bool is_there;
    struct asker asker; /* in the arena */
    struct arena arena;
};

void access_known_init(struct access_known *known);
void access_known_deinit(struct access_known *known);
/* Them as they are now; holds until the next call. NULL: the role is gone. A load and a compare
 * where no role has changed since the last call. */
const struct asker *access_ask(struct access *access, struct slice name,
                               struct access_known *known);

/* For an exchange that proves a password in steps (SCRAM): whether it may begin, and by which
 * verifier. A name that is no role's, or a role's without a password, gets one that is the same
 * every time, that has as many iterations as some role's, and that no password matches. */
MUST_CHECK enum login access_login_begin(struct access *access, struct slice name,
                                         struct slice client, struct verifier *out);
/* Its end, by the verifier that it began with: wrong too if the role has another one by now. Only
 * one that was wrong, or left half-way, counts as an attempt: so however many are under way at once
 * the right ones get in; and LOGIN_LIMITED, whatever it was, when none is left by now: so no more
 * guesses are told than attempts there are. */
enum login access_login_end(struct access *access, struct slice name, struct slice client,
                            bool is_right, const struct verifier *verifier, struct arena *arena,
                            struct asker *out);

/* A new token of the role, as its owner will send it; the oldest goes when there are two already.
 */
void role_add_token(struct role_set *set, struct role *role, char out[TOKEN_TEXT_MAX]);

/* A name from outside, fit for quotes in a line of the log: at most 63 bytes; quotes, backslashes,
 * control characters and what is not UTF-8 as '?'. */
const char *access_log_name(struct slice name, char out[64]);

#endif
