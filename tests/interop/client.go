package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/ttrpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// address is where an agent is: unix://PATH, or a VM's run directory.
type address string

// handshakeLimit is how long the answer to CONNECT may take.
const handshakeLimit = 10 * time.Second

// streamPort is the agent's vsock port for stream connections, agent.passfd_listener_port.
const streamPort = 1027

func (address address) unixPath() (path string, isUnix bool) {
	return strings.TrimPrefix(string(address), "unix://"), strings.HasPrefix(string(address), "unix://")
}

func (address address) dial() (net.Conn, error) {
	path, isUnix := address.unixPath()
	if path == "" {
		return nil, errors.New("no address: give --address or set AGENT_ADDRESS")
	}
	if !isUnix {
		path = filepath.Join(path, "agent.sock")
	}
	return net.Dial("unix", path)
}

// dialStream makes a connection for a stream, and says which number names it in a request.
func (address address) dialStream() (*net.UnixConn, uint32, error) {
	path, isUnix := address.unixPath()
	if isUnix {
		return dialLocalStream(path + ".streams")
	}
	return dialVsock(filepath.Join(path, "vsock.sock"), streamPort)
}

var localPort = uint32(os.Getpid()) << 8

// dialLocalStream: without a VM the client chooses the number, and says it in the first line.
func dialLocalStream(path string) (*net.UnixConn, uint32, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, 0, err
	}
	localPort++
	_, err = fmt.Fprintf(conn, "%d\n", localPort)
	return conn, localPort, err
}

// dialVsock: the answer to CONNECT has the port of the host's end, which is the number.
func dialVsock(path string, port uint32) (*net.UnixConn, uint32, error) {
	var hostPort uint32

	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, 0, err
	}
	conn.SetDeadline(time.Now().Add(handshakeLimit))
	defer conn.SetDeadline(time.Time{})
	if _, err := fmt.Fprintf(conn, "CONNECT %d\n", port); err != nil {
		return nil, 0, err
	}
	// The stream's own bytes come only after a container has been given it, so reading ahead takes none of them.
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return nil, 0, fmt.Errorf("%s: CONNECT %d: %w", path, port, err)
	}
	if _, err := fmt.Sscanf(line, "OK %d\n", &hostPort); err != nil {
		return nil, 0, fmt.Errorf("%s: CONNECT %d: answered %q", path, port, line)
	}
	return conn, hostPort, nil
}

// noticedConn tells of writes: a call that isn't waited for is under way once it has been written. An agent that reads
// no more keeps nobody writing for longer than a call may take.
type noticedConn struct {
	net.Conn
	limit   time.Duration // 0 for none
	written chan struct{} // holds one
}

func (conn *noticedConn) Write(data []byte) (int, error) {
	if conn.limit > 0 {
		if err := conn.SetWriteDeadline(time.Now().Add(conn.limit)); err != nil {
			return 0, err
		}
	}
	count, err := conn.Conn.Write(data)
	select {
	case conn.written <- struct{}{}:
	default:
	}
	return count, err
}

// client is one ttrpc connection.
type client struct {
	*settings
	ttrpc *ttrpc.Client
	conn  *noticedConn
}

func (settings *settings) connect() (*client, error) {
	conn, err := settings.address.dial()
	if err != nil {
		return nil, err
	}
	return settings.over(conn), nil
}

func (settings *settings) over(conn net.Conn) *client {
	noticed := &noticedConn{conn, settings.timeout, make(chan struct{}, 1)}
	return &client{settings, ttrpc.NewClient(noticed), noticed}
}

func (client *client) send(name string, request proto.Message) (*dynamicpb.Message, error) {
	method, err := client.protos.method(name)
	if err != nil {
		return nil, err
	}
	ctx := ttrpc.WithMetadata(context.Background(), client.metadata)
	if client.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, client.timeout)
		defer cancel()
		ctx = limited
	}
	response := dynamicpb.NewMessage(method.Output())
	err = client.ttrpc.Call(ctx, string(method.Parent().FullName()), string(method.Name()), request, response)
	return response, err
}

// call takes the request as JSON, "" being an empty message.
func (client *client) call(name, text string) (*dynamicpb.Message, error) {
	method, err := client.protos.method(name)
	if err != nil {
		return nil, err
	}
	request := dynamicpb.NewMessage(method.Input())
	if text != "" {
		if err := fromJSON(text, request); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return client.send(name, request)
}

func callOnce(settings *settings, name string, arguments []string) error {
	client, err := settings.connect()
	if err != nil {
		return err
	}
	defer client.ttrpc.Close()
	response, err := client.call(name, strings.Join(arguments, " "))
	if err != nil {
		return err
	}
	text, err := toJSON(response)
	if err != nil {
		return err
	}
	fmt.Println(text)
	return nil
}

// waitReady dials until somebody listens, as a runtime does: a connection that was accepted must then answer.
func waitReady(settings *settings, arguments []string) (int, error) {
	limit := time.Now().Add(30 * time.Second)
	if settings.timeout > 0 {
		limit = time.Now().Add(settings.timeout)
	}
	for {
		conn, err := settings.address.dial()
		if err == nil {
			client := settings.over(conn)
			defer client.ttrpc.Close()
			_, err := client.call("Health.Check", "")
			return 0, err
		}
		if time.Now().After(limit) {
			return 0, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

var codeNames = map[codes.Code]string{
	codes.OK: "OK", codes.Canceled: "CANCELLED", codes.Unknown: "UNKNOWN",
	codes.InvalidArgument: "INVALID_ARGUMENT", codes.DeadlineExceeded: "DEADLINE_EXCEEDED",
	codes.NotFound: "NOT_FOUND", codes.AlreadyExists: "ALREADY_EXISTS",
	codes.PermissionDenied: "PERMISSION_DENIED", codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.FailedPrecondition: "FAILED_PRECONDITION", codes.Aborted: "ABORTED", codes.OutOfRange: "OUT_OF_RANGE",
	codes.Unimplemented: "UNIMPLEMENTED", codes.Internal: "INTERNAL", codes.Unavailable: "UNAVAILABLE",
	codes.DataLoss: "DATA_LOSS", codes.Unauthenticated: "UNAUTHENTICATED",
}

// describe is "CODE: message" for what the server said, and the error's own words for anything else.
func describe(err error) string {
	if answer, ok := status.FromError(err); ok {
		return codeNames[answer.Code()] + ": " + answer.Message()
	}
	return "agentctl: " + err.Error()
}
