#!/usr/bin/python3
"""`nacre top` as somebody at a terminal sees it: top_terminal.py BUSY LARGE, with the names of a container that computes
and of one that holds memory, and no others."""
import os
import signal
import sys
import termios

from terminal import Terminal, must

BUSY, LARGE = sys.argv[1:]
OTHER_SCREEN, OWN_SCREEN = r"\x1b\[\?1049h", r"\x1b\[\?1049l"


def start(*options):
    terminal = Terminal(["nacre", "top", "--interval", "1", *options])
    terminal.resize(24, 100)
    return terminal


def end(terminal, status, before):
    terminal.expect(OWN_SCREEN)
    must(terminal.status(), status)
    if before is not None and termios.tcgetattr(terminal.fd) != before:
        sys.exit("the terminal isn't as it was")


def order(terminal, by, names):
    """A picture in this order: one that was begun before the key may come first."""
    terminal.expect(r"by %s\b" % by)
    terminal.expect(r"\x1b\[7mNAME ")
    terminal.expect(r"\r\n%s .*\r\n%s " % names)


def main():
    terminal = start()
    terminal.expect(OTHER_SCREEN)
    order(terminal, "cpu", (BUSY, LARGE))
    terminal.type("m")
    order(terminal, "memory", (LARGE, BUSY))
    terminal.type("r")
    order(terminal, "memory, reversed", (BUSY, LARGE))
    terminal.type("n")
    order(terminal, "name, reversed", (LARGE, BUSY))
    # Cut to what there is room for.
    terminal.resize(5, 30)
    terminal.expect(r"\x1b\[7mNAME [^\r]{25}\x1b\[m\r\nand 2 more")
    terminal.resize(24, 100)
    terminal.expect(r"\x1b\[7mNAME .* PIDS\x1b\[m")
    terminal.type("q")
    end(terminal, 0, None)

    # What a terminal is like beforehand is seen on one that nacre hasn't taken yet: a shell waits for a line first.
    for leave, status in (("q", 0), ("\x03", 0), (signal.SIGTERM, 143)):
        terminal = Terminal(["sh", "-c", "echo ready; read line; exec nacre top --interval 1"])
        terminal.resize(24, 100)
        terminal.expect("ready")
        before = termios.tcgetattr(terminal.fd)
        terminal.type("\r")
        terminal.expect(OTHER_SCREEN)
        terminal.expect(r"nacre top: 2 containers")
        if termios.tcgetattr(terminal.fd) == before:
            sys.exit("the terminal isn't raw")
        if isinstance(leave, str):
            terminal.type(leave)
        else:
            os.kill(terminal.pid, leave)
        end(terminal, status, before)


if __name__ == "__main__":
    main()
