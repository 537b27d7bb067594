/* SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side: messages in, messages out. */
#ifndef FRESHET_SERVER_ACCESS_SCRAM_H
#define FRESHET_SERVER_ACCESS_SCRAM_H

#include "server/access/verifier.h"
#include "storage/base/bytes.h"

#define SCRAM_NONCE_SIZE 24 /* characters of ours, of 18 random bytes */
#define SCRAM_NONCE_MAX 40  /* of one given, for tests */
#define SCRAM_MESSAGE_MAX ((size_t)1024)
#define SCRAM_BINDING_MAX 64 /* a hash of the server's certificate */

struct scram {
    struct verifier verifier;
    char nonce[SCRAM_NONCE_MAX + 1];
    uint8_t
        binding[SCRAM_BINDING_MAX]; /* tls-server-end-point; size 0: no TLS, PLUS is not offered */
    size_t binding_size;
    enum { SCRAM_FIRST, SCRAM_FINAL, SCRAM_DONE } state;
    bool is_bound;              /* the client binds: p=tls-server-end-point */
    struct writer header;       /* of the client's first message: gs2-header */
    struct writer bare, server; /* the client's first message without it, and ours */
};

/* `nonce` NULL: a random one. */
void scram_init(struct scram *scram, const struct verifier *verifier, struct slice binding,
                const char *nonce);
void scram_deinit(struct scram *scram);
/* "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256": those to offer, NULL at the end. */
const char *const *scram_mechanisms(struct slice binding);

/* The client's first message; ours is appended. 08P01: not one, or not with this mechanism; 0A000:
 * an identity to act as, or extensions that we must know; 28000: somebody has taken PLUS out of our
 * offer. The name in it is not read: the start-up packet has it. */
MUST_CHECK enum err scram_first(struct scram *scram, struct slice mechanism, struct slice message,
                                struct writer *out, struct error *error);
/* The client's last one: whether it proves the password; then our signature is appended. */
MUST_CHECK enum err scram_final(struct scram *scram, struct slice message, bool *is_right,
                                struct writer *out, struct error *error);

#endif
