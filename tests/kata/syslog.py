#!/usr/bin/python3
"""syslog.py SOCKET: prints what is logged there; Kata's runtime doesn't start without a place for its log."""

import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
    log.bind(sys.argv[1])
    while True:
        print(log.recv(1 << 16).decode(errors="replace").strip(), flush=True)
