/* A list under one lock: a session takes it when it begins and ends, and a cancel request looks
 * through it, always to its end. */
#include "server/pgwire/backend.h"

#include "storage/base/random.h"

#include <assert.h>

void backends_init(struct backends *backends)
{
    *backends = (struct backends){0};
    mutex_init(&backends->mutex);
}

void backends_deinit(struct backends *backends)
{
    assert(backends->first == NULL);
    mutex_deinit(&backends->mutex);
}

static bool is_taken(const struct backends *backends, int32_t pid)
{
    const struct backend *backend = backends->first;
    while (backend != NULL && backend->pid != pid)
        backend = backend->next;
    return backend != NULL;
}

void backends_add(struct backends *backends, struct backend *backend)
{
    random_bytes(&backend->secret, sizeof(backend->secret));
    mutex_lock(&backends->mutex);
    do
        backends->last_pid = backends->last_pid == INT32_MAX ? 1 : backends->last_pid + 1;
    while (is_taken(backends, backends->last_pid));
    backend->pid = backends->last_pid;
    backend->previous = NULL;
    backend->next = backends->first;
    if (backend->next != NULL)
        backend->next->previous = backend;
    backends->first = backend;
    mutex_unlock(&backends->mutex);
}

void backends_remove(struct backends *backends, struct backend *backend)
{
    mutex_lock(&backends->mutex);
    if (backend->previous != NULL)
        backend->previous->next = backend->next;
    else
        backends->first = backend->next;
    if (backend->next != NULL)
        backend->next->previous = backend->previous;
    mutex_unlock(&backends->mutex);
}

bool backends_cancel(struct backends *backends, int32_t pid, uint32_t secret)
{
    struct backend *found = NULL;
    mutex_lock(&backends->mutex);
    for (struct backend *backend = backends->first; backend != NULL; backend = backend->next) {
        uint32_t difference = ((uint32_t)backend->pid ^ (uint32_t)pid) | (backend->secret ^ secret);
        found = difference == 0 ? backend : found;
    }
    if (found != NULL)
        found->cancel(found->context);
    mutex_unlock(&backends->mutex);
    return found != NULL;
}
