/* The service manager's socket, by path and by abstract name; and that nothing happens without. */
#include "server/notify.h"

#include "storage/base/logger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void check(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[64];
    size_t size = strlen(name);
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    socklen_t address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, address_size), 0);
    setenv("NOTIFY_SOCKET", name, 1);
    notify_manager("READY=1");
    assert_int_equal(recv(fd, text, sizeof(text), 0), 7);
    assert_memory_equal(text, "READY=1", 7);
    close(fd);
    if (name[0] == '/')
        unlink(name);
    notify_manager("READY=1"); /* nobody is there */
}

static void test_sockets(void **state)
{
    (void)state;
    char name[64];
    snprintf(name, sizeof(name), "/tmp/freshet-notify-%d", (int)getpid());
    check(name);
    snprintf(name, sizeof(name), "@freshet-notify-%d", (int)getpid());
    check(name);
}

static void test_names_that_cannot_be(void **state)
{
    (void)state;
    char longest[200];
    memset(longest, '/', sizeof(longest));
    longest[sizeof(longest) - 1] = 0;
    for (const char *const *name = (const char *const[]){"", "/", "relative", longest, NULL};
         *name != NULL; name++) {
        setenv("NOTIFY_SOCKET", *name, 1);
        notify_manager("READY=1");
    }
    unsetenv("NOTIFY_SOCKET");
    notify_manager("READY=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_names_that_cannot_be),
    };
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
