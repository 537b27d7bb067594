/* The set of roles, and its bytes.
 *
 *   "FRUS" · version u32 · secret 32 · last id u32 · count varint · roles · crc32c u32 of all
 * before role: name text · id u32 · kind u8 · flags u8 · verifier, if flag 1 · tokens · grants
 *   flags: 1 a verifier follows · 2 does not log in
 *   verifier: iterations u32 · salt text · stored key 32 · server key 32
 *   tokens: count u8, each id u32 · hash 32      grants: count varint, each table u32 · rights u8
 *
 * Version 1 had no ids: its roles are numbered as they stand.
 *
 * A verifier of more iterations than are taken by now is left out: its role has no password until
 * it is given one. Names that have been reserved since then stay.
 *
 * The reader takes nothing on trust, checksum or not: counts are bounded by what is left, names and
 * tables must ascend, and a byte too many is an error like a byte too few. */
#include "server/access/roles.h"

#include "query/func/catalog.h"
#include "server/access/crypto.h"
#include "storage/base/arena.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <stdlib.h>

#define MAGIC 0x53555246u /* "FRUS" */
#define VERSION 2
#define FLAG_VERIFIER 1
#define FLAG_NO_LOGIN 2

static const char *const kind_names[] = {[ROLE_PLAIN] = "none",
                                         [ROLE_READER] = "reader",
                                         [ROLE_WRITER] = "writer",
                                         [ROLE_ADMIN] = "admin"};

const char *role_kind_name(enum role_kind kind)
{
    return kind_names[kind];
}

bool role_kind_parse(struct slice name, enum role_kind *out)
{
    for (size_t i = 0; i < array_count(kind_names); i++) {
        if (slice_equal(name, slice_from_cstr(kind_names[i]))) {
            *out = (enum role_kind)i;
            return true;
        }
    }
    return false;
}

uint32_t role_kind_rights(enum role_kind kind)
{
    static const uint32_t rights[] = {[ROLE_PLAIN] = 0,
                                      [ROLE_READER] = RIGHT_SELECT,
                                      [ROLE_WRITER] = RIGHT_SELECT | RIGHT_INSERT,
                                      [ROLE_ADMIN] = RIGHT_ALL};
    return rights[kind];
}

/* --- the set --- */

void role_set_init(struct role_set *set)
{
    *set = (struct role_set){0};
    crypto_random(set->secret, sizeof(set->secret));
}

void role_set_deinit(struct role_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        memory_free(set->roles[i].grants);
    if (set->roles != NULL)
        crypto_wipe(set->roles, set->count * sizeof(*set->roles));
    memory_free(set->roles);
    *set = (struct role_set){0};
}

/* Where the name stands, or would stand. */
static size_t place_of(const struct role_set *set, struct slice name, bool *is_there)
{
    size_t first = 0, last = set->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        int order = slice_compare(slice_from_cstr(set->roles[middle].name), name);
        if (order == 0) {
            *is_there = true;
            return middle;
        }
        if (order < 0)
            first = middle + 1;
        else
            last = middle;
    }
    *is_there = false;
    return first;
}

struct role *role_set_find(const struct role_set *set, struct slice name)
{
    bool is_there;
    size_t place = place_of(set, name, &is_there);
    return is_there ? &set->roles[place] : NULL;
}

static enum err check_name(struct slice name, struct error *error)
{
    bool is_valid = name.size > 0 && name.size <= ROLE_NAME_MAX && utf8_validate(name) == name.size;
    for (size_t i = 0; is_valid && i < name.size; i++)
        is_valid = (unsigned char)name.data[i] >= 0x20 && name.data[i] != 0x7f &&
                   strchr(":\"\\", name.data[i]) == NULL; /* Basic ends a name at ':' */
    if (!is_valid)
        return error_set(
            error, ERR_INPUT, "42602",
            "the name of a role has 1 to %d bytes of UTF-8, no colon, quote, backslash "
            "or control character",
            ROLE_NAME_MAX);
    return OK;
}

/* Kinds, the owner of all there is, and what statements mean somebody else by. */
static bool is_reserved(struct slice name)
{
    static const char *const words[] = {CATALOG_ROLE, "public", "current_user", "current_role",
                                        "session_user"};
    enum role_kind kind;
    for (size_t i = 0; i < array_count(words); i++)
        if (slice_equal(name, slice_from_cstr(words[i])))
            return true;
    return role_kind_parse(name, &kind) || slice_starts_with(name, SLICE("pg_"));
}

static enum err add_role(struct role_set *set, struct slice name, uint32_t id, struct role **out,
                         struct error *error)
{
    bool is_there;
    enum err result = check_name(name, error);
    if (result != OK)
        return result;
    size_t place = place_of(set, name, &is_there);
    if (is_there)
        return error_set(error, ERR_EXISTS, "42710", "role \"%.*s\" already exists",
                         SLICE_ARGS(name));
    if (set->count == ROLES_MAX)
        return error_set(error, ERR_LIMIT, "54000", "there are %d roles already", ROLES_MAX);
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 8 : set->capacity * 2;
        set->roles = memory_realloc(set->roles, set->capacity * sizeof(*set->roles));
    }
    memmove(set->roles + place + 1, set->roles + place, (set->count - place) * sizeof(*set->roles));
    set->count++;
    set->roles[place] = (struct role){0};
    memcpy(set->roles[place].name, name.data, name.size);
    set->roles[place].id = id;
    *out = &set->roles[place];
    return OK;
}

enum err role_set_add(struct role_set *set, struct slice name, struct role **out,
                      struct error *error)
{
    if (is_reserved(name))
        return error_set(error, ERR_INPUT, "42939", "role name \"%.*s\" is reserved",
                         SLICE_ARGS(name));
    if (set->last_id == ROLE_ID_MAX)
        return error_set(error, ERR_LIMIT, "54000", "there have been %d roles", ROLE_ID_MAX);
    enum err result = add_role(set, name, set->last_id + 1, out, error);
    set->last_id += result == OK;
    return result;
}

void role_set_remove(struct role_set *set, struct role *role)
{
    size_t place = (size_t)(role - set->roles);
    assert(place < set->count);
    memory_free(role->grants);
    set->count--;
    memmove(role, role + 1, (set->count - place) * sizeof(*role));
    crypto_wipe(set->roles + set->count, sizeof(*role));
}

/* --- grants --- */

enum err role_grant(struct role *role, uint32_t table_id, uint32_t rights, struct error *error)
{
    size_t place = 0;
    while (place < role->grant_count && role->grants[place].table_id < table_id)
        place++;
    if (rights == 0)
        return OK;
    if (place < role->grant_count && role->grants[place].table_id == table_id) {
        role->grants[place].rights |= rights;
        return OK;
    }
    if (role->grant_count == ROLE_GRANTS_MAX)
        return error_set(error, ERR_LIMIT, "54000", "role \"%s\" has rights on %d tables already",
                         role->name, ROLE_GRANTS_MAX);
    role->grants = memory_realloc(role->grants, (role->grant_count + 1) * sizeof(*role->grants));
    memmove(role->grants + place + 1, role->grants + place,
            (role->grant_count - place) * sizeof(*role->grants));
    role->grants[place] = (struct table_right){.table_id = table_id, .rights = rights};
    role->grant_count++;
    return OK;
}

void role_keep_grants(struct role *role, const uint32_t *ids, size_t count)
{
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < role->grant_count; i++) {
        while (at < count && ids[at] < role->grants[i].table_id)
            at++;
        if (at < count && ids[at] == role->grants[i].table_id)
            role->grants[kept++] = role->grants[i];
    }
    role->grant_count = kept;
}

void role_revoke(struct role *role, uint32_t table_id, uint32_t rights)
{
    size_t kept = 0;
    for (size_t i = 0; i < role->grant_count; i++) {
        struct table_right grant = role->grants[i];
        if (grant.table_id == table_id)
            grant.rights &= ~rights;
        if (grant.rights != 0)
            role->grants[kept++] = grant;
    }
    role->grant_count = kept;
}

/* --- bytes --- */

static void encode_role(const struct role *role, struct writer *out)
{
    writer_text(out, slice_from_cstr(role->name));
    writer_u32(out, role->id);
    writer_u8(out, (uint8_t)role->kind);
    writer_u8(out, (uint8_t)((role->has_verifier ? FLAG_VERIFIER : 0) |
                             (role->cannot_log_in ? FLAG_NO_LOGIN : 0)));
    if (role->has_verifier) {
        const struct verifier *verifier = &role->verifier;
        writer_u32(out, verifier->iterations);
        writer_text(out, slice_of(verifier->salt, verifier->salt_size));
        writer_bytes(out, verifier->stored_key, KEY_SIZE);
        writer_bytes(out, verifier->server_key, KEY_SIZE);
    }
    writer_u8(out, (uint8_t)role->token_count);
    for (uint32_t i = 0; i < role->token_count; i++) {
        writer_u32(out, role->tokens[i].id);
        writer_bytes(out, role->tokens[i].hash, KEY_SIZE);
    }
    writer_varint(out, role->grant_count);
    for (size_t i = 0; i < role->grant_count; i++) {
        writer_u32(out, role->grants[i].table_id);
        writer_u8(out, (uint8_t)role->grants[i].rights);
    }
}

void role_set_encode(const struct role_set *set, struct writer *out)
{
    size_t begin = out->size;
    writer_u32(out, MAGIC);
    writer_u32(out, VERSION);
    writer_bytes(out, set->secret, sizeof(set->secret));
    writer_u32(out, set->last_id);
    writer_varint(out, set->count);
    for (size_t i = 0; i < set->count; i++)
        encode_role(&set->roles[i], out);
    writer_u32(out, crc32c(0, out->data + begin, out->size - begin));
}

static void read_key(struct reader *in, uint8_t out[KEY_SIZE])
{
    struct slice bytes = reader_bytes(in, KEY_SIZE);
    if (!in->failed)
        memcpy(out, bytes.data, KEY_SIZE);
}

static bool decode_verifier(struct reader *in, struct verifier *out)
{
    out->iterations = reader_u32(in);
    struct slice salt = reader_text(in);
    read_key(in, out->stored_key);
    read_key(in, out->server_key);
    if (in->failed || salt.size == 0 || salt.size > SALT_SIZE_MAX ||
        out->iterations < VERIFIER_ITERATIONS_MIN)
        return false;
    memcpy(out->salt, salt.data, salt.size);
    out->salt_size = (uint32_t)salt.size;
    return true;
}

static bool decode_tokens(struct reader *in, struct role *role)
{
    role->token_count = reader_u8(in);
    if (role->token_count > ROLE_TOKENS_MAX) {
        role->token_count = 0;
        return false;
    }
    for (uint32_t i = 0; i < role->token_count; i++) {
        role->tokens[i].id = reader_u32(in);
        read_key(in, role->tokens[i].hash);
    }
    return !in->failed;
}

static bool decode_grants(struct reader *in, struct role *role)
{
    uint64_t count = reader_varint(in), last = 0;
    if (count > ROLE_GRANTS_MAX || count > reader_left(in))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t table_id = reader_u32(in), rights = reader_u8(in);
        if (in->failed || (i > 0 && table_id <= last) || rights == 0 ||
            (rights & ~RIGHT_ALL) != 0 || role_grant(role, table_id, rights, NULL) != OK)
            return false;
        last = table_id;
    }
    return true;
}

static bool decode_role(struct reader *in, uint32_t version, struct role_set *set)
{
    struct slice name = reader_text(in);
    uint32_t id = version == 1 ? ++set->last_id : reader_u32(in);
    uint8_t kind = reader_u8(in), flags = reader_u8(in);
    struct role *role;
    bool is_next = set->count == 0 ||
                   slice_compare(slice_from_cstr(set->roles[set->count - 1].name), name) < 0;
    if (in->failed || kind > ROLE_ADMIN || flags > (FLAG_VERIFIER | FLAG_NO_LOGIN) || !is_next ||
        id == 0 || id > set->last_id || add_role(set, name, id, &role, NULL) != OK)
        return false;
    role->kind = (enum role_kind)kind;
    role->has_verifier = (flags & FLAG_VERIFIER) != 0;
    role->cannot_log_in = (flags & FLAG_NO_LOGIN) != 0;
    if (role->has_verifier && !decode_verifier(in, &role->verifier))
        return false;
    if (role->verifier.iterations > VERIFIER_ITERATIONS_MAX) { /* an older version took more */
        role->has_verifier = false;
        role->verifier = (struct verifier){0};
    }
    return decode_tokens(in, role) && decode_grants(in, role);
}

static int compare_ids(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static bool has_equal_ids(const struct role_set *set)
{
    bool has = false;
    uint32_t *ids = memory_alloc(set->count * sizeof(*ids));
    for (size_t i = 0; i < set->count; i++)
        ids[i] = set->roles[i].id;
    qsort(ids, set->count, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < set->count; i++)
        has |= ids[i] == ids[i - 1];
    memory_free(ids);
    return has;
}

enum err role_set_decode(struct slice bytes, struct role_set *out, struct error *error)
{
    *out = (struct role_set){0};
    struct reader in = reader_of(bytes);
    bool is_right = bytes.size > 4;
    in.size = is_right ? bytes.size - 4 : 0;
    if (is_right) {
        struct reader end = reader_of(slice_of(bytes.data + in.size, 4));
        is_right = reader_u32(&end) == crc32c(0, bytes.data, in.size);
    }
    is_right = is_right && reader_u32(&in) == MAGIC;
    uint32_t version = reader_u32(&in);
    is_right = is_right && version >= 1 && version <= VERSION;
    read_key(&in, out->secret);
    out->last_id = version == 1 ? 0 : reader_u32(&in);
    uint64_t count = reader_varint(&in);
    is_right = is_right && !in.failed && count <= ROLES_MAX && out->last_id <= ROLE_ID_MAX;
    for (uint64_t i = 0; i < count && is_right; i++)
        is_right = decode_role(&in, version, out);
    if (is_right && !in.failed && reader_left(&in) == 0 && !has_equal_ids(out))
        return OK;
    role_set_deinit(out);
    return error_set(error, ERR_CORRUPT, NULL, "the file of the users is damaged");
}
