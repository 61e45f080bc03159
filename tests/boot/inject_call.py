#!/usr/bin/env python3
"""inject_call.py PID NUMBER: makes a process that waits in a system call make another one, without arguments that mean
anything, as if it had been taken over (x86_64)."""
import ctypes
import os
import sys

ATTACH, DETACH, GETREGS, SETREGS = 16, 17, 12, 13
NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs "
         "gs").split()


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, data=None):
    if libc.ptrace(request, pid, None, data) < 0:
        sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))


pid = int(sys.argv[1])
registers = Registers()
ptrace(ATTACH, pid)
os.waitpid(pid, 0)
ptrace(GETREGS, pid, ctypes.addressof(registers))
# Back to the instruction, and nothing for the kernel to restart.
registers.rip -= 2
registers.rax = int(sys.argv[2])
registers.orig_rax = (1 << 64) - 1
ptrace(SETREGS, pid, ctypes.addressof(registers))
ptrace(DETACH, pid)
print("called")
