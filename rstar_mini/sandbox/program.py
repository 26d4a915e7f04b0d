"""What happens inside the process that runs one program: a fresh `__main__`, then the completion record.

Only the servers import this module. It stays light, because every module that a server holds makes each fork slower.
"""

from __future__ import annotations

import contextlib
import gc
import os
import random
import sys
import types
from typing import Any, NoReturn

from rstar_mini.sandbox.guard import ForbiddenImport
from rstar_mini.sandbox.wire import SECRET_BYTES

FILENAME = "<program>"
RECORD_FD, CODE_FD = 3, 4  # to write the record to, and to read code and secret from; 0 to 2 are the program's
_MAX_MESSAGE = 300  # characters; a whole record stays far below what the channel holds
_MAX_RECORD = 1000  # bytes
_OUT_OF_MEMORY = "MemoryError: the program needs more memory than it may use"


def receive(descriptor: int, size: int) -> bytes:
    """The next `size` bytes; fewer when the other side is gone."""
    data = b""
    while len(data) < size and (part := os.read(descriptor, size - len(data))):
        data += part
    return data


def execute(code: str, builtins: dict[str, Any]) -> NoReturn:
    """Run a program in a fresh `__main__`, write its record (see `wire.read_record`) to `RECORD_FD`, and end.

    The secret that makes a record valid is read before the program starts and waits on the evaluation stack, in no
    variable: walking up the frames shows it to nobody, and a program that leaves early cannot write it.
    """
    os.write(RECORD_FD, receive(CODE_FD, SECRET_BYTES) + _run(code, builtins))
    os._exit(0)


def _run(code: str, builtins: dict[str, Any]) -> bytes:
    """How the program ended: "ok", "error", "memory" or "forbidden".

    What is said of an error is written first. The kinds are constants in the code, and nothing that the program can
    replace is used between an error and them, so that no error becomes an "ok".
    """
    os.close(CODE_FD)
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    # The site module, which servers do without, would have defined exit and quit.
    main.__dict__.update(__builtins__=builtins, exit=sys.exit, quit=sys.exit)
    random.seed(0)  # Python seeds anew after a fork; a program that does not seed should still give one result
    gc.enable()
    try:
        _execute(code, main.__dict__)
    except MemoryError as error:
        _write_message(_describe(error) if error.args else _OUT_OF_MEMORY + _where(error))
        return b"memory"
    except (PermissionError, ForbiddenImport) as error:
        _write_message(_describe(error))
        return b"forbidden"
    except BaseException as error:
        _write_message(_describe(error))
        return b"error"
    return b"ok"


def _execute(code: str, namespace: dict[str, Any]) -> None:
    stdout = sys.stdout
    try:
        exec(compile(code, FILENAME, "exec", dont_inherit=True), namespace)
    except SystemExit as error:
        if error.code is not None and (type(error.code) is not int or error.code):
            raise
    finally:
        for stream in (sys.stdout, stdout):
            with contextlib.suppress(BaseException):  # closed or replaced by the program, which is its own affair
                stream.flush()


def _write_message(message: str) -> None:
    os.write(RECORD_FD, message.encode("utf-8", "backslashreplace")[:_MAX_RECORD])


def _describe(error: BaseException) -> str:
    """One line such as "NameError: name 'x' is not defined (line 2)"."""
    try:
        message = str(error.msg or "") if isinstance(error, SyntaxError) else str(error)
    except BaseException:  # the program's own exception class may fail here too
        message = ""
    line = " ".join(str.split(message))[:_MAX_MESSAGE]
    name = "ImportError" if isinstance(error, ForbiddenImport) else type(error).__name__
    return f"{name}: {line}".removesuffix(": ") + _where(error)


def _where(error: BaseException) -> str:
    """The line of the program where it failed, as " (line 3)"."""
    if isinstance(error, SyntaxError) and error.filename == FILENAME:
        return f" (line {error.lineno})"
    line, trace = 0, error.__traceback__
    while trace is not None:
        line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == FILENAME else line
        trace = trace.tb_next
    return f" (line {line})" if line else ""
