"""Append-only JSONL files that survive being cut off: a torn last line is found, cut away and told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
        return list(self._rows())

    def readable(self) -> tuple[list[dict[str, Any]], str]:
        """The rows up to the first that is damaged, and what is wrong with that one, "" when nothing is."""
        rows: list[dict[str, Any]] = []
        try:
            rows.extend(self._rows())
        except Exception as error:  # only what `damage_named` makes of all others
            return rows, reason(error)
        return rows, ""

    def _rows(self) -> Iterator[dict[str, Any]]:
        check = _CHECKS.get(self.path.name, any_row)
        with damage_named(self.path):
            for number, line in enumerate(self._data().splitlines(keepends=True), 1):
                if line.endswith(b"\n"):
                    try:
                        row = check(json.loads(line))
                    except (ValueError, TypeError, RecursionError) as error:
                        raise ValueError(f"line {number}: {reason(error)}") from error
                    yield row

    def repair(self) -> str | None:
        """Cut a last line off that was never finished; returns a line about it, or None when all is well."""
        with damage_named(self.path):
            data = self._data()
            whole = data[: data.rfind(b"\n") + 1]
            if whole == data:
                return None
            write_bytes(self.path, whole)
        return f"{self.path.name}: the last line was torn ({len(data) - len(whole)} bytes) and has been cut off"

    def _data(self) -> bytes:
        return self.path.read_bytes() if self.path.exists() else b""
