/* Who may talk to the port without users: loopback names and addresses, our own pages, and origins
 * that the settings name. */
#ifndef FRESHET_SERVER_HTTP_SAFETY_H
#define FRESHET_SERVER_HTTP_SAFETY_H

#include "storage/base/slice.h"

struct safety {
    const char *bind_host; /* "127.0.0.1", "::1", "10.0.0.5"; a wildcard ("0.0.0.0", "::") allows
                              any Host */
    const char *allowed_origins; /* of the setting cors_origins: "https://a.example,
                                    https://b.example", or "*" */
};

enum origin_verdict { ORIGIN_NONE, ORIGIN_OWN, ORIGIN_ALLOWED, ORIGIN_REFUSED };

/* Host is a loopback name or address, or the address bound to, with any port. */
bool safety_host_is_ours(const struct safety *safety, struct slice host);
/* `origin` data NULL: the request has none. */
enum origin_verdict safety_judge_origin(const struct safety *safety, struct slice origin,
                                        struct slice host);

#endif
