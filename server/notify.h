/* Telling the service manager how things stand (sd_notify's protocol). */
#ifndef FRESHET_SERVER_NOTIFY_H
#define FRESHET_SERVER_NOTIFY_H

/* Lines NAME=VALUE, to the socket that NOTIFY_SOCKET names. Nothing where there is none. */
void notify_manager(const char *lines);

#endif
