/* The library's configuration: which files a connection may have opened, and what they give. */
#include "ingest/kafka/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>

struct place {
    char root[64], secrets[80];
};

static void write_file(const struct place *place, const char *name, const char *bytes, size_t size)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", place->root, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void make_link(const struct place *place, const char *name, const char *target)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", place->root, name);
    assert_int_equal(symlink(target, path), 0);
}

static void make_place(struct place *place)
{
    static char large[5000];
    char path[160];
    snprintf(place->root, sizeof(place->root), "/tmp/freshet-client-XXXXXX");
    assert_non_null(mkdtemp(place->root));
    snprintf(place->secrets, sizeof(place->secrets), "%s/secrets", place->root);
    assert_int_equal(mkdir(place->secrets, 0700), 0);
    snprintf(path, sizeof(path), "%s/secrets/folder", place->root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/secrets/pipe", place->root);
    assert_int_equal(mkfifo(path, 0600), 0);
    memset(large, 'x', sizeof(large));
    write_file(place, "outside", "outside", 7);
    write_file(place, "secrets/plain", "hunter2\r\n", 9);
    write_file(place, "secrets/folder/deep", "hunter3", 7);
    write_file(place, "secrets/empty", "\n", 1);
    write_file(place, "secrets/binary", "a\0b", 3);
    write_file(place, "secrets/large", large, sizeof(large));
    make_link(place, "secrets/within", "folder/deep");
    make_link(place, "secrets/leads_out", "../outside");
    make_link(place, "secrets/absolute", "/etc/hostname");
    make_link(place, "secrets/nowhere", "nothing");
    make_link(place, "secrets_too", "secrets");
}

static void remove_place(const struct place *place)
{
    static const char *const names[] = {
        "secrets/plain",    "secrets/folder/deep", "secrets/folder",
        "secrets/pipe",     "secrets/empty",       "secrets/binary",
        "secrets/large",    "secrets/within",      "secrets/leads_out",
        "secrets/absolute", "secrets/nowhere",     "secrets",
        "outside",          "secrets_too",         ""};
    char path[160];
    for (size_t i = 0; i < array_count(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", place->root, names[i]);
        assert_int_equal(remove(path), 0);
    }
}

/* The value the library got of an option, or the error's SQLSTATE; where @ is the secrets' folder.
 */
static const char *configure(const struct place *place, const char *options, const char *name,
                             struct error *error)
{
    static char value[512];
    char text[1024];
    struct arena arena;
    static struct connection connection;
    rd_kafka_conf_t *conf;
    arena_init(&arena);
    size_t size = (size_t)snprintf(text, sizeof(text), "kafka://h?");
    for (const char *p = options; *p != 0; p++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%.*s", *p == '@' ? 100 : 1,
                                 *p == '@' ? place->secrets : p);
    *error = (struct error){0};
    enum err err = connection_parse(slice_from_cstr(text), &arena, &connection, error);
    const struct subscription_definition definition = {.connection = slice_from_cstr(text),
                                                       .group = SLICE("g")};
    if (err == OK && client_check(&definition, place->secrets, error) == OK)
        err = client_configure(&definition, &connection, place->secrets, &conf, error);
    else if (err == OK)
        err = error->code;
    snprintf(value, sizeof(value), "%s", err == OK ? "" : error->sqlstate);
    if (err == OK) {
        size = sizeof(value);
        (void)rd_kafka_conf_get(conf, name, value, &size);
        rd_kafka_conf_destroy(conf);
    }
    arena_deinit(&arena);
    return value;
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *options, *want;
    } cases[] = {
        {"sasl.password.file=plain", "hunter2"},
        {"sasl.password.file=@/plain", "hunter2"},
        {"sasl.password.file=folder/deep", "hunter3"},
        {"sasl.password.file=within", "hunter3"},
        {"sasl.password.file=@/@/plain", "58030"},
        {"sasl.password.file=leads_out", "58030"},
        {"sasl.password.file=absolute", "58030"},
        {"sasl.password.file=nowhere", "58030"},
        {"sasl.password.file=missing", "58030"},
        {"sasl.password.file=folder", "58030"},
        {"sasl.password.file=pipe", "58030"},
        {"sasl.password.file=empty", "22023"},
        {"sasl.password.file=binary", "22023"},
        {"sasl.password.file=large", "22023"},
        {"sasl.password.file=../outside", "22023"},
        {"sasl.password.file=folder/../../outside", "22023"},
        {"sasl.password.file=/etc/hostname", "22023"},
        {"sasl.password.file=@_too/plain", "22023"},
        {"sasl.password.file=@", "22023"},
    };
    struct place place;
    struct error error;
    make_place(&place);
    for (size_t i = 0; i < array_count(cases); i++) {
        const char *got = configure(&place, cases[i].options, "sasl.password", &error);
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("%s: %s %s", cases[i].options, got, error.text);
        assert_null(strstr(error.text, "hunter"));
    }
    remove_place(&place);
}

static void test_paths_and_shells(void **state)
{
    (void)state;
    struct place place;
    struct error error;
    char want[200];
    make_place(&place);
    snprintf(want, sizeof(want), "%s/folder/deep", place.secrets);
    assert_string_equal(configure(&place, "ssl.ca.location=within", "ssl.ca.location", &error),
                        want);
    assert_string_equal(configure(&place, "ssl.key.location=leads_out", "ssl.key.location", &error),
                        "58030");
    assert_string_equal(
        configure(&place, "ssl.key.location=/etc/hostname", "ssl.key.location", &error), "22023");
    assert_string_equal(
        configure(&place, "client.id=a", "sasl.kerberos.min.time.before.relogin", &error),
        "0"); /* no shell is started */
    static const char *const refused[] = {"sasl.kerberos.principal=a", "sasl.kerberos.keytab=plain",
                                          "sasl.kerberos.kinit.cmd=a",
                                          "sasl.kerberos.min.time.before.relogin=1000"};
    for (size_t i = 0; i < array_count(refused); i++)
        assert_string_equal(configure(&place, refused[i], "client.id", &error), "22023");
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_paths_and_shells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
