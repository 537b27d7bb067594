/* The set of roles against a naive model, and its bytes there and back, whole and damaged. */
#include "server/access/roles.h"

#include "storage/base/arena.h"
#include "storage/base/hash.h"
#include "storage/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <stdio.h>

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *sqlstate; /* NULL: taken */
    } cases[] = {
        {"grafana", NULL},
        {"Ann Lee", NULL},
        {"\xc3\xa9", NULL},
        {"", "42602"},
        {"a:b", "42602"},
        {"a\nb", "42602"},
        {"\xff", "42602"},
        {"public", "42939"},
        {"pg_read", "42939"},
        {"reader", "42939"},
        {"admin", "42939"},
        {"none", "42939"},
        {"freshet", "42939"},
        {"current_user", "42939"},
        {"current_role", "42939"},
        {"session_user", "42939"},
        {"freshet2", NULL},
        {"grafana", "42710"},
        {"x23456789012345678901234567890123456789012345678901234567890123", NULL},
        {"x234567890123456789012345678901234567890123456789012345678901234", "42602"},
    };
    struct role_set set;
    struct role *role;
    struct error error;
    role_set_init(&set);
    for (size_t i = 0; i < array_count(cases); i++) {
        enum err err = role_set_add(&set, slice_from_cstr(cases[i].name), &role, &error);
        if ((err == OK) != (cases[i].sqlstate == NULL))
            fail_msg("%s", cases[i].name);
        if (err != OK)
            assert_string_equal(error.sqlstate, cases[i].sqlstate);
    }
    role_set_deinit(&set);
}

#define MODEL_ROLES 6
#define MODEL_TABLES 9

static void fill(struct role_set *set, uint64_t seed)
{
    struct random_stream stream;
    struct role *role;
    random_stream_init(&stream, seed);
    role_set_init(set);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "r%u", (unsigned)random_below(&stream, 100));
        if (role_set_add(set, slice_from_cstr(name), &role, NULL) != OK)
            continue;
        role->kind = (enum role_kind)random_below(&stream, 4);
        role->has_verifier = random_below(&stream, 2) == 0;
        role->cannot_log_in = random_below(&stream, 4) == 0;
        if (role->has_verifier)
            role->verifier = (struct verifier){.iterations = 4096, .salt_size = 16, .salt = {1}};
        role->token_count = (uint32_t)random_below(&stream, ROLE_TOKENS_MAX + 1);
        for (uint32_t t = 0; t < role->token_count; t++)
            role->tokens[t].id = (uint32_t)random_next(&stream);
        for (uint64_t g = random_below(&stream, 8); g > 0; g--)
            assert_int_equal(role_grant(role, (uint32_t)random_below(&stream, 1000),
                                        1 + (uint32_t)random_below(&stream, RIGHT_ALL), NULL),
                             OK);
    }
}

static void assert_same(const struct role_set *a, const struct role_set *b)
{
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->last_id, b->last_id);
    assert_memory_equal(a->secret, b->secret, KEY_SIZE);
    for (size_t i = 0; i < a->count; i++) {
        const struct role *x = &a->roles[i], *y = &b->roles[i];
        assert_string_equal(x->name, y->name);
        assert_int_equal(x->id, y->id);
        assert_int_equal(x->cannot_log_in, y->cannot_log_in);
        assert_int_equal(x->kind, y->kind);
        assert_int_equal(x->has_verifier, y->has_verifier);
        assert_memory_equal(&x->verifier, &y->verifier, sizeof(x->verifier));
        assert_int_equal(x->token_count, y->token_count);
        for (uint32_t t = 0; t < x->token_count; t++)
            assert_int_equal(x->tokens[t].id, y->tokens[t].id);
        assert_int_equal(x->grant_count, y->grant_count);
        for (size_t g = 0; g < x->grant_count; g++) {
            assert_int_equal(x->grants[g].table_id, y->grants[g].table_id);
            assert_int_equal(x->grants[g].rights, y->grants[g].rights);
        }
    }
}

static void test_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct role_set set, back;
        struct writer bytes;
        struct error error;
        fill(&set, seed);
        writer_init(&bytes);
        role_set_encode(&set, &bytes);
        assert_int_equal(role_set_decode(writer_as_slice(&bytes), &back, &error), OK);
        assert_same(&set, &back);
        role_set_deinit(&back);
        for (size_t i = 0; i < bytes.size; i++) {
            assert_int_equal(role_set_decode(slice_of(bytes.data, i), &back, &error), ERR_CORRUPT);
            bytes.data[i] ^= 1;
            assert_int_equal(role_set_decode(writer_as_slice(&bytes), &back, &error), ERR_CORRUPT);
            bytes.data[i] ^= 1;
        }
        writer_deinit(&bytes);
        role_set_deinit(&set);
    }
}

/* A file of version 1, which had no ids: roles are numbered as they stand. */
static void test_version_1(void **state)
{
    (void)state;
    struct role_set set;
    struct writer bytes;
    struct role *role;
    struct error error;
    writer_init(&bytes);
    writer_u32(&bytes, 0x53555246u);
    writer_u32(&bytes, 1);
    for (int i = 0; i < KEY_SIZE; i++)
        writer_u8(&bytes, (uint8_t)i);
    writer_varint(&bytes, 2);
    for (int i = 0; i < 2; i++) {
        writer_text(&bytes, i == 0 ? SLICE("ann") : SLICE("bea"));
        writer_u8(&bytes, ROLE_READER);
        writer_u8(&bytes, 0); /* no verifier */
        writer_u8(&bytes, 0); /* no tokens */
        writer_varint(&bytes, 1);
        writer_u32(&bytes, 7);
        writer_u8(&bytes, RIGHT_INSERT);
    }
    writer_u32(&bytes, crc32c(0, bytes.data, bytes.size));
    assert_int_equal(role_set_decode(writer_as_slice(&bytes), &set, &error), OK);
    assert_int_equal(set.count, 2);
    assert_int_equal(set.roles[0].id, 1);
    assert_int_equal(set.roles[1].id, 2);
    assert_false(set.roles[1].cannot_log_in);
    assert_int_equal(set.roles[1].grants[0].table_id, 7);
    role_set_remove(&set, role_set_find(&set, SLICE("bea")));
    assert_int_equal(role_set_add(&set, SLICE("bea"), &role, &error), OK);
    assert_int_equal(role->id, 3); /* somebody else */
    role_set_deinit(&set);
    writer_deinit(&bytes);
}

/* What an older version took stays readable: a reserved name, and a verifier of too many
 * iterations, which is no password any more. */
static void test_older_sets(void **state)
{
    (void)state;
    struct role_set set, back;
    struct writer bytes;
    struct role *role;
    struct error error;
    role_set_init(&set);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(role_set_add(&set, i == 0 ? SLICE("ann") : SLICE("bea"), &role, &error),
                         OK);
        role->has_verifier = true;
        role->verifier = (struct verifier){
            .iterations = VERIFIER_ITERATIONS_MAX + i, .salt_size = 16, .salt = {1}};
    }
    memcpy(role_set_find(&set, SLICE("bea"))->name, "freshet", sizeof("freshet"));
    writer_init(&bytes);
    role_set_encode(&set, &bytes);
    assert_int_equal(role_set_decode(writer_as_slice(&bytes), &back, &error), OK);
    assert_true(role_set_find(&back, SLICE("ann"))->has_verifier);
    assert_false(role_set_find(&back, SLICE("freshet"))->has_verifier);
    writer_deinit(&bytes);
    role_set_deinit(&back);
    role_set_deinit(&set);
}

/* Numbers are given once: a set whose last one is gone can still be read, and takes no more; one
 * that has a number twice, or one that was not given, is refused. */
static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        uint32_t ann, bea, last;
        enum err want;
    } cases[] = {
        {1, 2, 2, OK},          {9, 2, ROLE_ID_MAX, OK}, {2, 2, 2, ERR_CORRUPT},
        {1, 3, 2, ERR_CORRUPT}, {0, 2, 2, ERR_CORRUPT},  {1, 2, ROLE_ID_MAX + 1, ERR_CORRUPT},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct role_set set, back;
        struct writer bytes;
        struct role *role;
        struct error error;
        role_set_init(&set);
        assert_int_equal(role_set_add(&set, SLICE("ann"), &role, &error), OK);
        assert_int_equal(role_set_add(&set, SLICE("bea"), &role, &error), OK);
        set.roles[0].id = cases[i].ann;
        set.roles[1].id = cases[i].bea;
        set.last_id = cases[i].last;
        writer_init(&bytes);
        role_set_encode(&set, &bytes);
        assert_int_equal(role_set_decode(writer_as_slice(&bytes), &back, &error), cases[i].want);
        writer_deinit(&bytes);
        role_set_deinit(&set);
        if (cases[i].want != OK)
            continue;
        bool is_full = back.last_id == ROLE_ID_MAX;
        assert_int_equal(role_set_add(&back, SLICE("cat"), &role, &error),
                         is_full ? ERR_LIMIT : OK);
        assert_int_equal(back.last_id, is_full ? ROLE_ID_MAX : 3);
        role_set_deinit(&back);
    }
}

/* Grants and drops in any order against a plain table of rights. */
static void test_rights(void **state)
{
    (void)state;
    struct random_stream stream;
    uint32_t model[MODEL_ROLES][MODEL_TABLES] = {0};
    struct role_set set;
    random_stream_init(&stream, 7);
    role_set_init(&set);
    for (int step = 0; step < 5000; step++) {
        uint32_t r = (uint32_t)random_below(&stream, MODEL_ROLES),
                 t = (uint32_t)random_below(&stream, MODEL_TABLES),
                 rights = (uint32_t)random_below(&stream, RIGHT_ALL + 1);
        char name[8];
        snprintf(name, sizeof(name), "r%u", r);
        struct role *role = role_set_find(&set, slice_from_cstr(name));
        uint64_t what = random_below(&stream, 10);
        if (role == NULL) {
            assert_int_equal(role_set_add(&set, slice_from_cstr(name), &role, NULL), OK);
        } else if (what == 0) {
            role_set_remove(&set, role);
            memset(model[r], 0, sizeof(model[r]));
        } else if (what < 6) {
            assert_int_equal(role_grant(role, t, rights, NULL), OK);
            model[r][t] |= rights;
        } else {
            role_revoke(role, t, rights);
            model[r][t] &= ~rights;
        }
        if (role != NULL && what == 9) { /* every other table is dropped */
            static const uint32_t kept[] = {1, 3, 5, 7, 11};
            role_keep_grants(role, kept, array_count(kept));
            for (uint32_t i = 0; i < MODEL_TABLES; i += 2)
                model[r][i] = 0;
        }
        role = role_set_find(&set, slice_from_cstr(name));
        struct asker asker = {.grant_count = role == NULL ? 0 : role->grant_count,
                              .grants = role == NULL ? NULL : role->grants};
        for (uint32_t i = 0; i < MODEL_TABLES; i++)
            assert_int_equal(asker_rights(&asker, i), model[r][i]);
    }
    role_set_deinit(&set);
}

static void test_kinds(void **state)
{
    (void)state;
    enum role_kind kind;
    for (int i = ROLE_PLAIN; i <= ROLE_ADMIN; i++) {
        assert_true(role_kind_parse(slice_from_cstr(role_kind_name((enum role_kind)i)), &kind));
        assert_int_equal(kind, i);
    }
    assert_false(role_kind_parse(SLICE("Reader"), &kind));
    struct asker admin = {.is_admin = true};
    assert_int_equal(asker_rights(NULL, 5), RIGHT_ALL);
    assert_int_equal(asker_rights(&admin, 5), RIGHT_ALL);
    assert_int_equal(role_kind_rights(ROLE_READER), RIGHT_SELECT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_version_1), cmocka_unit_test(test_rights),
        cmocka_unit_test(test_kinds),     cmocka_unit_test(test_older_sets),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
