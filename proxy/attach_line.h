/* Clients of proxy.sock, before it is known what they speak: ttrpc, whose frames begin with a zero; or an "ATTACH" line, behind which
 * the connection is a process's stream (proto/proxy.proto).
 */
#ifndef NACRE_PROXY_ATTACH_LINE_H
#define NACRE_PROXY_ATTACH_LINE_H

#include "lib/list.h"
#include "proxy/service.h"

/* Serves a client; the fd, which doesn't block, is taken in any case. */
void attach_line_serve(struct service *service, int fd);

/* Closes those that haven't said it yet. */
void attach_line_close(struct service *service);

#endif
