"""What happens inside the process that runs one program: a fresh `__main__`, then the completion record.

Only the servers import this module. It stays light, because every module that a server holds makes each fork slower.
"""

from __future__ import annotations

import builtins
import gc
import os
import random
import sys
import types
from typing import NamedTuple, NoReturn

FILENAME = "<program>"
RECORD_FD = 3  # the private channel; 0, 1 and 2 belong to the program
_MAX_MESSAGE = 300  # characters; a whole record stays far below what a pipe holds


class Limits(NamedTuple):
    """What one program may use; `memory_mb` counts on top of what the server itself holds."""

    cpu_seconds: float
    wall_seconds: float
    memory_mb: int
    output_chars: int


def execute(code: str, secret: bytes) -> NoReturn:
    """Run a program in a fresh `__main__`, write `secret` and its record ("ok", "memory" or "error", message), and end.

    `secret` is what tells the record from bytes that the program itself wrote to the descriptor.
    """
    stdout = sys.stdout
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    # The site module, which servers do without, would have defined exit and quit.
    main.__dict__.update(__builtins__=builtins, exit=sys.exit, quit=sys.exit)
    random.seed(0)  # Python seeds anew after a fork; a program that does not seed should still give one result
    gc.enable()
    try:
        exec(compile(code, FILENAME, "exec", dont_inherit=True), main.__dict__)
        record = "ok"
    except MemoryError as error:
        record = "memory\nMemoryError: the program needs more memory than it may use" + _where(error)
    except SystemExit as error:
        record = "ok" if error.code in (None, 0) else "error\n" + _describe(error)
    except BaseException as error:
        record = "error\n" + _describe(error)
    for stream in (sys.stdout, stdout):
        try:
            stream.flush()
        except BaseException:  # closed or replaced by the program, which is its own affair
            continue
    os.write(RECORD_FD, secret + record.encode("utf-8", "backslashreplace"))
    os._exit(0)


def _describe(error: BaseException) -> str:
    """One line such as "NameError: name 'x' is not defined (line 2)"."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except BaseException:  # the program's own exception class may fail here too
        message = ""
    line = " ".join(message.split())[:_MAX_MESSAGE]
    return f"{type(error).__name__}: {line}".removesuffix(": ") + _where(error)


def _where(error: BaseException) -> str:
    """The line of the program where it failed, as " (line 3)"."""
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        return f" (line {error.lineno})"
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == FILENAME else line
        trace = trace.tb_next
    return f" (line {line})" if line else ""
