package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A script is a call a line, all over one connection:
//
//	LABEL Method JSON      calls, and waits for the answer
//	&LABEL Method JSON     calls, and goes on with the next line once the request has been sent
//	wait LABEL             waits for that answer
//	close                  drops the connection, with what is open
//
// and of connections for streams, whose port is @NAME in the calls' JSON:
//
//	connect NAME           opens one
//	send NAME HEX          writes these bytes to it
//	receive NAME COUNT     prints that many bytes of it, as "NAME HEX"; fewer where it ends first
//	drop NAME              closes it
//
// Answers are printed in the order in which they come, as "LABEL JSON" or "LABEL CODE: message". The end of the script
// waits for everything. Empty lines and those that begin with '#' say nothing.
type scripting struct {
	client  *client
	printed sync.Mutex
	open    map[string]chan struct{}
	streams map[string]*scriptedStream
	failed  bool
}

type scriptedStream struct {
	conn *net.UnixConn
	port uint32
}

func (scripting *scripting) connect(name string) error {
	conn, port, err := scripting.client.address.dialStream()
	if err == nil {
		conn.SetDeadline(time.Now().Add(scripting.client.timeout))
		scripting.streams[name] = &scriptedStream{conn, port}
	}
	return err
}

// stream does what a line says of a connection for a stream.
func (scripting *scripting) stream(word, name, argument string) error {
	if word == "connect" {
		return scripting.connect(name)
	}
	stream, found := scripting.streams[name]
	if !found {
		return fmt.Errorf("script: there is no connection %s", name)
	}
	switch word {
	case "send":
		bytes, err := hex.DecodeString(argument)
		if err == nil {
			_, err = stream.conn.Write(bytes)
		}
		return err
	case "receive":
		count, err := strconv.Atoi(argument)
		if err != nil {
			return err
		}
		bytes := make([]byte, count)
		count, err = io.ReadFull(stream.conn, bytes)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		scripting.printed.Lock()
		defer scripting.printed.Unlock()
		fmt.Println(name, hex.EncodeToString(bytes[:count]))
		return nil
	}
	return stream.conn.Close()
}

func (scripting *scripting) start(label, method, text string) chan struct{} {
	done := make(chan struct{})
	scripting.open[label] = done
	go func() {
		defer close(done)
		response, err := scripting.client.call(method, text)
		line := ""
		if err == nil {
			line, err = toJSON(response)
		}
		scripting.printed.Lock()
		defer scripting.printed.Unlock()
		if err != nil {
			scripting.failed = true
			line = describe(err)
		}
		fmt.Println(label, line)
	}()
	return done
}

func (scripting *scripting) line(line string) error {
	words := strings.SplitN(line, " ", 3)
	if words[0] == "close" {
		return scripting.client.ttrpc.Close()
	}
	if len(words) < 2 {
		return fmt.Errorf("script: %q: LABEL Method JSON is wanted", line)
	}
	switch words[0] {
	case "connect", "send", "receive", "drop":
		return scripting.stream(words[0], words[1], strings.Join(words[2:], ""))
	}
	if words[0] == "wait" {
		done, found := scripting.open[words[1]]
		if !found {
			return fmt.Errorf("script: nothing is called %s", words[1])
		}
		<-done
		return nil
	}
	text := ""
	if len(words) == 3 {
		text = words[2]
	}
	for name, stream := range scripting.streams {
		text = strings.ReplaceAll(text, "@"+name, fmt.Sprint(stream.port))
	}
	written := scripting.client.conn.written
	select { // what an earlier call has left there
	case <-written:
	default:
	}
	done := scripting.start(strings.TrimPrefix(words[0], "&"), words[1], text)
	if strings.HasPrefix(words[0], "&") {
		select {
		case <-written:
		case <-done:
		}
	} else {
		<-done
	}
	return nil
}

func script(settings *settings, arguments []string) (int, error) {
	client, err := settings.connect()
	if err != nil {
		return 0, err
	}
	defer client.ttrpc.Close()
	scripting := &scripting{client: client, open: map[string]chan struct{}{}, streams: map[string]*scriptedStream{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := scripting.line(line); err != nil {
			return 0, err
		}
	}
	for _, done := range scripting.open {
		<-done
	}
	if scripting.failed {
		return 1, lines.Err()
	}
	return 0, lines.Err()
}
