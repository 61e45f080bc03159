#!/usr/bin/python3
"""`nacre attach --dir` at a terminal: session_terminal.py DIR CONTAINER, which runs a shell."""
import sys

from terminal import Terminal, await_size, leave, must, work

DIRECTORY, CONTAINER = sys.argv[1:]


def start(*options):
    terminal = Terminal(["nacre", "attach", "--dir", DIRECTORY, *options, CONTAINER])
    terminal.resize(30, 100)
    return terminal


def main():
    terminal = start("-t")
    terminal.expect("# ")
    await_size(terminal, 30, 100)
    terminal.resize(24, 80)
    await_size(terminal, 24, 80)
    work(terminal)
    terminal.type("echo be''fore\r")
    terminal.expect("before")
    leave(terminal, "\x10\x11")

    # What is kept is shown once more; the proxy knows by now that it is a terminal.
    terminal = start("--detach-keys", "ctrl-x,d")
    terminal.expect("before")
    terminal.type("echo st''ill here\r")
    terminal.expect("still here")
    leave(terminal, "\x18d")

    terminal = start()
    terminal.type("exit 9\r")
    must(terminal.status(), 9)


if __name__ == "__main__":
    main()
