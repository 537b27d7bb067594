/* The file of the users from two processes' sides, and logging in. */
#include "server/access/access.h"

#include "server/access/attempts.h"
#include "storage/base/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENT SLICE("192.0.2.7:999")

static char directory[] = "/tmp/freshet-access-XXXXXX";
static char token[TOKEN_TEXT_MAX];

static enum err add_ann(void *context, struct role_set *set, struct error *error)
{
    struct role *role;
    enum err result = role_set_add(set, slice_from_cstr(context), &role, error);
    if (result != OK)
        return result;
    role->kind = ROLE_WRITER;
    role->has_verifier = true;
    verifier_make(SLICE("right"), &role->verifier);
    role_add_token(set, role, token);
    return role_grant(role, 9, RIGHT_TRUNCATE, error);
}

static enum err drop_ann(void *context, struct role_set *set, struct error *error)
{
    (void)error;
    role_set_remove(set, role_set_find(set, slice_from_cstr(context)));
    return OK;
}

static enum err refuse(void *context, struct role_set *set, struct error *error)
{
    (void)add_ann(context, set, error);
    return error_set(error, ERR_INPUT, NULL, "no");
}

static void path_of(const char *name, char out[128])
{
    snprintf(out, 128, "%s/%s", directory, name);
}

static struct access *open_access(void)
{
    struct access *access;
    struct error error;
    assert_int_equal(access_open(directory, &access, &error), OK);
    return access;
}

static enum login log_in(struct access *access, struct slice name, struct slice password,
                         bool is_quick)
{
    struct arena arena;
    struct asker asker;
    arena_init(&arena);
    enum login login =
        access_login_password(access, name, password, CLIENT, is_quick, &arena, &asker);
    if (login == LOGIN_OK) {
        assert_true(slice_equal(asker.name, name));
        assert_int_equal(asker_rights(&asker, 8), RIGHT_SELECT | RIGHT_INSERT);
        assert_int_equal(asker_rights(&asker, 9), RIGHT_ALL);
        assert_false(asker_is_admin(&asker));
    }
    arena_deinit(&arena);
    return login;
}

static enum login use_token(struct access *access, struct slice text)
{
    struct arena arena;
    struct asker asker;
    arena_init(&arena);
    enum login login = access_login_token(access, text, CLIENT, &arena, &asker);
    arena_deinit(&arena);
    return login;
}

static void test_file(void **state)
{
    (void)state;
    struct error error;
    struct stat status;
    char path[128];
    struct access *nowhere;
    assert_int_equal(access_open("/tmp/freshet-access-nowhere", &nowhere, &error), OK);
    assert_false(access_has_users(nowhere));
    assert_int_equal(access_change(nowhere, add_ann, "ann", &error), ERR_IO);
    access_close(nowhere);

    struct access *one = open_access(), *other = open_access();
    path_of("users", path);
    assert_int_not_equal(stat(path, &status), 0);
    assert_int_equal(access_change(one, refuse, "ann", &error), ERR_INPUT);
    assert_false(access_has_users(one));
    assert_int_equal(access_change(one, add_ann, "ann", &error), OK);
    assert_true(access_has_users(one));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_false(access_has_users(other));
    access_refresh(other);
    assert_true(access_has_users(other));
    /* A change of the other starts from what is on disk. */
    assert_int_equal(access_change(other, add_ann, "bea", &error), OK);
    access_refresh(one);
    assert_int_equal(log_in(one, SLICE("bea"), SLICE("right"), false), LOGIN_OK);
    assert_int_equal(log_in(other, SLICE("ann"), SLICE("right"), false), LOGIN_OK);
    assert_int_equal(access_change(one, add_ann, "ann", &error), ERR_EXISTS);
    access_close(other);

    /* Without its last user a running server is shut, one that starts is open. */
    assert_int_equal(access_change(one, drop_ann, "ann", &error), OK);
    assert_int_equal(access_change(one, drop_ann, "bea", &error), OK);
    assert_true(access_has_users(one));
    assert_int_equal(log_in(one, SLICE("ann"), SLICE("right"), false), LOGIN_WRONG);
    struct access *again = open_access();
    assert_false(access_has_users(again));
    access_close(again);
    access_close(one);
}

/* Without a descriptor the file cannot be read; it is when there is one again. */
/* Who is connected learns of changes with the next question. */
static void test_ask(void **state)
{
    (void)state;
    struct access *access = open_access();
    struct access_known known;
    struct error error;
    access_known_init(&known);
    assert_null(access_ask(access, SLICE("kim"), &known));
    assert_int_equal(access_change(access, add_ann, "kim", &error), OK);
    const struct asker *asker = access_ask(access, SLICE("kim"), &known);
    assert_non_null(asker);
    assert_int_equal(asker_rights(asker, 9), RIGHT_ALL);
    const struct table_right *grants = asker->grants;
    asker = access_ask(access, SLICE("kim"), &known);
    assert_ptr_equal(asker->grants, grants); /* not read anew */
    assert_int_equal(access_change(access, drop_ann, "kim", &error), OK);
    assert_null(access_ask(access, SLICE("kim"), &known));
    access_known_deinit(&known);
    access_close(access);
}

static void test_refresh_is_tried_again(void **state)
{
    (void)state;
    struct error error;
    struct rlimit limit, none;
    struct access *one = open_access(), *other = open_access();
    assert_int_equal(access_change(other, add_ann, "cid", &error), OK);
    access_refresh(one);
    assert_int_equal(log_in(one, SLICE("cid"), SLICE("right"), false), LOGIN_OK);
    assert_int_equal(access_change(other, drop_ann, "cid", &error), OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    access_refresh(one);
    assert_int_equal(log_in(one, SLICE("cid"), SLICE("right"), true), LOGIN_OK);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    access_refresh(one);
    assert_int_equal(log_in(one, SLICE("cid"), SLICE("right"), false), LOGIN_WRONG);
    access_close(other);
    access_close(one);
}

static void test_damaged_file(void **state)
{
    (void)state;
    struct error error;
    char path[128];
    struct access *one = open_access(), *other;
    assert_int_equal(access_change(one, add_ann, "ann", &error), OK);
    path_of("users", path);
    FILE *file = fopen(path, "r+b");
    fseek(file, 50, SEEK_SET);
    fputc(0x55, file);
    fclose(file);
    assert_int_equal(access_open(directory, &other, &error), ERR_CORRUPT);
    access_refresh(one); /* what was read last holds */
    assert_int_equal(log_in(one, SLICE("ann"), SLICE("right"), false), LOGIN_OK);
    assert_int_equal(access_change(one, add_ann, "bea", &error), ERR_CORRUPT);
    access_close(one);
    unlink(path);
}

static void test_log_in(void **state)
{
    (void)state;
    struct error error;
    struct access *access = open_access();
    assert_int_equal(access_change(access, add_ann, "ann", &error), OK);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("right"), true), LOGIN_LATER);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("wrong"), true), LOGIN_LATER);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("wrong"), false), LOGIN_WRONG);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE(""), false), LOGIN_WRONG);
    assert_int_equal(log_in(access, SLICE(""), SLICE(""), false), LOGIN_WRONG);
    assert_int_equal(log_in(access, SLICE("bea"), SLICE("right"), false), LOGIN_WRONG);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("right"), false), LOGIN_OK);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("right"), true), LOGIN_OK);
    assert_int_equal(log_in(access, SLICE("annr"), SLICE("ight"), true), LOGIN_LATER);
    assert_int_equal(use_token(access, slice_from_cstr(token)), LOGIN_OK);
    assert_int_equal(use_token(access, slice_from_cstr(token)), LOGIN_OK);
    char wrong[TOKEN_TEXT_MAX];
    memcpy(wrong, token, sizeof(wrong));
    size_t size = strlen(wrong);
    wrong[size - 1] ^= 1;
    assert_int_equal(use_token(access, slice_of(wrong, size)), LOGIN_WRONG);
    assert_int_equal(use_token(access, slice_of(token, size - 1)), LOGIN_WRONG);
    assert_int_equal(use_token(access, SLICE("freshet_")), LOGIN_WRONG);
    assert_int_equal(use_token(access, SLICE("")), LOGIN_WRONG);
    /* A change forgets what was right. */
    assert_int_equal(access_change(access, drop_ann, "ann", &error), OK);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("right"), true), LOGIN_LATER);
    assert_int_equal(use_token(access, slice_from_cstr(token)), LOGIN_WRONG);
    access_close(access);
}

static void test_mock(void **state)
{
    (void)state;
    struct error error;
    struct verifier a, b, c;
    struct access *access = open_access();
    assert_int_equal(access_change(access, add_ann, "ann", &error), OK);
    assert_int_equal(access_login_begin(access, SLICE("nobody"), CLIENT, &a), LOGIN_OK);
    assert_int_equal(access_login_begin(access, SLICE("nobody"), CLIENT, &b), LOGIN_OK);
    assert_int_equal(access_login_begin(access, SLICE("nothing"), CLIENT, &c), LOGIN_OK);
    assert_int_equal(a.iterations, VERIFIER_ITERATIONS);
    assert_int_equal(a.salt_size, SALT_SIZE);
    assert_memory_equal(a.salt, b.salt, SALT_SIZE);
    assert_memory_not_equal(a.salt, c.salt, SALT_SIZE);
    access_close(access);
    /* … and after a restart, too. */
    access = open_access();
    assert_int_equal(access_login_begin(access, SLICE("nobody"), CLIENT, &b), LOGIN_OK);
    assert_memory_equal(a.salt, b.salt, SALT_SIZE);
    access_close(access);
}

static enum err add_imported(void *context, struct role_set *set, struct error *error)
{
    struct role *role;
    enum err result = role_set_add(set, slice_from_cstr(context), &role, error);
    role->has_verifier = result == OK;
    if (result == OK)
        verifier_derive(SLICE("right"), (const uint8_t *)"0123456789abcdef0123456789abcdef", 20,
                        4096, &role->verifier);
    return result;
}

/* Verifiers of another server do not tell which names are known: unknown ones have such, too. */
static void test_mock_of_imported(void **state)
{
    (void)state;
    struct error error;
    struct verifier first[64], verifier;
    size_t native = 0, imported = 0;
    char name[16];
    struct access *access = open_access();
    assert_int_equal(access_change(access, add_imported, "imported", &error), OK);
    for (size_t i = 0; i < array_count(first); i++) {
        snprintf(name, sizeof(name), "unknown%zu", i);
        assert_int_equal(
            access_login_begin(access, slice_from_cstr(name), SLICE("192.0.2.30:1"), &first[i]),
            LOGIN_OK);
        native += first[i].iterations == VERIFIER_ITERATIONS && first[i].salt_size == SALT_SIZE;
        imported += first[i].iterations == 4096 && first[i].salt_size == 20;
    }
    assert_int_equal(native + imported, array_count(first));
    assert_true(native > 0 && imported > 0);
    access_close(access);
    access = open_access(); /* the same for each name after a restart */
    for (size_t i = 0; i < array_count(first); i++) {
        snprintf(name, sizeof(name), "unknown%zu", i);
        assert_int_equal(
            access_login_begin(access, slice_from_cstr(name), SLICE("192.0.2.30:1"), &verifier),
            LOGIN_OK);
        assert_int_equal(verifier.iterations, first[i].iterations);
        assert_int_equal(verifier.salt_size, first[i].salt_size);
        assert_memory_equal(verifier.salt, first[i].salt, verifier.salt_size);
    }
    assert_int_equal(access_change(access, drop_ann, "imported", &error), OK);
    access_close(access);
}

/* HMAC fills a short key up with zeros: a password and zeros derive the same. */
static void test_zeros_are_no_password(void **state)
{
    (void)state;
    struct error error;
    struct arena arena;
    struct asker asker;
    struct access *access = open_access();
    struct slice client = SLICE("192.0.2.31:1");
    assert_int_equal(access_change(access, add_ann, "zoe", &error), OK);
    arena_init(&arena);
    assert_int_equal(access_login_password(access, SLICE("zoe"), slice_of("right\0\0", 7), client,
                                           false, &arena, &asker),
                     LOGIN_WRONG);
    assert_int_equal(
        access_login_password(access, SLICE("zoe"), SLICE("right"), client, false, &arena, &asker),
        LOGIN_OK);
    arena_deinit(&arena);
    access_close(access);
}

static void test_limits(void **state)
{
    (void)state;
    struct access *access = open_access();
    for (int i = 0; i < ATTEMPTS_BURST; i++)
        assert_int_equal(use_token(access, SLICE("x")), LOGIN_WRONG);
    assert_int_equal(use_token(access, SLICE("x")), LOGIN_LIMITED);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("right"), false), LOGIN_LIMITED);
    assert_int_equal(log_in(access, SLICE("ann"), SLICE("right"), true), LOGIN_LIMITED);
    struct verifier verifier;
    assert_int_equal(access_login_begin(access, SLICE("ann"), SLICE("192.0.2.8:1"), &verifier),
                     LOGIN_OK);
    access_close(access);
}

static enum login end(struct access *access, struct slice client, bool is_right,
                      const struct verifier *verifier)
{
    struct arena arena;
    struct asker asker;
    arena_init(&arena);
    enum login login =
        access_login_end(access, SLICE("mia"), client, is_right, verifier, &arena, &asker);
    arena_deinit(&arena);
    return login;
}

/* Any number of right exchanges at once; of wrong ones no more are told than there are attempts,
 * whenever they began, and a right one among them is not told either. */
static void test_exchanges_at_once(void **state)
{
    (void)state;
    enum { MANY = 200 };
    struct error error;
    struct verifier verifier;
    struct access *access = open_access();
    struct slice right = SLICE("192.0.2.20:1"), wrong = SLICE("192.0.2.21:1");
    assert_int_equal(access_change(access, add_ann, "mia", &error), OK);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(access_login_begin(access, SLICE("mia"), right, &verifier), LOGIN_OK);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(end(access, right, true, &verifier), LOGIN_OK);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(access_login_begin(access, SLICE("mia"), wrong, &verifier), LOGIN_OK);
    int judged = 0;
    for (int i = 0; i < MANY; i++)
        judged += end(access, wrong, false, &verifier) == LOGIN_WRONG;
    assert_in_range(judged, ATTEMPTS_BURST, ATTEMPTS_BURST + 1);
    assert_int_equal(end(access, wrong, true, &verifier), LOGIN_LIMITED);
    assert_int_equal(access_login_begin(access, SLICE("mia"), wrong, &verifier), LOGIN_LIMITED);
    access_close(access);
}

static void test_log_names(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(access_log_name(SLICE("ann-1.b@c"), out), "ann-1.b@c");
    assert_string_equal(access_log_name(SLICE("a b'\"=\n\\\xff"), out), "a b'?=???");
    assert_string_equal(access_log_name(SLICE("\xc3\xa4\xc2\x85\x7f"), out), "\xc3\xa4???");
}

int main(void)
{
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    if (mkdtemp(directory) == NULL)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_log_in),
        cmocka_unit_test(test_mock),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_mock_of_imported),
        cmocka_unit_test(test_zeros_are_no_password),
        cmocka_unit_test(test_exchanges_at_once),
        cmocka_unit_test(test_log_names),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_refresh_is_tried_again),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char path[128];
    path_of("users", path);
    unlink(path);
    path_of("users.lock", path);
    unlink(path);
    rmdir(directory);
    return failed;
}
