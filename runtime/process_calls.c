/* Requests of few words. */
#include "runtime/process_calls.h"

#include "guest_service.pb-c.h"
#include "runtime/exit_status.h"

int process_signal(const struct process_id *process, int number, ttrpc_answered answered, void *data)
{
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container;
	request.exec_id = (char *)process->exec;
	request.signal = (uint32_t)number;
	return session_start(process->session, "SignalProcess", &request.base, answered, data);
}

int process_resize(const struct process_id *process, unsigned rows, unsigned columns)
{
	Grpc__TtyWinResizeRequest request = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;

	request.container_id = (char *)process->container;
	request.exec_id = (char *)process->exec;
	request.row = rows;
	request.column = columns;
	return session_start(process->session, "TtyWinResize", &request.base, NULL, NULL);
}

int process_wait(const struct process_id *process, ttrpc_answered answered, void *data)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container;
	request.exec_id = (char *)process->exec;
	return session_start(process->session, "WaitProcess", &request.base, answered, data);
}

int process_exit_status(const struct ttrpc_result *result)
{
	return ((const Grpc__WaitProcessResponse *)(const void *)result->response)->status;
}

static void ignore(void *data, const struct ttrpc_result *result)
{
	(void)data;
	(void)result;
}

int process_hold(const struct process_id *process)
{
	Nacre__ProcessRequest request = NACRE__PROCESS_REQUEST__INIT;

	request.container_id = (char *)process->container;
	request.exec_id = (char *)process->exec;
	return ttrpc_client_call(process->session->client, &nacre__guest__descriptor, "HoldProcess", &request.base, 0,
				 ignore, NULL);
}

void process_release(const struct process_id *process)
{
	Nacre__ProcessRequest request = NACRE__PROCESS_REQUEST__INIT;
	struct error error;

	request.container_id = (char *)process->container;
	request.exec_id = (char *)process->exec;
	session_call_service(process->session, &nacre__guest__descriptor, "ReleaseProcess", &request.base,
			     SESSION_CALL_TIMEOUT, &error);
}

int process_refusal_status(enum ttrpc_code code)
{
	switch (code) {
	case TTRPC_NOT_FOUND:
		return EXIT_NOT_FOUND;
	case TTRPC_PERMISSION_DENIED:
		return EXIT_NOT_EXECUTABLE;
	default:
		return EXIT_FAULT;
	}
}
