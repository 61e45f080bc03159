#!/usr/bin/env python3
"""console.py PATH: what --console-socket asks for: listens, takes one terminal's master end, and copies it to stdout to its end."""
import array
import os
import socket
import sys

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
listener.settimeout(60)
connection = listener.accept()[0]
name, control, flags, address = connection.recvmsg(100, socket.CMSG_SPACE(4))
master = array.array("i", control[0][2])[0]
while True:
    try:
        data = os.read(master, 4096)
    except OSError:
        break
    if not data:
        break
    os.write(1, data)
