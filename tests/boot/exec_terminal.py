#!/usr/bin/python3
"""Leaves a terminal of `nacre exec` in the three ways there are: exec_terminal.py NAME, with the container's name.

The detach keys leave the command running; a hang-up of our terminal, and an end that we can do nothing about, take it
along. Each command writes a file when it is hung up, and is looked for by another exec.
"""
import os
import signal
import subprocess
import sys

from terminal import PATIENCE, Terminal

NAME = sys.argv[1]
# What is started says which one it is, and what becomes of it.
COMMAND = "trap 'echo hung >/tmp/%s; exit' HUP; echo st''arted-%s; while :; do sleep 1; done"


def execute(*command):
    done = subprocess.run(["nacre", "exec", NAME, *command], capture_output=True, text=True, timeout=PATIENCE,
                          check=False)
    return done.returncode, done.stdout


def start(word, *options):
    terminal = Terminal(["nacre", "exec", "-it", *options, NAME, "sh", "-c", COMMAND % (word, word)])
    terminal.expect("started-" + word)
    return terminal


def await_hang_up(word):
    status, _ = execute("sh", "-c", "while ! [ -e /tmp/%s ]; do sleep 1; done" % word)
    if status != 0:
        sys.exit("%s wasn't hung up" % word)


def main():
    keys = start("keys")
    keys.type("\x10\x11")
    if keys.status() != 0:
        sys.exit("leaving by the keys isn't 0")
    other = start("other", "--detach-keys", "a,b")
    # The beginning of the keys alone is passed on, and so are the default ones.
    other.type("ac\x10\x11ab")
    if other.status() != 0:
        sys.exit("leaving by other keys isn't 0")

    closed = start("closed")
    os.close(closed.fd)
    await_hang_up("closed")
    killed = start("killed")
    os.kill(killed.pid, signal.SIGKILL)
    await_hang_up("killed")

    for word in "keys", "other":
        if execute("test", "-e", "/tmp/" + word)[0] == 0:
            sys.exit("%s was hung up, and not left alone" % word)
        if word not in execute("ps")[1]:
            sys.exit("%s has ended" % word)


main()
