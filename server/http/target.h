/* Parts of a request target: percent-decoding, query parameters. */
#ifndef FRESHET_SERVER_HTTP_TARGET_H
#define FRESHET_SERVER_HTTP_TARGET_H

#include "storage/base/arena.h"

/* The path of a target in absolute form ("GET http://host/path"), which every server must take (RFC
 * 9112, 3.2.2); others as they are. */
struct slice target_origin_form(struct slice target);
/* Decodes %XX (and '+' as a blank, if asked) into the arena; ERR_INPUT for a broken escape, a NUL
 * or invalid UTF-8. */
MUST_CHECK enum err target_decode(struct slice text, bool plus_is_blank, struct arena *arena,
                                  struct slice *out, struct error *error);
struct target_parameter {
    struct slice name, value; /* decoded */
};
/* The next name=value of a query string; *rest moves on. ERR_NOT_FOUND at the end. */
MUST_CHECK enum err target_next_parameter(struct slice *rest, struct arena *arena,
                                          struct target_parameter *out, struct error *error);

#endif
