"""What Linux itself forbids a program, without root or libraries: seccomp (system calls) and Landlock (files).

The supervisor prepares both once, as bytes and a descriptor; a child takes them on with two system calls, for good.
Whatever is not allowed here fails with "Operation not permitted". Only the supervisor imports this module.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from typing import Any, NamedTuple

# The system calls of a program that computes and prints: name, number on x86-64, number on arm64 (None: not there).
_ALLOWED: tuple[tuple[str, int | None, int | None], ...] = (
    # files, read only: Landlock says which
    ("read", 0, 63), ("pread64", 17, 67), ("readv", 19, 65), ("preadv", 295, 69), ("close", 3, 57),
    ("close_range", 436, 436), ("lseek", 8, 62), ("stat", 4, None),
    ("fstat", 5, 80), ("lstat", 6, None), ("newfstatat", 262, 79), ("statx", 332, 291), ("access", 21, None),
    ("faccessat", 269, 48), ("faccessat2", 439, 439), ("readlink", 89, None), ("readlinkat", 267, 78),
    ("getdents", 78, None), ("getdents64", 217, 61), ("getcwd", 79, 17), ("dup", 32, 23),
    ("dup2", 33, None), ("dup3", 292, 24),
    # output, to the descriptors that are there
    ("write", 1, 64), ("writev", 20, 66), ("pwrite64", 18, 68), ("pipe", 22, None), ("pipe2", 293, 59),
    ("poll", 7, None), ("ppoll", 271, 73), ("select", 23, None), ("pselect6", 270, 72),
    # memory; nothing that tells of the page cache or empties it, in which programs could leave signs for later ones
    ("mmap", 9, 222), ("munmap", 11, 215), ("mprotect", 10, 226), ("mremap", 25, 216),
    ("brk", 12, 214), ("membarrier", 324, 283),
    # time, and signals to itself that a timer sends
    ("nanosleep", 35, 101), ("clock_nanosleep", 230, 115), ("clock_gettime", 228, 113), ("clock_getres", 229, 114),
    ("gettimeofday", 96, 169), ("time", 201, None), ("times", 100, 153), ("alarm", 37, None), ("getitimer", 36, 102),
    ("setitimer", 38, 103), ("rt_sigaction", 13, 134), ("rt_sigprocmask", 14, 135), ("rt_sigreturn", 15, 139),
    ("sigaltstack", 131, 132), ("restart_syscall", 219, 128),
    # what it may know about itself
    ("getpid", 39, 172), ("gettid", 186, 178), ("getppid", 110, 173), ("getuid", 102, 174), ("geteuid", 107, 175),
    ("getgid", 104, 176), ("getegid", 108, 177), ("getpgrp", 111, None), ("getrusage", 98, 165),
    ("getrlimit", 97, 163), ("uname", 63, 160), ("sysinfo", 99, 179), ("sched_getaffinity", 204, 123),
    ("sched_yield", 24, 124), ("getcpu", 309, 168), ("getrandom", 318, 278), ("umask", 95, 166),
    # the C library's own needs, and the end
    ("futex", 202, 98), ("arch_prctl", 158, None), ("set_robust_list", 273, 99), ("rseq", 334, 293),
    ("exit", 60, 93), ("exit_group", 231, 94),
)  # fmt: skip
# Allowed only with certain values of an argument: name, numbers, which argument, the values.
_ALLOWED_WITH: tuple[tuple[str, int, int, int, tuple[int, ...]], ...] = (
    ("ioctl", 16, 29, 1, (0x5401, 0x5451)),  # TCGETS (is this a terminal?) and FIOCLEX
    ("fcntl", 72, 25, 1, (0, 1, 2, 3, 1030)),  # duplicate, close-on-exec; F_SETOWN would send signals to others
    ("madvise", 28, 233, 2, (4, 8, 14, 15)),  # of allocators; others read files ahead, or poison memory for all
    ("prlimit64", 302, 261, 2, (0,)),  # without new limits: root could raise its own
)
# Allowed only without certain bits in an argument. Opening: to read; with both bits of the mode Linux checks nothing.
_NOT_TO_READ = 0o3 | os.O_CREAT | os.O_TRUNC | 0o10000000 | 0o20000000  # the last two: O_PATH, and O_TMPFILE's own bit
_ALLOWED_WITHOUT: tuple[tuple[str, int | None, int | None, int, int], ...] = (
    ("open", 2, None, 1, _NOT_TO_READ),
    ("openat", 257, 56, 2, _NOT_TO_READ),
)
_ARCHITECTURES = {"x86_64": (0xC000003E, 317), "aarch64": (0xC00000B7, 277)}  # audit number, number of seccomp(2)
# BPF: load a word; jump if equal, if not less, if a bit is set; return.
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # refuse with EPERM
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# The shared libraries of Python's modules, and chance.
_SYSTEM = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/dev/urandom")
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}  # how many rights each Landlock version knows
RULESET_FD = 64  # out of the way of a child's closing of descriptors; it closes this one when it is confined
_NO_NEW_PRIVILEGES, _SET_FILTER = 38, 1  # of prctl(2) and of seccomp(2)


# Functions are looked up when they are first called, which the server does, so that its children need not.
LIBC = ctypes.CDLL(None, use_errno=True)


def set_process(option: int, value: int) -> None:
    """Call prctl(2) on this process.

    Raises:
        OSError: the kernel refuses.
    """
    if LIBC.prctl(option, value, 0, 0, 0):
        raise OSError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


class Kernel(NamedTuple):
    """Both confinements, ready to be taken on by any number of children."""

    seccomp: int
    program: ctypes.Structure
    ruleset: int
    kept: ctypes.Array[ctypes.c_char]  # the instructions that `program` points to

    def confine(self) -> None:
        """Confine this process and all that it becomes, for good.

        Raises:
            OSError: the kernel refuses.
        """
        set_process(_NO_NEW_PRIVILEGES, 1)
        if LIBC.syscall(_RESTRICT_SELF, self.ruleset, 0):
            raise OSError(f"Landlock: {os.strerror(ctypes.get_errno())}")
        os.close(self.ruleset)
        if LIBC.syscall(self.seccomp, _SET_FILTER, 0, ctypes.byref(self.program)):
            raise OSError(f"seccomp: {os.strerror(ctypes.get_errno())}")


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class _RulesetAttributes(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathRule(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("descriptor", ctypes.c_int32)]


def prepare(readable: Iterable[str]) -> Kernel:
    """Build both confinements; programs may read what is below the `readable` folders, nothing else.

    Raises:
        OSError: this machine lacks one of them; the message says which.
    """
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _ARCHITECTURES or sys.maxsize < 2**32:
        raise OSError(f"seccomp is used on 64-bit Linux for x86-64 and arm64 only, not on {sys.platform} {machine}")
    code = syscall_filter(machine)
    kept = ctypes.create_string_buffer(code, len(code))
    program = _FilterProgram(len(code) // 8, ctypes.addressof(kept))
    ruleset = _ruleset([*readable, *_SYSTEM])
    return Kernel(_ARCHITECTURES[machine][1], program, ruleset, kept)


# ---- seccomp ----


def syscall_filter(machine: str) -> bytes:
    """The BPF instructions for "x86_64" or "aarch64", 8 bytes each.

    A search tree over the call numbers, not a chain of comparisons: the kernel tries every number when a child takes
    the filter on, so a chain of 90 costs each program 0.1 ms.
    """
    column = 1 if machine == "x86_64" else 2
    architecture, _ = _ARCHITECTURES[machine]
    tests: dict[Any, list[bytes]] = {row[column]: [_return(_ALLOW)] for row in _ALLOWED}
    tests |= {row[column]: _argument_test(row[3], row[4]) for row in _ALLOWED_WITH}
    tests |= {row[column]: _bit_test(row[3], row[4]) for row in _ALLOWED_WITHOUT}
    tests.pop(None, None)  # calls that this machine does not have
    head = [_instruction(_LOAD, 0, 0, _ARCHITECTURE_AT), _instruction(_EQUAL, 1, 0, architecture), _return(_KILL)]
    return b"".join([*head, _instruction(_LOAD, 0, 0, _NUMBER_AT), *_tree(_spans(tests))])


def _spans(tests: dict[int, list[bytes]]) -> list[tuple[int, list[bytes]]]:
    """(first number, what to do) for each stretch of call numbers that are treated alike, ascending from 0."""
    refuse = [_return(_REFUSE)]
    spans: list[tuple[int, list[bytes]]] = []
    for number in sorted({0, *tests, *(number + 1 for number in tests)}):
        action = tests.get(number, refuse)
        if not spans or spans[-1][1] != action:
            spans.append((number, action))
    return spans


def _tree(spans: list[tuple[int, list[bytes]]]) -> list[bytes]:
    if len(spans) == 1:
        return spans[0][1]
    middle = len(spans) // 2
    below, above = _tree(spans[:middle]), _tree(spans[middle:])
    # A conditional jump goes at most 255 instructions far, which half of a tree of this size stays below.
    return [_instruction(_AT_LEAST, len(below), 0, spans[middle][0]), *below, *above]


def _argument_test(index: int, values: tuple[int, ...]) -> list[bytes]:
    """Allow when the low word of the argument is one of `values` and, for a pointer that must be null, the high one."""
    at = _ARGUMENTS_AT + 8 * index
    steps = []
    if values == (0,):
        steps = [_instruction(_LOAD, 0, 0, at + 4), _instruction(_EQUAL, 1, 0, 0), _return(_REFUSE)]
    steps.append(_instruction(_LOAD, 0, 0, at))
    for i, value in enumerate(values):
        steps.append(_instruction(_EQUAL, len(values) - i, 0, value))
    return [*steps, _return(_REFUSE), _return(_ALLOW)]


def _bit_test(index: int, bits: int) -> list[bytes]:
    """Allow when the low word of the argument has none of `bits`."""
    load = _instruction(_LOAD, 0, 0, _ARGUMENTS_AT + 8 * index)
    return [load, _instruction(_ANY_BIT, 0, 1, bits), _return(_REFUSE), _return(_ALLOW)]


def _instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, 0, 0, action)


# ---- Landlock ----


def _ruleset(folders: Iterable[str]) -> int:
    """A descriptor of the rules: read below `folders`; no other file, no TCP, no signal to a process outside."""
    version = LIBC.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        raise OSError(f"Landlock: {os.strerror(ctypes.get_errno())} (Linux has it since 5.13, where it is enabled)")
    rights = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    attributes = _RulesetAttributes(rights, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset: int = LIBC.syscall(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        raise OSError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    for path in folders:
        _allow_reading(ruleset, path)
    os.dup2(ruleset, RULESET_FD, inheritable=False)
    os.close(ruleset)
    return RULESET_FD


def _allow_reading(ruleset: int, path: str) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this system
        return
    rights = _READ_FILE | (_READ_DIR if os.path.isdir(path) else 0)  # noqa: PTH112  # servers stay light
    rule = _PathRule(rights, descriptor)
    if LIBC.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0):
        raise OSError(f"Landlock: {path}: {os.strerror(ctypes.get_errno())}")
    os.close(descriptor)
