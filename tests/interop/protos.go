package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// protos are the messages and methods of a descriptor set.
type protos struct {
	files *protoregistry.Files
}

func loadProtos(path string) (*protos, error) {
	var set descriptorpb.FileDescriptorSet

	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &protos{files}, nil
}

// method finds "Method" of grpc.AgentService, "Health.Check" of grpc, or "package.Service/Method".
func (protos *protos) method(name string) (protoreflect.MethodDescriptor, error) {
	full := strings.ReplaceAll(name, "/", ".")
	switch strings.Count(full, ".") {
	case 0:
		full = "grpc.AgentService." + full
	case 1:
		full = "grpc." + full
	}
	descriptor, err := protos.files.FindDescriptorByName(protoreflect.FullName(full))
	if err != nil {
		return nil, fmt.Errorf("no method %s in the descriptors", full)
	}
	method, ok := descriptor.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no method", full)
	}
	return method, nil
}

// methods are those of grpc.AgentService and grpc.Health, by the names that `method` takes.
func (protos *protos) methods() []string {
	var names []string

	for _, service := range []string{"AgentService", "Health"} {
		descriptor, err := protos.files.FindDescriptorByName(protoreflect.FullName("grpc." + service))
		if err != nil {
			continue
		}
		methods := descriptor.(protoreflect.ServiceDescriptor).Methods()
		for i := 0; i < methods.Len(); i++ {
			name := string(methods.Get(i).Name())
			if service != "AgentService" {
				name = service + "." + name
			}
			names = append(names, name)
		}
	}
	return names
}

// message makes an empty one of a type of package grpc.
func (protos *protos) message(name string) (*dynamicpb.Message, error) {
	descriptor, err := protos.files.FindDescriptorByName(protoreflect.FullName("grpc." + name))
	if err != nil {
		return nil, fmt.Errorf("no message grpc.%s in the descriptors", name)
	}
	return dynamicpb.NewMessage(descriptor.(protoreflect.MessageDescriptor)), nil
}

// toJSON prints every field, also those that have their default: a test can then compare without knowing which have.
func toJSON(message proto.Message) (string, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(message)
	if err != nil {
		return "", err
	}
	// protojson varies its spaces on purpose.
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return "", err
	}
	return compact.String(), nil
}

func fromJSON(text string, message proto.Message) error {
	return protojson.Unmarshal([]byte(text), message)
}
