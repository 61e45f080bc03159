package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/ttrpc"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Raw mode speaks frames, right and wrong ones:
//
//	frame STREAM TYPE FLAGS BODY       a whole frame; BODY is hex, or *N for N zero bytes
//	header LENGTH STREAM TYPE FLAGS    ten bytes, whatever follows
//	bytes BODY                         bytes
//	request STREAM SERVICE METHOD [PAYLOAD [TIMEOUT]]   a request; PAYLOAD as BODY or "-", TIMEOUT in nanoseconds
//	call STREAM TIMEOUT METHOD [JSON]  the same with a message in JSON, for a service of the agent
//	pass FD...                         what is sent next goes with these descriptors of ours
//	read                               waits for a frame, prints it
//	shut                               ends our sending direction
//
// "read" prints "STREAM type TYPE CODE: message" or "STREAM type TYPE OK PAYLOAD-IN-HEX", or "closed".
const (
	headerSize = 10
	frameLimit = 20 * time.Second // for one to be written, or to come
)

type rawConn struct {
	conn   *net.UnixConn
	output io.Writer
	protos *protos
	passed []int // with the next bytes
}

func parseBody(text string) ([]byte, error) {
	if strings.HasPrefix(text, "*") {
		count, err := strconv.Atoi(text[1:])
		return make([]byte, count), err
	}
	return hex.DecodeString(text)
}

func parseNumbers(words []string) ([]uint32, error) {
	var numbers []uint32

	for _, word := range words {
		number, err := strconv.ParseUint(word, 0, 32)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, uint32(number))
	}
	return numbers, nil
}

func header(length, stream, kind, flags uint32) []byte {
	bytes := make([]byte, headerSize)
	binary.BigEndian.PutUint32(bytes[0:], length)
	binary.BigEndian.PutUint32(bytes[4:], stream)
	bytes[8], bytes[9] = byte(kind), byte(flags)
	return bytes
}

func (raw *rawConn) write(bytes []byte) error {
	if err := raw.conn.SetWriteDeadline(time.Now().Add(frameLimit)); err != nil {
		return err
	}
	if len(raw.passed) == 0 {
		_, err := raw.conn.Write(bytes)
		return err
	}
	_, _, err := raw.conn.WriteMsgUnix(bytes, syscall.UnixRights(raw.passed...), nil)
	raw.passed = nil
	return err
}

func (raw *rawConn) pass(words []string) error {
	for _, word := range words {
		fd, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		raw.passed = append(raw.passed, fd)
	}
	return nil
}

func (raw *rawConn) frame(words []string) error {
	if len(words) != 4 {
		return errors.New("frame STREAM TYPE FLAGS BODY")
	}
	numbers, err := parseNumbers(words[:3])
	if err != nil {
		return err
	}
	body, err := parseBody(words[3])
	if err != nil {
		return err
	}
	return raw.write(append(header(uint32(len(body)), numbers[0], numbers[1], numbers[2]), body...))
}

func (raw *rawConn) header(words []string) error {
	numbers, err := parseNumbers(words)
	if err != nil || len(numbers) != 4 {
		return errors.New("header LENGTH STREAM TYPE FLAGS")
	}
	return raw.write(header(numbers[0], numbers[1], numbers[2], numbers[3]))
}

func (raw *rawConn) bytes(words []string) error {
	body, err := parseBody(strings.Join(words, ""))
	if err != nil {
		return err
	}
	return raw.write(body)
}

func (raw *rawConn) request(words []string) error {
	if len(words) < 3 {
		return errors.New("request STREAM SERVICE METHOD [PAYLOAD [TIMEOUT]]")
	}
	numbers, err := parseNumbers(words[:1])
	if err != nil {
		return err
	}
	request := &ttrpc.Request{Service: words[1], Method: words[2]}
	if len(words) > 3 && words[3] != "-" {
		if request.Payload, err = parseBody(words[3]); err != nil {
			return err
		}
	}
	if len(words) > 4 {
		if request.TimeoutNano, err = strconv.ParseInt(words[4], 0, 64); err != nil {
			return err
		}
	}
	body, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	return raw.write(append(header(uint32(len(body)), numbers[0], 1, 0), body...))
}

func (raw *rawConn) call(words []string) error {
	if len(words) < 3 {
		return errors.New("call STREAM TIMEOUT METHOD [JSON]")
	}
	method, err := raw.protos.method(words[2])
	if err != nil {
		return err
	}
	request := dynamicpb.NewMessage(method.Input())
	if len(words) > 3 {
		if err := fromJSON(strings.Join(words[3:], " "), request); err != nil {
			return err
		}
	}
	payload, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	return raw.request([]string{words[0], string(method.Parent().FullName()), string(method.Name()),
		hex.EncodeToString(payload), words[1]})
}

func describeResponse(body []byte) string {
	var response ttrpc.Response

	if err := proto.Unmarshal(body, &response); err != nil {
		return "not a response: " + hex.EncodeToString(body)
	}
	state := response.Status
	if state == nil {
		state = &spb.Status{}
	}
	if state.Code == 0 {
		return strings.TrimSpace("OK " + hex.EncodeToString(response.Payload))
	}
	return codeNames[codes.Code(state.Code)] + ": " + state.Message
}

func (raw *rawConn) read(words []string) error {
	head := make([]byte, headerSize)

	if err := raw.conn.SetReadDeadline(time.Now().Add(frameLimit)); err != nil {
		return err
	}
	_, err := io.ReadFull(raw.conn, head)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		fmt.Fprintln(raw.output, "closed")
		return nil
	}
	if err != nil {
		return errors.New("nothing came")
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(raw.conn, body); err != nil {
		return err
	}
	fmt.Fprintln(raw.output, binary.BigEndian.Uint32(head[4:]), "type", head[8], describeResponse(body))
	return nil
}

func (raw *rawConn) shut(words []string) error {
	return raw.conn.CloseWrite()
}

func raw(settings *settings, arguments []string) (int, error) {
	return 0, settings.frames(os.Stdin, os.Stdout)
}

// frames does what the lines of its input say, on a connection of its own.
func (settings *settings) frames(input io.Reader, output io.Writer) error {
	conn, err := settings.address.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	raw := &rawConn{conn: conn.(*net.UnixConn), output: output, protos: settings.protos}
	verbs := map[string]func(words []string) error{
		"frame": raw.frame, "header": raw.header, "bytes": raw.bytes, "request": raw.request, "call": raw.call,
		"pass": raw.pass, "read": raw.read, "shut": raw.shut,
	}
	lines := bufio.NewScanner(input)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		verb, found := verbs[words[0]]
		if !found {
			return fmt.Errorf("raw: what is %q?", words[0])
		}
		if err := verb(words[1:]); err != nil {
			return fmt.Errorf("raw: %s: %w", lines.Text(), err)
		}
	}
	return lines.Err()
}
