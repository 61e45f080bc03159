/* The methods that a step can call: see steps.h. */
#include "tests/fuzz/steps.h"

#include "agent_service.pb-c.h"
#include "guest_service.pb-c.h"
#include "health_service.pb-c.h"
#include "lib/cleanup.h"

#define METHODS_MAX 128

static const ProtobufCServiceDescriptor *const services[] = {
	&grpc__agent_service__descriptor, &grpc__health__descriptor, &nacre__guest__descriptor};

static struct step_method methods[METHODS_MAX];
static unsigned count;

static void add_service(const ProtobufCServiceDescriptor *service)
{
	for (unsigned i = 0; i < service->n_methods; i++)
		methods[count++] =
			(struct step_method){service, service->methods[i].name, service->methods[i].input};
}

const struct step_method *step_method(unsigned index)
{
	if (count == 0)
		for (size_t i = 0; i < array_size(services); i++)
			add_service(services[i]);
	return &methods[index % count];
}
