/* The library's configuration. Ours first, so that the connection may choose sizes and times, never
 * what is promised; secrets are read from their files here and forgotten at once.
 *
 * Whoever may make a subscription names the broker as well as the file that is shown to it, so
 * files are opened in one folder only, which belongs to whoever runs the server. */
#include "ingest/kafka/client.h"

#include "ingest/kafka/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_SIZE_MAX 4096

static enum err set_property(rd_kafka_conf_t *conf, const char *name, struct slice value,
                             bool is_secret, struct error *error)
{
    char library[512];
    char *text = memory_alloc(value.size + 1);
    memcpy(text, value.data, value.size);
    text[value.size] = 0;
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, text, library, sizeof(library));
    explicit_bzero(text, value.size);
    memory_free(text);
    if (result == RD_KAFKA_CONF_OK)
        return OK;
    return error_set(error, ERR_INPUT, "22023", "connection option \"%s\": %s", name,
                     is_secret ? "the file's content is not accepted" : library);
}

/* Before anything is opened: a whole path must begin with the folder. */
static enum err check_path(const char *secrets, const char *name, const char *path,
                           struct error *error)
{
    size_t size = secrets == NULL ? 0 : strlen(secrets);
    if (size > 0 && (path[0] != '/' || (strncmp(path, secrets, size) == 0 && path[size] == '/')))
        return OK;
    error_set(error, ERR_INPUT, "22023",
              "the file of connection option \"%s\" must be in the folder of secrets", name);
    error_hint(error, "name it relative to the folder that the setting \"secrets\" says");
    return ERR_INPUT;
}

/* Where the file really is, if that is a file within the folder. One message for all that it may
 * not be: which files the machine has is nobody's business. */
static enum err find_file(const char *secrets, const char *name, const char *path, char *out,
                          struct error *error)
{
    char folder[PATH_MAX], joined[PATH_MAX];
    struct stat found;
    int size = path[0] == '/' ? snprintf(joined, sizeof(joined), "%s", path)
                              : snprintf(joined, sizeof(joined), "%s/%s", secrets, path);
    bool is_there = size > 0 && (size_t)size < sizeof(joined) &&
                    realpath(secrets, folder) != NULL && realpath(joined, out) != NULL;
    size_t depth = is_there ? strlen(folder) : 0;
    if (is_there && strncmp(out, folder, depth) == 0 && out[depth] == '/' &&
        stat(out, &found) == 0 && S_ISREG(found.st_mode))
        return OK;
    return error_set(error, ERR_IO, "58030",
                     "the file of \"%s\" is not there, or not in the folder of secrets", name);
}

/* The file without the end of its last line. */
static enum err set_secret(rd_kafka_conf_t *conf, const char *name, const char *path,
                           struct error *error)
{
    char secret[SECRET_SIZE_MAX];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t size = file < 0 ? -1 : read(file, secret, sizeof(secret));
    int saved = errno;
    if (file >= 0)
        close(file);
    if (size < 0)
        return error_set(error, ERR_IO, "58030", "cannot read the file of \"%s\": %s", name,
                         strerror(saved));
    while (size > 0 && (secret[size - 1] == '\n' || secret[size - 1] == '\r'))
        size--;
    enum err err = OK;
    if (size == 0 || memchr(secret, 0, (size_t)size) != NULL || size == sizeof(secret))
        err = error_set(error, ERR_INPUT, "22023", "the file of \"%s\" holds no secret", name);
    if (err == OK)
        err = set_property(conf, name, slice_of(secret, (size_t)size), true, error);
    explicit_bzero(secret, sizeof(secret));
    return err;
}

static enum err set_given(rd_kafka_conf_t *conf, const struct connection *connection,
                          const char *secrets, bool with_files, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; i < connection->property_count && err == OK; i++) {
        const struct connection_property *property = &connection->properties[i];
        char name[64], path[CONNECTION_SIZE_MAX], found[PATH_MAX];
        snprintf(name, sizeof(name), "%.*s", SLICE_ARGS(property->name));
        snprintf(path, sizeof(path), "%.*s", SLICE_ARGS(property->value));
        bool has_file = property->is_file || property->is_path;
        if (has_file)
            err = check_path(secrets, name, path, error);
        if (has_file && with_files && err == OK)
            err = find_file(secrets, name, path, found, error);
        if (err != OK)
            return err;
        if (!has_file)
            err = set_property(conf, name, property->value, false, error);
        else if (with_files && property->is_file)
            err = set_secret(conf, name, found, error);
        else if (with_files)
            err = set_property(conf, name, slice_from_cstr(found), false, error);
    }
    return err;
}

static enum err configure(const struct subscription_definition *definition,
                          const struct connection *connection, const char *secrets, bool with_files,
                          rd_kafka_conf_t **out, struct error *error)
{
    static const struct {
        const char *name, *value;
    } ours[] = {{"client.id", "freshet"},
                {"enable.auto.commit", "false"},
                {"enable.auto.offset.store", "false"},
                {"enable.partition.eof", "true"},
                {"isolation.level", "read_committed"},
                {"auto.offset.reset", "error"},
                {"partition.assignment.strategy", "cooperative-sticky"},
                {"check.crcs", "true"},
                {"sasl.kerberos.min.time.before.relogin", "0"}, /* it would start a shell */
                {"allow.auto.create.topics", "false"},
                {"session.timeout.ms", "10000"}, /* what a restart after a crash waits for */
                {"queued.max.messages.kbytes", "16384"},
                {"queued.min.messages", "20000"},
                {"topic.metadata.refresh.interval.ms", "30000"},
                {"reconnect.backoff.max.ms", "2000"},
                {"log.connection.close", "false"}};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    enum err err = OK;
    for (size_t i = 0; i < array_count(ours) && err == OK; i++)
        err = set_property(conf, ours[i].name, slice_from_cstr(ours[i].value), false, error);
    if (err == OK)
        err = set_property(conf, "bootstrap.servers", connection->brokers, false, error);
    if (err == OK)
        err = set_property(conf, "group.id", definition->group, false, error);
    if (err == OK)
        err = set_given(conf, connection, secrets, with_files, error);
    if (err != OK)
        rd_kafka_conf_destroy(conf);
    else
        *out = conf;
    return err;
}

enum err client_configure(const struct subscription_definition *definition,
                          const struct connection *connection, const char *secrets,
                          rd_kafka_conf_t **out, struct error *error)
{
    return configure(definition, connection, secrets, true, out, error);
}

enum err client_check(const struct subscription_definition *definition, const char *secrets,
                      struct error *error)
{
    struct arena arena;
    struct connection *connection = memory_alloc(sizeof(*connection));
    rd_kafka_conf_t *conf = NULL;
    arena_init(&arena);
    enum err err = connection_parse(definition->connection, &arena, connection, error);
    if (err == OK)
        err = configure(definition, connection, secrets, false, &conf, error);
    if (err == OK)
        rd_kafka_conf_destroy(conf);
    memory_free(connection);
    arena_deinit(&arena);
    return err;
}
