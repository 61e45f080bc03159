package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// How a step is done. Each gives an answer that the step's expectations are about: a call its response, a process
// {status, stdout, stderr}, frames and scripts {status, stdout}.

// stepLimit is how long a step may take that doesn't say it.
const stepLimit = 30 * time.Second

type outcome struct {
	answer any
	err    error
	done   chan struct{}
}

// caseLimit is how long all steps of a case may take together, whatever the agent does; most take less than a second.
const caseLimit = 3 * time.Minute

// performance is one case being run.
type performance struct {
	*conformance
	ends        time.Time
	variables   variables
	connections map[string]*client
	outcomes    map[string]*outcome
	containers  []string
	execs       int
}

func (performance *performance) connection(step *step) (*client, error) {
	client := performance.connections[step.Over]
	if client == nil {
		var err error
		if client, err = performance.settings.connect(); err != nil {
			return nil, err
		}
		performance.connections[step.Over] = client
	}
	limited := *client
	limits := *client.settings
	limits.timeout = performance.limit(step)
	limited.settings = &limits
	return &limited, nil
}

// limit is that of each call of a step: its own, but never beyond the case's end.
func (performance *performance) limit(step *step) time.Duration {
	limit := stepLimit
	if step.Timeout > 0 {
		limit = step.Timeout
	}
	if left := time.Until(performance.ends); left < limit {
		limit = left
	}
	if limit < time.Millisecond {
		return time.Millisecond // 0 would be for ever
	}
	return limit
}

func (performance *performance) close() {
	for _, client := range performance.connections {
		client.ttrpc.Close()
	}
}

// message makes a request's message of its fields, or of bytes which needn't be right.
func (performance *performance) message(client *client, step *step, name string, fields any) (*dynamicpb.Message, error) {
	method, err := client.protos.method(name)
	if err != nil {
		return nil, err
	}
	request := dynamicpb.NewMessage(method.Input())
	if step.Payload != nil {
		payload, err := hex.DecodeString(*step.Payload)
		request.SetUnknown(payload)
		return request, err
	}
	if fields, err = performance.variables.expandAll(fields); err != nil {
		return nil, err
	}
	if fields, err = plain(fields); err != nil {
		return nil, err
	}
	if step.Edit != "" {
		filter, err := performance.variables.expand(step.Edit)
		if err != nil {
			return nil, err
		}
		if fields, err = jq(filter, fields); err != nil {
			return nil, err
		}
	}
	if fields == nil {
		return request, nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return request, fromJSON(string(text), request)
}

// send is a call whose answer is taken apart.
func (performance *performance) send(client *client, name string, request proto.Message) (any, error) {
	var answer any

	response, err := client.send(name, request)
	if err != nil {
		return nil, err
	}
	text, err := toJSON(response)
	if err != nil {
		return nil, err
	}
	return answer, json.Unmarshal([]byte(text), &answer)
}

func (performance *performance) call(client *client, step *step) (any, error) {
	request, err := performance.message(client, step, step.Call, step.Request)
	if err != nil {
		return nil, err
	}
	answer, err := performance.send(client, step.Call, request)
	if err == nil {
		performance.note(step.Call, request)
	}
	return answer, err
}

// note keeps which containers there are, so that they can be removed when the case has ended.
func (performance *performance) note(method string, request *dynamicpb.Message) {
	switch method {
	case "CreateContainer":
		performance.containers = append(performance.containers, text(request, "container_id"))
	case "RemoveContainer":
		id := text(request, "container_id")
		for i, known := range performance.containers {
			if known == id {
				performance.containers = append(performance.containers[:i], performance.containers[i+1:]...)
				return
			}
		}
	}
}

// options are what agentctl's run and exec are given on their command line.
func (performance *performance) options(process *processStep) (*processOptions, error) {
	options := &processOptions{
		id: process.ID, execID: process.ExecID, rootfs: performance.root, terminal: process.Terminal,
		stdin: process.Stdin != nil, byConn: process.Streams, waitLast: true,
	}
	if options.id == "" {
		options.id = "${id}"
	}
	for _, value := range []*string{&options.id, &options.execID} {
		expanded, err := performance.variables.expand(*value)
		if err != nil {
			return nil, err
		}
		*value = expanded
	}
	for _, argument := range process.Args {
		expanded, err := performance.variables.expand(argument)
		if err != nil {
			return nil, err
		}
		options.process = append(options.process, expanded)
	}
	return options, nil
}

// create makes a container, with the streams that its process will have.
func (performance *performance) create(client *client, step *step, process *processStep) (*streams, error) {
	if err := performance.sendRoot(); err != nil {
		return nil, err
	}
	options, err := performance.options(process)
	if err != nil {
		return nil, err
	}
	fields := containerRequest(options)
	fields["OCI"].(object)["Linux"].(object)["Resources"] = object{}
	request, err := performance.message(client, step, "CreateContainer", fields)
	if err != nil {
		return nil, err
	}
	if options.id = text(request, "container_id"); step.Payload != nil {
		options.id = ""
	}
	streams, err := prepareStreams(client, options, request)
	if err != nil {
		return nil, err
	}
	streams.limit(client.timeout)
	if _, err := performance.send(client, "CreateContainer", request); err != nil {
		return nil, err
	}
	performance.note("CreateContainer", request)
	return streams, nil
}

// finish carries a process's streams to its end.
func (performance *performance) finish(streams *streams, process *processStep) (any, error) {
	var stdout, stderr bytes.Buffer

	input := ""
	if process.Stdin != nil {
		input = *process.Stdin
	}
	streams.stdin, streams.stdout, streams.stderr = strings.NewReader(input), &stdout, &stderr
	status, err := streams.finish(identify(streams.options.id, streams.options.execID))
	return object{"status": status, "stdout": stdout.String(), "stderr": stderr.String()}, err
}

func (performance *performance) run(client *client, step *step) (any, error) {
	streams, err := performance.create(client, step, step.Run)
	if err != nil {
		return nil, err
	}
	who := identifyContainer(streams.options.id)
	if _, err := client.call("StartContainer", who); err != nil {
		return nil, err
	}
	answer, err := performance.finish(streams, step.Run)
	request, _ := client.protos.message("RemoveContainerRequest")
	fromJSON(who, request)
	if _, removed := client.send("RemoveContainer", request); removed != nil && err == nil {
		return answer, fmt.Errorf("RemoveContainer: %s", describe(removed))
	}
	performance.note("RemoveContainer", request)
	return answer, err
}

// The process of a resident container ends at once when it is asked to.
var residentProcess = []string{"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1000 & wait; done"}

func (performance *performance) resident(client *client, step *step) (any, error) {
	process := *step.Resident
	if len(process.Args) == 0 {
		process.Args = residentProcess
	}
	streams, err := performance.create(client, step, &process)
	if err != nil {
		return nil, err
	}
	_, err = client.call("StartContainer", identifyContainer(streams.options.id))
	return object{}, err
}

func (performance *performance) exec(client *client, step *step) (any, error) {
	options, err := performance.options(step.Exec)
	if err != nil {
		return nil, err
	}
	if options.execID == "" {
		performance.execs++
		options.execID = fmt.Sprintf("exec%d", performance.execs)
	}
	request, err := performance.message(client, step, "ExecProcess", execRequest(options))
	if err != nil {
		return nil, err
	}
	if step.Payload == nil {
		options.id, options.execID = text(request, "container_id"), text(request, "exec_id")
	}
	streams, err := prepareStreams(client, options, request)
	if err != nil {
		return nil, err
	}
	streams.limit(client.timeout)
	if _, err := performance.send(client, "ExecProcess", request); err != nil {
		return nil, err
	}
	return performance.finish(streams, step.Exec)
}

func (performance *performance) frames(text string) (any, error) {
	var output bytes.Buffer

	text, err := performance.variables.expand(text)
	if err != nil {
		return nil, err
	}
	err = performance.settings.frames(strings.NewReader(text), &output)
	return object{"stdout": output.String(), "lines": strings.Split(strings.TrimSpace(output.String()), "\n")}, err
}

// runHere runs a program of this machine.
func runHere(limit time.Duration, input io.Reader, arguments ...string) (any, error) {
	var stdout, stderr bytes.Buffer
	var exit *exec.ExitError

	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, arguments[0], arguments[1:]...)
	command.Stdin, command.Stdout, command.Stderr = input, &stdout, &stderr
	err := command.Run()
	status := 0
	if errors.As(err, &exit) {
		status, err = exit.ExitCode(), nil
	}
	return object{"status": status, "stdout": stdout.String(), "stderr": stderr.String()}, err
}

// do gives what a step gives, now.
func (performance *performance) do(step *step) (any, error) {
	switch {
	case step.Frames != "":
		return performance.frames(step.Frames)
	case step.Guest != "":
		script, err := performance.variables.expand(step.Guest)
		if err != nil {
			return nil, err
		}
		return performance.inGuest(script)
	case step.Drop != "":
		client := performance.connections[step.Drop]
		if client == nil {
			return nil, fmt.Errorf("there is no connection %s", step.Drop)
		}
		delete(performance.connections, step.Drop)
		return object{}, client.ttrpc.Close()
	}
	client, err := performance.connection(step)
	if err != nil {
		return nil, err
	}
	switch {
	case step.Call != "":
		return performance.call(client, step)
	case step.Run != nil:
		return performance.run(client, step)
	case step.Create != nil:
		_, err := performance.create(client, step, step.Create)
		return object{}, err
	case step.Resident != nil:
		return performance.resident(client, step)
	}
	return performance.exec(client, step)
}

// start does a step whose end isn't waited for, until its request has been written.
func (performance *performance) start(step *step) error {
	client, err := performance.connection(step)
	if err != nil {
		return err
	}
	written := client.conn.written
	select { // what an earlier call has left there
	case <-written:
	default:
	}
	outcome := &outcome{done: make(chan struct{})}
	performance.outcomes[step.As] = outcome
	go func() {
		defer close(outcome.done)
		outcome.answer, outcome.err = performance.call(client, step)
	}()
	select {
	case <-written:
	case <-outcome.done:
	}
	return nil
}

func (performance *performance) wait(label string) (*outcome, error) {
	outcome := performance.outcomes[label]
	if outcome == nil {
		return nil, fmt.Errorf("no step is called %s", label)
	}
	select {
	case <-outcome.done:
		return outcome, nil
	case <-time.After(2 * stepLimit):
		return nil, fmt.Errorf("%s hasn't ended", label)
	}
}

// perform does a step, and says how it isn't as it has to be.
func (performance *performance) perform(step *step) error {
	if step.As != "" && step.Call != "" {
		return performance.start(step)
	}
	var answer any
	var err error
	if step.Wait != "" {
		outcome, missing := performance.wait(step.Wait)
		if missing != nil {
			return missing
		}
		answer, err = outcome.answer, outcome.err
	} else {
		answer, err = performance.do(step)
	}
	if step.Pending != "" {
		outcome := performance.outcomes[step.Pending]
		if outcome == nil {
			return fmt.Errorf("no step is called %s", step.Pending)
		}
		select {
		case <-outcome.done:
			return fmt.Errorf("%s has ended before: %s %s", step.Pending, inJSON(outcome.answer), describe(outcome.err))
		default:
		}
	}
	return step.judge(answer, err, performance.variables)
}
