/* The sessions there are, by the number and the secret that their clients know. Any thread. */
#ifndef FRESHET_SERVER_PGWIRE_BACKEND_H
#define FRESHET_SERVER_PGWIRE_BACKEND_H

#include "storage/base/thread.h"

struct backend { /* part of a session */
    struct backend *next, *previous;
    int32_t pid;
    uint32_t secret;
    /* Ends the statement under way; called with the list's lock held. */
    void (*cancel)(void *context);
    void *context;
};

struct backends {
    struct mutex mutex;
    struct backend *first;
    int32_t last_pid;
};

void backends_init(struct backends *backends);
void backends_deinit(struct backends *backends);
/* Gives it a number and a secret. */
void backends_add(struct backends *backends, struct backend *backend);
void backends_remove(struct backends *backends, struct backend *backend);
/* False: no such number, or not its secret; compared in time that does not depend on it. */
bool backends_cancel(struct backends *backends, int32_t pid, uint32_t secret);

#endif
