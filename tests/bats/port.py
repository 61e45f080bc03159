#!/usr/bin/env python3
"""port.py NAME PORT [TEXT]: connects to a port of the agent at $AGENT_ADDRESS beside that of the calls, and copies: stdin to it, and
what comes to stdout, until the agent closes, or a line with TEXT has come. The end of stdin closes nothing.

For a Unix socket that is PATH.NAME; for the run directory of a VM it is PORT, by way of vsock.sock.
"""
import os
import selectors
import socket
import sys

name, port = sys.argv[1:3]
text = sys.argv[3].encode() if sys.argv[3:] else None
seen = b""
address = os.environ["AGENT_ADDRESS"]
connection = socket.socket(socket.AF_UNIX)
if address.startswith("unix://"):
    connection.connect(address[len("unix://"):] + "." + name)
else:
    connection.connect(address + "/vsock.sock")
    connection.sendall(f"CONNECT {port}\n".encode())
    answer = b""
    while not answer.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            sys.exit(f"nobody listens on port {port}")
        answer += byte

waiting = selectors.DefaultSelector()
waiting.register(connection, selectors.EVENT_READ)
try:
    waiting.register(0, selectors.EVENT_READ)
except PermissionError:  # a file, or /dev/null
    data = sys.stdin.buffer.read()
    if data:
        connection.sendall(data)
while True:
    for key, _ in waiting.select():
        try:
            data = os.read(key.fd, 65536)
        except ConnectionResetError:
            data = b""
        if key.fd == 0:
            if data:
                connection.sendall(data)
            else:
                waiting.unregister(0)
        elif data:
            os.write(1, data)
            seen = seen[seen.rfind(b"\n") + 1:] + data
            if text and any(text in line for line in seen.split(b"\n")[:-1]):
                sys.exit(0)
        else:
            sys.exit(0)
