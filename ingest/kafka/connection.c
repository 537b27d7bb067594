/* CONNECTION texts. Options are the library's own names from a list: what would break exactly-once
 * (offset storage, isolation), load code (plugins) or print secrets is not on it. Secrets come from
 * files, read when a consumer starts, so that no system table, log line or error can show one. */
#include "ingest/kafka/connection.h"

#include <assert.h>

/* clang-format off */
static const struct {
    const char *name;
    bool is_secret; /* only as name.file */
} allowed[] = {
    {"security.protocol", false},
    {"sasl.mechanism", false}, {"sasl.mechanisms", false}, {"sasl.username", false},
    {"sasl.password", true},
    {"sasl.kerberos.service.name", false}, {"sasl.kerberos.principal", false},
    {"sasl.kerberos.keytab", false}, {"sasl.kerberos.min.time.before.relogin", false},
    {"sasl.oauthbearer.config", true}, {"sasl.oauthbearer.method", false},
    {"sasl.oauthbearer.client.id", false}, {"sasl.oauthbearer.client.secret", true},
    {"sasl.oauthbearer.scope", false}, {"sasl.oauthbearer.extensions", false},
    {"sasl.oauthbearer.token.endpoint.url", false},
    {"ssl.ca.location", false}, {"ssl.certificate.location", false}, {"ssl.key.location", false},
    {"ssl.key.password", true}, {"ssl.keystore.location", false},
    {"ssl.keystore.password", true}, {"ssl.crl.location", false},
    {"ssl.cipher.suites", false}, {"ssl.curves.list", false}, {"ssl.sigalgs.list", false},
    {"ssl.endpoint.identification.algorithm", false},
    {"enable.ssl.certificate.verification", false},
    {"client.id", false}, {"client.rack", false}, {"group.instance.id", false},
    {"session.timeout.ms", false}, {"heartbeat.interval.ms", false},
    {"max.poll.interval.ms", false},
    {"fetch.min.bytes", false}, {"fetch.max.bytes", false}, {"fetch.wait.max.ms", false},
    {"fetch.message.max.bytes", false}, {"max.partition.fetch.bytes", false},
    {"fetch.error.backoff.ms", false},
    {"receive.message.max.bytes", false}, {"message.max.bytes", false},
    {"queued.min.messages", false}, {"queued.max.messages.kbytes", false},
    {"socket.timeout.ms", false}, {"socket.keepalive.enable", false},
    {"socket.nagle.disable", false}, {"socket.receive.buffer.bytes", false},
    {"socket.connection.setup.timeout.ms", false}, {"connections.max.idle.ms", false},
    {"broker.address.family", false}, {"broker.address.ttl", false},
    {"reconnect.backoff.ms", false}, {"reconnect.backoff.max.ms", false},
    {"metadata.max.age.ms", false}, {"topic.metadata.refresh.interval.ms", false},
    {"api.version.request", false}, {"broker.version.fallback", false},
};
/* clang-format on */

static enum err bad_connection(struct error *error, const char *text)
{
    error_set(error, ERR_INPUT, "22023", "the connection %s", text);
    error_hint(error, "write 'kafka://host:9092,host:9092?security.protocol=ssl'");
    return ERR_INPUT;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

/* host[:port] or [v6]:port */
static bool is_broker(struct slice text)
{
    size_t at = 0;
    if (text.size > 0 && text.data[0] == '[') {
        at = 1;
        while (at < text.size &&
               (text.data[at] == ':' || text.data[at] == '.' || is_name_byte(text.data[at])))
            at++;
        if (at < 3 || at == text.size || text.data[at++] != ']')
            return false;
    } else {
        while (at < text.size && is_name_byte(text.data[at]))
            at++;
        if (at == 0)
            return false;
    }
    if (at == text.size)
        return true;
    uint32_t port = 0;
    if (text.data[at++] != ':' || at == text.size || text.size - at > 5)
        return false;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9')
            return false;
        port = port * 10 + (uint32_t)(text.data[at] - '0');
    }
    return port > 0 && port <= 65535;
}

static struct slice take_until(struct slice *rest, char separator)
{
    const char *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    size_t size = at == NULL ? rest->size : (size_t)(at - rest->data);
    struct slice head = slice_of(rest->data, size);
    size_t used = at == NULL ? size : size + 1;
    *rest = slice_of(rest->data + used, rest->size - used);
    return head;
}

static enum err parse_brokers(struct slice brokers, struct error *error)
{
    if (brokers.size > 0 && memchr(brokers.data, '@', brokers.size) != NULL) {
        error_set(error, ERR_INPUT, "22023", "the connection holds a user or a password");
        error_hint(error, "write ?sasl.username=…&sasl.password.file=/path");
        return ERR_INPUT;
    }
    if (brokers.size == 0 || brokers.data[brokers.size - 1] == ',')
        return bad_connection(error, "names no broker, or ends in a comma");
    while (brokers.size > 0)
        if (!is_broker(take_until(&brokers, ',')))
            return bad_connection(error, "has a broker that is not host or host:port");
    return OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Undoes %XX. False for what is no such code, or a control byte. */
static bool decode_value(struct slice text, struct arena *arena, struct slice *out)
{
    char *bytes = arena_alloc(arena, text.size + 1);
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == '%') {
            int high = i + 1 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if ((uint8_t)c < 0x20 || c == 0x7F)
            return false;
        bytes[size++] = c;
    }
    *out = slice_of(bytes, size);
    return utf8_validate(*out) == size;
}

static enum err unknown_option(struct slice name, struct error *error)
{
    name = slice_cut(name, 100);
    return error_set(error, ERR_INPUT, "22023", "unknown connection option \"%.*s\"",
                     SLICE_ARGS(name));
}

/* `name` without .file is in the list, in its place there. */
static enum err check_name(struct slice name, struct connection_property *out, struct error *error)
{
    struct slice file = SLICE(".file");
    struct slice base = name;
    bool has_file = name.size > file.size &&
                    memcmp(name.data + name.size - file.size, file.data, file.size) == 0;
    if (has_file)
        base.size -= file.size;
    for (size_t i = 0; i < array_count(allowed); i++) {
        if (!slice_equal(base, slice_from_cstr(allowed[i].name)))
            continue;
        if (allowed[i].is_secret && !has_file) {
            error_set(error, ERR_INPUT, "22023",
                      "connection option \"%s\" is a secret and comes from a file",
                      allowed[i].name);
            error_hint(error, "write %s.file=/path", allowed[i].name);
            return ERR_INPUT;
        }
        if (!allowed[i].is_secret && has_file)
            break;
        out->name = slice_from_cstr(allowed[i].name);
        out->is_file = has_file;
        return OK;
    }
    return unknown_option(name, error);
}

static enum err parse_property(struct slice pair, struct arena *arena, struct connection *out,
                               struct error *error)
{
    struct slice value = pair;
    struct slice name = take_until(&value, '=');
    if (name.size == pair.size)
        return bad_connection(error, "has an option without a value");
    if (out->property_count == CONNECTION_PROPERTIES_MAX)
        return bad_connection(error, "has too many options");
    struct connection_property *property = &out->properties[out->property_count];
    enum err err = check_name(name, property, error);
    if (err != OK)
        return err;
    for (size_t i = 0; i < out->property_count; i++)
        if (slice_equal(out->properties[i].name, property->name))
            return error_set(error, ERR_INPUT, "22023", "connection option \"%.*s\" is there twice",
                             SLICE_ARGS(property->name));
    if (!decode_value(value, arena, &property->value) || property->value.size == 0)
        return error_set(error, ERR_INPUT, "22023",
                         "the value of connection option \"%.*s\" is empty or badly encoded",
                         SLICE_ARGS(property->name));
    if (property->is_file && property->value.data[0] != '/')
        return error_set(error, ERR_INPUT, "22023",
                         "connection option \"%.*s.file\" needs an absolute path",
                         SLICE_ARGS(property->name));
    out->property_count++;
    return OK;
}

enum err connection_parse(struct slice text, struct arena *arena, struct connection *out,
                          struct error *error)
{
    struct slice scheme = SLICE("kafka://");
    *out = (struct connection){0};
    if (text.size > CONNECTION_SIZE_MAX)
        return bad_connection(error, "is too long");
    if (!slice_starts_with(text, scheme))
        return bad_connection(error, "does not start with kafka://");
    struct slice query =
        arena_copy(arena, slice_of(text.data + scheme.size, text.size - scheme.size));
    out->brokers = take_until(&query, '?');
    if (out->brokers.size > 0 && out->brokers.data[out->brokers.size - 1] == '/')
        out->brokers.size--; /* kafka://host:9092/?… */
    enum err err = parse_brokers(out->brokers, error);
    while (err == OK && query.size > 0) {
        struct slice pair = take_until(&query, '&');
        if (pair.size > 0)
            err = parse_property(pair, arena, out, error);
    }
    return err;
}
