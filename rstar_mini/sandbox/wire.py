"""What the main process and a server say to each other: a struct of numbers each way, then bytes that nobody copies.

A server begins with one line of JSON about itself: {"isolation", "missing"}.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

REQUEST = struct.Struct("<QddQQ")  # bytes of code, then the fields of Limits
REPLY = struct.Struct("<iddBQQ")  # exit code, CPU and wall seconds, forced end, bytes of the record and of stdout
ENDED = ("", "timeout", "output")  # what the forced end's number means
SECRET_BYTES = 16
MAX_CODE = 2**20  # bytes; no step of a solution is as long
MAX_RECORD = 2**19  # bytes; more than a pipe holds
MAX_MORE = 2**18  # bytes of output that a server may have read beyond the limit


class Limits(NamedTuple):
    """What one program may use; `memory_mb` counts on top of what the server itself holds."""

    cpu_seconds: float
    wall_seconds: float
    memory_mb: int
    output_chars: int


def read_record(record: bytes, secret: bytes) -> tuple[str, str] | None:
    """(kind, message) of a program that came to its end, or None: the message, then the secret, then the kind."""
    message, found, kind = record.rpartition(secret)
    return (kind.decode("ascii", "replace"), message.decode("utf-8", "replace")) if found else None
