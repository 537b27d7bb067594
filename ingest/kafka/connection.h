/* The text of CONNECTION: kafka://host:port,host:port?name=value&name=value */
#ifndef FRESHET_INGEST_KAFKA_CONNECTION_H
#define FRESHET_INGEST_KAFKA_CONNECTION_H

#include "storage/base/arena.h"
#include "storage/base/error.h"

#define CONNECTION_SIZE_MAX 4096
#define CONNECTION_PROPERTIES_MAX 64

struct connection_property {
    struct slice name; /* the library's, without .file */
    struct slice value;
    bool is_file; /* the value is a file's name; what stands in it is the option's value, secret */
    bool is_path; /* the value is a file's name for the library */
};
struct connection {
    struct slice brokers; /* host:port,host:port */
    size_t property_count;
    struct connection_property properties[CONNECTION_PROPERTIES_MAX];
};

/* Texts in the arena. 22023 names what is wrong: the scheme, a broker, an option that is unknown,
 * twice there, or a secret that stands in the text; or a file's name that leads upwards. The text
 * of an error never holds a value. */
MUST_CHECK enum err connection_parse(struct slice text, struct arena *arena, struct connection *out,
                                     struct error *error);

#endif
