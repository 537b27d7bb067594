/* Logging in by a password or a token.
 *
 *   credential ─▶ seen lately? ─ yes ─▶ the role as it is now
 *                     │ no
 *                     ▼
 *   take an attempt of the address and of the user ─ none left ─▶ LOGIN_LIMITED
 *                     │
 *                     ▼
 *   derive keys (16,384 rounds, without the lock) ─▶ compare ─▶ right: give the attempts back,
 *                                                            remember, log; wrong: log
 *
 * So it is for a plain password, whose check costs the server milliseconds. An exchange (SCRAM)
 * that costs it nothing takes its attempt at the end, if it was wrong, and is told that only if
 * there was one left then.
 *
 * Nothing tells a name that is no role's from a wrong password: both derive keys, in 16,384 rounds
 * at least and in as many as some role's, from a salt that stays the same, and end in the same
 * answer. What is remembered of a
 * right credential is its hash under a key of this process; any change of the roles forgets all.
 * Somebody who tries passwords for a user can keep that user's new log-ins out for seconds; those
 * whose credential has been seen go on. */
#include "server/access/private.h"

#include "server/access/crypto.h"
#include "storage/base/clock.h"
#include "storage/base/hash.h"
#include "storage/base/logger.h"

#include <assert.h>
#include <stdio.h>

#define LIMITED_LINES 5 /* of limited log-ins at once, then one every … */
#define LIMITED_PERIOD_US 10000000
#define TOKEN_PREFIX "freshet_"
#define TOKEN_ID_SIZE 8      /* hexadecimal digits */
#define TOKEN_SECRET_SIZE 32 /* random bytes */
#define TOKEN_SECRET_TEXT 43 /* in base64, without padding */

const char *access_log_name(struct slice name, char out[64])
{
    size_t size = name.size < 63 ? name.size : 63, valid = utf8_validate(slice_of(name.data, size));
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        bool is_control = c < 0x20 || c == 0x7f ||
                          (c == 0xc2 && i + 1 < valid && (unsigned char)name.data[i + 1] < 0xa0);
        bool is_plain = !is_control && c != '"' && c != '\\' && (c < 0x80 || i < valid);
        out[i] = is_plain ? name.data[i] : '?';
        if (is_control && c == 0xc2)
            out[++i] = '?';
    }
    out[size] = 0;
    return out;
}

static void log_login(const char *outcome, const char *method, struct slice name,
                      struct slice client)
{
    char safe_name[64], safe_client[64];
    bool is_ok = strcmp(outcome, "ok") == 0;
    logger_write(is_ok ? LOG_INFO : LOG_WARN, "login %s role=\"%s\" method=%s client=\"%s\"",
                 outcome, access_log_name(name, safe_name), method,
                 access_log_name(client, safe_client));
}

/* Past the attempts nothing bounds them but the line's own limit. */
static void log_limited(struct access *access, const char *method, struct slice name,
                        struct slice client)
{
    char safe_name[64], safe_client[64];
    uint64_t held;
    if (logger_limit_pass(&access->limited, LIMITED_LINES, LIMITED_PERIOD_US, &held))
        logger_write(LOG_WARN, "login limited role=\"%s\" method=%s client=\"%s\" others=%llu",
                     access_log_name(name, safe_name), method, access_log_name(client, safe_client),
                     (unsigned long long)held);
}

/* --- what was right before; with the lock --- */

static void tag_of(const struct access *access, struct slice kind, struct slice name,
                   struct slice secret, uint8_t out[KEY_SIZE])
{
    struct writer text;
    writer_init(&text);
    writer_text(&text, kind);
    writer_text(&text, name);
    writer_text(&text, secret);
    crypto_hmac(slice_of(access->seen_key, KEY_SIZE), writer_as_slice(&text), out);
    crypto_wipe(text.data, text.size);
    writer_deinit(&text);
}

static struct seen *slot_of(struct access *access, const uint8_t tag[KEY_SIZE])
{
    return &access->seen[(tag[0] | (size_t)tag[1] << 8) % SEEN_MAX];
}

static struct role *find_seen(struct access *access, const uint8_t tag[KEY_SIZE])
{
    const struct seen *seen = slot_of(access, tag);
    return seen->is_used && crypto_equal(seen->tag, tag, KEY_SIZE)
               ? role_set_find(&access->roles, slice_from_cstr(seen->name))
               : NULL;
}

static void remember(struct access *access, const uint8_t tag[KEY_SIZE], const struct role *role)
{
    struct seen *seen = slot_of(access, tag);
    seen->is_used = true;
    memcpy(seen->tag, tag, KEY_SIZE);
    memcpy(seen->name, role->name, sizeof(seen->name));
}

/* --- attempts; with the lock --- */

static bool take_attempt(struct access *access, struct slice name, struct slice client)
{
    char text[64];
    int64_t now_us = clock_monotonic_us();
    struct slice address = attempts_address(client, text);
    if (!attempts_take(&access->addresses, address, now_us))
        return false;
    if (name.size == 0 || attempts_take(&access->users, name, now_us))
        return true;
    return false;
}

static bool has_attempt(struct access *access, struct slice name, struct slice client)
{
    char text[64];
    int64_t now_us = clock_monotonic_us();
    return attempts_has(&access->addresses, attempts_address(client, text), now_us) &&
           (name.size == 0 || attempts_has(&access->users, name, now_us));
}

static void give_attempt_back(struct access *access, struct slice name, struct slice client)
{
    char text[64];
    int64_t now_us = clock_monotonic_us();
    attempts_give_back(&access->addresses, attempts_address(client, text), now_us);
    if (name.size > 0)
        attempts_give_back(&access->users, name, now_us);
}

/* --- askers --- */

static void copy_asker(const struct role *role, struct arena *arena, struct asker *out)
{
    size_t size = role->grant_count * sizeof(*role->grants);
    struct table_right *grants = arena_alloc(arena, size);
    if (size > 0)
        memcpy(grants, role->grants, size);
    *out = (struct asker){
        .name = arena_copy(arena, slice_from_cstr(role->name)),
        .id = role->id,
        .is_admin = role->kind == ROLE_ADMIN,
        .rights = role_kind_rights(role->kind),
        .grant_count = role->grant_count,
        .grants = grants,
    };
}

/* The role as it is now. False: it is gone. */
static bool access_find(struct access *access, struct slice name, struct arena *arena,
                        struct asker *out)
{
    mutex_lock(&access->mutex);
    const struct role *role = role_set_find(&access->roles, name);
    if (role != NULL)
        copy_asker(role, arena, out);
    mutex_unlock(&access->mutex);
    return role != NULL;
}

size_t access_list(struct access *access, const struct asker *asker, struct arena *arena,
                   struct role_entry **out)
{
    size_t count = 0;
    mutex_lock(&access->mutex);
    *out = arena_alloc_array(arena, asker_is_admin(asker) ? access->roles.count : 1, sizeof(**out));
    for (size_t i = 0; i < access->roles.count; i++) {
        const struct role *role = &access->roles.roles[i];
        if (!asker_is_admin(asker) && role->id != asker->id)
            continue;
        (*out)[count] = (struct role_entry){
            .kind = role->kind == ROLE_PLAIN ? "" : role_kind_name(role->kind),
            .can_log_in = !role->cannot_log_in,
        };
        copy_asker(role, arena, &(*out)[count++].asker);
    }
    mutex_unlock(&access->mutex);
    return count;
}

void access_known_init(struct access_known *known)
{
    *known = (struct access_known){0};
    arena_init(&known->arena);
}

void access_known_deinit(struct access_known *known)
{
    arena_deinit(&known->arena);
}

const struct asker *access_ask(struct access *access, struct slice name, struct access_known *known)
{
    uint64_t version = atomic_load_explicit(&access->version, memory_order_acquire);
    if (known->version != version) {
        arena_reset(&known->arena);
        known->is_there = access_find(access, name, &known->arena, &known->asker) &&
                          (known->id == 0 || known->id == known->asker.id);
        known->version = version; /* perhaps newer already: then it is read once more */
    }
    return known->is_there ? &known->asker : NULL;
}

/* --- passwords --- */

static bool has_password(const struct role *role)
{
    return role->has_verifier && !role->cannot_log_in;
}

/* Of the roles with a password one, by the seed: as long as that one is there it stays, or goes
 * over to a new one. NULL: there are none. */
static const struct role *choose_model(const struct role_set *set, uint64_t seed)
{
    const struct role *chosen = NULL;
    uint64_t least = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct role *role = &set->roles[i];
        if (!has_password(role))
            continue;
        uint64_t hash = hash64_seed(&role->id, sizeof(role->id), seed);
        if (chosen == NULL || hash < least) {
            chosen = role;
            least = hash;
        }
    }
    return chosen;
}

/* A verifier that nothing matches, as if of a role: with the iterations and the size of salt that
 * one of the roles has, so that verifiers of other servers do not tell who is known. */
static void make_mock(const struct access *access, struct slice name, struct verifier *out)
{
    static_assert(SALT_SIZE_MAX % SALT_SIZE == 0, "whole pieces");
    struct slice secret = slice_of(access->roles.secret, KEY_SIZE);
    uint8_t digest[DIGEST_SIZE];
    uint64_t seed;
    *out = (struct verifier){.iterations = VERIFIER_ITERATIONS, .salt_size = SALT_SIZE};
    crypto_hmac(secret, name, digest);
    memcpy(&seed, digest + SALT_SIZE, sizeof(seed)); /* of the part that is not shown */
    for (size_t at = 0; at < SALT_SIZE_MAX; at += SALT_SIZE) {
        memcpy(out->salt + at, digest, SALT_SIZE);
        crypto_hmac(secret, slice_of(digest, sizeof(digest)), digest);
    }
    const struct role *model = choose_model(&access->roles, seed);
    if (model != NULL) {
        out->iterations = model->verifier.iterations;
        out->salt_size = model->verifier.salt_size;
    }
    crypto_random(out->stored_key, KEY_SIZE);
    crypto_random(out->server_key, KEY_SIZE);
}

/* The role's verifier, or one that nothing matches, which is made in any case: it takes time. With
 * the lock. */
static void choose_verifier(const struct access *access, struct slice name, struct verifier *out)
{
    const struct role *role = role_set_find(&access->roles, name);
    make_mock(access, name, out);
    if (role != NULL && has_password(role))
        *out = role->verifier;
}

enum login access_login_begin(struct access *access, struct slice name, struct slice client,
                              struct verifier *out)
{
    mutex_lock(&access->mutex);
    bool may_try = has_attempt(access, name, client);
    if (may_try)
        choose_verifier(access, name, out);
    mutex_unlock(&access->mutex);
    if (!may_try)
        log_limited(access, "scram", name, client);
    return may_try ? LOGIN_OK : LOGIN_LIMITED;
}

/* A password was right by `verifier`. */
struct proof {
    const struct verifier *verifier;
    const uint8_t *tag; /* to be remembered under; NULL: not, and no attempt has been taken yet */
    const char *method; /* for the log */
};

/* The verifier may have been changed while keys were derived. It is compared under the lock that
 * remembers, or the old password would be remembered as right. */
static bool is_still_proved(const struct role *role, const struct proof *proof)
{
    return crypto_equal(role->verifier.stored_key, proof->verifier->stored_key, KEY_SIZE);
}

static enum login end_login(struct access *access, struct slice name, struct slice client,
                            bool is_right, const struct proof *proof, struct arena *arena,
                            struct asker *out)
{
    mutex_lock(&access->mutex);
    const struct role *role = role_set_find(&access->roles, name);
    bool is_taken = proof->tag != NULL;
    if (!is_taken && !has_attempt(access, name, client)) {
        mutex_unlock(&access->mutex); /* right or wrong: it is not told */
        log_limited(access, proof->method, name, client);
        return LOGIN_LIMITED;
    }
    bool is_in = is_right && role != NULL && has_password(role) && is_still_proved(role, proof);
    if (is_in && is_taken)
        give_attempt_back(access, name, client);
    if (!is_in && !is_taken)
        (void)take_attempt(access, name, client);
    if (is_in) {
        copy_asker(role, arena, out);
        if (proof->tag != NULL)
            remember(access, proof->tag, role);
    }
    mutex_unlock(&access->mutex);
    log_login(is_in ? "ok" : "failed", proof->method, name, client);
    return is_in ? LOGIN_OK : LOGIN_WRONG;
}

enum login access_login_end(struct access *access, struct slice name, struct slice client,
                            bool is_right, const struct verifier *verifier, struct arena *arena,
                            struct asker *out)
{
    const struct proof proof = {.verifier = verifier, .method = "scram"};
    return end_login(access, name, client, is_right, &proof, arena, out);
}

enum login access_login_password(struct access *access, struct slice name, struct slice password,
                                 struct slice client, bool is_quick, struct arena *arena,
                                 struct asker *out)
{
    uint8_t tag[KEY_SIZE];
    if (password.size > PASSWORD_SIZE_MAX || name.size > ROLE_NAME_MAX ||
        (password.size > 0 && memchr(password.data, 0, password.size) != NULL)) /* as HMAC pads */
        password = name = slice_of("", 0); /* nobody's: as wrong as any other */
    tag_of(access, SLICE("password"), name, password, tag);
    mutex_lock(&access->mutex);
    const struct role *role = find_seen(access, tag);
    bool may_try = true;
    struct verifier verifier;
    if (role != NULL) {
        copy_asker(role, arena, out);
    } else if (is_quick) {
        may_try = has_attempt(access, name, client);
    } else {
        may_try = take_attempt(access, name, client);
        choose_verifier(access, name, &verifier);
    }
    mutex_unlock(&access->mutex);
    if (!may_try) {
        log_limited(access, "password", name, client);
        return LOGIN_LIMITED;
    }
    if (role != NULL || is_quick)
        return role != NULL ? LOGIN_OK : LOGIN_LATER;
    bool is_right = verifier_matches(&verifier, password);
    const struct proof proof = {.verifier = &verifier, .tag = tag, .method = "password"};
    return end_login(access, name, client, is_right, &proof, arena, out);
}

/* --- tokens: freshet_<id>.<secret> --- */

static bool parse_token(struct slice token, uint32_t *id, struct slice *secret)
{
    size_t prefix = sizeof(TOKEN_PREFIX) - 1;
    *id = 0;
    if (!slice_starts_with(token, SLICE(TOKEN_PREFIX)) || token.size >= TOKEN_TEXT_MAX ||
        token.size <= prefix + TOKEN_ID_SIZE + 1 || token.data[prefix + TOKEN_ID_SIZE] != '.')
        return false;
    for (size_t i = prefix; i < prefix + TOKEN_ID_SIZE; i++) {
        const char *digits = "0123456789abcdef", *found = strchr(digits, token.data[i]);
        if (token.data[i] == 0 || found == NULL)
            return false;
        *id = *id << 4 | (uint32_t)(found - digits);
    }
    size_t begin = prefix + TOKEN_ID_SIZE + 1;
    *secret = slice_of(token.data + begin, token.size - begin);
    return true;
}

static const struct role_token *find_token(const struct role_set *set, uint32_t id,
                                           struct role **role)
{
    for (size_t i = 0; i < set->count; i++) {
        for (uint32_t t = 0; t < set->roles[i].token_count; t++) {
            if (set->roles[i].tokens[t].id != id)
                continue;
            *role = &set->roles[i];
            return &set->roles[i].tokens[t];
        }
    }
    return NULL;
}

enum login access_login_token(struct access *access, struct slice text, struct slice client,
                              struct arena *arena, struct asker *out)
{
    uint32_t id;
    struct slice secret = slice_of("", 0);
    uint8_t hash[KEY_SIZE], tag[KEY_SIZE];
    bool is_token = parse_token(text, &id, &secret);
    crypto_sha256(secret, hash);
    tag_of(access, SLICE("token"), SLICE(""), is_token ? text : SLICE(""), tag);
    mutex_lock(&access->mutex);
    struct role *role = is_token ? find_seen(access, tag) : NULL;
    bool is_new = role == NULL, may_try = true;
    if (is_new && (may_try = take_attempt(access, slice_of("", 0), client))) {
        const struct role_token *token = is_token ? find_token(&access->roles, id, &role) : NULL;
        if (token == NULL || !crypto_equal(token->hash, hash, KEY_SIZE) || role->cannot_log_in)
            role = NULL;
        if (role != NULL) {
            give_attempt_back(access, slice_of("", 0), client);
            remember(access, tag, role);
        }
    }
    if (role != NULL)
        copy_asker(role, arena, out);
    mutex_unlock(&access->mutex);
    if (!may_try)
        log_limited(access, "token", slice_of("", 0), client);
    else if (is_new)
        log_login(role != NULL ? "ok" : "failed", "token",
                  role != NULL ? out->name : slice_of("", 0), client);
    return role != NULL ? LOGIN_OK : may_try ? LOGIN_WRONG : LOGIN_LIMITED;
}

void role_add_token(struct role_set *set, struct role *role, char out[TOKEN_TEXT_MAX])
{
    uint8_t secret[TOKEN_SECRET_SIZE];
    char text[TOKEN_SECRET_SIZE * 2];
    struct role *other;
    struct role_token token;
    do
        crypto_random(&token.id, sizeof(token.id));
    while (find_token(set, token.id, &other) != NULL);
    crypto_random(secret, sizeof(secret));
    base64_print(secret, sizeof(secret), text);
    text[strcspn(text, "=")] = 0;
    for (char *at = text; *at != 0; at++)
        *at = *at == '+' ? '-' : *at == '/' ? '_' : *at;
    crypto_sha256(slice_from_cstr(text), token.hash);
    snprintf(out, TOKEN_TEXT_MAX, TOKEN_PREFIX "%08x.%.*s", token.id, TOKEN_SECRET_TEXT, text);
    if (role->token_count == ROLE_TOKENS_MAX) {
        role->tokens[0] = role->tokens[1];
        role->token_count--;
    }
    role->tokens[role->token_count++] = token;
    crypto_wipe(secret, sizeof(secret));
    crypto_wipe(text, sizeof(text));
}
