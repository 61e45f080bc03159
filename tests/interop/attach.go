package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"

	"google.golang.org/protobuf/types/dynamicpb"
)

// maxRecord is the most that a record may have.
const maxRecord = 65536

// attaching carries one stream of a process by nacre.Guest/AttachStream, over connection after connection: each is cut after
// about `cut` bytes, wherever that is, and the next one goes on at the offset that has been reached.
type attaching struct {
	client  *client
	who     string // the request, without offset and port
	input   bool
	cut     int
	random  *rand.Rand
	offset  uint64 // of output: what has been written out; of input: what is acknowledged
	times   int    // attachments
	skipped uint64 // bytes of output that were gone when they were asked for
}

func number(message *dynamicpb.Message, field string) uint64 {
	return message.Get(message.Descriptor().Fields().ByTextName(field)).Uint()
}

// attach is the next connection; nil at the stream's end.
func (attaching *attaching) attach() (*net.UnixConn, error) {
	conn, port, err := attaching.client.address.dialStream()
	if err != nil {
		return nil, err
	}
	response, err := attaching.client.call("nacre.Guest/AttachStream", fmt.Sprintf(`%s,"port":%d,"offset":"%d"}`,
		attaching.who[:len(attaching.who)-1], port, attaching.offset))
	if err != nil {
		conn.Close()
		return nil, err
	}
	attaching.times++
	reached := number(response, "offset")
	if reached < attaching.offset {
		return nil, fmt.Errorf("attach: asked for offset %d, and got %d", attaching.offset, reached)
	}
	if !attaching.input {
		attaching.skipped += reached - attaching.offset
	}
	attaching.offset = reached
	if response.Get(response.Descriptor().Fields().ByTextName("ended")).Bool() {
		conn.Close()
		return nil, nil
	}
	return conn, nil
}

// allowance is after how many bytes a connection is cut.
func (attaching *attaching) allowance() int64 {
	if attaching.cut == 0 {
		return 1 << 62
	}
	return int64(attaching.random.Intn(2 * attaching.cut))
}

// takeRecords reads from one connection until it is cut; true at the stream's end.
func (attaching *attaching) takeRecords(conn *net.UnixConn, to io.Writer) (bool, error) {
	var header [4]byte
	data := make([]byte, maxRecord)
	limited := bufio.NewReader(io.LimitReader(conn, attaching.allowance()))
	for {
		if _, err := io.ReadFull(limited, header[:]); err != nil {
			return false, nil
		}
		length := binary.LittleEndian.Uint32(header[:])
		if length > maxRecord {
			return false, fmt.Errorf("attach: a record of %d bytes", length)
		}
		// Part of a record has come as well as the whole of it.
		count, broken := io.ReadFull(limited, data[:length])
		if _, err := to.Write(data[:count]); err != nil {
			return false, err
		}
		attaching.offset += uint64(count)
		if broken != nil {
			return false, nil
		}
		if length == 0 {
			return true, nil
		}
		if err := binary.Write(conn, binary.LittleEndian, attaching.offset); err != nil {
			return false, nil
		}
	}
}

// giveRecords writes what is behind the offset to one connection, until it is cut or all is acknowledged; and then the end.
func (attaching *attaching) giveRecords(conn *net.UnixConn, data []byte) error {
	allowed := attaching.allowance()
	start := attaching.offset
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for sent := start; sent < uint64(len(data)); {
			length := uint64(1 + attaching.random.Intn(maxRecord))
			if left := uint64(len(data)) - sent; length > left {
				length = left
			}
			record := binary.LittleEndian.AppendUint32(nil, uint32(length))
			record = append(record, data[sent:sent+length]...)
			if int64(len(record)) > allowed {
				conn.Write(record[:allowed])
				conn.Close()
				return
			}
			if _, err := conn.Write(record); err != nil {
				return
			}
			allowed -= int64(len(record))
			sent += length
		}
		binary.Write(conn, binary.LittleEndian, uint32(0))
	}()
	var offset uint64
	for binary.Read(conn, binary.LittleEndian, &offset) == nil {
		if offset < attaching.offset || offset > uint64(len(data)) {
			return fmt.Errorf("attach: %d is acknowledged behind %d", offset, attaching.offset)
		}
		attaching.offset = offset
	}
	conn.Close()
	<-gone
	return nil
}

func (attaching *attaching) give(from io.Reader) error {
	data, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	for {
		conn, err := attaching.attach()
		if err != nil || conn == nil {
			return err
		}
		if err := attaching.giveRecords(conn, data); err != nil {
			return err
		}
	}
}

func (attaching *attaching) take(to io.Writer) error {
	for {
		conn, err := attaching.attach()
		if err != nil || conn == nil {
			return err
		}
		ended, err := attaching.takeRecords(conn, to)
		conn.Close()
		if err != nil || ended {
			return err
		}
	}
}

// attachStream: --id ID [--exec-id ID] [--stream NAME] [--offset N] [--cut BYTES]: our stdin goes to the process's, or its output
// comes to ours.
func attachStream(settings *settings, arguments []string) (int, error) {
	flags := flag.NewFlagSet("attach", flag.ExitOnError)
	id := flags.String("id", "", "the container")
	execID := flags.String("exec-id", "", "the process")
	name := flags.String("stream", "stdout", "stdin, stdout or stderr")
	offset := flags.Uint64("offset", 0, "where to begin")
	cut := flags.Int("cut", 0, "after how many bytes a connection is cut, on average")
	seed := flags.Int64("seed", 1, "of the random numbers")
	flags.Parse(arguments)
	stream, known := map[string]int{"stdin": 0, "stdout": 1, "stderr": 2}[*name]
	if !known || *id == "" {
		return 0, errors.New("attach: --id, and a --stream that is stdin, stdout or stderr, are needed")
	}
	client, err := settings.connect()
	if err != nil {
		return 0, err
	}
	defer client.ttrpc.Close()
	who := identify(*id, *execID)
	attaching := &attaching{client: client, who: fmt.Sprintf(`%s,"stream":%d}`, who[:len(who)-1], stream), input: stream == 0,
		cut: *cut, random: rand.New(rand.NewSource(*seed)), offset: *offset}
	if attaching.input {
		err = attaching.give(os.Stdin)
	} else {
		err = attaching.take(os.Stdout)
	}
	if err == nil {
		fmt.Fprintf(os.Stderr, "%d attachments, %d bytes, %d skipped\n", attaching.times, attaching.offset, attaching.skipped)
	}
	return 0, err
}
