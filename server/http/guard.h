/* Who asks over HTTP: Authorization, Basic or Bearer, to an asker. */
#ifndef FRESHET_SERVER_HTTP_GUARD_H
#define FRESHET_SERVER_HTTP_GUARD_H

#include "server/http/exchange.h"

struct access;

enum guard {
    GUARD_PASS,     /* exchange->asker says who, if there are users */
    GUARD_ANSWERED, /* 401 or 429 */
    GUARD_LATER     /* is_quick, and the password must be checked: ask again in the entrance */
};
struct guard_options {
    struct access *access;
    bool is_tls_required; /* of who is not on loopback */
    bool is_quick;
};
enum guard guard_check(struct exchange *exchange, const struct guard_options *options);

#endif
