"""Append-only JSONL files that survive being cut off: a torn last line is found, cut away and told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rstar_mini.errors import UserError
from rstar_mini.evolution.records import any_row, digest_row, event_row
from rstar_mini.files import damage_named, open_own, reason, sync, write_bytes

EVENTS, DIGESTS = "events.jsonl", "digests.jsonl"  # the two of a run
_CHECKS: dict[str, Callable[[Any], dict[str, Any]]] = {EVENTS: event_row, DIGESTS: digest_row}


class Ledger:
    """One row a line; each is on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, row: dict[str, Any]) -> None:
        """Add a row at the end."""
        with open_own(self.path, os.O_WRONLY | os.O_APPEND) as file:
            file.write(json.dumps(row).encode() + b"\n")
            file.flush()
            sync(file.fileno())

    def rows(self) -> list[dict[str, Any]]:
        """All whole rows.

        Raises:
            UserError: one of them is damaged.
        """
        with damage_named(self.path):
            return list(self._rows())

    def damage(self) -> str:
        """What is wrong with it, "" when nothing is."""
        try:
            self.rows()
        except UserError as error:
            return str(error)
        _, torn = self._parts()
        return f"the last line is torn ({len(torn)} bytes); the next start cuts it off" if torn else ""

    def _rows(self) -> Iterator[dict[str, Any]]:
        check = _CHECKS.get(self.path.name, any_row)
        whole, torn = self._parts()
        if torn[:1] not in (b"", b"{"):
            raise ValueError("it ends with what is no line of it")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                yield check(json.loads(line))
            except (ValueError, TypeError, RecursionError) as error:
                raise ValueError(f"line {number}: {reason(error)}") from error

    def repair(self) -> str | None:
        """Cut a last line off that was never finished; returns a line about it, or None when all is well.

        Raises:
            UserError: it is damaged in another way.
        """
        self.rows()
        whole, torn = self._parts()
        if not torn:
            return None
        write_bytes(self.path, whole)
        return f"{self.path.name}: the last line was torn ({len(torn)} bytes) and has been cut off"

    def _parts(self) -> tuple[bytes, bytes]:
        """The whole lines, and what comes after them."""
        data = self._data()
        end = data.rfind(b"\n") + 1
        return data[:end], data[end:]

    def _data(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""
