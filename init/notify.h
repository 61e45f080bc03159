/* The service manager's socket: systemd's notification protocol, sd_notify(3). */
#ifndef NACRE_INIT_NOTIFY_H
#define NACRE_INIT_NOTIFY_H

/* Opens what NOTIFY_SOCKET names, and takes it out of the environment. -1 where nobody wants to know. */
int notify_open(void);

/* Says "READY=1" or the like; nothing for -1, and never waits. */
void notify_send(int socket, const char *state);

#endif
