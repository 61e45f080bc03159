#!/usr/bin/python3
"""Compares the options of a program's --help with those of its manual page, both ways:
check_manual.py PAGE PROGRAM [COMMAND]. A command's options are in the page's part "PROGRAM COMMAND", those of `nacre run`
in its DESCRIPTION. --help itself need not be told for each command.
"""
import os
import re
import subprocess
import sys

page, program = sys.argv[1:3]
command = sys.argv[3:4]


def of_help():
    text = subprocess.run([program, *command, "--help"], capture_output=True, text=True, check=True).stdout
    found = set()
    for line in text.splitlines():
        if re.match(r" {2,8}-", line):
            # The description begins behind two blanks.
            names = re.split(r" {2,}", line.strip())[0]
            found |= set(re.findall(r"(?:^|, )(--?[A-Za-z][A-Za-z0-9-]*)", names))
    return found


def part(text):
    """The lines that describe the options."""
    if command and command != ["run"]:
        found = re.search(r"^\.Ss %s %s\n(.*?)(?=^\.S[sh] )" % (os.path.basename(program), command[0]), text, re.M | re.S)
    else:
        found = re.search(r"^\.Sh DESCRIPTION\n(.*?)(?=^\.S[sh] )", text, re.M | re.S)
    if not found:
        sys.exit("%s has no part for %s" % (page, " ".join([program] + command)))
    return found.group(1)


def of_manual():
    with open(page, encoding="utf-8") as file:
        text = part(file.read())
    found = set()
    for line in re.findall(r"^\.It Fl (.*)", text, re.M):
        # mdoc: "Fl i , -interactive", "Fl -kernel Ar FILE , Fl -image Ar FILE"
        for name in re.findall(r"(?:^|, (?:Fl )?)(-?[A-Za-z][A-Za-z0-9-]*)", line):
            found.add("-" + name)
    return found


have, want = of_manual(), of_help()
if command and command != ["run"]:
    want -= {"-h", "--help"}
for name in sorted(want - have):
    print("%s is in the help, and not in %s" % (name, page))
for name in sorted(have - want):
    print("%s is in %s, and not in the help" % (name, page))
sys.exit(have != want)
