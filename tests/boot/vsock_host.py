#!/usr/bin/env python3
"""vsock_host.py DIR COMMAND...: the host's half of the vsock checks, behind the proxy's sockets in DIR. COMMAND is the guest's half
(vsock_check.c), whose stdin and stdout lead here. Prints "ok NAME", or "not ok NAME: " and why either half isn't content.
"""
import json
import os
import socket
import subprocess
import sys
import threading
import time

HOST_PORT = GUEST_PORT = 5000
SERIES, CROWD, LARGE, BUFFER = 1000, 200, 4 << 20, 256 << 10
PATIENCE = 60
DIR = sys.argv[1]


def make_block():
    block, state = bytearray(), 1
    for _ in range(65521):
        state = (state * 1103515245 + 12345) & 0xffffffff
        block.append(state >> 16 & 0xff)
    return bytes(block)


PATTERN = make_block() * (LARGE // 65521 + 1)


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(map(str, what)))


class End:
    """The host's end of a connection."""

    def __init__(self, connection):
        self.socket = connection
        connection.settimeout(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, text):
        self.socket.sendall(text.encode())

    def expect(self, text):
        came = self.socket.recv(len(text), socket.MSG_WAITALL).decode()
        check(came == text, repr(came), "came, and not", repr(text))

    def expect_end(self):
        came = self.socket.recv(1)
        check(came == b"", repr(came), "came, and not the end")

    def read_all(self, size):
        done = 0
        while done < size:
            came = self.socket.recv(min(65536, size - done))
            check(came, "the end after", done, "bytes")
            check(came == PATTERN[done:done + len(came)], "wrong bytes from", done, "on")
            done += len(came)

    def cannot_be_written(self):
        try:
            while True:
                self.socket.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            pass


listener = socket.socket(socket.AF_UNIX)


def take():
    return End(listener.accept()[0])


def dial(port=GUEST_PORT):
    """An end, and the host's port as the guest sees it."""
    connection = socket.socket(socket.AF_UNIX)
    end = End(connection)
    connection.connect(os.path.join(DIR, "vsock.sock"))
    end.say(f"CONNECT {port}\n")
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            return None, 0
        line += byte
    check(line.startswith(b"OK "), line)
    return end, int(line[3:])


def connections():
    """What the proxy knows of those between the checks' two halves."""
    answer = subprocess.run(["agentctl", "--address", f"unix://{DIR}/proxy.sock", "nacre.Proxy/ListConnections"], check=True,
                            stdout=subprocess.PIPE).stdout
    found = json.loads(answer).get("connections", [])
    return [each for each in found if each.get("guest_port") == GUEST_PORT or each.get("host_port") == HOST_PORT]


def await_connections(condition):
    """Until it holds for them: nothing else tells of what the proxy has counted."""
    until = time.monotonic() + PATIENCE
    while not condition(found := connections()):
        check(time.monotonic() < until, "the proxy still has", found)


def guest_refused():
    pass


def host_refused():
    check(dial(GUEST_PORT + 1)[0] is None, "a connection with nobody")


def guest_connects():
    with take() as end:
        end.expect("ping")
        end.say("pong")
        end.expect("bye")


def host_connects():
    end, port = dial()
    with end:
        end.say(f"{port:010}")
        end.expect("pong")


def guest_ends_output():
    with take() as end:
        end.expect("all of it")
        end.expect_end()
        end.say("the answer")


def host_ends_output():
    with dial()[0] as end:
        end.say("all of it")
        end.socket.shutdown(socket.SHUT_WR)
        end.expect("the answer")
        end.expect_end()


def guest_reads_no_more():
    with take() as end:
        end.expect("go on")
        end.cannot_be_written()
        end.expect_end()


def host_reads_no_more():
    with dial()[0] as end:
        end.socket.shutdown(socket.SHUT_RD)
        end.say("go on")
        end.say("and still")
        # Not by our end's close.
        await_connections(lambda found: not found)


def guest_ends_after_data():
    with take() as end:
        end.read_all(LARGE // 4)
        end.expect_end()


def host_ends_after_data():
    with dial()[0] as end:
        end.socket.sendall(PATTERN[:BUFFER])


def guest_leaves_data():
    with take() as end:
        end.cannot_be_written()


def host_leaves_data():
    with dial()[0] as end:
        end.say("enough")
        end.socket.recv(1)


def guest_series():
    for _ in range(SERIES):
        with take() as end:
            end.expect("ping")
            end.say("pong")
            end.expect_end()


def host_series():
    for _ in range(SERIES):
        with dial()[0] as end:
            end.say("ping")
            end.expect("pong")


def guest_crowd():
    ends = [take() for _ in range(CROWD)]
    for end in ends:
        end.expect("ping")
    for end in ends:
        end.say("pong")
    for end in ends:
        end.expect_end()
        end.socket.close()


def host_crowd():
    ends = [dial()[0] for _ in range(CROWD)]
    for end in ends:
        end.expect("ping")
    for end in ends:
        end.say("pong")
    for end in ends:
        end.expect_end()
        end.socket.close()


def same_port():
    for _ in range(20):
        with take() as end:
            end.expect("ping")
            end.say("pong")
            end.expect_end()


def large():
    with take() as end:
        writer = threading.Thread(target=end.socket.sendall, args=(PATTERN[:LARGE],))
        writer.start()
        end.read_all(LARGE)
        writer.join()
        end.expect_end()


def guest_fills():
    with take() as end:
        # The proxy has all that the guest may send, to the byte, and our socket what it takes.
        await_connections(lambda found: any(each.get("backlog") == BUFFER for each in found))
        end.read_all(LARGE)
        end.expect_end()


def host_fills():
    with take() as end, take() as control:
        writer = threading.Thread(target=end.socket.sendall, args=(PATTERN[:LARGE],))
        writer.start()
        await_connections(lambda found: any(int(each.get("to_guest", 0)) >= BUFFER // 4 for each in found))
        check(any(int(each.get("to_guest", 0)) == BUFFER // 4 and each.get("credit", 0) == 0 for each in connections()),
              "not as much as the guest's buffer", connections())
        control.say("full")
        writer.join()
        end.socket.shutdown(socket.SHUT_WR)
        end.expect_end()


def run(name):
    """Why it has failed, or nothing."""
    try:
        globals()[name]()
        await_connections(lambda found: not found)
    except Exception as error:  # whatever it is, it is what is to be told
        return f"host: {type(error).__name__} {error}"
    return ""


def main():
    listener.settimeout(PATIENCE)
    listener.bind(os.path.join(DIR, f"vsock.sock_{HOST_PORT}"))
    listener.listen(CROWD)
    with subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as guest:
        for line in guest.stdout:
            words = line.split(None, 1)
            if words[0] != "begin":
                sys.exit(line)
            name = words[1].strip()
            why = run(name)
            verdict = guest.stdout.readline().strip()
            if verdict == f"ok {name}" and why:
                verdict = f"not ok {name}: {why}"
            elif why:
                verdict += f"; {why}"
            print(verdict, flush=True)
            try:
                guest.stdin.write("\n")
                guest.stdin.flush()
            except BrokenPipeError:
                break
    sys.exit(guest.returncode)


main()
