/* The inside of struct access, for access.c and login.c. */
#ifndef FRESHET_SERVER_ACCESS_PRIVATE_H
#define FRESHET_SERVER_ACCESS_PRIVATE_H

#include "server/access/access.h"
#include "server/access/attempts.h"
#include "storage/base/logger.h"
#include "storage/base/thread.h"

#include <stdatomic.h>
#include <sys/stat.h>

#define SEEN_MAX 1024

/* A credential that was right: the keyed hash of name and password, or of a token. */
struct seen {
    bool is_used;
    uint8_t tag[KEY_SIZE];
    char name[ROLE_NAME_MAX + 1];
};

struct access {
    char *directory;
    _Atomic bool has_users;   /* relaxed: from one request to the next */
    _Atomic uint64_t version; /* release by whoever changes the roles, acquire by access_ask() */
    struct mutex mutex;       /* of all below; held for microseconds, never over a derivation */
    struct role_set roles;
    struct timespec written_at; /* of the file read last; with size and number, 0: none */
    uint64_t file_size, file_number;
    bool is_unread;             /* the newest file could not be read yet, which was said */
    uint8_t seen_key[KEY_SIZE]; /* of this process */
    struct seen seen[SEEN_MAX]; /* emptied by every change of the roles */
    struct attempts addresses, users;
    struct logger_limit limited; /* lines of log-ins past their attempts */
};

#endif
