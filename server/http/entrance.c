/* The line before the doorkeeper.
 *
 * To check a password costs milliseconds of CPU, for strangers too, whose attempts are bounded only
 * by address and user. So no more than two are checked at a time in all of the server, whoever
 * asks; the others wait in a list and hold nothing but their connection. Those two have a thread of
 * the workers but give its permit back, so rows and queries go on beside them.
 *
 *   reactor ─▶ line ─▶ at most two jobs: whoever has gone first, then by turn ─▶ run
 *
 * A job goes on as long as somebody is in the line and ends when nobody is, which both is decided
 * under the lock: nobody is left behind. */
#include "server/http/entrance.h"

#include "storage/base/worker.h"

#include <assert.h>

void entrance_init(struct entrance *entrance, struct worker_pool *workers)
{
    *entrance = (struct entrance){.workers = workers};
    mutex_init(&entrance->door);
    mutex_init(&entrance->mutex);
}

void entrance_deinit(struct entrance *entrance)
{
    assert(entrance->count == 0);
    assert(entrance->running == 0);
    mutex_deinit(&entrance->mutex);
    mutex_deinit(&entrance->door);
}

static void append(struct entrance *entrance, struct entrant *entrant)
{
    entrant->next = NULL;
    if (entrance->last == NULL)
        entrance->first = entrant;
    else
        entrance->last->next = entrant;
    entrance->last = entrant;
    entrance->count++;
}

static void take_out(struct entrance *entrance, struct entrant *entrant, struct entrant *previous)
{
    if (previous == NULL)
        entrance->first = entrant->next;
    else
        previous->next = entrant->next;
    if (entrance->last == entrant)
        entrance->last = previous;
    entrance->count--;
}

/* With the lock. The reactor may wait for one whose client has gone: such go first. */
static struct entrant *next_one(struct entrance *entrance)
{
    struct entrant *previous = NULL, *chosen = entrance->first;
    struct entrant *before = NULL;
    for (struct entrant *at = entrance->first; at != NULL; before = at, at = at->next) {
        if (atomic_load_explicit(&at->exchange->is_cancelled, memory_order_relaxed)) {
            chosen = at;
            previous = before;
            break;
        }
    }
    if (chosen != NULL)
        take_out(entrance, chosen, previous);
    return chosen;
}

static struct entrant *next_or_end(struct entrance *entrance)
{
    mutex_lock(&entrance->mutex);
    struct entrant *entrant = next_one(entrance);
    entrance->running -= entrant == NULL;
    mutex_unlock(&entrance->mutex);
    return entrant;
}

static void serve(void *context)
{
    struct entrance *entrance = context;
    struct entrant *entrant;
    worker_block_begin();
    while ((entrant = next_or_end(entrance)) != NULL)
        entrant->run(entrant->exchange);
    worker_block_end();
}

/* There is no further job. False: nor is there any, so who has just come is alone and leaves. */
static bool is_served_by_another(struct entrance *entrance)
{
    mutex_lock(&entrance->mutex);
    bool is_served = --entrance->running > 0 || entrance->count == 0; /* it may be over by now */
    if (!is_served) {
        assert(entrance->count == 1);
        take_out(entrance, entrance->first, NULL);
    }
    mutex_unlock(&entrance->mutex);
    return is_served;
}

/* With the lock: would one more be too many? Whoever has one address leaves room for others. */
static bool is_line_full(const struct entrance *entrance, struct slice client)
{
    size_t same = 0;
    for (const struct entrant *at = entrance->first; at != NULL; at = at->next)
        same += slice_equal(at->client, client);
    return entrance->count == ENTRANCE_LINE_MAX || same >= ENTRANCE_CLIENT_MAX;
}

static bool submit(struct entrance *entrance, struct entrant *entrant)
{
    mutex_lock(&entrance->mutex);
    bool is_full = is_line_full(entrance, entrant->client);
    bool starts = !is_full && entrance->running < ENTRANCE_AT_ONCE;
    if (!is_full)
        append(entrance, entrant);
    entrance->running += starts;
    mutex_unlock(&entrance->mutex);
    if (is_full)
        return false;
    return !starts || worker_submit(entrance->workers, WORKER_DECODE, serve, entrance) == OK ||
           is_served_by_another(entrance);
}

/* The reactor and the ring come here: what is_served_by_another() finds must be one's own. */
bool entrance_submit(struct entrance *entrance, struct entrant *entrant)
{
    mutex_lock(&entrance->door);
    bool is_in = submit(entrance, entrant);
    mutex_unlock(&entrance->door);
    return is_in;
}
