"""Rules inside the interpreter, on every system: which modules a program may import, what an audit hook stops.

Defence in depth and clear messages, not a wall: Python code that tries hard can get around it, and then meets what the
kernel forbids.
"""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

ALLOWED_MODULES = frozenset(
    (
        "__future__", "_strptime", "abc", "array", "bisect", "calendar", "cmath", "collections", "contextlib", "copy",
        "copyreg", "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "heapq", "itertools", "json",
        "math", "mpmath", "numbers", "numpy", "operator", "pprint", "random", "re", "scipy", "statistics", "string",
        "sympy", "sys", "textwrap", "time", "timeit", "traceback", "types", "typing", "unicodedata", "warnings",
        "zoneinfo",
    )
)  # fmt: skip

# Audit events, or their beginnings, that no solution of a maths problem needs.
_FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill", "os.remove",
    "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.chflags", "os.link", "os.symlink",
    "os.truncate", "os.utime", "os.scandir", "os.walk", "os.fwalk", "os.putenv", "os.unsetenv", "os.setxattr",
    "os.lockf", "os.add_dll_directory",
    "subprocess.", "pty.", "socket.", "ctypes.", "mmap.", "fcntl.", "resource.", "signal.pthread_kill", "shutil.",
    "tempfile.", "glob.", "sqlite3.", "winreg.", "_winapi.", "msvcrt.", "webbrowser.", "urllib.", "http.", "ftplib.",
    "smtplib.", "imaplib.", "poplib.", "nntplib.", "telnetlib.", "syslog.", "code.__new__", "gc.get_objects",
    "gc.get_referrers", "gc.get_referents", "sys._current_frames", "sys._current_exceptions", "sys.settrace",
    "sys.setprofile", "sys.monitoring", "cpython.run_", "cpython.PyInterpreterState",
)  # fmt: skip
# Modules that would get around the hook, whoever imports them.
_FORBIDDEN_MODULES = frozenset(
    (
        "_ctypes", "_interpreters", "_multiprocessing", "_posixshmem", "_posixsubprocess", "_socket", "_testbuffer",
        "_testcapi", "_testinternalcapi", "_winapi", "_xxsubinterpreters", "ctypes", "faulthandler", "mmap",
        "multiprocessing", "pty", "socket", "subprocess",
    )
)  # fmt: skip


class ForbiddenImport(ImportError):
    """The program imports a module that is not for it."""


def python_folders() -> list[str]:
    """What a program may read: the standard library, the installed packages, and time zones."""
    return [os.path.dirname(os.__file__), *filter(os.path.isabs, sys.path), "/usr/share/zoneinfo"]  # noqa: PTH117, PTH120


def audit_hook(readable: Sequence[str]) -> Callable[[str, tuple[Any, ...]], None]:
    """The hook for `sys.addaudithook`; files below the `readable` folders may still be read.

    The hook keeps what it needs in its own closure, where nothing can be changed: a program gets hold of the frames,
    and so of the globals, of every function that raises.
    """
    roots = tuple(os.path.join(os.path.realpath(path), "") for path in readable)  # noqa: PTH118  # servers stay light
    forbidden, modules, realpath, error = _FORBIDDEN, _FORBIDDEN_MODULES, os.path.realpath, PermissionError
    is_a, text, number, starts, decode = isinstance, str, int, str.startswith, os.fsdecode
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if is_a(path, number):
                return
            path = path if is_a(path, text) else decode(path)
            if not (flags or 0) & writing and starts(realpath(path), roots):
                return
            raise error(f"the sandbox does not allow to open {path!r}")
        if event == "import":
            if arguments[0] in modules:
                raise error(f"the sandbox does not allow to import {arguments[0]}")
        elif starts(event, forbidden):
            raise error(f"the sandbox does not allow {event}")

    return hook


def guarded_builtins() -> dict[str, Any]:
    """The builtins for a guarded program: its own import statements reach the allowed modules only."""
    real, allowed, main, error = builtins.__import__, ALLOWED_MODULES, "__main__", ForbiddenImport

    def guarded_import(
        name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> Any:
        if globals and globals.get("__name__") == main and name.partition(".")[0] not in allowed:
            raise error(f"the sandbox has no module {name!r}")
        return real(name, globals, locals, fromlist, level)

    return builtins.__dict__ | {"__import__": guarded_import}
