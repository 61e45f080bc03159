/* grpc.Health: is the agent alive, and which is it. */
#include "agent/rpc.h"
#include "health.pb-c.h"
#include "lib/version.h"

void rpc_health_check(struct ttrpc_call *call)
{
	Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

	response.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	ttrpc_call_reply(call, &response.base);
}

void rpc_health_version(struct ttrpc_call *call)
{
	Grpc__VersionCheckResponse response = GRPC__VERSION_CHECK_RESPONSE__INIT;

	response.grpc_version = (char *)NACRE_API_VERSION;
	response.agent_version = (char *)NACRE_VERSION;
	ttrpc_call_reply(call, &response.base);
}
