/* The refusal: startup packets at every split, encryption requests, and a whole conversation. */
#include "server/pgwire/refuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

static void test_steps(void **state)
{
    (void)state;
    static const struct {
        struct slice input;
        enum refuse_step want;
    } cases[] = {
        {{"", 0}, REFUSE_MORE},
        {{"\0\0\0\x08\x04\xd2\x16", 7}, REFUSE_MORE},
        {{"\0\0\0\x08\x04\xd2\x16\x2f", 8}, REFUSE_DENY_ENCRYPTION},
        {{"\0\0\0\x08\x04\xd2\x16\x30", 8}, REFUSE_DENY_ENCRYPTION},
        {{"\0\0\0\x10\x04\xd2\x16\x2e", 8}, REFUSE_CLOSE},
        {{"GET / HT", 8}, REFUSE_CLOSE},
        {{"\0\0\0\x09\0\x03\0\0", 8}, REFUSE_MORE},
        {{"\0\0\0\x09\0\x03\0\0\0", 9}, REFUSE_TELL},
        {{"\0\0\0\x07\0\x03\0\0", 8}, REFUSE_CLOSE},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        size_t used;
        assert_int_equal(refuse_step(cases[i].input, &used), cases[i].want);
    }
}

static void test_message_is_well_formed(void **state)
{
    (void)state;
    struct slice message = refuse_message();
    const unsigned char *bytes = (const unsigned char *)message.data;
    assert_int_equal(bytes[0], 'E');
    assert_int_equal((uint32_t)bytes[1] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 8 |
                         bytes[4],
                     message.size - 1);
    assert_int_equal(bytes[message.size - 1], 0);
    assert_int_equal(bytes[message.size - 2], 0);
    assert_non_null(memmem(message.data, message.size, "C0A000", 7));
}

static void test_conversation(void **state)
{
    (void)state;
    struct listener listener;
    struct error error;
    assert_int_equal(listener_open("127.0.0.1:0", false, &listener, &error), OK);
    struct refuse_server *server = refuse_start(&listener);
    long port = strtol(strchr(listener.address, ':') + 1, NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    char answer[512];
    assert_int_equal(send(fd, "\0\0\0\x08\x04\xd2\x16\x2f", 8, 0), 8);
    assert_int_equal(recv(fd, answer, sizeof(answer), 0), 1);
    assert_int_equal(answer[0], 'N');
    assert_int_equal(send(fd, "\0\0\0\x12\0\x03\0\0user\0x\0\0\0", 18, 0), 18);
    size_t size = 0;
    for (ssize_t got; (got = recv(fd, answer + size, sizeof(answer) - size, 0)) > 0;) {
        size += (size_t)got;
    }
    assert_true(slice_equal(slice_of(answer, size), refuse_message()));
    close(fd);
    refuse_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_message_is_well_formed),
        cmocka_unit_test(test_conversation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
