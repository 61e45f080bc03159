// agentctl calls the agent as a Kata runtime's client would: containerd's ttrpc for Go, with no code of nacre's.
// Messages are made from the descriptors of proto/ at run time, so a change there needs nothing here.
//
// What it is for is the tests; see usage below. Everything that it prints is meant to be compared: answers are compact
// JSON with the names of the .proto files and every field present, failures are "CODE: message".
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
)

const usage = `usage: agentctl [--address A] [--timeout D] [--metadata KEY=VALUE] COMMAND

  Method [JSON]      calls grpc.AgentService/Method ("Health.Check" for another service), prints the answer
  script             reads calls from stdin, makes them over one connection (script.go)
  raw                reads frames from stdin, sends them, prints what comes back (raw.go)
  latency COUNT      makes that many Health.Check calls over one connection, prints how long they took (latency.go)
  run OPTIONS        creates, starts, waits for and removes a container (process.go)
  exec OPTIONS       runs a process in a container
  attach OPTIONS     carries one stream of a process by nacre.Guest/AttachStream (attach.go)
  conform OPTIONS    runs cases of the behaviour that is wanted against the agent (conform.go, cases/)
  record OPTIONS     passes on what another client and the agent say to each other, prints the calls (record.go)
  table FILE...      what several runs of conform have shown together
  wait-ready         returns once Health.Check says SERVING

A is unix://PATH, or the run directory of a VM (its agent.sock and vsock.sock); $AGENT_ADDRESS where it isn't given.
D is how long each call may take, a minute where it isn't given, 0 for ever. KEY=VALUE goes with each call.
A failed call is "CODE: message" on stderr and exit status 1 (125 in run and exec, whose status is the process's).
`

// settings are what every command has.
type settings struct {
	address address
	timeout time.Duration // of each call; 0 for none
	protos  *protos

	metadata ttrpc.MD
}

type command func(settings *settings, arguments []string) (status int, err error)

var commands = map[string]command{
	"script":     script,
	"raw":        raw,
	"latency":    latency,
	"attach":     attachStream,
	"run":        runContainer,
	"exec":       runExec,
	"conform":    conform,
	"record":     record,
	"table":      table,
	"wait-ready": waitReady,
}

// descriptorPath is the descriptor set made by protoc from proto/, which is built beside this program.
func descriptorPath() string {
	self, err := os.Executable()
	if err != nil {
		return "agentctl.desc"
	}
	return filepath.Join(filepath.Dir(self), "agentctl.desc")
}

func main() {
	var chosen settings
	failure := 1

	flags := flag.NewFlagSet("agentctl", flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	addressText := flags.String("address", os.Getenv("AGENT_ADDRESS"), "")
	descriptors := flags.String("descriptors", descriptorPath(), "")
	flags.DurationVar(&chosen.timeout, "timeout", time.Minute, "")
	flags.Func("metadata", "", func(text string) error {
		key, value, found := strings.Cut(text, "=")
		if !found {
			return errors.New("KEY=VALUE is wanted")
		}
		chosen.metadata = ttrpc.MD{key: {value}}
		return nil
	})
	flags.Parse(os.Args[1:])
	if flags.NArg() == 0 {
		flags.Usage()
		os.Exit(125)
	}
	chosen.address = address(*addressText)

	name, arguments := flags.Arg(0), flags.Args()[1:]
	run, found := commands[name]
	if !found {
		run = func(settings *settings, arguments []string) (int, error) {
			return 0, callOnce(settings, name, arguments)
		}
	} else {
		failure = 125
	}
	protos, err := loadProtos(*descriptors)
	if err == nil {
		chosen.protos = protos
		var status int
		if status, err = run(&chosen, arguments); err == nil {
			os.Exit(status)
		}
	}
	fmt.Fprintln(os.Stderr, describe(err))
	os.Exit(failure)
}
