/* One datagram to the socket that the manager has put into the environment: a path, or a name in
 * the abstract space behind an '@'. libsystemd does no more for this. Who cannot be told is not: a
 * server does not end for it. */
#include "server/notify.h"

#include "storage/base/logger.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_manager(const char *lines)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = name == NULL ? 0 : strlen(name);
    if (size < 2 || size >= sizeof(address.sun_path) || (name[0] != '/' && name[0] != '@'))
        return;
    memcpy(address.sun_path, name, size);
    if (name[0] == '@')
        address.sun_path[0] = 0;
    socklen_t address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (struct sockaddr *)&address,
                         address_size) < 0)
        logger_write(LOG_WARN, "the service manager cannot be told errno=%d", errno);
    if (fd >= 0)
        close(fd);
}
