/* Fuzz target: bytes of a client where there are users, from its first packet on when the first
 * byte is odd, else behind a start-up packet. Each run is another user from another address, as
 * attempts are limited. Nobody gets in; what is answered is whole messages. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/server/pgwire/memory_session.h"

#include "server/access/access.h"
#include "storage/base/logger.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct memory_server server;

static enum err add_role(void *context, struct role_set *set, struct error *error)
{
    struct role *role;
    (void)context;
    return role_set_add(set, SLICE("ann"), &role, error);
}

static void open_server(void)
{
    char directory[] = "/tmp/freshet-fuzz-XXXXXX", path[64];
    bool is_made = mkdtemp(directory) != NULL;
    assert(is_made);
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    memory_server_open(&server);
    enum err err = access_open(directory, &server.access, NULL);
    assert(err == OK);
    err = access_change(server.access, add_role, NULL, NULL);
    assert(err == OK);
    snprintf(path, sizeof(path), "%s/users", directory); /* once read, it is not looked at again */
    unlink(path);
    snprintf(path, sizeof(path), "%s/users.lock", directory);
    unlink(path);
    rmdir(directory);
}

/* SSLRequest and its kin are answered by a letter; nothing else is. */
static void check_answer(struct slice out)
{
    struct message message;
    while (out.size > 0 && out.data[0] == 'N' && (out.size == 1 || out.data[1] != 0))
        out = slice_of(out.data + 1, out.size - 1);
    while (out.size > 0) {
        enum message_found found = message_next(out, 1u << 30, &message);
        assert(found == MESSAGE_WHOLE);
        assert(message.type == 'R' || message.type == 'E' || message.type == 'v');
        bool is_ok = message.type == 'R' && memcmp(message.body.data, "\0\0\0\0", 4) == 0;
        assert(!is_ok);
        (void)is_ok;
        out = slice_of(out.data + message.size, out.size - message.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned run;
    char peer[64], startup[64];
    struct memory_client client;
    if (server.engine == NULL)
        open_server();
    run++;
    snprintf(peer, sizeof(peer), "10.%u.%u.%u:1", run >> 16 & 255, run >> 8 & 255, run & 255);
    server.peer = peer;
    memory_client_open(&client, &server);
    if (size > 0 && (data[0] & 1) == 0) {
        static const char head[] = "\0\0\0\x17\0\3\0\0user\0";
        memcpy(startup, head, sizeof(head));
        snprintf(startup + sizeof(head) - 1, 16, "u%08x", run);
        memory_client_feed(&client, slice_of(startup, 0x17 + 1));
    }
    if (size > 1) {
        char *copy = malloc(size - 1);
        memcpy(copy, data + 1, size - 1);
        memory_client_feed(&client, slice_of(copy, size - 1));
        free(copy);
    }
    check_answer(writer_as_slice(&client.out));
    memory_client_close(&client);
    return 0;
}

#define SEED(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define PROOF "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

struct slice fuzz_seed(size_t index)
{
    static const struct {
        const char *bytes;
        size_t size;
    } seeds[] = {
        SEED("\0p\0\0\0\x24SCRAM-SHA-256\0\0\0\0\x0en,,n=,r=client"
             "p\0\0\0\x45"
             "c=biws,r=clientserver," PROOF),
        SEED("\0p\0\0\0\x24SCRAM-SHA-256\0\0\0\0\x0ey,,n=,r=client"),
        SEED("\0p\0\0\0\x40SCRAM-SHA-256-PLUS\0\0\0\0\x25p=tls-server-end-point,,n=,r=client"),
        SEED("\0Q\0\0\0\x0dselect 1\0"),
        SEED("\1\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x12\0\3\0\0user\0ann\0\0"
             "p\0\0\0\x24SCRAM-SHA-256\0\0\0\0\x0en,,n=,r=client"),
        SEED("\1\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\1"),
    };
    return index < array_count(seeds) ? slice_of(seeds[index].bytes, seeds[index].size)
                                      : slice_of("", 0);
}
