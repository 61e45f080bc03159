/* The input of the target `calls`: a byte of options (1: cgroup v2, 2: CDI by variables, 4: the supervisor is PID 1), then steps.
 * A step is a byte, of which enum step_kind is the rest of a division by STEP_KINDS, and what belongs to it:
 *
 *	CALL	    method (step_method()), u16 little-endian: size, the request
 *	WORKER	    which one and what it does, and what it says
 *	EXIT	    a byte each for the process and its status
 *	STREAM	    the port
 *	STOP	    the grace in milliseconds
 */
#ifndef NACRE_TESTS_FUZZ_STEPS_H
#define NACRE_TESTS_FUZZ_STEPS_H

#include <protobuf-c/protobuf-c.h>

#define STEP_PAYLOAD_MAX 16384u

enum step_kind {
	STEP_CALL,
	STEP_SUCCEED, /* every job and helper goes on as it should */
	STEP_WORKER,
	STEP_EXIT,
	STEP_TIME, /* the next timer is due */
	STEP_DISCONNECT,
	STEP_STREAM,
	STEP_STOP,
	STEP_KINDS,
};

struct step_method {
	const ProtobufCServiceDescriptor *service;
	const char *name;
	const ProtobufCMessageDescriptor *input;
};

/* All methods of the agent's services, in the order of their descriptors; `index` is taken modulo their number. */
const struct step_method *step_method(unsigned index);

#endif
