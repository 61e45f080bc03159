#!/usr/bin/python3
"""`nacre console` at a terminal: console_terminal.py NAME."""
import sys
import termios

from terminal import Terminal, must

NAME = sys.argv[1]


def start(*options):
    """The shell says when the terminal is as a user has it."""
    terminal = Terminal(["sh", "-c", 'echo ready; read line; exec nacre console "$@"', "sh", *options, NAME])
    terminal.expect("ready")
    before = termios.tcgetattr(terminal.fd)
    terminal.type("\r")
    terminal.expect("# ")
    return terminal, before


def end(terminal, before):
    must(terminal.status(), 0)
    if termios.tcgetattr(terminal.fd) != before:
        sys.exit("the terminal isn't as it was")


def main():
    terminal, before = start()
    terminal.type("cat /proc/1/co''mm\r")
    terminal.expect("nacre-init")
    # Interrupts are the shell's, not ours. The job itself says when it is in the foreground.
    terminal.type("sh -c 'echo st\"\"arts; exec sleep 1000'\r")
    terminal.expect("starts")
    terminal.type("\x03")
    terminal.expect("# ")
    terminal.type("exit\r")
    end(terminal, before)

    terminal, before = start("--detach-keys", "ctrl-x,d")
    terminal.type("\x18d")
    end(terminal, before)


if __name__ == "__main__":
    main()
