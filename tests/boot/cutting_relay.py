#!/usr/bin/env python3
"""cutting_relay.py LISTEN TARGET BYTES: a monitor's hybrid socket in front of another one, that ends a connection each time as many
BYTES have come from the guest since the last time. Prints "up", and how many it has ended so far each time.
"""
import selectors
import socket
import sys

listen, target, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
listener = socket.socket(socket.AF_UNIX)
listener.bind(listen)
listener.listen(64)
print("up", flush=True)
waiting = selectors.DefaultSelector()
waiting.register(listener, selectors.EVENT_READ)
peers = {}
come = cuts = 0


def end(sock):
    for one in (sock, peers.pop(sock)):
        waiting.unregister(one)
        peers.pop(one, None)
        one.close()


while True:
    for key, _ in waiting.select():
        if key.fileobj is listener:
            client = listener.accept()[0]
            guest = socket.socket(socket.AF_UNIX)
            guest.connect(target)
            for one, other, who in ((client, guest, "client"), (guest, client, "guest")):
                peers[one] = other
                waiting.register(one, selectors.EVENT_READ, who)
        elif key.fileobj in peers:
            try:
                data = key.fileobj.recv(65536)
                if key.data == "guest" and come + len(data) >= limit:
                    data = data[:limit - come]
                    come, cuts = 0, cuts + 1
                    peers[key.fileobj].sendall(data)
                    print(cuts, flush=True)
                    data = b""
                elif key.data == "guest":
                    come += len(data)
                if data:
                    peers[key.fileobj].sendall(data)
            except OSError:
                data = b""
            if not data:
                end(key.fileobj)
