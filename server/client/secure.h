/* TLS for the client: one connection over a blocking socket, the server's name and certificate
 * checked. */
#ifndef FRESHET_SERVER_CLIENT_SECURE_H
#define FRESHET_SERVER_CLIENT_SECURE_H

#include "storage/base/error.h"
#include "storage/base/slice.h"

#include <sys/types.h>

struct secure;

/* Shakes hands over `fd`, which stays the caller's. `host` must be a name or an address of the
 * certificate's, and that one of an authority that the machine trusts, or the environment's
 * SSL_CERT_FILE. The process ignores SIGPIPE from then on. ERR_IO. */
MUST_CHECK enum err secure_open(int fd, const char *host, struct secure **out, struct error *error);
/* NULL is nothing. */
void secure_close(struct secure *secure);
/* All of it. -1: errno says why. */
ssize_t secure_send(struct secure *secure, struct slice bytes);
/* As recv(): 0 at the end. */
ssize_t secure_receive(struct secure *secure, char *into, size_t size);

#endif
