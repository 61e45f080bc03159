/* The calls of the agent's service (proto/agent.proto) that the proxy makes itself. The whole service's descriptor would bring the
 * descriptors of all messages along, and with them memory in each of the two processes: they are relocated, and so no file's.
 */
#ifndef NACRE_PROXY_AGENT_METHODS_H
#define NACRE_PROXY_AGENT_METHODS_H

#include <protobuf-c/protobuf-c.h>

extern const ProtobufCServiceDescriptor agent_methods;

#endif
