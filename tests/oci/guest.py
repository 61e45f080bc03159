#!/usr/bin/env python3
"""guest.py: runs the shell script on stdin in the VM at $AGENT_ADDRESS, by a shell of the agent's debug console; its output, errors
and status are ours."""
import os
import socket
import sys

script = sys.stdin.buffer.read()
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(120)
connection.connect(os.environ["AGENT_ADDRESS"] + "/vsock.sock")
connection.sendall(b"CONNECT 1026\n")
stream = connection.makefile("rb")
if not stream.readline().startswith(b"OK"):
    sys.exit("no debug console")


def await_line(start):
    while True:
        line = stream.readline()
        if not line:
            sys.exit("the guest's shell has ended")
        if line.startswith(start):
            return line


# From here on the terminal is a plain pipe, and the shell no interactive one.
connection.sendall(b"stty raw -echo; echo; echo RE''ADY; exec sh -s 2>/dev/null\n")
await_line(b"READY")
end = b"END_OF_THE_SCRIPT"
connection.sendall(
    b"cat >/tmp/$$.s <<'%s'\n%s\n%s\n" % (end, script, end)
    + b"sh /tmp/$$.s </dev/null >/tmp/$$.o 2>/tmp/$$.e; status=$?\n"
    + b"echo; echo STATUS $status $(wc -c </tmp/$$.o) $(wc -c </tmp/$$.e); cat /tmp/$$.o /tmp/$$.e; rm /tmp/$$.?; echo; exit\n"
)
status, output, errors = (int(word) for word in await_line(b"STATUS").split()[1:])
sys.stdout.buffer.write(stream.read(output))
sys.stdout.flush()
sys.stderr.buffer.write(stream.read(errors))
sys.exit(status)
