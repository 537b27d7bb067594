/* How often a log-in may be tried: token buckets by address and by user, in bounded tables. Not
 * thread-safe: their owner has a lock. */
#ifndef FRESHET_SERVER_ACCESS_ATTEMPTS_H
#define FRESHET_SERVER_ACCESS_ATTEMPTS_H

#include "storage/base/slice.h"

#define ATTEMPTS_BURST 20          /* that many at once … */
#define ATTEMPTS_PERIOD_US 3000000 /* … then one every 3 s */
#define ATTEMPTS_SETS 1024
#define ATTEMPTS_WAYS 4

struct attempts_bucket {
    uint64_t key;  /* 0: free */
    int64_t at_us; /* when `left` was right */
    double left;
};

struct attempts {
    uint64_t seed; /* so that nobody can choose whose bucket they push out */
    struct attempts_bucket buckets[ATTEMPTS_SETS][ATTEMPTS_WAYS];
};

void attempts_init(struct attempts *attempts, uint64_t seed);
/* Whether one is left, without taking it. */
bool attempts_has(struct attempts *attempts, struct slice key, int64_t now_us);
/* One of this key's attempts. False: none is left. */
bool attempts_take(struct attempts *attempts, struct slice key, int64_t now_us);
/* It was a right one after all. */
void attempts_give_back(struct attempts *attempts, struct slice key, int64_t now_us);
/* The key of an address "127.0.0.1:4711" or "2001:db8::1:4711": without the port, and of version 6
 * the first half, for who has one address there has all of its network. "::ffff:127.0.0.1" is one
 * of version 4, as a socket of both versions has it. In `out`. */
struct slice attempts_address(struct slice client, char out[64]);

#endif
