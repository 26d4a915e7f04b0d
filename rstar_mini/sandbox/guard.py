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
    """
    __future__ _strptime abc array ast base64 binascii bisect builtins calendar cmath collections contextlib copy
    copyreg dataclasses datetime decimal dis enum fractions functools gc graphlib hashlib heapq inspect io itertools
    json locale logging math mpmath networkx numbers numpy operator pickle pprint queue random re scipy secrets
    signal statistics string struct sympy sys textwrap threading time timeit traceback types typing
    typing_extensions unicodedata uuid warnings weakref zoneinfo
    """.split()
)

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
    "sys.setprofile", "sys.monitoring", "cpython.run_", "cpython.PyInterpreterState", "_thread.", "os.chdir",
    "os.fchdir",
)  # fmt: skip
_DROPPED = (
    "chroot", "copy_file_range", "eventfd", "memfd_create", "mkfifo", "mknod", "nice", "pidfd_open",
    "sched_setaffinity", "sched_setparam", "sched_setscheduler", "sendfile", "setgid", "setgroups", "setpriority",
    "setns", "setregid", "setresgid", "setresuid", "setreuid", "setuid", "splice", "unshare",
)  # fmt: skip
# Modules that would get around the hook, whoever imports them.
_FORBIDDEN_MODULES = frozenset(
    """
    _ctypes _interpreters _multiprocessing _posixshmem _posixsubprocess _socket _testbuffer _testcapi _testinternalcapi
    _winapi _xxsubinterpreters ctypes faulthandler mmap multiprocessing pty socket subprocess
    """.split()
)

# Modules of this package load C functions as they are imported, long after the server has hidden what they need for it.
_NEEDS_C, _CALLING_C = "scipy", frozenset({"ctypes", "_ctypes"})


class ForbiddenImport(ImportError):
    """The program imports a module that is not for it."""


def python_folders() -> list[str]:
    """What a program may read: the standard library, the installed packages, and time zones."""
    return [os.path.dirname(os.__file__), *filter(os.path.isabs, sys.path), "/usr/share/zoneinfo"]  # noqa: PTH117, PTH120


def audit_hook(readable: Sequence[str]) -> Callable[[str, tuple[Any, ...]], None]:
    """The hook for `sys.addaudithook`; files below the `readable` folders may still be read.

    All that it needs is in its own parameters. A program gets hold of the frame, and so of the globals, of every
    function that raises, but not of the function itself.
    """
    roots = tuple({os.path.join(path, "") for name in readable for path in (name, os.path.realpath(name))})  # noqa: PTH118

    def hook(
        event: str,
        arguments: tuple[Any, ...],
        *,
        forbidden: tuple[str, ...] = _FORBIDDEN,
        modules: frozenset[str] = _FORBIDDEN_MODULES,
        packages: frozenset[str] = frozenset(sys.stdlib_module_names) | ALLOWED_MODULES,
        calling_c: frozenset[str] = _CALLING_C if _installed(_NEEDS_C) else frozenset(),
        needs_c: str = _NEEDS_C,
        imported: set[str] = set(),  # noqa: B006  # kept from call to call
        roots: tuple[str, ...] = roots,
        folders: tuple[str, ...] = tuple(root[:-1] for root in roots),
        writing: int = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC,
        error: type[Exception] = PermissionError,
        no_module: type[Exception] = ForbiddenImport,
        is_a: Callable[[Any, Any], bool] = isinstance,
        text: type[str] = str,
        number: type[int] = int,
        starts: Callable[..., bool] = str.startswith,
        part: Callable[[str, str], tuple[str, str, str]] = str.partition,
        add: Callable[[set[str], str], None] = set.add,
    ) -> None:
        if event == "open" or event == "os.listdir":
            path, flags = arguments[0], arguments[-1] if event == "open" else 0
            if event == "open" and is_a(path, number):
                return
            inside = is_a(path, text) and ".." not in path and (starts(path, roots) or path in folders)
            if not inside or (flags or 0) & writing:
                raise error(f"the sandbox does not allow to open {path!r}")
        elif event == "import":
            name = arguments[0]
            top = part(name, ".")[0]
            add(imported, top)
            known = top in packages or starts(name, "_sysconfigdata")  # whose whole name is that of the system
            if (name in modules or not known) and not (name in calling_c and needs_c in imported):
                raise no_module(f"the sandbox has no module {name!r}")
        elif starts(event, forbidden):
            raise error(f"the sandbox does not allow {event}")

    return hook


def hidden_modules() -> list[str]:
    """The names of loaded modules that no program may have; modules that hold one of them hold it no more."""
    hidden = [name for name in sys.modules if name.partition(".")[0] in _FORBIDDEN_MODULES]
    gone = [sys.modules[name] for name in hidden]
    for name, module in list(sys.modules.items()):
        if name not in hidden and name.partition(".")[0] != "rstar_mini":
            for attribute, value in list(vars(module).items()):
                if any(value is one for one in gone):
                    setattr(module, attribute, None)
    return hidden


def _installed(package: str) -> bool:
    return any(os.path.isdir(os.path.join(path, package)) for path in sys.path)  # noqa: PTH112, PTH118  # as above


def drop_names() -> None:
    """Take from `os` what no audit event tells of and no program needs."""
    for module in (os, sys.modules.get("posix"), sys.modules.get("nt")):
        for name in _DROPPED:
            if module is not None:
                vars(module).pop(name, None)


def guarded_builtins() -> dict[str, Any]:
    """The builtins for a guarded program: its own import statements reach the allowed modules only."""
    real, allowed, main, error = builtins.__import__, ALLOWED_MODULES, "__main__", ForbiddenImport

    def guarded_import(
        name: str, globals: Any = None, locals: Any = None, fromlist: Sequence[str] = (), level: int = 0
    ) -> Any:
        if (globals or {}).get("__name__", main) == main and name.partition(".")[0] not in allowed:
            raise error(f"the sandbox has no module {name!r}")
        return real(name, globals, locals, fromlist, level)

    return builtins.__dict__ | {"__import__": guarded_import}
