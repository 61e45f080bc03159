#!/usr/bin/python3
"""A client of sessions, as one that can't pass descriptors: ATTACH lines on the proxy.sock of a run directory.

session.py DIR attach CONTAINER EXEC STREAM [WORD...]
    copies: stdout and stderr to ours, or ours to stdin, until that ends
session.py DIR cycles CONTAINER EXEC COUNT COMMAND...
    attaches COUNT times to the output of a process that writes numbered lines, each time where it has left; then runs a command that
    is to end the process, and reads what is left. Every line has to come once, in its order, or be counted as dropped. Prints
    what it has seen.
session.py DIR stall CONTAINER EXEC
    attaches to stdout, says so, and reads nothing until our stdin ends.
"""
import os
import re
import shutil
import socket
import subprocess
import sys

PATIENCE = 60
LEAST = 4096  # what is read before it leaves


class Attachment:
    def __init__(self, directory, *words):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(directory + "/proxy.sock")
        self.socket.sendall((" ".join(("ATTACH",) + words) + "\n").encode())
        answer = b""
        while not answer.endswith(b"\n"):
            byte = self.socket.recv(1)
            if not byte:
                sys.exit("the proxy has closed the connection, after %r" % answer)
            answer += byte
        found = re.fullmatch(r"OK (\d+) (\d+)(?: ended)?\n", answer.decode())
        if not found:
            sys.exit(answer.decode().strip())
        self.offset, self.dropped = map(int, found.groups())

    def read(self, size):
        try:
            data = self.socket.recv(size)
        except ConnectionResetError:
            data = b""
        self.offset += len(data)
        return data


def attach(directory, container, execution, stream, *words):
    attachment = Attachment(directory, container, execution, stream, *words)
    if stream == "stdin":
        with attachment.socket.makefile("wb", 0) as target:
            shutil.copyfileobj(sys.stdin.buffer, target, 65536)
        attachment.socket.shutdown(socket.SHUT_WR)
        # It is closed behind the last byte that was taken.
        while attachment.read(4096):
            pass
        return
    while True:
        data = attachment.read(65536)
        if not data:
            return
        os.write(1, data)


class Lines:
    """Numbers from 1 on, a line each of nine digits: so an offset says which one it is in."""

    LENGTH = 10

    def __init__(self):
        self.data = b""
        self.start = 0  # the offset of data's first byte
        self.seen = self.dropped = 0

    def skip(self, offset):
        self.dropped += offset - self.start - len(self.data)
        self.data = b""
        self.start = offset

    def add(self, data):
        self.data += data
        # What began before a gap isn't whole.
        if self.start % self.LENGTH:
            cut = min(self.LENGTH - self.start % self.LENGTH, len(self.data))
            self.data = self.data[cut:]
            self.start += cut
            if self.start % self.LENGTH:
                return
        count = len(self.data) // self.LENGTH
        for i in range(count):
            line = self.data[i * self.LENGTH:(i + 1) * self.LENGTH]
            wanted = b"%09d\n" % (self.start // self.LENGTH + 1)
            if line != wanted:
                sys.exit("at %d there is %r and not %r" % (self.start, line, wanted))
            self.start += self.LENGTH
            self.seen += 1
        self.data = self.data[count * self.LENGTH:]


def cycles(directory, container, execution, count, *ending):
    lines = Lines()
    offset = 0
    for cycle in range(int(count) + 1):
        last = cycle == int(count)
        if last:
            subprocess.run(ending, check=True, stdout=subprocess.DEVNULL)
        attachment = Attachment(directory, container, execution, "stdout", str(offset))
        if attachment.offset != offset + attachment.dropped:
            sys.exit("asked for %d, got %d, and %d dropped" % (offset, attachment.offset, attachment.dropped))
        if attachment.dropped:
            lines.skip(attachment.offset)
        first = attachment.offset
        while True:
            data = attachment.read(65536)
            lines.add(data)
            if not data or (not last and attachment.offset - first >= LEAST):
                break
        offset = attachment.offset
        attachment.socket.close()
        if not data and not last:
            sys.exit("the output has ended after %d cycles" % cycle)
    print("%s attachments, %d lines, %d bytes dropped, %d bytes in all" % (count, lines.seen, lines.dropped, offset))


def stall(directory, container, execution):
    attachment = Attachment(directory, container, execution, "stdout")
    print("attached", flush=True)
    sys.stdin.read()
    attachment.socket.close()


if __name__ == "__main__":
    {"attach": attach, "cycles": cycles, "stall": stall}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
