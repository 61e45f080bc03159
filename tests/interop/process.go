package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/types/dynamicpb"
)

// processOptions are those of run and exec: [OPTIONS] [--] ARGUMENTS...
type processOptions struct {
	id          string
	execID      string
	rootfs      string
	image       string
	requestFile string
	terminal    bool
	stdin       bool
	byConn      bool
	print       bool
	keep        bool
	detach      bool
	waitLast    bool // WaitProcess follows the end of streams by calls, as in the Go runtime; otherwise it is open meanwhile
	process     []string
}

func parseProcess(name string, arguments []string) (*processOptions, error) {
	var options processOptions

	flags := flag.NewFlagSet(name, flag.ExitOnError)
	flags.StringVar(&options.id, "id", "", "the container")
	flags.StringVar(&options.execID, "exec-id", "", "exec: the process")
	flags.StringVar(&options.rootfs, "rootfs", "", "run: a directory where the agent is")
	flags.StringVar(&options.image, "image", "", "run: a block device where the agent is, erofs, under an overlay")
	flags.StringVar(&options.requestFile, "request", "", "send this JSON (- for stdin) instead of making a request")
	flags.BoolVar(&options.terminal, "tty", false, "a terminal, one stream out")
	flags.BoolVar(&options.stdin, "stdin", false, "send our stdin; otherwise the process has its end at once")
	flags.BoolVar(&options.print, "print", false, "print the request and do nothing")
	flags.BoolVar(&options.keep, "keep", false, "run: don't remove the container")
	flags.BoolVar(&options.detach, "detach", false, "start, leave it running with its streams unread")
	flags.BoolVar(&options.waitLast, "wait-last", false, "ask for the status when the output has ended, not before")
	way := flags.String("io", "calls", "how streams travel: calls, or connections")
	flags.Parse(arguments)
	options.process = flags.Args()
	options.byConn = *way == "connections"
	if *way != "calls" && *way != "connections" {
		return nil, fmt.Errorf("%s: --io is calls or connections", name)
	}
	if options.id == "" && options.requestFile == "" {
		return nil, fmt.Errorf("%s: --id is needed", name)
	}
	return &options, nil
}

// request makes the request's message from its JSON, which is also what --print shows.
func (options *processOptions) request(protos *protos, message string, made map[string]any) (*dynamicpb.Message, error) {
	text, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	if options.requestFile == "-" {
		text, err = io.ReadAll(os.Stdin)
	} else if options.requestFile != "" {
		text, err = os.ReadFile(options.requestFile)
	}
	if err != nil {
		return nil, err
	}
	if options.print {
		fmt.Println(string(text))
		os.Exit(0)
	}
	request, err := protos.message(message)
	if err != nil {
		return nil, err
	}
	return request, fromJSON(string(text), request)
}

func text(message *dynamicpb.Message, field string) string {
	return message.Get(message.Descriptor().Fields().ByTextName(field)).String()
}

func identify(container, exec string) string {
	text, _ := json.Marshal(map[string]string{"container_id": container, "exec_id": exec})
	return string(text)
}

// runContainer is what a runtime does for `docker run`. The status is the process's.
func runContainer(settings *settings, arguments []string) (int, error) {
	options, err := parseProcess("run", arguments)
	if err != nil {
		return 0, err
	}
	request, err := options.request(settings.protos, "CreateContainerRequest", containerRequest(options))
	if err != nil {
		return 0, err
	}
	client, err := settings.connect()
	if err != nil {
		return 0, err
	}
	defer client.ttrpc.Close()
	options.id = text(request, "container_id")
	streams, err := prepareStreams(client, options, request)
	if err != nil {
		return 0, err
	}
	if _, err := client.send("CreateContainer", request); err != nil {
		return 0, err
	}
	status, err := startContainer(client, options, streams)
	if !options.keep && !options.detach {
		_, removed := client.call("RemoveContainer", identifyContainer(options.id))
		if err == nil {
			err = removed
		}
	}
	return status, err
}

func identifyContainer(id string) string {
	text, _ := json.Marshal(map[string]string{"container_id": id})
	return string(text)
}

func startContainer(client *client, options *processOptions, streams *streams) (int, error) {
	if _, err := client.call("StartContainer", identifyContainer(options.id)); err != nil {
		return 0, err
	}
	if options.detach {
		return 0, nil
	}
	return streams.finish(identify(options.id, ""))
}

func runExec(settings *settings, arguments []string) (int, error) {
	options, err := parseProcess("exec", arguments)
	if err != nil {
		return 0, err
	}
	request, err := options.request(settings.protos, "ExecProcessRequest", execRequest(options))
	if err != nil {
		return 0, err
	}
	client, err := settings.connect()
	if err != nil {
		return 0, err
	}
	defer client.ttrpc.Close()
	options.id, options.execID = text(request, "container_id"), text(request, "exec_id")
	if options.execID == "" {
		return 0, errors.New("exec: --exec-id is needed")
	}
	streams, err := prepareStreams(client, options, request)
	if err != nil {
		return 0, err
	}
	if _, err := client.send("ExecProcess", request); err != nil {
		return 0, err
	}
	if options.detach {
		return 0, nil
	}
	return streams.finish(identify(options.id, options.execID))
}
