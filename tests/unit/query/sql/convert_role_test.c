/* Statements about roles: what is read of them, what is refused by name, and what is shown of them.
 */
#include "tests/unit/query/sql/group.h"

#include "storage/base/random.h"

/* The command in a line. */
static void describe(const struct statement *statement, struct writer *out)
{
    const struct command *command = statement->command;
    const struct command_role *role = &command->role;
    writer_printf(out, "%s", statement->command_tag);
    for (size_t i = 0; i < role->name_count; i++)
        writer_printf(out, " %.*s", SLICE_ARGS(role->names[i]));
    for (size_t i = 0; i < command->table_count; i++)
        writer_printf(out, " on:%.*s", SLICE_ARGS(command->tables[i]));
    if (role->is_all_tables)
        writer_cstr(out, " on all");
    if (role->kind.size > 0)
        writer_printf(out, " kind:%.*s", SLICE_ARGS(role->kind));
    if (role->has_password)
        writer_printf(out, " password:%.*s", SLICE_ARGS(role->password));
    if (role->has_login)
        writer_cstr(out, role->can_log_in ? " login" : " nologin");
    if (role->rights != 0)
        writer_printf(out, " rights:%u", role->rights);
    if (command->if_exists)
        writer_cstr(out, " if exists");
    writer_u8(out, 0);
}

static const struct {
    const char *text, *want; /* or the SQLSTATE */
} statements[] = {
    {"create role a", "CREATE ROLE a nologin"},
    {"create user a", "CREATE ROLE a login"},
    {"create role \"A b\" login password 'x' in role writer",
     "CREATE ROLE A b kind:writer password:x login"},
    {"create user a password null superuser", "CREATE ROLE a kind:admin password: login"},
    {"create role a superuser in role reader", "CREATE ROLE a kind:admin nologin"},
    {"create role a in role reader superuser", "CREATE ROLE a kind:admin nologin"},
    {"create role a nosuperuser in role reader", "CREATE ROLE a kind:reader nologin"},
    {"create role a in role reader nosuperuser", "CREATE ROLE a kind:reader nologin"},
    {"create user a nologin", "CREATE ROLE a nologin"},
    {"create user a in role x", "0A000"},
    {"create user a in role reader, writer", "0A000"},
    {"create user a valid until 'x'", "0A000"},
    {"create user a connection limit 5", "0A000"},
    {"create user a createdb", "0A000"},
    {"create user a nocreatedb nocreaterole noreplication inherit", "CREATE ROLE a login"},
    {"create role a role b", "0A000"},
    {"create role a admin b", "0A000"},
    {"create group a", "0A000"},
    {"create role a password 'x' password 'y'", "42601"},
    {"create role public", "42601"},
    {"alter role a with password 'y' login", "ALTER ROLE a password:y login"},
    {"alter user a nosuperuser", "ALTER ROLE a kind:none"},
    {"alter role current_user password 'x'", "0A000"},
    {"alter role a set x to 1", "0A000"},
    {"drop role a, b", "DROP ROLE a b"},
    {"drop user if exists a", "DROP ROLE a if exists"},
    {"grant reader to a, b", "GRANT ROLE a b kind:reader"},
    {"revoke admin from a", "REVOKE ROLE a kind:admin"},
    {"grant a to b", "0A000"},
    {"grant reader to a with admin option", "0A000"},
    {"grant select, insert on t, u to a", "GRANT a on:t on:u rights:3"},
    {"grant all on table t to a", "GRANT a on:t rights:7"},
    {"grant all privileges on t to a", "GRANT a on:t rights:7"},
    {"revoke truncate on public.t from a", "REVOKE a on:t rights:4"},
    {"revoke select on t from a cascade", "REVOKE a on:t rights:1"},
    {"grant select on all tables in schema public to a", "GRANT a on all rights:1"},
    {"grant select on all tables in schema freshet to a", "3F000"},
    {"grant select on t to public", "0A000"},
    {"grant select on t to a with grant option", "0A000"},
    {"revoke grant option for select on t from a", "0A000"},
    {"grant select (n) on t to a", "0A000"},
    {"grant update on t to a", "0A000"},
    {"grant usage on schema public to a", "0A000"},
    {"grant select on freshet.tables to a", "42501"},
    {"set role a", "0A000"},
    {"set session authorization a", "0A000"},
    {"reset role", "0A000"},
};

static void test_statements(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_count(statements); i++) {
        struct prepare_job job;
        struct writer out;
        writer_init(&out);
        prepare(&catalogue, slice_from_cstr(statements[i].text), &job);
        if (job.result == OK) {
            describe(job.statement, &out);
            statement_unref(job.statement);
        } else {
            writer_printf(&out, "%s%c", job.error.sqlstate, 0);
        }
        if (strcmp((const char *)out.data, statements[i].want) != 0)
            fail_msg("%s: %s %s", statements[i].text, (const char *)out.data,
                     job.result == OK ? "" : job.error.text);
        writer_deinit(&out);
    }
}

static void test_masked(void **state)
{
    static const struct {
        const char *text, *want; /* NULL: as it is */
    } cases[] = {
        {"select 1", NULL},
        {"select password from users where user_id = 'x'", NULL},
        {"select * from t where password = 'x'", NULL},
        {"select 'create role a password ''x'", NULL},
        {"grant select on t to a", NULL},
        {"drop role a", NULL},
        {"create table role (a text default 'x')", NULL},
        {"CREATE ROLE a PASSWORD 'x'", "CREATE ROLE a ***"},
        {"create /* role */ user a login password e'x\\''", "create /* role */ user a login ***"},
        {"alter role a with encrypted password $$x$$", "alter role a with encrypted ***"},
        {"alter user a pasword 'x'", "alter user a pasword ***"},
        {"crate user a password 'x'", "crate user a password ***"},
        {"alter user a password U&'x'", "alter user a ***"},
        {"select 1; alter user a password 'x'", "select 1; alter user a ***"},
        {"create user a password 'x", "create user a ***"},
        {"create user a password $x$ y", "create user a ***"},
    };
    (void)state;
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < array_count(cases); i++) {
        struct slice text = slice_from_cstr(cases[i].text);
        struct slice want = slice_from_cstr(cases[i].want == NULL ? cases[i].text : cases[i].want);
        struct slice masked = sql_masked(text, &arena);
        if (!slice_equal(masked, want))
            fail_msg("%s: %.*s", cases[i].text, SLICE_ARGS(masked));
        if (cases[i].want == NULL)
            assert_ptr_equal(masked.data, text.data);
    }
    arena_deinit(&arena);
}

/* Whatever stands around it, a password of a statement about a role is not shown. */
static void test_random_texts(void **state)
{
    static const char *const parts[] = {"create", "alter",    "role",  "user",   "group",
                                        "a",      "password", "'x'",   "$$y$$",  "/* c */",
                                        ";",      "-- c\n",   "\"q\"", "login",  "encrypted",
                                        "=",      "e'\\''",   "null",  "select", "u&'z'"};
    (void)state;
    struct random_stream stream;
    random_stream_init(&stream, 11);
    for (int round = 0; round < 20000; round++) {
        char text[512];
        size_t size = 0;
        size_t before = random_below(&stream, 6), behind = random_below(&stream, 4);
        for (size_t i = 0; i < before + behind + 1; i++) {
            const char *part = parts[random_below(&stream, array_count(parts))];
            if (i == before)
                part = random_below(&stream, 2) == 0 ? "create user b password 'SECRET'"
                                                     : "; alter role b password $a$SECRET$a$";
            size += (size_t)snprintf(text + size, sizeof(text) - size, "%s ", part);
        }
        struct arena arena;
        arena_init(&arena);
        struct slice masked = sql_masked(slice_of(text, size), &arena);
        if (memmem(masked.data, masked.size, "SECRET", 6) != NULL)
            fail_msg("round %d: %s", round, text);
        arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_masked),
        cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
