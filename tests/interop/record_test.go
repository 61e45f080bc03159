package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"path/filepath"
	"testing"

	"github.com/containerd/ttrpc"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// aService is grpc.AgentService with one method, whose messages are a name each.
func aService(t *testing.T) *protos {
	t.Helper()
	name := &descriptorpb.DescriptorProto{Name: proto.String("Name"), Field: []*descriptorpb.FieldDescriptorProto{{
		Name: proto.String("name"), Number: proto.Int32(1), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(),
	}}}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("a.proto"), Package: proto.String("grpc"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{name},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("AgentService"),
			Method: []*descriptorpb.MethodDescriptorProto{{
				Name: proto.String("Greet"), InputType: proto.String(".grpc.Name"), OutputType: proto.String(".grpc.Name"),
			}}}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	files := new(protoregistry.Files)
	if err := files.RegisterFile(file); err != nil {
		t.Fatal(err)
	}
	return &protos{files}
}

// frameOf is a whole frame with this message.
func frameOf(t *testing.T, stream, kind uint32, message proto.Message) []byte {
	t.Helper()
	body, err := proto.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return append(header(uint32(len(body)), stream, kind, 0), body...)
}

// Three calls, answered in another order, one of them never; every byte arrives, in both directions.
func TestRecord(t *testing.T) {
	payload, _ := hex.DecodeString("0a03616e6e") // name: "ann"
	request := &ttrpc.Request{Service: "grpc.AgentService", Method: "Greet", Payload: payload}
	asked := bytes.Join([][]byte{frameOf(t, 1, 1, request), frameOf(t, 3, 1, request), frameOf(t, 5, 1, request)}, nil)
	answers := append(frameOf(t, 3, 2, &ttrpc.Response{Status: &spb.Status{Code: 5, Message: "nobody"}}),
		frameOf(t, 1, 2, &ttrpc.Response{Payload: payload})...)

	path := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	arrived := make(chan []byte, 1)
	go func() {
		agent, err := listener.Accept()
		if err != nil {
			return
		}
		got := make([]byte, len("CONNECT 1024\n")+len(asked))
		io.ReadFull(agent, got[:13])
		io.WriteString(agent, "OK 1\n")
		io.ReadFull(agent, got[13:])
		arrived <- got
		agent.Write(answers)
		agent.Close()
	}()

	client, theirs := net.Pipe()
	var output bytes.Buffer
	recorder := &recorder{protos: aService(t), output: json.NewEncoder(&output)}
	served := make(chan error, 1)
	go func() { served <- recorder.serve(theirs, path) }()
	go client.Write(append([]byte("CONNECT 1024\n"), asked...))
	got, err := io.ReadAll(client)
	if err := <-served; err != nil {
		t.Error(err)
	}
	if want := append([]byte("OK 1\n"), answers...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the client got %q, %v (wanted: %q)", got, err, want)
	}
	if got, want := <-arrived, append([]byte("CONNECT 1024\n"), asked...); !bytes.Equal(got, want) {
		t.Errorf("the agent got %q (wanted: %q)", got, want)
	}
	want := `{"method":"Greet","request":{"name":"ann"},"status":"NOT_FOUND","message":"nobody"}
{"method":"Greet","request":{"name":"ann"},"status":"OK","answer":{"name":"ann"}}
{"method":"Greet","request":{"name":"ann"},"status":"no answer"}
`
	if output.String() != want {
		t.Errorf("printed %s(wanted: %s)", output.String(), want)
	}
}
