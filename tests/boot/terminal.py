#!/usr/bin/python3
"""Runs commands on a pty and talks to them as somebody at a terminal would.

terminal.py COMMAND...            the command is an interactive shell, from its start to its end
terminal.py --attach NAME ROOTFS  a shell in a container of that name, which is left and come back to

Each step types, and waits until the screen shows what it has to; a step that
doesn't come within a minute fails. Sizes, interrupt and job control go through the pty's own means.
"""
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

PATIENCE = 60


class Terminal:
    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        self.text = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.fd], [], [], left)[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, pattern):
        deadline = time.monotonic() + PATIENCE
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return
            if not self.read(deadline):
                sys.exit("waited for %r in vain; the screen says: %r" % (pattern, self.text))

    def type(self, text):
        os.write(self.fd, text.encode())

    def status(self):
        deadline = time.monotonic() + PATIENCE
        while self.read(deadline):
            pass
        if time.monotonic() >= deadline:
            os.kill(self.pid, 9)
            sys.exit("it doesn't end; the screen says: %r" % self.text)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def work(terminal):
    """Interrupt and job control."""
    # The job itself says when it is in the foreground.
    terminal.type("sh -c 'echo f\"\"irst; exec sleep 1000'\r")
    terminal.expect("first\r")
    terminal.type("\x03")
    terminal.expect("# ")
    terminal.type("sh -c 'echo s\"\"econd; exec sleep 1000'\r")
    terminal.expect("second\r")
    terminal.type("\x1a")
    terminal.expect("Stopped")
    terminal.type("jobs; kill -9 %1; wait; tty\r")
    terminal.expect(r"Stopped +sh -c")
    terminal.expect("/dev/pts/0")


def await_size(terminal, rows, columns):
    """The new size travels by itself; a shell's answer shows when it has come."""
    terminal.type("while [ \"$(stty size)\" != '%d %d' ]; do sleep 1; done; echo re''sized\r" % (rows, columns))
    terminal.expect("resized")


def leave(terminal, keys):
    terminal.type(keys)
    terminal.expect("detached from")
    must(terminal.status(), 0)


def must(status, expected):
    if status != expected:
        sys.exit("the exit status is %d, not %d" % (status, expected))


def once(command):
    terminal = Terminal(command)
    terminal.resize(30, 100)
    terminal.expect("# ")
    terminal.type("stty size\r")
    terminal.expect("30 100")
    terminal.resize(24, 80)
    await_size(terminal, 24, 80)
    work(terminal)
    terminal.type("exit 9\r")
    must(terminal.status(), 9)


def attach(name, root):
    terminal = Terminal(["nacre", "run", "-it", "--name", name, root])
    terminal.resize(30, 100)
    terminal.expect("# ")
    # What is no more than the beginning of the keys goes to the shell: its history.
    terminal.type("echo o''nce\r")
    terminal.expect("once")
    terminal.type("\x10\r")
    terminal.expect("once")
    leave(terminal, "\x10\x11")

    terminal = Terminal(["nacre", "attach", "--detach-keys", "ctrl-x,d", name])
    terminal.resize(40, 120)
    terminal.type("\r")
    terminal.expect("# ")
    await_size(terminal, 40, 120)
    work(terminal)
    terminal.resize(25, 90)
    await_size(terminal, 25, 90)
    leave(terminal, "\x18d")

    # Killed, not detached: the container doesn't mind.
    terminal = Terminal(["nacre", "attach", name])
    terminal.type("\r")
    terminal.expect("# ")
    os.kill(terminal.pid, 9)
    must(terminal.status(), -9)

    terminal = Terminal(["nacre", "attach", name])
    terminal.type("echo st''ill here\r")
    terminal.expect("still here")
    terminal.type("exit 9\r")
    must(terminal.status(), 9)


def main():
    if sys.argv[1] == "--attach":
        attach(sys.argv[2], sys.argv[3])
    else:
        once(sys.argv[1:])


if __name__ == "__main__":
    main()
