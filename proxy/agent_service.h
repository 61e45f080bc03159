/* grpc.AgentService, as far as the proxy itself calls it. The generated descriptor has the messages of all calls with it: 40 KB
 * that each process would have of its own.
 */
#ifndef NACRE_PROXY_AGENT_SERVICE_H
#define NACRE_PROXY_AGENT_SERVICE_H

#include <protobuf-c/protobuf-c.h>

extern const ProtobufCServiceDescriptor agent_service;

#endif
