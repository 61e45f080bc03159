#!/usr/bin/python3
"""Talks to attach.sock as no client of nacre's does: strangers.py SOCKET sends what is no frame, each on a connection of
its own, and fails unless the monitor closes every one of them. strangers.py --hello SOCKET says HELLO, and prints
whether that was answered ("welcome") or the connection closed ("refused").
"""
import socket
import struct
import sys

MOST = 65536
HELLO, STDIN, RESIZE, STOP, EXIT, STARTED = 1, 2, 4, 6, 68, 64


def frame(kind, body=b"", length=None):
    return struct.pack(">II", len(body) if length is None else length, kind) + body


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(path)
    return connection


def is_closed(connection):
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except socket.timeout:
        return False
    return True


def hello(path):
    connection = connect(path)
    try:
        connection.sendall(frame(HELLO, struct.pack(">I", 0)))
        answer = connection.recv(8)
    except (BrokenPipeError, ConnectionResetError):
        answer = b""
    print("welcome" if answer[4:] == struct.pack(">I", STARTED) else "refused")


def main():
    if sys.argv[1] == "--hello":
        hello(sys.argv[2])
        return
    greeting = frame(HELLO, struct.pack(">I", 1))
    strange = {
        "garbage": b"GET / HTTP/1.1\r\n\r\n",
        "no greeting": frame(RESIZE, b"\0" * 8),
        "two greetings": greeting + greeting,
        "a frame that is too long": greeting + frame(STDIN, length=MOST + 1),
        "a frame as long as can be": greeting + frame(STDIN, length=0xffffffff),
        "a number that is too short": greeting + frame(STOP, b"\0"),
        "an unknown type": greeting + frame(99, b""),
        "a frame of the monitor's": greeting + frame(EXIT, b"\0" * 4),
        "more stdin than there is credit for": greeting + frame(STDIN, b"x" * MOST) * 5,
    }
    for name, data in strange.items():
        connection = connect(sys.argv[1])
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if not is_closed(connection):
            sys.exit("%s: the connection stays open" % name)
    # Half a frame, and gone: nothing to answer.
    connection = connect(sys.argv[1])
    connection.sendall(greeting[:5])
    connection.close()


main()
