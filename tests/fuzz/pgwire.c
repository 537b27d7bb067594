/* Fuzz target: bytes of a client after its login, and before it when the first byte is odd; its
 * other bits say whether the statements wait for others, and are cancelled meanwhile. The
 * session answers or ends; what it answers is whole messages. On a stack of its own, as in a
 * worker. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/server/pgwire/memory_session.h"

#include "server/pgwire/inside.h"
#include "storage/base/logger.h"

#include <pthread.h>

#define STACK_SIZE ((size_t)512 << 20)

static struct memory_server server;

/* Each call's input waits for queries of others before, is cancelled then, or neither. */
static void feed(struct memory_client *client, struct slice input, uint8_t choices)
{
    size_t left;
    writer_slice(&client->left, input);
    do {
        struct slice in = writer_as_slice(&client->left);
        size_t cut = in.size * (choices >> 4) / 16;
        left = in.size;
        if ((choices & 2) != 0 && left > 0 && client->session->query != NULL) {
            (void)pg_session_wait(client->session, slice_of(in.data, cut),
                                  slice_of(in.data + cut, in.size - cut));
            if ((choices & 4) != 0)
                session_cancel_statement(client->session);
            choices ^= 4; /* the next one is not, or is */
        }
        memory_client_feed(client, SLICE(""));
    } while (client->left.size > 0 && client->left.size < left);
    assert(client->session->query == NULL || !session_is_waiting(client->session->query));
}

static void *run(void *context)
{
    const struct slice *input = context;
    struct memory_client client;
    bool is_login = input->size > 0 && (input->data[0] & 1) != 0;
    memory_client_open(&client, &server);
    if (!is_login) {
        memory_client_feed(&client, slice_of(MEMORY_STARTUP, sizeof(MEMORY_STARTUP) - 1));
        struct message message;
        size_t at = 0;
        if (input->size > 1)
            feed(&client, slice_of(input->data + 1, input->size - 1), (uint8_t)input->data[0]);
        while (at < client.out.size && client.out.size < (1u << 20)) {
            enum message_found found = message_next(
                slice_of(client.out.data + at, client.out.size - at), 1u << 30, &message);
            assert(found == MESSAGE_WHOLE);
            at += message.size;
        }
    } else {
        memory_client_feed(&client, slice_of(input->data + 1, input->size - 1));
    }
    memory_client_close(&client);
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = slice_of(data, size);
    pthread_attr_t attributes;
    pthread_t thread;
    if (server.engine == NULL) {
        logger_set_level((enum log_level)(LOG_ERROR + 1));
        memory_server_open(&server);
    }
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int failed = pthread_create(&thread, &attributes, run, &input);
    assert(failed == 0);
    failed = pthread_join(thread, NULL);
    assert(failed == 0);
    pthread_attr_destroy(&attributes);
    return 0;
}

#define SEED(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

struct slice fuzz_seed(size_t index)
{
    static const struct {
        const char *bytes;
        size_t size;
    } seeds[] = {
        SEED("\0Q\0\0\0\x0dselect 1\0S\0\0\0\4"),
        SEED("\x26Q\0\0\0\x0dselect 1\0S\0\0\0\4Q\0\0\0\x0dselect 2\0"),
        SEED("\0P\0\0\0\x1e\0select $1::int8, $2::text\0\0\0"
             "B\0\0\0\x1c\0\0\0\1\0\1\0\2\0\0\0\x08\0\0\0\0\0\0\0\7\xff\xff\xff\xff\0\1\0\1"
             "D\0\0\0\6P\0E\0\0\0\x09\0\0\0\0\2S\0\0\0\4"),
        SEED("\0P\0\0\0\x35\0select $1::timestamptz, $2::numeric, $3::bigint[]\0\0\0"
             "B\0\0\0\x40\0\0\0\1\0\1\0\3\0\0\0\x08\0\2\xb0\xec\x85\x20\x4f\x35"
             "\0\0\0\x0c\0\2\0\1\0\0\0\4\x04\xd2\x16\x2e"
             "\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\x14\0\1\0\1E\0\0\0\x09\0\0\0\0\0S\0\0\0\4"),
        SEED("\0Q\0\0\0\x46"
             "begin; declare c cursor for values (1),(2); fetch 1 c; rollback; x\0"),
        SEED("\0Q\0\0\0\x3aprepare p as select $1::int; execute p(1); discard all\0X\0\0\0\4"),
        SEED("\1\0\0\0\x08\x04\xd2\x16\x2f\0\0\0\x27\0\3\0\0user\0u\0client_encoding\0LATIN1\0\0"),
        SEED("\1\0\0\0\x32\0\3\0\2user\0u\0_pq_.x\0y\0options\0-c TimeZone=UTC\0\0"),
        SEED("\1\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\1"),
    };
    return index < array_count(seeds) ? slice_of(seeds[index].bytes, seeds[index].size)
                                      : slice_of("", 0);
}
