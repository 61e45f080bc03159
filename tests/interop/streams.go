package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// readSize is what the Kata runtimes ask for in one ReadStdout.
const readSize = 32 << 10

// streams are those of one process, by calls or by a connection each.
type streams struct {
	client  *client
	options *processOptions

	in, out, err *net.UnixConn // nil by calls

	// Our ends of them.
	stdin          io.Reader
	stdout, stderr io.Writer
}

// prepareStreams makes the connections, if that is the way, and names them in the request.
func prepareStreams(client *client, options *processOptions, request *dynamicpb.Message) (*streams, error) {
	streams := &streams{client: client, options: options, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	if !options.byConn {
		return streams, nil
	}
	for _, wanted := range []struct {
		field string
		conn  **net.UnixConn
		yes   bool
	}{
		{"stdin_port", &streams.in, options.stdin},
		{"stdout_port", &streams.out, true},
		{"stderr_port", &streams.err, !options.terminal},
	} {
		if !wanted.yes {
			continue
		}
		conn, port, err := client.address.dialStream()
		if err != nil {
			return nil, err
		}
		*wanted.conn = conn
		request.Set(request.Descriptor().Fields().ByName(protoreflect.Name(wanted.field)), protoreflect.ValueOfUint32(port))
	}
	return streams, nil
}

// limit is for all that goes over the connections.
func (streams *streams) limit(limit time.Duration) {
	for _, conn := range []*net.UnixConn{streams.in, streams.out, streams.err} {
		if conn != nil {
			conn.SetDeadline(time.Now().Add(limit))
		}
	}
}

// readByCalls copies a stream until it ends, which is an empty answer.
func (streams *streams) readByCalls(method, who string, to io.Writer) error {
	request := fmt.Sprintf(`%s,"len":%d}`, who[:len(who)-1], readSize)
	for {
		response, err := streams.client.call(method, request)
		if err != nil {
			return err
		}
		data := response.Get(response.Descriptor().Fields().ByName("data")).Bytes()
		if len(data) == 0 {
			return nil
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
	}
}

func (streams *streams) read(conn *net.UnixConn, method, who string, to io.Writer) error {
	if !streams.options.byConn {
		return streams.readByCalls(method, who, to)
	}
	_, err := io.Copy(to, conn)
	return err
}

// writeByCalls sends our stdin; an error is the process's end, which WaitProcess reports.
func (streams *streams) writeByCalls(who string) {
	var fields map[string]any

	json.Unmarshal([]byte(who), &fields)
	chunk := make([]byte, readSize)
	for streams.options.stdin {
		count, err := streams.stdin.Read(chunk)
		if count > 0 {
			fields["data"] = chunk[:count]
			text, _ := json.Marshal(fields)
			if _, err := streams.client.call("WriteStdin", string(text)); err != nil {
				return
			}
		}
		if err != nil {
			break
		}
	}
	if streams.options.stdin || !streams.options.terminal {
		streams.client.call("CloseStdin", who)
	}
}

func (streams *streams) write(who string) {
	if !streams.options.byConn {
		streams.writeByCalls(who)
		return
	}
	if streams.in != nil {
		io.Copy(streams.in, streams.stdin)
		streams.in.CloseWrite()
	}
}

// finish carries the streams until they end, and returns the exit status. Where WaitProcess is open meanwhile, an agent that
// lets an exit overtake the output is found out.
func (streams *streams) finish(who string) (int, error) {
	var group sync.WaitGroup
	var outErr, errErr error

	go streams.write(who)
	group.Add(1)
	go func() {
		defer group.Done()
		outErr = streams.read(streams.out, "ReadStdout", who, streams.stdout)
	}()
	if !streams.options.terminal {
		group.Add(1)
		go func() {
			defer group.Done()
			errErr = streams.read(streams.err, "ReadStderr", who, streams.stderr)
		}()
	}
	if streams.options.waitLast && !streams.options.byConn {
		group.Wait()
	}
	response, err := streams.client.call("WaitProcess", who)
	if err != nil {
		return 0, err
	}
	group.Wait()
	status := int(response.Get(response.Descriptor().Fields().ByName("status")).Int())
	if outErr == nil {
		outErr = errErr
	}
	return status, outErr
}
