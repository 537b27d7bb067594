/* CONNECTION texts. Options are the library's own names from a list: what would break exactly-once
 * (offset storage, isolation), load code (plugins), start a shell (the library hands Kerberos'
 * principal and keytab to one) or print secrets is not on it. Secrets come from files, read when a
 * consumer starts, so that no system table, log line or error can show one. */
#include "ingest/kafka/connection.h"

#include <assert.h>

/* clang-format off */
static const struct {
    const char *name;
    enum { PLAIN, SECRET /* only as name.file */, PATH } kind;
} allowed[] = {
    {"security.protocol", PLAIN},
    {"sasl.mechanism", PLAIN}, {"sasl.mechanisms", PLAIN}, {"sasl.username", PLAIN},
    {"sasl.password", SECRET},
    {"sasl.kerberos.service.name", PLAIN},
    {"sasl.oauthbearer.config", SECRET}, {"sasl.oauthbearer.method", PLAIN},
    {"sasl.oauthbearer.client.id", PLAIN}, {"sasl.oauthbearer.client.secret", SECRET},
    {"sasl.oauthbearer.scope", PLAIN}, {"sasl.oauthbearer.extensions", PLAIN},
    {"sasl.oauthbearer.token.endpoint.url", PLAIN},
    {"ssl.ca.location", PATH}, {"ssl.certificate.location", PATH},
    {"ssl.key.location", PATH}, {"ssl.key.password", SECRET},
    {"ssl.keystore.location", PATH}, {"ssl.keystore.password", SECRET},
    {"ssl.crl.location", PATH},
    {"ssl.cipher.suites", PLAIN}, {"ssl.curves.list", PLAIN}, {"ssl.sigalgs.list", PLAIN},
    {"ssl.endpoint.identification.algorithm", PLAIN},
    {"enable.ssl.certificate.verification", PLAIN},
    {"client.id", PLAIN}, {"client.rack", PLAIN}, {"group.instance.id", PLAIN},
    {"session.timeout.ms", PLAIN}, {"heartbeat.interval.ms", PLAIN},
    {"max.poll.interval.ms", PLAIN},
    {"fetch.min.bytes", PLAIN}, {"fetch.max.bytes", PLAIN}, {"fetch.wait.max.ms", PLAIN},
    {"fetch.message.max.bytes", PLAIN}, {"max.partition.fetch.bytes", PLAIN},
    {"fetch.error.backoff.ms", PLAIN},
    {"receive.message.max.bytes", PLAIN}, {"message.max.bytes", PLAIN},
    {"queued.min.messages", PLAIN}, {"queued.max.messages.kbytes", PLAIN},
    {"socket.timeout.ms", PLAIN}, {"socket.keepalive.enable", PLAIN},
    {"socket.nagle.disable", PLAIN}, {"socket.receive.buffer.bytes", PLAIN},
    {"socket.connection.setup.timeout.ms", PLAIN}, {"connections.max.idle.ms", PLAIN},
    {"broker.address.family", PLAIN}, {"broker.address.ttl", PLAIN},
    {"reconnect.backoff.ms", PLAIN}, {"reconnect.backoff.max.ms", PLAIN},
    {"metadata.max.age.ms", PLAIN}, {"topic.metadata.refresh.interval.ms", PLAIN},
    {"api.version.request", PLAIN}, {"broker.version.fallback", PLAIN},
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
        error_hint(error, "write ?sasl.username=…&sasl.password.file=NAME");
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
        if (allowed[i].kind == SECRET && !has_file) {
            error_set(error, ERR_INPUT, "22023",
                      "connection option \"%s\" is a secret and comes from a file",
                      allowed[i].name);
            error_hint(error, "write %s.file=NAME", allowed[i].name);
            return ERR_INPUT;
        }
        if (allowed[i].kind != SECRET && has_file)
            break;
        out->name = slice_from_cstr(allowed[i].name);
        out->is_file = has_file;
        out->is_path = allowed[i].kind == PATH;
        return OK;
    }
    return unknown_option(name, error);
}

/* Has the path a part ".."? */
static bool leads_upwards(struct slice path)
{
    while (path.size > 0)
        if (slice_equal(take_until(&path, '/'), SLICE("..")))
            return true;
    return false;
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
    if ((property->is_file || property->is_path) && leads_upwards(property->value))
        return error_set(error, ERR_INPUT, "22023",
                         "the file of connection option \"%.*s\" must not be named by way of ..",
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
