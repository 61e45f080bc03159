/* A connection to each agent, and a question after the other. */
#include "runtime/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent_service.pb-c.h"
#include "lib/cleanup.h"
#include "proxy/client.h"
#include "runtime/record.h"

#define ANSWER_TIMEOUT (10 * LOOP_SECOND)

/* What was before says nothing about what comes after a failure: another container may have the name by then. */
static void forget(struct sample *sample)
{
	sample->before = sample->now = (struct stats){0};
}

static void answered(void *data, const struct ttrpc_result *result)
{
	struct sample *sample = data;

	sample->asked = false;
	sample->sampler->waiting--;
	if (result->code != TTRPC_OK) {
		error_set(&sample->error, EREMOTEIO, "%s: %s", sample->target.container, result->message);
		forget(sample);
		return;
	}
	sample->error.number = 0;
	sample->before = sample->now;
	stats_take(&sample->now, (const Grpc__StatsContainerResponse *)(const void *)result->response, loop_now());
	/* Where the container has no limit, the VM is one. */
	if (sample->now.memory_limit == 0 || (sample->target.memory > 0 && sample->target.memory < sample->now.memory_limit))
		sample->now.memory_limit = sample->target.memory;
}

static int connect_agent(struct sample *sample)
{
	int fd;

	if (sample->client && ttrpc_client_broken(sample->client)) {
		ttrpc_client_free(sample->client);
		sample->client = NULL;
	}
	if (sample->client)
		return 0;
	fd = proxy_connect_agent(sample->target.directory, &sample->error);
	if (fd < 0)
		return fd;
	sample->client = ttrpc_client_new(sample->sampler->loop, fd);
	return sample->client ? 0 : error_errno(&sample->error, ENOMEM, "connect to the agent");
}

static void ask(struct sample *sample)
{
	Grpc__StatsContainerRequest request = GRPC__STATS_CONTAINER_REQUEST__INIT;
	int status = connect_agent(sample);

	request.container_id = sample->target.container;
	if (status == 0) {
		status = ttrpc_client_call(sample->client, &grpc__agent_service__descriptor, "StatsContainer",
					   &request.base, ANSWER_TIMEOUT, answered, sample);
		if (status < 0)
			error_errno(&sample->error, -status, "call StatsContainer");
	}
	if (status < 0) {
		forget(sample);
		return;
	}
	sample->asked = true;
	sample->sampler->waiting++;
}

void sampler_ask(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->count; i++)
		if (!sampler->samples[i]->asked)
			ask(sampler->samples[i]);
}

static void free_sample(struct sample *sample)
{
	ttrpc_client_free(sample->client);
	target_close(&sample->target);
	free(sample);
}

int sampler_add(struct sampler *sampler, const char *name, struct error *error)
{
	struct sample **grown = reallocarray(sampler->samples, sampler->count + 1, sizeof(*grown));
	struct sample *sample = grown ? calloc(1, sizeof(*sample)) : NULL;
	int status;

	if (grown)
		sampler->samples = grown;
	if (!sample)
		return error_errno(error, ENOMEM, "container %s", name);
	sample->sampler = sampler;
	sample->kept = true;
	status = target_open(&sample->target, sampler->directory, name, error);
	if (status < 0)
		free_sample(sample);
	else
		sampler->samples[sampler->count++] = sample;
	return status;
}

static struct sample *find(const struct sampler *sampler, const char *name)
{
	for (size_t i = 0; i < sampler->count; i++)
		if (strcmp(sampler->samples[i]->target.container, name) == 0)
			return sampler->samples[i];
	return NULL;
}

static bool runs(const char *name)
{
	struct record record;
	struct error error;
	bool running = record_open(&record, name, &error) == 0 && record.state == RECORD_RUNNING;

	record_close(&record);
	return running;
}

static void drop_others(struct sampler *sampler)
{
	size_t kept = 0;

	for (size_t i = 0; i < sampler->count; i++) {
		if (sampler->samples[i]->kept)
			sampler->samples[kept++] = sampler->samples[i];
		else
			free_sample(sampler->samples[i]);
	}
	sampler->count = kept;
}

int sampler_follow(struct sampler *sampler, struct error *error)
{
	char **names = run_directory_list(error);

	if (!names)
		return -error->number;
	for (size_t i = 0; i < sampler->count; i++)
		sampler->samples[i]->kept = false;
	for (char **name = names; *name; name++) {
		struct sample *sample = find(sampler, *name);
		struct error ended;

		if (!runs(*name))
			continue;
		if (sample)
			sample->kept = true;
		else
			sampler_add(sampler, *name, &ended);
	}
	run_directory_free_list(names);
	drop_others(sampler);
	return 0;
}

void sampler_close(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->count; i++)
		free_sample(sampler->samples[i]);
	free(sampler->samples);
	*sampler = (struct sampler){0};
}
