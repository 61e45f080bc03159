package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// record stands between somebody else's client and the agent: it passes on every byte as it is, and prints each call when
// it is answered, or when its connection ends. Both sockets are those of a VMM where a connection begins with
// "CONNECT PORT"; what goes to another port than the agent's is passed on alone.
//
//	record --listen SOCKET --to SOCKET
//
// A line is {"method": "Method", "request": MESSAGE, "status": "OK" or CODE or "no answer", "message": ERROR, "answer": MESSAGE}.

const (
	agentPort = 1024
	bodyLimit = 16 << 20 // more than ttrpc lets anybody send
)

// call is one that hasn't been answered.
type call struct {
	method  protoreflect.MethodDescriptor
	Method  string          `json:"method"`
	Request json.RawMessage `json:"request,omitempty"`
	Status  string          `json:"status"`
	Message string          `json:"message,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
}

// recorder has what is printed, of all connections.
type recorder struct {
	protos *protos
	mutex  sync.Mutex
	output *json.Encoder
}

// conversation is one connection's calls by their streams.
type conversation struct {
	*recorder
	mutex sync.Mutex
	open  map[uint32]*call
}

func (recorder *recorder) print(call *call) {
	recorder.mutex.Lock()
	defer recorder.mutex.Unlock()
	recorder.output.Encode(call)
}

// decode gives a message of this type as JSON.
func decode(kind protoreflect.MessageDescriptor, payload []byte) (json.RawMessage, error) {
	message := dynamicpb.NewMessage(kind)
	if err := proto.Unmarshal(payload, message); err != nil {
		return nil, err
	}
	text, err := toJSON(message)
	return json.RawMessage(text), err
}

func (conversation *conversation) request(stream uint32, body []byte) error {
	var request ttrpc.Request

	if err := proto.Unmarshal(body, &request); err != nil {
		return err
	}
	made := &call{Method: strings.TrimPrefix(strings.TrimPrefix(request.Service+"/"+request.Method, "grpc.AgentService/"), "grpc.")}
	method, err := conversation.protos.method(request.Service + "/" + request.Method)
	if err == nil {
		made.method = method
		if made.Request, err = decode(method.Input(), request.Payload); err != nil {
			return err
		}
	}
	conversation.mutex.Lock()
	defer conversation.mutex.Unlock()
	conversation.open[stream] = made
	return nil
}

func (conversation *conversation) answer(stream uint32, body []byte) error {
	var response ttrpc.Response

	conversation.mutex.Lock()
	call := conversation.open[stream]
	delete(conversation.open, stream)
	conversation.mutex.Unlock()
	if call == nil {
		return fmt.Errorf("an answer on stream %d, where nothing was asked", stream)
	}
	if err := proto.Unmarshal(body, &response); err != nil {
		return err
	}
	call.Status = "OK"
	if response.Status != nil && response.Status.Code != 0 {
		call.Status, call.Message = codeNames[codes.Code(response.Status.Code)], response.Status.Message
	} else if call.method != nil {
		var err error
		if call.Answer, err = decode(call.method.Output(), response.Payload); err != nil {
			return err
		}
	}
	conversation.print(call)
	return nil
}

// end prints what wasn't answered.
func (conversation *conversation) end() {
	for _, call := range conversation.open {
		call.Status = "no answer"
		conversation.print(call)
	}
}

// pass copies from one side to the other, and gives each frame's body to `seen`. It returns when a side ends.
func pass(to io.Writer, from io.Reader, seen func(stream uint32, body []byte) error) error {
	head := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(from, head); err != nil {
			return nil
		}
		length := binary.BigEndian.Uint32(head)
		if length > bodyLimit {
			return fmt.Errorf("a frame of %d bytes", length)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(from, body); err != nil {
			return nil
		}
		// Before it is sent: an answer can't come first.
		if err := seen(binary.BigEndian.Uint32(head[4:]), body); err != nil {
			return err
		}
		if _, err := to.Write(append(head[:headerSize:headerSize], body...)); err != nil {
			return nil
		}
	}
}

// serve is one connection, from its first line to its end.
func (recorder *recorder) serve(client net.Conn, to string) error {
	defer client.Close()
	agent, err := net.Dial("unix", to)
	if err != nil {
		return err
	}
	defer agent.Close()
	requests, answers := bufio.NewReader(client), bufio.NewReader(agent)
	first, err := requests.ReadString('\n')
	if err != nil {
		return nil
	}
	if _, err := io.WriteString(agent, first); err != nil {
		return nil
	}
	// Where nobody listens there is no answer.
	accepted, err := answers.ReadString('\n')
	if err != nil {
		return nil
	}
	if _, err := io.WriteString(client, accepted); err != nil {
		return nil
	}
	ended := make(chan error, 2)
	if first != fmt.Sprintf("CONNECT %d\n", agentPort) {
		go func() { _, err := io.Copy(agent, requests); ended <- err }()
		go func() { _, err := io.Copy(client, answers); ended <- err }()
		<-ended
		return nil
	}
	conversation := &conversation{recorder: recorder, open: map[uint32]*call{}}
	go func() { ended <- pass(agent, requests, conversation.request) }()
	go func() { ended <- pass(client, answers, conversation.answer) }()
	err = <-ended
	client.Close()
	agent.Close()
	err = errors.Join(err, <-ended)
	conversation.end()
	return err
}

func record(settings *settings, arguments []string) (int, error) {
	flags := flag.NewFlagSet("record", flag.ExitOnError)
	listen := flags.String("listen", "", "the socket for the client")
	to := flags.String("to", "", "the socket to pass everything on to")
	flags.Parse(arguments)
	listener, err := net.Listen("unix", *listen)
	if err != nil {
		return 0, err
	}
	recorder := &recorder{protos: settings.protos, output: json.NewEncoder(os.Stdout)}
	for {
		client, err := listener.Accept()
		if err != nil {
			return 0, err
		}
		go func() {
			if err := recorder.serve(client, *to); err != nil {
				fmt.Fprintln(os.Stderr, "record:", err)
			}
		}()
	}
}
